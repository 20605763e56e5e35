"""Words of texts by way of their distinct chunks: cut, ask spaCy about new ones, expand by number.

Exact: the words are those that spaCy gives for each text as a whole. A special case that reaches
from one chunk into the next is met by cutting such neighbours together, as one chunk with a space.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabtext.text.words.chunks import ChunkTable
from tabtext.text.words.growing import GrowingArray
from tabtext.text.words.spacy_words import CutChunks, SpacyWords
from tabtext.text.words.table import WordTable

__all__ = ["ChunkWords"]

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


class ChunkWords:
    """The words of all chunks seen so far.

    Parameters
    ----------
    spacy_words : SpacyWords
        Cuts chunks into words.
    table : WordTable
        Numbers the words.

    Examples
    --------
    >>> from tabtext.text.rules import TextRules
    >>> rules = TextRules()
    >>> spacy_words, table = SpacyWords("en", rules), WordTable(rules)
    >>> texts = pa.array(["Don't!", "Why? Don't!"], pa.large_string())
    >>> words, ends = ChunkWords(spacy_words, table).words_of(texts, spacy_words.cut_chunks)
    >>> table.show(words, ends)[1]
    array([ 4, 11])
    """

    def __init__(self, spacy_words: SpacyWords, table: WordTable) -> None:
        self._links = spacy_words.links
        self._squeeze = spacy_words.rules.spaces
        self._table = table
        self._chunks = ChunkTable()
        self._words = GrowingArray(np.int32)
        self._word_ends = GrowingArray(np.int64, [0, 0])  # the empty chunk has none
        self._first_class = GrowingArray(np.uint16, [0])
        self._last_class = GrowingArray(np.uint16, [0])
        self._joined: dict[tuple[int, ...], int] = {}

    def __len__(self) -> int:
        return len(self._chunks)

    def words_of(
        self, texts: pa.LargeStringArray, cut_chunks: Callable[[Sequence[str]], CutChunks]
    ) -> tuple[Codes, Places]:
        """Return the numbers of the texts' words end to end, and where each text's end.

        Parameters
        ----------
        texts : large_string array
            Without nulls, after ``TextRules.clean_document``.
        cut_chunks : callable
            Cuts the chunks that are new: ``SpacyWords.cut_chunks``, or several of it at work.
        """
        from tabtext.text.kernels.tokens import count_words, expand_chunks

        numbers, ends = self._chunks.cut(texts, squeeze=self._squeeze)
        self._learn(cut_chunks)
        self._join_linked(numbers, ends)
        self._learn(cut_chunks)
        word_ends = self._word_ends.values
        words = np.empty(count_words(numbers, word_ends), np.int32)
        text_ends = np.empty(len(ends), np.int64)
        expand_chunks(numbers, ends, self._words.values, word_ends, words, text_ends)
        return words, text_ends

    def _learn(self, cut_chunks: Callable[[Sequence[str]], CutChunks]) -> None:
        """Ask for the words of chunks that were not asked for yet."""
        first = len(self._word_ends) - 1
        if first == len(self._chunks):
            return
        words, codes, counts = cut_chunks(self._chunks.texts_from(first))
        ends = np.cumsum(counts)
        self._word_ends.extend(len(self._words) + ends)
        self._words.extend(self._table.add(words)[codes])
        first_class = np.array([self._links.first_class(word) for word in words], np.uint16)
        last_class = np.array([self._links.last_class(word) for word in words], np.uint16)
        self._first_class.extend(first_class[codes[ends - counts]])
        self._last_class.extend(last_class[codes[ends - 1]])

    def _join_linked(self, numbers: Codes, ends: Places) -> None:
        """Put the joined chunk in the place of the first of linked ones, nothing in the others'."""
        from tabtext.text.kernels.chunks import find_links

        n_runs, room = 1, 0
        while n_runs > room:
            room = 2 * n_runs
            begins, lengths = np.empty(room, np.int64), np.empty(room, np.int64)
            n_runs = find_links(
                numbers,
                ends,
                self._first_class.values,
                self._last_class.values,
                self._links.linked,
                begins,
                lengths,
            )
        for begin, length in zip(begins[:n_runs].tolist(), lengths[:n_runs].tolist(), strict=True):
            run = tuple(numbers[begin : begin + length].tolist())
            if run not in self._joined:
                text = " ".join(map(self._chunks.text_of, run))
                self._joined[run] = self._chunks.add(text)
            numbers[begin] = self._joined[run]
            numbers[begin + 1 : begin + length] = self._chunks.empty
