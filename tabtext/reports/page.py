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
from collections.abc import Sequence
from html import escape
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tabtext.errors import SaveError
from tabtext.reports.elements import Excerpt, Picture, Section, Table
from tabtext.reports.style import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_page"]


def write_page(
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
    >>> write_page(folder / "report.html", "Flights", [Section("Metrics", tables=[table])])
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
    html = _PAGE.format(title=escape(title), style=STYLE, text=introduction, links=links, body=body)
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
        ("pictures", [_picture(one) for one in section.pictures if one.size == "large"]),
        ("pictures small", [_picture(one) for one in section.pictures if one.size == "small"]),
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
    frame = "scroll low" if table.scrolls else "scroll"
    return (
        f'<div class="{frame}" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>'
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
