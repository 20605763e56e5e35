"""Pictures of how predictions depend on one column, all others being what they are."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.plots.style import (
    BLUE,
    GREY,
    INK,
    date_axis,
    require_same_length,
    shortened,
    strokes,
    styled_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_dependence", "plot_dependence_on_levels"]

_MOST_TICKS = 300


def plot_dependence(
    values: NDArray[Any],
    predicted: NDArray[Any],
    *,
    label: str,
    predicted_label: str = "mean prediction",
    observed: NDArray[Any] | None = None,
    outputs: Sequence[str] = (),
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the mean prediction against the value that a column of numbers or dates is set to.

    Parameters
    ----------
    values : ndarray of numbers or datetime64, shape (points,)
        What the column was set to, ascending.
    predicted : ndarray of shape (points,) or (points, outputs)
        Mean prediction over the rows, for each value.
    label, predicted_label : str
        Names of the column and of what is predicted, with their units.
    observed : ndarray, optional
        Values that rows really have. They stand as a rug at the bottom: where it is thin, the curve
        rests on few rows, and on combinations that may not exist.
    outputs : sequence of str
        Names of the lines, where there are several.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there is no value, or the lengths differ.

    References
    ----------
    Friedman, J. H. (2001), "Greedy Function Approximation: A Gradient Boosting Machine", section
    8.2.

    Examples
    --------
    >>> picture = plot_dependence(np.array([0.0, 5.0]), np.array([1.0, 4.0]), label="wind (m/s)")
    >>> picture.lines[0].get_data()
    (array([0., 5.]), array([1., 4.]))
    """
    require_same_length(values, predicted)
    ax = styled_axes(ax)
    lines = predicted.reshape(len(values), -1)
    names = [shortened(str(name), 18) for name in outputs] or [""] * lines.shape[1]
    marker = "o" if len(values) <= 15 else ""
    for line, name, (dashes, color) in zip(lines.T, names, cycle(strokes()), strict=False):
        ax.plot(values, line, dashes, color=color, label=name, marker=marker, markersize=4)
    if observed is not None:
        _rug(ax, observed, values)
    if np.issubdtype(values.dtype, np.datetime64):
        date_axis(ax)
    else:
        ax.locator_params(axis="x", nbins=6)
    _leave_room(ax, lines)
    ax.set(xlabel=shortened(label, 40), ylabel=shortened(predicted_label, 34))
    _legend(ax, names)
    return ax


def plot_dependence_on_levels(
    levels: Sequence[str],
    predicted: NDArray[Any],
    *,
    label: str,
    predicted_label: str = "mean prediction",
    counts: NDArray[np.integer[Any]] | None = None,
    overall: float | None = None,
    outputs: Sequence[str] = (),
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the mean prediction for each category that a column is set to.

    One prediction is a bar from the mean over all rows, since only the differences between
    categories tell something; several are marks in a row.

    Parameters
    ----------
    levels : sequence of str
        What the column was set to, from above to below.
    predicted : ndarray of shape (levels,) or (levels, outputs)
        Mean prediction over the rows, for each level.
    label, predicted_label : str
        Names of the column and of what is predicted, with their units.
    counts : ndarray of int, shape (levels,), optional
        How many rows have each level; stands behind its name.
    overall : float, optional
        Where bars begin: the mean prediction of the rows as they are. Default: the mean of
        ``predicted``.
    outputs : sequence of str
        Names of the marks, where there are several.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there is no level, or the lengths differ.

    Examples
    --------
    >>> picture = plot_dependence_on_levels(
    ...     ["EWR", "JFK"], np.array([9.0, 5.0]), label="origin", counts=np.array([20, 1000])
    ... )
    >>> [text.get_text() for text in picture.get_yticklabels()]
    ['EWR (20)', 'JFK (1,000)']
    >>> [float(bar.get_width()) for bar in picture.patches]
    [2.0, -2.0]
    """
    require_same_length(np.asarray(levels), predicted)
    marks = predicted.reshape(len(levels), -1)
    names = [shortened(str(level), 18) for level in levels]
    if counts is not None:
        names = [f"{name} ({count:,})" for name, count in zip(names, counts.tolist(), strict=True)]
    ax = styled_axes(ax, height=max(2.4, 0.25 * len(names) + 0.9))
    places = np.arange(len(names))
    if marks.shape[1] == 1:
        start = float(marks.mean()) if overall is None else overall
        ax.barh(places, marks[:, 0] - start, left=start, color=BLUE, height=0.7)
        ax.axvline(start, color=INK, linewidth=1)
        _leave_room(ax, np.append(marks, start), axis="x")
    else:
        shapes = cycle(("o", "s", "^", "D", "v"))
        for column, name, mark, (_, color) in zip(
            marks.T, outputs, shapes, cycle(strokes()), strict=False
        ):
            fill = shortened(str(name), 18)
            ax.plot(column, places, mark, color=color, label=fill, markersize=6, linestyle="")
        ax.grid(visible=True, axis="y")
    ax.set_yticks(places, names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set(xlabel=shortened(predicted_label, 40), title=shortened(label, 40))
    ax.title.set(fontsize=10, color=INK)
    ax.locator_params(axis="x", nbins=5)
    _legend(ax, outputs if marks.shape[1] > 1 else ())
    return ax


def _rug(ax: "Axes", observed: NDArray[Any], values: NDArray[Any]) -> None:
    """Short lines at the bottom where rows are, evenly thinned; what is beyond is left out."""
    inside = np.sort(observed[(observed >= values[0]) & (observed <= values[-1])])
    step = max(1, -(-len(inside) // _MOST_TICKS))
    ax.plot(
        inside[step // 2 :: step],
        np.zeros(len(inside[step // 2 :: step])),
        "|",
        color=GREY,
        markersize=9,
        alpha=0.5,
        transform=ax.get_xaxis_transform(),
        clip_on=False,
    )


def _leave_room(ax: "Axes", drawn: NDArray[Any], axis: str = "y") -> None:
    """Keep a line that hardly moves from filling the picture: no more than 5 % of its height."""
    low, high = float(np.min(drawn)), float(np.max(drawn))
    least = max(0.02 * max(abs(low), abs(high)), 1e-6)
    spread = max(high - low, least)
    middle = (low + high) / 2
    limits = (middle - 0.58 * spread, middle + 0.58 * spread)
    if axis == "x":
        ax.set_xlim(*limits)
    else:
        ax.set_ylim(*limits)


def _legend(ax: "Axes", names: Sequence[str]) -> None:
    if len(names) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=9)
