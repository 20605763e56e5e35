"""Words as spaCy cuts them: of many distinct chunks at once, or of whole documents.

A chunk's words are the same wherever it stands (but for the links that ``special_cases`` finds), so
thousands of chunks are laid end to end, a line each, and cut as one document.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tabtext.text.rules import TextRules
from tabtext.text.words.spacy_rules import load_tokenizer, spacy_rules

__all__ = ["CutChunks", "SpacyWords"]

_CHUNKS_AT_ONCE = 4000
_MAX_VOCABULARY = 200_000
"""Words after which spaCy begins anew: it keeps about 450 bytes of every word for ever."""

_ASKED, _WHOLE = 1, 2


class CutChunks(NamedTuple):
    """Words of chunks end to end: ``words[code]`` for every code, ``counts[i]`` for chunk ``i``."""

    words: list[str]
    codes: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


class SpacyWords:
    """spaCy's tokenizer of one language, with the rules for texts in front of it.

    Parameters
    ----------
    language : str
        spaCy's code of the language.
    rules : TextRules
        The clean-ups.

    Attributes
    ----------
    by_chunk : bool
        Whether chunks may be cut by themselves; if not, only whole documents.
    links : SpecialCaseLinks
        Which neighbouring chunks must be cut together.

    Raises
    ------
    ParameterError
        If spaCy does not know the language, or needs another package for it.

    Examples
    --------
    >>> words, codes, counts = SpacyWords("en", TextRules()).cut_chunks(["don't", "stop!", "don't"])
    >>> [words[code] for code in codes], counts.tolist()
    (['do', "n't", 'stop', '!', 'do', "n't"], [2, 2, 2])
    """

    def __init__(self, language: str, rules: TextRules) -> None:
        self.rules = rules
        self._language = language
        self._spacy_rules = spacy_rules(language)
        self._whole = self._spacy_rules.tokenizer
        self.by_chunk = self._spacy_rules.by_chunk
        self.links = self._spacy_rules.links
        if self.by_chunk:
            self._lean = self._spacy_rules.lean_tokenizer()

    def cut_document(self, text: str) -> list[str]:
        """Return the words of a whole text, whose clean-ups were not yet made."""
        if len(self._whole.vocab) > _MAX_VOCABULARY:
            self._whole = load_tokenizer(self._language)
        return [token.text for token in self._whole(self.rules.clean(text))]

    def cut_chunks(self, chunks: Sequence[str]) -> CutChunks:
        """Return the words of chunks, of which none is empty.

        Parameters
        ----------
        chunks : sequence of str
            No line breaks in them, unless they are white space only.
        """
        numbers: dict[str, int] = {}
        kinds = np.zeros(len(chunks), np.int8)
        counts = np.ones(len(chunks), np.int64)
        whole: list[int] = []
        asked: list[str] = []
        alone: dict[int, list[int]] = {}
        for place, chunk in enumerate(self._clean(chunks)):
            if self._spacy_rules.keeps_whole(chunk):
                kinds[place] = _WHOLE
                whole.append(numbers.setdefault(chunk, len(numbers)))
            elif chunk.isspace():
                words = [token.text for token in self._lean(chunk)]
                alone[place] = [numbers.setdefault(word, len(numbers)) for word in words]
                counts[place] = len(words)
            else:
                kinds[place] = _ASKED
                asked.append(chunk)
        asked_codes, counts[kinds == _ASKED] = self._ask(asked, numbers)
        codes = np.empty(counts.sum(), np.int32)
        codes[np.repeat(kinds == _ASKED, counts)] = asked_codes
        codes[np.repeat(kinds == _WHOLE, counts)] = whole
        starts = np.cumsum(counts) - counts
        for place, found in alone.items():
            codes[starts[place] : starts[place] + len(found)] = found
        return CutChunks(list(numbers), codes, counts)

    def _clean(self, chunks: Sequence[str]) -> list[str]:
        """Chunks after the rules that look around within them; white space as it was."""
        spaces = {place: chunk for place, chunk in enumerate(chunks) if chunk.isspace()}
        lines = [*chunks]
        for place in spaces:
            lines[place] = ""
        cleaned = self.rules.clean_pieces("\n".join(lines)).split("\n")
        for place, chunk in spaces.items():
            cleaned[place] = chunk
        return cleaned

    def _ask(
        self, chunks: Sequence[str], numbers: dict[str, int]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Codes of the chunks' words end to end, and how many each has; new words get numbers."""
        from spacy.attrs import ORTH

        all_codes, all_counts = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for first in range(0, len(chunks), _CHUNKS_AT_ONCE):
            if len(self._lean.vocab) > _MAX_VOCABULARY:
                self._lean = self._spacy_rules.lean_tokenizer()
            strings = self._lean.vocab.strings
            words = self._lean("\n".join(chunks[first : first + _CHUNKS_AT_ONCE]))
            orths = words.to_array([ORTH])
            known = _Known(strings, numbers)
            known[strings["\n"]] = -1
            codes = np.fromiter(map(known.__getitem__, orths.tolist()), np.int32, len(orths))
            breaks = np.flatnonzero(codes < 0)
            all_codes.append(codes[codes >= 0])
            all_counts.append(np.diff(breaks, prepend=-1, append=len(codes)) - 1)
        return np.concatenate(all_codes), np.concatenate(all_counts)


class _Known(dict[int, int]):
    """spaCy's hash of a word -> the word's number; new words get the next ones."""

    def __init__(self, strings: Any, numbers: dict[str, int]) -> None:
        super().__init__()
        self._strings = strings
        self._numbers = numbers

    def __missing__(self, orth: int) -> int:
        number = self._numbers.setdefault(self._strings[orth], len(self._numbers))
        self[orth] = number
        return number
