"""The compiled loop that collects the word sequences of documents laid end to end, as numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["collect_ngrams"]

Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def collect_ngrams(
    ids: Integers, offsets: Integers, longest: int, base: int, out: Integers, ends: Integers
) -> None:
    """Write the distinct n-grams of every document, ascending, and where those of each end.

    An n-gram of ids ``a, b, c`` is the number with the digits ``a + 1, b + 1, c + 1`` to ``base``,
    which is greater than all of them. In plain Python, for every ``i``::

        document = ids[offsets[i] : offsets[i + 1]]
        found = {number(document[j : j + n]) for n in range(1, longest + 1)
                 for j in range(len(document) - n + 1)}
        out[ends[i - 1] : ends[i]] = sorted(found)
    """
    written = 0
    for row in range(len(offsets) - 1):
        begin = written
        for place in range(offsets[row], offsets[row + 1]):
            number = 0
            for behind in range(place, min(place + longest, offsets[row + 1])):
                number = number * base + ids[behind] + 1
                out[written] = number
                written += 1
        found = np.sort(out[begin:written])
        written = begin
        for place in range(len(found)):
            if place == 0 or found[place] != found[place - 1]:
                out[written] = found[place]
                written += 1
        ends[row] = written
