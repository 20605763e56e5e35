"""The demonstration: models of the flights and sentences that ship with tabtext, and a report.

Each part compares with baselines, chooses on validation data and looks at test data once.
"""

from pathlib import Path
from time import perf_counter

from tabtext import __version__
from tabtext.demo.common import step
from tabtext.demo.flights import predict_flights
from tabtext.demo.movies import rate_movies
from tabtext.reports import write_page

__all__ = ["run_demo"]

_INTRODUCTION = (
    "Models of the two data sets that ship with tabtext, each beside simpler ones: flights from "
    "New York, and sentences from film reviews. All that was chosen was chosen on validation data; "
    "the test data was looked at once, for the figures here."
)


def run_demo(out: Path, *, rows: int | None = None) -> None:
    """Fit, compare, save and report.

    Parameters
    ----------
    out : Path
        Directory for the models ``arrival_delay``, ``late`` and ``movies``, and for
        ``report.html``.
    rows : int, optional
        Use at most so many training rows of each data set, drawn at random.
    """
    from rich.console import Console

    console, started = Console(), perf_counter()
    sections = [
        *predict_flights(console, out, rows=rows),
        *rate_movies(console, out, rows=rows),
    ]
    report = out / "report.html"
    with step(console, "drawing the report"):
        write_page(
            report,
            "tabtext demo: flights and film reviews",
            sections,
            text=[_INTRODUCTION, f"Written by tabtext {__version__}."],
        )
    late, movies = out / "late", out / "movies"
    console.rule("What you have now", align="left")
    lines = (
        ("report", f"{report}"),
        ("models", f"{out / 'arrival_delay'}  {late}  {movies}"),
        ("look", f"tabtext inspect {late}"),
        ("use", f"tabtext predict {late} FLIGHTS.csv --out predictions.csv"),
        ("ask why", f'tabtext sentiment explain {movies} "Not a bad film at all."'),
        ("own data", "tabtext fit DATA.csv --target COLUMN --out MODEL"),
        ("", "tabtext sentiment fit TEXTS.csv --target COLUMN --out MODEL"),
    )
    for name, text in lines:
        # Not wrapped, so that a path can be copied in one piece.
        console.print(f"{name:10}{text}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"done in {perf_counter() - started:.0f} s")
