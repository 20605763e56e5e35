"""Pictures of predictions of several classes or labels, a line for each."""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError
from tabtext.plots.style import GREY, require_same_length, shortened, strokes, styled_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_precision_recall_per_class", "plot_roc_per_class"]

_Curve = tuple[NDArray[Any], NDArray[Any]]


def plot_roc_per_class(
    truth: NDArray[np.bool_],
    probabilities: NDArray[Any],
    names: Sequence[str],
    *,
    n_classes: int = 5,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw an ROC curve for each class against all others, or for each of several labels.

    Parameters
    ----------
    truth : ndarray of bool, shape (rows, classes)
        Which class each row has, or which labels hold.
    probabilities : ndarray of float, shape (rows, classes)
        Predicted probabilities.
    names : sequence of str
        The classes, in the order of the columns.
    n_classes : int
        How many are drawn, those with the most rows; a class that no row has, or every row, has no
        curve.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ, or no class has both rows and other rows.

    Examples
    --------
    >>> truth = np.eye(3, dtype=bool)
    >>> picture = plot_roc_per_class(truth, truth * 0.6 + 0.1, ["a", "b", "c"])
    >>> [text.get_text() for text in picture.get_legend().get_texts()]
    ['a: area 1.000', 'b: area 1.000', 'c: area 1.000', 'chance']
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    def curve(is_class: NDArray[np.bool_], probability: NDArray[Any]) -> _Curve:
        false_positive, true_positive, _ = roc_curve(is_class, probability)
        return false_positive, true_positive

    ax = styled_axes(ax, height=4.2)
    _draw_curves(
        ax, truth, probabilities, names, curve, ("area", roc_auc_score), n_classes=n_classes
    )
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="chance")
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    return ax


def plot_precision_recall_per_class(
    truth: NDArray[np.bool_],
    probabilities: NDArray[Any],
    names: Sequence[str],
    *,
    n_classes: int = 5,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw precision against recall for each class against all others, or for each label.

    Parameters
    ----------
    truth, probabilities, names, n_classes, ax
        As for ``plot_roc_per_class``.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ, or no class has both rows and other rows.

    Examples
    --------
    >>> truth = np.eye(2, dtype=bool)
    >>> picture = plot_precision_recall_per_class(truth, truth * 0.6 + 0.1, ["a", "b"])
    >>> [text.get_text() for text in picture.get_legend().get_texts()]
    ['a: average precision 1.000', 'b: average precision 1.000']
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    def curve(is_class: NDArray[np.bool_], probability: NDArray[Any]) -> _Curve:
        precision, recall, _ = precision_recall_curve(is_class, probability)
        return recall, precision

    ax = styled_axes(ax, height=4.2)
    score = ("average precision", average_precision_score)
    _draw_curves(
        ax, truth, probabilities, names, curve, score, n_classes=n_classes, drawstyle="steps-post"
    )
    ax.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    # Curves of several classes leave no corner free.
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), fontsize=9)
    return ax


def _draw_curves(
    ax: "Axes",
    truth: NDArray[np.bool_],
    probabilities: NDArray[Any],
    names: Sequence[str],
    curve: Callable[[NDArray[np.bool_], NDArray[Any]], _Curve],
    score: tuple[str, Callable[[NDArray[np.bool_], NDArray[Any]], float]],
    *,
    n_classes: int,
    drawstyle: Any = "default",
) -> None:
    """Draw the curves of the most frequent classes; the label of each states its score."""
    require_same_length(truth, probabilities)
    counts = truth.sum(axis=0)
    frequent = np.argsort(-counts, kind="stable")
    shown = [number for number in frequent.tolist() if 0 < counts[number] < len(truth)]
    if not shown:
        raise DataError("the curves need rows of two classes or more, and only one is there")
    word, measured = score
    for number, (dashes, color) in zip(shown[:n_classes], cycle(strokes()), strict=False):
        is_class, probability = truth[:, number], probabilities[:, number]
        value = measured(is_class, probability)
        label = f"{shortened(str(names[number]), 18)}: {word} {value:.3f}"
        x, y = curve(is_class, probability)
        ax.plot(x, y, dashes, color=color, label=label, drawstyle=drawstyle)
