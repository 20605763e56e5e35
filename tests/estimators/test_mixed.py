"""Tables that hold texts: from a frame to a saved model."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import tabtext
from tabtext import TabTextClassifier, TabTextRegressor
from tabtext.artifacts import read_config
from tabtext.datasets import load_snippets
from tabtext.errors import ArtifactError, ColumnTypeError, DataError, ParameterError
from tabtext.estimators.mixed_batches import pooled_texts
from tabtext.mixed.fused import FusedEnsemble
from tabtext.progress import watching

QUICK: dict[str, Any] = {
    "language_model": None,
    "embedding_width": 16,
    "hidden_width": 24,
    "unfrozen_epochs": 0,
    "epochs": 2,
    "hidden": (16,),
    "n_members": 2,
    "text_width": 8,
    "batch_size": 64,
    "verbose": 0,
}


def films(n_rows: int = 240) -> pd.DataFrame:
    """Sentences on films, with gaps, beside a category, a number, a flag and a date."""
    snippets = load_snippets("movies")[:n_rows]
    generator = np.random.default_rng(0)
    text = snippets["text"].astype(object).reset_index(drop=True)
    day = np.datetime64("2015-01-01", "ns") + generator.integers(0, 365, n_rows).astype(
        "timedelta64[D]"
    )
    frame = pd.DataFrame(
        {
            "review": text.where(generator.random(n_rows) > 0.1, None),
            "second": text.sample(frac=1, random_state=1).to_numpy(),
            "cinema": generator.choice(["Astor", "Lux", "Rex"], n_rows),
            "words": text.str.split().str.len().astype("float64"),
            "evening": generator.random(n_rows) < 0.5,
            "day": day,
        }
    )
    frame.loc[generator.random(n_rows) < 0.1, "words"] = np.nan
    frame["rating"] = snippets["rating"].to_numpy().astype("float64")
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return films()


@pytest.fixture(scope="module")
def regressor(frame: pd.DataFrame) -> TabTextRegressor:
    return TabTextRegressor(**QUICK).fit(frame, target="rating")


@pytest.fixture(scope="module")
def classifier(frame: pd.DataFrame) -> TabTextClassifier:
    features = frame.drop(columns="rating")
    praised = frame["rating"].gt(0).map({True: "praise", False: "blame"})
    return TabTextClassifier(**QUICK, class_weight="balanced").fit(features, praised)


def test_the_schema_finds_texts_beside_all_other_columns(regressor: TabTextRegressor) -> None:
    roles = {column.name: column.role.value for column in regressor.schema_.columns}

    assert roles == {
        "review": "text",
        "second": "text",
        "cinema": "categorical",
        "words": "continuous",
        "evening": "categorical",
        "day": "datetime",
        "rating": "target",
    }
    assert list(regressor.feature_names_in_) == [name for name in roles if name != "rating"]
    assert regressor.n_features_in_ == 6


def test_predictions_are_in_the_units_of_the_target(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    predicted = regressor.predict(frame)

    assert predicted.shape == (240,)
    assert frame["rating"].min() <= predicted.min()
    assert predicted.max() <= frame["rating"].max()
    assert set(regressor.evaluate(frame)) == {"rmse", "mae", "r2"}


def test_texts_count_in_predictions_and_so_do_columns(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    predicted = regressor.predict(frame)

    for name, other in (("review", "The best film ever, a masterpiece."), ("cinema", "Rex")):
        changed = regressor.predict(frame.assign(**{name: other}))
        assert not np.allclose(changed, predicted), name


def test_probabilities_sum_to_one_and_the_temperature_comes_from_validation(
    classifier: TabTextClassifier, frame: pd.DataFrame
) -> None:
    probabilities = classifier.predict_proba(frame)

    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert classifier.classes_.tolist() == ["blame", "praise"]
    assert set(classifier.predict(frame)) <= {"blame", "praise"}
    assert classifier.card_["calibration"]["rows"] == 24


def test_intervals_come_from_the_validation_rows(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    bounds = regressor.predict_interval(frame, coverage=0.8)

    assert bounds.shape == (240, 2)
    assert (bounds[:, 0] < bounds[:, 1]).all()


@pytest.mark.filterwarnings("ignore:missing values in columns that had none")
def test_missing_and_unknown_texts_are_predicted_too(regressor: TabTextRegressor) -> None:
    new = pd.DataFrame(
        {
            "review": [None, "", "zxcvb qwrtz"],
            "second": [None, None, "A fine film."],
            "cinema": ["Lux", "Odeon", None],
            "words": [np.nan, 3.0, 1e6],
            "evening": [True, False, True],
            "day": pd.to_datetime(["2015-02-01", "2016-02-01", "2015-03-04"]),
        }
    )

    predicted = regressor.predict(new)

    assert np.isfinite(predicted).all()
    assert predicted[0] != predicted[1]


def test_no_rows_have_no_predictions(regressor: TabTextRegressor, frame: pd.DataFrame) -> None:
    assert regressor.predict(frame[:0]).shape == (0,)


@pytest.mark.parametrize(
    "convert",
    [
        pa.Table.from_pandas,
        pl.from_pandas,
        lambda frame: duckdb.sql("select * from frame"),
        lambda frame: frame.to_dict("list"),
        lambda frame: frame[frame.columns[::-1]].assign(further=0),
    ],
    ids=["arrow", "polars", "duckdb", "mapping", "columns in another order"],
)
def test_tables_of_every_kind_are_predicted_alike(
    regressor: TabTextRegressor, frame: pd.DataFrame, convert: Callable[[pd.DataFrame], Any]
) -> None:
    assert np.array_equal(regressor.predict(convert(frame)), regressor.predict(frame))


def test_an_array_must_have_as_many_columns_as_at_the_fit(frame: pd.DataFrame) -> None:
    rows, rating = frame.drop(columns="rating").to_numpy(object), frame["rating"]
    model = TabTextRegressor(**QUICK | {"epochs": 1}).fit(rows, rating)

    assert model.predict(rows).shape == model.predict(rows.tolist()).shape == (240,)
    for wrong in (rows[:, :4], np.hstack([rows, rows])):
        with pytest.raises(DataError, match="features, but TabTextRegressor is expecting 6"):
            model.predict(wrong)
        with pytest.raises(DataError, match="features, but TabTextRegressor is expecting 6"):
            model.evaluate(wrong, rating)


def test_two_fits_with_one_seed_are_equal(regressor: TabTextRegressor, frame: pd.DataFrame) -> None:
    again = clone(regressor).fit(pl.from_pandas(frame), target="rating")

    assert np.array_equal(again.predict(frame), regressor.predict(frame))


def test_scikit_learn_searches_judges_and_copies_it(frame: pd.DataFrame) -> None:
    rows, praised = frame.drop(columns="rating")[:120], frame["rating"][:120] > 0
    model = make_pipeline("passthrough", TabTextClassifier(**QUICK | {"epochs": 1}))

    search = GridSearchCV(model, {"tabtextclassifier__text_width": [2, 4]}, cv=2)
    search.fit(rows, praised)
    scores = cross_val_score(model, rows, praised, cv=2, scoring="roc_auc")

    best = search.best_estimator_
    assert best[-1].text_width == search.best_params_["tabtextclassifier__text_width"]
    assert np.isfinite(scores).all()
    for copy in (pickle.loads(pickle.dumps(best)), deepcopy(best)):
        assert np.array_equal(copy.predict_proba(rows), best.predict_proba(rows))


def test_a_saved_model_predicts_alike(
    regressor: TabTextRegressor, frame: pd.DataFrame, tmp_path: Path
) -> None:
    regressor.save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")

    assert type(loaded) is TabTextRegressor
    assert np.array_equal(loaded.predict(frame), regressor.predict(frame))
    bounds = loaded.predict_interval(frame), regressor.predict_interval(frame)
    assert np.array_equal(*bounds)
    assert loaded.history_ == regressor.history_
    assert loaded.get_params()["language_model"] is None


def test_a_vocabulary_of_another_model_is_refused(
    regressor: TabTextRegressor, frame: pd.DataFrame, tmp_path: Path
) -> None:
    regressor.save(tmp_path / "model")
    other = TabTextRegressor(**QUICK | {"min_frequency": 1, "epochs": 1})
    other.fit(frame, target="rating").save(tmp_path / "other")
    text = tmp_path / "model" / "preprocessor" / "text"
    for file in text.iterdir():
        file.write_bytes((tmp_path / "other" / "preprocessor" / "text" / file.name).read_bytes())

    with pytest.raises(ArtifactError, match="is of another model"):
        tabtext.load(tmp_path / "model")


def test_every_text_of_a_row_is_explained_word_by_word(
    classifier: TabTextClassifier, frame: pd.DataFrame
) -> None:
    row = frame[frame["review"].notna()].iloc[[0]]

    explained = classifier.explain(row, output="praise")

    assert list(explained) == ["review", "second"]
    review = explained["review"]
    assert review.output == "praise"
    assert len(review.tokens) == len(review.contributions)
    assert review.contributions.any()
    assert review.tokens[:4] == ("xxbos", "xxmaj", "the", "xxmaj")
    assert review.restore(review.tokens).startswith("The Rock is destined to be the")
    probability = classifier.predict_proba(row)[0, 1]
    assert review.predicted == pytest.approx(probability)


def test_the_gradient_agrees_with_occlusion_about_a_word(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    row = frame[frame["review"].notna()].iloc[0].to_dict()

    gradient = regressor.explain(row)["review"].contributions
    occlusion = regressor.explain(row, method="occlusion")["review"].contributions

    assert np.corrcoef(gradient, occlusion)[0, 1] > 0.5


def test_a_missing_text_has_no_tokens_to_explain(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    explained = regressor.explain(frame[frame["review"].isna()].iloc[[0]])

    assert explained["review"].tokens == ()
    assert len(explained["review"].contributions) == 0
    assert len(explained["second"].tokens) > 2


def test_one_row_is_explained_at_a_time(regressor: TabTextRegressor, frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="one row is explained at a time, however: 240"):
        regressor.explain(frame)


def test_importance_covers_texts_and_columns(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    importance = regressor.feature_importance(frame, n_repeats=2)

    assert set(importance.index) == set(regressor.feature_names_in_)
    assert importance.loc["review", "importance"] != 0.0


def test_embeddings_are_of_categories_and_of_words(regressor: TabTextRegressor) -> None:
    cinemas, words = regressor.embeddings("cinema"), regressor.embeddings("review")

    assert cinemas.index.tolist() == ["(missing)", "(unseen)", "Astor", "Lux", "Rex"]
    assert "film" in words.index
    assert words.shape[1] == 16
    with pytest.raises(ParameterError, match="'words' is not a categorical column"):
        regressor.embeddings("words")


def test_a_role_makes_short_texts_readable_and_named_columns_exclude_others(
    frame: pd.DataFrame,
) -> None:
    by_role = TabTextRegressor(**QUICK | {"epochs": 1}, roles={"cinema": "text"})
    by_name = TabTextRegressor(**QUICK | {"epochs": 1}, text_columns=["second"])

    by_role.fit(frame, target="rating")
    by_name.fit(frame, target="rating")

    assert by_role.preprocessor_.text_columns == ("review", "second", "cinema")
    assert by_name.preprocessor_.text_columns == ("second",)


def test_folds_share_the_encoder_and_judge_all_rows(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = TabTextRegressor(**QUICK, n_folds=2).fit(frame, target="rating")

    assert isinstance(model.model_.fused, FusedEnsemble)
    assert len(model.model_.encoders) == 1
    assert model.out_of_fold_predictions_.shape == (240,)
    assert list(model.histories_) == ["fold 1", "fold 2"]
    model.save(tmp_path / "model")
    loaded = tabtext.load(tmp_path / "model")
    assert np.array_equal(loaded.predict(frame), model.predict(frame))


def test_snapshots_predict_by_their_mean(frame: pd.DataFrame) -> None:
    settings = QUICK | {"snapshots": True, "schedule": "sgdr_equal", "averaging": None}
    model = TabTextRegressor(**settings).fit(frame, target="rating")

    assert len(model.snapshots_) == 2
    assert model.predict(frame).shape == (240,)


def test_outliers_are_pruned_and_logarithms_undone(frame: pd.DataFrame) -> None:
    prices = frame.assign(price=np.exp(frame["rating"])).drop(columns="rating")
    model = TabTextRegressor(**QUICK, prune=["price < 20"], target_transform="log")

    model.fit(prices, target="price")

    assert model.pruning_ is not None
    assert model.card_["rows"]["pruned"] == model.pruning_.removed > 0
    assert (model.predict(prices) > 0).all()


def test_the_card_says_what_was_read(regressor: TabTextRegressor, tmp_path: Path) -> None:
    regressor.save(tmp_path / "model")

    config = read_config(tmp_path / "model")

    recipe = config["card"]["recipe"]
    assert recipe["text_columns"] == ["review", "second"]
    assert recipe["max_tokens"] == 256
    assert config["card"]["tokens"]["train"] > 1000
    assert config["card"]["missing"]["review"] == pytest.approx(0.1, abs=0.06)
    assert {"spacy", "torch"} <= set(config["card"]["versions"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "mlp"}, "network='mlp' is for tables without texts"),
        ({"direction": "backward"}, "texts in tables are read forward"),
        ({"max_tokens": 2}, "max_tokens=2"),
        ({"text_dropout": 1.0}, "text_dropout"),
        ({"unfrozen_epochs": 1, "n_folds": 2}, "set unfrozen_epochs=0 to let them share one"),
        ({"unfreezing": "none"}, "unfreezing='none'"),
        ({"text_columns": ["rating"]}, "'rating' is the target"),
        ({"text_columns": "second", "exclude": ["second"]}, "in text_columns and in exclude"),
        (
            {"text_columns": "second", "roles": {"second": "categorical"}},
            "in text_columns, and roles make it categorical",
        ),
    ],
)
def test_parameters_are_checked_before_the_work(
    frame: pd.DataFrame, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        TabTextRegressor(**QUICK | settings).fit(frame, target="rating")


def test_a_column_of_text_that_turned_into_numbers_is_refused(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    with pytest.raises(ColumnTypeError, match="column 'review' holds double, no text"):
        regressor.predict(frame.assign(review=1.5))


def test_several_labels_and_weights_of_rows_are_learned(frame: pd.DataFrame) -> None:
    labels = pd.DataFrame({"praised": frame["rating"] > 0, "strong": frame["rating"].abs() > 2})
    features = frame.drop(columns="rating")
    model = TabTextClassifier(**QUICK)

    model.fit(features, labels, sample_weight=np.linspace(0, 1, len(frame)))

    assert model.predict_proba(features).shape == (240, 2)
    assert model.explain(features.iloc[[0]], output="strong")["second"].output == "strong"


def test_reading_texts_tells_how_far_it_is(
    regressor: TabTextRegressor, frame: pd.DataFrame
) -> None:
    texts = regressor.preprocessor_.transform(frame).texts
    told: list[tuple[str, int, int | None]] = []

    with watching(lambda *step: told.append(step)):
        pooled_texts([regressor.model_.encoder_of(0)], texts)

    there = int(frame[["review", "second"]].notna().sum().sum())
    assert told[-1] == ("reading texts", there, there)
