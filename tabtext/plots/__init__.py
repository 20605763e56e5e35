"""Pictures of data and models: each function draws one, from plain arrays, and returns its Axes.

``coloured_html`` and ``coloured_text`` show a text with coloured words instead.

Figures are made without pyplot, so nothing global changes and nothing has to be closed. matplotlib
loads on the first call.
"""

from tabtext.plots.classification import (
    plot_calibration,
    plot_confusion,
    plot_precision_recall,
    plot_roc,
)
from tabtext.plots.columns import plot_distribution, plot_levels
from tabtext.plots.dependence import plot_dependence, plot_dependence_on_levels
from tabtext.plots.features import plot_embeddings, plot_importance
from tabtext.plots.grouped import plot_accuracy_by, plot_error_by
from tabtext.plots.intervals import plot_coverage
from tabtext.plots.per_class import plot_precision_recall_per_class, plot_roc_per_class
from tabtext.plots.regression import plot_predicted, plot_residuals, plot_residuals_over_time
from tabtext.plots.text import coloured_html, coloured_text
from tabtext.plots.training import (
    plot_history,
    plot_learning_rate,
    plot_learning_rate_curve,
    plot_metric,
    plot_schedule,
    plot_step_losses,
)

__all__ = [
    "coloured_html",
    "coloured_text",
    "plot_accuracy_by",
    "plot_calibration",
    "plot_confusion",
    "plot_coverage",
    "plot_dependence",
    "plot_dependence_on_levels",
    "plot_distribution",
    "plot_embeddings",
    "plot_error_by",
    "plot_history",
    "plot_importance",
    "plot_learning_rate",
    "plot_learning_rate_curve",
    "plot_levels",
    "plot_metric",
    "plot_precision_recall",
    "plot_precision_recall_per_class",
    "plot_predicted",
    "plot_residuals",
    "plot_residuals_over_time",
    "plot_roc",
    "plot_roc_per_class",
    "plot_schedule",
    "plot_step_losses",
]
