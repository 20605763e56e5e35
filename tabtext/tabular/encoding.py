"""Rows to matrices: encoders applied to all columns of a table, a range of rows at a time.

A range is small enough for the processor's cache, because both matrices are row-major while
columns are read one after the other. Several ranges are encoded at once: the kernels release the
GIL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabtext.tabular.arrays import Indexed
from tabtext.tabular.encoders import CategoricalEncoder, ContinuousEncoder
from tabtext.tabular.prepared import Prepared, in_parallel

__all__ = ["Encoded", "code_type", "continuous_slots", "encode"]

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Encoded:
    """Rows as a network reads them.

    Parameters
    ----------
    categorical : ndarray of shape (rows, n_categorical), C-contiguous
        Codes in the smallest of uint8, int16 and int32 that holds them: 0 missing, 1 unseen.
    continuous : ndarray of shape (rows, n_continuous), dtype float32, C-contiguous
        Filled and scaled values, and 0/1 indicators of missing ones; never NaN or infinite.

    Examples
    --------
    >>> rows = Encoded(np.array([[2], [0]], np.uint8), np.array([[0.5], [-1.0]], np.float32))
    >>> len(rows), rows.take(np.array([1])).categorical.tolist()
    (2, [[0]])
    """

    categorical: NDArray[np.integer[Any]]
    continuous: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.categorical)

    def take(self, rows: NDArray[np.intp]) -> "Encoded":
        """The rows with these indices, in this order."""
        return Encoded(self.categorical[rows], self.continuous[rows])

    def side_by_side(self) -> NDArray[np.float32]:
        """Both matrices as one, codes first; float32 holds all codes below 16 million exactly."""
        codes = self.categorical.astype(np.float32)
        return np.concatenate([codes, self.continuous], axis=1)


def encode(
    prepared: Prepared,
    categorical: Sequence[CategoricalEncoder],
    continuous: Sequence[ContinuousEncoder],
) -> tuple[Encoded, NDArray[np.int64]]:
    """Encode all rows.

    Returns
    -------
    encoded : Encoded
        The two matrices.
    gaps : ndarray of int64, shape (len(continuous), 2)
        How many values of each continuous column were missing, and how many infinite.
    """
    n_rows = prepared.n_rows
    dtype = code_type(max((encoder.cardinality for encoder in categorical), default=0))
    columns = [prepared.categorical[encoder.name] for encoder in categorical]
    codes = [e.codes(c).astype(dtype) for e, c in zip(categorical, columns, strict=True)]
    numbers = [prepared.continuous[encoder.name] for encoder in continuous]
    slots = continuous_slots(continuous)
    code_matrix = np.empty((n_rows, len(categorical)), dtype)
    number_matrix = np.empty((n_rows, sum(map(len, slots))), np.float32)

    def encode_range(start: int) -> NDArray[np.int64]:
        rows = slice(start, min(start + _ROWS_AT_ONCE, n_rows))
        _write_codes(columns, codes, rows, code_matrix[rows])
        return _write_numbers(continuous, numbers, slots, rows, number_matrix[rows])

    gaps = np.zeros((len(continuous), 2), np.int64)
    for counted in in_parallel(encode_range, range(0, n_rows, _ROWS_AT_ONCE), n_rows):
        gaps += counted
    return Encoded(code_matrix, number_matrix), gaps


def continuous_slots(encoders: Sequence[ContinuousEncoder]) -> list[range]:
    """Return the columns of the continuous matrix that each encoder writes."""
    slots, start = [], 0
    for encoder in encoders:
        slots.append(range(start, start + 1 + encoder.indicator))
        start = slots[-1].stop
    return slots


def _write_codes(
    columns: Sequence[Indexed],
    codes: Sequence[NDArray[np.integer[Any]]],
    rows: slice,
    out: NDArray[np.integer[Any]],
) -> None:
    from tabtext.tabular.kernels.encoding import look_up

    for slot, (column, codes_of_values) in enumerate(zip(columns, codes, strict=True)):
        look_up(column.indices[rows], column.offset, codes_of_values, out[:, slot])


def _write_numbers(
    encoders: Sequence[ContinuousEncoder],
    columns: Sequence[NDArray[np.floating[Any]]],
    slots: Sequence[range],
    rows: slice,
    out: NDArray[np.float32],
) -> NDArray[np.int64]:
    nowhere = np.empty(0, np.float32)
    gaps = np.zeros((len(encoders), 2), np.int64)
    for index, (encoder, column, slot) in enumerate(zip(encoders, columns, slots, strict=True)):
        missing = out[:, slot[1]] if encoder.indicator else nowhere[:]
        gaps[index] = encoder.encode(column[rows], out[:, slot[0]], missing)
    return gaps


def code_type(cardinality: int) -> type[np.integer[Any]]:
    """Return the smallest integer type of torch that holds all codes of so many."""
    if cardinality <= 1 << 8:
        return np.uint8
    return np.int16 if cardinality <= 1 << 15 else np.int32
