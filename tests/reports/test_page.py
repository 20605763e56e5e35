"""The HTML report: self-contained, escaped, whole or not at all, fit for a phone."""

import math
import re
import tempfile
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tabtext import plots
from tabtext.errors import ParameterError, SaveError
from tabtext.reports import Excerpt, Picture, Section, Table, write_page

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Balance(HTMLParser):
    """Collects tags that are closed in another order than they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report_file(tmp_path_factory.mktemp("report")).read_text(encoding="utf-8")


def report_file(folder: Path) -> Path:
    wide = Table(
        [EVIL, *(f"column {number}" for number in range(30))],
        [[EVIL, *range(1000, 1030)], ["b", *[None] * 30]],
        caption=EVIL,
    )
    picture = Picture(EVIL, plots.plot_learning_rate([0.1, 0.3, 0.2]))
    coloured = plots.coloured_html([*EVIL, "bad"], [0.0] * len(EVIL) + [-1.0], label=EVIL)
    sections = [
        Section(EVIL, [EVIL, "long" * 200], [wide], [picture], excerpts=[Excerpt(EVIL, coloured)]),
        Section("Empty"),
    ]
    write_page(folder / "report.html", EVIL, sections)
    return folder / "report.html"


def page(sections: list[Section]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        write_page(path, "A report", sections)
        return path.read_text(encoding="utf-8")


def test_what_comes_from_data_is_escaped(html: str) -> None:
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 7


def test_tags_are_balanced(html: str) -> None:
    parser = Balance()
    parser.feed(html)

    assert parser.wrong == []
    assert parser.open == []
    assert {"table", "figure", "img", "nav", "main"} <= parser.tags


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)

    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert "url(" not in html
    assert "@import" not in html


def test_numbers_are_readable_and_gaps_are_shown(html: str) -> None:
    assert '<td class="number">1,000</td>' in html
    assert '<td class="number">-</td>' in html


def test_pictures_have_a_text_for_those_who_do_not_see_them(html: str) -> None:
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img[^>]*>", html))


def test_a_failed_write_leaves_the_older_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(SaveError, match="No space left"):
        write_page(path, "new", [])

    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_column_of_floats_shares_its_decimals() -> None:
    table = Table(
        ("model", "r2", "rows", "share"),
        [("a", -0.0311, np.int64(12345), "12.5%"), ("b", 0.8, np.int64(7), "3%")],
    )

    html = page([Section("Metrics", tables=[table])])

    assert re.findall(r'<td class="number">([^<]*)</td>', html) == [
        *("-0.0311", "12,345", "12.5%"),
        *("0.8000", "7", "3%"),
    ]


def test_tiny_and_infinite_numbers_are_still_told_apart() -> None:
    table = Table(("loss", "gap"), [(1.5e-9, math.inf), (2e-9, math.nan), (0.0, 1.0)])

    html = page([Section("Losses", tables=[table])])

    assert re.findall(r'<td class="number">([^<]*)</td>', html) == [
        *("1.5e-09", "inf"),
        *("2e-09", "-"),
        *("0", "1.000"),
    ]


def test_facts_are_shown_and_escaped() -> None:
    html = page([Section("Data", facts={EVIL: EVIL, "rows": 1234, "rate": 0.002, "none": None})])

    pairs = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", html)
    assert pairs[0] == (escape(EVIL), escape(EVIL))
    assert pairs[1:] == [("rows", "1,234"), ("rate", "0.002"), ("none", "-")]


def test_excerpts_stand_below_each_other_with_their_captions() -> None:
    excerpts = [Excerpt("a < b", "<figure>one</figure>"), Excerpt("c", "<figure>two</figure>")]

    html = page([Section("Errors", excerpts=excerpts)])

    assert "<p>a &lt; b</p><figure>one</figure>" in html
    assert html.index("one</figure>") < html.index("two</figure>")


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ParameterError, match="a row of 1 cells in a table of 2 columns"):
        Table(("a", "b"), [(1,)])


def test_a_name_that_no_encoding_can_write_does_not_break_the_report(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", "broken \udc80 name", [])

    assert "broken &#56448; name" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_fits_phones_and_paper(html: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "@media print" in html
    tables = re.findall(r"(<div[^>]*>)<table>", html)
    assert tables
    assert all('class="scroll"' in box for box in tables)


def test_small_pictures_stand_after_large_ones_in_a_grid_of_their_own() -> None:
    small, large = (plots.plot_learning_rate([0.1, 0.2]) for _ in range(2))

    html = page(
        [Section("Pictures", pictures=[Picture("one", small, "small"), Picture("two", large)])]
    )

    grids = re.findall(r'<div class="(pictures[^"]*)">\s*<figure><img [^>]*alt="(\w+)"', html)
    assert grids == [("pictures", "two"), ("pictures small", "one")]


def test_a_long_table_has_a_frame_on_screens_and_none_on_paper() -> None:
    html = page([Section("Columns", tables=[Table(["a"], [[1]], scrolls=True)])])

    assert '<div class="scroll low" tabindex="0">' in html
    assert "max-height: none" in html.split("@media print")[1]
