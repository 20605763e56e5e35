"""Learning-rate schedules: pure functions of progress.

``progress`` runs from 0.0 (first step) to 1.0 (last step); the result multiplies the peak learning
rate. A schedule knows neither steps nor optimizers. Parameters are set with ``functools.partial``,
and schedules are put together by ``then`` and ``warmed_up``; what comes out can be pickled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, pi

from tabtext.errors import ParameterError, did_you_mean
from tabtext.training.restarts import cycle_lengths, warm_restarts

__all__ = [
    "RESTARTS",
    "SCHEDULES",
    "SCHEDULE_NAMES",
    "LostSchedule",
    "Schedule",
    "constant",
    "cosine_annealing",
    "flat_then_cosine",
    "linear_warm_up",
    "make_schedule",
    "one_cycle",
    "one_cycle_momentum",
    "restarts_of",
    "slanted_triangular",
    "then",
    "warmed_up",
]

Schedule = Callable[[float], float]


def make_schedule(
    schedule: str | Schedule, *, epochs: int, cycle_len: int = 1, cycle_mult: int = 2
) -> Schedule:
    """Return the schedule of this name; a callable is returned as it is.

    Parameters
    ----------
    schedule : str or callable
        One of ``SCHEDULE_NAMES``, or a function of progress.
    epochs : int
        Epochs of the whole training; only schedules that restart ask for it.
    cycle_len, cycle_mult : int
        Epochs of the first cycle, and the factor from each cycle to the next; see ``restarts_of``.

    Raises
    ------
    ParameterError
        If the name is unknown, or ``epochs`` is not a whole number of cycles.

    Examples
    --------
    >>> make_schedule("cosine", epochs=5)(0.5)
    0.5
    >>> make_schedule("sgdr", epochs=3, cycle_len=1, cycle_mult=2)(1 / 3)
    1.0
    """
    if not isinstance(schedule, str):
        return schedule
    if schedule in SCHEDULES:
        return SCHEDULES[schedule]
    restarts = restarts_of(schedule, cycle_len=cycle_len, cycle_mult=cycle_mult)
    if restarts is None:
        raise ParameterError(
            f"schedule={schedule!r} is not one of {', '.join(SCHEDULE_NAMES)}"
            f"{did_you_mean(schedule, SCHEDULE_NAMES)}"
        )
    first, factor = restarts
    cycle_lengths(epochs, cycle_len=first, cycle_mult=factor)  # complain now, not at the first step
    return partial(warm_restarts, epochs=epochs, cycle_len=first, cycle_mult=factor)


# ------------------------------------------------------------------------------------ one descent


def constant(progress: float) -> float:
    """Return 1 throughout.

    Examples
    --------
    >>> constant(0.3)
    1.0
    """
    del progress
    return 1.0


def linear_warm_up(progress: float, *, start: float = 0.0) -> float:
    """Return a straight line from ``start`` to 1.

    References
    ----------
    Goyal, P. et al. (2017), "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2.2.

    Examples
    --------
    >>> [linear_warm_up(progress, start=0.5) for progress in (0.0, 0.5, 1.0)]
    [0.5, 0.75, 1.0]
    """
    return start + (1.0 - start) * progress


def cosine_annealing(progress: float, *, end: float = 0.0) -> float:
    """Return ``end + (1 - end) * (1 + cos(pi * progress)) / 2``: half a cosine from 1 to ``end``.

    References
    ----------
    Loshchilov, I. and Hutter, F. (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts",
    equation 5, within one cycle.

    Examples
    --------
    >>> [cosine_annealing(progress, end=0.1) for progress in (0.0, 0.5, 1.0)]
    [1.0, 0.55, 0.1]
    """
    return _half_cosine(1.0, end, progress)


def one_cycle(
    progress: float, *, warm_up: float = 0.25, start: float = 0.04, end: float = 1e-3
) -> float:
    """Return a half cosine up to the peak, then a half cosine down to almost nothing.

    Parameters
    ----------
    progress : float
        Share of the steps done, in [0, 1].
    warm_up : float
        Share of the steps that go up.
    start, end : float
        Factors at the first and at the last step, relative to the peak.

    References
    ----------
    Smith, L. N. (2018), "A disciplined approach to neural network hyper-parameters: Part 1";
    cosine instead of linear legs as in fast.ai.

    Examples
    --------
    >>> [round(one_cycle(progress), 4) for progress in (0.0, 0.125, 0.25, 0.625, 1.0)]
    [0.04, 0.52, 1.0, 0.5005, 0.001]
    """
    if progress <= warm_up and warm_up > 0.0:
        return _half_cosine(start, 1.0, progress / warm_up)
    return _half_cosine(1.0, end, (progress - warm_up) / (1.0 - warm_up))


def one_cycle_momentum(
    progress: float, *, high: float = 0.95, low: float = 0.85, warm_up: float = 0.25
) -> float:
    """Return the momentum that goes with ``one_cycle``: low where the learning rate is high.

    This is the momentum itself (beta1 of Adam), not a factor.

    Parameters
    ----------
    progress : float
        Share of the steps done, in [0, 1].
    high, low : float
        Momentum at both ends, and at the peak of the learning rate.
    warm_up : float
        Share of the steps in which the learning rate goes up; the same as for ``one_cycle``.

    References
    ----------
    Smith, L. N. (2018), "A disciplined approach to neural network hyper-parameters: Part 1", 4.3.

    Examples
    --------
    >>> [round(one_cycle_momentum(progress), 4) for progress in (0.0, 0.125, 0.25, 0.625, 1.0)]
    [0.95, 0.9, 0.85, 0.9, 0.95]
    """
    if progress <= warm_up and warm_up > 0.0:
        return _half_cosine(high, low, progress / warm_up)
    return _half_cosine(low, high, (progress - warm_up) / (1.0 - warm_up))


def slanted_triangular(progress: float, *, cut_frac: float = 0.1, ratio: float = 32.0) -> float:
    """Return ``(1 + p * (ratio - 1)) / ratio``: a short line up from 1/ratio, a long line back.

    ``p`` is ``progress / cut_frac`` until ``cut_frac`` and ``1 - (progress - cut_frac) /
    (1 - cut_frac)`` from there. In the paper's words, step ``t = progress * T`` and ``cut = T *
    cut_frac``, so that its ``1 - (t - cut) / (cut * (1 / cut_frac - 1))`` is the same.

    Parameters
    ----------
    progress : float
        Share of the steps done, in [0, 1].
    cut_frac : float
        Share of the steps that go up.
    ratio : float
        How many times lower than the peak both ends are.

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text
    Classification", equation 3.

    Examples
    --------
    >>> [round(slanted_triangular(progress), 4) for progress in (0.0, 0.1, 0.55, 1.0)]
    [0.0312, 1.0, 0.5156, 0.0312]
    """
    if progress <= cut_frac and cut_frac > 0.0:
        p = progress / cut_frac
    else:
        p = 1.0 - (progress - cut_frac) / (1.0 - cut_frac)
    return (1.0 + p * (ratio - 1.0)) / ratio


def flat_then_cosine(progress: float, *, flat: float = 0.72, end: float = 0.0) -> float:
    """Return 1 for the share ``flat`` of the steps, then half a cosine down to ``end``.

    References
    ----------
    Wright, L. (2019), "New Deep Learning Optimizer, Ranger", where flat at 72 % goes with an
    optimizer that needs no warm-up; ``fit_flat_cos`` in fast.ai.

    Examples
    --------
    >>> [round(flat_then_cosine(progress), 4) for progress in (0.0, 0.72, 0.86, 1.0)]
    [1.0, 1.0, 0.5, 0.0]
    """
    return 1.0 if progress <= flat else _half_cosine(1.0, end, (progress - flat) / (1.0 - flat))


def _half_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1.0 + cos(pi * share)) / 2.0


@dataclass(frozen=True)
class LostSchedule:
    """A function of the user's that a saved model was trained with; its code was not saved.

    Parameters
    ----------
    name : str
        What the function was called.

    Examples
    --------
    >>> LostSchedule("halving")(0.5)
    Traceback (most recent call last):
    tabtext.errors.ParameterError: schedule 'halving' was a function of your own, ...
    """

    name: str

    def __call__(self, progress: float) -> float:
        """Raise ``ParameterError``: there is nothing to call."""
        del progress
        raise ParameterError(
            f"schedule {self.name!r} was a function of your own, and a saved model holds no code; "
            "set schedule anew before fitting again"
        )


# ------------------------------------------------------------------------------------ composition


def then(first: Schedule, second: Schedule, *, at: float) -> Schedule:
    """Return ``first`` until the share ``at`` of the steps, and ``second`` from there on.

    Each is stretched, so that it runs over its own progress from 0 to 1.

    Raises
    ------
    ParameterError
        If ``at`` is outside of [0, 1).

    Examples
    --------
    >>> both = then(linear_warm_up, cosine_annealing, at=0.5)
    >>> [round(both(progress), 4) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if not 0.0 <= at < 1.0:
        raise ParameterError(f"a schedule cannot follow {at=}; give a share of at least 0, below 1")
    return partial(_one_after_the_other, first=first, second=second, at=at)


def warmed_up(schedule: Schedule, *, share: float = 0.1, start: float = 0.0) -> Schedule:
    """Return the whole schedule after a linear warm-up from ``start`` over a share of the steps.

    Examples
    --------
    >>> warmed = warmed_up(cosine_annealing, share=0.2)
    >>> [round(warmed(progress), 4) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return then(partial(linear_warm_up, start=start), schedule, at=share)


def _one_after_the_other(progress: float, *, first: Schedule, second: Schedule, at: float) -> float:
    # A partial of this function can be pickled with an estimator; a closure could not.
    return first(progress / at) if progress < at else second((progress - at) / (1.0 - at))


# ------------------------------------------------------------------------------------------ names


def restarts_of(
    schedule: str | Schedule, *, cycle_len: int = 1, cycle_mult: int = 2
) -> tuple[int, int] | None:
    """Return ``(cycle_len, cycle_mult)`` of a schedule's name, or None if it never restarts.

    Examples
    --------
    >>> restarts_of("sgdr", cycle_len=3, cycle_mult=4)
    (3, 4)
    >>> restarts_of("sgdr_equal", cycle_len=3), restarts_of("sgdr_doubling", cycle_len=3)
    ((3, 1), (1, 2))
    >>> restarts_of("one_cycle") is None
    True
    """
    if not isinstance(schedule, str) or schedule not in RESTARTS:
        return None
    preset_len, preset_mult = RESTARTS[schedule]
    return (
        cycle_len if preset_len is None else preset_len,
        cycle_mult if preset_mult is None else preset_mult,
    )


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "linear_warm_up": linear_warm_up,
    "cosine": cosine_annealing,
    "flat_cosine": flat_then_cosine,
    "one_cycle": one_cycle,
    "slanted_triangular": slanted_triangular,
}
"""Schedules by name that need to know nothing but progress."""

RESTARTS: dict[str, tuple[int | None, int | None]] = {
    "sgdr": (None, None),
    "sgdr_doubling": (1, 2),
    "sgdr_equal": (None, 1),
}
"""Schedules that restart: ``(cycle_len, cycle_mult)`` by name; None is what the caller gives."""

SCHEDULE_NAMES: tuple[str, ...] = (*SCHEDULES, *RESTARTS)
"""Every name that ``make_schedule`` knows."""
