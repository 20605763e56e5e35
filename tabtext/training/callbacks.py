"""What watches a training run: early stopping, and the progress bar."""

import sys
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from tabtext.training.history import Epoch

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["EarlyStopping", "NoProgress", "ProgressBar", "ProgressDisplay"]


class EarlyStopping:
    """Remember the best value of what is monitored, and say when to give up.

    Parameters
    ----------
    patience : int or None
        Epochs without improvement after which to stop; None: never.
    greater_is_better : bool
        Which way is up.

    Examples
    --------
    >>> stopping = EarlyStopping(patience=2, greater_is_better=False)
    >>> [stopping.improves(loss) for loss in (0.5, 0.4, 0.6, 0.41)]
    [True, True, False, False]
    >>> stopping.exhausted
    True
    """

    def __init__(self, *, patience: int | None, greater_is_better: bool) -> None:
        self.patience = patience
        self.greater_is_better = greater_is_better
        self.best: float | None = None
        self._epochs_without = 0

    def improves(self, value: float) -> bool:
        """Note the value of one epoch; return whether it is the best so far. NaN never is."""
        if self.best is None:
            better = value == value
        else:
            better = value > self.best if self.greater_is_better else value < self.best
        if better:
            self.best = value
        self._epochs_without = 0 if better else self._epochs_without + 1
        return better

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self._epochs_without >= self.patience


class ProgressDisplay(Protocol):
    """What the trainer tells while it works."""

    def start(self, n_steps: int) -> None:
        """Training begins, with so many steps at most."""

    def step(self) -> None:
        """One step is done."""

    def epoch(self, number: int, n_epochs: int, epoch: Epoch) -> None:
        """One epoch is done."""

    def stop(self) -> None:
        """Training is over, for good or for bad."""


class NoProgress:
    """Show nothing."""

    def start(self, n_steps: int) -> None:
        """Show nothing."""

    def step(self) -> None:
        """Show nothing."""

    def epoch(self, number: int, n_epochs: int, epoch: Epoch) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Show nothing."""


class ProgressBar:
    """A bar with epoch, losses and remaining time on a terminal; a line per epoch elsewhere.

    It refreshes on a clock and looks at no tensor, so training never waits for it.
    """

    _SECONDS_BETWEEN_UPDATES = 0.1

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._steps, self._updated = 0, 0.0

    def start(self, n_steps: int) -> None:
        """Open the bar."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        if not console.is_terminal:
            return
        self._steps = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("training", total=n_steps)
        self._bar.start()

    def step(self) -> None:
        """Count; now and then, redraw."""
        self._steps += 1
        now = monotonic()
        if self._bar is not None and now - self._updated > self._SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._bar.update(self._task, completed=self._steps)

    def epoch(self, number: int, n_epochs: int, epoch: Epoch) -> None:
        """Show the losses so far."""
        losses = {"train": epoch.train_loss, "valid": epoch.valid_loss, **epoch.metrics}
        shown = "  ".join(f"{name} {x:.4g}" for name, x in losses.items() if x is not None)
        text = f"epoch {number + 1}/{n_epochs}  {shown}"
        if self._bar is None:
            sys.stderr.write(f"{text}  {epoch.seconds:.1f} s\n")
            sys.stderr.flush()
        else:
            self._bar.update(self._task, completed=self._steps, description=text)

    def stop(self) -> None:
        """Close the bar, leaving its last state on the screen."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self._steps)
            self._bar.stop()
            self._bar = None
