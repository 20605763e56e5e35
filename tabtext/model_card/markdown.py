"""A model's card as the README.md of its directory, in the format of Hugging Face model cards."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabtext.model_card.content import ModelCard, Section, Table

__all__ = ["escaped", "front_matter", "to_markdown"]

_PLAIN = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
"""Text that YAML needs no quotes for, and that is none of its other values."""
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
# Underscores within words mean nothing to Markdown, and names of columns have many.
_MARKS = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])")
_MARKS_OF_A_LINE = re.compile(r"^(\s*)([#+\-=]|\d+(?=[.)]))")


def to_markdown(card: ModelCard) -> str:
    """Return the text of README.md.

    Parameters
    ----------
    card : ModelCard
        What ``card_of`` returns.

    Examples
    --------
    >>> card = ModelCard("sales", "TabularRegressor for net_sales", ["10 parameters"], [])
    >>> print(to_markdown(card))
    # sales
    <BLANKLINE>
    A TabularRegressor for net_sales, made with tabtext: 10 parameters.
    <BLANKLINE>
    """
    article = "An" if card.purpose[:1] in "AEIOU" else "A"
    facts = escaped(", ".join(card.facts))
    parts = [
        *([front_matter(card.metadata)] if card.metadata else []),
        f"# {escaped(card.name)}",
        f"{article} {escaped(card.purpose)}, made with tabtext: {facts}.",
        *(part for section in card.sections for part in _section(section)),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""Return text on one line that Markdown shows as it is.

    Parameters
    ----------
    text : str
        May come from data: a name of a column, a class, a reason.

    Examples
    --------
    >>> print(escaped("a|b [x](y) net_sales _odd_"))
    a\|b \[x\](y) net_sales \_odd\_
    """
    line = " ".join(_encodable(text).split())
    return _MARKS.sub(lambda mark: "\\" + mark[0], line)


def front_matter(values: Mapping[str, Any]) -> str:
    """Return YAML between its lines of dashes.

    Parameters
    ----------
    values : mapping
        Of text, finite numbers, and lists and mappings of these.

    Examples
    --------
    >>> print(front_matter({"tags": ["tabtext", "a: b"], "rows": 3}))
    ---
    tags:
    - tabtext
    - "a: b"
    rows: 3
    ---
    """
    return "\n".join(["---", *_yaml(values), "---"])


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    if section.text:
        yield "\n".join(map(_line, section.text.splitlines()))
    if section.points:
        yield "\n".join(f"- {_line(point)}" for point in section.points)
    if section.table is not None and section.table.rows:
        yield _table(section.table)
    if section.code:
        yield f"```python\n{section.code}\n```"


def _table(table: Table) -> str:
    head = table.head or [""] * len(table.rows[0])
    lines = [_cells(head), _cells(["---"] * len(head), plain=True), *map(_cells, table.rows)]
    return "\n".join(lines)


def _cells(cells: Sequence[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cell if plain else escaped(cell) for cell in cells)} |"


def _line(text: str) -> str:
    """A line of running text, which is no heading, list or rule, however it begins."""
    return _MARKS_OF_A_LINE.sub(_escaped_beginning, escaped(text))


def _escaped_beginning(mark: re.Match[str]) -> str:
    """A number would begin a list by the dot behind it, all else by itself."""
    space, beginning = mark.groups()
    return f"{space}{beginning}\\" if beginning.isdigit() else f"{space}\\{beginning}"


# -- YAML ------------------------------------------------------------------------------------------


def _yaml(value: Any) -> list[str]:
    """Lines of a mapping or a list."""
    lines: list[str] = []
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if isinstance(entry, Mapping | list):
                indent = "" if isinstance(entry, list) else "  "
                lines += [f"{_scalar(key)}:", *(indent + line for line in _yaml(entry))]
            else:
                lines.append(f"{_scalar(key)}: {_scalar(entry)}")
        return lines
    for entry in value:
        first, *others = _yaml(entry) if isinstance(entry, Mapping | list) else [_scalar(entry)]
        lines += [f"- {first}", *(f"  {line}" for line in others)]
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        # In YAML 1.1 a number with an exponent needs a point.
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value) and value not in _NOT_TEXT:
        return value
    return '"' + "".join(map(_quoted, _encodable(value))) + '"'


def _quoted(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08X}"


def _encodable(text: str) -> str:
    """Half of a surrogate pair, as an undecodable name of a directory has it, cannot be written."""
    return text.encode("utf-8", "replace").decode("utf-8")
