"""The record of a training run."""

import json
import math

from tabtext.training.history import Epoch, History


def example() -> History:
    epochs = [
        Epoch(0.9, 0.8, {"rmse": 3.0}, 1e-3, 1.5, 2.0, 500.0),
        Epoch(0.5, 0.6, {"rmse": 2.0}, 1e-4, 0.5, 2.0, 500.0),
    ]
    return History(epochs, 1, [1e-3, 1e-4], [0.9, 0.5], [1.5, 0.5])


def test_the_frame_has_a_row_per_epoch_and_a_column_per_metric() -> None:
    frame = example().to_frame()

    assert frame.index.name == "epoch"
    assert frame["rmse"].tolist() == [3.0, 2.0]
    assert list(frame)[:2] == ["train_loss", "valid_loss"]
    assert len(frame) == 2


def test_a_history_survives_json() -> None:
    history = example()

    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_a_thin_history_has_few_points_each_the_mean_of_as_many_steps() -> None:
    steps = [float(step) for step in range(1003)]
    history = History(example().epochs, 1, steps, steps[::-1], steps)

    thin = history.thinned(100)

    assert thin.steps_per_point == 11
    assert len(thin.step_losses) == 92
    assert thin.step_learning_rates[:2] == [5.0, 16.0]
    assert thin.step_learning_rates[-1] == 1001.5  # two steps were left
    assert thin.epochs == history.epochs
    assert len(history.step_losses) == 1003


def test_a_history_that_is_thin_already_stays_as_it_is() -> None:
    thin = History(step_losses=[float(step) for step in range(1000)]).thinned(100)

    assert thin.thinned(100) == thin
    assert example().thinned() == example()
    assert History().thinned() == History()


def test_a_thin_history_survives_json_and_a_whole_one_has_no_new_field() -> None:
    thin = example().thinned(1)

    assert History.from_dict(json.loads(json.dumps(thin.to_dict()))) == thin
    assert thin.thinned(1).steps_per_point == thin.steps_per_point == 2
    assert "steps_per_point" not in example().to_dict()


def test_means_leave_out_steps_that_were_not_finite() -> None:
    history = History(step_gradient_norms=[1.0, float("inf"), None, 3.0, float("nan"), None])

    norms = history.thinned(3).step_gradient_norms

    assert norms[:2] == [1.0, 3.0]
    assert math.isnan(norms[2])
