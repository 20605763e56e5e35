"""Compiled loops from chunks to tokens: expand, count repeated words, number the tokens found.

A *word* is a token as spaCy gives it, written as its number. It is shown as one or two *tokens*
(``Good`` as ``xxmaj good``): those of word ``i`` are ``shown[shown_ends[i]:shown_ends[i + 1]]``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_words", "expand_chunks", "renumber", "show_words"]

Integers = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]


@njit(nogil=True, cache=True)
def count_words(numbers: Integers, word_ends: Integers) -> int:
    """Return how many words the chunks have.

    In plain Python: ``sum(word_ends[i + 1] - word_ends[i] for i in numbers)``.
    """
    count = 0
    for number in numbers:
        count += word_ends[number + 1] - word_ends[number]
    return count


@njit(nogil=True, cache=True)
def expand_chunks(
    numbers: Integers,
    text_ends: Integers,
    words: Integers,
    word_ends: Integers,
    out: Integers,
    out_ends: Integers,
) -> None:
    """Write the words of every text's chunks.

    In plain Python, with the texts' numbers end to end in ``numbers``::

        for i in numbers:
            out.extend(words[word_ends[i] : word_ends[i + 1]])

    and ``out_ends`` becomes the end of every text's words.
    """
    place, begin = 0, 0
    for row in range(len(text_ends)):
        for position in range(begin, text_ends[row]):
            number = numbers[position]
            for word in range(word_ends[number], word_ends[number + 1]):
                out[place] = words[word]
                place += 1
        begin = text_ends[row]
        out_ends[row] = place


@njit(nogil=True, cache=True)
def _show(word: int, shown: Integers, shown_ends: Integers, out: Integers, place: int) -> int:
    for position in range(shown_ends[word], shown_ends[word + 1]):
        out[place] = shown[position]
        place += 1
    return place


@njit(nogil=True, cache=True)
def show_words(
    words: Integers,
    ends: Integers,
    shown: Integers,
    shown_ends: Integers,
    countable: Bools,
    character_mark: int,
    word_mark: int,
    out: Integers,
    out_ends: Integers,
) -> int:
    """Write every word's tokens, runs of the same word as mark, number and word; return the end.

    In plain Python, for the words of each text::

        for word, run in itertools.groupby(words):
            n = len(run)
            if n >= 3 and countable[word]:
                out += [word_mark, -n, *tokens_of(word)]
            else:
                out += tokens_of(word) * n

    where the two words behind ``character_mark`` (a number and a character) are in no run. The
    number of repetitions is written as ``-n``, for the caller to put a token there. ``word_mark``
    is -1 if runs are not to be counted.
    """
    place, begin = 0, 0
    for row in range(len(ends)):
        end = ends[row]
        position = begin
        while position < end:
            word = words[position]
            if word == character_mark:
                for _ in range(min(3, end - position)):
                    place = _show(words[position], shown, shown_ends, out, place)
                    position += 1
                continue
            length = 1
            if word_mark >= 0 and countable[word]:
                while position + length < end and words[position + length] == word:
                    length += 1
            position += length
            if length >= 3:
                out[place], out[place + 1] = word_mark, -length
                place = _show(word, shown, shown_ends, out, place + 2)
            else:
                for _ in range(length):
                    place = _show(word, shown, shown_ends, out, place)
        begin = end
        out_ends[row] = place
    return place


@njit(nogil=True, cache=True)
def renumber(codes: Integers, new_codes: Integers, found: Integers) -> int:
    """Number the codes anew in the order in which they first occur, in place; return how many.

    ``new_codes`` holds -1 for every code, and does again afterwards; ``found`` becomes the list of
    old codes. In plain Python::

        found = list(dict.fromkeys(codes))
        codes[:] = [found.index(code) for code in codes]
    """
    n_found = 0
    for position in range(len(codes)):
        code = codes[position]
        if new_codes[code] < 0:
            new_codes[code] = n_found
            found[n_found] = code
            n_found += 1
        codes[position] = new_codes[code]
    for number in range(n_found):
        new_codes[found[number]] = -1
    return n_found
