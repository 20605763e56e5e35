"""Compiled loops over documents that lie end to end: number, gather and turn them round.

A document is ``ids[offsets[i]:offsets[i + 1]]``. Every kernel releases the GIL, reads each token
once and writes it once; arrays are allocated by the caller and may be mapped from a file.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_codes", "gather_documents", "reverse_documents", "write_ids"]

Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def write_ids(
    codes: Integers, offsets: Integers, table: Integers, starts: Integers, out: Integers
) -> None:
    """Write the ids of every document's tokens behind ``starts``.

    In plain Python, for every ``i``::

        for place, code in enumerate(codes[offsets[i] : offsets[i + 1]], start=starts[i]):
            out[place] = table[code]
    """
    for row in range(len(starts)):
        shift = starts[row] - offsets[row]
        for position in range(offsets[row], offsets[row + 1]):
            out[position + shift] = table[codes[position]]


@njit(nogil=True, cache=True)
def gather_documents(ids: Integers, offsets: Integers, rows: Integers, out: Integers) -> None:
    """Write the documents ``rows`` end to end.

    In plain Python::

        out[:] = [token for i in rows for token in ids[offsets[i] : offsets[i + 1]]]
    """
    place = 0
    for row in rows:
        for position in range(offsets[row], offsets[row + 1]):
            out[place] = ids[position]
            place += 1


@njit(nogil=True, cache=True)
def reverse_documents(
    ids: Integers, offsets: Integers, first: int, last: int, out: Integers
) -> None:
    """Write every document turned round, but for ``first`` at its begin and ``last`` at its end.

    In plain Python, for every ``i``::

        document = list(ids[offsets[i] : offsets[i + 1]])
        begin = document[:1] if document[:1] == [first] else []
        end = document[-1:] if document[-1:] == [last] else []
        middle = document[len(begin) : len(document) - len(end)]
        out[offsets[i] : offsets[i + 1]] = begin + middle[::-1] + end
    """
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        if begin < end and ids[begin] == first:
            out[begin] = first
            begin += 1
        if begin < end and ids[end - 1] == last:
            end -= 1
            out[end] = last
        for position in range(begin, end):
            out[position] = ids[begin + end - 1 - position]


@njit(nogil=True, cache=True)
def count_codes(codes: Integers, counts: Integers) -> None:
    """Add how often every code occurs: ``for code in codes: counts[code] += 1``."""
    for code in codes:
        counts[code] += 1
