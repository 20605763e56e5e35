"""Callbacks: what they are told and when, and those that choose a run's weights and its end."""

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.training.batches import TensorBatches
from tabtext.training.callbacks import Callback, Monitor
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.history import History
from tabtext.training.losses import squared_error
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Score, Trainer

INPUTS = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])
STEPS_PER_EPOCH = 3

StateDict = dict[str, Tensor]


class Events(Callback):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.steps: list[int] = []

    def fit_started(self, run: Run) -> None:
        self.names.append("fit_started")

    def step_ended(self, run: Run) -> None:
        self.names.append("step_ended")
        self.steps.append(run.step)

    def validation_started(self, run: Run) -> None:
        self.names.append("validation_started")

    def epoch_ended(self, run: Run) -> None:
        self.names.append(f"epoch_ended {len(run.history.epochs)}")

    def fit_ended(self, run: Run) -> None:
        self.names.append(f"fit_ended {run.finished}")


class Copies(Callback):
    """Keeps a copy of the model after every step, and as it was validated."""

    def __init__(self) -> None:
        self.after_steps: list[StateDict] = []
        self.validated: list[StateDict] = []

    def step_ended(self, run: Run) -> None:
        self.after_steps.append(copy_of(run.model))

    def validation_started(self, run: Run) -> None:
        self.validated.append(copy_of(run.model))


class StopAtStep(Callback):
    """Ends a run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def step_ended(self, run: Run) -> None:
        if run.step == self.step:
            run.stop("seen enough")


class Clock:
    """Time that passes only by being looked at."""

    def __init__(self, seconds_per_look: float) -> None:
        self.seconds_per_look = seconds_per_look
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.seconds_per_look
        return self.now


def copy_of(model: nn.Module) -> StateDict:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def are_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def train_batches() -> TensorBatches:
    return TensorBatches((INPUTS[:60],), TARGET[:60], batch_size=20, shuffle=True)


def valid_batches() -> TensorBatches:
    return TensorBatches((INPUTS[60:],), TARGET[60:], batch_size=20)


def scripted(values: Sequence[float]) -> Score:
    """A metric that is what the test says, whatever the model."""
    left = iter(values)

    def score(raw: Tensor) -> Mapping[str, float]:
        return {"scripted": next(left)}

    return score


def new_trainer(*callbacks: Callback, score: Score | None = None, **options: Any) -> Trainer:
    with seeded(0):
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    return Trainer(
        model,
        squared_error,
        options=TrainingOptions(**options),
        score=score,
        callbacks=callbacks,
    )


def fit_scripted(
    values: Sequence[float], *callbacks: Callback, **options: Any
) -> tuple[nn.Module, History]:
    """A run whose epochs are as good as the values say."""
    options = {"epochs": len(values), "monitor": "scripted", **options}
    trainer = new_trainer(*callbacks, score=scripted(values), **options)
    return trainer.model, trainer.fit(train_batches(), valid_batches())


# --------------------------------------------------------------------------------------- events


def test_a_run_of_two_epochs_tells_its_events_in_order() -> None:
    events = Events()

    new_trainer(events, epochs=2).fit(train_batches(), valid_batches())

    assert events.names == [
        "fit_started",
        *["step_ended"] * STEPS_PER_EPOCH,
        "validation_started",
        "epoch_ended 1",
        *["step_ended"] * STEPS_PER_EPOCH,
        "validation_started",
        "epoch_ended 2",
        "fit_ended True",
    ]
    assert events.steps == [1, 2, 3, 4, 5, 6]


def test_a_callback_hears_of_the_end_of_a_run_that_failed() -> None:
    events = Events()

    with pytest.raises(ParameterError):
        new_trainer(events, epochs=2, monitor="unknown").fit(train_batches(), valid_batches())

    assert events.names[-1] == "fit_ended False"


def test_callbacks_are_told_in_the_order_in_which_they_were_given() -> None:
    told: list[str] = []

    class Named(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def epoch_ended(self, run: Run) -> None:
            told.append(self.name)

    new_trainer(Named("first"), Named("second"), epochs=1).fit(train_batches())

    assert told == ["first", "second"]


def test_a_callback_can_stop_a_run_in_the_middle_of_an_epoch() -> None:
    trainer = new_trainer(StopAtStep(4), epochs=5)

    history = trainer.fit(train_batches(), valid_batches())

    assert history.stopped == "seen enough"
    assert len(history.step_losses) == 4
    assert len(history.epochs) == 2
    assert history.epochs[-1].valid_loss is not None


def test_a_run_that_went_to_its_end_was_not_stopped() -> None:
    history = new_trainer(epochs=2).fit(train_batches(), valid_batches())

    assert history.stopped is None


# -------------------------------------------------------------------------------------- monitor


def test_smaller_or_greater_is_better_as_the_monitor_is_told() -> None:
    values = [2.0, 1.0, 1.0, 3.0]
    smaller = Monitor("m", greater_is_better=False)
    greater = Monitor("m", greater_is_better=True)

    assert [smaller.improves(value) for value in values] == [True, True, False, False]
    assert [greater.improves(value) for value in values] == [True, False, False, True]


def test_nan_never_improves() -> None:
    monitor = Monitor("m", greater_is_better=True)

    assert [monitor.improves(v) for v in (nan, 0.1, nan, 0.2)] == [False, True, False, True]
    assert monitor.best == 0.2


def test_an_unknown_monitor_is_refused_with_a_suggestion() -> None:
    trainer = new_trainer(epochs=1, monitor="valid_los")

    with pytest.raises(ParameterError, match=r"valid_los.*did you mean 'valid_loss'"):
        trainer.fit(train_batches(), valid_batches())


# --------------------------------------------------------------------------------- best weights


def test_the_weights_of_the_best_epoch_are_restored_bit_for_bit() -> None:
    copies = Copies()

    model, history = fit_scripted([3.0, 1.0, 2.0, 1.0], copies)

    assert history.best_epoch == 1
    assert are_equal(model.state_dict(), copies.validated[1])
    assert not are_equal(model.state_dict(), copies.validated[3])


def test_the_best_metric_may_be_the_greatest() -> None:
    copies = Copies()

    model, history = fit_scripted([0.3, 0.9, 0.5], copies, greater_is_better=True)

    assert history.best_epoch == 1
    assert are_equal(model.state_dict(), copies.validated[1])


def test_without_validation_the_last_weights_stay() -> None:
    copies = Copies()
    trainer = new_trainer(copies, epochs=3)

    history = trainer.fit(train_batches())

    assert history.best_epoch == 2
    assert are_equal(trainer.model.state_dict(), copies.after_steps[-1])


def test_an_epoch_of_nan_is_not_the_best_one() -> None:
    copies = Copies()

    model, history = fit_scripted([nan, 2.0, nan], copies)

    assert history.best_epoch == 1
    assert are_equal(model.state_dict(), copies.validated[1])


def test_where_validation_gives_nothing_but_nan_the_last_weights_stay() -> None:
    copies = Copies()

    model, history = fit_scripted([nan, nan], copies)

    assert history.best_epoch == 1
    assert are_equal(model.state_dict(), copies.validated[1])


# ------------------------------------------------------------------------------- early stopping


def test_patience_counts_the_epochs_since_the_best() -> None:
    values = [5.0, 4.0, 4.5, 4.2, 3.0, 3.5, 3.1, 3.0, 0.0]

    _, history = fit_scripted(values, patience=3)

    assert len(history.epochs) == 8  # three epochs after the 3.0, which equal values do not beat
    assert history.best_epoch == 4
    assert history.stopped == "no better scripted for 3 epochs"


def test_without_patience_a_run_goes_to_its_end() -> None:
    _, history = fit_scripted([5.0, 6.0, 7.0, 8.0], patience=None)

    assert len(history.epochs) == 4
    assert history.stopped is None


def test_epochs_of_nan_use_up_patience() -> None:
    _, history = fit_scripted([1.0, nan, nan, 0.5], patience=2)

    assert len(history.epochs) == 3
    assert history.best_epoch == 0


def test_without_validation_patience_does_nothing() -> None:
    history = new_trainer(epochs=4, patience=1).fit(train_batches())

    assert len(history.epochs) == 4


# ---------------------------------------------------------------------------------- time budget


def test_max_time_ends_a_run_with_its_schedule_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.training.run.monotonic", Clock(0.25))
    trainer = new_trainer(epochs=1000, max_time=10, learning_rate=0.01, schedule="one_cycle")

    history = trainer.fit(train_batches(), valid_batches())

    assert history.stopped == "max_time=10 is over"
    assert len(history.epochs) < 20
    rates = history.step_learning_rates
    assert rates[-1] == pytest.approx(0.01 * 1e-3)
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.01, rel=0.1)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_epoch_in_which_time_runs_out_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.training.run.monotonic", Clock(0.25))
    events = Events()
    trainer = new_trainer(events, epochs=1000, max_time=2)

    history = trainer.fit(train_batches(), valid_batches())

    assert len(history.step_losses) % STEPS_PER_EPOCH != 0  # the last epoch is not whole
    assert history.epochs[-1].valid_loss is not None
    assert events.names[-1] == "fit_ended True"


def test_a_time_budget_that_is_long_enough_changes_nothing() -> None:
    free, limited = (new_trainer(epochs=3, max_time=limit) for limit in (None, "1h"))

    history = free.fit(train_batches(), valid_batches())
    same = limited.fit(train_batches(), valid_batches())

    assert same.stopped is None
    assert len(same.epochs) == 3
    # The first steps come a few microseconds after the beginning, and the schedule knows it.
    assert same.step_learning_rates == pytest.approx(history.step_learning_rates, rel=1e-3)


# ------------------------------------------------------------------------------------ snapshots


def test_a_snapshot_is_taken_at_the_end_of_every_cycle() -> None:
    copies = Copies()
    trainer = new_trainer(copies, epochs=7, schedule="sgdr_doubling", snapshots=True)

    trainer.fit(train_batches(), valid_batches())

    ends = [copies.after_steps[epochs * STEPS_PER_EPOCH - 1] for epochs in (1, 3, 7)]
    assert len(trainer.snapshots) == 3
    assert all(map(are_equal, trainer.snapshots, ends))


def test_without_snapshots_none_are_taken() -> None:
    trainer = new_trainer(epochs=7, schedule="sgdr_doubling")

    trainer.fit(train_batches(), valid_batches())

    assert trainer.snapshots == []


@pytest.mark.parametrize("seconds_per_look", [0.1, 0.13, 0.7])
def test_a_time_budget_leaves_one_snapshot_per_cycle(
    monkeypatch: pytest.MonkeyPatch, seconds_per_look: float
) -> None:
    monkeypatch.setattr("tabtext.training.run.monotonic", Clock(seconds_per_look))
    trainer = new_trainer(epochs=700, cycle_len=100, schedule="sgdr", snapshots=True, max_time=20)

    history = trainer.fit(train_batches(), valid_batches())

    assert history.stopped is not None
    assert len(history.epochs) < 100
    assert len(trainer.snapshots) == 3


def test_a_run_that_is_resumed_has_the_snapshots_of_one_that_was_not(tmp_path: Path) -> None:
    def new(*callbacks: Callback) -> Trainer:
        return new_trainer(*callbacks, epochs=7, schedule="sgdr_doubling", snapshots=True)

    whole = new()
    whole.fit(train_batches())
    first, second = new(StopAtStep(2 * STEPS_PER_EPOCH)), new()
    first.checkpoints, second.checkpoints = Checkpoints(tmp_path), Checkpoints(tmp_path)

    first.fit(train_batches())
    second.fit(train_batches(), resume=True)

    assert len(first.snapshots) == 1
    assert len(second.snapshots) == 3
    assert all(map(are_equal, second.snapshots, whole.snapshots))


@pytest.mark.parametrize("stops_at", [10, 25, 40, 50])
def test_a_run_with_a_time_budget_that_is_resumed_has_one_snapshot_per_cycle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stops_at: int
) -> None:
    def new(*callbacks: Callback) -> Trainer:
        trainer = new_trainer(
            *callbacks, epochs=700, cycle_len=100, schedule="sgdr", snapshots=True, max_time=20
        )
        trainer.checkpoints = Checkpoints(tmp_path, every_minutes=None)
        return trainer

    monkeypatch.setattr("tabtext.training.run.monotonic", Clock(0.2))
    first, second = new(StopAtStep(stops_at)), new()

    first.fit(train_batches())
    second.fit(train_batches(), resume=True)

    assert len(second.snapshots) == 3


def test_the_snapshots_mean_prediction_is_no_worse_than_the_worst_of_them() -> None:
    with seeded(1):
        inputs = torch.randn(300, 3)
        signal = inputs.sin().sum(dim=1, keepdim=True)
        noisy = signal + torch.randn(300, 1)
    train = TensorBatches((inputs[:100],), noisy[:100], batch_size=20, shuffle=True)
    options = {"schedule": "sgdr_equal", "cycle_len": 5, "learning_rate": 0.1}
    trainer = new_trainer(epochs=20, snapshots=True, **options)
    trainer.fit(train)

    predictions = []
    for weights in trainer.snapshots:
        trainer.model.load_state_dict(weights)
        predictions.append(trainer.predict([inputs[100:]]))
    errors = [squared_error(raw, signal[100:]).mean().item() for raw in predictions]
    together = squared_error(torch.stack(predictions).mean(dim=0), signal[100:]).mean().item()

    assert len(set(errors)) == 4  # the cycles ended in different places
    assert together < sum(errors) / 4 < max(errors)
