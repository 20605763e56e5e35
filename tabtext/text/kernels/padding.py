"""The compiled loop that lays documents of any length side by side in one rectangle."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["fill_padded"]

Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def fill_padded(
    ids: Integers, offsets: Integers, rows: Integers, padding: int, out: Integers
) -> None:
    """Write each row's document, and padding behind it.

    In plain Python, for every ``i``::

        document = list(ids[offsets[rows[i]] : offsets[rows[i] + 1]])[:width]
        out[i] = document + [padding] * (width - len(document))
    """
    width = out.shape[1]
    for index in range(len(rows)):
        begin = offsets[rows[index]]
        length = min(offsets[rows[index] + 1] - begin, width)
        for position in range(length):
            out[index, position] = ids[begin + position]
        for position in range(length, width):
            out[index, position] = padding
