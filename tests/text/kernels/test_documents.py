"""The loops over documents against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.kernels.documents import (
    count_codes,
    count_words,
    gather_documents,
    reverse_documents,
    write_ids,
)
from tabtext.text.special_tokens import BEGIN_ID, END_ID, SPECIAL_TOKENS, UNKNOWN_ID

documents_of_ids = st.lists(st.lists(st.integers(0, 6), max_size=6), max_size=6)


def flat(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([token for document in documents for token in document], np.int32)
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    return ids, offsets


def turned(document: list[int]) -> list[int]:
    """What a model reads that goes backwards."""
    begin = document[:1] if document[:1] == [BEGIN_ID] else []
    rest = document[len(begin) :]
    end = rest[-1:] if rest[-1:] == [END_ID] else []
    return begin + rest[: len(rest) - len(end)][::-1] + end


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

    reverse_documents(ids, offsets, out)

    assert out.tolist() == [token for document in documents for token in turned(document)]


@given(codes=st.lists(st.integers(0, 9)))
def test_counting(codes: list[int]) -> None:
    counts = np.ones(10, np.int64)

    count_codes(np.array(codes, np.int32), counts)

    assert counts.tolist() == [1 + codes.count(number) for number in range(10)]


@given(
    documents=st.lists(st.lists(st.integers(0, 12), max_size=8), min_size=1, max_size=6),
    every=st.integers(1, 3),
)
def test_words_are_counted_in_the_chosen_documents_and_marks_are_not(
    documents: list[list[int]], every: int
) -> None:
    ids, offsets = flat(documents)

    found = count_words(ids, offsets[:-1][::every], np.diff(offsets)[::every])

    words = [number for document in documents[::every] for number in document]
    words = [number for number in words if number == UNKNOWN_ID or number >= len(SPECIAL_TOKENS)]
    assert found == (len(words), words.count(UNKNOWN_ID))
