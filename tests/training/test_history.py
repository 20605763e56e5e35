"""The record of a training run."""

import json

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
