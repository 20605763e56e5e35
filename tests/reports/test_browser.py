"""Reports in a real browser: as wide as a desktop's window, as narrow as a phone, and on paper.

Chromium and its driver are found on the machine and never downloaded; without them these tests are
skipped. CI installs them (see .ci/run), so that there the pages are really looked at.
"""

import base64
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

import tabtext
from tabtext import TextClassifier, plots
from tabtext.reports import Excerpt, Picture, Section, Table, write_page

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver import Chrome, ChromeOptions  # noqa: E402 - after the skip
from selenium.webdriver.chrome.service import Service  # noqa: E402

WIDTHS = (390, 1280)
PAPER_WIDTH = 718  # pixels of A4 between margins of a centimetre
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--hide-scrollbars",  # as on a phone; on a desktop they would take width from the page
)
# What reaches beyond the right edge, except inside of boxes that scroll by themselves.
BEYOND = """
const edge = document.documentElement.clientWidth + 0.5;
return [...document.querySelectorAll('body *')]
  .filter(element => !element.parentElement.closest('.scroll') || arguments[0])
  .filter(element => element.getBoundingClientRect().right > edge)
  .map(element => element.tagName + ' ' + element.className + ' ' +
    element.textContent.slice(0, 40));
"""


class Browser:
    """A headless Chromium with a page of a given width."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, path: Path, width: int) -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self._command("Emulation.setEmulatedMedia", {"media": ""})
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(path.as_uri())

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def widths(self) -> tuple[int, int]:
        """How wide the content is, and how wide the page."""
        script = "const r = document.documentElement; return [r.scrollWidth, r.clientWidth]"
        content, page = self.driver.execute_script(script)
        return content, page

    def beyond_the_edge(self, *, in_boxes_too: bool = False) -> list[str]:
        return list(self.driver.execute_script(BEYOND, in_boxes_too))

    def screenshot(self) -> np.ndarray[Any, Any]:
        """The whole page, ``(height, width, 4)``."""
        options = {"format": "png", "captureBeyondViewport": True}
        data = self._command("Page.captureScreenshot", options)["data"]
        return matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))

    def print_layout(self) -> None:
        self._command("Emulation.setEmulatedMedia", {"media": "print"})

    def pdf(self) -> bytes:
        options = {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
        return base64.b64decode(self._command("Page.printToPDF", options)["data"])

    def _command(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        return self.driver.execute_cdp_cmd(name, options)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        pytest.skip("no chromium with chromedriver: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=driver_path))
    yield Browser(driver)
    driver.quit()


@pytest.fixture(scope="module")
def pages(
    report_of_flights: Path,
    reader: TextClassifier,
    sentences: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """A report of flights, one of sentences, and a page of all that is hard to lay out."""
    folder = tmp_path_factory.mktemp("pages")
    return {
        "flights": report_of_flights,
        "sentences": tabtext.write_report(reader, sentences[400:], folder / "sentences.html"),
        "hard": hard_page(folder / "hard.html"),
    }


def hard_page(path: Path) -> Path:
    wide = Table(
        ["name", *(f"column {number}" for number in range(12))],
        [["a" * 60, *range(1000, 1012)], ["b", *[None] * 12]],
        caption="c" * 300,
        scrolls=True,
    )
    coloured = plots.coloured_html(["w" * 400, "bad"], [1.0, -1.0], label="l" * 90)
    picture = Picture("p" * 200, plots.plot_learning_rate([0.1, 0.3, 0.2]))
    section = Section(
        "t" * 200,
        ["x" * 300],
        [wide],
        [picture],
        {"f" * 80: "v" * 80},
        [Excerpt("e" * 200, coloured)],
    )
    write_page(path, "h" * 120, [section])
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["flights", "sentences", "hard"])
def test_a_page_fits_its_window_without_complaints(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width)

    content, page = browser.widths()
    assert page == width
    assert content <= page
    assert browser.beyond_the_edge() == []
    assert browser.complaints() == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_screenshot_shows_the_whole_report(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["flights"], width)

    seen = browser.screenshot()

    height = browser.driver.execute_script("return document.documentElement.scrollHeight")
    assert seen.shape[:2] == (height, width)
    is_ink = (seen[..., :3].mean(axis=2) < 0.9).any(axis=1)
    # Something in every window's height of 900 pixels: no picture is missing, none is blank.
    assert all(is_ink[top : top + 900].any() for top in range(0, height - 900, 450))
    blue = (np.abs(seen[..., :3] - np.array([0, 0x72, 0xB2]) / 255) < 0.02).all(axis=2)
    assert blue.sum() > 1000  # the bars and lines of pictures


@pytest.mark.parametrize("name", ["flights", "sentences"])
def test_a_report_fits_paper(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name], PAPER_WIDTH)
    browser.print_layout()

    content, page = browser.widths()
    assert content <= page
    assert browser.beyond_the_edge(in_boxes_too=True) == []  # paper does not scroll
    assert browser.driver.execute_script(
        "return getComputedStyle(document.querySelector('nav')).display"
    ) == "none"  # fmt: skip


def test_a_report_prints_to_a_few_pages(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["flights"], 1280)

    pdf = browser.pdf()

    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 15


def test_the_check_finds_what_is_too_wide(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "wide.html"
    path.write_text(
        "<meta name=viewport content='width=device-width'><style>body { margin: 0 }</style>"
        "<div style='width: 900px'>wide</div>"
        "<script>console.error('broken')</script>"
    )

    browser.open(path, 390)

    assert browser.widths()[0] == 900
    assert browser.beyond_the_edge() == ["DIV  wide"]
    assert any("broken" in complaint for complaint in browser.complaints())
