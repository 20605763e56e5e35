"""Pictures of a training run."""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, GREY, INK, ORANGE, shortened, styled_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from tabtext.training.schedules import Schedule

__all__ = ["plot_history", "plot_learning_rate", "plot_learning_rate_curve", "plot_schedule"]


def plot_history(
    history: "pd.DataFrame", *, best_epoch: int | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw training and validation loss over epochs.

    Parameters
    ----------
    history : DataFrame
        ``History.to_frame()``: columns ``train_loss`` and ``valid_loss``, a row per epoch.
    best_epoch : int, optional
        The epoch to mark, counted from 0; the axis counts from 1.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"train_loss": [0.9, 0.5], "valid_loss": [0.8, 0.6]})
    >>> plot_history(frame, best_epoch=1).get_xlabel()
    'epoch'
    """
    from matplotlib.ticker import MaxNLocator

    ax = styled_axes(ax)
    epochs = np.arange(1, len(history) + 1)
    ax.plot(epochs, history["train_loss"], "o-", color=GREY, label="training", markersize=4)
    if history["valid_loss"].notna().any():
        ax.plot(epochs, history["valid_loss"], "o-", color=BLUE, label="validation", markersize=4)
        if best_epoch is not None:
            best = history["valid_loss"].iloc[best_epoch]
            ax.plot(best_epoch + 1, best, "o", color=ORANGE, markersize=9, label="kept")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel="loss")
    ax.legend(frameon=False)
    return ax


def plot_learning_rate(
    rates: Sequence[float], *, steps_per_point: int = 1, ax: "Axes | None" = None
) -> "Axes":
    """Draw the learning rate of every step.

    Parameters
    ----------
    rates : sequence of float
        ``History.step_learning_rates``.
    steps_per_point : int
        How many steps each of them stands for, ``History.steps_per_point``.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_learning_rate([1e-4, 2e-3, 1e-4]).get_ylabel()
    'learning rate'
    """
    ax = styled_axes(ax)
    ax.plot(np.arange(1, len(rates) + 1) * steps_per_point, rates, color=BLUE)
    ax.set(xlabel="step", ylabel="learning rate")
    ax.set_ylim(bottom=0)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    return ax


def plot_schedule(
    schedules: "Mapping[str, Schedule]", *, n_points: int = 400, ax: "Axes | None" = None
) -> "Axes":
    """Draw schedules over the share of the training, to be seen before any training.

    Parameters
    ----------
    schedules : mapping of str to callable
        Functions of progress in [0, 1] by the name to show.
    n_points : int
        At how many places each is computed.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are no schedules.

    Examples
    --------
    >>> axes = plot_schedule({"falling": lambda progress: 1 - progress})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['falling']
    """
    if not schedules:
        raise DataError("no schedules to draw")
    progress = np.linspace(0.0, 1.0, n_points)
    ax = styled_axes(ax, height=2.8 + 0.2 * ((len(schedules) + 1) // 2))  # the legend's rows
    strokes = cycle(product(("-", "--", ":"), (BLUE, ORANGE, INK)))
    for (name, schedule), (dashes, color) in zip(schedules.items(), strokes, strict=False):
        factors = [schedule(float(share)) for share in progress]
        ax.plot(progress, factors, dashes, color=color, label=shortened(name, 24))
    ax.set(xlabel="share of the training", ylabel="share of the peak rate")
    ax.set_ylim(bottom=0)
    # Curves that cross the whole picture leave no corner free, so the legend stands above it.
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(schedules), 2), frameon=False)
    return ax


def plot_learning_rate_curve(
    rates: Sequence[float] | NDArray[np.floating],
    losses: Sequence[float] | NDArray[np.floating],
    suggestions: Mapping[str, float],
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the loss over a rising learning rate, and mark the rates that rules suggest from it.

    Where the loss blows up at the end, the curve leaves the picture: it would flatten the rest.

    Parameters
    ----------
    rates : sequence or array of float
        The learning rate of every step, rising.
    losses : sequence or array of float
        The smoothed loss of every step.
    suggestions : mapping of str to float
        Learning rates by the name of the rule.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are not as many losses as rates, or no finite ones.

    References
    ----------
    Smith, L. N. (2017), "Cyclical Learning Rates for Training Neural Networks", section 3.3.

    Examples
    --------
    >>> axes = plot_learning_rate_curve([1e-4, 1e-3, 1e-2], [0.9, 0.5, 3.0], {"valley": 3e-4})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['valley: 0.0003']
    """
    x, y = np.asarray(rates, np.float64), np.asarray(losses, np.float64)
    if len(x) != len(y) or not np.isfinite(y).any():
        raise DataError(f"{len(x)} rates and {len(y)} losses; give as many of both, finite ones")
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    ax = styled_axes(ax)
    ax.plot(x, y, color=BLUE)
    # Hollow marks of different shapes: rules often agree, and then all of them are to be seen.
    for (name, rate), (mark, color, size) in zip(suggestions.items(), cycle(_MARKS), strict=False):
        height = np.interp(np.log(rate), np.log(x), y)
        ax.plot(
            rate,
            height,
            mark,
            color=color,
            fillstyle="none",
            markersize=size,
            markeredgewidth=1.8,
            linestyle="",
            label=f"{shortened(name, 18)}: {rate:.2g}",
        )
    ax.set_xscale("log")
    ax.set_ylim(*_range_before_divergence(y))
    ax.set(xlabel="learning rate", ylabel="smoothed loss")
    if suggestions:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return ax


_MARKS = (
    ("o", ORANGE, 7),
    ("s", INK, 12),
    ("^", ORANGE, 11),
    ("D", INK, 8),
    ("v", ORANGE, 9),
    ("P", INK, 10),
)


def _range_before_divergence(losses: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits that show the way down to the lowest loss, and the beginning of the rise."""
    lowest = float(losses.min())
    descent = float(losses[: losses.argmin() + 1].max()) - lowest
    # A loss that only rises has no descent; it is shown whole.
    shown = 1.5 * descent if descent > 0 else float(losses.max()) - lowest
    shown = min(shown, float(losses.max()) - lowest) or 1.0
    return lowest - 0.08 * shown, lowest + 1.08 * shown
