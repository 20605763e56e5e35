"""Pictures of what columns hold."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, GREY, INK, date_axis, shortened, styled_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_distribution", "plot_levels"]

_SHOWN = (0.005, 0.995)
_MOST_BARS = 40


def plot_distribution(
    values: NDArray[Any], *, label: str, unit: str = "rows", ax: "Axes | None" = None
) -> "Axes":
    """Draw how numbers or dates are distributed.

    Parameters
    ----------
    values : ndarray of numbers or datetime64, shape (rows,)
        Values of a column; those that are missing or infinite are left out. The picture ends at the
        0.5 % and 99.5 % quantiles, and says how many lie beyond.
    label : str
        Name of the column.
    unit : str
        What is counted.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there is no value.

    Examples
    --------
    >>> picture = plot_distribution(np.array([1.0, 2.0, 2.0, np.nan]), label="hours")
    >>> int(sum(bar.get_height() for bar in picture.patches))
    3
    """
    is_date = np.issubdtype(values.dtype, np.datetime64)
    numbers = values.astype("datetime64[s]") if is_date else values.astype(np.float64)
    present = numbers[~np.isnat(numbers) if is_date else np.isfinite(numbers)]
    if len(present) == 0:
        raise DataError(f"column {label!r} has no value to draw")
    plain = present.astype(np.float64)
    edges = _edges(plain)
    counts, _ = np.histogram(plain, edges)
    ax = styled_axes(ax, height=2.0)
    places = edges.astype("int64").astype("datetime64[s]") if is_date else edges
    ax.bar(places[:-1], counts, width=np.diff(places), align="edge", color=BLUE)
    if is_date:
        date_axis(ax)
    ax.set(ylabel=shortened(unit, 30), xlabel=shortened(label, 36))
    ax.margins(x=0.01)
    ax.locator_params(axis="y", nbins=4)
    ax.yaxis.set_major_formatter(_with_thousands)
    beyond = len(plain) - int(counts.sum())
    if beyond:
        ax.set_title(f"{beyond / len(plain):.1%} beyond", loc="right", fontsize=9, color=INK)
    return ax


def plot_levels(
    levels: list[str],
    counts: NDArray[np.integer[Any]],
    *,
    label: str,
    n_others: int = 0,
    unit: str = "rows",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how many rows each category has.

    Parameters
    ----------
    levels : list of str
        Categories, in the order from above to below.
    counts : ndarray of int, shape (levels,)
        Rows of each.
    label : str
        Name of the column.
    n_others : int
        Rows of all categories that are not shown; a grey bar of its own.
    unit : str
        What is counted.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there is no level, or their number differs from that of the counts.

    Examples
    --------
    >>> picture = plot_levels(["EWR", "JFK"], np.array([20, 10]), label="origin")
    >>> [text.get_text() for text in picture.get_yticklabels()]
    ['EWR', 'JFK']
    """
    if not levels or len(levels) != len(counts):
        raise DataError(f"{len(levels)} levels and {len(counts)} counts; give as many, at least 1")
    names = [shortened(level, 20) for level in levels]
    bars, colors = list(counts), [BLUE] * len(levels)
    if n_others:
        names, bars, colors = [*names, "(others)"], [*bars, n_others], [*colors, GREY]
    ax = styled_axes(ax, height=max(2.0, 0.22 * len(names) + 0.7))
    ax.barh(range(len(names)), bars, color=colors, height=0.75)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set(xlabel=f"{shortened(unit, 20)} per {shortened(label, 30)}")
    ax.locator_params(axis="x", nbins=4)
    ax.xaxis.set_major_formatter(_with_thousands)
    return ax


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of bars: one for each of few whole numbers, else of equal width."""
    low, high = (float(value) for value in np.quantile(values, _SHOWN))
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    if high - low < _MOST_BARS and (values == np.round(values)).all():
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    return np.linspace(low, high, min(_MOST_BARS, max(int(np.sqrt(len(values))), 5)) + 1)


def _with_thousands(number: float, position: float = 0) -> str:
    """A number of an axis, short."""
    del position
    return f"{number:,.0f}" if number < 1e6 else f"{number / 1e6:g} M"
