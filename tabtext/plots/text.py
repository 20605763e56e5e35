"""Texts whose words are coloured by what they contribute: as HTML, and for the terminal.

Tokens and their contributions go in. What comes out is text as people write it, in which blue words
speak for something and orange ones against it, the more so the stronger the colour.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, INK, ORANGE
from tabtext.text.restoration import restore, without_controls
from tabtext.text.special_tokens import CAPITALISED, FIELD, REPEATED, UPPER, WORD_REPEATED

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["ColouredWord", "coloured_html", "coloured_text", "coloured_words"]

Restore = Callable[[Sequence[str]], str]

_STRONGEST = 0.6  # share of the colour at most: on more of it letters could not be read
_WEAKEST = 0.05  # words with less than this share of the limit have no colour
_WEAKEST_IN_TERMINAL = 0.15  # on a dark one, pale words would shine
_LIMIT_QUANTILE = 0.98  # so that one word out of a hundred does not leave the others pale

_ARGUMENTS = {UPPER: 0, CAPITALISED: 0, REPEATED: 1, WORD_REPEATED: 1}
"""Marks that say how the next word is written -> numbers that stand between."""

_MOST_PIECES = 16  # that are put together to find out what they spell
_MOST_UNPLACED = 5  # that the legend names
_LOOK_AHEAD = 40  # characters in which to find a word that is not where it should be


@dataclass(frozen=True)
class ColouredWord:
    """A word as it is shown, with what all of its tokens contribute together.

    Parameters
    ----------
    before : str
        What stands between the word before and this one: nothing, a space or a new line.
    text : str
        The word; empty for what a reader does not see, such as the end of the text.
    contribution : float
        Sum over its tokens.
    unplaced : str
        How a word is spelled that was not found in the text, where ``text`` is empty; else empty.
    """

    before: str
    text: str
    contribution: float
    unplaced: str = ""


def coloured_words(
    tokens: Sequence[str], contributions: npt.ArrayLike, *, restore: Restore = restore
) -> list[ColouredWord]:
    """Put tokens together to words as people write them.

    Parameters
    ----------
    tokens : sequence of str
        Of one document, marks such as ``xxmaj`` among them.
    contributions : array of float, shape (n_tokens,)
        What ``token_contributions`` returned.
    restore : callable
        The tokenizer's way from tokens back to text.

    Returns
    -------
    list of ColouredWord
        The contributions of a mark and of its word are added up, and none is left out: the sum over
        all words is the sum over all tokens.

    Raises
    ------
    DataError
        If there are more or fewer contributions than tokens, or one is not finite.

    Examples
    --------
    >>> tokens = ["xxbos", "xxmaj", "great", "fun", "xxrep", "3", "!", "xxeos"]
    >>> words = coloured_words(tokens, [0.25, 0.5, 2, 1, 0, 0, 0.5, 0.25])
    >>> [(word.before + word.text, word.contribution) for word in words]
    [('', 0.25), ('Great', 2.5), (' fun', 1.0), ('!!!', 0.5), ('', 0.25)]
    """
    values = np.asarray(contributions, np.float64)
    if values.shape != (len(tokens),):
        raise DataError(
            f"{len(tokens)} tokens and contributions of shape {values.shape}; give one for each"
        )
    if not np.isfinite(values).all():
        raise DataError(f"contribution {int(np.argmin(np.isfinite(values)))} is not finite")
    whole = restore(tokens)
    units = list(_units(tokens))
    words: list[ColouredWord] = []
    written = number = 0
    while number < len(units):
        n_units, text, place = _locate(tokens, units[number:], whole, written, restore)
        begin, end = units[number][0], units[number + n_units - 1][1]
        total = float(values[begin:end].sum())
        number += n_units
        if place is None:
            words.append(ColouredWord("", "", total, unplaced=text))
            continue
        words.append(ColouredWord(whole[written:place], text, total))
        written = place + len(text)
    if whole[written:]:
        words.append(ColouredWord("", whole[written:], 0.0))
    return words


def coloured_html(
    tokens: Sequence[str],
    contributions: npt.ArrayLike,
    *,
    label: str = "",
    limit: float | None = None,
    restore: Restore = restore,
) -> str:
    """Return a text with coloured words as a piece of HTML that needs nothing else.

    Words that speak for it are blue with a solid line below, those against it orange with a dashed
    one; the number itself shows when the pointer rests on a word.

    Parameters
    ----------
    tokens, contributions, restore
        See ``coloured_words``.
    label : str
        What the words speak for, such as the name of a class.
    limit : float, optional
        The contribution that has the full colour; the same for several texts makes them comparable.
        Default: that of nearly the strongest word.

    Returns
    -------
    str
        A ``<figure>``.

    Raises
    ------
    DataError
        If there are more or fewer contributions than tokens, or one is not finite.

    Examples
    --------
    >>> page = coloured_html(["xxmaj", "good", "<", "bad"], [0, 1, 0, -1], label="positive")
    >>> "Good</span> &lt; <span" in page, "speaks against positive" in page
    (True, True)
    """
    words = coloured_words(tokens, contributions, restore=restore)
    limit = _limit_of(words) if limit is None else limit
    body = "".join(escape(without_controls(word.before)) + _span(word, limit) for word in words)
    samples = (
        _span(ColouredWord("", text, sign * limit), limit)
        for text, sign in zip(_legend(label), (1, -1), strict=True)
    )
    return (
        f'<figure style="margin:0;color:{INK};background:#fff;print-color-adjust:exact;'
        '-webkit-print-color-adjust:exact">'
        '<p dir="auto" style="margin:0;line-height:1.9;white-space:pre-wrap;'
        f'overflow-wrap:anywhere">{body}</p>'
        '<figcaption style="margin-top:.6em;font-size:.85em;line-height:1.9;color:'
        f'{INK}">{" &nbsp; ".join(samples)} &nbsp; {escape(_notes(words, limit))}</figcaption>'
        "</figure>"
    )


def coloured_text(
    tokens: Sequence[str],
    contributions: npt.ArrayLike,
    *,
    label: str = "",
    limit: float | None = None,
    restore: Restore = restore,
) -> "Text":
    """Return a text with coloured words for ``rich.console.Console.print``.

    Words that speak for it are on blue and bold, those against it on orange and underlined.

    Parameters
    ----------
    tokens, contributions, label, limit, restore
        See ``coloured_html``.

    Returns
    -------
    rich.text.Text

    Raises
    ------
    DataError
        If there are more or fewer contributions than tokens, or one is not finite.

    Examples
    --------
    >>> print(coloured_text(["xxmaj", "good", ",", "not", "bad"], [0, 1, 0, 0.5, -1]))
    Good, not bad
    <BLANKLINE>
     raises the output   lowers the output  full colour from 1 on
    """
    from rich.text import Text

    words = coloured_words(tokens, contributions, restore=restore)
    limit = _limit_of(words) if limit is None else limit
    text = Text()
    for word in words:
        text.append(without_controls(word.before))
        text.append(without_controls(word.text), style=_style(word.contribution, limit))
    text.append("\n\n")
    for name, sign in zip(_legend(label), (1, -1), strict=True):
        text.append(f" {without_controls(name)} ", style=_style(sign * limit, limit))
        text.append(" ")
    text.append(_notes(words, limit))
    return text


# -- words -----------------------------------------------------------------------------------


def _units(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where each word begins and ends, the marks before it included."""
    begin = 0
    while begin < len(tokens):
        end = begin
        if tokens[begin] == FIELD:
            end += 1
        while end < len(tokens) and tokens[end] in _ARGUMENTS:
            end += 1 + _ARGUMENTS[tokens[end]]
        end = min(end + 1, len(tokens))
        yield begin, end
        begin = end


def _locate(
    tokens: Sequence[str],
    units: Sequence[tuple[int, int]],
    whole: str,
    begin: int,
    restore: Restore,
) -> tuple[int, str, int | None]:
    """How many units make the next word that can be found, how it is spelled, and where it stands.

    Pieces of sub-words may end within a character; until it is whole, they are spelled U+FFFD.
    """
    first = units[0][0]
    alone = restore(tokens[first : units[0][1]])
    if not alone:  # a mark that nobody sees, such as that of the beginning
        return 1, "", None
    n_tried = _MOST_PIECES if "\ufffd" in alone else 1
    for n_units, (_, end) in enumerate(units[:n_tried], start=1):
        text = alone if n_units == 1 else restore(tokens[first:end])
        place = _find(text, whole, begin)
        if place is not None:
            return n_units, text, place
    place = whole.find(alone, begin, begin + _LOOK_AHEAD + len(alone))
    return 1, alone, None if place < 0 else place


def _find(text: str, whole: str, begin: int) -> int | None:
    """Where a word stands, if it is the next one."""
    if whole.startswith(text, begin):
        return begin
    while begin < len(whole) and whole[begin].isspace():
        begin += 1
    return begin if whole.startswith(text, begin) else None


# -- colours and legend ----------------------------------------------------------------------


def _limit_of(words: Sequence[ColouredWord]) -> float:
    strengths = [abs(word.contribution) for word in words if word.text]
    if not strengths:
        return 1.0
    return float(np.quantile(strengths, _LIMIT_QUANTILE, method="higher")) or 1.0


def _share(contribution: float, limit: float) -> float:
    """How much of the colour a contribution has, in [0, 1]."""
    return min(abs(contribution) / limit, 1.0)


def _mixed(colour: str, share: float) -> str:
    """A colour with so much of it in white."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)


def _span(word: ColouredWord, limit: float) -> str:
    text, share = escape(without_controls(word.text)), _share(word.contribution, limit)
    if share < _WEAKEST or not text:
        return text
    colour, line = (BLUE, "solid") if word.contribution > 0 else (ORANGE, "dashed")
    return (
        f'<span title="{word.contribution:+.3g}" style="background:'
        f"{_mixed(colour, _STRONGEST * share)};border-bottom:2px {line} {_mixed(colour, share)};"
        f'padding:0 .1em">{text}</span>'
    )


def _style(contribution: float, limit: float) -> str:
    share = _share(contribution, limit)
    if share < _WEAKEST_IN_TERMINAL:
        return ""
    colour, line = (BLUE, "bold") if contribution > 0 else (ORANGE, "underline")
    return f"{line} {INK} on {_mixed(colour, _STRONGEST * share)}"


def _legend(label: str) -> tuple[str, str]:
    if not label:
        return "raises the output", "lowers the output"
    return f"speaks for {label}", f"speaks against {label}"


def _notes(words: Sequence[ColouredWord], limit: float) -> str:
    """What colours cannot say."""
    notes = [f"full colour from {limit:.3g} on"]
    marks = sum(word.contribution for word in words if not word.text and not word.unplaced)
    if abs(marks) >= _WEAKEST * limit:
        notes.append(f"beginning and end of the text add {marks:+.3g}")
    if unplaced := [word for word in words if word.unplaced]:
        shown = ", ".join(without_controls(word.unplaced) for word in unplaced[:_MOST_UNPLACED])
        more = ", ..." if len(unplaced) > _MOST_UNPLACED else ""
        total = sum(word.contribution for word in unplaced)
        notes.append(f"not found in the text: {shown}{more}, which add {total:+.3g}")
    return "; ".join(notes)
