"""What comes through the door of an estimator: texts, tables, targets, in all their forms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.exceptions import DataConversionWarning

from tabtext.errors import ColumnTypeError, DataError, UnknownColumnError
from tabtext.estimators import TabularClassifier, TabularRegressor, TextClassifier
from tabtext.estimators.inputs import read_labelled, read_sample
from tabtext.estimators.text_inputs import as_text_table, columns_of_fit
from tests.estimators.conftest import QUICK

TEXTS = ["a good film", "a bad film"] * 6
LABELS = ["pos", "neg"] * 6
TINY = {"epochs": 1, "embedding_width": 4, "hidden_width": 4, "verbose": 0, "min_frequency": 1}


@pytest.fixture(scope="module")
def of_reviews() -> TextClassifier:
    """Fitted on a frame whose column is not called ``text``."""
    return TextClassifier(**TINY).fit(pd.DataFrame(_columns()), target="label")


@pytest.fixture(scope="module")
def of_texts() -> TextClassifier:
    """Fitted on texts without a name."""
    return TextClassifier(**TINY).fit(pd.Series(TEXTS), pd.Series(LABELS, name="label"))


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a film", "word " * 2000, "nul \0"])
def test_a_single_text_is_refused_however_long_it_is(text: str) -> None:
    with pytest.raises(ColumnTypeError, match="is a single text"):
        columns_of_fit(text, ["text"])


@pytest.mark.parametrize(
    "given",
    [
        pa.chunked_array([["good"], ["bad"]]),
        pa.array(["good", "bad"]),
        pa.table({"text": pa.array(["good", "bad"], pa.string_view())}),
        pd.Series(["good", "bad"]).astype("category"),
        pd.DataFrame({"text": pd.Series(["good", "bad"]).astype("category")}),
    ],
)
def test_columns_and_tables_of_all_kinds_hold_the_same_texts(given: Any) -> None:
    table = as_text_table(given)

    assert table.schema.types[0] in (pa.string(), pa.large_string())
    assert table.to_pydict() == {"text": ["good", "bad"]}


def test_categories_are_learned_as_texts_are() -> None:
    frame = pd.DataFrame({"review": pd.Series(TEXTS).astype("category")})

    model = TextClassifier(**TINY).fit(frame, LABELS)

    assert "good" in model.preprocessor_.vocabulary_
    assert model.predict(frame).shape == (12,)


def test_texts_of_polars_are_learned() -> None:
    views = pa.table(
        {name: pa.array(column, pa.string_view()) for name, column in _columns().items()}
    )

    model = TextClassifier(**TINY).fit(views, target="label")

    assert model.predict(views).shape == (12,)


def test_categories_of_polars_are_learned() -> None:
    views = pa.table(
        {name: pa.array(column, pa.string_view()) for name, column in _columns().items()}
    )

    model = TabularClassifier(epochs=1, hidden=(4,), verbose=0).fit(views, target="label")

    assert model.predict(views).shape == (12,)


# -- tables ----------------------------------------------------------------------------------------


KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas, object": lambda frame: frame.astype({"State": object}),
    "pandas, str": lambda frame: frame.astype({"State": "str"}),
    "pandas, string[pyarrow]": lambda frame: frame.astype({"State": "string[pyarrow]"}),
    "pandas, string[python]": lambda frame: frame.astype({"State": "string[python]"}),
    "pandas, category": lambda frame: frame.astype({"State": "category"}),
    "pandas, all of Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, nullable": lambda frame: frame.convert_dtypes(dtype_backend="numpy_nullable"),
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "duckdb": lambda frame: duckdb.sql("select * from frame"),
}


@pytest.fixture(scope="module")
def shops_with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame.drop(columns="Date")[:200]
    return rows.assign(State=rows["State"].mask(rows.index % 7 == 0))


@pytest.fixture(scope="module")
def expected(shops_with_gaps: pd.DataFrame) -> np.ndarray:
    model = TabularRegressor(**QUICK).fit(shops_with_gaps, target="Sales")
    return model.predict(shops_with_gaps)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_fitted_and_predicted_the_same(
    kind: str, shops_with_gaps: pd.DataFrame, expected: np.ndarray
) -> None:
    given = KINDS[kind](shops_with_gaps)

    model = TabularRegressor(**QUICK).fit(given, target="Sales")

    np.testing.assert_array_equal(model.predict(given), expected)
    np.testing.assert_array_equal(model.predict(shops_with_gaps), expected)


def test_arrays_lists_and_arrays_of_objects_are_fitted_and_predicted_the_same(
    shops_with_gaps: pd.DataFrame,
) -> None:
    sales = shops_with_gaps["Sales"].to_numpy()
    array = shops_with_gaps[["Distance", "Promo"]].astype(float).to_numpy()
    kinds = [array, array.tolist(), array.astype(object), np.asfortranarray(array), list(array)]
    of_array = TabularRegressor(**QUICK).fit(array, sales)
    expected = of_array.predict(array)

    for given in kinds:
        np.testing.assert_array_equal(of_array.predict(given), expected)
        again = TabularRegressor(**QUICK).fit(given, sales.tolist())
        np.testing.assert_array_equal(again.predict(array), expected)


def test_rows_that_mix_texts_and_numbers_are_fitted_as_a_table_is(
    shops_with_gaps: pd.DataFrame,
) -> None:
    columns = shops_with_gaps[["State", "Distance"]]
    rows = [[s if isinstance(s, str) else None, d] for s, d in columns.itertuples(index=False)]
    sales = shops_with_gaps["Sales"].to_numpy()

    of_rows = TabularRegressor(**QUICK).fit(rows, sales)
    of_frame = TabularRegressor(**QUICK).fit(columns, sales)

    np.testing.assert_array_equal(of_rows.predict(rows), of_frame.predict(columns))


def test_an_array_must_have_the_columns_of_the_fit() -> None:
    array = np.random.default_rng(0).normal(size=(20, 3))
    model = TabularRegressor(**QUICK).fit(array, array[:, 0])

    for wrong in (array[:, :2], np.c_[array, array]):
        with pytest.raises(DataError, match="features, but TabularRegressor is expecting 3"):
            model.predict(wrong)
        with pytest.raises(DataError, match="features, but TabularRegressor is expecting 3"):
            model.score(wrong, array[:, 0])


def test_an_array_may_hold_the_target_or_not() -> None:
    array = np.random.default_rng(0).normal(size=(20, 4))
    model = TabularRegressor(**QUICK).fit(array, target="x3")

    np.testing.assert_array_equal(model.predict(array[:, :3]), model.predict(array))


# -- names of columns ------------------------------------------------------------------------------


def test_texts_without_a_name_are_judged_by_a_model_of_a_named_column(
    of_reviews: TextClassifier,
) -> None:
    expected = of_reviews.evaluate(pd.DataFrame(_columns()))

    assert of_reviews.evaluate(TEXTS, LABELS) == expected
    assert of_reviews.evaluate(pd.Series(TEXTS), LABELS) == expected
    assert of_reviews.score(TEXTS, LABELS) == expected["accuracy"]


def test_texts_without_a_name_validate_a_model_of_a_named_column() -> None:
    model = TextClassifier(**TINY)

    model.fit(pd.DataFrame({"review": TEXTS}), LABELS, validation=(TEXTS[:4], LABELS[:4]))

    assert model.card_["rows"]["valid"] == 4


def test_a_labelled_folder_is_read_by_a_model_of_a_named_column(
    of_reviews: TextClassifier, tmp_path: Path
) -> None:
    for number, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{number}.txt").write_text(text)

    assert of_reviews.predict(tmp_path).shape == (12,)
    found = of_reviews.evaluate(tmp_path)
    assert found == pytest.approx(of_reviews.evaluate(TEXTS, LABELS))


def test_a_model_of_texts_without_a_name_reads_the_only_column_of_text(
    of_texts: TextClassifier,
) -> None:
    frame = pd.DataFrame({"review": TEXTS, "stars": range(12)})

    assert of_texts.predict(frame).tolist() == of_texts.predict(TEXTS).tolist()
    assert of_texts.evaluate(pd.DataFrame(_columns())) == of_texts.evaluate(TEXTS, LABELS)


def test_a_column_of_another_name_is_not_taken_for_the_one_of_the_fit() -> None:
    with pytest.raises(UnknownColumnError, match="'review'"):
        columns_of_fit({"body": ["good"]}, ["review"])
    with pytest.raises(UnknownColumnError, match="'text'"):
        columns_of_fit({"title": ["good"], "body": ["bad"]}, ["text"])


def test_a_table_without_the_features_keeps_its_other_columns_for_the_message() -> None:
    sample = read_labelled({"y": [0], "other": [1]}, [1], None, targets=["y"], features=["feature"])

    assert sample.table.column_names == ["other", "y"]


# -- targets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [pd.date_range("2020-01-01", periods=2), pd.Index([1, 2]), pd.RangeIndex(2, name="label")],
)
def test_an_index_of_pandas_is_a_target(index: "pd.Index[Any]") -> None:
    sample = read_sample({"x": [1.0, 2.0]}, index)

    assert sample.targets == (index.name or "target",)
    assert sample.target_table.column(0).to_pylist() == index.tolist()


def test_a_column_vector_is_one_target_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        sample = read_sample({"x": [1.0, 2.0]}, np.array([[3.0], [4.0]]))

    assert sample.target_table.to_pydict() == {"target": [3.0, 4.0]}


def test_one_class_among_rows_that_weigh_is_refused() -> None:
    with pytest.raises(DataError, match="in every row that weighs more than 0, one class"):
        TabularClassifier(**QUICK).fit({"x": range(10)}, [0, 1] * 5, sample_weight=[0, 1] * 5)


def test_targets_in_views_can_be_split() -> None:
    sample = read_sample({"x": [1.0, 2.0]}, pa.array(["a", "b"], pa.string_view()))

    assert sample.take(np.array([1])).target_table.to_pydict() == {"target": ["b"]}


def _columns() -> dict[str, list[str]]:
    return {"review": TEXTS, "label": LABELS}
