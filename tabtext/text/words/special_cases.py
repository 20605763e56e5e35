"""Where spaCy's special cases can reach from one white-space chunk into the next.

spaCy cuts every chunk by itself, then looks for its special cases (``:)``, ``e.g.``, ``it's``) in
the whole document, as sequences of tokens. So ``:`` at the end of one chunk and ``)`` at the begin
of the next are found too, as one match, which replaces nothing, since the text in between has a
space, but hides shorter matches that overlap with it. Two neighbours can be in one match only if
the last token of the first and the first token of the second are neighbours in a special case.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

__all__ = ["SpecialCaseLinks"]


class SpecialCaseLinks:
    """Tell which chunks must be cut together, by their first and last tokens.

    Parameters
    ----------
    patterns : mapping of str to sequence of str
        For every special case that spaCy looks for in whole documents, the tokens that it is found
        by: those that the tokenizer makes of it without special cases.
    replacements : mapping of str to sequence of str
        For each of them, the tokens that it is replaced with.

    Attributes
    ----------
    linked : bool array of shape (classes of last tokens, classes of first tokens)
        Whether a match can reach from a chunk into the next. Class 0 has all the tokens that can
        be in no such match.
    has_spaces : bool
        Whether white space is part of a special case, so that chunks mean nothing.

    Examples
    --------
    >>> links = SpecialCaseLinks({":)": [":", ")"]}, {":)": [":)"]})
    >>> bool(links.linked[links.last_class(":"), links.first_class(")")])
    True
    >>> links.last_class("word"), links.first_class(":")
    (0, 0)
    """

    linked: npt.NDArray[np.bool_]

    def __init__(
        self, patterns: Mapping[str, Sequence[str]], replacements: Mapping[str, Sequence[str]]
    ) -> None:
        pairs = {pair for pattern in patterns.values() for pair in pairwise(pattern)}
        self.has_spaces = any(token.isspace() for pair in pairs for token in pair)
        last = _before_replacing(patterns, replacements, end=-1)
        first = _before_replacing(patterns, replacements, end=0)
        last = {token: before & {a for a, _ in pairs} for token, before in last.items()}
        first = {token: before & {b for _, b in pairs} for token, before in first.items()}
        self._last = _numbered(token for token, before in last.items() if before)
        self._first = _numbered(token for token, before in first.items() if before)
        self.linked = np.zeros((len(self._last) + 1, len(self._first) + 1), np.bool_)
        for left, row in self._last.items():
            for right, column in self._first.items():
                met = product(last[left], first[right])
                self.linked[row, column] = any(pair in pairs for pair in met)

    def last_class(self, token: str) -> int:
        """Return the class of a chunk's last token: a row of ``linked``."""
        return self._last.get(token, 0)

    def first_class(self, token: str) -> int:
        """Return the class of a chunk's first token: a column of ``linked``."""
        return self._first.get(token, 0)


def _before_replacing(
    patterns: Mapping[str, Sequence[str]], replacements: Mapping[str, Sequence[str]], *, end: int
) -> dict[str, set[str]]:
    """For every token at an end of a chunk, what may have stood there before replacing.

    Either the token itself, or the end of a special case that was replaced: only the tokens after
    the replacing are seen, the matches are made with those before.
    """
    before = {token: {token} for pattern in patterns.values() for token in pattern}
    for case, pattern in patterns.items():
        token = replacements[case][end]
        before.setdefault(token, {token}).add(pattern[end])
    return before


def _numbered(tokens: Iterable[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens, start=1)}
