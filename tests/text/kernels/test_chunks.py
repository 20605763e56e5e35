"""The kernels over bytes against the plain Python that their docstrings give."""

import itertools
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tabtext.text.kernels.chunks import find_links
from tabtext.text.words.chunks import ChunkTable

SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]

texts = st.lists(
    st.lists(
        st.sampled_from(["a", "ab", "é", "日本", "😂", "\u2027", "\u3001", "\x85", "\x1b", *SPACES])
        | st.characters(exclude_categories=["Cs"]),
        max_size=20,
    ).map("".join),
    max_size=6,
)


def cut_slowly(text: str, *, squeeze: bool) -> list[str]:
    """The docstring of ``cut_texts``."""
    chunks = []
    for match in re.finditer(r"\S+|\s+", text):
        run, at_begin = match[0], match.start() == 0
        if not run.isspace():
            chunks.append(run)
        elif squeeze:
            if re.search("[\n\r]", run) and not at_begin and match.end() < len(text):
                chunks.append("\n")
        elif at_begin or run[0] != " ":
            chunks.append(run)
        elif run != " ":
            chunks.append(run[1:])
    return chunks


@pytest.mark.parametrize("squeeze", [True, False])
@given(drawn=texts)
@example(drawn=SPACES)
@example(drawn=[f"a{space}b" for space in SPACES])
def test_texts_are_cut_at_white_space(squeeze: bool, drawn: list[str]) -> None:
    table = ChunkTable()

    numbers, ends = table.cut(pa.array(drawn, pa.large_string()), squeeze=squeeze)

    cut = [cut_slowly(text, squeeze=squeeze) for text in drawn]
    assert [table.text_of(number) for number in numbers] == [*itertools.chain(*cut)]
    assert ends.tolist() == [*itertools.accumulate(map(len, cut))]


@given(drawn=texts)
def test_equal_chunks_have_equal_numbers(drawn: list[str]) -> None:
    table = ChunkTable()
    array = pa.array(drawn, pa.large_string())

    numbers, _ = table.cut(array, squeeze=True)
    again, _ = table.cut(array, squeeze=True)

    chunks = [chunk for text in drawn for chunk in cut_slowly(text, squeeze=True)]
    assert again.tolist() == numbers.tolist()
    assert len(set(numbers.tolist())) == len(set(chunks))
    assert len(table) == len({"", "\n", *chunks})
    assert table.texts_from(0) == [*dict.fromkeys(["", "\n", *chunks])]


def test_the_table_grows() -> None:
    words = [f"word{number}" for number in range(30_000)]
    table = ChunkTable()

    numbers, ends = table.cut(pa.array([" ".join(words), *words], pa.large_string()), squeeze=True)

    assert numbers.tolist() == [*range(2, 30_002), *range(2, 30_002)]
    assert ends.tolist() == [30_000, *range(30_001, 60_001)]
    assert table.texts_from(2) == words


def test_a_chunk_that_is_added_is_found_in_texts() -> None:
    table = ChunkTable()
    number = table.add("word")

    numbers, _ = table.cut(pa.array(["a word"], pa.large_string()), squeeze=True)

    assert number == numbers[1] == table.add("word")
    assert (table.empty, table.newline) == (table.add(""), table.add("\n"))


def test_a_part_of_an_array_is_cut_as_such() -> None:
    table = ChunkTable()
    array = pa.array(["before", "a b", "c", "behind"], pa.large_string())

    numbers, ends = table.cut(array.slice(1, 2), squeeze=True)

    assert [table.text_of(number) for number in numbers] == ["a", "b", "c"]
    assert ends.tolist() == [2, 3]


@given(
    classes=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4),
    drawn=st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=4),
    room=st.integers(0, 12),
)
def test_links_are_found_within_texts(
    classes: list[tuple[int, int]], drawn: list[list[int]], room: int
) -> None:
    cut = [[number % len(classes) for number in text] for text in drawn]
    numbers = np.array([*itertools.chain(*cut)], np.int32)
    ends = np.array([*itertools.accumulate(map(len, cut))], np.int64)
    first, last = np.array(classes, np.uint16).T.copy()
    linked = np.array([[False, False, False], [False, True, False], [False, True, True]])
    begins, lengths = np.zeros((2, room), np.int64)

    n_runs = find_links(numbers, ends, first, last, linked, begins, lengths)

    runs, begin = [], 0
    for text in cut:
        length = 1
        for place in range(1, len(text) + 1):
            if place < len(text) and linked[last[text[place - 1]], first[text[place]]]:
                length += 1
            else:
                runs += [(begin + place - length, length)] if length > 1 else []
                length = 1
        begin += len(text)
    found = [*zip(begins.tolist(), lengths.tolist(), strict=True)][:n_runs]
    assert n_runs == len(runs)
    assert found == runs[:room]
