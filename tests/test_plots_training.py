"""Pictures of metrics and losses over a training, and of errors over years."""

import numpy as np
import pytest

from tabtext import plots
from tabtext.errors import DataError


def test_the_metric_of_the_kept_epoch_is_marked_and_stated() -> None:
    axes = plots.plot_metric([0.7, 0.85, 0.8], label="accuracy", best_epoch=1)

    assert axes.lines[0].get_data()[0].tolist() == [1, 2, 3]
    assert (list(axes.lines[1].get_xdata()), list(axes.lines[1].get_ydata())) == ([2], [0.85])
    assert axes.get_legend().get_texts()[0].get_text() == "kept: 0.85"


def test_the_running_mean_of_losses_is_that_of_the_steps_before() -> None:
    losses = np.arange(80.0)

    step, mean = plots.plot_step_losses(losses.tolist()).lines

    assert step.get_ydata().tolist() == losses.tolist()
    assert mean.get_ydata()[-1] == pytest.approx(losses[-2:].mean())  # of a fortieth of all steps
    assert mean.get_label() == "mean of 2"


def test_thinned_losses_stand_where_their_steps_were() -> None:
    axes = plots.plot_step_losses([3.0, 2.0, 1.0], steps_per_point=50)

    assert axes.lines[0].get_xdata().tolist() == [50, 100, 150]


def test_losses_that_are_not_finite_are_left_out() -> None:
    axes = plots.plot_step_losses([1.0, float("nan"), 3.0])

    assert axes.lines[0].get_xdata().tolist() == [1, 3]
    with pytest.raises(DataError, match="no step has a finite loss"):
        plots.plot_step_losses([float("inf")])
    with pytest.raises(DataError, match="no epoch has a finite rmse"):
        plots.plot_metric([float("nan")], label="rmse")


@pytest.mark.parametrize(("n_days", "span"), [(90, "day"), (500, "week"), (1500, "month")])
def test_errors_of_a_long_time_are_drawn_by_longer_spans(n_days: int, span: str) -> None:
    times = np.datetime64("2010-01-01") + np.arange(n_days).astype("timedelta64[D]")
    errors = np.where(times < np.datetime64("2010-02-01"), 2.0, -1.0)

    axes = plots.plot_residuals_over_time(times, np.zeros(n_days), errors)

    heights = [bar.get_height() for bar in axes.patches]
    assert axes.get_xlabel() == span
    assert len(heights) <= 101
    assert (heights[0], heights[-1]) == (2.0, -1.0)


def test_rows_without_a_time_are_left_out() -> None:
    times = np.array(["2013-12-01", "NaT", "2013-12-02"], "datetime64[s]")

    axes = plots.plot_residuals_over_time(times, np.zeros(3), np.array([1.0, 99.0, 2.0]))

    assert [bar.get_height() for bar in axes.patches] == [1, 2]
