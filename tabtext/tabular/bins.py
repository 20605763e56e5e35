"""Choosing bins for piecewise-linear embeddings: from quantiles, or from a tree on the target.

Continuous training values ``(rows, columns)`` go in, the edges of every column's bins come out.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

import numpy as np
import numpy.typing as npt

from tabtext.errors import DataError, ParameterError

__all__ = ["MAX_TREE_ROWS", "quantile_bin_edges", "tree_bin_edges"]

Floats = npt.NDArray[np.floating[Any]]
Edges = npt.NDArray[np.float32]

MAX_TREE_ROWS = 50_000
"""Rows that a tree looks at: beyond this many, 48 thresholds hardly move, but the time grows."""


def quantile_bin_edges(continuous: Floats, n_bins: int = 48) -> list[Edges]:
    """Cut every column into bins that hold about the same number of rows.

    Parameters
    ----------
    continuous
        Finite training values ``(rows, columns)``.
    n_bins
        Largest number of bins per column. A column of no more than ``n_bins + 1`` distinct values
        gets exactly those as edges; one of two values, such as a 0/1 indicator, gets one bin.

    Returns
    -------
    list of ndarray
        The edges of each column, float32, strictly increasing, at least two.

    Examples
    --------
    >>> values = np.column_stack([np.arange(9.0), [0, 1, 0, 1, 1, 0, 0, 1, 0]])
    >>> for edges in quantile_bin_edges(values, n_bins=4):
    ...     print(edges)
    [0. 2. 4. 6. 8.]
    [0. 1.]
    """
    continuous = _check_values(continuous, n_bins)
    return _over_columns(lambda column: _quantile_edges(column, n_bins), continuous)


def tree_bin_edges(
    continuous: Floats,
    target: npt.NDArray[Any],
    *,
    n_bins: int = 48,
    min_rows_per_leaf: int = 64,
    weight: Floats | None = None,
    seed: int = 0,
) -> list[Edges]:
    """Cut every column where a decision tree on the target cuts it.

    Unlike quantiles, a tree finds the few thresholds that matter in a column where most rows share
    one value. Use training rows only: the bins know the target.

    Parameters
    ----------
    continuous
        Finite training values ``(rows, columns)``.
    target
        ``(rows,)`` or ``(rows, outputs)``. Integers and booleans are taken as classes, floats as
        values to predict.
    n_bins
        Largest number of bins, the tree's number of leaves.
    min_rows_per_leaf
        Fewest rows in a bin. Default 64: a threshold should rest on more than a handful of rows,
        or the bins carry the training targets into the model.
    weight
        Weight of each row, or None.
    seed
        Chooses the rows when there are more than 50,000 (``MAX_TREE_ROWS``).

    Returns
    -------
    list of ndarray
        The edges of each column, float32, strictly increasing, at least two: the column's smallest
        value, the thresholds, its largest value.

    Examples
    --------
    >>> values = np.arange(1000.0)[:, None]
    >>> print(*tree_bin_edges(values, target=values[:, 0] > 700))
    [  0.  700.5 999. ]
    """
    continuous = _check_values(continuous, n_bins)
    if len(target) != len(continuous) or target.ndim not in (1, 2):
        raise ParameterError(
            "target must have one entry, or one row of outputs, per row of continuous, "
            f"however: {target.shape=}, {continuous.shape=}"
        )
    ranges = list(zip(continuous.min(axis=0), continuous.max(axis=0), strict=True))
    if len(continuous) > MAX_TREE_ROWS:
        kept = np.random.default_rng(seed).choice(len(continuous), MAX_TREE_ROWS, replace=False)
        continuous, target = continuous[kept], target[kept]
        weight = None if weight is None else weight[kept]

    def thresholds(column: Edges) -> Edges:
        return _tree_thresholds(column, target, weight, n_bins, min_rows_per_leaf)

    inner = _over_columns(thresholds, continuous)
    return [
        _clean_edges(np.r_[low, cuts, high])
        for (low, high), cuts in zip(ranges, inner, strict=True)
    ]


def _quantile_edges(column: Edges, n_bins: int) -> Edges:
    ordered = np.sort(column)
    distinct = ordered[np.r_[True, ordered[1:] != ordered[:-1]]]
    if len(distinct) <= n_bins + 1:
        return _clean_edges(distinct)
    places = np.linspace(0, len(ordered) - 1, n_bins + 1).round().astype(np.int64)
    return _clean_edges(ordered[places])


def _tree_thresholds(
    column: Edges,
    target: npt.NDArray[Any],
    weight: Floats | None,
    n_bins: int,
    min_rows_per_leaf: int,
) -> Edges:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # slow to import

    two_values = np.isin(column, [column.min(), column.max()]).all()
    if two_values or n_bins == 1:
        return column[:0]  # one bin says it all
    regression = np.issubdtype(target.dtype, np.floating)
    tree_class = DecisionTreeRegressor if regression else DecisionTreeClassifier
    # One feature leaves the tree nothing to draw, but scikit-learn shuffles features: fix it.
    tree = tree_class(max_leaf_nodes=n_bins, min_samples_leaf=min_rows_per_leaf, random_state=0)
    fitted = tree.fit(column[:, None], target, sample_weight=weight).tree_
    inner: Edges = fitted.threshold[fitted.children_left >= 0].astype(np.float32)
    return inner


def _clean_edges(edges: Floats) -> Edges:
    """Sort, drop repeats in single precision, and give a constant column one bin."""
    distinct: Edges = np.unique(edges.astype(np.float32))
    if len(distinct) == 1:
        low = distinct[0]
        return np.array([low, low + max(abs(low), 1)], np.float32)
    return distinct


def _over_columns(function: Callable[[Edges], Edges], continuous: Edges) -> list[Edges]:
    """Apply a function to every column in threads: sorting and trees release the GIL."""
    columns = [np.ascontiguousarray(column) for column in continuous.T]
    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(function, columns))


def _check_values(continuous: Floats, n_bins: int) -> Edges:
    if continuous.ndim != 2 or len(continuous) == 0:
        raise ParameterError(
            "continuous must have the shape (rows, columns) with at least one row, "
            f"however: {continuous.shape=}"
        )
    if n_bins < 1:
        raise ParameterError(f"n_bins must be at least 1, however: {n_bins=}")
    with np.errstate(over="ignore"):  # what overflows is reported below
        values = continuous.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
    if len(bad):
        raise DataError(
            f"continuous column {bad[0]} holds values that are not finite in single precision. "
            "Transform the data with TabularPreprocessor first; it fills gaps."
        )
    return values
