"""Compiled loops over the bytes of texts: cut them at white space, and number what lies between.

A *chunk* is what a text has between white space, or white space that is a token of its own. Chunks
are known by numbers. A table of hashes finds them again: ``slots`` has a power of two of places,
each 0 or ``hash's upper half << 32 | number + 1``; a chunk stands at the first free place from its
hash on. Their bytes lie end to end: chunk ``i`` is ``content[ends[i]:ends[i + 1]]``.

All arrays are allocated by the caller. Every kernel releases the GIL.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["add_chunk", "cut_texts", "find_links", "rehash"]

Integers = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]

# Fowler, Noll and Vo's hash, FNV-1a.
_HASH_BEGIN = np.uint64(0xCBF29CE484222325)
_HASH_FACTOR = np.uint64(0x100000001B3)
_UPPER = np.uint64(0xFFFFFFFF00000000)
_LOWER = np.uint64(0x00000000FFFFFFFF)
_EMPTY = np.uint64(0)
_ONE = np.uint64(1)


@njit(nogil=True, cache=True, inline="always")
def _space_width(text: Integers, place: int, end: int) -> int:
    """Bytes of the white space at a place, 0 if there is none: those of ``str.isspace``."""
    byte = text[place]
    if byte < 0x80:
        return 1 if byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31 else 0
    if byte < 0xC2 or byte > 0xE3 or place + 1 >= end:
        return 0
    second = text[place + 1]
    if byte == 0xC2:  # next line, no-break space
        return 2 if second == 0x85 or second == 0xA0 else 0
    if byte < 0xE1 or place + 2 >= end:
        return 0
    third = text[place + 2]
    if byte == 0xE1:  # U+1680
        return 3 if second == 0x9A and third == 0x80 else 0
    if byte == 0xE3:  # U+3000
        return 3 if second == 0x80 and third == 0x80 else 0
    if second == 0x80:  # U+2000 to 200A, 2028, 2029, 202F
        wide = 0x80 <= third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF
        return 3 if wide else 0
    return 3 if second == 0x81 and third == 0x9F else 0  # U+205F


@njit(nogil=True, cache=True)
def _hash(text: Integers, begin: int, end: int) -> np.uint64:
    code = _HASH_BEGIN
    for place in range(begin, end):
        code = (code ^ np.uint64(text[place])) * _HASH_FACTOR
    return code


@njit(nogil=True, cache=True)
def add_chunk(
    text: Integers,
    begin: int,
    end: int,
    slots: Integers,
    content: Integers,
    ends: Integers,
    n_chunks: int,
) -> int:
    """Return the number of the chunk ``text[begin:end]``; it is added if it was not there.

    A new one gets the number ``n_chunks``. The caller sees to it that there is room for it in
    ``slots``, ``content`` and ``ends``.
    """
    code = _hash(text, begin, end)
    mask = np.uint64(len(slots) - 1)
    slot = code & mask
    while slots[slot] != _EMPTY:
        if (slots[slot] ^ code) & _UPPER == _EMPTY:
            number = int(slots[slot] & _LOWER) - 1
            known = ends[number]
            if ends[number + 1] - known == end - begin:
                place = begin
                while place < end and content[known] == text[place]:
                    known += 1
                    place += 1
                if place == end:
                    return number
        slot = (slot + _ONE) & mask
    slots[slot] = (code & _UPPER) | np.uint64(n_chunks + 1)
    known = ends[n_chunks]
    for place in range(begin, end):
        content[known] = text[place]
        known += 1
    ends[n_chunks + 1] = known
    return n_chunks


@njit(nogil=True, cache=True)
def rehash(content: Integers, ends: Integers, n_chunks: int, slots: Integers) -> None:
    """Fill an empty table with the chunks that there are."""
    mask = np.uint64(len(slots) - 1)
    for number in range(n_chunks):
        code = _hash(content, ends[number], ends[number + 1])
        slot = code & mask
        while slots[slot] != _EMPTY:
            slot = (slot + _ONE) & mask
        slots[slot] = (code & _UPPER) | np.uint64(number + 1)


@njit(nogil=True, cache=True)
def cut_texts(
    text: Integers,
    offsets: Integers,
    first: int,
    squeeze: bool,
    newline: int,
    slots: Integers,
    content: Integers,
    ends: Integers,
    n_chunks: int,
    numbers: Integers,
    text_ends: Integers,
) -> tuple[int, int]:
    r"""Write the numbers of every text's chunks, new ones included; return next text, n_chunks.

    ``text[offsets[i]:offsets[i + 1]]`` is text ``i``, ``text_ends[i]`` becomes the end of its
    numbers, which follow those of text ``i - 1``. The loop begins with text ``first`` and stops
    before a text for whose chunks the arrays might be too small; the caller enlarges them and calls
    again. In plain Python, where ``number`` gives a new number to every new string::

        for i, text in enumerate(texts):
            for run in re.findall(r"\S+|\s+", text):
                if not run.isspace():
                    chunks.append(run)
                elif squeeze and re.search("[\n\r]", run) and not at either end of the text:
                    chunks.append("\n")
                elif not squeeze and not (run == " " and not at the begin of the text):
                    chunks.append(run[1:] if run[0] == " " and not at the begin else run)
            text_ends[i] = len(chunks)
        numbers[:] = map(number, chunks)

    Without ``squeeze`` this is spaCy's view of white space: one space behind a word belongs to the
    word, everything else is a token.
    """
    n_numbers = text_ends[first - 1] if first > 0 else 0
    for row in range(first, len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        at_most = end - begin
        room = min(len(slots) // 2, len(ends) - 1)
        if n_chunks + at_most > room or ends[n_chunks] + (end - begin) > len(content):
            return row, n_chunks
        place = begin
        while place < end:
            start = place
            width = _space_width(text, place, end)
            is_space, breaks = width > 0, False
            while place < end and (width > 0) == is_space:
                breaks = breaks or text[place] == 10 or text[place] == 13
                place += width if is_space else 1
                width = _space_width(text, place, end) if place < end else 0
            if is_space and squeeze:
                if not breaks or start == begin or place == end:
                    continue
                number = newline
            else:
                if is_space and start > begin and text[start] == 32:
                    start += 1
                if start == place:
                    continue
                number = add_chunk(text, start, place, slots, content, ends, n_chunks)
                n_chunks = max(n_chunks, number + 1)
            numbers[n_numbers] = number
            n_numbers += 1
        text_ends[row] = n_numbers
    return len(offsets) - 1, n_chunks


@njit(nogil=True, cache=True)
def find_links(
    numbers: Integers,
    text_ends: Integers,
    first_class: Integers,
    last_class: Integers,
    linked: Bools,
    begins: Integers,
    lengths: Integers,
) -> int:
    """Find the runs of chunks that are linked, each to the next; return how many there are.

    Two neighbours ``a, b`` in a text are linked if ``linked[last_class[a], first_class[b]]``.
    ``begins`` and ``lengths`` receive as many runs as they hold; class 0 is linked to none.
    """
    n_runs, begin = 0, 0
    for end in text_ends:
        length = 1
        for place in range(begin + 1, end + 1):
            if place < end:
                before = last_class[numbers[place - 1]]
                if before != 0 and linked[before, first_class[numbers[place]]]:
                    length += 1
                    continue
            if length > 1:
                if n_runs < len(begins):
                    begins[n_runs], lengths[n_runs] = place - length, length
                n_runs += 1
                length = 1
        begin = end
    return n_runs
