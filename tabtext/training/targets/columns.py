"""Target columns of a table as labels or as numbers."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tabtext.errors import ColumnTypeError, DataError

__all__ = ["in_type", "read_labels", "read_numbers", "rows_with_target"]


def rows_with_target(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows have a value, neither null nor NaN, in every column.

    Examples
    --------
    >>> rows_with_target(pa.table({"Sales": [1.0, None, float("nan")]}))
    array([ True, False, False])
    """
    present = np.ones(table.num_rows, bool)
    for column in table.columns:
        present &= np.asarray(pc.is_valid(column))
        if pa.types.is_floating(column.type):
            present &= ~np.asarray(pc.fill_null(pc.is_nan(column), True))
    return present


def read_labels(table: pa.Table, name: str) -> pa.Array:
    """A target column as text, int64, double or bool."""
    column = table.column(name).combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return column
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    raise ColumnTypeError(f"target {name!r} holds {kind}; classes are text, numbers or booleans")


def in_type(values: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    """Labels in the type that the classes have."""
    if values.type == kind or values.null_count == len(values):
        return values.cast(kind)
    if pa.types.is_string(values.type) or pa.types.is_string(kind):
        raise ColumnTypeError(
            f"target {name!r} holds {values.type}, such as {values.drop_null()[0].as_py()!r}, and "
            f"held {kind} at the fit"
        )
    if pa.types.is_boolean(kind):
        _require_zero_or_one(values, name)
    try:
        # By way of doubles: 1, 1.0 and True are the same class.
        return values.cast(pa.float64()).cast(kind)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"target {name!r} has values that are no class of the fit: {error}"
        ) from error


def _require_zero_or_one(values: pa.Array, name: str) -> None:
    """Refuse numbers that Arrow would take for True because they are not 0."""
    numbers = np.asarray(values.cast(pa.float64()).fill_null(0.0))
    wrong = ~np.isin(numbers, (0.0, 1.0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"target {name!r} is {values[row].as_py()!r} in row {row} ({int(wrong.sum())} such "
            "rows), which is none of the classes of the fit: False, True. Give booleans, or 0 and 1"
        )


def read_numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A target column as float64, with NaN for missing values."""
    column = table.column(name).combine_chunks()
    kind = column.type
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        shown = f", such as {column[0].as_py()!r}" if len(column) else ""
        raise ColumnTypeError(f"target {name!r} holds {kind}{shown}, but numbers are needed")
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(float("nan")))
