"""Pictures: what they show, and that they change nothing else."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from sklearn.metrics import roc_auc_score

from tabtext import plots
from tabtext.errors import DataError

GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.integers(0, 2, 300).astype(bool)
PROBABILITY = np.clip(TRUTH * 0.3 + GENERATOR.random(300) * 0.7, 0, 1)


def labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_kept_epoch_is_marked() -> None:
    frame = pd.DataFrame({"train_loss": [3.0, 2.0, 1.0], "valid_loss": [3.0, 1.5, 2.0]})

    axes = plots.plot_history(frame, best_epoch=1)

    x, y = axes.lines[-1].get_data()
    assert (list(x), list(y)) == ([2], [1.5])
    assert labels(axes) == ["training", "validation", "kept"]


def test_a_history_without_validation_has_one_line() -> None:
    frame = pd.DataFrame({"train_loss": [3.0, 2.0], "valid_loss": [None, None]})

    assert len(plots.plot_history(frame).lines) == 1


def test_the_roc_curve_states_its_area() -> None:
    axes = plots.plot_roc(TRUTH, PROBABILITY)

    assert labels(axes)[0] == f"area {roc_auc_score(TRUTH, PROBABILITY):.3f}"


def test_curves_need_both_classes() -> None:
    for plot in (plots.plot_roc, plots.plot_precision_recall, plots.plot_calibration):
        with pytest.raises(DataError, match="both classes"):
            plot(np.ones(5, bool), np.full(5, 0.7))


def test_precision_and_recall_show_the_share_of_yes() -> None:
    axes = plots.plot_precision_recall(TRUTH, PROBABILITY)

    assert axes.lines[1].get_ydata()[0] == pytest.approx(TRUTH.mean())


def test_a_calibrated_forecast_lies_on_the_diagonal() -> None:
    probability = GENERATOR.random(20_000)
    truth = GENERATOR.random(20_000) < probability

    stated, observed = plots.plot_calibration(truth, probability).lines[1].get_data()

    np.testing.assert_allclose(observed, stated, atol=0.05)


def test_confusion_counts_true_classes_in_rows() -> None:
    axes = plots.plot_confusion(np.array(["a", "a", "b"]), np.array(["a", "b", "b"]), ["a", "b"])

    assert [text.get_text() for text in axes.texts] == ["1\n50%", "1\n50%", "0\n0%", "1\n100%"]


def test_predicted_against_true_is_not_led_by_extremes() -> None:
    truth = np.append(GENERATOR.normal(size=1000), 1e6)

    axes = plots.plot_predicted(truth, truth, unit="min")

    assert axes.get_xlim()[1] < 10
    assert axes.get_xlabel() == "true (min)"


def test_days_are_averaged() -> None:
    times = np.array(["2013-12-01T05", "2013-12-01T09", "2013-12-02T07"], "datetime64[s]")

    axes = plots.plot_residuals_over_time(times, np.zeros(3), np.array([1.0, 3.0, -5.0]))

    assert [bar.get_height() for bar in axes.patches] == [2.0, -5.0]


def test_the_most_important_feature_is_on_top() -> None:
    frame = pd.DataFrame(
        {"importance": [0.5, 0.2], "standard_deviation": [0.1, 0.0]}, index=["Promo", "$tore"]
    )

    axes = plots.plot_importance(frame)

    assert [label.get_text() for label in axes.get_yticklabels()] == ["\\$tore", "Promo"]


def test_the_map_leaves_out_missing_and_unseen_and_names_the_frequent() -> None:
    names = ["(missing)", "(unseen)", *"abcdefgh"]
    vectors = pd.DataFrame(GENERATOR.normal(size=(10, 4)), index=names)
    counts = pd.Series(range(8), index=list("abcdefgh"))

    axes = plots.plot_embeddings(vectors, counts=counts, n_labels=1)

    assert len(axes.collections[0].get_offsets()) == 8
    assert [text.get_text() for text in axes.texts] == ["h"]


def test_a_map_needs_two_dimensions() -> None:
    with pytest.raises(DataError, match="2 of each"):
        plots.plot_embeddings(pd.DataFrame(np.ones((5, 1)), index=list("abcde")))


def test_drawing_changes_no_setting_and_opens_no_window() -> None:
    before = {key: value for key, value in matplotlib.rcParams.items() if key != "backend"}

    plots.plot_residuals(TRUTH.astype(float), PROBABILITY)
    plots.plot_learning_rate([0.1, 0.2])

    assert before == {key: matplotlib.rcParams[key] for key in before}


def test_importing_the_module_does_not_import_matplotlib() -> None:
    code = "import sys, tabtext.plots; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
