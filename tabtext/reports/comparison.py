"""Models beside each other, and metrics as people write them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabtext.reports.elements import Section, Table

__all__ = ["Result", "metric_label", "metrics_section"]

# Metrics as people write them, and whether they come in the target's unit.
_METRICS = {
    "rmse": ("RMSE", True),
    "mae": ("MAE", True),
    "r2": ("R²", False),
    "accuracy": ("accuracy", False),
    "roc_auc": ("ROC AUC", False),
    "log_loss": ("log loss", False),
    "calibration_error": ("calibration error", False),
    "perplexity": ("perplexity", False),
}


@dataclass(frozen=True)
class Result:
    """What one model reached.

    Parameters
    ----------
    name : str
        The model.
    metrics : mapping of str to float
        Metric -> value, the same metrics for all models of a table.
    seconds : float
        Time to fit.
    """

    name: str
    metrics: Mapping[str, float]
    seconds: float


def metric_label(name: str, unit: str = "") -> str:
    """Return a metric's name as people write it.

    Examples
    --------
    >>> metric_label("rmse", "min"), metric_label("roc_auc", "min"), metric_label("own")
    ('RMSE (min)', 'ROC AUC', 'own')
    """
    label, has_unit = _METRICS.get(name, (name, False))
    return f"{label} ({unit})" if unit and has_unit else label


def metrics_section(
    title: str, results: Sequence[Result], *, text: Sequence[str] = (), unit: str = ""
) -> Section:
    """Models beside each other, on the same rows.

    Parameters
    ----------
    title : str
        The heading.
    results : sequence of Result
        A line each.
    text : sequence of str
        What was measured on which rows, and how the others were prepared.
    unit : str
        Unit of the target.
    """
    names = list(results[0].metrics)
    head = ["model", *(metric_label(name, unit) for name in names), "fit (s)"]
    rows = [(r.name, *(float(r.metrics[name]) for name in names), r.seconds) for r in results]
    return Section(title, text, [Table(head, rows)])
