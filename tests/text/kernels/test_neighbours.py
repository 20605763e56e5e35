"""The kernels that count neighbours, beside plain Python."""

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.documents import Documents
from tabtext.text.kernels.neighbours import count_neighbours, sum_neighbours

SIZE = 6

documents = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=9), max_size=5)


def reference(held: list[list[int]], weights: list[float]) -> np.ndarray:
    counts = np.zeros((SIZE, SIZE))
    for document in held:
        for (i, word), (j, other) in permutations(enumerate(document), 2):
            if abs(i - j) <= len(weights):
                counts[word, other] += weights[abs(i - j) - 1]
    return counts


@given(
    held=documents,
    reach=st.integers(1, 11),
    first=st.integers(0, SIZE - 1),
    numbers=st.permutations(range(SIZE)),
)
def test_counts_are_those_of_plain_python(
    held: list[list[int]], reach: int, first: int, numbers: list[int]
) -> None:
    # Powers of two, so that sums are exact in whatever order.
    weights = 0.5 ** np.arange(reach)
    view = Documents.of(held)
    counts = np.zeros((SIZE - first, SIZE))

    table = np.array(numbers, np.int32)
    count_neighbours(view.ids, view.offsets[:-1], view.lengths, table, weights, first, counts)

    numbered = [[numbers[word] for word in document] for document in held]
    np.testing.assert_array_equal(counts, reference(numbered, weights.tolist())[first:])


@given(held=documents, reach=st.integers(1, 11))
def test_sums_are_those_of_the_rows(held: list[list[int]], reach: int) -> None:
    weights = 0.5 ** np.arange(reach)
    view = Documents.of(held)
    totals = np.zeros(SIZE)

    sums = np.concatenate([[0.0], np.cumsum(weights)])
    sum_neighbours(view.ids, view.offsets[:-1], view.lengths, sums, totals)

    np.testing.assert_array_equal(totals, reference(held, weights.tolist()).sum(axis=1))
