"""What a report says about predicted classes, labels and their probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import plots
from tabtext.reports.elements import Picture, Section, Table
from tabtext.reports.rows import JudgedRows
from tabtext.training.calibration import expected_calibration_error, with_temperature
from tabtext.training.targets import ClassificationTarget

if TYPE_CHECKING:
    from tabtext.estimators.supervised import SupervisedEstimator

__all__ = ["classes_section", "classification_section", "classification_sections", "labels_section"]

# Beyond so many classes a picture of all is a blur, and of a table nobody reads the end.
_MOST_IN_MATRIX = 30
_MOST_IN_TABLE = 50


def classification_sections(model: "SupervisedEstimator[Any]", rows: JudgedRows) -> list[Section]:
    """What the kind of target asks for: two classes, more classes, or several labels."""
    target = model.target_
    title = f"Predictions: {', '.join(model.target_names_)}"
    if not isinstance(target, ClassificationTarget):
        truth = rows.truth.astype(bool)
        return [labels_section(title, truth, rows.outputs, model.target_names_)]
    names = [str(label) for label in target.classes]
    if len(names) > 2:
        return [classes_section(title, rows.truth, rows.outputs, names)]
    temperature = target.temperature if rows.are_own else 1.0
    is_second, labels = rows.truth == 1, (names[0], names[1])
    probability = rows.outputs[:, 1]
    return [classification_section(title, is_second, probability, labels, temperature=temperature)]


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
    pictures = [Picture("Confusion matrix, cut at probability 0.5", confusion)]
    text = [_calibration_in_words(truth, probability, temperature)]
    if truth.all() or not truth.any():
        only = labels[int(truth[0])]
        text.append(f"All these rows are {only!r}; curves need rows of both classes.")
        return Section(title, text, pictures=pictures)
    pictures += [
        Picture(
            f"ROC curve: share of {labels[1]!r} that was found against share of false alarms",
            plots.plot_roc(truth, probability),
        ),
        Picture(
            f"Precision and recall of {labels[1]!r}",
            plots.plot_precision_recall(truth, probability),
        ),
        Picture(
            f"Calibration of the probability of {labels[1]!r}, in ten groups of equal size",
            plots.plot_calibration(truth, probability),
        ),
    ]
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


def classes_section(
    title: str, truth: NDArray[np.int64], probabilities: NDArray[Any], labels: Sequence[str]
) -> Section:
    """Confusion, ROC, precision and recall of each class, calibration of the likeliest one.

    ``truth`` holds numbers of classes; ``probabilities`` and ``labels`` have them in their order.
    """
    said = probabilities.argmax(axis=1)
    is_right = said == truth
    text = [_calibration_of_likeliest(truth, probabilities)]
    counts = np.bincount(truth, minlength=len(labels))
    frequent = np.argsort(-counts, kind="stable")
    shown = np.sort(frequent[:_MOST_IN_MATRIX])
    caption = "Confusion matrix"
    if len(labels) > _MOST_IN_MATRIX:
        caption += f" of the {_MOST_IN_MATRIX} classes with the most rows, of {len(labels)}"
    inside = np.isin(truth, shown) & np.isin(said, shown)
    names = np.array(labels, dtype=object)
    pictures = []
    if inside.any():
        matrix = plots.plot_confusion(
            names[truth[inside]], names[said[inside]], names[shown].tolist()
        )
        pictures.append(Picture(caption, matrix))
    indicators = truth[:, None] == np.arange(len(labels))
    pictures += _curves(indicators, probabilities, labels, "each class against all others")
    if is_right.any() and not is_right.all():
        calibration = plots.plot_calibration(is_right, probabilities.max(axis=1))
        pictures.append(
            Picture("Calibration of the likeliest class, in ten groups of equal size", calibration)
        )
    rows = [_class_row(labels[number], truth == number, said == number) for number in frequent]
    head = ("class", "rows", "predicted", "precision", "recall", "F1")
    beyond = f", the {_MOST_IN_TABLE} most frequent" if len(rows) > _MOST_IN_TABLE else ""
    table = Table(head, rows[:_MOST_IN_TABLE], f"Each class against all others{beyond}", True)
    return Section(title, text, [table], pictures)


def labels_section(
    title: str, truth: NDArray[np.bool_], probabilities: NDArray[Any], labels: Sequence[str]
) -> Section:
    """ROC, precision and recall of several yes-or-no labels, and a line of figures for each."""
    said = probabilities > 0.5
    rows = [
        _class_row(label, truth[:, number], said[:, number]) for number, label in enumerate(labels)
    ]
    table = Table(
        ("label", "rows", "predicted", "precision", "recall", "F1"),
        rows,
        "Each label, cut at probability 0.5",
        True,
    )
    text = [_calibration_in_words(truth, probabilities, 1.0)]
    pictures = _curves(truth, probabilities, labels, "each label")
    flat_truth, flat = truth.ravel(), probabilities.ravel()
    if flat_truth.any() and not flat_truth.all():
        pictures.append(
            Picture(
                "Calibration of all labels together, in ten groups of equal size",
                plots.plot_calibration(flat_truth, flat),
            )
        )
    return Section(title, text, [table], pictures)


def _curves(
    indicators: NDArray[np.bool_], probabilities: NDArray[Any], labels: Sequence[str], what: str
) -> list[Picture]:
    """ROC, precision and recall; none where all rows are of one class."""
    varied = indicators.any(axis=0) & ~indicators.all(axis=0)
    if not varied.any():
        return []
    roc = plots.plot_roc_per_class(indicators, probabilities, labels)
    precision = plots.plot_precision_recall_per_class(indicators, probabilities, labels)
    return [
        Picture(f"ROC curves, {what}, the most frequent first", roc),
        Picture(f"Precision and recall, {what}", precision),
    ]


def _class_row(
    label: str, truth: NDArray[np.bool_], said: NDArray[np.bool_]
) -> tuple[str, int, int, float | None, float | None, float | None]:
    """A line of the table: what was said of a class, and how often it was right."""
    hits, n_true, n_said = int((truth & said).sum()), int(truth.sum()), int(said.sum())
    return (
        label,
        n_true,
        n_said,
        hits / n_said if n_said else None,
        hits / n_true if n_true else None,
        2 * hits / (n_true + n_said) if n_true + n_said else None,
    )


def _calibration_of_likeliest(truth: NDArray[np.int64], probabilities: NDArray[Any]) -> str:
    error = expected_calibration_error(truth, probabilities)
    return (
        "The probability of the likeliest class differs from how often it is the true one by "
        f"{error:.4f} in the mean (expected calibration error, 15 groups of equal size)."
    )
