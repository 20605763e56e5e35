"""A table of one row as a mapping of plain values, where it is one of those that are easily read.

What is missing is a ``Gap``, which remembers what is known of the column's type: a gap in a column
of text is no number that is missing.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["Gap", "PlainRow", "PlainValue", "plain_row"]

PlainValue = str | int | float | bool | date
PlainRow = Mapping[str, "PlainValue | Gap"]

_LARGEST = 2**53


class Gap(Enum):
    """A missing value, by the type that its column has."""

    UNTYPED = "untyped"
    NUMBER = "number"
    TEXT = "text"
    DATE = "date"


def plain_row(data: Any) -> PlainRow | None:
    """Return the only row of a table; None unless it is one row of values that are all plain.

    Parameters
    ----------
    data : anything
        Read are a mapping of names to values, a list of one such mapping, and DataFrames (pandas,
        polars) and Arrow tables of one row.

    Returns
    -------
    mapping of str to str, int, float, bool, date, datetime or Gap, or None
        Dates and times have no timezone; numbers may be infinite, but are never NaN.

    Examples
    --------
    >>> plain_row({"State": "HE", "Sales": float("nan"), "Open": None})
    {'State': 'HE', 'Sales': <Gap.NUMBER: 'number'>, 'Open': <Gap.UNTYPED: 'untyped'>}
    >>> plain_row({"State": ["HE", "BY"]}) is None
    True
    """
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
        if not isinstance(data, Mapping):
            return None
    if isinstance(data, Mapping):
        return _checked(data, {})
    if type(data).__module__.split(".")[0] == "pandas":
        return _of_pandas(data)
    if isinstance(data, pa.RecordBatch | pa.Table):
        return _of_arrow(data)
    if hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns") and _length(data) == 1:
        return _of_stream(data)
    return None


def _of_pandas(frame: Any) -> PlainRow | None:
    if getattr(frame, "ndim", 0) != 2 or len(frame) != 1:
        return None
    # Much faster than a value after the other. Beside floats, whole numbers become floats, too.
    names, values = frame.columns.tolist(), frame.iloc[0].tolist()
    row = dict(zip(names, values, strict=True))
    if len(row) != len(names) or any(map(_is_inexact, values)):
        return None
    gaps = [name for name, value in row.items() if _is_gap(value)]
    return _checked(row, {name: _gap_in_pandas(frame[name].dtype, row[name]) for name in gaps})


def _of_stream(data: Any) -> PlainRow | None:
    try:
        table = pa.table(data)
    except pa.ArrowException:  # a type that Arrow does not know, such as 128-bit integers
        return None
    return _of_arrow(table)


def _of_arrow(table: pa.Table | pa.RecordBatch) -> PlainRow | None:
    if table.num_rows != 1:
        return None
    names = table.schema.names
    try:
        row = {name: column[0].as_py() for name, column in zip(names, table.columns, strict=True)}
    except (ValueError, OverflowError):  # a date beyond those of Python, or text that is no UTF-8
        return None
    if len(row) != len(names):
        return None
    gaps = [name for name, value in row.items() if value is None]
    return _checked(row, {name: _gap_in_arrow(table.schema.field(name).type) for name in gaps})


def _checked(row: Mapping[Any, Any], gaps: Mapping[str, Gap | None]) -> PlainRow | None:
    """The row with its gaps named; None if any value, also one that is not needed, is not plain."""
    found: dict[str, PlainValue | Gap] = {}
    for name, value in row.items():
        plain = gaps[name] if name in gaps else _plain(value)
        if plain is None or not isinstance(name, str):
            return None
        found[name] = plain
    return found


def _plain(value: Any) -> PlainValue | Gap | None:
    """A plain value, or the gap that it is in a column of nothing else; None if it is neither."""
    if isinstance(value, np.generic):
        if value.dtype.kind in "mM":  # an int to Python in some units, and no time in others
            return None
        value = value.item()
    kind = type(value)
    if kind is str:
        return value if value.isascii() or _can_be_encoded(value) else None
    if kind is float:
        return Gap.NUMBER if value != value else value
    if kind is bool:
        return bool(value)
    if kind is int:
        return value if -_LARGEST <= value <= _LARGEST else None
    if value is None:
        return Gap.UNTYPED
    if isinstance(value, datetime):
        return value if value.tzinfo is None and 1 <= value.year <= 9999 else None
    return value if kind is date else None


def _can_be_encoded(text: str) -> bool:
    """Whether it has no half of a surrogate pair, which no table can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_gap(value: Any) -> bool:
    """Whether this is None, NaN or NaT; others, as pandas.NA and arrays, cannot be asked."""
    if isinstance(value, float | np.generic | datetime):
        return bool(value != value)
    return value is None


def _is_inexact(value: Any) -> bool:
    """Whether this is a float that several whole numbers may have become."""
    return isinstance(value, float) and _LARGEST <= abs(value) < inf


def _gap_in_pandas(dtype: Any, value: Any) -> Gap | None:
    if hasattr(dtype, "categories"):
        dtype, value = dtype.categories.dtype, "of unknown type"
    if str(dtype) in ("str", "string"):
        return Gap.TEXT
    if dtype.kind in "fiub" and isinstance(dtype, np.dtype):
        return Gap.NUMBER
    if dtype.kind == "M":
        return Gap.DATE
    return Gap.UNTYPED if dtype.kind == "O" and value is None else None


def _gap_in_arrow(kind: pa.DataType) -> Gap | None:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_null(kind):
        return Gap.UNTYPED
    if types.is_integer(kind) or types.is_floating(kind):
        return Gap.NUMBER
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Gap.TEXT
    return Gap.DATE if types.is_date(kind) or types.is_timestamp(kind) else None


def _length(data: Any) -> int:
    return len(data) if hasattr(data, "__len__") else -1
