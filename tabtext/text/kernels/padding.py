"""The compiled loop that lays documents of any length side by side in one rectangle."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from tabtext.text.kernels.documents import turned_part

__all__ = ["fill_padded"]

Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def fill_padded(
    ids: Integers,
    begins: Integers,
    lengths: Integers,
    rows: Integers,
    backward: bool,
    padding: int,
    out: Integers,
) -> None:
    """Write each row's document as it is read, and padding behind it.

    In plain Python, for every ``i``, where ``read`` turns a document round as ``reverse_documents``
    does, if it is read backward::

        begin = begins[rows[i]]
        document = read(list(ids[begin : begin + lengths[rows[i]]]))[:width]
        out[i] = document + [padding] * (width - len(document))
    """
    width = out.shape[1]
    for index in range(len(rows)):
        begin = begins[rows[index]]
        low, high = turned_part(ids, begin, begin + lengths[rows[index]], backward)
        length = min(lengths[rows[index]], width)
        for position in range(length):
            place = begin + position
            out[index, position] = ids[low + high - 1 - place if low <= place < high else place]
        for position in range(length, width):
            out[index, position] = padding
