"""Cut texts at white space, and number the distinct chunks.

Arrow's bytes go in, one number per chunk comes out; equal chunks have equal numbers, for as long as
the table lives. Distinct chunks grow much more slowly than text, so what is costly is done to each
of them once.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["ChunkTable"]

Item = TypeVar("Item", bound=np.generic)
Numbers = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


class ChunkTable:
    r"""The distinct chunks seen so far, and their numbers.

    Attributes
    ----------
    empty, newline : int
        Numbers of ``""`` and ``"\n"``, which are always there.

    Examples
    --------
    >>> table = ChunkTable()
    >>> texts = pa.array(["so, so", "so\nwhat"], pa.large_string())
    >>> numbers, ends = table.cut(texts, squeeze=True)
    >>> [table.text_of(number) for number in numbers]
    ['so,', 'so', 'so', '\n', 'what']
    >>> ends
    array([2, 5])
    """

    def __init__(self) -> None:
        self._slots = np.zeros(1 << 12, np.uint64)
        self._content = np.empty(1 << 14, np.uint8)
        self._ends = np.zeros((1 << 11) + 1, np.int64)
        self._length = 0
        self.empty = self.add("")
        self.newline = self.add("\n")

    def __len__(self) -> int:
        return self._length

    def cut(self, texts: pa.LargeStringArray, *, squeeze: bool) -> tuple[Numbers, Places]:
        r"""Return the numbers of all texts' chunks end to end, and where each text's end.

        Parameters
        ----------
        texts : large_string array
            Valid UTF-8 without nulls.
        squeeze : bool
            Whether white space is a chunk only where it has a line break, and then ``"\n"``, and
            none at the ends of a text. If not, white space is a chunk as spaCy sees it: all but
            one space behind a word.
        """
        from tabtext.text.kernels.chunks import cut_texts

        content, offsets = _buffers(texts)
        numbers = np.empty(offsets[-1] - offsets[0], np.int32)
        ends = np.empty(len(texts), np.int64)
        row = 0
        while row < len(texts):
            row, self._length = cut_texts(
                content,
                offsets,
                row,
                squeeze,
                self.newline,
                self._slots,
                self._content,
                self._ends,
                self._length,
                numbers,
                ends,
            )
            if row < len(texts):
                n_bytes = int(offsets[row + 1] - offsets[row])
                self._make_room(n_bytes, n_bytes)
        return numbers[: ends[-1] if len(ends) else 0], ends

    def add(self, text: str) -> int:
        """Return the number of a chunk, which may have white space in it."""
        from tabtext.text.kernels.chunks import add_chunk

        encoded = np.frombuffer(text.encode(), np.uint8)
        self._make_room(1, len(encoded))
        number = add_chunk(
            encoded, 0, len(encoded), self._slots, self._content, self._ends, self._length
        )
        self._length = max(self._length, number + 1)
        return int(number)

    def text_of(self, number: int) -> str:
        """Return a chunk."""
        return self._content[self._ends[number] : self._ends[number + 1]].tobytes().decode()

    def texts_from(self, first: int) -> list[str]:
        """Return the chunks from a number on."""
        ends = self._ends[first : self._length + 1]
        array = pa.LargeStringArray.from_buffers(
            len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(self._content)
        )
        chunks: list[str] = array.to_pylist()
        return chunks

    def _make_room(self, n_chunks: int, n_bytes: int) -> None:
        """Enlarge the arrays for so many more chunks, with so many bytes in all."""
        from tabtext.text.kernels.chunks import rehash

        if (needed := int(self._ends[self._length]) + n_bytes) > len(self._content):
            self._content = _enlarged(self._content, needed)
        if (needed := self._length + n_chunks) > min(len(self._slots) // 2, len(self._ends) - 1):
            self._ends = _enlarged(self._ends, needed + 1)
            size = 1 << (2 * len(self._ends) - 1).bit_length()
            self._slots = np.zeros(size, np.uint64)
            rehash(self._content, self._ends, self._length, self._slots)


def _buffers(texts: pa.LargeStringArray) -> tuple[npt.NDArray[np.uint8], Places]:
    _, offsets, content = texts.buffers()
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(content or b"", np.uint8), places


def _enlarged(array: npt.NDArray[Item], length: int) -> npt.NDArray[Item]:
    room = np.empty(max(length, 2 * len(array)), array.dtype)
    room[: len(array)] = array
    return room
