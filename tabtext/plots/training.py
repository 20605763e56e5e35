"""Pictures of a training run."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, GREY, INK, ORANGE, shortened, strokes, styled_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from tabtext.training.schedules import Schedule

__all__ = [
    "plot_history",
    "plot_learning_rate",
    "plot_learning_rate_curve",
    "plot_metric",
    "plot_schedule",
    "plot_step_losses",
]


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


def plot_metric(
    values: Sequence[float], *, label: str, best_epoch: int | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw a metric on the validation rows over epochs.

    Parameters
    ----------
    values : sequence of float
        The metric after each epoch, a column of ``History.to_frame()``.
    label : str
        Its name.
    best_epoch : int, optional
        The epoch to mark, counted from 0; the axis counts from 1.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If no value is finite.

    Examples
    --------
    >>> picture = plot_metric([0.7, 0.8], label="accuracy", best_epoch=1)
    >>> [text.get_text() for text in picture.get_legend().get_texts()]
    ['kept: 0.8']
    """
    from matplotlib.ticker import MaxNLocator

    measured = np.asarray(values, np.float64)
    if not np.isfinite(measured).any():
        raise DataError(f"no epoch has a finite {label} to draw")
    ax = styled_axes(ax)
    ax.plot(np.arange(1, len(measured) + 1), measured, "o-", color=BLUE, markersize=4)
    if best_epoch is not None:
        best = measured[best_epoch]
        kept = f"kept: {best:.4g}"
        ax.plot(best_epoch + 1, best, "o", color=ORANGE, markersize=9, label=kept)
        ax.legend(frameon=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=label)
    return ax


def plot_step_losses(
    losses: Sequence[float], *, steps_per_point: int = 1, ax: "Axes | None" = None
) -> "Axes":
    """Draw the training loss of every step, and its running mean.

    Parameters
    ----------
    losses : sequence of float
        ``History.step_losses``.
    steps_per_point : int
        How many steps each of them stands for, ``History.steps_per_point``.
    ax : Axes, optional
        Where to draw; default: a figure of its own. Single steps above the 99.5 % quantile leave
        the picture: they would flatten the rest.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If no loss is finite.

    Examples
    --------
    >>> plot_step_losses([0.9, 0.5, 0.6]).get_xlabel()
    'step'
    """
    y = np.array([np.nan if loss is None else loss for loss in losses], np.float64)
    is_finite = np.isfinite(y)
    if not is_finite.any():
        raise DataError("no step has a finite loss to draw")
    steps, y = (np.arange(1, len(y) + 1) * steps_per_point)[is_finite], y[is_finite]
    window = max(len(y) // 40, 1)
    sums = np.cumsum(np.insert(y, 0, 0.0))
    starts = np.maximum(np.arange(1, len(y) + 1) - window, 0)
    ends = np.arange(1, len(y) + 1)
    ax = styled_axes(ax)
    ax.plot(steps, y, color=GREY, linewidth=0.6, alpha=0.6, label="step")
    means = (sums[ends] - sums[starts]) / (ends - starts)
    ax.plot(steps, means, color=BLUE, linewidth=1.8, label=f"mean of {window * steps_per_point:,}")
    low, high = float(y.min()), float(np.quantile(y, 0.995))
    margin = 0.05 * (high - low) or 0.5
    ax.set_ylim(low - margin, high + margin)
    ax.set(xlabel="step", ylabel="training loss")
    ax.legend(frameon=False, loc="upper right")
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
    for (name, schedule), (dashes, color) in zip(schedules.items(), cycle(strokes()), strict=False):
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
