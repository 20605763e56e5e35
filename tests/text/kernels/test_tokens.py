"""The kernels from chunks to tokens against the plain Python that their docstrings give."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.kernels.tokens import count_words, expand_chunks, renumber, show_words

lists_of_texts = st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=5)


def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Values end to end, and the end of each list."""
    values = np.array([*itertools.chain(*lists)], np.int32)
    return values, np.array([*itertools.accumulate(map(len, lists))], np.int64)


def from_zero(ends: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), ends])


@given(
    words_of=st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=5, max_size=5),
    texts=lists_of_texts,
)
def test_chunks_become_their_words(words_of: list[list[int]], texts: list[list[int]]) -> None:
    numbers, ends = flat(texts)
    words, word_ends = flat(words_of)

    n_words = count_words(numbers, from_zero(word_ends))
    out, out_ends = np.empty(n_words, np.int32), np.empty(len(texts), np.int64)
    expand_chunks(numbers, ends, words, from_zero(word_ends), out, out_ends)

    expected, expected_ends = flat([[w for c in text for w in words_of[c]] for text in texts])
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(out_ends, expected_ends)


def shown_slowly(
    words: list[int], tokens: list[list[int]], countable: list[bool], counting: bool
) -> list[int]:
    """The docstring of ``show_words``; word 0 is the mark of repeated characters, 99 of words."""
    shown, place = [], 0
    while place < len(words):
        if words[place] == 0:
            run = words[place : place + 3]
            shown += [token for word in run for token in tokens[word]]
        else:
            run = list(itertools.takewhile(words[place].__eq__, words[place:]))
            if counting and len(run) >= 3 and countable[words[place]]:
                shown += [99, -len(run), *tokens[words[place]]]
            else:
                shown += tokens[words[place]] * len(run)
        place += len(run)
    return shown


@given(
    texts=lists_of_texts,
    tokens=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=2), min_size=5, max_size=5),
    countable=st.lists(st.booleans(), min_size=5, max_size=5),
    counting=st.booleans(),
)
def test_words_become_their_tokens_and_repetitions_are_counted(
    texts: list[list[int]], tokens: list[list[int]], countable: list[bool], counting: bool
) -> None:
    words, ends = flat(texts)
    shown, shown_ends = flat(tokens)
    out, out_ends = np.empty(2 * len(words), np.int32), np.empty(len(texts), np.int64)

    length = show_words(
        words,
        ends,
        shown,
        from_zero(shown_ends),
        np.array(countable),
        0,
        99 if counting else -1,
        out,
        out_ends,
    )

    expected = [shown_slowly(text, tokens, countable, counting) for text in texts]
    np.testing.assert_array_equal(out[:length], flat(expected)[0])
    np.testing.assert_array_equal(out_ends, flat(expected)[1])


@given(st.lists(st.integers(0, 9)))
def test_codes_are_numbered_in_the_order_of_their_first_time(drawn: list[int]) -> None:
    codes, table = np.array(drawn, np.int32), np.full(10, -1, np.int32)
    found = np.empty(10, np.int32)

    n_found = renumber(codes, table, found)

    distinct = [*dict.fromkeys(drawn)]
    assert found[:n_found].tolist() == distinct
    assert codes.tolist() == [distinct.index(code) for code in drawn]
    assert (table == -1).all()
