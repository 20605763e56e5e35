"""Pictures of a training run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tabtext.plots.style import BLUE, GREY, ORANGE, styled_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_history", "plot_learning_rate"]


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


def plot_learning_rate(rates: Sequence[float], *, ax: "Axes | None" = None) -> "Axes":
    """Draw the learning rate of every step.

    Parameters
    ----------
    rates : sequence of float
        ``History.step_learning_rates``.
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
    ax.plot(np.arange(1, len(rates) + 1), rates, color=BLUE)
    ax.set(xlabel="step", ylabel="learning rate")
    ax.set_ylim(bottom=0)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    return ax
