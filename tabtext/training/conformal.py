"""Intervals around predicted quantities that hold the truth as often as asked, from held-out rows.

Predictions and true values of rows that the network has not learned from flow in. How far they lay
apart says how far they will lie apart for new rows: no assumption about the errors is made, but
that new rows come from where the held-out rows came from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from numbers import Real
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import ArtifactError, DataError, ParameterError

__all__ = ["CalibrationPairs", "conformal_bounds", "require_coverage"]

Array = NDArray[np.float64]

MOST_PAIRS = 20_000
"""So many rows place a quantile within a percent; more would only fill the disk."""

# A group has at least so many rows beyond each of its bounds, which makes them steady.
_ROWS_PER_TAIL = 10
_MOST_GROUPS = 20


@dataclass(frozen=True)
class CalibrationPairs:
    """Predictions for rows that the network has not learned from, and what was true.

    Parameters
    ----------
    predicted, truth : ndarray of float64, shape (rows, targets)
        Quantities in the user's units.
    weight : ndarray of float64, shape (rows,), or None
        How much each row counts, greater than 0.
    """

    predicted: Array
    truth: Array
    weight: Array | None = None

    @classmethod
    def draw(
        cls,
        predicted: NDArray[np.floating],
        truth: NDArray[np.floating],
        weight: NDArray[np.floating] | None = None,
        *,
        seed: int,
        max_rows: int = MOST_PAIRS,
    ) -> Self:
        """Keep finite rows that weigh something; of more than ``max_rows`` so many at random."""
        known = np.isfinite(predicted).all(axis=1)  # an exponential may have overflown
        rows = np.flatnonzero(known if weight is None else known & (weight > 0))
        if len(rows) > max_rows:
            generator = np.random.default_rng(seed)
            rows = np.sort(generator.choice(rows, max_rows, replace=False))
        return cls(
            np.asarray(predicted[rows], np.float64),
            np.asarray(truth[rows], np.float64),
            None if weight is None else np.asarray(weight[rows], np.float64),
        )

    def __len__(self) -> int:
        return len(self.truth)

    def on_scale(self, transform: Callable[[Array], Array]) -> "CalibrationPairs":
        """Return the same pairs on another scale, such as that of the logarithm."""
        return CalibrationPairs(transform(self.predicted), transform(self.truth), self.weight)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the pairs as a safetensors file holds them."""
        arrays = {"predicted": self.predicted, "truth": self.truth}
        if self.weight is not None:
            arrays["weight"] = self.weight
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], *, n_targets: int) -> Self:
        """Return the pairs that ``to_tensors`` described.

        Raises
        ------
        ArtifactError
            If a part is missing, of another shape or type, or holds what no pair can.
        """
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        shapes = {name: array.shape for name, array in arrays.items()}
        n_rows = len(arrays["truth"]) if shapes.get("truth") else 0
        pairs = (n_rows, n_targets)
        expected: dict[str, tuple[int, ...]] = {"predicted": pairs, "truth": pairs}
        if "weight" in arrays:
            expected["weight"] = (n_rows,)
        fine = shapes == expected and all(
            array.dtype == np.float64 and np.isfinite(array).all() for array in arrays.values()
        )
        if not fine or not (arrays.get("weight", np.ones(1)) > 0).all():
            raise ArtifactError(
                f"the calibration rows of the saved model are damaged ({shapes}, expected "
                f"{expected}); save the model again or restore a copy"
            )
        return cls(**arrays)


def require_coverage(coverage: float) -> None:
    """Raise ``ParameterError`` unless this is a share between 0 and 1, both excluded."""
    if not (isinstance(coverage, Real) and 0 < float(coverage) < 1):
        raise ParameterError(
            f"coverage={coverage!r} must be a number between 0 and 1, such as 0.9, the share of "
            "rows whose truth lies in the interval"
        )


def conformal_bounds(predicted: Array, pairs: CalibrationPairs, coverage: float) -> Array:
    """Return intervals that hold the truth of a share ``coverage`` of new rows.

    Held-out rows are sorted by their prediction and cut into up to 20 groups of equal size, so that
    an interval is as wide as the errors of predictions of that size were; each group has at least
    ten rows beyond each bound, and few rows are one group. In a group of n rows the bounds are
    the prediction plus the ``ceil((n + 1) * (1 + coverage) / 2)``-th smallest error (truth minus
    prediction), and likewise from above: each bound is exceeded by at most half of what is left
    over, so that an interval need not lie around its prediction evenly.

    Weights enter as in weighted quantiles, with a new row that weighs as much as the group's mean.

    Parameters
    ----------
    predicted : ndarray of float64, shape (rows, targets)
        Predictions for new rows, on the scale of the pairs.
    pairs : CalibrationPairs
        Held-out rows.
    coverage : float
        Share of rows whose truth is to lie in its interval, of each target by itself.

    Returns
    -------
    ndarray of float64, shape (rows, targets, 2)
        Lower and upper bounds.

    Raises
    ------
    ParameterError
        If ``coverage`` is not between 0 and 1.
    DataError
        If there are too few pairs: of fewer than ``2 / (1 - coverage) - 1`` rows no error is large
        enough, and the bounds would be infinite.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-Free Predictive Inference for
    Regression", 2018, for split conformal intervals; Boström and Johansson, "Mondrian Conformal
    Regressors", 2020, for groups by the prediction; Tibshirani, Barber, Candès and Ramdas,
    "Conformal Prediction Under Covariate Shift", 2019, for weights; Romano, Patterson and Candès,
    "Conformalized Quantile Regression", 2019, for bounds that a model learns instead.

    Examples
    --------
    >>> truth = np.arange(1.0, 20.0)[:, None]
    >>> pairs = CalibrationPairs(predicted=np.zeros((19, 1)), truth=truth)
    >>> conformal_bounds(np.array([[100.0]]), pairs, 0.9).tolist()
    [[[101.0, 119.0]]]
    """
    require_coverage(coverage)
    level = (1 + float(coverage)) / 2
    needed = _rows_for(level, 1)
    if len(pairs) < needed:
        possible = floor(100 * (len(pairs) - 1) / (len(pairs) + 1)) / 100
        remedy = f"ask for at most {possible:.2f}, or " if possible > 0 else ""
        raise DataError(
            f"intervals that hold {coverage:.4g} of the rows need at least {needed} validation "
            f"rows, and the model has {len(pairs)}; {remedy}fit with more validation rows"
        )
    columns = zip(predicted.T, pairs.predicted.T, pairs.truth.T, strict=True)
    return np.stack(
        [
            _bounds_of_target(new, known, truth - known, pairs.weight, level)
            for new, known, truth in columns
        ],
        axis=1,
    )


def _bounds_of_target(
    predicted: Array, known: Array, errors: Array, weight: Array | None, level: float
) -> Array:
    """Bounds ``(rows, 2)`` for the predictions of one target."""
    starts = _group_starts(known, _rows_for(level, _ROWS_PER_TAIL))
    group_of_known = np.searchsorted(starts, known, side="right")
    group_of_new = np.searchsorted(starts, predicted, side="right")
    offsets = np.empty((len(starts) + 1, 2))
    for group in range(len(offsets)):
        members = group_of_known == group
        counts = np.ones(int(members.sum())) if weight is None else weight[members]
        offsets[group] = (
            -_conformal_quantile(-errors[members], counts, level),
            _conformal_quantile(errors[members], counts, level),
        )
    return predicted[:, None] + offsets[group_of_new]


def _rows_for(level: float, per_tail: int) -> int:
    """Fewest rows of which so many lie at or beyond the quantile of the level."""
    return ceil(per_tail / (1 - level) - 1 - 1e-9)


def _group_starts(known: Array, smallest: int) -> Array:
    """The lowest prediction of every group but the first; equal predictions share a group."""
    ordered = np.sort(known)
    size = max(smallest, ceil(len(ordered) / _MOST_GROUPS))
    starts: list[float] = []
    begin = 0
    while begin + size < len(ordered):
        # Where the next distinct value begins, once the group has its rows.
        end = int(np.searchsorted(ordered, ordered[begin + size - 1], side="right"))
        if len(ordered) - end < size:  # what is left is no group, and stays with this one
            break
        starts.append(float(ordered[end]))
        begin = end
    return np.array(starts)


def _conformal_quantile(errors: Array, weight: Array, level: float) -> float:
    """The smallest error up to which a share ``level`` of the weight lies, a new row's included."""
    order = np.argsort(errors, kind="stable")
    reached = np.cumsum(weight[order])
    needed = level * (reached[-1] + weight.mean())
    # A hair of tolerance: 19 of 20 is not to miss 0.95 by rounding.
    place = int(np.searchsorted(reached, needed * (1 - 1e-12)))
    return float(errors[order[min(place, len(order) - 1)]])
