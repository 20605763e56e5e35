"""Tokens back to readable text: marks undone, and spaces where a reader expects them.

Tokens do not say where spaces were, so the text is not always the one that was tokenized: ``-``
between words is taken for a hyphen (in reviews four of five are), straight quotation marks open and
close in turn.
"""

from collections.abc import Iterator, Sequence
from unicodedata import category

from tabtext.text.special_tokens import (
    BEGIN,
    CAPITALISED,
    END,
    FIELD,
    PADDING,
    REPEATED,
    UPPER,
    WORD_REPEATED,
)

__all__ = ["restore", "without_controls"]

_MOST_REPEATS = 10_000
"""A language model may write any number; a longer run than this is left out."""

_AFTER_A_WORD = frozenset(".,;:!?%)]}…”’»°™®。，、！？；：")  # noqa: RUF001
_BEFORE_A_WORD = frozenset("([{“‘«$£€#@¿¡")  # noqa: RUF001
_BETWEEN_WORDS = frozenset("/\\_–—")  # noqa: RUF001
_APOSTROPHES = "'’"  # noqa: RUF001
_NOT = ("n't", "n’t")  # noqa: RUF001
_JOINED = frozenset(
    [("gon", "na"), ("wan", "na"), ("got", "ta"), ("gim", "me"), ("lem", "me"), ("ca", "nt")]
    + [(verb, "nt") for verb in ("do", "did", "does", "have", "has", "had", "is", "was", "were")]
    + [(verb, "nt") for verb in ("are", "wo", "would", "could", "should")]
)
"""What spaCy cuts in two although nothing in the writing says so."""


def restore(tokens: Sequence[str]) -> str:
    """Return readable text.

    Parameters
    ----------
    tokens : sequence of str
        Tokens of ``WordTokenizer``, or of a language model that learned from them: marks without
        anything that they could stand for are left out.

    Returns
    -------
    str
        Capitals and repetitions are back, ``xxbos``, ``xxeos`` and ``xxpad`` are gone, ``xxfld``
        and its number begin a new line; ``xxunk`` stays.

    Examples
    --------
    >>> restore("xxbos xxmaj it 's a well - made film , xxwrep 3 very good xxrep 3 ! xxeos".split())
    "It's a well-made film, very very very good!!!"
    """
    pieces: list[str] = []
    spacing = _Spacing()
    for word, is_run in _words(tokens):
        if pieces and spacing.is_space_before(word, is_run=is_run):
            pieces.append(" ")
        pieces.append(word)
        spacing.pass_over(word)
    return "".join(pieces).strip()


def without_controls(text: str) -> str:
    r"""Return a text whose control characters, which could steer a terminal, are U+FFFD.

    Line breaks and tabs stay.

    Examples
    --------
    >>> without_controls("red:\x1b[31m\n").encode()
    b'red:\xef\xbf\xbd[31m\n'
    """
    if text.isprintable():
        return text
    return "".join("\ufffd" if category(c) == "Cc" and c not in "\n\t" else c for c in text)


def _words(tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Undo the marks; for every word, tell whether it is one character repeated."""
    upper = capitalised = False
    repeats, of_a_word = 1, False
    place = 0
    while place < len(tokens):
        token = tokens[place]
        place += 1
        following = tokens[place] if place < len(tokens) else ""
        if token in ("", BEGIN, END, PADDING):
            continue
        if token == FIELD:
            place += _is_number(following)
            yield "\n", False
        elif token in (UPPER, CAPITALISED):
            upper, capitalised = token == UPPER, token == CAPITALISED
        elif token in (REPEATED, WORD_REPEATED):
            repeats, of_a_word = 1, token == WORD_REPEATED
            if _is_number(following):
                place += 1
                repeats = int(following)
        else:
            word = token.upper() if upper else token
            if capitalised:
                word = token[:1].upper() + token[1:]
            if of_a_word:
                yield from [(word, False)] * repeats
            else:
                yield word * repeats, repeats > 1
            upper = capitalised = of_a_word = False
            repeats = 1


def _is_unspaced(character: str) -> bool:
    """Whether a character is of Chinese or Japanese writing."""
    return "\u3001" <= character <= "\u9fff" or character >= "\U00020000"


def _is_number(token: str) -> bool:
    return token.isdecimal() and len(token) < 9 and int(token) <= _MOST_REPEATS


class _Spacing:
    """What a text so far says about the space before its next word."""

    def __init__(self) -> None:
        self._previous = ""
        self._glued = True  # nothing goes between the last word and the next one
        self._open_quotes: set[str] = set()

    def is_space_before(self, word: str, *, is_run: bool) -> bool:
        """Whether a space goes between the last word and this one."""
        if self._glued or word.isspace():
            return False
        previous, first = self._previous, word[0]
        if (previous.lower(), word.lower()) in _JOINED or word.lower() in _NOT:
            return False
        if first in _APOSTROPHES and len(word) > 1 and word[1:].isalpha():  # 's, 're, 'll
            return not previous[-1].isalnum()
        if first in _BETWEEN_WORDS and word == first * len(word):
            return False
        if word == "-":
            return not previous[-1].isalnum()
        if _is_unspaced(previous[-1]) and _is_unspaced(first):
            return False
        if word in ("'", '"'):
            return not (word in self._open_quotes or self._is_possessive(word))
        if is_run and word.isalpha():  # s + oooo, but part + III
            return not previous.isalpha() or (word.isupper() and not previous[-1].isupper())
        return not (first in _AFTER_A_WORD and set(word) <= _AFTER_A_WORD)

    def pass_over(self, word: str) -> None:
        """Take note of a word that was written."""
        if word.isspace():
            self._glued = True
            self._open_quotes.clear()
        elif word in ("'", '"') and not self._is_possessive(word):
            self._glued = word not in self._open_quotes
            self._open_quotes ^= {word}
        else:
            after_word = bool(self._previous) and self._previous[-1].isalnum()
            is_hyphen = word == "-" and after_word
            self._glued = is_hyphen or (
                word == word[0] * len(word) and word[0] in _BEFORE_A_WORD | _BETWEEN_WORDS
            )
        self._previous = word

    def _is_possessive(self, word: str) -> bool:
        """Whether an apostrophe belongs to the plural before it: ``the parents' house``."""
        before = self._previous.lower()
        return (
            word == "'"
            and len(before) > 3
            and before.endswith(("s", "in"))  # parents', nothin'
            and before != "this"
            and word not in self._open_quotes
        )
