"""The HTML report: self-contained, escaped, whole or not at all, fit for a phone."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tabtext import plots
from tabtext.errors import SaveError
from tabtext.report import Picture, Section, Table, write_report

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
    sections = [Section(EVIL, [EVIL, "long" * 200], [wide], [picture]), Section("Empty")]
    write_report(folder / "report.html", EVIL, sections)
    return folder / "report.html"


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
        write_report(path, "new", [])

    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1200])  # Chromium's narrowest headless window is 500
def test_the_page_is_not_wider_than_the_screen(tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    path = report_file(tmp_path)
    # A script of the test's own writes the widths into the page, which is then printed.
    script = (
        "<script>document.title = 'widths ' + document.documentElement.scrollWidth + ' '"
        " + window.innerWidth;</script></body>"
    )
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", script))

    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
            "--dump-dom", path.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )  # fmt: skip

    found = re.search(r"<title>widths (\d+) (\d+)</title>", done.stdout)
    assert found, done.stdout[:500]
    assert int(found[1]) <= int(found[2])
