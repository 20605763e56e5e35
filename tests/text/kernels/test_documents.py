"""The loops over documents against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.kernels.documents import (
    count_codes,
    gather_documents,
    reverse_documents,
    write_ids,
)

FIRST, LAST = 2, 3
documents_of_ids = st.lists(st.lists(st.integers(0, 6), max_size=6), max_size=6)


def flat(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([token for document in documents for token in document], np.int32)
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    return ids, offsets


@given(documents=documents_of_ids, gaps=st.integers(0, 3))
def test_ids_are_looked_up_and_written_behind_the_starts(
    documents: list[list[int]], gaps: int
) -> None:
    codes, offsets = flat(documents)
    table = np.array([5, 0, 7, 1, 3, 9, 4], np.int32)
    starts = offsets[:-1] + gaps * np.arange(1, len(documents) + 1)
    out = np.full(len(codes) + gaps * len(documents), -1, np.int32)

    write_ids(codes, offsets, table, starts, out)

    assert out.tolist() == [
        number for d in documents for number in [-1] * gaps + [table[code] for code in d]
    ]


@given(documents=documents_of_ids, data=st.data())
def test_gathering(documents: list[list[int]], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(documents) - 1)) if documents else st.just([]))
    ids, offsets = flat(documents)
    expected = [token for row in rows for token in documents[row]]
    out = np.empty(len(expected), np.int32)

    gather_documents(ids, offsets, np.array(rows, np.int64), out)

    assert out.tolist() == expected


@given(documents=documents_of_ids)
def test_turning_round_keeps_the_marks_at_both_ends(documents: list[list[int]]) -> None:
    ids, offsets = flat(documents)
    out = np.empty_like(ids)

    reverse_documents(ids, offsets, FIRST, LAST, out)

    expected = []
    for document in documents:
        begin = document[:1] if document[:1] == [FIRST] else []
        rest = document[len(begin) :]
        end = rest[-1:] if rest[-1:] == [LAST] else []
        expected += begin + rest[: len(rest) - len(end)][::-1] + end
    assert out.tolist() == expected


@given(codes=st.lists(st.integers(0, 9)))
def test_counting(codes: list[int]) -> None:
    counts = np.ones(10, np.int64)

    count_codes(np.array(codes, np.int32), counts)

    assert counts.tolist() == [1 + codes.count(number) for number in range(10)]
