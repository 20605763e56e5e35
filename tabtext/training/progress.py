"""What a person sees of a run: a bar on a terminal or in a notebook, plain lines elsewhere."""

import sys
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from tabtext.training.callbacks import Callback

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from tabtext.training.run import Run

__all__ = ["SECONDS_BETWEEN_LINES", "SECONDS_BETWEEN_UPDATES", "ProgressBar"]

SECONDS_BETWEEN_UPDATES = 0.2
SECONDS_BETWEEN_LINES = 60.0
_MEMORY = 0.98  # of the smoothed loss: about the last fifty steps


class ProgressBar(Callback):
    """Show epoch, step rate, smoothed loss and remaining time.

    On a terminal and in a notebook it is a bar; elsewhere a line per epoch, and one per minute in
    long epochs. It refreshes on a clock, and reads no tensor that is not at hand, so training never
    waits.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to draw; default: stderr, or the notebook's output.
    """

    first_process_only = True

    def __init__(self, console: "Console | None" = None) -> None:
        self.title = ""
        """What comes before the epochs: which of several networks is trained."""
        self._console = console
        self._bar: Progress | None = None
        self._smoothed: float | None = None
        self._updated = self._started = 0.0
        self._first_step = 0

    def fit_started(self, run: "Run") -> None:
        """Open the bar."""
        self._started, self._first_step = monotonic(), run.step
        self._updated = self._started
        self._smoothed = None
        self._bar = self._new_bar()
        if self._bar is not None:
            self._task = self._bar.add_task("", total=run.plan.n_steps, completed=run.step)
            self._show(run)
            self._bar.start()

    def step_ended(self, run: "Run") -> None:
        """Now and then, redraw."""
        wait = SECONDS_BETWEEN_LINES if self._bar is None else SECONDS_BETWEEN_UPDATES
        due = monotonic() - self._updated > wait
        # On the CPU every loss is at hand; from a GPU one comes with every drawing.
        loss = run.measured.latest if due or run.device.type == "cpu" else None
        if loss is not None:
            old = self._smoothed
            self._smoothed = loss if old is None else _MEMORY * old + (1 - _MEMORY) * loss
        if due and self._bar is None:
            self._write(f"{self._text(run)}  {self._time_left(run)} left")
            self._updated = monotonic()
        elif due:
            self._show(run)

    def epoch_ended(self, run: "Run") -> None:
        """Print what the epoch reached."""
        epoch = run.history.epochs[-1]
        values = {"train": epoch.train_loss, "valid": epoch.valid_loss, **epoch.metrics}
        shown = "  ".join(f"{name} {x:.4g}" for name, x in values.items() if x is not None)
        number = f"{self._prefix()}epoch {len(run.history.epochs)}/{run.plan.n_epochs}"
        self._write(f"{number}  {shown}  {epoch.seconds:.1f} s")
        self._show(run)

    def fit_ended(self, run: "Run") -> None:
        """Close the bar, leaving its last state on the screen."""
        if self._bar is not None:
            self._show(run)
            self._bar.stop()
        if run.stopping is not None:
            self._write(f"ended early: {run.stopping}")
        self._bar = None

    def _write(self, line: str) -> None:
        if self._bar is None:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        else:
            self._bar.console.print(line, highlight=False, markup=False)

    def _new_bar(self) -> "Progress | None":
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = self._console or Console(stderr=True)
        if not (console.is_terminal or console.is_jupyter):
            return None
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            # A thread of its own would take the interpreter from training at its own times.
            auto_refresh=False,
        )

    def _show(self, run: "Run") -> None:
        if self._bar is None:
            return
        self._bar.update(
            self._task, completed=_done(run), description=self._text(run), refresh=True
        )
        self._updated = monotonic()

    def _text(self, run: "Run") -> str:
        rate = (run.step - self._first_step) / max(monotonic() - self._started, 1e-9)
        loss = "" if self._smoothed is None else f"  loss {self._smoothed:.4g}"
        epoch = min(run.epoch + 1, run.plan.n_epochs)
        return f"{self._prefix()}epoch {epoch}/{run.plan.n_epochs}{loss}  {rate:.0f} steps/s"

    def _prefix(self) -> str:
        return f"{self.title}  " if self.title else ""

    def _time_left(self, run: "Run") -> str:
        done = _done(run)
        seconds = (monotonic() - self._started) / max(done - self._first_step, 1)
        return str(timedelta(seconds=round(seconds * (run.plan.n_steps - done))))


def _done(run: "Run") -> int:
    """Steps of the plan that are over; a time budget moves the position faster than the steps."""
    return min(max(run.step, int(run.position)), run.plan.n_steps)
