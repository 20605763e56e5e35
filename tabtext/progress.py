"""What a person sees of long work: a bar on a terminal or in a notebook, plain lines elsewhere.

Whatever may take long says what it does and how far it is, by ``step`` or ``track``, wherever it
happens. Whether anyone sees it is decided at the doors of the library, by ``showing(verbose)``; as
with logging, nothing in between passes it on. Outside of such a block, and in threads and processes
that are started within it, ``step`` and ``track`` do nothing.

Of steps within steps the outermost is shown: of a permutation importance how many columns are
measured, and not each of its predictions. What is over within a second is not shown at all. All
goes to stderr, and by the clock, so that work never waits for it.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

__all__ = [
    "SECONDS_BEFORE_SHOWING",
    "SECONDS_BETWEEN_LINES",
    "SECONDS_BETWEEN_UPDATES",
    "Progress",
    "StatusLine",
    "Watcher",
    "is_first_process",
    "showing",
    "step",
    "track",
    "watching",
]

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""Is told how much of a step is done, and how much there is, if that is known."""
Watcher = Callable[[str, int, int | None], None]
"""The same, and before it what is being done."""

SECONDS_BEFORE_SHOWING = 1.0
"""Below that a bar would only flicker."""
SECONDS_BETWEEN_UPDATES = 0.2
SECONDS_BETWEEN_LINES = 60.0


# -- for the doors of the library ------------------------------------------------------------------


@contextmanager
def showing(verbose: int) -> Iterator[None]:
    """Show the steps of the block to a person, or hide them.

    Parameters
    ----------
    verbose : int
        0 is silent, 1 shows progress: what the parameter ``verbose`` means everywhere. Of several
        processes that torchrun started, the first one shows.

    Examples
    --------
    >>> with showing(verbose=1):
    ...     total = sum(track(range(1000), "adding"))  # over before anything is shown
    >>> total
    499500
    """
    before = _beginning.get()
    if verbose <= 0 and not isinstance(before, _WithinStep):
        _beginning.set(None)
    elif before is None and is_first_process():
        _beginning.set(_on_screen)
    try:
        yield
    finally:
        _beginning.set(before)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Have the steps of the block told to a function, for a window or a page of one's own.

    Parameters
    ----------
    watcher : callable
        Is told the name of the step, how much of it is done, and how much there is or None; at once
        and every time, by the thread that works.

    Examples
    --------
    >>> with watching(lambda *told: print(*told)):
    ...     letters = "".join(track("ab", "joining"))
    joining 1 2
    joining 2 2
    """
    before = _beginning.get()
    _beginning.set(lambda what: _Told(watcher, what))
    try:
        yield
    finally:
        _beginning.set(before)


def is_first_process() -> bool:
    """Whether this process speaks for all that torchrun started.

    Examples
    --------
    >>> is_first_process()
    True
    """
    # torchrun says so in the environment; asking torch would load it for every command.
    alone = int(os.environ.get("WORLD_SIZE", "1")) < 2
    return alone or os.environ.get("RANK", "0") == "0"


# -- for the work ----------------------------------------------------------------------------------


@contextmanager
def step(what: str) -> Iterator[Progress]:
    """Give what is to be told how far a step is.

    Parameters
    ----------
    what : str
        What is being done, such as ``"tokenizing"``.

    Yields
    ------
    callable
        To be called with how much is done, and how much there is or None.

    Examples
    --------
    >>> with watching(print), step("reading") as progress:
    ...     progress(50, 200)
    reading 50 200
    """
    begin = _beginning.get()
    if begin is None or isinstance(begin, _WithinStep):
        yield _unseen
        return
    told, mark = begin(what), _WithinStep()
    _beginning.set(mark)
    try:
        yield told
    finally:
        # A generator that the traceback of an error has kept may end long after its block.
        if _beginning.get() is mark:
            _beginning.set(begin)
        told.close()


def track(items: Iterable[T], what: str, *, total: int | None = None) -> Iterable[T]:
    """Give the items back, and tell how many of them were used.

    Parameters
    ----------
    items : iterable
        What a loop goes through.
    what : str
        What the loop does.
    total : int, optional
        How many items there are; default: their length, if they have one.

    Examples
    --------
    >>> [name for name in track(["Store", "Date"], "encoding columns")]
    ['Store', 'Date']
    """
    begin = _beginning.get()
    if begin is None or isinstance(begin, _WithinStep):
        return items
    known = len(items) if isinstance(items, Sized) else None
    return _tracked(items, what, known if total is None else total)


def _tracked(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    with step(what) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress(done, total)


def _unseen(done: int, total: int | None) -> None:
    """Show nothing."""


# -- what it looks like ----------------------------------------------------------------------------


class StatusLine:
    """One thing that goes on: a bar with the remaining time, or a line a minute without a terminal.

    It draws when it is told something, and no more often than the clock allows: a thread of its own
    would take the interpreter from the work at its own times.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to draw; default: stderr, or the notebook's output.
    delay : float
        Seconds before anything is drawn.
    stays : bool
        Whether the bar is left on the screen when it is closed.
    counts : bool
        Whether the bar has the numbers behind its share, and the time since its beginning.

    Examples
    --------
    >>> line = StatusLine()
    >>> line.update("tokenizing", 50, 100)  # too early to be seen
    >>> line.close()
    """

    def __init__(
        self,
        console: "Console | None" = None,
        *,
        delay: float = SECONDS_BEFORE_SHOWING,
        stays: bool = False,
        counts: bool = False,
    ) -> None:
        self._console, self._stays, self._counts = console, stays, counts
        self._bar: Bar | None = None
        self._opened = False
        self._wait = delay
        self._started = self._updated = monotonic()
        self._first: int | None = None

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed for an update to be seen."""
        return monotonic() - self._updated > self._wait

    def open(self, text: str, done: int, total: int | None) -> None:
        """Draw from now on, without waiting for the delay."""
        self._first = done
        self._open()
        self.update(text, done, total, at_once=True)

    def update(self, text: str, done: int, total: int | None, *, at_once: bool = False) -> None:
        """Show how far it is, if it is time to.

        Parameters
        ----------
        text : str
            What is being done.
        done : int
            How much of it.
        total : int or None
            How much there is, if that is known.
        at_once : bool
            Whether a bar is drawn even if it is not time to.
        """
        if self._first is None:
            self._first = done
        if not (at_once or self.is_due):
            return
        if not self._opened:
            self._open()
        if self._bar is not None:
            self._bar.update(
                self._task, completed=done, total=total, description=text, refresh=True
            )
            self._updated = monotonic()
        elif self.is_due:
            self.write(f"{text}{self._what_is_left(done, total)}")
            self._updated = monotonic()

    def write(self, line: str) -> None:
        """Write a line of text, above the bar if there is one."""
        if self._bar is None:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        else:
            self._bar.console.print(line, highlight=False, markup=False)

    def close(self) -> None:
        """Leave the last state on the screen, or nothing."""
        if self._bar is not None:
            self._bar.stop()

    def _open(self) -> None:
        from rich.console import Console

        self._opened = True
        console = self._console or Console(stderr=True)
        if not (console.is_terminal or console.is_jupyter):
            self._wait = SECONDS_BETWEEN_LINES
            self._updated = self._started
            return
        self._wait = SECONDS_BETWEEN_UPDATES
        self._bar = _new_bar(console, transient=not self._stays, counts=self._counts)
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def _what_is_left(self, done: int, total: int | None) -> str:
        first = self._first or 0
        if not total or done <= first:
            return ""
        seconds = (monotonic() - self._started) / (done - first) * (total - done)
        return f"  {done / total:.0%}  {timedelta(seconds=round(seconds))} left"


def _new_bar(console: "Console", *, transient: bool, counts: bool) -> "Bar":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    share: tuple[ProgressColumn, ...] = (TextColumn("{task.percentage:>3.0f} %"),)
    if counts:
        share = (MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(
        # Text, not markup: it may hold the name of a column.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *share,
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        auto_refresh=False,
    )


# -- who is told -----------------------------------------------------------------------------------


class _Step(Protocol):
    """Somebody who is told of a step, until its end."""

    def __call__(self, done: int, total: int | None) -> None: ...

    def close(self) -> None: ...


class _Shown:
    """A step on the screen."""

    def __init__(self, what: str) -> None:
        self._what, self._line = what, StatusLine(delay=SECONDS_BEFORE_SHOWING)

    def __call__(self, done: int, total: int | None) -> None:
        self._line.update(self._what, done, total)

    def close(self) -> None:
        self._line.close()


class _Told:
    """A step that somebody else shows."""

    def __init__(self, watcher: Watcher, what: str) -> None:
        self._watcher, self._what = watcher, what

    def __call__(self, done: int, total: int | None) -> None:
        self._watcher(self._what, done, total)

    def close(self) -> None:
        pass


def _on_screen(what: str) -> _Step:
    return _Shown(what)


class _WithinStep:
    """The mark of one step that goes on, in which others are not shown."""


_beginning: ContextVar[Callable[[str], _Step] | _WithinStep | None] = ContextVar(
    "tabtext_progress", default=None
)
"""What begins a step where somebody watches; None where nobody does."""
