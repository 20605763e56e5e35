"""Anything with texts in, one table of large strings out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    MissingFileError,
    ParameterError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.tables import write_table
from tabtext.text.reading import read_texts

TEXTS = ["A good film.", None, "", "映画 👍 עברית\x00\r\n"]


def dictionary_column(values: list[Any]) -> pa.Array:
    return pa.array(values).dictionary_encode()


SINGLE_COLUMNS: list[Callable[[list[Any]], Any]] = [
    list,
    tuple,
    iter,
    lambda values: (value for value in values),
    lambda values: np.array(values, object),
    pd.Series,
    lambda values: pd.Series(values, dtype="string"),
    lambda values: pd.Series(values, dtype="category"),
    lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.string())),
    lambda values: pd.Series(values, dtype=object, index=[9, 9, 1, 0]),
    pl.Series,
    pa.array,
    lambda values: pa.array(values, pa.large_string()),
    lambda values: pa.array(values, pa.string_view()),
    lambda values: pa.chunked_array([values[:1], values[1:]]),
    dictionary_column,
    lambda values: [value if value is None else value.encode() for value in values],
    lambda values: pa.array([None if value is None else value.encode() for value in values]),
]


@pytest.mark.parametrize("make", SINGLE_COLUMNS)
def test_texts_of_every_kind_become_one_column_called_text(
    make: Callable[[list[Any]], Any],
) -> None:
    table = read_texts(make(TEXTS))

    assert table.schema == pa.schema({"text": pa.large_string()})
    assert table["text"].to_pylist() == TEXTS


@pytest.mark.parametrize(
    "make",
    [
        dict,
        pd.DataFrame,
        pl.DataFrame,
        pa.table,
        lambda columns: pa.RecordBatch.from_pydict(columns),
        lambda columns: {name: pl.Series(values) for name, values in columns.items()},
        lambda columns: {name: pd.Series(values) for name, values in columns.items()},
    ],
)
def test_tables_of_every_kind_give_the_columns_asked_for_in_that_order(make: Any) -> None:
    table = make({"title": ["One", None], "stars": [1, 5], "body": ["a", "b"]})

    texts = read_texts(table, columns=["body", "title"])

    assert texts.to_pydict() == {"body": ["a", "b"], "title": ["One", None]}
    assert set(texts.schema.types) == {pa.large_string()}


@given(texts=st.lists(st.none() | st.text(), max_size=8))
def test_no_text_changes_on_its_way(texts: list[str | None]) -> None:
    assert read_texts(texts)["text"].to_pylist() == texts


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, np.float32("nan"), pd.NA])
def test_what_is_missing_is_null_whatever_it_is_called(missing: Any) -> None:
    for data in (["a", missing], pd.Series(["a", missing], dtype=object), {"text": ["a", missing]}):
        assert read_texts(data)["text"].to_pylist() == ["a", None]


def test_a_column_of_nothing_but_gaps_is_a_column_of_texts() -> None:
    assert read_texts([None, None])["text"].to_pylist() == [None, None]
    assert read_texts([])["text"].to_pylist() == []
    assert read_texts({"a": [None]}, columns=["a"])["a"].to_pylist() == [None]


# -- which columns ---------------------------------------------------------------------------------


def test_without_a_word_about_columns_those_of_strings_are_taken_and_others_named() -> None:
    frame = pd.DataFrame(
        {
            "title": ["One", "Two"],
            "stars": [1, 5],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02"]),
            "kind": pd.Series(["x", "y"], dtype="category"),
            "body": [None, "b"],
        }
    )

    with pytest.warns(TabTextWarning, match="no text are left out: 'stars', 'day', 'kind'"):
        texts = read_texts(frame)

    assert texts.column_names == ["title", "body"]


def test_a_category_column_is_text_if_asked_for() -> None:
    frame = pd.DataFrame({"kind": pd.Series(["x", None], dtype="category")})

    assert read_texts(frame, columns=["kind"]).to_pydict() == {"kind": ["x", None]}


def test_texts_without_a_name_take_the_one_that_is_asked_for() -> None:
    assert read_texts(["a"], columns=["review"]).to_pydict() == {"review": ["a"]}
    assert read_texts(["a"], columns="review").to_pydict() == {"review": ["a"]}


def test_a_column_that_is_not_there_is_named_with_a_suggestion() -> None:
    with pytest.raises(UnknownColumnError, match=r"'titel' .* did you mean 'title'.*'body'"):
        read_texts({"title": ["a"], "body": ["b"]}, columns=["titel"])
    with pytest.raises(UnknownColumnError, match="'title'"):
        read_texts(["a"], columns=["title", "body"])


@pytest.mark.parametrize("columns", [[], ["a", "a"]])
def test_columns_must_be_different_ones(columns: list[str]) -> None:
    with pytest.raises(ParameterError, match="columns must name one or more different columns"):
        read_texts({"a": ["b"]}, columns=columns)


def test_columns_of_one_length_are_needed() -> None:
    with pytest.raises(DataError, match=r"differ in length: .*'a': 1, 'b': 2"):
        read_texts({"a": ["x"], "b": ["x", "y"]})


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([["a", "b"]], columns=["text", "text"])

    with pytest.raises(DataError, match="two columns called 'text'"):
        read_texts(frame)


def test_a_table_without_texts_is_refused() -> None:
    with pytest.raises(ColumnTypeError, match="none of the columns 'a', 'b' holds texts"):
        read_texts({"a": [1], "b": [None]})
    with pytest.raises(ColumnTypeError, match="there are none"):
        read_texts({})


# -- what is no text -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["A good film.", "", "line one\nline two", "x" * 100_000, "a\0b"])
def test_a_single_text_is_not_cut_into_characters(text: str) -> None:
    with pytest.raises(ColumnTypeError, match="is a single text; pass a list of texts"):
        read_texts(text)


def test_a_single_text_of_bytes_is_refused_too() -> None:
    with pytest.raises(ColumnTypeError, match="b'good' is a single text"):
        read_texts(b"good")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"row 1: 3 is a number \(int\), no text"),
        (2.5, r"row 1: 2\.5 is a number \(float\)"),
        (np.int64(4), r"row 1: np\.int64\(4\) is a number \(int64\)"),
        (True, r"row 1: True is a number \(bool\)"),
        (["a"], r"row 1: \['a'\] is a list"),
        ({"text": "a"}, r"row 1: \{'text': 'a'\} is a dict"),
        (pd.Timestamp("2020-01-01"), r"row 1: Timestamp.* is a Timestamp"),
    ],
)
@pytest.mark.parametrize(
    "make", [list, lambda v: pd.Series(v, dtype=object), lambda v: {"text": v}]
)
def test_a_value_that_is_no_text_is_shown_with_its_row(value: Any, message: str, make: Any) -> None:
    with pytest.raises(ColumnTypeError, match=f"'text', {message}"):
        read_texts(make(["a", value, "b"]), columns=["text"])


@pytest.mark.parametrize(
    "column", [np.array([1, 2]), pd.Series([1, 2]), pl.Series([1, 2]), pa.array([1, 2])]
)
def test_a_column_of_numbers_is_refused(column: Any) -> None:
    with pytest.raises(ColumnTypeError, match=r"1.* no text|no text.* 1"):
        read_texts(column)


@pytest.mark.parametrize("data", [3, None, {"a", "b"}, object()])
def test_data_that_holds_no_rows_is_refused(data: Any) -> None:
    with pytest.raises(ColumnTypeError):
        read_texts(data)


def test_an_array_without_dimensions_is_refused() -> None:
    with pytest.raises(DataError, match="an array of 0 dimensions"):
        read_texts(np.array("a"))


# -- what cannot be decoded ------------------------------------------------------------------------


INVALID = b"caf\xe9 au lait"


@pytest.mark.parametrize(
    "data",
    [
        [b"good", INVALID],
        pd.Series([b"good", INVALID]),
        pa.array([b"good", INVALID]),
        pa.chunked_array([pa.array([b"good"]), pa.array([INVALID])]),
        # Arrow believes whoever says that a buffer is UTF-8.
        pa.array([b"good", INVALID], pa.large_binary()).view(pa.large_string()),
    ],
)
def test_bytes_that_are_no_utf8_are_shown_with_row_and_position(data: Any) -> None:
    with pytest.raises(DataError, match=r"'text', row 1: byte 0xe9 at position 3 .*replace"):
        read_texts(data)
    assert read_texts(data, errors="replace")["text"].to_pylist() == ["good", "caf� au lait"]


def test_halves_of_surrogate_pairs_are_refused_or_replaced() -> None:
    texts = ["good", "half \ud83d", "torn \ud83d\udc4d"]

    with pytest.raises(DataError, match=r"row 1: character 5 is '\\ud83d', half of a pair"):
        read_texts(texts)
    assert read_texts(texts, errors="replace")["text"].to_pylist() == ["good", "half �", "torn 👍"]
    with pytest.raises(DataError, match="row 1: character 5"):
        read_texts(pd.DataFrame({"text": texts}, dtype=object))


def test_another_treatment_of_errors_is_refused() -> None:
    with pytest.raises(ParameterError, match="errors='ignore' is not one of strict, replace"):
        read_texts(["a"], errors="ignore")  # type: ignore[arg-type]  # the mistake under test


def test_a_megabyte_of_text_is_one_text() -> None:
    text = "word " * 200_000

    assert read_texts([text])["text"].to_pylist() == [text]


# -- files -----------------------------------------------------------------------------------------


def test_a_path_is_read_as_a_string_too(tmp_path: Path) -> None:
    write_table(pa.table({"review": ["a", None], "stars": [1, 5]}), tmp_path / "reviews.parquet")

    texts = read_texts(str(tmp_path / "reviews.parquet"), columns=["review"])

    assert texts.to_pydict() == {"review": ["a", None]}


def test_numbers_in_a_text_column_of_a_file_are_texts(tmp_path: Path) -> None:
    (tmp_path / "titles.csv").write_text("title,year\n1984,1949\n007,2000\n")

    assert read_texts(tmp_path / "titles.csv", columns=["title"]).to_pydict() == {
        "title": ["1984", "007"]
    }


def test_of_a_folder_of_classes_the_text_is_taken(tmp_path: Path) -> None:
    for label in ("pos", "neg"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(f"{label} text")

    assert read_texts(tmp_path).to_pydict() == {"text": ["neg text", "pos text"]}
    assert read_texts(tmp_path, columns=["review"]).column_names == ["review"]


@pytest.mark.parametrize("name", ["reviews.csv", "missing/reviews.txt"])
def test_a_file_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(MissingFileError, match=f"no such file: {name}"):
        read_texts(name)
