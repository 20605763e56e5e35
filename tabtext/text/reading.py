"""Anything that holds texts in, one ``pyarrow.Table`` of ``large_string`` columns out.

Texts come as a list, an array, a column, a table of any kind, or from files (see
``tabtext.text.files``). What is no text is refused with its row and value: a number that silently
became a word, or an object that became its ``repr``, would be learned from as if it were written.
"""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    ParameterError,
    TabTextWarning,
    UnknownColumnError,
    did_you_mean,
)
from tabtext.tables import as_table
from tabtext.text.files import SUFFIXES, TEXT, Undecodable, check_undecodable, read_text_file

__all__ = [
    "is_missing",
    "is_text",
    "read_texts",
    "refuse_single_text",
    "text_column",
    "warn_of_several",
]

_TEXT_TYPE = pa.large_string()
_HOW_TO_NAME = (
    "name the columns of text with text_columns=[...] (of read_texts and TextPreprocessor: "
    "columns=[...]; in the shell: --text-column)"
)
_KINDS_OF_TEXT = ("O", "S", "U", "T")
"""Of the dtypes of NumPy and pandas: objects, bytes, and two ways to hold strings."""


def read_texts(
    data: Any, *, columns: Sequence[str] | str | None = None, errors: Undecodable = "strict"
) -> pa.Table:
    """Return texts as a table, one row per document.

    Parameters
    ----------
    data : list, array, column, table, mapping of columns, or path
        Texts as a list, tuple or other iterable of ``str`` or ``bytes``, a NumPy array, a pandas,
        polars or pyarrow column; several columns of texts as a table of any kind; or the path of a
        CSV, Parquet, JSONL or .txt file or of a folder of .txt files.
    columns : sequence of str, optional
        The columns that hold the text, in this order. Default: all columns of strings; others are
        left out with a warning, and of a folder of files only the text is taken.
    errors : {"strict", "replace"}
        What to do with bytes that are no UTF-8, and with halves of surrogate pairs: refuse them,
        or put U+FFFD in their place.

    Returns
    -------
    pyarrow.Table
        ``large_string`` columns. Texts without a column's name (a list, a single column, a .txt
        file, a folder) are called ``text``, or as the one name in ``columns`` says. None, NaN and
        pandas' NA are null; an empty text is no null.

    Raises
    ------
    ColumnTypeError
        If a value is no text (the message names its row), a single text was passed, or no column
        holds texts.
    UnknownColumnError, ParameterError
        If a column that was asked for is not there or was asked for twice.
    DataError
        If bytes or characters cannot be decoded, columns differ in length, or nothing but the
        names of columns is there.
    MissingFileError, FileFormatError
        If a file is not there or cannot be read.

    Examples
    --------
    >>> read_texts(["good", None, ""]).to_pydict()
    {'text': ['good', None, '']}
    >>> read_texts({"title": ["A"], "body": ["B"]}, columns=["body"]).to_pydict()
    {'body': ['B']}
    >>> read_texts("good")
    Traceback (most recent call last):
    tabtext.errors.ColumnTypeError: 'good' is a single text; pass a list of texts, ['good'], or ...
    """
    check_undecodable(errors)
    asked = _asked(columns)
    if isinstance(data, str | bytes):
        refuse_single_text(data)
    if isinstance(data, str | os.PathLike):
        found, named = _columns_of_file(Path(data), asked or [], errors)
    else:
        found, named = _columns_of(data)
    if not named and asked and len(asked) == 1:
        found = {asked[0]: found[TEXT]}
    names = asked or (_text_columns(found) if named else [TEXT])
    for name in names:
        if name not in found:
            raise UnknownColumnError(
                f"column {name!r} is not in the data{did_you_mean(name, found)}. "
                f"Its columns: {', '.join(map(repr, found))}"
            )
    texts = {name: text_column(found[name], name, errors=errors) for name in names}
    lengths = {name: len(column) for name, column in texts.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns of text differ in length: {lengths}")
    return pa.table(texts)


def text_column(
    values: Any, name: str = TEXT, *, errors: Undecodable = "strict"
) -> pa.ChunkedArray:
    """Return one column of texts as ``large_string``; see ``read_texts``.

    Examples
    --------
    >>> text_column(["good", 3], "review")
    Traceback (most recent call last):
    tabtext.errors.ColumnTypeError: 'review', row 1: 3 is a number (int), no text. Convert ...
    """
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        array = _from_values(values, name, errors)
    elif values.null_count == len(values):  # of whatever type: pandas reads gaps alone as floats
        array = pa.nulls(len(values), _TEXT_TYPE)
    elif is_text(values.type):
        array = _from_arrow(values, name, errors)
    elif pa.types.is_dictionary(values.type):
        return text_column(values.cast(values.type.value_type), name, errors=errors)
    else:
        filled = values.drop_null()
        shown = f", for example {filled[0].as_py()!r}" if len(filled) else ""
        raise ColumnTypeError(
            f"column {name!r} holds {values.type}, no text{shown}. Convert it with astype(str), or "
            f"{_HOW_TO_NAME}"
        )
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array], _TEXT_TYPE)


# -- which columns ---------------------------------------------------------------------------------


def _asked(columns: Sequence[str] | str | None) -> list[str] | None:
    if columns is None:
        return None
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"columns must name one or more different columns, however: {names}")
    return names


def _columns_of_file(
    path: Path, asked: Sequence[str], errors: Undecodable
) -> tuple[dict[str, Any], bool]:
    """The columns of a file, and whether the file gives them names."""
    named = path.suffix.lower() != ".txt" and not path.is_dir()
    table = read_text_file(path, columns=asked if named else (), errors=errors)
    return dict(zip(table.column_names, table.columns, strict=True)), named


def _columns_of(data: Any) -> tuple[dict[str, Any], bool]:
    """The columns of any data as they are, by name, and whether the data gives them names."""
    if isinstance(data, Mapping):
        return {str(name): values for name, values in data.items()}, True
    pandas = type(data).__module__.split(".")[0] == "pandas"
    if pandas and hasattr(data, "columns"):
        names = [str(name) for name in data.columns]
        if len(set(names)) == len(names):  # else as_table says which come twice
            return {name: data.iloc[:, place] for place, name in enumerate(names)}, True
    elif pandas or isinstance(data, pa.Array | pa.ChunkedArray | list | tuple):
        return {TEXT: data}, False
    elif hasattr(data, "to_frame") and hasattr(data, "__arrow_c_stream__"):  # a polars column
        return {TEXT: pa.chunked_array(data)}, False
    elif isinstance(data, np.ndarray) and data.ndim == 1:
        return {TEXT: data}, False
    elif _is_iterable_of_texts(data):
        return {TEXT: list(data)}, False
    table = as_table(data)
    return dict(zip(table.column_names, table.columns, strict=True)), True


def _is_iterable_of_texts(data: Any) -> bool:
    """Whether this gives values one by one, and is neither a table nor without an order."""
    tables = (pa.Table, pa.RecordBatch, np.ndarray, Set)
    return (
        isinstance(data, Iterable)
        and not isinstance(data, tables)
        and not hasattr(data, "__arrow_c_stream__")
    )


def _text_columns(found: Mapping[str, Any]) -> list[str]:
    """Names of the columns that hold texts, with a warning for the others."""
    names = [name for name, values in found.items() if _looks_like_text(values)]
    if not names and found and not any(map(len, found.values())):
        raise DataError(f"the columns {', '.join(map(repr, found))} have no rows; give some texts")
    if not names:
        raise ColumnTypeError(
            f"none of the columns {', '.join(map(repr, found)) or '(there are none)'} holds texts"
        )
    warn_of_columns_left_out([name for name in found if name not in names])
    return names


def warn_of_columns_left_out(names: Sequence[str]) -> None:
    """Say which columns are not read, because they hold no text."""
    if names:
        warnings.warn(
            f"columns that hold no text are left out: {', '.join(map(repr, names))}; if they are "
            f"to be read, {_HOW_TO_NAME}",
            TabTextWarning,
            stacklevel=4,
        )


def warn_of_several(names: Sequence[str]) -> None:
    """Say which columns are read, where several are and nobody chose them.

    A label that was learned as a second text is easily overlooked.
    """
    if len(names) > 1:
        warnings.warn(
            f"{len(names)} columns of text are read: {', '.join(map(repr, names))}; if that is "
            f"too many, {_HOW_TO_NAME}",
            TabTextWarning,
            stacklevel=3,
        )


def _looks_like_text(values: Any) -> bool:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return is_text(values.type)
    dtype = getattr(values, "dtype", None)
    if dtype is not None and (str(dtype) == "category" or dtype.kind not in _KINDS_OF_TEXT):
        return False
    return isinstance(next((v for v in values if not is_missing(v)), None), str | bytes)


def is_text(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds texts: strings or bytes."""
    return dtype in (
        *(pa.string(), pa.large_string(), pa.string_view()),
        *(pa.binary(), pa.large_binary(), pa.binary_view()),
    )


# -- one column ------------------------------------------------------------------------------------


def _from_arrow(values: Any, name: str, errors: Undecodable) -> Any:
    """Cast a column of strings or bytes, whose content Arrow does not always check."""
    try:
        texts = values.cast(_TEXT_TYPE)
        texts.validate(full=True)
    except pa.ArrowInvalid:
        as_bytes = values.cast(pa.large_binary()).to_pylist()
        return _from_values(as_bytes, name, errors)
    return texts


def _from_values(values: Any, name: str, errors: Undecodable) -> pa.Array:
    """Convert Python objects; if Arrow does not want them, one by one to see which and why."""
    try:
        return pa.array(values, _TEXT_TYPE, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError):
        texts = [_text_of(value, row, name, errors) for row, value in enumerate(values)]
        return pa.array(texts, _TEXT_TYPE)


def _text_of(value: Any, row: int, name: str, errors: Undecodable) -> str | None:
    if is_missing(value):
        return None
    where = f"{name!r}, row {row}"
    remedy = "read_texts(texts, errors='replace') puts U+FFFD in its place"
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where}: byte {value[error.start]:#04x} at position {error.start} is no UTF-8; "
                f"decode it first, for example with .decode('latin-1'), or {remedy}"
            ) from error
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            if errors == "strict":
                raise DataError(
                    f"{where}: character {error.start} is {value[error.start]!a}, half of a pair; "
                    f"{remedy}"
                ) from error
            # Pairs that were taken apart are put together, single halves are replaced.
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value
    kind = type(value).__name__
    described = f"a number ({kind})" if isinstance(value, int | float | np.number) else f"a {kind}"
    raise ColumnTypeError(
        f"{where}: {value!r:.80} is {described}, no text. Convert it to str, or leave the row out"
    )


def is_missing(value: Any) -> bool:
    """Whether this is None, NaN or pandas' NA, which is neither equal nor unequal to itself."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def refuse_single_text(data: str | bytes) -> None:
    """Raise unless this is the path of something: a text alone would be cut into characters."""
    if isinstance(data, str) and (os.path.exists(data) or _names_a_file(data)):
        return
    shown = f"{data[:40]!r}{' ...' if len(data) > 40 else ''}"
    raise ColumnTypeError(
        f"{shown} is a single text; pass a list of texts, [{shown}], or the path of a file or "
        "folder that exists"
    )


def _names_a_file(text: str) -> bool:
    """Whether a missing file is the better explanation: ``reviews.csv`` is hardly a review."""
    return text.endswith(SUFFIXES) and len(text.split()) == 1
