"""Anything tabular in, one ``pyarrow.Table`` out; and tables from and to files.

Arrow is the form in which every other module meets a table. Sources that already hold Arrow memory
(polars, pyarrow, duckdb, pandas 3 strings) come in without a copy.
"""

import os
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    FileFormatError,
    MissingFileError,
    ParameterError,
    SaveError,
    UnknownColumnError,
    did_you_mean,
)

__all__ = [
    "as_table",
    "is_array",
    "read_table",
    "require_columns",
    "require_places",
    "require_rows",
    "write_table",
]

_SUFFIXES = (".csv", ".parquet")
_UNCONVERTIBLE = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def as_table(data: Any, *, what: str = "data") -> pa.Table:
    """Return any kind of table as a ``pyarrow.Table``.

    Parameters
    ----------
    data : DataFrame, Table, stream, mapping, 2-D array, list of rows or path
        A pandas frame, a pyarrow table or record batch, anything with ``__arrow_c_stream__``
        (polars, duckdb ...), a mapping of column names to values, a 2-D array or a list of rows
        (whose columns are called x0, x1 ...), or the path of a CSV or Parquet file; or rows with
        names: a list of mappings, or one mapping of column names to single values.
    what : str
        What the caller calls the data, for messages.

    Returns
    -------
    pyarrow.Table
        The same columns, with distinct names.

    Raises
    ------
    ColumnTypeError
        If this is no table, is sparse, or a column mixes types.
    DataError
        If two columns have the same name; if an array has not two dimensions, no columns, or
        complex numbers.
    MissingFileError, FileFormatError
        If a file is not there or cannot be read.

    Examples
    --------
    >>> as_table({"Store": [1, 2], "State": ["HE", None]}).schema.names
    ['Store', 'State']
    >>> as_table([{"Store": 1, "State": "HE"}, {"Store": 2}]).to_pydict()
    {'Store': [1, 2], 'State': ['HE', None]}
    """
    if isinstance(data, str | os.PathLike):
        return read_table(Path(data))
    if isinstance(data, pa.Table):
        table = data
    elif isinstance(data, pa.RecordBatch):
        table = pa.Table.from_batches([data])
    elif _is_pandas(data):
        table = _from_pandas(data, what)
    elif hasattr(data, "__arrow_c_stream__"):
        table = _from_stream(data, what)
    elif hasattr(data, "toarray"):  # before mappings, since some are
        raise ColumnTypeError(
            f"{what} is a sparse {type(data).__name__}, which is not supported; give "
            f"{what}.toarray(), or a DataFrame"
        )
    elif isinstance(data, Mapping):
        table = _from_mapping(data)
    elif _has_named_rows(data):
        table = _from_rows(data)
    elif is_array(data):
        table = _from_array(_as_array(data, what), what)
    else:
        raise ColumnTypeError(
            f"{what} is a {type(data).__name__}; give a DataFrame (pandas, polars, pyarrow, "
            "duckdb), a mapping of columns, a 2-D array, a list of rows, or the path of a CSV or "
            "Parquet file"
        )
    _require_distinct_names(table.column_names, what)
    return _in_computable_types(table)


def is_array(data: Any) -> bool:
    """Whether this is an array or a list of rows, whose columns have places and no names.

    Examples
    --------
    >>> is_array([[1.0, 2.0]]), is_array({"x": [1.0]})
    (True, False)
    """
    if _has_named_rows(data):
        return False
    if isinstance(data, np.ndarray | list | tuple):
        return True
    return hasattr(data, "__array__") and not hasattr(data, "columns")


def read_table(path: str | Path) -> pa.Table:
    """Read a CSV or Parquet file.

    In CSV files, empty fields and ``NA``, ``NaN``, ``null`` are missing; types are inferred.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileFormatError
        If the content is not what the suffix says, or the suffix is another one.
    DataError
        If two columns have the same name.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise FileFormatError(f"{path}: tables are read from {' or '.join(_SUFFIXES)} files")
    if not path.is_file():
        raise MissingFileError(f"no such file: {path}")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except pa.ArrowInvalid as error:
        kind = path.suffix[1:].upper()
        raise FileFormatError(f"{path} is not a readable {kind} file: {error}") from error
    _require_distinct_names(table.column_names, str(path))
    return _in_computable_types(table)


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a CSV or Parquet file, whole or not at all.

    Raises
    ------
    ParameterError
        If the suffix is neither ``.csv`` nor ``.parquet``.
    SaveError
        If writing fails; nothing half-written is left, and an older file stays as it was.
    """
    import pyarrow.csv
    import pyarrow.parquet

    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ParameterError(f"{path}: tables are written to {' or '.join(_SUFFIXES)} files")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                if path.suffix.lower() == ".csv":
                    pyarrow.csv.write_csv(table, file)
                else:
                    pyarrow.parquet.write_table(table, file, compression="zstd")
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SaveError(f"{path} was not written: {error}; nothing half-written is left") from error


def require_columns(table: pa.Table, names: Iterable[str]) -> None:
    """Raise ``UnknownColumnError`` for the first name that is not a column of the table.

    Examples
    --------
    >>> require_columns(pa.table({"Store": [1]}), ["Store"])
    >>> require_columns(pa.table({"Store": [1]}), ["Stroe"])
    Traceback (most recent call last):
    tabtext.errors.UnknownColumnError: column 'Stroe' is not in the table (1 rows, 1 columns; ...
    """
    for name in names:
        if name not in table.column_names:
            hint = did_you_mean(name, table.column_names)
            raise UnknownColumnError(
                f"column {name!r} is not in the table ({table.num_rows} rows, "
                f"{table.num_columns} columns{hint})"
            )


def require_places(
    table: pa.Table, names: Collection[str], further: Collection[str], *, who: str
) -> None:
    """Raise ``DataError`` unless an array has as many columns as at the fit.

    What columns of an array are follows from their places alone, so that one more or one less is a
    mistake, where tables may have further columns.

    Parameters
    ----------
    table : pyarrow.Table
        What ``as_table`` made of the array.
    names : collection of str
        The columns of the fit; where none of them is in the table, it was no array.
    further : collection of str
        What else there may be, such as targets.
    who : str
        What expects them, for the message.

    Examples
    --------
    >>> require_places(as_table([[1.0, 2.0]]), ["x0", "x1"], [], who="Model")
    >>> require_places(as_table([[1.0]]), ["x0", "x1"], [], who="Model")
    Traceback (most recent call last):
    tabtext.errors.DataError: X has 1 features, but Model is expecting 2 features as input; ...
    """
    given = set(table.column_names)
    wrong = given - set(names) - set(further) or set(names) - given
    if wrong and not given.isdisjoint(names):
        raise DataError(
            f"X has {len(given)} features, but {who} is expecting {len(names)} features as input; "
            "columns of an array have no names, so give all of them in the order of the fit"
        )


def require_rows(table: pa.Table, minimum: int = 1, *, what: str = "data") -> None:
    """Raise ``DataError`` unless the table has this many rows and at least one column."""
    if table.num_columns == 0:
        raise DataError(f"{what} has no columns")
    if table.num_rows < minimum:
        raise DataError(f"{what} has {table.num_rows} rows; at least {minimum} needed")


def _is_pandas(data: Any) -> bool:
    """Whether this is a pandas frame, found out without importing pandas."""
    return type(data).__module__.split(".")[0] == "pandas" and hasattr(data, "columns")


def _from_pandas(frame: Any, what: str) -> pa.Table:
    names = [str(name) for name in frame.columns]
    _require_distinct_names(names, what)
    if list(frame.columns) != names:
        frame = frame.set_axis(names, axis="columns")
    sparse = [name for name in names if hasattr(frame[name].dtype, "fill_value")]
    if sparse:
        frame = frame.assign(**{name: frame[name].sparse.to_dense() for name in sparse})
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (*_UNCONVERTIBLE, UnicodeError):
        # Column by column, to name the one that does not convert.
        table = pa.table({name: _to_arrow(frame[name], name) for name in names})
    return table.replace_schema_metadata(None)


def _from_stream(data: Any, what: str) -> pa.Table:
    try:
        return pa.table(data)
    except (*_UNCONVERTIBLE, UnicodeError) as error:  # a single column is a stream, too
        raise ColumnTypeError(
            f"{what} is a {type(data).__name__} and no table: {error}. Give a DataFrame; for a "
            "single column, data.to_frame(); for a single row, frame.iloc[[0]] or its to_dict()"
        ) from error


def _in_computable_types(table: pa.Table) -> pa.Table:
    """Cast the columns of types that Arrow holds but computes little with."""
    for index, column in enumerate(table.schema):
        computable = _computable(column.type)
        if computable != column.type:
            table = table.set_column(index, column.name, table.column(index).cast(computable))
    return table


def _computable(kind: pa.DataType) -> pa.DataType:
    """The type to cast to; views are how polars hands over strings and bytes."""
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _computable(kind.value_type), kind.ordered)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    return kind


def _from_array(array: np.ndarray[Any, Any], what: str) -> pa.Table:
    if array.ndim != 2:
        raise DataError(
            f"{what} is an array of {array.ndim} dimensions; a table has two. "
            "Reshape your data: array.reshape(-1, 1) for one column, array.reshape(1, -1) for one "
            "row"
        )
    if array.shape[1] == 0:
        raise DataError(
            f"{what} has no columns: 0 feature(s) (shape={array.shape}) while a minimum of 1 is "
            "required."
        )
    if array.dtype.kind == "c":
        raise DataError(
            f"Complex data not supported: {what} holds {array.dtype}; give the real and the "
            "imaginary parts as columns of their own"
        )
    columns = range(array.shape[1])
    return pa.table({f"x{index}": _to_arrow(array[:, index], f"x{index}") for index in columns})


def _as_array(data: Any, what: str) -> np.ndarray[Any, Any]:
    """Rows as an array; of Python objects where they mix texts and numbers."""
    if isinstance(data, np.ndarray):
        return data
    try:
        array = np.asarray(data)
        # NumPy would make one text of all values.
        return np.asarray(data, dtype=object) if array.dtype.kind in "SU" else array
    except ValueError as error:
        raise DataError(f"{what} is no table, since its rows differ in length: {error}") from error


def _from_mapping(columns: Mapping[Any, Any]) -> pa.Table:
    """Columns by name; or one row, where there are only single values."""
    if columns and all(_is_single(value) for value in columns.values()):
        return _from_rows([columns])
    return pa.table({str(name): _to_arrow(values, name) for name, values in columns.items()})


def _from_rows(rows: list[Mapping[Any, Any]]) -> pa.Table:
    """Rows by the names of their values; one that a row lacks is missing."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({str(n): _to_arrow([row.get(n) for row in rows], n) for n in names})


def _has_named_rows(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(row, Mapping) for row in data)


def _is_single(value: Any) -> bool:
    return isinstance(value, str | bytes) or not hasattr(value, "__len__")


def _to_arrow(values: Any, name: Any) -> pa.Array | pa.ChunkedArray:
    """One column as Arrow, or an error that shows what does not fit."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    try:
        return pa.array(values, from_pandas=True)
    except UnicodeError as error:
        raise DataError(_explain_half_pair(values, name, error)) from error
    except (*_UNCONVERTIBLE, TypeError) as error:
        raise ColumnTypeError(_explain(values, name, error)) from error


def _explain(values: Any, name: Any, error: Exception) -> str:
    """Say which types a column mixes, with a value of each."""
    examples: dict[str, Any] = {}
    for value in values:
        if value is not None and value == value:  # NaN is not a type of its own
            examples.setdefault(type(value).__name__, value)
    if len(examples) < 2:
        return f"column {name!r} cannot be used: {error}"
    shown = " and ".join(f"{value!r} ({kind})" for kind, value in list(examples.items())[:2])
    return (
        f"column {name!r} mixes types: {shown}. Make them one type first, "
        f"for example df[{name!r}] = df[{name!r}].astype(str)"
    )


def _explain_half_pair(values: Any, name: Any, error: UnicodeError) -> str:
    """Say which text no file or Arrow table can hold: one with half of a surrogate pair."""
    for row, value in enumerate(values):
        half = _HALF_OF_A_PAIR.search(value) if isinstance(value, str) else None
        if half:
            return (
                f"column {name!r}, row {row}: character {half.start()} is {half[0]!a}, half of a "
                f"pair. Replace it, for example with df[{name!r}].str.encode('utf-8', 'replace')"
                ".str.decode('utf-8')"
            )
    return f"column {name!r} cannot be used: {error}"


def _require_distinct_names(names: list[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{what} has two columns called {name!r}; rename or drop one of them")
        seen.add(name)


def _read_csv(path: Path) -> pa.Table:
    import pyarrow.csv

    layout = pyarrow.csv.ParseOptions(newlines_in_values=True)  # texts have several lines
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    return pyarrow.csv.read_csv(path, parse_options=layout, convert_options=options)


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).replace_schema_metadata(None)
