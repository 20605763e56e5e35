"""New chunks cut by several processes at once, where there are enough of them."""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from types import TracebackType
from typing import Self

import numpy as np

from tabtext.text.rules import TextRules
from tabtext.text.words.spacy_words import CutChunks, SpacyWords

__all__ = ["ChunkCutter"]

_WORTH_A_PROCESS = 20_000
"""Chunks that a process must have to cut: starting one takes as long as a few ten thousand."""


class ChunkCutter:
    """Cut chunks here, or in other processes if they are many; to be used in ``with``.

    Parameters
    ----------
    spacy_words : SpacyWords
        Cuts chunks in this process.
    language : str
        Its language.
    n_processes : int
        How many processes cut many chunks; 1 is this one alone. Others are started when first
        needed, with the method "spawn": a script needs ``if __name__ == "__main__":``.
    """

    def __init__(self, spacy_words: SpacyWords, language: str, n_processes: int) -> None:
        self._spacy_words = spacy_words
        self._language = language
        self._n_processes = n_processes
        self._pool: ProcessPoolExecutor | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def __call__(self, chunks: Sequence[str]) -> CutChunks:
        """Return the chunks' words, the same however many processes cut them."""
        n_parts = min(self._n_processes, len(chunks) // _WORTH_A_PROCESS)
        if n_parts < 2:
            return self._spacy_words.cut_chunks(chunks)
        if self._pool is None:
            pool = ProcessPoolExecutor(
                self._n_processes,
                mp_context=get_context("spawn"),
                initializer=_prepare,
                initargs=(self._language, self._spacy_words.rules),
            )
            self._pool = self._open.enter_context(pool)
        bounds = [round(part * len(chunks) / n_parts) for part in range(n_parts + 1)]
        parts = [chunks[bounds[part] : bounds[part + 1]] for part in range(n_parts)]
        return _joined(list(self._pool.map(_cut, parts)))


_in_this_process: SpacyWords


def _prepare(language: str, rules: TextRules) -> None:
    global _in_this_process
    # spaCy would load PyTorch, in which it has no part here: 1.5 s and 200 MB in every process.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    _in_this_process = SpacyWords(language, rules)


def _cut(chunks: Sequence[str]) -> CutChunks:
    return _in_this_process.cut_chunks(chunks)


def _joined(parts: Sequence[CutChunks]) -> CutChunks:
    numbers: dict[str, int] = {}
    codes = []
    for part in parts:
        renumbered = [numbers.setdefault(word, len(numbers)) for word in part.words]
        codes.append(np.array(renumbered, np.int32)[part.codes])
    counts = np.concatenate([part.counts for part in parts])
    return CutChunks(list(numbers), np.concatenate(codes), counts)
