"""The clean-ups around spaCy: rules for texts before it, rules for words after it.

Most rules for texts look at one word and its neighbouring characters at a time, so that they give
the same for a whole text and for each of the pieces between its white space. ``WordTokenizer`` uses
that: ``clean_document`` goes over every text, ``clean_pieces`` over every distinct piece once.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tabtext.errors import ArtifactError
from tabtext.text.special_tokens import CAPITALISED, REPEATED, SPECIAL_TOKENS, UNKNOWN, UPPER

__all__ = ["CHARACTER_MARK", "TextRules", "is_countable"]

CHARACTER_MARK = "\ufdd0"
"""Stands before number and character until spaCy is through; afterwards it is ``xxrep``.

Unicode keeps U+FDD0 out of texts, for uses like this one. Where a text has it all the same, it
becomes U+FFFD, so that nobody writes a control token by hand.
"""

_LINES = re.compile(
    r"</?(?:br|p|div|hr|li|ul|ol|dl|dt|dd|tr|table|blockquote|pre|h[1-6])\b[^<>]*>", re.IGNORECASE
)
_MARKUP = re.compile(
    r"</?(?:a|abbr|b|big|center|cite|code|em|font|i|img|q|s|small|span|strike|strong|sub|sup|td|th"
    r"|tt|u)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_SPACES = re.compile(r"\s+")
# Digits are left alone: the year 2000 shouts at nobody.
_REPEATED = re.compile(r"([^\s\d])\1{2,}")
_REPEATED_IN_A_ROW = re.compile(r"(?:([^\s\d])\1{2,})+")
_BESIDE_SEPARATORS = re.compile(r"(?<=\S)(?=[/#\\])|(?<=[/#\\])(?=\S)")


@dataclass(frozen=True, kw_only=True)
class TextRules:
    r"""Which clean-ups run: rules for texts, in this order, then spaCy, then rules for words.

    Parameters
    ----------
    html : bool
        Leftovers of HTML: tags that end a line (``<br />``, ``<p>``, ``</li>`` ...) become line
        breaks, those for looks (``<i>``, ``<a href=...>`` ...) vanish, ``<unk>``, with which some
        corpora spell unknown words, becomes the unknown token. Other angle brackets stay.
    entities : bool
        ``&amp;`` and other entities of HTML become the characters they stand for.
    repeated_characters : bool
        A character three or more times in a row, digits excepted, becomes ``xxrep``, the number and
        the character: ``soooo`` is ``s xxrep 4 o``.
    separators : bool
        Spaces go around ``/``, ``#`` and ``\``.
    spaces : bool
        White space with a line break in it becomes one line break, which is a token, other white
        space one space; at both ends of a text it vanishes.
    repeated_words : bool
        A word three or more times in a row, written alike, becomes ``xxwrep``, the number and the
        word: ``very very very`` is ``xxwrep 3 very``. Words have a letter or a digit.
    upper : bool
        ``xxup`` goes before a word of two or more capitals and no small letter, which is
        lower-cased: ``NATO`` is ``xxup nato``.
    capitalised : bool
        ``xxmaj`` goes before any other word that begins with a capital, which is lower-cased:
        ``McDonald`` is ``xxmaj mcdonald``. A single capital, such as ``I``, counts: the language
        model soon knows that ``i`` follows ``xxmaj``, and ``A`` at the begin of a sentence comes
        back as it was.
    lower : bool
        All other words are lower-cased too.

    Notes
    -----
    Whatever the rules, a word that is spelled like a special token, ``xxbos`` for example, becomes
    ``xxunk``: a text cannot write control tokens.

    Examples
    --------
    >>> TextRules().clean("Soooo good!<br /><br />And/or  bad&hellip;").replace("\ufdd0", "@")
    'S @ 4 o good!\nAnd / or bad…'
    >>> TextRules().mark("NATO"), TextRules(upper=False).mark("NATO")
    (('xxup', 'nato'), ('nato',))
    >>> TextRules.none().mark("NATO")
    ('NATO',)
    """

    html: bool = True
    entities: bool = True
    repeated_characters: bool = True
    separators: bool = True
    spaces: bool = True
    repeated_words: bool = True
    upper: bool = True
    capitalised: bool = True
    lower: bool = True

    @classmethod
    def none(cls) -> "TextRules":
        """Return rules that are all switched off."""
        return cls(**dict.fromkeys((field.name for field in fields(cls)), False))

    def clean(self, text: str) -> str:
        """Apply all rules for texts; U+FDD0 stands for ``xxrep``."""
        text = self.clean_document(text)
        if self.spaces:
            text = _SPACES.sub(_one_space, text.strip())
        return self.clean_pieces(text)

    def clean_document(self, text: str) -> str:
        """Apply the rules that need the whole text: HTML and entities."""
        if self.html and "<" in text:
            text = text.replace("<br />", "\n")
            if "<" in text:
                text = _MARKUP.sub("", _LINES.sub("\n", text)).replace("<unk>", f" {UNKNOWN} ")
        if self.entities and "&" in text:
            text = html.unescape(text)
        return text

    def clean_pieces(self, text: str) -> str:
        """Apply the rules that only look around within a piece between white space.

        They put white space inside pieces, never at their ends.

        Examples
        --------
        >>> TextRules().clean_pieces("and/or #hello").split()
        ['and', '/', 'or', '#', 'hello']
        """
        if self.repeated_characters:
            text = text.replace(CHARACTER_MARK, "\ufffd")
            text = _REPEATED_IN_A_ROW.sub(_counted, text)
        if self.separators:
            text = _BESIDE_SEPARATORS.sub(" ", text)
        return text

    def mark(self, word: str) -> tuple[str, ...]:
        """Return the one or two tokens of a word."""
        if word == CHARACTER_MARK and self.repeated_characters:
            return (REPEATED,)
        lowered = word.lower()
        if lowered in SPECIAL_TOKENS:
            return (UNKNOWN,)
        if lowered == word:
            return (word,)
        if word.isupper() and sum(map(str.isupper, word)) > 1:
            if self.upper:
                return (UPPER, lowered)
        elif self.capitalised and word[0] != lowered[0]:
            return (CAPITALISED, lowered)
        return (lowered if self.lower else word,)

    def to_dict(self) -> dict[str, bool]:
        """Return every rule's name and whether it runs."""
        return asdict(self)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "TextRules":
        """Return the rules that ``to_dict`` described.

        Raises
        ------
        ArtifactError
            If a rule is missing, unknown, or neither on nor off.

        Examples
        --------
        >>> TextRules.from_dict(TextRules.none().to_dict()) == TextRules.none()
        True
        """
        names = {field.name for field in fields(cls)}
        if wrong := names.symmetric_difference(description):
            raise ArtifactError(
                f"text rules must name each of {', '.join(sorted(names))}; missing or unknown: "
                f"{', '.join(map(repr, sorted(wrong, key=str)))}"
            )
        if wrong := {name for name in names if not isinstance(description[name], bool)}:
            name = min(wrong)
            raise ArtifactError(
                f"a text rule is true or false, however: {name}={description[name]!r}"
            )
        return cls(**description)


def is_countable(word: str) -> bool:
    """Whether repetitions of a word are counted: it has a letter or a digit.

    Examples
    --------
    >>> is_countable("n't"), is_countable("-")
    (True, False)
    """
    return any(map(str.isalnum, word))


def _one_space(run: re.Match[str]) -> str:
    return "\n" if "\n" in run[0] or "\r" in run[0] else " "


def _counted(run: re.Match[str]) -> str:
    """Repeated characters as mark, number, character, with spaces around them where needed."""
    text, begin, end = run.string, run.start(), run.end()
    before = " " if begin > 0 and not text[begin - 1].isspace() else ""
    after = " " if end < len(text) and not text[end].isspace() else ""
    counted = (f"{CHARACTER_MARK} {len(m[0])} {m[1]}" for m in _REPEATED.finditer(run[0]))
    return before + " ".join(counted) + after
