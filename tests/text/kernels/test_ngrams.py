"""The kernel that collects n-grams, beside plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.documents import Documents
from tabtext.text.kernels.ngrams import collect_ngrams

BASE = 8

documents = st.lists(st.lists(st.integers(0, BASE - 2), max_size=9), max_size=6)


def number(ngram: list[int]) -> int:
    total = 0
    for token in ngram:
        total = total * BASE + token + 1
    return total


@given(given_documents=documents, longest=st.integers(1, 3))
def test_ngrams_are_those_of_plain_python(given_documents: list[list[int]], longest: int) -> None:
    held = Documents.of(given_documents)
    out = np.empty(longest * len(held.ids), np.int64)
    ends = np.zeros(len(held), np.int64)

    collect_ngrams(held.ids, held.offsets, longest, BASE, out, ends)

    begin = 0
    for document, end in zip(given_documents, ends, strict=True):
        expected = {
            number(document[place : place + length])
            for length in range(1, longest + 1)
            for place in range(len(document) - length + 1)
        }
        assert out[begin:end].tolist() == sorted(expected)
        begin = end


def test_different_ngrams_have_different_numbers() -> None:
    ngrams = [[a] for a in range(3)] + [[a, b] for a in range(3) for b in range(3)]

    assert len({number(ngram) for ngram in ngrams}) == len(ngrams)
