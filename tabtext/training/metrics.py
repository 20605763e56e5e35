"""Metrics, as scikit-learn defines and computes them, by name.

Metrics see all validation rows at once, in the user's units: predicted labels and probabilities,
or predicted quantities.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRICS", "Metric", "measure", "rmspe"]

Array = NDArray[Any]
Weight = NDArray[np.float32] | None


@dataclass(frozen=True)
class Metric:
    """A number that tells how good predictions are.

    Parameters
    ----------
    name : str
        Its name in histories and tables.
    function : callable
        ``(truth, predicted, weight) -> float``.
    greater_is_better : bool
        Which way is up.
    """

    name: str
    function: Callable[[Array, Array, Weight], float]
    greater_is_better: bool


def rmspe(truth: Array, predicted: Array, weight: Weight = None) -> float:
    """Root of the mean squared error relative to the truth; rows whose truth is 0 are left out.

    NaN when nothing is left.

    References
    ----------
    The metric of Kaggle's "Rossmann Store Sales" (2015).

    Examples
    --------
    >>> rmspe(np.array([100.0, 0.0]), np.array([90.0, 5.0]))
    0.1
    """
    relative = np.divide(
        truth - predicted, truth, out=np.full(truth.shape, np.nan), where=truth != 0
    )
    counts = np.ones(len(truth)) if weight is None else weight
    squares = np.square(relative).reshape(len(truth), -1)
    spread = np.broadcast_to(np.asarray(counts, float)[:, None], squares.shape)
    known = ~np.isnan(squares)
    total = spread[known].sum()
    return float(np.sqrt((squares[known] * spread[known]).sum() / total)) if total else np.nan


def _rmse(truth: Array, predicted: Array, weight: Weight) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(truth, predicted, sample_weight=weight))


def _mae(truth: Array, predicted: Array, weight: Weight) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predicted, sample_weight=weight))


def _r2(truth: Array, predicted: Array, weight: Weight) -> float:
    """R²; NaN with fewer than two rows."""
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predicted, sample_weight=weight)) if len(truth) > 1 else np.nan


def _accuracy(truth: Array, probabilities: Array, weight: Weight) -> float:
    """Share of rows whose most probable class is right; truth holds class numbers."""
    return float(np.average(probabilities.argmax(axis=1) == truth, weights=weight))


def _log_loss(truth: Array, probabilities: Array, weight: Weight) -> float:
    from sklearn.metrics import log_loss

    labels = np.arange(probabilities.shape[1])
    return float(log_loss(truth, probabilities, sample_weight=weight, labels=labels))


def _roc_auc(truth: Array, probabilities: Array, weight: Weight) -> float:
    """Area under the ROC curve, one class against the rest for several; NaN without all classes."""
    from sklearn.metrics import roc_auc_score

    n_classes = probabilities.shape[1]
    if len(np.unique(truth)) < n_classes:
        return np.nan
    if n_classes == 2:
        return float(roc_auc_score(truth, probabilities[:, 1], sample_weight=weight))
    scores = [
        roc_auc_score(truth == number, probabilities[:, number], sample_weight=weight)
        for number in range(n_classes)
    ]
    return float(np.mean(scores))


def _label_accuracy(truth: Array, probabilities: Array, weight: Weight) -> float:
    """Share of labels that are right, over all rows and labels."""
    right = ((probabilities >= 0.5) == (truth >= 0.5)).mean(axis=1)
    return float(np.average(right, weights=weight))


def _label_log_loss(truth: Array, probabilities: Array, weight: Weight) -> float:
    limit = np.finfo(np.float64).eps
    clipped = np.clip(probabilities.astype(np.float64), limit, 1 - limit)
    losses = -np.where(truth >= 0.5, np.log(clipped), np.log1p(-clipped)).mean(axis=1)
    return float(np.average(losses, weights=weight))


def _label_roc_auc(truth: Array, probabilities: Array, weight: Weight) -> float:
    """Mean over the labels of the area under the ROC curve; labels that never change left out."""
    from sklearn.metrics import roc_auc_score

    scores = [
        roc_auc_score(truth[:, label], probabilities[:, label], sample_weight=weight)
        for label in range(truth.shape[1])
        if 0 < (truth[:, label] >= 0.5).mean() < 1
    ]
    return float(np.mean(scores)) if scores else np.nan


METRICS: dict[str, tuple[Metric, ...]] = {
    "regression": (
        Metric("rmse", _rmse, greater_is_better=False),
        Metric("mae", _mae, greater_is_better=False),
        Metric("r2", _r2, greater_is_better=True),
    ),
    "classification": (
        Metric("accuracy", _accuracy, greater_is_better=True),
        Metric("roc_auc", _roc_auc, greater_is_better=True),
        Metric("log_loss", _log_loss, greater_is_better=False),
    ),
    "multilabel": (
        Metric("accuracy", _label_accuracy, greater_is_better=True),
        Metric("roc_auc", _label_roc_auc, greater_is_better=True),
        Metric("log_loss", _label_log_loss, greater_is_better=False),
    ),
}
"""The metrics of each task."""


def measure(task: str, truth: Array, outputs: Array, weight: Weight = None) -> dict[str, float]:
    """Return every metric of a task.

    Examples
    --------
    >>> measure("regression", np.array([1.0, 3.0]), np.array([1.0, 2.0]))["mae"]
    0.5
    """
    return {m.name: m.function(truth, outputs, weight) for m in METRICS[task]}
