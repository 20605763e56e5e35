"""What a person sees of a training run: a bar on a terminal or in a notebook, else lines."""

from time import monotonic
from typing import TYPE_CHECKING

from tabtext.progress import StatusLine
from tabtext.training.callbacks import Callback

if TYPE_CHECKING:
    from rich.console import Console

    from tabtext.training.run import Run

__all__ = ["ProgressBar"]

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

    Examples
    --------
    >>> from torch import nn
    >>> from tabtext.training import Trainer, TrainingOptions
    >>> from tabtext.training.losses import squared_error
    >>> options = TrainingOptions(epochs=3)
    >>> shown = [ProgressBar()]
    >>> trainer = Trainer(nn.Linear(2, 1), squared_error, options=options, callbacks=shown)
    """

    first_process_only = True

    def __init__(self, console: "Console | None" = None) -> None:
        self.title = ""
        """What comes before the epochs: which of several networks is trained."""
        self._console = console
        self._line: StatusLine | None = None
        self._smoothed: float | None = None
        self._started = 0.0
        self._first_step = 0

    def fit_started(self, run: "Run") -> None:
        """Open the bar."""
        self._started, self._first_step = monotonic(), run.step
        self._smoothed = None
        self._line = StatusLine(self._console, stays=True, counts=True)
        self._line.open(self._text(run), run.step, run.plan.n_steps)

    def step_ended(self, run: "Run") -> None:
        """Now and then, redraw."""
        due = self._line is not None and self._line.is_due
        # On the CPU every loss is at hand; from a GPU one comes with every drawing.
        loss = run.measured.latest if due or run.device.type == "cpu" else None
        if loss is not None:
            old = self._smoothed
            self._smoothed = loss if old is None else _MEMORY * old + (1 - _MEMORY) * loss
        if due:
            self._show(run)

    def epoch_ended(self, run: "Run") -> None:
        """Print what the epoch reached."""
        epoch = run.history.epochs[-1]
        number = f"{self._prefix()}epoch {len(run.history.epochs)}/{run.plan.n_epochs}"
        self._write(f"{number}  {epoch.summary()}  {epoch.seconds:.1f} s")
        self._show(run)

    def fit_ended(self, run: "Run") -> None:
        """Close the bar, leaving its last state on the screen."""
        self._show(run)
        if self._line is not None:
            self._line.close()
        if run.stopping is not None:
            self._write(f"ended early: {run.stopping}")
        self._line = None

    def _write(self, text: str) -> None:
        if self._line is not None:
            self._line.write(text)

    def _show(self, run: "Run") -> None:
        if self._line is not None:
            done = min(max(run.step, int(run.position)), run.plan.n_steps)
            self._line.update(self._text(run), done, run.plan.n_steps, at_once=True)

    def _text(self, run: "Run") -> str:
        rate = (run.step - self._first_step) / max(monotonic() - self._started, 1e-9)
        loss = "" if self._smoothed is None else f"  loss {self._smoothed:.4g}"
        epoch = min(run.epoch + 1, run.plan.n_epochs)
        return f"{self._prefix()}epoch {epoch}/{run.plan.n_epochs}{loss}  {rate:.0f} steps/s"

    def _prefix(self) -> str:
        return f"{self.title}  " if self.title else ""
