"""The estimators: what they predict, remember and save."""

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import tabtext
from tabtext.errors import ArtifactError, ParameterError, TabTextWarning
from tabtext.estimators import TabularClassifier, TabularRegressor
from tabtext.estimators.network import input_tensors
from tabtext.tabular.ensembles import NETWORKS
from tabtext.tabular.outliers import quantile
from tests.estimators.conftest import QUICK, shops

LONGER = {**QUICK, "epochs": 20, "learning_rate": 0.01}


def test_the_model_learns_what_the_columns_tell(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**{**LONGER, "epochs": 40})

    model.fit(frame, target="Sales", validation=shops(200, seed=1))

    assert model.evaluate(shops(300, seed=2))["r2"] > 0.85


def test_a_separate_y_and_a_named_target_give_the_same_model(frame: pd.DataFrame) -> None:
    named = TabularRegressor(**QUICK).fit(frame, target="Sales")
    separate = TabularRegressor(**QUICK).fit(frame.drop(columns="Sales"), frame["Sales"])

    np.testing.assert_array_equal(named.predict(frame), separate.predict(frame))


def test_two_fits_with_the_same_seed_are_equal_bit_for_bit(frame: pd.DataFrame) -> None:
    first, second = (TabularClassifier(**QUICK).fit(frame, target="State") for _ in range(2))

    np.testing.assert_array_equal(first.predict_proba(frame), second.predict_proba(frame))


def test_predictions_do_not_depend_on_the_order_of_columns(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    shuffled = frame[list(frame.columns)[::-1]]

    np.testing.assert_array_equal(regressor.predict(frame), regressor.predict(shuffled))


@pytest.mark.parametrize("convert", [pa.Table.from_pandas, pl.from_pandas])
def test_other_kinds_of_tables_give_the_same_predictions(
    regressor: TabularRegressor, frame: pd.DataFrame, convert: Any
) -> None:
    np.testing.assert_array_equal(regressor.predict(frame), regressor.predict(convert(frame)))


def test_text_in_any_pandas_form_gives_the_same_predictions(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    expected = regressor.predict(frame)

    for dtype in ("object", "category", "string"):
        other = frame.assign(State=frame["State"].astype(dtype))
        np.testing.assert_array_equal(regressor.predict(other), expected)


def test_arrays_are_accepted() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 3))

    model = TabularRegressor(**QUICK).fit(features, features[:, 0])

    assert model.predict(features).shape == (200,)
    assert model.feature_names_in_.tolist() == ["x0", "x1", "x2"]


def test_one_row_can_be_predicted(classifier: TabularClassifier, frame: pd.DataFrame) -> None:
    probabilities = classifier.predict_proba(frame.head(1))

    assert probabilities.shape == (1, 3)
    np.testing.assert_allclose(
        probabilities, classifier.predict_proba(frame)[:1], rtol=1e-4, atol=1e-6
    )


def test_no_row_gives_no_prediction(regressor: TabularRegressor, frame: pd.DataFrame) -> None:
    assert regressor.predict(frame.head(0)).shape == (0,)


def test_an_unseen_level_and_a_first_gap_are_predicted(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    odd = frame.head(2).assign(State=["ZZ", None])

    with pytest.warns(TabTextWarning, match="'State'"):
        predicted = regressor.predict(odd)

    assert np.isfinite(predicted).all()


def test_the_unseen_vector_is_trained(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**{**QUICK, "unseen_rate": 0.2}).fit(frame, target="Sales")
    untrained = TabularRegressor(**{**QUICK, "unseen_rate": 0.0}).fit(frame, target="Sales")
    start = TabularRegressor(**{**QUICK, "unseen_rate": 0.0, "learning_rate": 1e-12})
    start.fit(frame, target="Sales")

    vector = [m.embeddings("State").loc["(unseen)"].to_numpy() for m in (start, untrained, model)]

    np.testing.assert_allclose(vector[0], vector[1], atol=1e-6)
    assert np.abs(vector[2] - vector[0]).max() > 1e-4


def test_classes_are_ordered_and_named(classifier: TabularClassifier, frame: pd.DataFrame) -> None:
    probabilities = classifier.predict_proba(frame)

    assert classifier.classes_.tolist() == ["BY", "HE", "NW"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    expected = classifier.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(frame), expected)


def test_score_is_accuracy_or_r2(
    classifier: TabularClassifier, regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    accuracy = classifier.score(frame, frame["State"])
    r2 = regressor.score(frame, frame["Sales"])

    assert accuracy == pytest.approx(classifier.evaluate(frame, frame["State"])["accuracy"])
    assert r2 == pytest.approx(regressor.evaluate(frame)["r2"])


def test_several_quantities_are_predicted_together(frame: pd.DataFrame) -> None:
    both = frame.assign(Double=2 * frame["Sales"])

    model = TabularRegressor(**QUICK).fit(both, target=["Sales", "Double"])

    assert model.predict(both).shape == (400, 2)
    assert model.predict_table(both).column_names == ["Sales", "Double"]


def test_several_labels_are_predicted_each_for_itself(frame: pd.DataFrame) -> None:
    labels = pd.DataFrame({"late": frame["Promo"], "far": frame["Distance"] > 500})

    model = TabularClassifier(**QUICK).fit(frame[["State", "Distance", "Date"]], labels)

    assert model.predict_proba(frame).shape == (400, 2)
    assert set(np.unique(model.predict(frame))) <= {0, 1}
    assert model.evaluate(frame[["State", "Distance", "Date"]], labels)["roc_auc"] > 0.4


def test_sample_weights_move_predictions(frame: pd.DataFrame) -> None:
    weight = np.where(frame["Sales"] > frame["Sales"].median(), 20.0, 1.0)

    plain = TabularRegressor(**LONGER).fit(frame, target="Sales")
    weighted = TabularRegressor(**LONGER).fit(frame, target="Sales", sample_weight=weight)

    assert weighted.predict(frame).mean() > plain.predict(frame).mean()


@pytest.mark.parametrize("validation_fraction", [0, 0.2])
def test_rows_without_weight_shape_nothing_at_all(
    frame: pd.DataFrame, validation_fraction: float
) -> None:
    strange = frame[:20].assign(Sales=0.0, State="of their own", Distance=1e6)
    settings = {**QUICK, "target_transform": "log", "validation_fraction": validation_fraction}
    expected = TabularRegressor(**settings).fit(frame, target="Sales")
    both = pd.concat([strange, frame], ignore_index=True)

    model = TabularRegressor(**settings)
    model.fit(both, target="Sales", sample_weight=(both["Sales"] > 0).astype(float))

    np.testing.assert_array_equal(model.predict(frame), expected.predict(frame))
    assert model.card_["rows"]["weightless"] == 20
    if validation_fraction:
        np.testing.assert_array_equal(model.validation_rows_, expected.validation_rows_ + 20)


def test_a_weight_column_is_no_feature(frame: pd.DataFrame) -> None:
    heavy = frame.assign(weight=1.0)

    model = TabularRegressor(**QUICK).fit(heavy, target="Sales", sample_weight="weight")

    assert "weight" not in model.feature_names_in_
    model.predict(frame)  # and is not asked for


def test_class_weights_move_probabilities(frame: pd.DataFrame) -> None:
    rare = frame.assign(y=(np.arange(400) % 20 == 0))
    settings = {**LONGER, "epochs": 10, "validation_fraction": 0}
    plain, balanced = (
        TabularClassifier(**settings, class_weight=weight).fit(rare, target="y")
        for weight in (None, "balanced")
    )

    # On rows of its training the network knows each one by heart, whatever it weighs.
    fresh = shops(400, seed=9)
    assert (
        balanced.predict_proba(fresh)[:, 1].mean() > plain.predict_proba(fresh)[:, 1].mean() + 0.1
    )


def test_a_logarithmic_target_comes_back_in_its_units(frame: pd.DataFrame) -> None:
    skewed = frame.assign(Sales=np.exp(frame["Sales"]))

    model = TabularRegressor(**LONGER, target_transform="log").fit(skewed, target="Sales")

    predicted = model.predict(skewed)
    assert (predicted > 0).all()
    assert 0.2 < predicted.mean() / skewed["Sales"].mean() < 5


def test_predictions_stay_inside_y_range(frame: pd.DataFrame) -> None:
    low, high = frame["Sales"].min(), frame["Sales"].max()

    model = TabularRegressor(**QUICK, y_range=(low, high)).fit(frame, target="Sales")

    predicted = model.predict(frame)
    assert predicted.min() >= low
    assert predicted.max() <= high


def test_rows_without_a_target_are_dropped_and_counted(frame: pd.DataFrame) -> None:
    gaps = frame.copy()
    gaps.loc[:9, "Sales"] = np.nan

    model = TabularRegressor(**QUICK).fit(gaps, target="Sales")

    assert model.card_["rows"]["target_missing"] == 10
    assert model.card_["rows"]["train"] + model.card_["rows"]["valid"] == 390


def test_pruning_touches_training_rows_only_and_is_recorded(frame: pd.DataFrame) -> None:
    valid = shops(100, seed=3).assign(Sales=1000.0)
    spoiled = frame.copy()
    spoiled.loc[:4, "Sales"] = 500.0
    rules = ["Sales < 100", quantile("Sales", low=0.01)]

    model = TabularRegressor(**QUICK, prune=rules).fit(spoiled, target="Sales", validation=valid)

    assert model.card_["rows"]["valid"] == 100
    assert model.pruning_ is not None
    assert model.pruning_.outcomes[0].removed == 5
    assert model.card_["rows"]["pruned"] == model.pruning_.removed
    assert model.card_["pruning"]["rules"][0]["description"] == "keep where Sales < 100"


def test_validation_rows_can_be_given_as_a_pair(frame: pd.DataFrame) -> None:
    features, target = frame.drop(columns="Sales"), frame["Sales"]

    model = TabularRegressor(**QUICK).fit(
        features[:300], target[:300], validation=(features[300:], target[300:])
    )

    assert model.card_["rows"] | {"given": 300} == {
        "given": 300, "target_missing": 0, "pruned": 0, "train": 300, "valid": 100
    }  # fmt: skip


def test_no_validation_uses_all_rows(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK, validation_fraction=0).fit(frame, target="Sales")

    assert model.card_["rows"]["train"] == 400
    assert model.card_["metrics"] == {}


def test_a_random_split_keeps_the_shares_of_classes(frame: pd.DataFrame) -> None:
    rare = frame.assign(y=np.where(np.arange(400) % 40 == 0, "rare", "often"))

    model = TabularClassifier(**QUICK).fit(rare, target="y")

    assert np.isfinite(model.card_["metrics"]["roc_auc"])


def test_embeddings_have_a_row_per_category(regressor: TabularRegressor) -> None:
    vectors = regressor.embeddings("State")

    assert vectors.index.tolist() == ["(missing)", "(unseen)", "BY", "HE", "NW"]
    assert regressor.embeddings("Date_month").shape[0] == 14


def test_embeddings_of_another_column_are_refused_with_a_suggestion(
    regressor: TabularRegressor,
) -> None:
    with pytest.raises(ParameterError, match="did you mean 'State'"):
        regressor.embeddings("Stat")


def test_the_most_telling_column_is_the_most_important(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**LONGER)
    model.fit(frame.assign(noise=np.arange(400) % 40), target="Sales")

    importance = model.feature_importance(shops(200, seed=5).assign(noise=1.0))

    assert importance.index[0] == "State"
    assert abs(importance.loc["noise", "importance"]) < 0.1 * importance["importance"].iloc[0]
    assert set(importance.index) == set(model.feature_names_in_)


def test_a_saved_model_predicts_the_same(
    regressor: TabularRegressor,
    classifier: TabularClassifier,
    frame: pd.DataFrame,
    tmp_path: Any,
) -> None:
    for model in (regressor, classifier):
        model.save(tmp_path / "model")
        loaded = tabtext.load(tmp_path / "model")

        assert type(loaded) is type(model)
        assert loaded.get_params() == model.get_params()
        np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
        assert loaded.history_ == model.history_
        assert loaded.schema_ == model.schema_
        loaded.save(tmp_path / "again")


def test_rules_and_mappings_among_the_parameters_survive_saving(
    frame: pd.DataFrame, tmp_path: Any
) -> None:
    model = TabularClassifier(
        **QUICK,
        prune=[quantile("Sales", low=0.01), "Distance < 1e9"],
        roles={"Promo": "categorical"},
        class_weight={"BY": 2.0},
        embedding_widths={"Promo": 3},
    ).fit(frame, target="State")

    model.save(tmp_path / "model")
    loaded = TabularClassifier.load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert loaded.embeddings("Promo").shape[1] == 3
    refitted = clone(loaded).fit(frame, target="State")
    np.testing.assert_array_equal(refitted.predict(frame), model.predict(frame))


def test_loading_as_another_kind_is_refused(regressor: TabularRegressor, tmp_path: Any) -> None:
    regressor.save(tmp_path / "model")

    with pytest.raises(ArtifactError, match="TabularRegressor, not a TabularClassifier"):
        TabularClassifier.load(tmp_path / "model")


def test_before_the_fit_scikit_learns_error_is_raised(frame: pd.DataFrame) -> None:
    for use in ("predict", "evaluate", "feature_importance"):
        with pytest.raises(NotFittedError):
            getattr(TabularRegressor(), use)(frame)
    with pytest.raises(NotFittedError):
        TabularRegressor().save("never")


def test_init_only_stores_and_clone_copies() -> None:
    model = TabularClassifier(hidden=(8, 4), prune=("a > 0",), min_count=3)

    copied = clone(model)

    assert copied.get_params() == model.get_params()
    assert not [name for name in vars(model) if name.endswith("_")]


def test_cross_validation_works(frame: pd.DataFrame) -> None:
    features = frame.drop(columns="State")

    scores = cross_val_score(TabularClassifier(**QUICK), features, frame["State"], cv=3)

    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("numeric", ["none", "piecewise_linear", "periodic"])
@pytest.mark.parametrize("bins", ["tree", "quantile"])
def test_every_numeric_embedding_trains(frame: pd.DataFrame, numeric: Any, bins: Any) -> None:
    model = TabularRegressor(**QUICK, numeric_embedding=numeric, bins=bins)

    assert np.isfinite(model.fit(frame, target="Sales").predict(frame)).all()


def test_a_table_may_have_only_one_kind_of_columns(frame: pd.DataFrame) -> None:
    for columns in (["State", "Sales"], ["Distance", "Sales"]):
        model = TabularRegressor(**QUICK).fit(frame[columns], target="Sales")
        assert np.isfinite(model.predict(frame)).all()


# --- networks ----------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["tabm", "mlp"])
def test_every_network_is_saved_and_predicts_the_same(
    frame: pd.DataFrame, tmp_path: Any, network: Any
) -> None:
    model = TabularClassifier(**QUICK, network=network, n_members=3).fit(frame, target="State")

    model.save(tmp_path / "model")
    loaded = tabtext.load(tmp_path / "model")

    assert type(loaded.model_) is NETWORKS[network]
    np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))


def test_a_model_saved_before_networks_had_names_is_loaded(
    frame: pd.DataFrame, tmp_path: Any
) -> None:
    model = TabularRegressor(**QUICK, network="mlp").fit(frame, target="Sales")
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    del config["network"]
    config["history"] = config.pop("histories")[""]
    for name in ("network", "n_members", "numeric_width", "clip_predictions", "preset", "n_folds"):
        del config["parameters"][name]
    path.write_text(json.dumps(config))

    loaded = tabtext.load(tmp_path / "model")
    loaded.save(tmp_path / "again")

    assert (loaded.network, loaded.clip_predictions) == ("mlp", False)
    for again in (loaded, tabtext.load(tmp_path / "again")):
        np.testing.assert_array_equal(again.predict(frame), model.predict(frame))


@pytest.mark.parametrize(("network", "members"), [("tabm", 3), ("mlp", None)])
def test_the_card_names_the_network_and_what_shaped_it(
    frame: pd.DataFrame, network: Any, members: int | None
) -> None:
    model = TabularRegressor(**QUICK, network=network, n_members=3).fit(frame, target="Sales")

    recipe = model.card_["recipe"]

    assert recipe["network"] == network
    assert recipe.get("n_members") == members


def test_inside_bounds_the_ensemble_predicts_the_mean_of_its_members(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK, y_range=(0.0, 40.0), clip_predictions=False)
    model.fit(frame, target="Sales")
    features = input_tensors(model.preprocessor_.encode(frame))

    with torch.no_grad():
        model.model_.eval()
        of_members: list[torch.Tensor] = []
        hook = model.model_.head.register_forward_hook(lambda _m, _i, raw: of_members.append(raw))
        model.model_(*features)
        hook.remove()

    each = [model.target_.decode(raw) for raw in of_members[0].unbind(dim=1)]
    np.testing.assert_allclose(model.predict(frame), np.mean(each, axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"averaging": "swa"},
        {"averaging": None},
        {"schedule": "sgdr_doubling"},
        {"schedule": "sgdr_equal", "snapshots": True},
    ],
    ids=str,
)
def test_training_goes_on_to_the_end_of_a_schedule_that_counts(settings: dict[str, Any]) -> None:
    assert TabularRegressor(**settings).training_options(1000).patience is None
    assert TabularRegressor().training_options(1000).patience is not None
    assert TabularRegressor(patience=3).training_options(1000).patience == 3


def test_predictions_stay_in_the_span_of_all_targets_even_of_pruned_ones(
    frame: pd.DataFrame,
) -> None:
    far = frame.assign(Sales=np.where(np.arange(len(frame)) == 7, 1000.0, frame["Sales"]))

    model = TabularRegressor(**QUICK, prune=["Sales < 100"]).fit(far, target="Sales")
    free = TabularRegressor(**QUICK, clip_predictions=False).fit(frame, target="Sales")

    assert model.target_.highest == (1000.0,)
    assert model.target_.lowest == (float(frame["Sales"].min()),)
    assert free.target_.highest == ()
