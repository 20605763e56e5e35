"""Compiled loops over documents that lie end to end: number, gather and turn them round.

A document is ``ids[offsets[i]:offsets[i + 1]]``. Every kernel releases the GIL, reads each token
once and writes it once; arrays are allocated by the caller and may be mapped from a file.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from tabtext.text.special_tokens import BEGIN_ID, END_ID, SPECIAL_TOKENS, UNKNOWN_ID

__all__ = [
    "count_codes",
    "count_words",
    "gather_documents",
    "reverse_documents",
    "turned_part",
    "write_ids",
]

N_SPECIAL = len(SPECIAL_TOKENS)

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
def turned_part(ids: Integers, begin: int, end: int, backward: bool) -> tuple[int, int]:
    """Return between which places of a document a model that goes backwards reads from the end.

    These are all but ``xxbos`` at its begin and ``xxeos`` at its end, which begin and end the
    reading either way; for one that goes forward there are none. What is read at a place ``low <=
    place < high`` is ``ids[low + high - 1 - place]``, elsewhere ``ids[place]``. In plain Python::

        if not backward:
            return begin, begin
        document = list(ids[begin:end])
        low = begin + (document[:1] == [BEGIN_ID])
        return low, end - (document[low - begin :][-1:] == [END_ID])
    """
    if not backward:
        return begin, begin
    if begin < end and ids[begin] == BEGIN_ID:
        begin += 1
    if begin < end and ids[end - 1] == END_ID:
        end -= 1
    return begin, end


@njit(nogil=True, cache=True)
def reverse_documents(ids: Integers, offsets: Integers, out: Integers) -> None:
    """Write every document turned round, but for its ``xxbos`` and ``xxeos``.

    In plain Python, for every ``i``::

        document = list(ids[offsets[i] : offsets[i + 1]])
        begin = document[:1] if document[:1] == [BEGIN_ID] else []
        end = document[-1:] if document[-1:] == [END_ID] else []
        middle = document[len(begin) : len(document) - len(end)]
        out[offsets[i] : offsets[i + 1]] = begin + middle[::-1] + end
    """
    for row in range(len(offsets) - 1):
        low, high = turned_part(ids, offsets[row], offsets[row + 1], True)
        for place in range(offsets[row], offsets[row + 1]):
            out[place] = ids[low + high - 1 - place if low <= place < high else place]


@njit(nogil=True, cache=True)
def count_codes(codes: Integers, counts: Integers) -> None:
    """Add how often every code occurs: ``for code in codes: counts[code] += 1``."""
    for code in codes:
        counts[code] += 1


@njit(nogil=True, cache=True)
def count_words(ids: Integers, begins: Integers, lengths: Integers) -> tuple[int, int]:
    """Return how many words there are in some documents, and how many of them are unknown.

    All tokens but the marks are words. In plain Python::

        ids = [i for b, n in zip(begins, lengths) for i in ids[b : b + n]]
        n_unknown = ids.count(UNKNOWN_ID)
        return sum(i >= N_SPECIAL for i in ids) + n_unknown, n_unknown
    """
    n_known = n_unknown = 0
    for row in range(len(begins)):
        for place in range(begins[row], begins[row] + lengths[row]):
            n_unknown += ids[place] == UNKNOWN_ID
            n_known += ids[place] >= N_SPECIAL
    return n_known + n_unknown, n_unknown
