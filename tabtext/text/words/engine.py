"""The work of ``WordTokenizer``: batches of texts in, numbers of tokens out."""

from collections.abc import Callable
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabtext.text.rules import TextRules
from tabtext.text.words.arrow_texts import text_batches
from tabtext.text.words.chunkwise import ChunkWords
from tabtext.text.words.spacy_processes import ChunkCutter
from tabtext.text.words.spacy_words import SpacyWords
from tabtext.text.words.table import WordTable

__all__ = ["WordEngine"]

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

_BATCH_BYTES = 8 * 1024 * 1024
"""Text that is worked on at once, for each process: work that waits is several times as large."""
_MAX_CHUNKS = 2_000_000
"""Distinct chunks after which the tables are emptied: about 300 MB."""


class WordEngine:
    """Everything that a tokenizer of words learns while it works, and may forget again.

    Parameters
    ----------
    language : str
        spaCy's code of the language.
    rules : TextRules
        The clean-ups.
    """

    def __init__(self, language: str, rules: TextRules) -> None:
        self.language = language
        self.rules = rules
        self._spacy_words = SpacyWords(language, rules)
        self._lock = Lock()
        self._forget()

    def tokenize(
        self,
        texts: pa.ChunkedArray,
        n_processes: int,
        progress: Callable[[int, int], None] | None,
    ) -> tuple[tuple[str, ...], Codes, Places]:
        """Return the distinct tokens, every text's codes end to end, and where they begin."""
        with self._lock, ChunkCutter(self._spacy_words, self.language, n_processes) as cut_chunks:
            try:
                codes, lengths = self._codes_of(texts, n_processes, cut_chunks, progress)
                tokens = self._table.used(codes)
            except BaseException:
                self._forget()  # the tables may have been left between two steps
                raise
            if len(self._chunk_words) > _MAX_CHUNKS:
                self._forget()
        return tokens, codes, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def _codes_of(
        self,
        texts: pa.ChunkedArray,
        n_processes: int,
        cut_chunks: ChunkCutter,
        progress: Callable[[int, int], None] | None,
    ) -> tuple[Codes, Places]:
        """Codes of all texts' tokens end to end, and how many each text has."""
        codes, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        n_done = 0
        for batch in text_batches(texts, _BATCH_BYTES * n_processes):
            words, ends = self._words_of(batch, cut_chunks)
            found, ends = self._table.show(words, ends)
            codes.append(found)
            lengths.append(np.diff(ends, prepend=0))
            n_done += len(batch)
            if progress is not None:
                progress(n_done, len(texts))
        return np.concatenate(codes), np.concatenate(lengths)

    def _words_of(
        self, batch: pa.LargeStringArray, cut_chunks: ChunkCutter
    ) -> tuple[Codes, Places]:
        if self._spacy_words.by_chunk:
            return self._chunk_words.words_of(_clean(batch, self.rules), cut_chunks)
        documents = [self._spacy_words.cut_document(text) for text in batch.to_pylist()]
        words = self._table.add([word for document in documents for word in document])
        return words, np.cumsum(np.fromiter(map(len, documents), np.int64))

    def _forget(self) -> None:
        self._table = WordTable(self.rules)
        self._chunk_words = ChunkWords(self._spacy_words, self._table)


def _clean(texts: pa.LargeStringArray, rules: TextRules) -> pa.LargeStringArray:
    """Apply the rules that need whole texts, to those in which they can find something."""
    concerned = pc.or_(pc.match_substring(texts, "<"), pc.match_substring(texts, "&"))
    if not (rules.html or rules.entities) or not pc.any(concerned).as_py():
        return texts
    cleaned = map(rules.clean_document, texts.filter(concerned).to_pylist())
    return pc.replace_with_mask(texts, concerned, pa.array(cleaned, pa.large_string()))
