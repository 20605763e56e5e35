"""Loggers: a run's record to a CSV file, to TensorBoard, to MLflow.

The record in memory is ``History``, which every run has. A logger that a run is resumed with goes
on where the checkpoint was: later entries of the process that died are replaced.
"""

import csv
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabtext.errors import ParameterError, SaveError
from tabtext.training.callbacks import Callback

if TYPE_CHECKING:
    from tabtext.training.history import Epoch
    from tabtext.training.run import Run

__all__ = ["CSVLogger", "MLflowLogger", "TensorBoardLogger"]


class CSVLogger(Callback):
    """Write a row per epoch to a CSV file, as soon as the epoch is over.

    Parameters
    ----------
    path : str or Path
        The file; one that exists is replaced, unless the run is resumed.

    Examples
    --------
    >>> import tempfile, torch
    >>> from tabtext.training import TensorBatches, Trainer, TrainingOptions
    >>> from tabtext.training.losses import squared_error
    >>> rows, path = torch.randn(32, 2), Path(tempfile.mkdtemp()) / "log.csv"
    >>> options = TrainingOptions(epochs=2)
    >>> model = torch.nn.Linear(2, 1)
    >>> trainer = Trainer(model, squared_error, options=options, callbacks=[CSVLogger(path)])
    >>> _ = trainer.fit(TensorBatches((rows,), rows[:, :1], batch_size=8))
    >>> path.read_text().splitlines()[0]
    'epoch,train_loss,valid_loss,learning_rate,gradient_norm,seconds,rows_per_second'
    """

    first_process_only = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def fit_started(self, run: "Run") -> None:
        """Keep the rows of epochs that are over; there are none in a new run."""
        lines: list[str] = []
        done = len(run.history.epochs)
        try:
            if done and self.path.exists():
                lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("".join(lines[: done + 1]), encoding="utf-8", newline="")
        except OSError as error:
            raise SaveError(f"cannot write the log {self.path}: {error}") from error

    def epoch_ended(self, run: "Run") -> None:
        """Append a row; what was not measured is an empty cell."""
        row = {"epoch": len(run.history.epochs), **_flat(run.history.epochs[-1])}
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise SaveError(f"cannot write the log {self.path}: {error}") from error


class TensorBoardLogger(Callback):
    """Write scalars for TensorBoard: losses, norms and rates of every step, metrics of every epoch.

    Parameters
    ----------
    directory : str or Path
        Where ``tensorboard --logdir`` looks; a run that is there already is replaced.

    Raises
    ------
    ParameterError
        If the package ``tensorboard`` is not installed: ``pip install 'tabtext[tensorboard]'``.
    """

    first_process_only = True

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._writer: Any = None

    def fit_started(self, run: "Run") -> None:
        """Open the event file."""
        module = _needed("torch.utils.tensorboard", extra="tensorboard")
        # TensorBoard then leaves out what earlier processes wrote of these steps.
        first_step = run.epoch * len(run.train)
        self._writer = module.SummaryWriter(str(self.directory), purge_step=first_step)

    def epoch_ended(self, run: "Run") -> None:
        """Write the epoch and its steps; nothing is written while the steps run."""
        history, n_steps = run.history, len(run.history.step_losses)
        first = (len(history.epochs) - 1) * len(run.train)
        for step in range(first, n_steps):
            self._writer.add_scalar("step/loss", history.step_losses[step], step)
            self._writer.add_scalar("step/gradient_norm", history.step_gradient_norms[step], step)
            self._writer.add_scalar("step/learning_rate", history.step_learning_rates[step], step)
        for name, value in _measured(history.epochs[-1]).items():
            # With the epoch's last step: a run that is resumed at the next one replaces that.
            self._writer.add_scalar(f"epoch/{name}", value, n_steps - 1)
        self._writer.flush()

    def fit_ended(self, run: "Run") -> None:
        """Close the file."""
        del run
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class MLflowLogger(Callback):
    """Log options and epochs to an MLflow run: the one that is active, or a new one.

    Parameters
    ----------
    experiment : str, optional
        Name of the experiment for a new run.
    tracking_uri : str, optional
        Where MLflow keeps its runs, usually the address of a server; default: as MLflow is
        configured.

    Raises
    ------
    ParameterError
        If MLflow is not installed: ``pip install 'tabtext[mlflow]'``; or if it can start no run.
    """

    first_process_only = True

    def __init__(self, experiment: str | None = None, *, tracking_uri: str | None = None) -> None:
        self.experiment = experiment
        self.tracking_uri = tracking_uri
        self.run_id: str | None = None
        self._mlflow: Any = None
        self._uri_before: str | None = None
        self._opened = False

    def fit_started(self, run: "Run") -> None:
        """Join the active run, or start one, or go on with that of the checkpoint."""
        self._mlflow = mlflow = _needed("mlflow", extra="mlflow")
        if self.tracking_uri is not None:
            self._uri_before = mlflow.get_tracking_uri()
            mlflow.set_tracking_uri(self.tracking_uri)
        try:
            self._join(run)
        except mlflow.exceptions.MlflowException as error:
            raise ParameterError(
                f"MLflow could not start a run: {error}. Give the tracking_uri of a server, or "
                "install the whole of MLflow (pip install mlflow), which keeps runs in a database; "
                "mlflow-skinny, which tabtext[mlflow] brings, only talks to servers"
            ) from error

    def _join(self, run: "Run") -> None:
        active = self._mlflow.active_run()
        resumed = self.run_id is not None
        if active is None:
            experiment = None if resumed else self._experiment_id()
            active = self._mlflow.start_run(run_id=self.run_id, experiment_id=experiment)
            self._opened = True
        self.run_id = active.info.run_id
        if not resumed:
            options = run.options.to_dict()
            self._mlflow.log_params({name: str(value)[:500] for name, value in options.items()})

    def _experiment_id(self) -> str | None:
        """The experiment's, made if need be; None is whichever the caller has set."""
        if self.experiment is None:
            return None
        # mlflow.set_experiment would set it for all runs that the caller starts later, too.
        found = self._mlflow.get_experiment_by_name(self.experiment)
        if found is None:
            return str(self._mlflow.create_experiment(self.experiment))
        return str(found.experiment_id)

    def epoch_ended(self, run: "Run") -> None:
        """Log the epoch's record."""
        epoch = len(run.history.epochs)
        self._mlflow.log_metrics(_measured(run.history.epochs[-1]), step=epoch)

    def fit_ended(self, run: "Run") -> None:
        """End the run if it was started here, and leave MLflow configured as it was."""
        if self._opened:
            self._mlflow.end_run("FINISHED" if run.finished else "FAILED")
            self._opened = False
        if self._uri_before is not None:
            self._mlflow.set_tracking_uri(self._uri_before)
            self._uri_before = None

    def state(self) -> dict[str, Any]:
        """The run, so that a resumed training goes on with it."""
        return {"run_id": self.run_id}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with the run."""
        self.run_id = state["run_id"]


def _flat(epoch: "Epoch") -> dict[str, float | None]:
    """An epoch's numbers by name, metrics among them."""
    return {
        "train_loss": epoch.train_loss,
        "valid_loss": epoch.valid_loss,
        **epoch.metrics,
        "learning_rate": epoch.learning_rate,
        "gradient_norm": epoch.gradient_norm,
        "seconds": epoch.seconds,
        "rows_per_second": epoch.rows_per_second,
    }


def _measured(epoch: "Epoch") -> dict[str, float]:
    """As ``_flat``, without what was not measured."""
    return {name: value for name, value in _flat(epoch).items() if value is not None}


def _needed(module: str, *, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ParameterError(
            f"this logger needs a package that is not installed ({error}); "
            f"install it with: pip install 'tabtext[{extra}]'"
        ) from error
