"""What spaCy's tokenizer of a language is made of, and what follows from it about chunks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from tabtext.errors import ParameterError
from tabtext.text.words.letters import ignores_letters
from tabtext.text.words.special_cases import SpecialCaseLinks

__all__ = ["SpacyRules", "load_tokenizer", "spacy_rules"]


@dataclass(frozen=True, eq=False)
class SpacyRules:
    """The rules of one language.

    Parameters
    ----------
    tokenizer : callable
        spaCy's own tokenizer.
    links : SpecialCaseLinks
        Which neighbouring chunks its special cases can join.
    by_chunk : bool
        Whether chunks may be cut by themselves. Not for Chinese, Japanese and other languages whose
        tokenizer is not ``spacy.tokenizer.Tokenizer``.
    letters_stay : bool
        Whether a string of letters that is no special case is proved to stay one word.
    """

    tokenizer: Any
    links: SpecialCaseLinks
    by_chunk: bool
    letters_stay: bool

    def keeps_whole(self, chunk: str) -> bool:
        """Whether a chunk is one word, as can be told without asking spaCy."""
        return self.letters_stay and chunk.isalpha() and chunk not in self.tokenizer.rules

    def lean_tokenizer(self) -> Any:
        """Return a tokenizer with the same rules, without what changes nothing about words.

        That is spaCy's cache, the lexical attributes of every new word, and regular expressions
        where they are proved to find nothing. Its vocabulary is empty.
        """
        from spacy.tokenizer import Tokenizer
        from spacy.vocab import Vocab

        def shorter(search: Callable[[str], Any] | None, nothing: Any = None) -> Any:
            if search is None or not self.letters_stay:
                return search
            return lambda string: nothing if string.isalpha() else search(string)

        return Tokenizer(
            Vocab(),
            rules=self.tokenizer.rules,
            prefix_search=shorter(self.tokenizer.prefix_search),
            suffix_search=shorter(self.tokenizer.suffix_search),
            infix_finditer=shorter(self.tokenizer.infix_finditer, nothing=()),
            token_match=shorter(self.tokenizer.token_match),
            url_match=shorter(self.tokenizer.url_match),
            faster_heuristics=self.tokenizer.faster_heuristics,
            max_cache_size=0,
        )


@cache
def spacy_rules(language: str) -> SpacyRules:
    """Return the rules of a language, which are put together once in a process.

    Parameters
    ----------
    language : str
        spaCy's code.

    Raises
    ------
    ParameterError
        If spaCy does not know the language, or needs another package for it.

    Examples
    --------
    >>> rules = spacy_rules("en")
    >>> [rules.keeps_whole(chunk) for chunk in ["word", "cant", "word,"]]
    [True, False, False]
    """
    from spacy.tokenizer import Tokenizer

    tokenizer = load_tokenizer(language)
    if type(tokenizer) is not Tokenizer:
        return SpacyRules(tokenizer, SpecialCaseLinks({}, {}), by_chunk=False, letters_stay=False)
    links = _find_links(tokenizer)
    lines_are_apart = [token.text for token in tokenizer("a\nb")] == ["a", "\n", "b"]
    return SpacyRules(
        tokenizer,
        links,
        by_chunk=lines_are_apart and not links.has_spaces,
        letters_stay=_letters_stay(tokenizer),
    )


def load_tokenizer(language: str) -> Any:
    """Return spaCy's tokenizer of a language, with a vocabulary of its own."""
    import spacy

    try:
        return spacy.blank(language).tokenizer
    except ImportError as error:
        raise ParameterError(
            f"spaCy has no tokenizer for language={language!r} here: {error}"
        ) from error


def _letters_stay(tokenizer: Any) -> bool:
    """Whether a string of letters that is no special case is proved to stay one word.

    What ``token_match`` and ``url_match`` find stays one word in any case.
    """
    searches = (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer)
    patterns = [getattr(search, "__self__", None) for search in searches if search is not None]
    return all(isinstance(pattern, re.Pattern) and ignores_letters(pattern) for pattern in patterns)


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
