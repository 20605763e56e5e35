"""Compiled loops behind preprocessing: counting values, and rows to codes and scaled floats.

Every kernel releases the GIL, so a thread pool runs several columns or row ranges at once; arrays
are allocated by the caller. ``out`` is one column of a row-major matrix, hence strided: callers
pass a few thousand rows at a time, so that the strided writes stay in the processor's cache.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_indices", "describe_numbers", "look_up", "scale_quantile", "scale_smoothly"]

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]

_LIMIT = 1e18
"""Scaled values end here: the squares of larger ones would overflow in single precision."""


@njit(nogil=True, cache=True)
def count_indices(indices: Integers | Floats, offset: int, counts: Integers) -> None:
    """Count how often each whole number occurs: ``for i in indices: counts[0, i - offset] += 1``.

    ``counts`` has four rows to be summed by the caller: with one, long runs of the same value wait
    for each other's store.
    """
    whole = len(indices) - len(indices) % 4
    for row in range(0, whole, 4):
        counts[0, np.int64(indices[row]) - offset] += 1
        counts[1, np.int64(indices[row + 1]) - offset] += 1
        counts[2, np.int64(indices[row + 2]) - offset] += 1
        counts[3, np.int64(indices[row + 3]) - offset] += 1
    for row in range(whole, len(indices)):
        counts[0, np.int64(indices[row]) - offset] += 1


@njit(nogil=True, cache=True)
def describe_numbers(values: Floats) -> tuple[int, int, float, float, bool]:
    """Return the number of NaN and of infinite values, and of the others minimum, maximum, integer.

    In plain Python, with ``finite = [v for v in values if math.isfinite(v)]``: ``(n_nan,
    n_infinite, min(finite), max(finite), all(v == int(v) for v in finite))``; minimum and maximum
    are ``inf`` and ``-inf`` when nothing is finite.
    """
    n_nan, n_infinite = 0, 0
    low, high = np.inf, -np.inf
    whole = True
    for row in range(len(values)):
        value = np.float64(values[row])
        if np.isfinite(value):
            low, high = min(low, value), max(high, value)
            whole = whole and value == np.floor(value)
        elif np.isnan(value):
            n_nan += 1
        else:
            n_infinite += 1
    return n_nan, n_infinite, low, high, whole


@njit(nogil=True, cache=True)
def look_up(indices: Integers, offset: int, codes: Integers, out: Integers) -> None:
    """Write each row's code: ``out[row] = codes[indices[row] - offset]``."""
    for row in range(len(indices)):
        out[row] = codes[np.int64(indices[row]) - offset]


@njit(nogil=True, cache=True)
def scale_smoothly(
    values: Floats,
    fill: float,
    center: float,
    factor: float,
    clip: float,
    out: Floats,
    missing: Floats,
) -> tuple[int, int]:
    """Fill, scale and optionally clip; return how many values were missing and how many infinite.

    In plain Python, for each ``v`` in ``values``::

        v = v if math.isfinite(v) else fill
        scaled = min(max((v - center) * factor, -1e18), 1e18)
        out[row] = scaled / math.sqrt(1 + (scaled / clip) ** 2) if clip > 0 else scaled

    ``missing[row]`` is 1.0 or 0.0, unless ``missing`` is empty.
    """
    n_missing, n_infinite = 0, 0
    with_indicator = len(missing) > 0
    for row in range(len(values)):
        value = float(values[row])
        present = np.isfinite(value)
        if not present:
            if np.isnan(value):
                n_missing += 1
            else:
                n_infinite += 1
            value = fill
        if with_indicator:
            missing[row] = 0.0 if present else 1.0
        scaled = min(max((value - center) * factor, -_LIMIT), _LIMIT)
        if clip > 0.0:
            scaled /= np.sqrt(1.0 + (scaled / clip) ** 2)
        out[row] = scaled
    return n_missing, n_infinite


@njit(nogil=True, cache=True)
def scale_quantile(
    values: Floats,
    fill: float,
    references: Floats,
    normals: Floats,
    out: Floats,
    missing: Floats,
) -> tuple[int, int]:
    """Map values to the normal distribution; return how many were missing and how many infinite.

    In plain Python: ``numpy.interp(v, references, normals)`` for each filled ``v``, where
    ``references`` ascends strictly.
    """
    n_missing, n_infinite = 0, 0
    with_indicator = len(missing) > 0
    last = len(references) - 1
    for row in range(len(values)):
        value = float(values[row])
        present = np.isfinite(value)
        if not present:
            if np.isnan(value):
                n_missing += 1
            else:
                n_infinite += 1
            value = fill
        if with_indicator:
            missing[row] = 0.0 if present else 1.0
        if value <= references[0]:
            out[row] = normals[0]
        elif value >= references[last]:
            out[row] = normals[last]
        else:
            right = np.searchsorted(references, value, side="right")
            left = right - 1
            share = (value - references[left]) / (references[right] - references[left])
            out[row] = normals[left] + share * (normals[right] - normals[left])
    return n_missing, n_infinite
