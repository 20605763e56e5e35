"""Pictures of predicted quantities and their errors."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    date_axis,
    figure_of,
    require_same_length,
    shortened,
    styled_axes,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_predicted", "plot_residuals", "plot_residuals_over_time"]

# Beyond these quantiles lie single rows, which would squeeze all others into a corner.
_SHOWN = (0.005, 0.995)
_MOST_SPANS = 100


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
    label = f"{middle:.3g} {shortened(unit, 30)}" if unit else f"{middle:.3g}"
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
    """Draw the mean error of each day, week or month: a drift or a bad week shows.

    Rows of up to 100 days are drawn by day, of up to 100 weeks by week, and else by month.

    Parameters
    ----------
    times : ndarray of datetime64, shape (rows,)
        When each row happened; rows without a time are left out.
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
    require_same_length(truth, predicted)
    require_same_length(truth, times)
    known = ~np.isnat(times)
    require_same_length(times[known], truth[known])
    span, begins, widths = _spans(times[known])
    errors = (predicted - truth)[known]
    spans, inverse = np.unique(begins, return_inverse=True)
    _, first = np.unique(inverse, return_index=True)
    means = np.bincount(inverse, errors) / np.bincount(inverse)
    ax = styled_axes(ax)
    bars = widths[first]
    colors = [ORANGE if mean > 0 else BLUE for mean in means]
    ax.bar(spans, means, color=colors, width=0.8 * bars, align="edge")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(ylabel=with_unit("mean of predicted minus true", unit), xlabel=span)
    ax.set_xlim(spans[0] - bars[0] * 0.2, spans[-1] + bars[-1])
    date_axis(ax)
    return ax


def _spans(
    times: NDArray[np.datetime64],
) -> tuple[str, NDArray[np.datetime64], NDArray[np.timedelta64]]:
    """The name of a span that gives up to some 100, where each row's begins, and how long it is."""
    days = times.astype("datetime64[D]")
    n_days = int((days.max() - days.min()).astype(int)) + 1
    hours = "timedelta64[h]"
    if n_days <= _MOST_SPANS:
        return "day", days, np.full(len(days), np.timedelta64(24, "h"))
    if n_days <= 7 * _MOST_SPANS:
        monday = days - ((days.astype(int) + 3) % 7).astype("timedelta64[D]")  # day 0: a Thursday
        return "week", monday, np.full(len(days), np.timedelta64(7 * 24, "h"))
    months = days.astype("datetime64[M]")
    begins = months.astype("datetime64[D]")
    return "month", begins, ((months + 1).astype("datetime64[D]") - begins).astype(hours)


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """The shown quantiles, a little apart where all values are the same."""
    low, high = (float(value) for value in np.quantile(values, _SHOWN))
    return (low, high) if high > low else (low - 0.5, high + 0.5)
