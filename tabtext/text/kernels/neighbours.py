"""Compiled loops that count which words stand near which, over documents that lie end to end.

Document ``i`` is ``ids[begins[i]:begins[i] + lengths[i]]``; a window ends where its document does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_neighbours", "sum_neighbours"]

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


@njit(nogil=True, cache=True)
def count_neighbours(
    ids: Integers,
    begins: Integers,
    lengths: Integers,
    numbers: Integers,
    weights: Floats,
    first: int,
    out: Floats,
) -> None:
    """Add to ``out[i, j]`` how often word number ``j`` stands near word number ``first + i``.

    A word's number is ``numbers[id]``; only one that is never near another may have none, -1. Two
    words that are ``distance`` apart count ``weights[distance - 1]``, and nothing if there is no
    such weight. In plain Python::

        for b, n in zip(begins, lengths):
            words = numbers[ids[b : b + n]]
            for (i, word), (j, other) in permutations(enumerate(words), 2):
                if abs(i - j) <= len(weights) and first <= word < first + len(out):
                    out[word - first, other] += weights[abs(i - j) - 1]
    """
    reach = len(weights)
    n_words = len(out)
    for row in range(len(begins)):
        begin = begins[row]
        end = begin + lengths[row]
        for place in range(begin, end):
            word = numbers[ids[place]] - first
            if word < 0 or word >= n_words:
                continue
            for distance in range(1, min(reach, place - begin) + 1):
                out[word, numbers[ids[place - distance]]] += weights[distance - 1]
            for distance in range(1, min(reach, end - 1 - place) + 1):
                out[word, numbers[ids[place + distance]]] += weights[distance - 1]


@njit(nogil=True, cache=True)
def sum_neighbours(
    ids: Integers, begins: Integers, lengths: Integers, sums: Floats, out: Floats
) -> None:
    """Add to ``out[i]`` the row sum of what ``count_neighbours`` counts for word ``i``.

    ``sums[d]`` is the sum of the first ``d`` weights.
    """
    reach = len(sums) - 1
    for row in range(len(begins)):
        n_tokens = lengths[row]
        for place in range(n_tokens):
            before, behind = min(reach, place), min(reach, n_tokens - 1 - place)
            out[ids[begins[row] + place]] += sums[before] + sums[behind]
