"""One HTML file that shows a fit: no network, no scripts, readable on a phone and on paper.

A report is a list of sections; a section holds paragraphs, tables and pictures. Everything that
comes from the data is escaped.
"""

import base64
import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tabtext.errors import SaveError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Picture", "Section", "Table", "write_report"]


@dataclass(frozen=True)
class Picture:
    """A picture with a caption, which also tells what is to be seen to those who cannot see it."""

    caption: str
    axes: "Axes"


@dataclass(frozen=True)
class Table:
    """A table; columns of numbers are aligned to the right.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : sequence of sequences
        Cells: text, whole numbers or floats.
    caption : str
        What the table shows.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with what belongs to it, in order."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default=())


def write_report(path: str | Path, title: str, sections: Sequence[Section]) -> None:
    """Write a report, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    title : str
        Its heading.
    sections : sequence of Section
        Its content.

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
    html = _PAGE.format(title=escape(title), style=_STYLE, links=links, body=body)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
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
    parts += [_table(table) for table in section.tables]
    if section.pictures:
        parts.append('<div class="pictures">')
        parts += [_picture(picture) for picture in section.pictures]
        parts.append("</div>")
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    """A table in a box that scrolls sideways where the screen is too narrow."""
    numeric = [
        all(isinstance(row[column], int | float) or row[column] is None for row in table.rows)
        for column in range(len(table.head))
    ]
    classes = [' class="number"' if is_number else "" for is_number in numeric]
    head = "".join(
        f'<th scope="col"{mark}>{escape(name)}</th>'
        for name, mark in zip(table.head, classes, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{mark}>{escape(_text(cell))}</td>" for cell, mark in zip(row, classes, strict=True)
        )
        + "</tr>"
        for row in table.rows
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


def _png(axes: "Axes") -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    # Twice the size at which it is shown, for sharp screens and paper.
    FigureCanvasAgg(cast("Figure", axes.figure)).print_figure(buffer, format="png", dpi=160)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.4g}"


_STYLE = """
:root { --ink: #20242b; --soft: #5b626d; --line: #e1e4e8; --page: #ffffff; --mark: #0072b2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 68rem; padding: 1.2rem 1rem 3rem; color: var(--ink);
  background: var(--page); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: .6rem;
  border-top: 2px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
nav { margin: .4rem 0 0; } nav a { color: var(--mark); margin-right: 1rem; white-space: nowrap;
  display: inline-block; padding: .15rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.pictures { display: grid; gap: 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; break-inside: avoid; }
img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .3rem; }
@media print { nav { display: none; } body { max-width: none; padding: 0; font-size: 11pt; }
  .scroll { overflow: visible; } section { break-inside: auto; } h2 { break-after: avoid; } }
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
<header><h1>{title}</h1><nav>{links}</nav></header>
<main>
{body}
</main>
</body>
</html>
"""
