"""Pictures of intervals around predicted quantities."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, GREY, require_same_length, styled_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_coverage", "share_inside"]


def plot_coverage(
    truth: NDArray[Any], intervals: Mapping[float, NDArray[Any]], *, ax: "Axes | None" = None
) -> "Axes":
    """Draw which share of the truth intervals hold against the share that was asked for.

    Parameters
    ----------
    truth : ndarray of shape (rows,)
        Quantities.
    intervals : mapping of float to ndarray of shape (rows, 2)
        The share asked for -> lower and upper bounds, as ``predict_interval`` returns them. A dot
        is such a share.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are no intervals, or the lengths differ, or there are no rows.

    Examples
    --------
    >>> truth, bounds = np.arange(4.0), np.array([[0.0, 2.0]] * 4)
    >>> picture = plot_coverage(truth, {0.8: bounds})
    >>> picture.lines[1].get_data()
    (array([80.]), array([75.]))
    """
    if not intervals:
        raise DataError("no intervals to draw")
    for bounds in intervals.values():
        require_same_length(truth, bounds)
    asked = np.array(sorted(intervals))
    reached = np.array([share_inside(truth, intervals[share]) for share in asked.tolist()])
    ax = styled_axes(ax, height=3.8)
    low, high = min(asked.min(), reached.min()), max(asked.max(), reached.max())
    edge = np.array([max(low - 0.04, 0.0), min(high + 0.04, 1.0)]) * 100
    ax.plot(edge, edge, color=GREY, linewidth=1, linestyle="--", label="as asked")
    ax.plot(asked * 100, reached * 100, "o-", color=BLUE, markersize=5, label="reached")
    ax.set(xlabel="share asked for (%)", ylabel="share of rows inside (%)")
    ax.legend(frameon=False, loc="upper left")
    return ax


def share_inside(truth: NDArray[Any], bounds: NDArray[Any]) -> float:
    """Return the share of rows whose truth ``(rows,)`` is not outside its bounds ``(rows, 2)``."""
    return float(((truth >= bounds[:, 0]) & (truth <= bounds[:, 1])).mean())
