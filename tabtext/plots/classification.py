"""Pictures of predicted classes and probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.plots.style import (
    BLUE,
    GREY,
    INK,
    require_both_classes,
    require_same_length,
    shortened,
    styled_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration", "plot_confusion", "plot_precision_recall", "plot_roc"]


def plot_roc(
    truth: NDArray[np.bool_], probability: NDArray[Any], *, ax: "Axes | None" = None
) -> "Axes":
    """Draw the ROC curve of a yes-or-no prediction.

    Parameters
    ----------
    truth : ndarray of bool, shape (rows,)
        What came true.
    probability : ndarray of float, shape (rows,)
        Predicted probability of yes.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ, or only one class is there.

    Examples
    --------
    >>> picture = plot_roc(np.array([False, True, True]), np.array([0.2, 0.4, 0.9]))
    >>> picture.get_legend().get_texts()[0].get_text()
    'area 1.000'
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    require_both_classes(truth, probability)
    false_positive, true_positive, _ = roc_curve(truth, probability)
    area = roc_auc_score(truth, probability)
    ax = styled_axes(ax, height=3.8)
    ax.plot(false_positive, true_positive, color=BLUE, label=f"area {area:.3f}")
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="chance")
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.legend(frameon=False, loc="lower right")
    return ax


def plot_precision_recall(
    truth: NDArray[np.bool_], probability: NDArray[Any], *, ax: "Axes | None" = None
) -> "Axes":
    """Draw precision against recall of a yes-or-no prediction.

    Parameters
    ----------
    truth : ndarray of bool, shape (rows,)
        What came true.
    probability : ndarray of float, shape (rows,)
        Predicted probability of yes.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ, or only one class is there.

    Examples
    --------
    >>> picture = plot_precision_recall(np.array([False, True]), np.array([0.2, 0.9]))
    >>> picture.get_legend().get_texts()[0].get_text()
    'average precision 1.000'
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    require_both_classes(truth, probability)
    precision, recall, _ = precision_recall_curve(truth, probability)
    average = average_precision_score(truth, probability)
    share = float(np.mean(truth))
    ax = styled_axes(ax, height=3.8)
    # Steps, because precision between two thresholds is not on the line between them.
    ax.step(recall, precision, where="post", color=BLUE, label=f"average precision {average:.3f}")
    ax.axhline(share, color=GREY, linewidth=1, linestyle="--", label=f"share of yes {share:.3f}")
    ax.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    ax.legend(frameon=False, loc="lower left")
    return ax


def plot_calibration(
    truth: NDArray[np.bool_],
    probability: NDArray[Any],
    *,
    n_groups: int = 10,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how often yes came true against its predicted probability.

    Parameters
    ----------
    truth : ndarray of bool, shape (rows,)
        What came true.
    probability : ndarray of float, shape (rows,)
        Predicted probability of yes.
    n_groups : int
        Rows are put into so many groups of equal size by their probability; a dot is a group.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ, or only one class is there.

    Examples
    --------
    >>> picture = plot_calibration(np.array([False, True]), np.array([0.2, 0.9]), n_groups=2)
    >>> picture.get_ylabel()
    'share that came true'
    """
    from sklearn.calibration import calibration_curve

    require_both_classes(truth, probability)
    observed, stated = calibration_curve(truth, probability, n_bins=n_groups, strategy="quantile")
    ax = styled_axes(ax, height=3.8)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
    ax.plot(stated, observed, "o-", color=BLUE, markersize=5, label="model")
    ax.set(xlabel="predicted probability", ylabel="share that came true")
    ax.legend(frameon=False, loc="upper left")
    return ax


def plot_confusion(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    labels: Sequence[Any],
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    r"""Draw how many rows of each true class got each predicted class.

    Parameters
    ----------
    truth, predicted : ndarray of shape (rows,)
        Classes.
    labels : sequence
        All classes, in the order of the axes. Colour and percentage are shares of the true class;
        beyond 12 classes the colour alone has to do.
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
    >>> picture = plot_confusion(np.array(["a", "a"]), np.array(["a", "b"]), ["a", "b"])
    >>> [text.get_text() for text in picture.texts]
    ['1\n50%', '1\n50%', '0\n0%', '0\n0%']
    """
    from sklearn.metrics import confusion_matrix

    require_same_length(truth, predicted)
    counts = confusion_matrix(truth, predicted, labels=list(labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.4, 0.28 * len(counts) + 1)
    ax = styled_axes(ax, width=max(4.4, side), height=side)
    ax.grid(visible=False)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(counts) <= 12:
        _write_cells(ax, counts, shares)
    names = [shortened(str(label), 14) for label in labels]
    crowded = sum(map(len, names)) > 40
    ax.set_xticks(range(len(names)), names, rotation=90 if crowded else 0)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def _write_cells(ax: "Axes", counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    size = 11 if len(counts) <= 4 else 7
    for row, column in np.ndindex(*counts.shape):
        ax.text(
            column,
            row,
            f"{counts[row, column]:,}\n{shares[row, column]:.0%}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if shares[row, column] > 0.6 else INK,
        )
