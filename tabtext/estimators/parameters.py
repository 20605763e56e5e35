"""What a user can set, and the options of each stage that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, Literal

from sklearn.base import BaseEstimator

from tabtext.errors import ParameterError, did_you_mean
from tabtext.estimators.defaults import choose_batch_size, choose_epochs
from tabtext.estimators.network import NetworkOptions
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.training.metrics import METRICS
from tabtext.training.options import TrainingOptions
from tabtext.training.restarts import nearest_whole_cycles
from tabtext.training.schedules import Schedule, restarts_of

__all__ = ["TabularParameters"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularParameters(BaseEstimator):
    """The parameters that ``TabularClassifier`` and ``TabularRegressor`` share.

    A dataclass, because its generated ``__init__`` only stores its arguments, which is what
    scikit-learn asks of an estimator.

    Parameters
    ----------
    roles : mapping of str to str, optional
        Column -> ``"categorical"``, ``"continuous"``, ``"datetime"`` or ``"ignore"``, where the
        inferred role is wrong.
    exclude : sequence of str
        Columns that the model must not see.
    date_parts : bool or sequence of str
        Parts that stand for dates: all of ``tabtext.tabular.dates.PARTS``, none, or these.
    prune : sequence of str or Rule
        Rules of ``tabtext.tabular.outliers`` for training rows; text such as ``"Sales > 0"`` keeps
        the rows where it holds.
    missing : {"median", "mean", "constant", "signal"}
        What fills gaps in continuous columns; ``"constant"`` takes ``fill_value``, ``"signal"`` a
        value outside the column's range.
    fill_value : float
        See ``missing``.
    missing_indicators : bool
        Add a 0/1 column for every continuous column with gaps in training.
    scaling : {"standard", "robust", "quantile", "none"}
        How continuous columns are scaled.
    min_count : int
        Categories with fewer training rows share the code of unseen ones.
    hidden : sequence of int
        Width of each hidden layer.
    dropout : float
        Share of each hidden layer's outputs set to zero in training.
    embedding_widths : mapping of str to int, optional
        Width of single columns' embeddings; the others follow ``embedding_width``.
    embedding_dropout : float
        Share of the embeddings' elements set to zero in training.
    unseen_rate : float
        Share of known categories that training replaces by "unseen", so that its vector is learned.
    numeric_embedding : {"none", "piecewise_linear", "periodic"}
        What continuous columns become: their scaled value, or a vector that lets the first layer
        bend at bins or repeat in waves.
    bins : {"tree", "quantile"}
        Where piecewise-linear bins come from: a decision tree on the target per column, or
        quantiles.
    n_bins : int
        Largest number of bins per column.
    epochs : int or "auto"
        Passes over the training rows; ``"auto"`` depends on their number (see ``defaults``).
    batch_size : int or "auto"
        Rows per step; ``"auto"`` depends on their number (see ``defaults``).
    learning_rate : float or tuple of float
        Peak of the schedule; ``(low, high)`` spreads it over the network's layer groups, a longer
        tuple gives every group its own.
    schedule : str or callable
        How the rate moves: ``"one_cycle"``, ``"sgdr_doubling"``, ``"constant"`` ..., all in
        ``tabtext.training.schedules``, or a function of progress.
    weight_decay : float
        Decoupled; not on biases, norms and embeddings.
    clip_norm : float or None
        Largest global norm of the gradient.
    averaging : {"ema", "swa", "nt_asgd"} or None
        Which average of the weights is validated and kept; None for the weights themselves. The
        default had the lower validation loss in all of four tasks (see ``bench/README.md``).
    snapshots : bool
        Keep the weights at the end of every cycle of an ``"sgdr"`` schedule, and predict with the
        mean of all.
    precision : {"auto", "fp32", "tf32", "bf16", "fp16"}
        Number format of training; see ``tabtext.training.precision``.
    max_time : float, str or None
        Seconds, or text such as ``"10min"``, within which the schedule runs to its end.
    training : mapping, optional
        Further fields of ``tabtext.training.TrainingOptions`` by name, such as
        ``{"optimizer": "sgd", "group_ratio": 3}``.
    monitor : str
        What chooses the best epoch, and when patience runs out: ``"valid_loss"`` or a metric.
    patience : int or None
        Epochs without improvement of the monitor after which training ends. The best
        epoch's weights are kept in any case.
    validation_fraction : float
        Share of rows set aside at random when ``fit`` gets no ``validation``; 0 for none.
    missing_target : {"drop", "error"}
        What to do with rows whose target is missing.
    random_state : int
        Seed of the split, the initial weights and the order of batches. Two fits with the same
        seed, data and CPU are equal bit for bit.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    verbose : int
        0 is silent, 1 shows progress.
    """

    roles: Mapping[str, str] | None = None
    exclude: Sequence[str] = ()
    date_parts: bool | Sequence[str] = True
    prune: Sequence[Any] = ()
    missing: Literal["median", "mean", "constant", "signal"] = "median"
    fill_value: float = 0.0
    missing_indicators: bool = True
    scaling: Literal["standard", "robust", "quantile", "none"] = "standard"
    min_count: int = 1
    hidden: Sequence[int] = (512, 256)
    dropout: float = 0.1
    embedding_widths: Mapping[str, int] | None = None
    embedding_dropout: float = 0.0
    unseen_rate: float = 0.01
    numeric_embedding: Literal["none", "piecewise_linear", "periodic"] = "piecewise_linear"
    bins: Literal["tree", "quantile"] = "tree"
    n_bins: int = 48
    epochs: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float | tuple[float, ...] = 2e-3
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    schedule: str | Schedule = "one_cycle"
    averaging: Literal["ema", "swa", "nt_asgd"] | None = "ema"
    snapshots: bool = False
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    max_time: float | str | None = None
    training: Mapping[str, Any] | None = None
    monitor: str = "valid_loss"
    patience: int | None = None
    validation_fraction: float = 0.1
    missing_target: Literal["drop", "error"] = "drop"
    random_state: int = 0
    device: str = "auto"
    verbose: int = 1

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        if not 0 <= self.validation_fraction < 1:
            raise ParameterError(
                f"validation_fraction={self.validation_fraction} is not in [0, 1); 0 is for none"
            )
        if self.missing_target not in ("drop", "error"):
            raise ParameterError(
                f"missing_target={self.missing_target!r} is neither 'drop' nor 'error'"
            )
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            smallest = 1 if name == "epochs" else 2  # batch norm needs two rows
            if value != "auto" and not (isinstance(value, Integral) and int(value) >= smallest):
                raise ParameterError(
                    f"{name}={value!r} must be 'auto' or a whole number of at least {smallest}"
                )

        # What depends on the data is checked again; this is for wrong options to be told at once.
        self.training_options(1, "regression")

    def new_preprocessor(self) -> TabularPreprocessor:
        """An unfitted preprocessor."""
        return TabularPreprocessor(
            roles=self.roles,
            exclude=tuple(self.exclude),
            date_parts=self.date_parts,
            missing=self.missing,
            fill_value=self.fill_value,
            missing_indicators=self.missing_indicators,
            scaling=self.scaling,
            min_count=self.min_count,
        )

    def network_options(self) -> NetworkOptions:
        """The shape of the network."""
        return NetworkOptions(
            hidden=tuple(self.hidden),
            dropout=self.dropout,
            embedding_widths=self.embedding_widths,
            embedding_dropout=self.embedding_dropout,
            unseen_rate=self.unseen_rate,
            numeric_embedding=self.numeric_embedding,
            bins=self.bins,
            n_bins=self.n_bins,
        )

    def training_options(self, n_rows: int, task: str) -> TrainingOptions:
        """How to train on so many rows."""
        further = {} if self.training is None else self.training
        _check_further(further)
        upwards = {metric.name for metric in METRICS[task] if metric.greater_is_better}
        return TrainingOptions(
            epochs=self._epochs(n_rows, further),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            monitor=self.monitor,
            greater_is_better=self.monitor in upwards,
            patience=self.patience,
            schedule=self.schedule,
            averaging=self.averaging,
            snapshots=self.snapshots,
            precision=self.precision,
            max_time=self.max_time,
            seed=self.random_state,
            **further,
        )

    def _epochs(self, n_rows: int, further: Mapping[str, Any]) -> int:
        """The number that was given; else one for so many rows, with whole cycles of restarts."""
        if self.epochs != "auto":
            if further.get("phases"):
                raise ParameterError(
                    f"epochs={self.epochs} has no meaning with phases, which have epochs of their "
                    "own; leave it out"
                )
            return int(self.epochs)
        cycles = {name: further[name] for name in ("cycle_len", "cycle_mult") if name in further}
        restarts = None if callable(self.schedule) else restarts_of(self.schedule, **cycles)
        epochs = choose_epochs(n_rows)
        if restarts is None:
            return epochs
        return nearest_whole_cycles(epochs, cycle_len=restarts[0], cycle_mult=restarts[1])

    def rows_per_batch(self, n_rows: int) -> int:
        """The batch size for so many training rows."""
        return choose_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size


def _check_further(further: Mapping[str, Any]) -> None:
    """Raise ``ParameterError`` for what is no training option, or has a parameter of its own."""
    if not isinstance(further, Mapping):
        raise ParameterError(
            f"training={further!r} is no mapping of options; write training={{'optimizer': 'sgd'}}"
        )
    known = {field.name for field in fields(TrainingOptions)}
    own = {field.name for field in fields(TabularParameters)}
    options = known - own - {"greater_is_better", "seed"}
    for name in further:
        if name in own or name in ("greater_is_better", "seed"):
            raise ParameterError(
                f"training={{{name!r}: ...}}: this one follows from the estimator's parameters; "
                f"set {'random_state' if name == 'seed' else name} there"
            )
        if name not in known:
            raise ParameterError(
                f"training={{{name!r}: ...}} is no training option. They are: "
                f"{', '.join(sorted(options))}{did_you_mean(name, options)}"
            )
