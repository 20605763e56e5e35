"""What both parts of the demonstration do: say what goes on, measure, print the results."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tabtext.reports.comparison import Result, metric_label
from tabtext.training import metrics

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["measure", "print_results", "step"]

_WITH_TWO_DECIMALS = ("rmse", "mae")


@contextmanager
def step(console: "Console", text: str) -> Iterator[None]:
    """Show that something is going on, and then how long it took."""
    started = perf_counter()
    with console.status(f"{text} ..."):
        yield
    console.print(f"{text}: {perf_counter() - started:.1f} s", highlight=False)


def measure(task: str, truth: NDArray[Any]) -> Callable[[NDArray[Any]], dict[str, float]]:
    """Return what turns outputs for the test rows into metrics.

    Parameters
    ----------
    task : {"regression", "classification"}
        What is predicted.
    truth : ndarray
        Quantities ``(rows, 1)``, or numbers of classes ``(rows,)``.
    """
    return lambda outputs: metrics.measure(task, truth, outputs)


def print_results(
    console: "Console", results: Sequence[Result], *, title: str, unit: str = ""
) -> None:
    """Print models beside each other."""
    from rich.table import Table

    names = list(results[0].metrics)
    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for name in names:
        table.add_column(metric_label(name, unit), justify="right")
    table.add_column("fit (s)", justify="right")
    for result in results:
        values = [
            f"{result.metrics[name]:.{2 if name in _WITH_TWO_DECIMALS else 4}f}" for name in names
        ]
        table.add_row(result.name, *values, f"{result.seconds:.1f}")
    console.print(table)
