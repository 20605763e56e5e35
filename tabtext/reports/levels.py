"""The most frequent values of a column of categories."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Levels", "most_frequent"]

MISSING = "(missing)"
"""How a missing value is called."""


@dataclass(frozen=True)
class Levels:
    """Values of a column, the most frequent first.

    Parameters
    ----------
    values : pyarrow.Array
        As the column holds them; null stands for missing.
    counts : ndarray of int64
        Rows of each.
    n_others : int
        Rows of all other values.
    n_distinct : int
        How many values there are, a missing one included.
    """

    values: pa.Array
    counts: NDArray[np.int64]
    n_others: int
    n_distinct: int

    @property
    def names(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(MISSING if v is None else str(v) for v in self.values.to_pylist())


def most_frequent(values: pa.ChunkedArray, n_levels: int) -> Levels:
    """Count the values of a column.

    Parameters
    ----------
    values : pyarrow.ChunkedArray
        Texts, numbers, booleans or dictionaries.
    n_levels : int
        How many are returned; equally frequent ones in the order in which they come.

    Examples
    --------
    >>> most_frequent(pa.chunked_array([["EWR", None, "JFK", "EWR"]]), 2).names
    ('EWR', '(missing)')
    """
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    counted = pc.value_counts(values)
    found = counted.field("values")
    counts = counted.field("counts").to_numpy()
    order = np.argsort(-counts, kind="stable")[:n_levels]
    return Levels(
        found.take(pa.array(order)),
        counts[order],
        int(counts.sum() - counts[order].sum()),
        len(counts),
    )
