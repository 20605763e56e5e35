"""Pictures: what they show, and that they change nothing else."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from tabtext import plots
from tabtext.errors import DataError
from tabtext.plots.style import figure_of
from tabtext.training.schedules import SCHEDULES, constant, make_schedule, one_cycle

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


def test_schedules_are_drawn_from_the_first_step_to_the_last() -> None:
    axes = plots.plot_schedule({"one_cycle": one_cycle, "flat": constant}, n_points=5)

    x, y = axes.lines[0].get_data()
    assert list(x) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(y) == [one_cycle(share) for share in x]
    assert labels(axes) == ["one_cycle", "flat"]


def test_every_schedule_has_a_stroke_of_its_own() -> None:
    restarting = {"sgdr": make_schedule("sgdr", epochs=7)}

    lines = plots.plot_schedule({**SCHEDULES, **restarting}).lines

    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 7


def test_no_schedules_are_no_picture() -> None:
    with pytest.raises(DataError, match="no schedules"):
        plots.plot_schedule({})


RATES = np.geomspace(1e-7, 10, 200)
# Flat, then down, then far up: what the test of learning rates gives.
LOSSES = 0.7 - 0.35 / (1 + (RATES / 3e-3) ** -1.3) + (RATES / 0.5) ** 1.7


def test_suggested_rates_lie_on_the_curve_and_are_named_with_their_value() -> None:
    axes = plots.plot_learning_rate_curve(RATES, LOSSES, {"valley": RATES[120], "slide": 0.013})

    curve, valley, slide = axes.lines
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(curve.get_ydata(), LOSSES)
    assert list(valley.get_ydata()) == pytest.approx([LOSSES[120]])
    assert list(slide.get_xdata()) == [0.013]
    assert labels(axes) == [f"valley: {RATES[120]:.2g}", "slide: 0.013"]


def test_the_names_of_equal_suggestions_do_not_cover_each_other() -> None:
    rules = ["valley", "slide", "steepest", "minimum / 10"]

    axes = plots.plot_learning_rate_curve(RATES, LOSSES, dict.fromkeys(rules, 1e-3))

    figure_of(axes).draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.get_legend().get_texts()]
    assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[:number])
    assert not any(box.overlaps(axes.bbox) for box in boxes)
    assert all(figure_of(axes).bbox.x0 <= box.x0 < box.x1 <= axes.figure.bbox.x1 for box in boxes)
    assert len({line.get_marker() for line in axes.lines[1:]}) == 4


def test_a_loss_that_blows_up_does_not_flatten_the_descent() -> None:
    bottom, top = plots.plot_learning_rate_curve(RATES, LOSSES, {}).get_ylim()

    assert LOSSES.max() > 100
    assert bottom < LOSSES.min() < LOSSES[0] < top < 1


def test_a_loss_that_only_rises_or_stays_is_shown_whole() -> None:
    for losses in ([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], [1.0, 4.0, np.nan]):
        axes = plots.plot_learning_rate_curve([0.1, 0.2, 0.3], losses, {"valley": 0.1})

        bottom, top = axes.get_ylim()
        assert bottom < 1.0 <= np.nanmax(losses) < top


def test_a_curve_needs_a_finite_loss_for_every_rate() -> None:
    with pytest.raises(DataError, match="3 rates and 2 losses"):
        plots.plot_learning_rate_curve([0.1, 0.2, 0.3], [1.0, 2.0], {})
    with pytest.raises(DataError, match="finite"):
        plots.plot_learning_rate_curve([0.1, 0.2], [np.nan, np.inf], {})


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


def test_accuracy_is_drawn_for_groups_of_equal_size() -> None:
    lengths = np.arange(80)
    is_right = lengths >= 40

    axes = plots.plot_accuracy_by(lengths, is_right, label="tokens", n_groups=8)

    middles, shares = axes.lines[1].get_data()
    assert list(shares) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert list(middles) == sorted(middles)
    assert axes.get_xlabel() == "tokens"
    assert labels(axes)[0] == "all rows 0.500"


def test_rows_of_equal_length_are_one_group() -> None:
    is_right = np.array([True, False, True, False])

    axes = plots.plot_accuracy_by(np.full(4, 7), is_right, label="tokens")

    middles, shares = axes.lines[1].get_data()
    assert (list(middles), list(shares)) == ([7.0], [0.5])


def test_predicted_against_true_is_not_led_by_extremes() -> None:
    truth = np.append(GENERATOR.normal(size=1000), 1e6)

    axes = plots.plot_predicted(truth, truth, unit="min")

    assert axes.get_xlim()[1] < 10
    assert axes.get_xlabel() == "true (min)"


def test_coverage_is_drawn_in_the_order_of_what_was_asked() -> None:
    truth = np.arange(10.0)
    bounds = {share: np.tile([0.0, 10 * share], (10, 1)) for share in (0.9, 0.5)}

    line = plots.plot_coverage(truth, bounds).lines[1]

    assert line.get_xdata().tolist() == [50, 90]
    assert line.get_ydata().tolist() == [60, 100]  # 0 to 5, and 0 to 9


def test_coverage_needs_intervals_for_every_row() -> None:
    with pytest.raises(DataError, match="no intervals"):
        plots.plot_coverage(np.zeros(3), {})
    with pytest.raises(DataError, match="3 true values and 2 others"):
        plots.plot_coverage(np.zeros(3), {0.9: np.zeros((2, 2))})


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


def test_every_picture_draws_where_it_is_told() -> None:
    ax, logarithmic = Figure().add_subplot(), Figure().add_subplot()
    quantities, times = PROBABILITY, np.arange(300).astype("datetime64[h]")
    frame = pd.DataFrame({"train_loss": [3.0, 2.0], "valid_loss": [3.0, 1.5]})
    importance = pd.DataFrame({"importance": [1.0], "standard_deviation": [0.0]}, index=["a"])
    vectors = pd.DataFrame(GENERATOR.normal(size=(4, 3)), index=list("abcd"))
    both = np.stack([TRUTH, ~TRUTH], axis=1)

    drawn = [
        plots.plot_history(frame, ax=ax),
        plots.plot_learning_rate([0.1, 0.2], ax=ax),
        plots.plot_schedule({"one_cycle": one_cycle}, ax=ax),
        plots.plot_predicted(quantities, quantities, ax=ax),
        plots.plot_residuals(quantities, quantities, ax=ax),
        plots.plot_residuals_over_time(times, quantities, quantities, ax=ax),
        plots.plot_roc(TRUTH, PROBABILITY, ax=ax),
        plots.plot_precision_recall(TRUTH, PROBABILITY, ax=ax),
        plots.plot_calibration(TRUTH, PROBABILITY, ax=ax),
        plots.plot_confusion(TRUTH, TRUTH, [False, True], ax=ax),
        plots.plot_importance(importance, ax=ax),
        plots.plot_embeddings(vectors, ax=ax),
        plots.plot_accuracy_by(PROBABILITY, TRUTH, label="tokens", ax=ax),
        plots.plot_coverage(quantities, {0.9: np.stack([quantities, quantities], axis=1)}, ax=ax),
        plots.plot_error_by(PROBABILITY, quantities, label="tokens", ax=ax),
        plots.plot_metric([0.5, 0.6], label="accuracy", ax=ax),
        plots.plot_step_losses([0.5, 0.4], ax=ax),
        plots.plot_distribution(quantities, label="x", ax=ax),
        plots.plot_levels(["a"], np.array([3]), label="x", ax=ax),
        plots.plot_dependence(np.arange(2.0), np.ones(2), label="x", ax=ax),
        plots.plot_dependence_on_levels(["a"], np.ones(1), label="x", ax=ax),
        plots.plot_roc_per_class(both, both * 1.0, ["a", "b"], ax=ax),
        plots.plot_precision_recall_per_class(both, both * 1.0, ["a", "b"], ax=ax),
    ]

    curve = plots.plot_learning_rate_curve([0.1, 0.2], [0.9, 0.8], {}, ax=logarithmic)

    assert len([*drawn, curve]) == sum(name.startswith("plot_") for name in plots.__all__)
    assert all(axes is ax for axes in drawn)
    assert curve is logarithmic


def test_equal_predictions_still_have_a_picture() -> None:
    constant = np.full(20, 3.0)

    assert plots.plot_predicted(constant, constant).get_xlim() == (2.5, 3.5)
    assert plots.plot_residuals(constant, constant).get_xlim()[0] < 0


def test_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="3 true values and 2 others"):
        plots.plot_predicted(np.zeros(3), np.zeros(2))
    with pytest.raises(DataError, match="0 true values"):
        plots.plot_residuals(np.zeros(0), np.zeros(0))
    with pytest.raises(DataError, match="3 true values and 2 others"):
        plots.plot_roc(np.array([True, False, True]), np.zeros(2))


def test_a_dominant_feature_does_not_hide_the_others_and_its_bar_is_marked_as_cut() -> None:
    frame = pd.DataFrame(
        {"importance": [5.0, 0.02, 0.01], "standard_deviation": 0.0}, index=["a", "b", "c"]
    )

    axes = plots.plot_importance(frame)

    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.01, 0.02, 0.03])
    assert "5 (bar cut)" in [text.get_text() for text in axes.texts]


def test_names_on_the_map_do_not_cover_each_other() -> None:
    names = [f"category {number}" for number in range(60)]
    vectors = pd.DataFrame(GENERATOR.normal(size=(60, 4)), index=names)

    axes = plots.plot_embeddings(vectors, n_labels=60)

    boxes = [text.get_window_extent() for text in axes.texts]
    assert 5 < len(boxes) < 60
    assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[:number])


def test_without_counts_the_map_names_the_outermost_first() -> None:
    vectors = pd.DataFrame([[0.0, 0.1], [9.0, 0.0], [0.1, 0.0]], index=["a", "far", "b"])

    axes = plots.plot_embeddings(vectors, n_labels=1)

    assert [text.get_text() for text in axes.texts] == ["far"]


def test_many_classes_are_shown_by_colour_alone() -> None:
    classes = np.arange(20)

    assert len(plots.plot_confusion(classes, classes, list(classes)).texts) == 0
