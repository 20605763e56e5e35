"""Dropout that fades in the course of training."""

from functools import partial
from typing import TYPE_CHECKING

from tabtext.dropout import Dropout
from tabtext.errors import ParameterError
from tabtext.training.callbacks import Callback
from tabtext.training.schedules import flat_then_cosine

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = ["DropoutSchedule"]

_SCHEDULE = partial(flat_then_cosine, flat=0.5)


class DropoutSchedule(Callback):
    """Keep all dropout rates for half of the steps, then let them fall to 0 by half a cosine.

    It acts on the modules of class ``tabtext.dropout.Dropout``. What it sets follows from the
    position in the schedule alone, so that a resumed run goes on as if it had never stopped.

    Raises
    ------
    ParameterError
        At the start of a run whose model has no such module.

    References
    ----------
    Holzmueller, Grinsztajn, Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", section 3: "flat_cos".
    """

    def __init__(self) -> None:
        self._dropouts: list[Dropout] = []

    def fit_started(self, run: "Run") -> None:
        """Find the modules, and set their rates for the first step."""
        self._dropouts = [m for m in run.model.modules() if isinstance(m, Dropout)]
        if not self._dropouts:
            raise ParameterError(
                f"dropout_schedule={run.options.dropout_schedule!r} has nothing to act on: "
                f"{type(run.model).__name__} holds no tabtext.dropout.Dropout; leave it out"
            )
        self._set(run)

    def step_ended(self, run: "Run") -> None:
        """Set the rates for the next step."""
        self._set(run)

    def fit_ended(self, run: "Run") -> None:
        """Leave the rates as they were."""
        del run
        for dropout in self._dropouts:
            dropout.factor = 1.0

    def _set(self, run: "Run") -> None:
        """By the steps that are done, or by the clock if that is ahead; 0 at the last step."""
        n_steps = run.plan.n_steps
        done = max(run.step, run.time_share * n_steps)
        factor = _SCHEDULE(min(done / max(n_steps - 1, 1), 1.0))
        for dropout in self._dropouts:
            dropout.factor = factor
