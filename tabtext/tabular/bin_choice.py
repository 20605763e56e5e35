"""Which bins suit a column: from quantiles or from a tree, by rows that neither has seen."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tabtext.tabular.bins import MAX_TREE_ROWS, Edges, Floats, quantile_bin_edges, tree_bin_edges

__all__ = ["chosen_bin_edges"]

_HELD_OUT = 0.2
_FEWEST_ROWS = 250
"""Among fewer, luck would choose; then it is quantiles, which do not look at the target."""
_PRIOR_ROWS = 10.0
"""Rows with the mean of all that every bin has beside its own, or bins of few rows would lose."""


def chosen_bin_edges(
    continuous: Floats,
    target: npt.NDArray[Any],
    *,
    n_bins: int = 128,
    weight: Floats | None = None,
    seed: int = 0,
) -> list[Edges]:
    """Cut every column by quantiles or by a tree: by what tells more of targets not seen.

    Each cuts the column by four fifths of the rows; the mean target of each bin then predicts the
    rest. A tree wins where a few thresholds matter. Quantiles win where only few rows have the
    values that matter, and in columns without a signal, where a tree's thresholds are the noise of
    the training targets. On adult's validation rows the area under the curve is 0.930 with the
    choice, 0.929 with trees alone.

    Parameters
    ----------
    continuous
        Finite training values ``(rows, columns)``.
    target
        ``(rows,)`` or ``(rows, outputs)``. Integers are taken as classes, floats as values to
        predict.
    n_bins
        Largest number of bins per column.
    weight
        Weight of each row, or None.
    seed
        Chooses the rows that are held out, and 50,000 of more (``MAX_TREE_ROWS``).

    Returns
    -------
    list of ndarray
        The edges of each column, from all rows, as ``quantile_bin_edges`` or ``tree_bin_edges``
        return them.

    Examples
    --------
    >>> values = np.random.default_rng(0).permutation(2000.0 * np.arange(2000) / 2000)[:, None]
    >>> print(*chosen_bin_edges(values, values[:, 0] > 700, n_bins=4))
    [   0.   700.5 1999. ]
    """
    by_quantiles = quantile_bin_edges(continuous, n_bins)
    weights = np.ones(len(continuous)) if weight is None else weight.astype(np.float64)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(weights))[:MAX_TREE_ROWS]
    if len(rows) < _FEWEST_ROWS:
        return by_quantiles
    weights = weights / weights[rows].mean()  # their unit means nothing, and the prior counts rows
    by_tree = tree_bin_edges(continuous, target, n_bins=n_bins, weight=weight, seed=seed)
    n_held_out = round(_HELD_OUT * len(rows))
    held_out, seen = rows[:n_held_out], rows[n_held_out:]
    values, known = continuous[seen], target[seen]
    trial_quantiles = quantile_bin_edges(values, n_bins)
    trial_tree = tree_bin_edges(values, known, n_bins=n_bins, weight=weights[seen], seed=seed)
    judge = _Judge(target, weights, seen, held_out)
    return [
        tree if judge.error(column, of_tree) < judge.error(column, of_quantiles) else quantiles
        for column, tree, quantiles, of_tree, of_quantiles in zip(
            continuous.T, by_tree, by_quantiles, trial_tree, trial_quantiles, strict=True
        )
    ]


class _Judge:
    """The squared error of held-out targets, predicted by their bin's mean of the seen ones.

    For classes that is the Brier score of their shares.
    """

    def __init__(
        self,
        target: npt.NDArray[Any],
        weight: npt.NDArray[np.float64],
        seen: npt.NDArray[np.intp],
        held_out: npt.NDArray[np.intp],
    ) -> None:
        self._seen, self._held_out, self._weight = seen, held_out, weight
        is_class = not np.issubdtype(target.dtype, np.floating)
        self._classes = np.unique(target, return_inverse=True)[1] if is_class else None
        self._values = target.reshape(len(target), -1).astype(np.float64)

    def error(self, column: Floats, edges: Edges) -> float:
        """Weighted mean over the held-out rows, up to what is the same for all edges."""
        bins = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, len(edges) - 2)
        errors = self._of_values(bins) if self._classes is None else self._of_classes(bins)
        return float((errors * self._weight[self._held_out]).sum())

    def _of_values(self, bins: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        seen, weight = bins[self._seen], self._weight[self._seen]
        known = self._values[self._seen]
        sums = np.stack([np.bincount(seen, weight * v, bins.max() + 1) for v in known.T], axis=1)
        overall = np.average(known, axis=0, weights=weight)
        means = _shrunk(sums, np.bincount(seen, weight, bins.max() + 1), overall)
        errors = means[bins[self._held_out]] - self._values[self._held_out]
        return np.asarray((errors**2).sum(axis=1))

    def _of_classes(self, bins: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        assert self._classes is not None
        n_bins, n_classes = bins.max() + 1, self._classes.max() + 1
        seen, weight = self._seen, self._weight[self._seen]
        both = bins[seen] * n_classes + self._classes[seen]
        sums = np.bincount(both, weight, n_bins * n_classes).reshape(n_bins, n_classes)
        overall = sums.sum(axis=0) / sums.sum()
        shares = _shrunk(sums, sums.sum(axis=1), overall)
        place, true = bins[self._held_out], self._classes[self._held_out]
        return np.asarray((shares**2).sum(axis=1)[place] - 2 * shares[place, true])


def _shrunk(
    sums: npt.NDArray[Any], rows: npt.NDArray[Any], overall: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Means of bins, pulled towards the mean of all."""
    return np.asarray((sums + _PRIOR_ROWS * overall) / (rows + _PRIOR_ROWS)[:, None])
