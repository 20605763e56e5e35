"""What a user can set of the training of any estimator, and the options that follow from it."""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, Literal

from sklearn.base import BaseEstimator

from tabtext.errors import ParameterError, did_you_mean
from tabtext.estimators.defaults import choose_batch_size, choose_epochs
from tabtext.estimators.parameter_checks import require_bool, require_share, require_whole
from tabtext.training.devices import choose_device
from tabtext.training.metrics import Metric
from tabtext.training.options import Phase, TrainingOptions
from tabtext.training.restarts import nearest_whole_cycles
from tabtext.training.schedules import Schedule, restarts_of

__all__ = ["TrainingParameters"]

_LARGEST_SEED = 2**32 - 1  # numpy's


@dataclass(kw_only=True, eq=False, repr=False)
class TrainingParameters(BaseEstimator, ABC):
    """How any estimator of the library trains; children add what they train.

    A dataclass, because its generated ``__init__`` only stores its arguments, which is what
    scikit-learn asks of an estimator.

    Parameters
    ----------
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
    weight_decay : float or tuple of float
        Decoupled; not on biases, norms, embeddings and learned scales. A tuple gives every layer
        group of the network its own.
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
    random_state : int
        Seed of the split, the initial weights and the order of batches. Two fits with the same
        seed, data and CPU are equal bit for bit.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    verbose : int
        0 is silent; 1 shows the progress of all that takes longer than a second, on stderr: of fits
        and of what is asked of the fitted model. Warnings come in any case.
    """

    epochs: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float | tuple[float, ...] = 2e-3
    weight_decay: float | tuple[float, ...] = 0.01
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
    random_state: int = 0
    device: str = "auto"
    verbose: int = 1

    _smallest_batch = 2  # batch norm needs two rows

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        require_share("validation_fraction", self.validation_fraction, remedy="; 0 is for none")
        require_bool("snapshots", self.snapshots)
        if not isinstance(self.monitor, str):
            raise ParameterError(
                f"monitor={self.monitor!r} must be 'valid_loss' or the name of a metric"
            )
        for name, smallest in (("epochs", 1), ("batch_size", self._smallest_batch)):
            value = getattr(self, name)
            if value != "auto" and not (isinstance(value, Integral) and int(value) >= smallest):
                raise ParameterError(
                    f"{name}={value!r} must be 'auto' or a whole number of at least {smallest}"
                )
        if not isinstance(self.verbose, Integral):
            raise ParameterError(f"verbose={self.verbose!r} must be 0, which is silent, or 1")
        require_whole("random_state", self.random_state, smallest=0, largest=_LARGEST_SEED)
        choose_device(self.device)
        # What depends on the data is checked again; this is for wrong options to be told at once.
        options = self.training_options(1)
        # Of a batch of odd size, parts of two rows would leave a single one.
        smallest = 1 if self._smallest_batch == 1 else self._smallest_batch + 1
        if options.micro_batch_size is not None and options.micro_batch_size < smallest:
            raise ParameterError(
                f"micro_batch_size={options.micro_batch_size} may leave parts of a single row, and "
                f"the network's batch norm needs two; take at least {smallest}"
            )

    def training_options(
        self, n_rows: int, metrics: Sequence[Metric] = (), phases: tuple[Phase, ...] = ()
    ) -> TrainingOptions:
        """How to train on so many rows.

        Parameters
        ----------
        n_rows : int
            Training rows, on which ``"auto"`` depends.
        metrics : sequence of Metric
            What is measured, and may be monitored.
        phases : tuple of Phase
            The recipe of the estimator itself, unless ``training`` has one.
        """
        given = {} if self.training is None else self.training
        _check_further(given, type(self))
        further = {**self._training_defaults(), **given}
        recipe = tuple(further.pop("phases", None) or phases)
        upwards = {metric.name for metric in metrics if metric.greater_is_better}
        return TrainingOptions(
            epochs=self._epochs(n_rows, further, recipe),
            learning_rate=self._peak_rate(),
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            monitor=self.monitor,
            greater_is_better=self.monitor in upwards,
            patience=self._patience(),
            schedule=self.schedule,
            averaging=self.averaging,
            snapshots=self.snapshots,
            precision=self.precision,
            max_time=self.max_time,
            seed=self.random_state,
            phases=recipe,
            **further,
        )

    def rows_per_batch(self, n_rows: int) -> int:
        """The batch size for so many training rows."""
        return self._auto_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size

    def _peak_rate(self) -> float | tuple[float, ...]:
        """The learning rate at the peak of the schedule."""
        return self.learning_rate

    def _patience(self) -> int | None:
        """Epochs without improvement after which training ends."""
        return self.patience

    def _training_defaults(self) -> dict[str, Any]:
        """Training options that differ from the trainer's own defaults; ``training`` wins."""
        return {}

    def _auto_batch_size(self, n_rows: int) -> int:
        """What ``batch_size="auto"`` means."""
        return choose_batch_size(n_rows)

    def _auto_epochs(self, n_rows: int) -> int:
        """What ``epochs="auto"`` means."""
        return choose_epochs(n_rows)

    def _epochs(self, n_rows: int, further: Mapping[str, Any], recipe: tuple[Phase, ...]) -> int:
        """The number that was given; else one for so many rows, with whole cycles of restarts."""
        if self.epochs != "auto":
            if self.training is not None and self.training.get("phases"):
                raise ParameterError(
                    f"epochs={self.epochs} has no meaning with phases, which have epochs of their "
                    "own; leave it out"
                )
            return int(self.epochs)
        if recipe:
            return 1  # has no meaning; the phases' epochs count
        cycles = {name: further[name] for name in ("cycle_len", "cycle_mult") if name in further}
        restarts = None if callable(self.schedule) else restarts_of(self.schedule, **cycles)
        epochs = self._auto_epochs(n_rows)
        if restarts is None:
            return epochs
        return nearest_whole_cycles(epochs, cycle_len=restarts[0], cycle_mult=restarts[1])


def _check_further(further: Mapping[str, Any], estimator: type[TrainingParameters]) -> None:
    """Raise ``ParameterError`` for what is no training option, or has a parameter of its own."""
    if not isinstance(further, Mapping):
        raise ParameterError(
            f"training={further!r} is no mapping of options; write training={{'optimizer': 'sgd'}}"
        )
    known = {field.name for field in fields(TrainingOptions)}
    own = {field.name for field in fields(estimator)}
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
