"""Anything tabular in, one Arrow table out; and tables from and to files."""

from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    FileFormatError,
    MissingFileError,
    ParameterError,
    SaveError,
    UnknownColumnError,
)
from tabtext.tables import as_table, read_table, require_columns, require_rows, write_table

FRAME = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, np.nan, 2.5], "s": ["a", None, "c"]})


def rows(table: pa.Table) -> list[dict[str, Any]]:
    return [dict(row) for row in table.to_pylist()]


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.astype({"s": "object"}),
        FRAME.astype({"s": "category"}),
        FRAME.astype({"n": "Int64", "s": "string"}),
        FRAME.set_index(pd.Index([7, 8, 9])),
        pl.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME).to_batches()[0],
        pa.Table.from_pandas(FRAME).to_reader(),
        {"n": [1, 2, 3], "x": np.array([0.5, np.nan, 2.5]), "s": ["a", None, "c"]},
    ],
    ids=[
        "str", "object", "category", "nullable", "index", "polars", "table", "batch", "reader",
        "mapping",
    ],
)  # fmt: skip
def test_every_source_gives_the_same_table(data: Any) -> None:
    assert rows(as_table(data)) == [
        {"n": 1, "x": 0.5, "s": "a"},
        {"n": 2, "x": None, "s": None},
        {"n": 3, "x": 2.5, "s": "c"},
    ]


def test_a_duckdb_query_is_a_table() -> None:
    assert as_table(duckdb.sql("select 1 as a, 'b' as c")).to_pylist() == [{"a": 1, "c": "b"}]


def test_arrays_get_numbered_columns() -> None:
    assert as_table(np.array([[1, 2], [3, 4]])).to_pydict() == {"x0": [1, 3], "x1": [2, 4]}


def test_names_that_are_no_text_become_text() -> None:
    assert as_table(pd.DataFrame({0: [1], ("a", 1): [2]})).column_names == ["0", "('a', 1)"]


def test_floats_of_pandas_are_not_copied() -> None:
    values = np.arange(1000.0)
    frame = pd.DataFrame({"x": values}, copy=False)

    column = as_table(frame).column("x").chunk(0)

    assert np.shares_memory(np.asarray(column), frame["x"].to_numpy())


@pytest.mark.parametrize("data", [{"a": 1, "b": "x"}, [{"a": 1, "b": "x"}]])
def test_a_row_with_names_is_a_table_of_one_row(data: Any) -> None:
    assert as_table(data).to_pylist() == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("data", [3, [{"a": 1}, 3], None, "nothing"])
def test_what_is_no_table_is_refused(data: Any) -> None:
    with pytest.raises((ColumnTypeError, DataError)):
        as_table(data)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)])
def test_an_array_must_have_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="Reshape your data"):
        as_table(np.zeros(shape))


def test_a_list_of_rows_is_a_table() -> None:
    assert as_table([[1.5, 2], [3, None]]).to_pydict() == {"x0": [1.5, 3.0], "x1": [2, None]}
    assert (
        as_table([(1, 2.5), (3, 4.5)]).to_pydict()
        == as_table(np.array([[1, 2.5], [3, 4.5]])).to_pydict()
    )


def test_rows_of_numbers_and_texts_keep_the_type_of_each_column() -> None:
    table = as_table([["a", 1.5], ["b", 2.5]])

    assert [str(kind) for kind in table.schema.types] == ["string", "double"]


def test_what_numpy_reads_is_an_array() -> None:
    class Rows:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([[1.0, 2.0]])

    assert as_table(Rows()).to_pydict() == {"x0": [1.0], "x1": [2.0]}


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "dok_array"])
def test_sparse_matrices_are_refused(kind: str) -> None:
    with pytest.raises(ColumnTypeError, match=r"X is a sparse .*X\.toarray\(\)"):
        as_table(getattr(scipy.sparse, kind)(np.eye(3)), what="X")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 1), complex), "Complex data not supported"),
        (np.zeros((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\)"),
        ([[1, 2], [3]], "rows differ in length"),
    ],
)
def test_unusable_arrays_are_explained(array: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_table(array)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=[1, "1"]),
        pa.table([[1], [2]], names=["a", "a"]),
    ],
)
def test_two_columns_of_one_name_are_refused(data: Any) -> None:
    with pytest.raises(DataError, match="two columns called"):
        as_table(data)


def test_mixed_types_are_shown_with_the_remedy() -> None:
    frame = pd.DataFrame({"fine": [1, 2, 3], "mixed": pd.Series(["a", 2, None], dtype=object)})

    with pytest.raises(ColumnTypeError, match=r"'mixed' mixes types: 'a' \(str\) and 2 \(int\)"):
        as_table(frame)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_survives_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "deep" / f"table.{suffix}"
    table = as_table(FRAME)

    write_table(table, path)

    assert rows(read_table(path)) == rows(table)
    assert rows(as_table(str(path))) == rows(table)


def test_csv_gaps_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("s,x\na,1\n,NA\nNaN,\n")

    assert read_table(path).to_pydict() == {"s": ["a", None, None], "x": [1, None, None]}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MissingFileError, match=r"folder\.csv"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.parquet", b"a,b\n1,2\n"),
        ("empty.parquet", b""),
        ("empty.csv", b""),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n"),
        ("binary.csv", bytes(range(256)) * 4),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(FileFormatError, match=name):
        read_table(tmp_path / name)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.parquet"
    pq.write_table(pa.table({"x": np.arange(10_000)}), path)
    path.write_bytes(path.read_bytes()[:5000])

    with pytest.raises(FileFormatError, match=r"half\.parquet"):
        read_table(path)


def test_a_csv_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")

    with pytest.raises(DataError, match="two columns called 'a'"):
        read_table(tmp_path / "twice.csv")


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"\.csv or \.parquet"):
        read_table(tmp_path / "data.xlsx")
    with pytest.raises(ParameterError, match=r"\.csv or \.parquet"):
        write_table(as_table(FRAME), tmp_path / "data.xlsx")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_full_disk_leaves_the_older_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"table.{suffix}"
    write_table(pa.table({"x": [1]}), path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"pyarrow.{suffix}.write_{'csv' if suffix == 'csv' else 'table'}", full)
    with pytest.raises(SaveError, match="No space left"):
        write_table(pa.table({"x": [2]}), path)

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_needed_columns_and_rows() -> None:
    table = pa.table({"Store": [1]})

    require_columns(table, ["Store"])
    require_rows(table)
    with pytest.raises(UnknownColumnError, match="did you mean 'Store'"):
        require_columns(table, ["Stor"])
    with pytest.raises(DataError, match="1 rows; at least 2"):
        require_rows(table, 2)
    with pytest.raises(DataError, match="no columns"):
        require_rows(pa.table({}))


def test_sparse_columns_and_half_floats_are_read_as_numbers() -> None:
    frame = pd.DataFrame(
        {"s": pd.arrays.SparseArray([0, 1, 0]), "h": np.array([0.5, 1.5, np.nan], np.float16)}
    )

    table = as_table(frame)

    assert table.column("s").to_pylist() == [0, 1, 0]
    assert table.column("h").to_pylist()[:2] == [0.5, 1.5]


def test_views_become_types_that_arrow_computes_with() -> None:
    views = {
        "s": pa.array(["a", None], pa.string_view()),
        "b": pa.array([b"a", None], pa.binary_view()),
        "c": pa.DictionaryArray.from_arrays([0, 1], pa.array(["a", "b"], pa.string_view())),
    }

    table = as_table(pa.table(views))

    assert table.schema.types == [
        pa.large_string(),
        pa.large_binary(),
        pa.dictionary(pa.int64(), pa.large_string()),
    ]
    assert rows(table.take([0])) == [{"s": "a", "b": b"a", "c": "a"}]


@pytest.mark.parametrize("data", [partial(pd.DataFrame, dtype=object), dict])
def test_halves_of_surrogate_pairs_are_named_with_their_row(data: Any) -> None:
    with pytest.raises(DataError, match=r"'s', row 1: character 2 is '\\ud83d', half of a pair"):
        as_table(data({"n": [1, 2], "s": ["good", "ok\ud83d"]}))


def test_a_single_column_is_no_table() -> None:
    with pytest.raises(ColumnTypeError, match=r"X is a Series and no table.*to_frame"):
        as_table(pd.Series([1.0, 2.0]), what="X")


def test_a_row_taken_from_a_frame_is_no_table() -> None:
    row = pd.DataFrame({"State": ["HE"], "Sales": [5.0], "Day": pd.to_datetime(["2015-01-01"])})

    with pytest.raises(ColumnTypeError, match=r"X is a Series .* frame.iloc\[\[0\]\]"):
        as_table(row.iloc[0], what="X")


def test_texts_of_several_lines_survive_a_csv_file(tmp_path: Path) -> None:
    table = pa.table({"text": ["one\ntwo", "three"], "label": [1, 2]})
    write_table(table, tmp_path / "texts.csv")

    assert read_table(tmp_path / "texts.csv").to_pydict() == table.to_pydict()
