"""Pictures of predicted quantities and their errors."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    figure_of,
    require_same_length,
    styled_axes,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_predicted", "plot_residuals", "plot_residuals_over_time"]

# Beyond these quantiles lie single rows, which would squeeze all others into a corner.
_SHOWN = (0.005, 0.995)


def plot_predicted(
    truth: NDArray[Any], predicted: NDArray[Any], *, unit: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Draw predicted against true quantities, as a map of how many rows lie where.

    Parameters
    ----------
    truth, predicted : ndarray of shape (rows,)
        Quantities. The axes end at the 0.5 % and 99.5 % quantiles of both together.
    unit : str
        Their unit, for the labels.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ or there are no rows.

    Examples
    --------
    >>> truth = np.arange(50.0)
    >>> plot_predicted(truth, truth + 1, unit="min").get_xlabel()
    'true (min)'
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter, LogLocator

    require_same_length(truth, predicted)
    low, high = _range(np.concatenate([truth, predicted]))
    ax = styled_axes(ax, height=3.8)
    cells = ax.hexbin(
        truth,
        predicted,
        gridsize=40,
        extent=(low, high, low, high),
        norm=LogNorm(),
        mincnt=1,
        cmap="viridis_r",
        linewidths=0,
    )
    ax.plot([low, high], [low, high], color=ORANGE, linewidth=1.4, label="predicted = true")
    ax.set(xlabel=with_unit("true", unit), ylabel=with_unit("predicted", unit))
    ax.set(xlim=(low, high), ylim=(low, high))
    bar = figure_of(ax).colorbar(
        cells, ax=ax, ticks=LogLocator(), format=FuncFormatter(lambda rows, _: f"{rows:,.0f}")
    )
    bar.set_label("rows", color=INK)
    bar.ax.tick_params(which="both", colors=INK, labelsize=9)
    bar.outline.set_visible(False)
    ax.legend(frameon=False, loc="upper left")
    return ax


def plot_residuals(
    truth: NDArray[Any], predicted: NDArray[Any], *, unit: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Draw how errors (predicted minus true) are distributed.

    Parameters
    ----------
    truth, predicted : ndarray of shape (rows,)
        Quantities. The picture ends at the 0.5 % and 99.5 % quantiles of the errors.
    unit : str
        Their unit, for the label.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ or there are no rows.

    Examples
    --------
    >>> plot_residuals(np.zeros(9), np.arange(9.0)).get_xlabel()
    'predicted minus true'
    """
    require_same_length(truth, predicted)
    residuals = predicted - truth
    middle = float(np.median(residuals))
    label = f"{middle:.3g} {unit}".strip()
    ax = styled_axes(ax)
    ax.hist(residuals, bins=60, range=_range(residuals), color=BLUE)
    ax.axvline(0, color=INK, linewidth=1.2)
    ax.axvline(middle, color=ORANGE, linewidth=1.4, linestyle="--", label=f"median {label}")
    ax.set(xlabel=with_unit("predicted minus true", unit), ylabel="rows")
    ax.legend(frameon=False, loc="upper left")
    return ax


def plot_residuals_over_time(
    times: NDArray[np.datetime64],
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    unit: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the mean error of each day: a drift or a bad week shows.

    Parameters
    ----------
    times : ndarray of datetime64, shape (rows,)
        When each row happened.
    truth, predicted : ndarray of shape (rows,)
        Quantities.
    unit : str
        Their unit, for the label.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ or there are no rows.

    Examples
    --------
    >>> times = np.array(["2013-12-01T05", "2013-12-01T09", "2013-12-02T07"], "datetime64[s]")
    >>> picture = plot_residuals_over_time(times, np.zeros(3), np.array([1.0, 3.0, -5.0]))
    >>> [float(bar.get_height()) for bar in picture.patches]
    [2.0, -5.0]
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    require_same_length(truth, predicted)
    require_same_length(truth, times)
    days, inverse = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    means = np.bincount(inverse, predicted - truth) / np.bincount(inverse)
    ax = styled_axes(ax)
    ax.bar(days, means, color=np.where(means > 0, ORANGE, BLUE), width=0.8)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(ylabel=with_unit("mean of predicted minus true", unit), xlabel="day")
    half = np.timedelta64(12, "h")
    ax.set_xlim(days[0] - half, days[-1] + half)
    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]  # dates are untyped
    ax.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # so is this
    ax.xaxis.set_major_formatter(formatter)
    return ax


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """The shown quantiles, a little apart where all values are the same."""
    low, high = (float(value) for value in np.quantile(values, _SHOWN))
    return (low, high) if high > low else (low - 0.5, high + 0.5)
