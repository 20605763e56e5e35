"""Pictures of data and models: each function draws one, from plain arrays, and returns its Axes.

Figures are made without pyplot, so nothing global changes and nothing has to be closed. matplotlib
loads on the first call.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "plot_calibration",
    "plot_confusion",
    "plot_embeddings",
    "plot_history",
    "plot_importance",
    "plot_learning_rate",
    "plot_precision_recall",
    "plot_predicted",
    "plot_residuals",
    "plot_residuals_over_time",
    "plot_roc",
]

# Okabe and Ito's palette, which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#8a8f98"
_INK = "#30343b"


def new_axes(width: float = 5.2, height: float = 3.6) -> "Axes":
    """Return empty axes in the style of this module; sizes in inches."""
    from matplotlib.figure import Figure

    axes: Axes = Figure(figsize=(width, height), layout="constrained").add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def plot_history(history: "pd.DataFrame", *, best_epoch: int | None = None) -> "Axes":
    """Draw training and validation loss over epochs.

    Parameters
    ----------
    history : DataFrame
        ``History.to_frame()``: columns ``train_loss`` and ``valid_loss``, a row per epoch.
    best_epoch : int, optional
        The epoch to mark, counted from 0.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"train_loss": [0.9, 0.5], "valid_loss": [0.8, 0.6]})
    >>> plot_history(frame, best_epoch=1).get_xlabel()
    'epoch'
    """
    from matplotlib.ticker import MaxNLocator

    axes = new_axes()
    epochs = np.arange(1, len(history) + 1)
    axes.plot(epochs, history["train_loss"], "o-", color=GREY, label="training", markersize=4)
    if history["valid_loss"].notna().any():
        axes.plot(epochs, history["valid_loss"], "o-", color=BLUE, label="validation", markersize=4)
        if best_epoch is not None:
            best = history["valid_loss"].iloc[best_epoch]
            axes.plot(best_epoch + 1, best, "o", color=ORANGE, markersize=9, label="kept")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend(frameon=False)
    return axes


def plot_learning_rate(rates: Sequence[float]) -> "Axes":
    """Draw the learning rate of every step."""
    axes = new_axes()
    axes.plot(np.arange(1, len(rates) + 1), rates, color=BLUE)
    axes.set(xlabel="step", ylabel="learning rate")
    axes.set_ylim(bottom=0)
    return axes


def plot_predicted(truth: NDArray[Any], predicted: NDArray[Any], *, unit: str = "") -> "Axes":
    """Draw predicted against true quantities, as a map of how many rows lie where.

    The axes end at the 0.5 % and 99.5 % quantiles, so that a few extremes do not hide the rest.
    """
    from matplotlib.colors import LogNorm

    both = np.concatenate([truth, predicted])
    low, high = np.quantile(both, [0.005, 0.995])
    axes = new_axes(height=4.2)
    cells = axes.hexbin(
        truth,
        predicted,
        gridsize=45,
        extent=(low, high, low, high),
        norm=LogNorm(),
        mincnt=1,
        cmap="viridis",
        linewidths=0,
    )
    axes.plot([low, high], [low, high], color=ORANGE, linewidth=1.2, label="predicted = true")
    axes.set(xlabel=_with_unit("true", unit), ylabel=_with_unit("predicted", unit))
    axes.set(xlim=(low, high), ylim=(low, high))
    bar = axes.figure.colorbar(cells, ax=axes)
    bar.set_label("rows", color=_INK)
    bar.outline.set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    return axes


def plot_residuals(truth: NDArray[Any], predicted: NDArray[Any], *, unit: str = "") -> "Axes":
    """Draw how errors (predicted minus true) are distributed."""
    residuals = predicted - truth
    low, high = np.quantile(residuals, [0.005, 0.995])
    axes = new_axes()
    axes.hist(residuals, bins=60, range=(low, high), color=BLUE)
    axes.axvline(0, color=ORANGE, linewidth=1.2)
    axes.set(xlabel=_with_unit("predicted - true", unit), ylabel="rows")
    return axes


def plot_residuals_over_time(
    times: NDArray[np.datetime64], truth: NDArray[Any], predicted: NDArray[Any], *, unit: str = ""
) -> "Axes":
    """Draw the mean error of each day: a drift or a bad week shows."""
    days, inverse = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    counts = np.bincount(inverse)
    means = np.bincount(inverse, predicted - truth) / counts
    axes = new_axes()
    axes.bar(days, means, color=np.where(means > 0, ORANGE, BLUE), width=0.8)
    axes.axhline(0, color=_INK, linewidth=0.8)
    axes.set(ylabel=_with_unit("mean of predicted - true", unit))
    axes.tick_params(axis="x", rotation=30)
    return axes


def plot_roc(truth: NDArray[np.bool_], probability: NDArray[Any]) -> "Axes":
    """Draw the ROC curve of a yes-or-no prediction."""
    from sklearn.metrics import roc_auc_score, roc_curve

    _require_both(truth)
    false_positive, true_positive, _ = roc_curve(truth, probability)
    area = roc_auc_score(truth, probability)
    axes = new_axes(height=4.2)
    axes.plot(false_positive, true_positive, color=BLUE, label=f"area {area:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(frameon=False, loc="lower right")
    return axes


def plot_precision_recall(truth: NDArray[np.bool_], probability: NDArray[Any]) -> "Axes":
    """Draw precision against recall of a yes-or-no prediction."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    _require_both(truth)
    precision, recall, _ = precision_recall_curve(truth, probability)
    average = average_precision_score(truth, probability)
    axes = new_axes(height=4.2)
    axes.plot(recall, precision, color=BLUE, label=f"average precision {average:.3f}")
    share = float(np.mean(truth))
    axes.axhline(share, color=GREY, linewidth=1, linestyle="--", label=f"share of yes {share:.3f}")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower left")
    return axes


def plot_calibration(truth: NDArray[np.bool_], probability: NDArray[Any]) -> "Axes":
    """Draw how often "yes" came true against its predicted probability, in ten equal groups."""
    from sklearn.calibration import calibration_curve

    _require_both(truth)
    observed, stated = calibration_curve(truth, probability, n_bins=10, strategy="quantile")
    axes = new_axes(height=4.2)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
    axes.plot(stated, observed, "o-", color=BLUE, markersize=5, label="model")
    axes.set(xlabel="predicted probability", ylabel="share that came true")
    axes.legend(frameon=False, loc="upper left")
    return axes


def plot_confusion(truth: NDArray[Any], predicted: NDArray[Any], labels: Sequence[Any]) -> "Axes":
    """Draw how many rows of each true class got each predicted class; shares of the true class."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(truth, predicted, labels=list(labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes = new_axes(height=4.2)
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}\n{shares[row, column]:.0%}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.6 else _INK,
        )
    names = [str(label) for label in labels]
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    return axes


def plot_importance(importance: "pd.DataFrame", *, n_features: int = 15) -> "Axes":
    """Draw the most important features.

    Parameters
    ----------
    importance : DataFrame
        What ``feature_importance`` returned: indexed by feature, with columns ``importance`` and
        ``standard_deviation``.
    n_features : int
        How many to show.
    """
    top = importance.head(n_features).iloc[::-1]
    axes = new_axes(height=max(0.26 * len(top) + 0.8, 2.0))
    names = [_shortened(str(name), 30) for name in top.index]
    axes.barh(
        range(len(top)), top["importance"], xerr=top["standard_deviation"], color=BLUE, ecolor=_INK
    )
    axes.set_yticks(range(len(top)), names)
    # One dominant feature would make all others look like nothing.
    largest = float(top["importance"].max())
    if len(top) > 2 and largest > 10 * float(top["importance"].iloc[-2]) > 0:
        axes.set_xscale("symlog", linthresh=float(top["importance"].iloc[-2]))
        axes.tick_params(axis="x", labelsize=8)
    axes.set(xlabel="rise of the loss when shuffled")
    axes.grid(visible=False, axis="y")
    return axes


def plot_embeddings(
    embeddings: "pd.DataFrame", *, counts: "pd.Series[int] | None" = None, n_labels: int = 25
) -> "Axes":
    """Draw learned vectors of categories in the plane of their two main directions (PCA).

    Parameters
    ----------
    embeddings : DataFrame
        What ``embeddings(column)`` returned; missing and unseen are left out.
    counts : Series, optional
        Rows per category; larger ones get larger dots and, first, labels.
    n_labels : int
        How many categories get their name.
    """
    from sklearn.decomposition import PCA

    vectors = embeddings.drop(index=["(missing)", "(unseen)"], errors="ignore")
    if len(vectors) < 2 or vectors.shape[1] < 2:
        raise DataError(
            f"{len(vectors)} categories in {vectors.shape[1]} dimensions; a map needs 2 of each"
        )
    pca = PCA(n_components=2, random_state=0)
    points = pca.fit_transform(vectors.to_numpy(np.float64))
    rows = np.ones(len(vectors)) if counts is None else counts.reindex(vectors.index).fillna(0)
    rows = np.asarray(rows, np.float64)
    axes = new_axes(width=6.4, height=4.6)
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=12 + 120 * rows / max(rows.max(), 1),
        color=BLUE,
        alpha=0.55,
        linewidths=0,
    )
    for position in np.argsort(-rows, kind="stable")[:n_labels]:
        axes.annotate(
            _shortened(str(vectors.index[position]), 18),
            points[position],
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
        )
    first, second = pca.explained_variance_ratio_
    axes.set(
        xlabel=f"first direction ({first:.0%} of the variance)", ylabel=f"second ({second:.0%})"
    )
    return axes


def _require_both(truth: NDArray[np.bool_]) -> None:
    if len(np.unique(truth)) != 2:
        raise DataError("the curve needs rows of both classes, and only one is there")


def _with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def _shortened(text: str, length: int) -> str:
    # "$" would start a formula.
    text = text.replace("$", r"\$")
    return text if len(text) <= length else text[: length - 1] + "…"
