"""Words as spaCy cuts them: of many distinct chunks at once, or of whole documents.

A chunk's words are the same wherever it stands (but for the links that ``special_cases`` finds), so
thousands of chunks are laid end to end, a line each, and cut as one document. Everything that does
not change the result is left out: spaCy's cache, the lexical attributes of every new word, and its
regular expressions where they can be proved to find nothing.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tabtext.errors import ParameterError
from tabtext.text.letters import ignores_letters
from tabtext.text.rules import TextRules
from tabtext.text.special_cases import SpecialCaseLinks

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
        Whether chunks may be cut by themselves. Not for Chinese, Japanese and other languages whose
        tokenizer is not ``spacy.tokenizer.Tokenizer``: they are cut document by document.
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
        self._blank = _load_tokenizer(language)
        self.links = SpecialCaseLinks({}, {})
        self.by_chunk = _is_rule_based(self._blank)
        if self.by_chunk:
            self._cases = frozenset(self._blank.rules)
            self.links = _find_links(self._blank)
            self._letters_stay = _letters_stay(self._blank)
            self._begin_anew()
            lines = [token.text for token in self._lean("a\nb")]
            self.by_chunk = not self.links.has_spaces and lines == ["a", "\n", "b"]

    def cut_document(self, text: str) -> list[str]:
        """Return the words of a whole text, whose clean-ups were not yet made."""
        return [token.text for token in self._blank(self.rules.clean(text))]

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
            if self._letters_stay and chunk.isalpha() and chunk not in self._cases:
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
                self._begin_anew()
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

    def _begin_anew(self) -> None:
        self._lean = _lean_tokenizer(self._blank, self._letters_stay)


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


def _load_tokenizer(language: str) -> Any:
    import spacy

    try:
        return spacy.blank(language).tokenizer
    except ImportError as error:
        raise ParameterError(
            f"spaCy has no tokenizer for language={language!r} here: {error}"
        ) from error


def _is_rule_based(tokenizer: Any) -> bool:
    from spacy.tokenizer import Tokenizer

    return type(tokenizer) is Tokenizer


def _letters_stay(tokenizer: Any) -> bool:
    """Whether a string of letters that is no special case is proved to stay one word.

    What ``token_match`` and ``url_match`` find stays one word in any case.
    """
    searches = (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer)
    patterns = [getattr(search, "__self__", None) for search in searches if search is not None]
    return all(isinstance(pattern, re.Pattern) and ignores_letters(pattern) for pattern in patterns)


def _lean_tokenizer(tokenizer: Any, letters_stay: bool) -> Any:
    """A tokenizer with the same rules, an empty vocabulary, no cache, and shorter searches."""
    from spacy.tokenizer import Tokenizer
    from spacy.vocab import Vocab

    def shorter(search: Callable[[str], Any] | None, nothing: Any = None) -> Any:
        if search is None or not letters_stay:
            return search
        return lambda string: nothing if string.isalpha() else search(string)

    return Tokenizer(
        Vocab(),  # without functions for lexical attributes, of which words need none
        rules=tokenizer.rules,
        prefix_search=shorter(tokenizer.prefix_search),
        suffix_search=shorter(tokenizer.suffix_search),
        infix_finditer=shorter(tokenizer.infix_finditer, nothing=()),
        token_match=shorter(tokenizer.token_match),
        url_match=shorter(tokenizer.url_match),
        faster_heuristics=tokenizer.faster_heuristics,
        max_cache_size=0,
    )


def _find_links(tokenizer: Any) -> SpecialCaseLinks:
    """Links by the special cases that spaCy looks for in whole documents.

    Which ones those are, and that they are looked for by what the tokenizer makes of them without
    special cases, is what ``spacy.tokenizer.Tokenizer.add_special_case`` does.
    """
    from spacy.attrs import ORTH
    from spacy.tokenizer import Tokenizer
    from spacy.vocab import Vocab

    plain = Tokenizer(
        Vocab(),
        prefix_search=tokenizer.prefix_search,
        suffix_search=tokenizer.suffix_search,
        infix_finditer=tokenizer.infix_finditer,
        token_match=tokenizer.token_match,
        url_match=tokenizer.url_match,
        max_cache_size=0,
    )
    patterns, replacements = {}, {}
    for case, parts in tokenizer.rules.items():
        found = (tokenizer.find_prefix, tokenizer.find_infix, tokenizer.find_suffix)
        if not tokenizer.faster_heuristics or " " in case or any(find(case) for find in found):
            patterns[case] = [token.text for token in plain(case)]
            replacements[case] = [part[ORTH] for part in parts]
    return SpecialCaseLinks(patterns, replacements)
