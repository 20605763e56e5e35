"""Learning-rate schedules: pure functions of progress.

``progress`` runs from 0.0 (first step) to 1.0 (last step); the result multiplies the peak learning
rate. A schedule knows neither steps nor optimizers.
"""

from collections.abc import Callable
from math import cos, pi

__all__ = ["SCHEDULES", "Schedule", "constant", "one_cycle"]

Schedule = Callable[[float], float]


def constant(progress: float) -> float:
    """Return 1 throughout.

    Examples
    --------
    >>> constant(0.3)
    1.0
    """
    del progress
    return 1.0


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
    if progress < warm_up:
        return _half_cosine(start, 1.0, progress / warm_up)
    return _half_cosine(1.0, end, (progress - warm_up) / (1.0 - warm_up))


def _half_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1.0 + cos(pi * share)) / 2.0


SCHEDULES: dict[str, Schedule] = {"constant": constant, "one_cycle": one_cycle}
"""Schedules by name."""
