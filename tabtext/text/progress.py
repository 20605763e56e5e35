"""Progress of long preparations: a bar on a terminal or in a notebook, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

__all__ = ["Watcher", "no_progress", "progress_bar"]

Watcher = Callable[[str, int, int | None], None]
"""Is told what is being done, how much of it is done, and how much there is, if that is known."""

_SECONDS_BETWEEN_LINES = 60.0


def no_progress(step: str, done: int, total: int | None) -> None:
    """Show nothing."""


@contextmanager
def progress_bar(*, transient: bool = False) -> Iterator[Watcher]:
    """Show every step as a bar with the remaining time, or a line a minute without a terminal.

    Parameters
    ----------
    transient : bool
        Whether the bars are gone when the block ends.

    Examples
    --------
    >>> with progress_bar() as watch:
    ...     watch("tokenizing", 50, 100)
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=transient) as bar:

        def watch(step: str, done: int, total: int | None) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done)

        yield watch


class _Lines:
    """Write a line now and then."""

    def __init__(self) -> None:
        self._step = ""
        self._started = self._written = monotonic()
        self._first = 0

    def __call__(self, step: str, done: int, total: int | None) -> None:
        now = monotonic()
        if step != self._step:
            self._step, self._started, self._written, self._first = step, now, now, done
        if now - self._written < _SECONDS_BETWEEN_LINES:
            return
        self._written = now
        left = ""
        if total and done > self._first:
            seconds = (now - self._started) / (done - self._first) * (total - done)
            left = f"  {done / total:.0%}  {timedelta(seconds=round(seconds))} left"
        sys.stderr.write(f"{step}{left}\n")
        sys.stderr.flush()
