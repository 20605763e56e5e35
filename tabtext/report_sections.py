"""What a report says about a fitted model: sections from its card, history and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import plots
from tabtext.model_card import PHASE_HEAD, phase_rows, type_name, value_text
from tabtext.plots.intervals import share_inside
from tabtext.report import Picture, Section, Table
from tabtext.training.calibration import expected_calibration_error, with_temperature

if TYPE_CHECKING:
    import pandas as pd

    from tabtext.estimators import TabularClassifier, TabularRegressor
    from tabtext.estimators.language_model import LanguageModel
    from tabtext.estimators.text import TextClassifier, TextRegressor
    from tabtext.training import History

    Model = TabularClassifier | TabularRegressor | LanguageModel | TextClassifier | TextRegressor

__all__ = [
    "Result",
    "classification_section",
    "columns_section",
    "data_section",
    "importance_section",
    "metric_label",
    "metrics_section",
    "regression_section",
    "training_section",
]


_SAID_ELSEWHERE = ("best_epoch", "greater_is_better", "phases")
_ROWS = {
    "given": "given to fit",
    "target_missing": "without a target, dropped",
    "pruned": "pruned as outliers",
    "train": "used for training",
    "valid": "used for validation",
}
_TOKENS = {
    "train": "tokens for training",
    "valid": "tokens for validation",
    "vocabulary": "tokens in the vocabulary",
    "unknown": "share of unknown tokens",
    "read": "tokens read in all epochs",
    "of_fine_tuning": "words, compared with the model before",
}
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


def data_section(model: "Model", title: str = "Data") -> Section:
    """Rows given, dropped, pruned and used; tokens of text; gaps."""
    card = model.card_
    facts: dict[str, Any] = {_ROWS[key]: count for key, count in card["rows"].items()}
    for key, count in card.get("tokens", {}).items():
        facts[_TOKENS[key]] = value_text(count) if isinstance(count, Mapping) else count
    tables = []
    if card.get("pruning"):
        rules = [
            (rule["description"], rule["removed"], f"{rule['share']:.2%}")
            for rule in card["pruning"]["rules"]
        ]
        tables.append(
            Table(("rule", "removed", "share"), rules, caption="Rules for outliers, training rows")
        )
    gaps = sorted(card.get("missing", {}).items(), key=lambda item: -item[1])
    if gaps:
        shares = [(name, f"{share:.1%}") for name, share in gaps]
        tables.append(Table(("column", "missing"), shares, caption="Gaps in training rows"))
    return Section(title, facts=facts, tables=tables)


def columns_section(
    model: "TabularRegressor | TabularClassifier", title: str = "Columns"
) -> Section:
    """What each column was taken for, and why."""
    rows = [(c.name, c.role.value, type_name(c.dtype), c.reason) for c in model.schema_.columns]
    return Section(title, tables=[Table(("column", "role", "type", "why"), rows)])


def training_section(model: "Model", title: str) -> Section:
    """Loss over epochs, learning rate over steps, and the recipe, for each network of the model."""
    card = model.card_
    recipe = {
        name.replace("_", " "): value_text(value)
        for name, value in card["recipe"].items()
        if value is not None and name not in _SAID_ELSEWHERE
    }
    text = (
        f"{card['parameters']:,} parameters, fitted in {card['seconds']:.1f} s on "
        f"{card['device']}, preparation included; "
    )
    histories = _histories(model)
    monitor = card["recipe"]["monitor"].replace("_", " ")
    text += "; ".join(_epochs_in_words(history, monitor) for history in histories.values()) + "."
    pictures: list[Picture] = []
    for direction, history in histories.items():
        which = f", {direction}" if len(histories) > 1 else ""
        pictures += [
            Picture(
                f"Loss per epoch{which}; in training with dropout, which is why it may lie higher",
                plots.plot_history(history.to_frame(), best_epoch=history.best_epoch),
            ),
            Picture(
                f"Learning rate per step{which}",
                plots.plot_learning_rate(
                    history.step_learning_rates, steps_per_point=history.steps_per_point
                ),
            ),
        ]
    phases = phase_rows(card["recipe"].get("phases", ()))
    tables = [Table(PHASE_HEAD, phases, caption="Phases of the training")] if phases else []
    return Section(title, [text], tables, pictures, recipe)


def _histories(model: "Model") -> "Mapping[str, History]":
    """One history for tables; for texts one of each network, by the direction in which it reads."""
    if hasattr(model, "histories_"):
        return model.histories_
    return {"": model.history_}


def _epochs_in_words(history: "History", monitor: str) -> str:
    text = f"{len(history.epochs)} epochs"
    if history.best_epoch is None:
        return text
    return f"{text}, of which number {history.best_epoch + 1}, with the best {monitor}, was kept"


def regression_section(
    title: str,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    unit: str,
    times: NDArray[np.datetime64] | None = None,
    intervals: Mapping[float, NDArray[Any]] | None = None,
) -> Section:
    """Predicted against true, and the errors; how often intervals hold the truth.

    ``intervals`` are bounds ``(rows, 2)`` by the share of rows that they are to hold.
    """
    pictures = [
        Picture(
            "Predicted against true; the colour counts rows",
            plots.plot_predicted(truth, predicted, unit=unit),
        ),
        Picture("How errors are distributed", plots.plot_residuals(truth, predicted, unit=unit)),
    ]
    if times is not None:
        pictures.append(
            Picture(
                "Mean error per day",
                plots.plot_residuals_over_time(times, truth, predicted, unit=unit),
            )
        )
    text = []
    if intervals:
        text = [_intervals_in_words(truth, intervals, unit)]
        pictures.append(
            Picture(
                "Intervals: share of rows whose truth lies inside against the share asked for",
                plots.plot_coverage(truth, intervals),
            )
        )
    return Section(title, text, pictures=pictures)


def _intervals_in_words(
    truth: NDArray[Any], intervals: Mapping[float, NDArray[Any]], unit: str
) -> str:
    """What was reached, by the intervals nearest to 90 %."""
    asked = min(intervals, key=lambda share: abs(share - 0.9))
    bounds = intervals[asked]
    inside = share_inside(truth, bounds)
    width = f"{(bounds[:, 1] - bounds[:, 0]).mean():.4g} {unit}".strip()
    return (
        f"Intervals that were to hold {asked:.0%} of the rows hold {inside:.1%}; their mean width "
        f"is {width}. They are made of the errors on the validation rows, and hold as asked only "
        "for rows that are like those."
    )


def classification_section(
    title: str,
    truth: NDArray[np.bool_],
    probability: NDArray[Any],
    labels: tuple[str, str],
    *,
    temperature: float = 1.0,
) -> Section:
    """Confusion, ROC, precision and recall, calibration of a yes-or-no prediction.

    ``labels`` are the names of no and yes; ``temperature`` is what logits were divided by to get
    the probabilities.
    """
    names = np.array(labels)
    said = names[(probability > 0.5).astype(int)]
    confusion = plots.plot_confusion(names[truth.astype(int)], said, labels)
    pictures = [
        Picture("Confusion matrix, cut at probability 0.5", confusion),
        Picture(
            "ROC curve: share of yes that was found against share of false alarms",
            plots.plot_roc(truth, probability),
        ),
        Picture("Precision and recall", plots.plot_precision_recall(truth, probability)),
        Picture(
            "Calibration, in ten groups of equal size", plots.plot_calibration(truth, probability)
        ),
    ]
    text = [_calibration_in_words(truth, probability, temperature)]
    return Section(title, text, pictures=pictures)


def _calibration_in_words(
    truth: NDArray[np.bool_], probability: NDArray[Any], temperature: float
) -> str:
    """How far probabilities are from shares, as they are and without their temperature."""
    text = (
        "Probabilities differ from the shares that came true by "
        f"{expected_calibration_error(truth, probability):.4f} in the mean (expected calibration "
        "error, 15 groups of equal size)"
    )
    if temperature == 1.0:
        return f"{text}."
    unscaled = with_temperature(probability, 1 / temperature)
    return (
        f"{text}; before the logits were divided by the temperature {temperature:.3f}, which the "
        f"validation rows gave, by {expected_calibration_error(truth, unscaled):.4f}."
    )


def importance_section(
    title: str,
    importance: "pd.DataFrame",
    embeddings: Sequence[tuple[str, "pd.DataFrame", "pd.Series[int]"]] = (),
) -> Section:
    """Permutation importance, and maps of learned categories.

    ``embeddings`` holds name, vectors and rows per category.
    """
    pictures = [
        Picture(
            "Permutation importance: how much the loss rises when one column is shuffled; "
            "lines are standard deviations over repeats",
            plots.plot_importance(importance),
        )
    ]
    pictures += [
        Picture(
            f"Learned vectors of {name}: categories that act alike lie close; larger dots have "
            "more rows",
            plots.plot_embeddings(vectors, counts=counts),
        )
        for name, vectors, counts in embeddings
    ]
    return Section(title, pictures=pictures)
