"""Proof, from a compiled pattern, that it finds nothing in strings of letters only.

A third of the distinct words of a corpus are letters only. If no rule of a language's tokenizer can
find anything in such a string, it is one token, and spaCy need not be asked.
"""

import re
from typing import Any

try:
    from re import _parser  # type: ignore[attr-defined]  # parses, and documents, the syntax of re
except ImportError:  # pragma: no cover - another Python than CPython, or a later one
    _parser = None

__all__ = ["ignores_letters"]

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def ignores_letters(pattern: re.Pattern[str]) -> bool:
    """Whether a pattern can be proved to match nowhere in any string ``s`` with ``s.isalpha()``.

    A match needs each element of the pattern; one element that no letter satisfies rules it out.
    Where the proof would need more than that, the answer is False.

    Parameters
    ----------
    pattern
        A compiled pattern of the standard library.

    Examples
    --------
    >>> ignores_letters(re.compile(r"(?<=[0-9])km$|'s$|[.,]+"))
    True
    >>> ignores_letters(re.compile(r"km$")), ignores_letters(re.compile(r"[.,]*"))
    (False, False)
    """
    if _parser is None or pattern.flags & re.IGNORECASE:
        return False  # without regard to case, a sign may match a letter
    return not _may_match(_parser.parse(pattern.pattern, pattern.flags))


def _may_match(elements: Any) -> bool:
    return all(_element_may_match(str(name), value) for name, value in elements)


def _element_may_match(name: str, value: Any) -> bool:
    if name == "LITERAL":
        return chr(value).isalpha()
    if name == "IN":
        return any(_item_may_match(str(item), content) for item, content in value)
    if name == "BRANCH":
        return any(map(_may_match, value[1]))
    if name == "SUBPATTERN":
        _, added_flags, _, content = value
        return bool(added_flags) or _may_match(content)
    if name == "ASSERT":  # looks at other letters of the same string, or at nothing
        return _may_match(value[1])
    if name in _REPEATS:
        least, _, repeated = value
        return least == 0 or _may_match(repeated)
    return True


def _item_may_match(name: str, content: Any) -> bool:
    """Whether an item between brackets may stand for a letter; a negation counts as yes."""
    if name == "LITERAL":
        return chr(content).isalpha()
    if name == "RANGE":
        first, last = content
        return any(chr(code).isalpha() for code in range(first, last + 1))
    return not (name == "CATEGORY" and str(content) in ("CATEGORY_DIGIT", "CATEGORY_SPACE"))
