"""The plan of a run: for every step, the phase it belongs to, its rates and its momentum."""

from dataclasses import dataclass
from math import inf

from tabtext.errors import ParameterError
from tabtext.training.layer_groups import group_rates
from tabtext.training.options import Phase, TrainingOptions
from tabtext.training.restarts import cycle_at
from tabtext.training.schedules import (
    Schedule,
    make_schedule,
    one_cycle_momentum,
    restarts_of,
)

__all__ = ["Plan", "StepSettings"]


@dataclass(frozen=True, slots=True)
class StepSettings:
    """What holds for one step.

    Parameters
    ----------
    phase : int
        Number of the phase.
    factor : float
        What the schedule multiplies the peak rates by.
    momentum : float or None
        Momentum (beta1), or None to leave it as it is.
    """

    phase: int
    factor: float
    momentum: float | None


@dataclass(frozen=True)
class _PlannedPhase:
    first_step: int
    n_steps: int
    epochs: int
    freeze_to: int | None
    rates: tuple[float, ...]
    schedule: Schedule
    restarts: tuple[int, int] | None
    momentum_range: tuple[float, float] | None

    def progress(self, position: float) -> float:
        """Share of the phase done, in [0, 1]: 0 at its first step and 1 at its last.

        With restarts every cycle begins at its peak, and 1 comes after the last step.
        """
        n_steps = self.n_steps if self.restarts else max(self.n_steps - 1, 1)
        return min((position - self.first_step) / n_steps, 1.0)


class Plan:
    """All phases of a run, laid out over its steps.

    A *position* is a number of steps. It is a float because a run with a time budget moves through
    its plan faster than through its steps.

    Parameters
    ----------
    options : TrainingOptions
        Epochs, rates, schedules and phases.
    n_groups : int
        Layer groups of the model.
    steps_per_epoch : int
        Batches of an epoch.

    Attributes
    ----------
    n_steps, n_epochs : int
        Length of the run.
    rates_differ : bool
        Whether layer groups ever learn at different rates.

    Examples
    --------
    >>> plan = Plan(TrainingOptions(epochs=2, schedule="cosine"), n_groups=1, steps_per_epoch=5)
    >>> plan.n_steps, plan.at(0).factor, round(plan.at(9).factor, 6)
    (10, 1.0, 0.0)
    """

    def __init__(self, options: TrainingOptions, *, n_groups: int, steps_per_epoch: int) -> None:
        phases = options.phases or (Phase(epochs=options.epochs),)
        self.phases: list[_PlannedPhase] = []
        first_step = 0
        for phase in phases:
            planned = _planned(phase, options, n_groups, first_step, steps_per_epoch)
            _try_out(planned.schedule)
            self.phases.append(planned)
            first_step += planned.n_steps
        self.n_steps = first_step
        self.n_epochs = options.n_epochs
        self.rates_differ = any(len(set(phase.rates)) > 1 for phase in self.phases)

    def at(self, position: float) -> StepSettings:
        """What holds at a position."""
        number = self._phase_at(position)
        phase = self.phases[number]
        progress = phase.progress(position)
        momentum = None
        if phase.momentum_range is not None:
            high, low = phase.momentum_range
            momentum = one_cycle_momentum(progress, high=high, low=low)
        factor = phase.schedule(progress)
        if not 0.0 <= factor < inf:
            raise _wrong_factor(phase.schedule, progress, factor)
        return StepSettings(number, float(factor), momentum)

    def fingerprint(self) -> list[list[float]]:
        """Return values of every phase's schedule: functions are known by what they do."""
        return [
            [round(float(phase.schedule(i / 16)), 9) for i in range(17)] for phase in self.phases
        ]

    def cycle_ends(self, position: float, following: float) -> bool:
        """Return whether a cycle of restarts ends between a step's position and the next one's."""
        number = self._phase_at(position)
        phase = self.phases[number]
        if phase.restarts is None:
            return False
        if following >= phase.first_step + phase.n_steps:
            return True
        return self._cycle(phase, position) != self._cycle(phase, following)

    def _phase_at(self, position: float) -> int:
        if len(self.phases) == 1:
            return 0
        started = (i for i, phase in enumerate(self.phases) if position >= phase.first_step)
        return max(started, default=0)

    @staticmethod
    def _cycle(phase: _PlannedPhase, position: float) -> int:
        cycle_len, cycle_mult = phase.restarts or (1, 1)
        return cycle_at(
            phase.progress(position),
            epochs=phase.epochs,
            cycle_len=cycle_len,
            cycle_mult=cycle_mult,
        )


def _try_out(schedule: Schedule) -> None:
    """Raise ``ParameterError`` now, not in the midst of training, for what is no schedule."""
    for progress in (0.0, 0.5, 1.0):
        try:
            factor = schedule(progress)
            fine = 0.0 <= float(factor) < inf
        except (TypeError, ValueError) as error:
            raise _wrong_factor(schedule, progress, error) from error
        if not fine:
            raise _wrong_factor(schedule, progress, factor)


def _wrong_factor(schedule: Schedule, progress: float, found: object) -> ParameterError:
    name = getattr(schedule, "__name__", repr(schedule))
    return ParameterError(
        f"schedule {name} gives {found!r} at progress {progress:g}; it must be a function of one "
        "number that returns a finite one of 0 or more, which multiplies the learning rate"
    )


def _planned(
    phase: Phase, options: TrainingOptions, n_groups: int, first_step: int, steps_per_epoch: int
) -> _PlannedPhase:
    schedule = options.schedule if phase.schedule is None else phase.schedule
    # A phase with rates of its own does not inherit a ratio that was meant for other rates.
    given = phase.learning_rate is not None or phase.group_ratio is not None
    ratio = phase.group_ratio if given else options.group_ratio
    rate = options.learning_rate if phase.learning_rate is None else phase.learning_rate
    lengths = {"cycle_len": options.cycle_len, "cycle_mult": options.cycle_mult}
    return _PlannedPhase(
        first_step=first_step,
        n_steps=phase.epochs * steps_per_epoch,
        epochs=phase.epochs,
        freeze_to=phase.freeze_to,
        rates=group_rates(rate, ratio, n_groups),
        schedule=make_schedule(schedule, epochs=phase.epochs, **lengths),
        restarts=None if callable(schedule) else restarts_of(schedule, **lengths),
        momentum_range=options.momentum_range if schedule == "one_cycle" else None,
    )
