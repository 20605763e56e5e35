"""Learned vectors of categories as features of other models."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import tabtext
from tabtext import EmbeddingTransformer, TabTextRegressor, TabularClassifier, TabularRegressor
from tabtext.artifacts import write_tensors
from tabtext.errors import ArtifactError, DataError, MissingFileError, ParameterError, SaveError
from tests.estimators.conftest import QUICK, shops


def transformer(**parameters: Any) -> EmbeddingTransformer:
    return EmbeddingTransformer(estimator=TabularRegressor(**QUICK), **parameters)


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> EmbeddingTransformer:
    return transformer(n_folds=2).fit(frame, target="Sales")


def test_categories_become_vectors_and_numbers_stay(
    fitted: EmbeddingTransformer, frame: pd.DataFrame
) -> None:
    matrix = fitted.transform(frame)

    names = fitted.get_feature_names_out().tolist()
    assert matrix.shape == (len(frame), len(names))
    assert matrix.dtype == np.float32
    assert {"State_0", "Promo_0", "Date_month_0", "Distance", "Distance_missing"} <= set(names)
    assert len(np.unique(matrix[:, names.index("State_0")])) == 3  # one value for each state


def test_vectors_are_those_of_the_network_without_folds(frame: pd.DataFrame) -> None:
    alone = transformer(n_folds=1).set_output(transform="pandas")

    vectors = alone.fit(frame, target="Sales").transform(frame)

    learned = alone.estimator_.embeddings("State")
    expected = learned.loc[frame["State"]].to_numpy()
    np.testing.assert_array_equal(vectors.filter(like="State_").to_numpy(), expected)


def test_without_folds_fitting_and_transforming_at_once_is_the_same(frame: pd.DataFrame) -> None:
    alone = transformer(n_folds=1)

    at_once = alone.fit_transform(frame, target="Sales")

    np.testing.assert_array_equal(at_once, alone.transform(frame))


def test_vectors_of_a_row_do_not_depend_on_its_own_fold() -> None:
    # Every shop has one row, so that a vector which has seen the row's target tells it.
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"shop": [f"s{i}" for i in range(300)], "x": generator.normal(size=300)})
    noise = generator.normal(size=300)
    network = TabularRegressor(**QUICK | {"epochs": 30}, roles={"shop": "categorical"})

    def told(n_folds: int) -> float:
        vectors = EmbeddingTransformer(estimator=network, n_folds=n_folds)
        matrix = vectors.fit_transform(rows, noise)[:, :10]
        return float(LinearRegression().fit(matrix, noise).score(matrix, noise))

    assert told(n_folds=1) > 0.6
    assert told(n_folds=5) < 0.2


def test_vectors_of_folds_have_their_axes_in_common(frame: pd.DataFrame) -> None:
    folded = transformer(n_folds=4)

    rows = folded.fit_transform(frame, target="Sales")
    whole = folded.transform(frame)

    states = [n.startswith("State_") for n in folded.get_feature_names_out()]
    for row, same in zip(rows[:, states][:50], whole[:, states][:50], strict=True):
        assert row @ same / np.linalg.norm(row) / np.linalg.norm(same) > 0.9


def test_trees_learn_from_vectors_in_a_pipeline(frame: pd.DataFrame) -> None:
    columns, sales = frame.drop(columns="Sales"), frame["Sales"]
    trees = HistGradientBoostingRegressor(max_iter=50)
    later = shops(200, seed=1)

    model = make_pipeline(transformer(n_folds=3), trees).fit(columns, sales)

    assert model.score(later.drop(columns="Sales"), later["Sales"]) > 0.8


@pytest.mark.parametrize(
    ("container", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_frames_have_the_names_of_vectors(frame: pd.DataFrame, container: Any, kind: type) -> None:
    named = transformer(n_folds=2).set_output(transform=container)

    for matrix in (named.fit_transform(frame, target="Sales"), named.transform(frame)):
        assert isinstance(matrix, kind)
        assert list(matrix.columns) == named.get_feature_names_out().tolist()


def test_numbers_can_stay_as_they_are(frame: pd.DataFrame) -> None:
    unchanged = transformer(n_folds=1, numbers="unchanged").set_output(transform="pandas")
    rows = frame.assign(Distance=frame["Distance"].where(frame.index != 3, np.inf))

    with pytest.warns(UserWarning, match="infinite"):
        found = unchanged.fit(frame, target="Sales").transform(rows)

    expected = rows["Distance"].where(rows.index != 3).to_numpy(np.float32)
    np.testing.assert_array_equal(found["Distance"].to_numpy(), expected)
    assert "Distance_missing" not in found


def test_new_categories_have_the_vector_of_unseen_ones(
    fitted: EmbeddingTransformer, frame: pd.DataFrame
) -> None:
    matrix = fitted.transform(frame[:2].assign(State=["HH", "SH"]))

    n_axes = fitted.tables_[0].shape[1]
    np.testing.assert_array_equal(matrix[:, :n_axes], np.tile(fitted.tables_[0][1], (2, 1)))


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (["a", "b"], TabularClassifier),
        ([True, False], TabularClassifier),
        (range(3), TabularClassifier),
        ([0.0, 1.0], TabularClassifier),
        (range(100), TabularRegressor),
        ([0.5, 1.0], TabularRegressor),
    ],
)
def test_the_network_suits_the_target(y: Any, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.estimators.tabular_parameters.PRESETS", _tiny_presets())
    target = np.resize(np.asarray(y), 100)

    fitted = EmbeddingTransformer(n_folds=1).fit({"x": np.arange(100) % 7}, target)

    assert type(fitted.estimator_) is kind
    assert fitted.estimator_.preset == "fast"


def test_two_fits_are_equal_and_leave_the_estimator_alone(frame: pd.DataFrame) -> None:
    one, other = transformer(n_folds=2), transformer(n_folds=2)

    np.testing.assert_array_equal(
        one.fit_transform(frame, target="Sales"), other.fit_transform(frame, target="Sales")
    )
    assert not hasattr(one.estimator, "model_")


def test_a_pickled_transformer_gives_the_same(
    fitted: EmbeddingTransformer, frame: pd.DataFrame
) -> None:
    again = pickle.loads(pickle.dumps(fitted))

    np.testing.assert_array_equal(again.transform(frame), fitted.transform(frame))


@pytest.mark.parametrize("own_estimator", [True, False])
def test_a_saved_transformer_gives_the_same(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_estimator: bool
) -> None:
    monkeypatch.setattr("tabtext.estimators.tabular_parameters.PRESETS", _tiny_presets())
    given = TabularRegressor(**QUICK) if own_estimator else None
    saved = EmbeddingTransformer(estimator=given, n_folds=2, numbers="unchanged", random_state=3)
    saved.fit(frame, target="Sales").save(tmp_path / "vectors")
    saved.save(tmp_path / "vectors")  # over itself

    loaded = EmbeddingTransformer.load(tmp_path / "vectors")

    np.testing.assert_array_equal(loaded.transform(frame), saved.transform(frame))
    assert loaded.get_feature_names_out().tolist() == saved.get_feature_names_out().tolist()
    assert loaded.feature_names_in_.tolist() == saved.feature_names_in_.tolist()
    assert repr(loaded) == repr(saved)
    network = tabtext.load(tmp_path / "vectors" / "network")
    np.testing.assert_array_equal(network.predict(frame), saved.estimator_.predict(frame))


def test_a_transformer_is_saved_over_nothing_else(
    fitted: EmbeddingTransformer, tmp_path: Path
) -> None:
    fitted.estimator_.save(tmp_path / "model")

    with pytest.raises(SaveError, match="holds other files"):
        fitted.save(tmp_path / "model")
    with pytest.raises(MissingFileError, match=r"transformer\.json is missing"):
        EmbeddingTransformer.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["transformer.json", "vectors.safetensors"])
def test_damage_of_a_saved_transformer_is_named(
    fitted: EmbeddingTransformer, tmp_path: Path, name: str
) -> None:
    fitted.save(tmp_path / "vectors")
    file = tmp_path / "vectors" / name
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(ArtifactError, match=re.escape(str(file))):
        EmbeddingTransformer.load(tmp_path / "vectors")


def test_vectors_of_other_categories_are_refused(
    fitted: EmbeddingTransformer, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "vectors")
    write_tensors(tmp_path / "vectors" / "vectors.safetensors", {"0": torch.zeros(9, 2)})

    with pytest.raises(ArtifactError, match="is of another transformer"):
        EmbeddingTransformer.load(tmp_path / "vectors")


def test_rows_that_are_pruned_teach_no_vectors(frame: pd.DataFrame) -> None:
    network = TabularRegressor(**QUICK, prune=["Sales < 100"], validation_fraction=0.0)

    def vectors(outlier: float) -> Any:
        rows = frame.assign(Sales=frame["Sales"].where(frame.index % 50 > 0, outlier))
        return EmbeddingTransformer(estimator=network, n_folds=2).fit_transform(
            rows, target="Sales"
        )

    np.testing.assert_array_equal(vectors(1e3), vectors(1e6))


def test_rows_that_weigh_nothing_teach_no_vectors(frame: pd.DataFrame) -> None:
    network = TabularRegressor(**QUICK, validation_fraction=0.0)
    weight = (frame.index % 50 > 0).astype(float)

    def vectors(outlier: float) -> Any:
        rows = frame.assign(Sales=frame["Sales"].where(weight > 0, outlier))
        return EmbeddingTransformer(estimator=network, n_folds=2).fit_transform(
            rows, target="Sales", sample_weight=weight
        )

    np.testing.assert_array_equal(vectors(1e3), vectors(1e6))


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_number_may_be_called_like_an_element_of_a_vector(
    frame: pd.DataFrame, container: Any
) -> None:
    rows = frame.assign(State_1=np.arange(len(frame)) / 3)
    named = transformer(n_folds=1).set_output(transform=container)

    matrix = named.fit(rows, target="Sales").transform(rows)

    names = list(matrix.columns)
    assert len(set(names)) == len(names)
    assert names[:3] == ["State_0", "State_1_", "State_2"]
    assert matrix["State_1"].std() == pytest.approx(1.0, abs=0.1)  # the number, scaled


def test_numbers_beyond_single_precision_are_infinite(
    frame: pd.DataFrame,
) -> None:
    unchanged = transformer(n_folds=1, numbers="unchanged").fit(frame, target="Sales")

    matrix = unchanged.transform(frame[:2].assign(Distance=[1e300, 5.0]))

    place = unchanged.get_feature_names_out().tolist().index("Distance")
    np.testing.assert_array_equal(matrix[:, place], [np.nan, 5.0])


def test_rows_without_a_target_get_vectors_too(frame: pd.DataFrame) -> None:
    gaps = frame.assign(Sales=frame["Sales"].where(frame.index % 5 > 0))

    matrix = transformer(n_folds=2).fit_transform(gaps, target="Sales")

    assert len(matrix) == len(frame)
    assert np.isfinite(matrix).all()


def test_a_table_of_numbers_alone_has_no_vectors(frame: pd.DataFrame) -> None:
    numbers = transformer(n_folds=2)

    matrix = numbers.fit_transform(frame[["Distance"]], frame["Sales"])

    assert numbers.get_feature_names_out().tolist() == ["Distance", "Distance_missing"]
    assert matrix.shape == (len(frame), 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_folds": 0}, "n_folds"),
        ({"numbers": "raw"}, "numbers"),
        ({"random_state": None}, "random_state=None"),
        ({"estimator": "fast"}, "estimator='fast' must be a TabularClassifier"),
        ({"estimator": TabTextRegressor()}, "estimator=TabTextRegressor.* must be"),
        ({"estimator": TabularRegressor}, "estimator=.* must be a TabularClassifier"),
    ],
)
def test_wrong_parameters_are_named(
    frame: pd.DataFrame, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        EmbeddingTransformer(**parameters).fit(frame, target="Sales")


def test_an_estimator_with_several_networks_has_no_common_axes(frame: pd.DataFrame) -> None:
    several = EmbeddingTransformer(estimator=TabularRegressor(**QUICK, n_folds=2), n_folds=2)

    with pytest.raises(ParameterError, match="n_folds above 1"):
        several.fit(frame, target="Sales")


def test_fewer_rows_than_folds_are_counted(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="4 rows are too few for n_folds=5"):
        transformer(n_folds=5).fit(frame[:4], target="Sales")


def _tiny_presets() -> Any:
    from tabtext.estimators.presets import PRESETS, Preset

    return {**PRESETS, "fast": Preset(n_members=1, hidden=(4,), epochs_factor=0.1)}
