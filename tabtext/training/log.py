"""What a run says to ``logging.getLogger("tabtext.training")``."""

import logging
from typing import TYPE_CHECKING

from tabtext.training.callbacks import Callback

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = ["TrainingLog"]

_log = logging.getLogger("tabtext.training")


class TrainingLog(Callback):
    """Log what a run begins with, what every epoch reached, and how it ended.

    At INFO the figures, at DEBUG all options. Every trainer has one; records go where the program
    sends them, and nowhere by default.

    Examples
    --------
    >>> logging.getLogger("tabtext.training").level == logging.NOTSET
    True
    """

    first_process_only = True

    def fit_started(self, run: "Run") -> None:
        """Say what is trained, how long, and where."""
        _log.info(
            "training %s parameters for %d epochs of %d steps on %s, from step %d",
            f"{sum(parameter.numel() for parameter in run.parameters):,}",
            run.plan.n_epochs,
            run.steps_per_epoch,
            run.device,
            run.step,
        )
        _log.debug("options: %s", run.options)

    def epoch_ended(self, run: "Run") -> None:
        """Say what the epoch reached."""
        epoch, number = run.history.epochs[-1], len(run.history.epochs)
        _log.info(
            "epoch %d/%d  %s  %.1f s", number, run.plan.n_epochs, epoch.summary(), epoch.seconds
        )

    def fit_ended(self, run: "Run") -> None:
        """Say why training ended early, if it did."""
        if run.stopping is not None:
            _log.info("training ended early: %s", run.stopping)
