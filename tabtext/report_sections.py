"""What a report says about a fitted model: sections from its card, history and predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import plots
from tabtext.report import Picture, Section, Table

if TYPE_CHECKING:
    import pandas as pd

    from tabtext.estimators import TabularClassifier, TabularRegressor

__all__ = [
    "classification_section",
    "columns_section",
    "data_section",
    "importance_section",
    "regression_section",
    "training_section",
]


def data_section(model: "TabularRegressor | TabularClassifier") -> Section:
    """Rows given, dropped, pruned and used; gaps."""
    card = model.card_
    rows = card["rows"]
    names = {
        "given": "given to fit",
        "target_missing": "without a target, dropped",
        "pruned": "pruned as outliers",
        "train": "used for training",
        "valid": "used for validation",
    }
    tables = [Table(("rows", "count"), [(names[key], count) for key, count in rows.items()])]
    if card["pruning"]:
        rules = [
            (rule["description"], rule["removed"], f"{rule['share']:.2%}")
            for rule in card["pruning"]["rules"]
        ]
        tables.append(Table(("rule", "rows", "share"), rules, caption="Pruned training rows"))
    gaps = sorted(card["missing"].items(), key=lambda item: -item[1])
    if gaps:
        shares = [(name, f"{share:.1%}") for name, share in gaps]
        tables.append(Table(("column", "missing"), shares, caption="Gaps in training rows"))
    return Section("Data", tables=tables)


def columns_section(model: "TabularRegressor | TabularClassifier") -> Section:
    """What each column was taken for, and why."""
    rows = [(c.name, c.role.value, c.dtype, c.reason) for c in model.schema_.columns]
    return Section("Columns", tables=[Table(("column", "role", "type", "why"), rows)])


def training_section(model: "TabularRegressor | TabularClassifier", title: str) -> Section:
    """Loss over epochs, learning rate over steps, and the recipe."""
    history, card = model.history_, model.card_
    recipe = [(name, str(value)) for name, value in card["recipe"].items() if value is not None]
    text = (
        f"{card['parameters']:,} parameters, fitted in {card['seconds']:.1f} s on "
        f"{card['device']}, preparation included. Of {len(history.epochs)} epochs, the one with "
        f"the best {card['recipe']['monitor']} was kept: epoch {card['recipe']['best_epoch']}."
    )
    pictures = [
        Picture(
            "Loss per epoch",
            plots.plot_history(history.to_frame(), best_epoch=history.best_epoch),
        ),
        Picture("Learning rate per step", plots.plot_learning_rate(history.step_learning_rates)),
    ]
    return Section(title, [text], [Table(("setting", "value"), recipe)], pictures)


def regression_section(
    title: str,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    unit: str,
    times: NDArray[np.datetime64] | None = None,
) -> Section:
    """Predicted against true, and the errors."""
    pictures = [
        Picture(
            "Predicted against true; colour counts rows",
            plots.plot_predicted(truth, predicted, unit=unit),
        ),
        Picture("Distribution of errors", plots.plot_residuals(truth, predicted, unit=unit)),
    ]
    if times is not None:
        pictures.append(
            Picture(
                "Mean error per day",
                plots.plot_residuals_over_time(times, truth, predicted, unit=unit),
            )
        )
    return Section(title, pictures=pictures)


def classification_section(
    title: str, truth: NDArray[np.bool_], probability: NDArray[Any], labels: tuple[str, str]
) -> Section:
    """Confusion, ROC, precision and recall, calibration of a yes-or-no prediction.

    ``labels`` are the names of no and yes.
    """
    names = np.array(labels)
    said = names[(probability > 0.5).astype(int)]
    confusion = plots.plot_confusion(names[truth.astype(int)], said, labels)
    pictures = [
        Picture("Confusion matrix, cut at probability 0.5", confusion),
        Picture("ROC curve", plots.plot_roc(truth, probability)),
        Picture("Precision and recall", plots.plot_precision_recall(truth, probability)),
        Picture("Calibration, ten equal groups", plots.plot_calibration(truth, probability)),
    ]
    return Section(title, pictures=pictures)


def importance_section(
    title: str,
    importance: "pd.DataFrame",
    embeddings: Sequence[tuple[str, "pd.DataFrame", "pd.Series[int]"]] = (),
) -> Section:
    """Permutation importance, and maps of learned categories.

    ``embeddings`` holds name, vectors and rows per category.
    """
    pictures = [
        Picture("Permutation importance: rise of the loss", plots.plot_importance(importance))
    ]
    pictures += [
        Picture(f"Learned vectors of {name}", plots.plot_embeddings(vectors, counts=counts))
        for name, vectors, counts in embeddings
    ]
    return Section(title, pictures=pictures)
