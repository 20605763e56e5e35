"""Loggers: what they wrote, read back with the tools that it was written for."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DivergenceError, ParameterError, SaveError
from tabtext.training.batches import TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.history import Epoch, History
from tabtext.training.loggers import CSVLogger, MLflowLogger, TensorBoardLogger
from tabtext.training.losses import squared_error
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Trainer

INPUTS = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])
STEPS_PER_EPOCH = 3

Numbers = dict[str, float | None]


class StopAfter(Callback):
    """Ends a run after an epoch."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def epoch_ended(self, run: Run) -> None:
        if len(run.history.epochs) == self.n_epochs:
            run.stop("for a test")


class DieInEpoch(Callback):
    """Raises at the end of an epoch, before its checkpoint is written."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def epoch_ended(self, run: Run) -> None:
        if len(run.history.epochs) == self.n_epochs:
            raise RuntimeError("died")


def mean_absolute_error(raw: Tensor) -> dict[str, float]:
    return {"mae": (raw - TARGET[60:]).abs().mean().item()}


def fit(
    *callbacks: Callback,
    validate: bool = True,
    target: Tensor = TARGET,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    **options: Any,
) -> History:
    with seeded(0):
        trainer = Trainer(
            nn.Linear(3, 1),
            squared_error,
            options=TrainingOptions(**{"epochs": 3, **options}),
            score=mean_absolute_error,
            callbacks=callbacks,
            checkpoints=checkpoints,
        )
        train = TensorBatches((INPUTS[:60],), target[:60], batch_size=20)
        valid = TensorBatches((INPUTS[60:],), target[60:], batch_size=20) if validate else None
        return trainer.fit(train, valid, resume=resume)


def numbers_of(epoch: Epoch) -> Numbers:
    return {
        "train_loss": epoch.train_loss,
        "valid_loss": epoch.valid_loss,
        **epoch.metrics,
        "learning_rate": epoch.learning_rate,
        "gradient_norm": epoch.gradient_norm,
        "seconds": epoch.seconds,
        "rows_per_second": epoch.rows_per_second,
    }


# ----------------------------------------------------------------------------------------- CSV


def rows_in(path: Path) -> list[Numbers]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: float(value) if value else None for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def expected_rows(history: History) -> list[Numbers]:
    return [{"epoch": i, **numbers_of(epoch)} for i, epoch in enumerate(history.epochs, start=1)]


def test_the_rows_of_a_csv_file_are_the_history(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "log.csv"

    history = fit(CSVLogger(path))

    assert rows_in(path) == expected_rows(history)


def test_without_validation_its_loss_is_an_empty_cell(tmp_path: Path) -> None:
    history = fit(CSVLogger(tmp_path / "log.csv"), validate=False)

    rows = rows_in(tmp_path / "log.csv")
    assert rows == expected_rows(history)
    assert [row["valid_loss"] for row in rows] == [None, None, None]


def test_a_row_is_there_as_soon_as_its_epoch_is_over(tmp_path: Path) -> None:
    lengths: list[int] = []

    class Look(Callback):
        def epoch_ended(self, run: Run) -> None:
            lengths.append(len(rows_in(tmp_path / "log.csv")))

    fit(CSVLogger(tmp_path / "log.csv"), Look())

    assert lengths == [1, 2, 3]


def test_a_new_run_replaces_the_file_of_another(tmp_path: Path) -> None:
    fit(CSVLogger(tmp_path / "log.csv"), epochs=5)

    history = fit(CSVLogger(tmp_path / "log.csv"), epochs=2)

    assert rows_in(tmp_path / "log.csv") == expected_rows(history)


def test_a_resumed_run_replaces_the_rows_that_came_after_its_checkpoint(tmp_path: Path) -> None:
    log, saved = tmp_path / "log.csv", tmp_path / "checkpoints"
    with pytest.raises(RuntimeError, match="died"):
        fit(CSVLogger(log), DieInEpoch(3), checkpoints=Checkpoints(saved), epochs=4)
    before = log.read_bytes().splitlines(keepends=True)
    assert len(before) == 1 + 3

    history = fit(CSVLogger(log), checkpoints=Checkpoints(saved), resume=True, epochs=4)

    after = log.read_bytes().splitlines(keepends=True)
    assert after[:3] == before[:3]  # header and two epochs, byte for byte
    assert rows_in(log) == expected_rows(history)
    assert len({line[-2:] == b"\r\n" for line in after}) == 1  # all lines end alike


def test_a_resumed_run_whose_file_is_gone_begins_a_new_one(tmp_path: Path) -> None:
    log, saved = tmp_path / "log.csv", tmp_path / "checkpoints"
    fit(CSVLogger(log), StopAfter(1), checkpoints=Checkpoints(saved))
    log.unlink()

    history = fit(CSVLogger(log), checkpoints=Checkpoints(saved), resume=True)

    assert rows_in(log) == expected_rows(history)[1:]


def test_a_path_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    epochs: list[int] = []

    class Count(Callback):
        def epoch_ended(self, run: Run) -> None:
            epochs.append(1)

    for path in (tmp_path, tmp_path / "file" / "log.csv"):
        with pytest.raises(SaveError, match=f"cannot write the log {path}"):
            fit(CSVLogger(path), Count())
    assert epochs == []


def test_a_file_that_can_no_longer_be_written_is_an_error_of_saving(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"

    class Obstruct(Callback):
        def step_ended(self, run: Run) -> None:
            if path.is_file():
                path.unlink()
                path.mkdir()

    with pytest.raises(SaveError, match="cannot write the log"):
        fit(CSVLogger(path), Obstruct())


# --------------------------------------------------------------------------------- TensorBoard


@pytest.fixture
def tensorboard() -> None:
    """Skip where TensorBoard is not installed."""
    pytest.importorskip("tensorboard")


def scalars_in(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by tag, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory)).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def expected_scalars(history: History) -> dict[str, list[tuple[int, float]]]:
    scalars = {
        "step/loss": list(enumerate(history.step_losses)),
        "step/gradient_norm": list(enumerate(history.step_gradient_norms)),
        "step/learning_rate": list(enumerate(history.step_learning_rates)),
    }
    for number, epoch in enumerate(history.epochs, start=1):
        for name, value in numbers_of(epoch).items():
            if value is not None:
                step = min(number * STEPS_PER_EPOCH, len(history.step_losses)) - 1
                scalars.setdefault(f"epoch/{name}", []).append((step, value))
    return scalars


def assert_same_scalars(  # single precision is what event files hold
    found: dict[str, list[tuple[int, float]]], expected: dict[str, list[tuple[int, float]]]
) -> None:
    assert found.keys() == expected.keys()
    for tag, pairs in expected.items():
        assert [step for step, _ in found[tag]] == [step for step, _ in pairs]
        values = [value for _, value in pairs]
        assert [value for _, value in found[tag]] == pytest.approx(values, rel=1e-6)


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_shows_every_step_and_every_epoch(tmp_path: Path) -> None:
    history = fit(TensorBoardLogger(tmp_path))

    assert_same_scalars(scalars_in(tmp_path), expected_scalars(history))


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_is_not_shown_what_was_not_measured(tmp_path: Path) -> None:
    fit(TensorBoardLogger(tmp_path), validate=False)

    scalars = scalars_in(tmp_path)
    assert "epoch/train_loss" in scalars
    assert "epoch/valid_loss" not in scalars


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_shows_the_steps_of_an_epoch_that_was_cut_short(tmp_path: Path) -> None:
    class StopAtStep(Callback):
        def step_ended(self, run: Run) -> None:
            if run.step == STEPS_PER_EPOCH + 2:
                run.stop("for a test")

    history = fit(TensorBoardLogger(tmp_path), StopAtStep())

    assert len(history.step_losses) == STEPS_PER_EPOCH + 2
    assert_same_scalars(scalars_in(tmp_path), expected_scalars(history))


@pytest.mark.usefixtures("tensorboard")
@pytest.mark.parametrize("dies_in", [1, 3])
def test_tensorboard_shows_a_resumed_run_as_if_it_had_never_died(
    tmp_path: Path, dies_in: int
) -> None:
    events, saved = tmp_path / "events", tmp_path / "checkpoints"
    with pytest.raises(RuntimeError, match="died"):
        fit(
            TensorBoardLogger(events),
            DieInEpoch(dies_in),
            checkpoints=Checkpoints(saved, every_steps=2),
            epochs=4,
        )

    history = fit(TensorBoardLogger(events), checkpoints=Checkpoints(saved), resume=True, epochs=4)

    assert len(history.epochs) == 4
    assert_same_scalars(scalars_in(events), expected_scalars(history))


# -------------------------------------------------------------------------------------- MLflow


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow, keeping its runs in files of this test; a skip where it is not installed."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # tests stay off the network
    module = pytest.importorskip("mlflow")
    # Files need no database, and MLflow otherwise refuses them as old-fashioned.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = module.get_tracking_uri()
    module.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield module
    while module.active_run() is not None:
        module.end_run()
    module.set_tracking_uri(before)


def metrics_of(client: Any, run_id: str | None, name: str) -> list[tuple[int, float]]:
    return [(entry.step, entry.value) for entry in client.get_metric_history(run_id, name)]


def test_mlflow_holds_options_and_epochs_of_a_run(mlflow: Any, tmp_path: Path) -> None:
    uri = (tmp_path / "elsewhere").as_uri()
    logger = MLflowLogger("an experiment", tracking_uri=uri)

    history = fit(logger, learning_rate=0.015)

    client = mlflow.MlflowClient(uri)
    run = client.get_run(logger.run_id)
    experiment = client.get_experiment_by_name("an experiment")
    assert run.info.experiment_id == experiment.experiment_id
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.015"
    assert run.data.params["epochs"] == "3"
    assert run.data.params.keys() == TrainingOptions().to_dict().keys()
    for name in numbers_of(history.epochs[0]):
        values = [numbers_of(epoch)[name] for epoch in history.epochs]
        assert metrics_of(client, logger.run_id, name) == list(enumerate(values, start=1))


def test_mlflow_is_left_as_it_was_configured(mlflow: Any, tmp_path: Path) -> None:
    before = mlflow.get_tracking_uri()

    fit(MLflowLogger("an experiment", tracking_uri=(tmp_path / "elsewhere").as_uri()))

    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
    with mlflow.start_run() as own:  # would fail if that experiment were still the current one
        assert own.info.experiment_id == "0"


def test_mlflow_adds_runs_to_an_experiment_that_exists(mlflow: Any) -> None:
    first, second = MLflowLogger("an experiment"), MLflowLogger("an experiment")

    fit(first, epochs=1)
    fit(second, epochs=1)

    experiments = {
        mlflow.MlflowClient().get_run(logger.run_id).info.experiment_id
        for logger in (first, second)
    }
    assert first.run_id != second.run_id
    assert len(experiments) == 1
    assert experiments != {"0"}


def test_mlflow_is_not_given_what_was_not_measured(mlflow: Any) -> None:
    logger = MLflowLogger()

    fit(logger, validate=False)

    metrics = mlflow.MlflowClient().get_run(logger.run_id).data.metrics
    assert "train_loss" in metrics
    assert "valid_loss" not in metrics


def test_mlflow_holds_a_run_that_diverged_as_failed(mlflow: Any) -> None:
    logger = MLflowLogger()

    with pytest.raises(DivergenceError):
        fit(logger, target=torch.full_like(TARGET, torch.inf))

    assert mlflow.MlflowClient().get_run(logger.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_mlflow_joins_a_run_that_is_active_and_leaves_it_open(mlflow: Any) -> None:
    logger = MLflowLogger()

    with mlflow.start_run() as active:
        fit(logger)
        assert mlflow.active_run().info.run_id == active.info.run_id

    assert logger.run_id == active.info.run_id
    assert len(metrics_of(mlflow.MlflowClient(), logger.run_id, "mae")) == 3


def test_mlflow_goes_on_with_the_run_of_the_checkpoint(mlflow: Any, tmp_path: Path) -> None:
    first, second = MLflowLogger(), MLflowLogger()
    fit(first, StopAfter(2), checkpoints=Checkpoints(tmp_path / "saved"))

    history = fit(second, checkpoints=Checkpoints(tmp_path / "saved"), resume=True)

    assert second.run_id == first.run_id
    maes = [epoch.metrics["mae"] for epoch in history.epochs]
    assert metrics_of(mlflow.MlflowClient(), first.run_id, "mae") == list(enumerate(maes, start=1))
    assert mlflow.MlflowClient().get_run(first.run_id).info.status == "FINISHED"


# ---------------------------------------------------------------------------- what is not there


@pytest.mark.parametrize(
    ("module", "logger", "extra"),
    [
        ("torch.utils.tensorboard", TensorBoardLogger("events"), "tensorboard"),
        ("mlflow", MLflowLogger(), "mlflow"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, logger: Callback, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ParameterError, match=rf"pip install 'tabtext\[{extra}\]'"):
        fit(logger)
