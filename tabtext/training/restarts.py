"""Warm restarts: how a training is cut into cycles, and the rate within them."""

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from math import cos, pi

from tabtext.errors import ParameterError

__all__ = ["cycle_at", "cycle_lengths", "nearest_whole_cycles", "warm_restarts"]


def warm_restarts(
    progress: float, *, epochs: int, cycle_len: int = 1, cycle_mult: int = 2, end: float = 0.0
) -> float:
    """Return half a cosine from 1 to ``end`` in each cycle (SGDR).

    Where two cycles meet, the 1 of the new one counts; the last one reaches ``end``.

    Parameters
    ----------
    progress : float
        Share of the steps done, in [0, 1].
    epochs : int
        Epochs of the whole training.
    cycle_len, cycle_mult : int
        Epochs of the first cycle (the paper's T_0), and the factor from each to the next (T_mult).
    end : float
        Factor at the end of each cycle.

    References
    ----------
    Loshchilov, I. and Hutter, F. (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts",
    equation 5.

    Examples
    --------
    >>> [round(warm_restarts(epoch / 3, epochs=3), 4) for epoch in (0.0, 0.5, 1.0, 2.0, 3.0)]
    [1.0, 0.5, 1.0, 0.5, 0.0]
    """
    bounds = _cycle_bounds(epochs, cycle_len, cycle_mult)
    cycle = cycle_at(progress, epochs=epochs, cycle_len=cycle_len, cycle_mult=cycle_mult)
    first, last = bounds[cycle], bounds[cycle + 1]
    share = (progress * epochs - first) / (last - first)
    return end + (1.0 - end) * (1.0 + cos(pi * share)) / 2.0


def cycle_at(progress: float, *, epochs: int, cycle_len: int = 1, cycle_mult: int = 2) -> int:
    """Return the number of the cycle, counted from 0, that this progress belongs to.

    Examples
    --------
    >>> [cycle_at(epoch / 7, epochs=7) for epoch in (0, 1, 2, 3, 7)]
    [0, 1, 1, 2, 2]
    """
    bounds = _cycle_bounds(epochs, cycle_len, cycle_mult)
    return min(bisect_right(bounds, progress * epochs + _ROUNDING), len(bounds) - 1) - 1


# step / steps * epochs may fall short of a whole epoch by a few units in the last place, and the
# first step of a cycle would count as the last of the cycle before. No step is as short as this.
_ROUNDING = 1e-9


def cycle_lengths(epochs: int, *, cycle_len: int = 1, cycle_mult: int = 2) -> list[int]:
    """Return the epochs of each cycle.

    Raises
    ------
    ParameterError
        If an argument is less than 1, or ``epochs`` is not a whole number of cycles: a training
        that ends inside of a cycle ends at a high learning rate.

    Examples
    --------
    >>> cycle_lengths(7, cycle_len=1, cycle_mult=2)
    [1, 2, 4]
    >>> cycle_lengths(6, cycle_len=1, cycle_mult=2)
    Traceback (most recent call last):
    tabtext.errors.ParameterError: epochs=6 ends inside of a cycle; cycle_len=1, cycle_mult=2 \
ends at 1, 3, 7, 15
    """
    ends = _ends_around(epochs, cycle_len, cycle_mult)
    if epochs not in ends:
        raise ParameterError(
            f"{epochs=} ends inside of a cycle; {cycle_len=}, {cycle_mult=} "
            f"ends at {', '.join(map(str, ends))}"
        )
    lengths = [cycle_len]
    while sum(lengths) < epochs:
        lengths.append(lengths[-1] * cycle_mult)
    return lengths


def nearest_whole_cycles(epochs: int, *, cycle_len: int = 1, cycle_mult: int = 2) -> int:
    """Return the number of epochs, nearest to these, at which a cycle ends; if two are, the lower.

    Examples
    --------
    >>> [nearest_whole_cycles(epochs) for epochs in (1, 4, 5, 6, 12)]
    [1, 3, 3, 7, 15]
    """
    return min(_ends_around(epochs, cycle_len, cycle_mult), key=lambda end: abs(end - epochs))


@lru_cache(maxsize=64)  # asked for at every step
def _cycle_bounds(epochs: int, cycle_len: int, cycle_mult: int) -> tuple[int, ...]:
    """Return the epochs at which cycles begin, and the one at which the last ends."""
    lengths = cycle_lengths(epochs, cycle_len=cycle_len, cycle_mult=cycle_mult)
    return tuple(accumulate(lengths, initial=0))


def _ends_around(epochs: int, cycle_len: int, cycle_mult: int) -> list[int]:
    """Return the last two ends of cycles before ``epochs``, if any, and the two from there on."""
    for name, value in (("epochs", epochs), ("cycle_len", cycle_len), ("cycle_mult", cycle_mult)):
        if value < 1:
            raise ParameterError(f"{name}={value} is less than 1; cycles are whole epochs")
    ends, length = [cycle_len], cycle_len
    while len(ends) < 2 or ends[-2] < epochs:
        length *= cycle_mult
        ends.append(ends[-1] + length)
    return ends[-4:]
