"""Curves of several classes, and errors by groups of rows."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from sklearn.metrics import average_precision_score, roc_auc_score

from tabtext import plots
from tabtext.errors import DataError

GENERATOR = np.random.default_rng(0)
CLASSES = GENERATOR.choice(4, 400, p=[0.1, 0.2, 0.3, 0.4])
TRUTH = np.arange(4) == CLASSES[:, None]
PROBABILITIES = GENERATOR.dirichlet(np.ones(4), 400) * 0.6 + TRUTH * 0.4
NAMES = ["a", "b", "c", "d"]


def labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_each_class_states_its_area_the_most_frequent_first() -> None:
    axes = plots.plot_roc_per_class(TRUTH, PROBABILITIES, NAMES, n_classes=2)

    areas = [roc_auc_score(TRUTH[:, number], PROBABILITIES[:, number]) for number in (3, 2)]
    assert labels(axes) == [f"d: area {areas[0]:.3f}", f"c: area {areas[1]:.3f}", "chance"]


def test_each_class_states_its_average_precision() -> None:
    axes = plots.plot_precision_recall_per_class(TRUTH, PROBABILITIES, NAMES)

    average = average_precision_score(TRUTH[:, 0], PROBABILITIES[:, 0])
    assert labels(axes)[-1] == f"a: average precision {average:.3f}"
    assert len(axes.lines) == 4


def test_classes_are_told_apart_without_colour() -> None:
    lines = plots.plot_roc_per_class(TRUTH, PROBABILITIES, NAMES).lines[:4]

    assert len({(line.get_linestyle(), line.get_color()) for line in lines}) == 4


def test_a_class_that_no_row_has_gets_no_curve() -> None:
    without = TRUTH[CLASSES != 1], PROBABILITIES[CLASSES != 1]

    assert [text[0] for text in labels(plots.plot_roc_per_class(*without, NAMES))] == [*"dcac"]


def test_curves_of_one_class_alone_are_refused() -> None:
    rows = CLASSES == 2

    with pytest.raises(DataError, match="two classes or more"):
        plots.plot_roc_per_class(TRUTH[rows], PROBABILITIES[rows], NAMES)


def test_errors_are_averaged_by_length_whatever_their_sign() -> None:
    lengths = np.repeat([10, 20], 50)
    errors = np.where(np.arange(100) % 2, 1.0, -1.0) * np.where(lengths == 10, 2, 6)

    axes = plots.plot_error_by(lengths, errors, label="tokens", unit="EUR", n_groups=2)

    middles, means = axes.lines[1].get_data()
    assert (list(middles), list(means)) == ([10, 20], [2, 6])
    assert axes.get_ylabel() == "mean absolute error (EUR)"
    assert labels(axes)[0] == "all rows 4"
