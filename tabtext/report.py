"""One HTML file that shows a fit: no network, no scripts, readable on a phone and on paper.

A report is a list of sections; a section holds paragraphs, facts, pictures, tables and excerpts.
Everything that comes from the data is escaped.
"""

import base64
import io
import math
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tabtext.errors import ParameterError, SaveError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Excerpt", "Picture", "Section", "Table", "write_report"]


@dataclass(frozen=True)
class Picture:
    """A picture with a caption.

    Parameters
    ----------
    caption : str
        What is to be seen; also read aloud to those who cannot see it.
    axes : Axes
        What a function of ``tabtext.plots`` returned.
    """

    caption: str
    axes: "Axes"


@dataclass(frozen=True)
class Table:
    """A table. Columns of numbers stand to the right and share their number of decimals.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : sequence of sequences
        Cells: text, whole numbers, floats, or None for nothing; as many in each row as in ``head``.
    caption : str
        What the table shows.

    Raises
    ------
    ParameterError
        If a row has more or fewer cells than the head.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ParameterError(
                    f"a row of {len(row)} cells in a table of {len(self.head)} columns: {row!r}"
                )


@dataclass(frozen=True)
class Excerpt:
    """A text from the data, with coloured words.

    Parameters
    ----------
    caption : str
        What is said about the text.
    html : str
        What ``tabtext.plots.coloured_html`` made of it; it is not escaped again.
    """

    caption: str
    html: str


@dataclass(frozen=True)
class Section:
    """A heading with what belongs to it: text, then facts, pictures, tables and excerpts.

    Parameters
    ----------
    title : str
        The heading, also in the list of links at the top.
    text : sequence of str
        Paragraphs.
    tables : sequence of Table
        Tables, beside each other where there is room.
    pictures : sequence of Picture
        Pictures, two beside each other where there is room.
    facts : mapping
        Name -> short value, shown side by side.
    excerpts : sequence of Excerpt
        Texts with coloured words, below each other.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    excerpts: Sequence[Excerpt] = ()


def write_report(
    path: str | Path, title: str, sections: Sequence[Section], *, text: Sequence[str] = ()
) -> None:
    """Write a report, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    title : str
        Its heading.
    sections : sequence of Section
        Its content.
    text : sequence of str
        Paragraphs below the heading, before the sections.

    Raises
    ------
    SaveError
        If writing fails; an older file stays as it was.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> table = Table(("model", "RMSE"), [("tabtext", 14.95), ("<mean>", 44.1)])
    >>> write_report(folder / "report.html", "Flights", [Section("Metrics", tables=[table])])
    >>> "&lt;mean&gt;" in (folder / "report.html").read_text()
    True
    """
    path = Path(path)
    body = "\n".join(_section(section, f"s{n}") for n, section in enumerate(sections))
    links = " ".join(
        f'<a href="#s{number}">{escape(section.title)}</a>'
        for number, section in enumerate(sections)
    )
    introduction = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in text)
    html = _PAGE.format(
        title=escape(title), style=_STYLE, text=introduction, links=links, body=body
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            # Names from damaged files may hold what no encoding can write.
            with os.fdopen(handle, "w", encoding="utf-8", errors="xmlcharrefreplace") as file:
                file.write(html)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise SaveError(f"{path} was not written: {error}; nothing half-written is left") from error


def _section(section: Section, anchor: str) -> str:
    parts = [f'<section id="{anchor}"><h2>{escape(section.title)}</h2>']
    parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.text]
    if section.facts:
        facts = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(_cell(value))}</dd></div>"
            for name, value in section.facts.items()
        )
        parts.append(f"<dl>{facts}</dl>")
    for kind, blocks in (
        ("pictures", [_picture(picture) for picture in section.pictures]),
        ("tables", [_table(table) for table in section.tables]),
        ("excerpts", [_excerpt(excerpt) for excerpt in section.excerpts]),
    ):
        if blocks:
            parts += [f'<div class="{kind}">', *blocks, "</div>"]
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    """A table in a box that scrolls sideways where the screen is too narrow."""
    columns = [[row[number] for row in table.rows] for number in range(len(table.head))]
    marks = [' class="number"' if _is_numeric(cells) else "" for cells in columns]
    texts = [_cells(cells) for cells in columns]
    head = "".join(
        f'<th scope="col"{mark}>{escape(name)}</th>'
        for name, mark in zip(table.head, marks, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{mark}>{escape(cells[row])}</td>" for cells, mark in zip(texts, marks, strict=True)
        )
        + "</tr>"
        for row in range(len(table.rows))
    )
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    caption = escape(picture.caption)
    return (
        f'<figure><img src="data:image/png;base64,{_png(picture.axes)}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _excerpt(excerpt: Excerpt) -> str:
    return f"<div><p>{escape(excerpt.caption)}</p>{excerpt.html}</div>"


def _png(axes: "Axes") -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    # Twice the size at which it is shown, for sharp screens and paper.
    FigureCanvasAgg(cast("Figure", axes.figure)).print_figure(buffer, format="png", dpi=160)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _is_number(cell: Any) -> bool:
    return isinstance(cell, Real) and not isinstance(cell, bool)


def _is_numeric(cells: Sequence[Any]) -> bool:
    """Whether a column holds numbers, percentages and gaps alone."""
    return all(
        cell is None or _is_number(cell) or re.fullmatch(r"-?[\d.,]+ ?%", str(cell))
        for cell in cells
    )


def _cells(cells: Sequence[Any]) -> list[str]:
    """The cells of one column as text; floats with the decimals that its largest number needs."""
    floats = [float(cell) for cell in cells if _is_number(cell) and not isinstance(cell, Integral)]
    largest = max((abs(number) for number in floats if math.isfinite(number)), default=1.0)
    decimals = 3 - math.floor(math.log10(largest)) if largest > 0 else 0
    # Four digits of the largest; where that takes too many zeros, each number for itself.
    form = f",.{max(decimals, 0)}f" if decimals <= 6 else ".3g"
    return [_cell(cell, form) for cell in cells]


def _cell(cell: Any, form: str = ",.4g") -> str:
    if cell is None or cell != cell:
        return "-"
    if not _is_number(cell):
        return str(cell)
    return f"{int(cell):,}" if isinstance(cell, Integral) else f"{float(cell):{form}}"


_STYLE = """
:root { --ink: #20242b; --soft: #5b626d; --line: #e1e4e8; --page: #ffffff; --mark: #0072b2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 68rem; padding: 1.2rem 1rem 3rem; color: var(--ink);
  background: var(--page); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1, h2, figcaption, caption, dd { overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.4rem 0 .6rem; padding-top: .8rem;
  border-top: 2px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
nav { margin: .6rem 0 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; }
nav a { color: var(--mark); padding: .25rem 0; overflow-wrap: anywhere; }
dl { display: grid; gap: .6rem 1rem; margin: .9rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 9.6rem), 1fr)); }
dt { color: var(--soft); font-size: .85rem; line-height: 1.3; overflow-wrap: anywhere; }
dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.pictures { display: grid; gap: 1.4rem 2rem; margin: .9rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; max-width: 32rem; break-inside: avoid; }
img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .2rem; }
.excerpts { max-width: 46rem; }
.excerpts > div { break-inside: avoid; border-top: 1px solid var(--line); padding: .4rem 0 .6rem; }
.excerpts > div > p { color: var(--soft); font-size: .9rem; margin: 0; }
.excerpts figure { max-width: none; }
.tables { display: flex; flex-wrap: wrap; align-items: flex-start; gap: .4rem 3rem; }
/* A shadow at an edge of the box says that the table goes on there. */
.scroll { max-width: 100%; overflow-x: auto; margin: .5rem 0; background:
  linear-gradient(90deg, var(--page) 40%, transparent) 0 0 / 2rem 100% no-repeat local,
  linear-gradient(270deg, var(--page) 40%, transparent) 100% 0 / 2rem 100% no-repeat local,
  linear-gradient(90deg, rgb(0 0 0 / .18), transparent) 0 0 / .7rem 100% no-repeat scroll,
  linear-gradient(270deg, rgb(0 0 0 / .18), transparent) 100% 0 / .7rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; max-width: 24rem; overflow-wrap: break-word; }
td:last-child:not(.number) { min-width: 9rem; }
th:last-child, td:last-child { padding-right: .2rem; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 30rem) { table { font-size: .8rem; } th, td { padding-right: .5rem;
  max-width: 16rem; } h1 { font-size: 1.45rem; } }
@media print { nav { display: none; } body { max-width: none; padding: 0; font-size: 10.5pt; }
  .scroll { overflow: visible; background: none; } table { width: auto; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; } thead { display: table-header-group; }
  .pictures { grid-template-columns: 1fr 1fr; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1>
{text}
<nav>{links}</nav></header>
<main>
{body}
</main>
</body>
</html>
"""
