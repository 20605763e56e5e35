"""Arrow arrays in the two forms that the kernels read: positions among values, and floats.

A categorical column becomes ``Indexed``: every row is a small whole number, a position in a short
array of values, so that whatever has to be found out about a value is found out once and not once
per row. A continuous column becomes a NumPy array of floats with NaN for missing values.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tabtext.errors import ColumnTypeError

__all__ = ["Indexed", "as_floats"]

_WIDEST_RANGE = 1 << 18
"""Whole numbers that span less than this are their own positions; others are hashed first."""


@dataclass(frozen=True)
class Indexed:
    """A column as positions in an array of values.

    Parameters
    ----------
    indices : ndarray of integers, shape (rows,)
        Position of each row's value, plus ``offset``.
    offset : int
        What to subtract from ``indices``.
    values : pyarrow.Array
        The values: strings, int64, double or bool, in any order. Some may not occur. A missing
        value is a null among them.
    n_missing : int
        How many rows are missing.

    Examples
    --------
    >>> column = Indexed.of(pa.array(["b", None, "b", "a"]), "State")
    >>> column.values.to_pylist(), column.indices - column.offset
    (['b', 'a', None], array([0, 2, 0, 1], dtype=int32))
    """

    indices: NDArray[np.integer[Any]]
    offset: int
    values: pa.Array
    n_missing: int

    @classmethod
    def of(cls, column: pa.Array, name: str) -> Self:
        """Index one column; ``name`` is for messages.

        Raises
        ------
        ColumnTypeError
            If the column holds lists, structures or bytes.
        """
        kind = column.type
        _require_labels(kind, name)
        if pa.types.is_null(kind):
            return cls(np.zeros(len(column), np.uint8), 0, pa.nulls(1, pa.string()), len(column))
        if pa.types.is_dictionary(kind):
            return cls._of_dictionary(column)
        if pa.types.is_boolean(kind):
            values = pa.array([False, True, None])
            return cls(_filled(column.cast(pa.uint8()), 2), 0, values, column.null_count)
        if pa.types.is_integer(kind) and len(column) > column.null_count:
            bounds = pc.min_max(column).as_py()
            if bounds["max"] - bounds["min"] < _WIDEST_RANGE:
                return cls._of_small_integers(column, bounds["min"], bounds["max"])
        if pa.types.is_floating(kind):
            column = pc.if_else(pc.is_nan(column), None, column)
        return cls._of_dictionary(column.dictionary_encode())

    @classmethod
    def _of_small_integers(cls, column: pa.Array, low: int, high: int) -> Self:
        values = pa.array(np.arange(low, high + 1, dtype=np.int64))
        if column.null_count:
            values = pa.concat_arrays([values, pa.nulls(1, pa.int64())])
            column = column.cast(pa.int64())  # where high + 1 surely fits
        return cls(_filled(column, high + 1), low, values, column.null_count)

    @classmethod
    def _of_dictionary(cls, column: pa.DictionaryArray) -> Self:
        values = _canonical(column.dictionary)
        indices, n_missing = column.indices, column.null_count
        if n_missing:
            missing = len(values)
            values = pa.concat_arrays([values, pa.nulls(1, values.type)])
            narrow = indices.type.to_pandas_dtype()
            if missing > np.iinfo(narrow).max:
                indices = indices.cast(pa.int64())
            indices = _filled(indices, missing)
        elif values.null_count:  # a null in the dictionary itself
            n_missing = int(pc.sum(pc.is_null(column.dictionary.take(indices))).as_py() or 0)
        return cls(np.asarray(indices), 0, values, n_missing)


def as_floats(column: pa.Array, name: str) -> NDArray[np.floating[Any]]:
    """Return numbers as float64 (float32 stays) with NaN for missing values, copied only if needed.

    Whole numbers beyond 2**53 lose their last digits, as in every float.

    Raises
    ------
    ColumnTypeError
        If the column holds no numbers; the message shows a value.

    Examples
    --------
    >>> as_floats(pa.array([1, None]), "Distance")
    array([ 1., nan])
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        example = column.drop_null()[:1].to_pylist()
        shown = f", for example {example[0]!r}" if example else ""
        raise ColumnTypeError(
            f"column {name!r} is continuous and holds {kind}{shown}; convert it, for example with "
            f"pandas.to_numeric(df[{name!r}])"
        )
    if not (pa.types.is_float32(kind) or pa.types.is_float64(kind)):
        column = column.cast(pa.float64(), safe=False)
    if column.null_count:
        column = column.fill_null(float("nan"))
    floats: NDArray[np.floating[Any]] = np.asarray(column)
    return floats


def _filled(column: pa.Array, missing: int) -> NDArray[np.integer[Any]]:
    """The column's numbers, with ``missing`` where one is missing."""
    if column.null_count:
        column = column.fill_null(missing)
    return np.asarray(column)


def _require_labels(dtype: pa.DataType, name: str) -> None:
    """Raise for types whose values cannot be told apart as labels."""
    kind = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise ColumnTypeError(
            f"column {name!r} holds {kind}, which cannot be categories; turn it into text or "
            f"numbers, or leave it out with exclude=[{name!r}]"
        )


def _canonical(values: pa.Array) -> pa.Array:
    """Values in one of four types: strings, int64, double, bool; dates and times become strings."""
    kind = values.type
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return values
    if pa.types.is_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values.cast(pa.float64()))
        return pc.add(values, 0.0)  # -0.0 and 0.0 are one category
    return values.cast(pa.string())
