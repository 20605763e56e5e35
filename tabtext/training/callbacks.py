"""What may watch a training run, and the callbacks that choose its weights and its end."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from tabtext.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = ["BestWeights", "Callback", "EarlyStopping", "Monitor", "Snapshots", "TimeBudget"]


class Callback:
    """Something that is told of the events of a run; override what is of interest.

    The run is the trainer's own: ``run.history``, ``run.step``, ``run.model`` ... may be read, and
    ``run.stop(reason)`` ends training after the current step or epoch.

    Examples
    --------
    >>> class StopAtOnce(Callback):
    ...     def step_ended(self, run):
    ...         run.stop("for an example")
    """

    first_process_only = False
    """Whether, of several processes, only the first is told: for what writes or shows."""

    def fit_started(self, run: "Run") -> None:
        """Training begins, or goes on from a checkpoint."""

    def step_ended(self, run: "Run") -> None:
        """The weights were updated; ``run.step`` counts the updates so far."""

    def validation_started(self, run: "Run") -> None:
        """All batches of an epoch were seen, and validation comes next."""

    def epoch_ended(self, run: "Run") -> None:
        """An epoch is over; ``run.history.epochs[-1]`` is its record."""

    def fit_ended(self, run: "Run") -> None:
        """Training is over: by its plan, early, or, if not ``run.finished``, by an error."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: nested dicts and lists of JSON values and tensors."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what a checkpoint kept."""


class Monitor:
    """The number that tells better epochs from worse ones.

    Parameters
    ----------
    name : str
        ``"valid_loss"`` or a metric.
    greater_is_better : bool
        Which way is up.

    Examples
    --------
    >>> monitor = Monitor("valid_loss", greater_is_better=False)
    >>> [monitor.improves(loss) for loss in (0.5, 0.4, float("nan"), 0.6)]
    [True, True, False, False]
    >>> monitor.best
    0.4
    """

    def __init__(self, name: str, *, greater_is_better: bool) -> None:
        self.name = name
        self.greater_is_better = greater_is_better
        self.best: float | None = None

    def improves(self, value: float) -> bool:
        """Note a value; return whether it is the best so far. NaN never is."""
        if self.best is None:
            better = value == value
        else:
            better = value > self.best if self.greater_is_better else value < self.best
        if better:
            self.best = value
        return better

    def read(self, run: "Run") -> float | None:
        """Return the value of the last epoch; None without validation.

        Raises
        ------
        ParameterError
            If there is no such metric.
        """
        epoch = run.history.epochs[-1]
        if epoch.valid_loss is None:
            return None
        values = {"valid_loss": epoch.valid_loss, **epoch.metrics}
        if self.name not in values:
            raise ParameterError(
                f"monitor={self.name!r} is not measured{did_you_mean(self.name, values)}. "
                f"Use one of: {', '.join(values)}"
            )
        return values[self.name]


class BestWeights(Callback):
    """Keep the weights of the best epoch, and give them to the model at the end.

    Without validation, or as long as it gives nothing but NaN, the last epoch counts. Its weights
    are copied all the same: with an average, those of training are others.

    Parameters
    ----------
    monitor : Monitor
        What tells better from worse.
    """

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self._best: dict[str, Tensor] = {}

    def epoch_ended(self, run: "Run") -> None:
        """Copy the weights if they are the best so far."""
        value = self.monitor.read(run)
        if value is None or self.monitor.improves(value) or self.monitor.best is None:
            run.history.best_epoch = len(run.history.epochs) - 1
            self._best = copied_weights(run)

    def fit_ended(self, run: "Run") -> None:
        """Restore the best weights."""
        if run.finished and self._best:
            run.model.load_state_dict(self._best)

    def state(self) -> dict[str, Any]:
        """The best value and its weights."""
        return {"best": self.monitor.best, "weights": self._best}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on comparing with the best value so far."""
        self.monitor.best, self._best = state["best"], state["weights"]


class EarlyStopping(Callback):
    """End training after so many epochs without improvement.

    Parameters
    ----------
    monitor : Monitor
        What should improve; its own one, since it keeps count.
    patience : int
        Epochs without improvement.
    """

    def __init__(self, monitor: Monitor, *, patience: int) -> None:
        self.monitor = monitor
        self.patience = patience
        self._epochs_without = 0

    def fit_started(self, run: "Run") -> None:
        """End at once if the run is resumed that had ended so, unless it got more patience."""
        self._stop_if_over(run)

    def epoch_ended(self, run: "Run") -> None:
        """Count epochs without improvement."""
        value = self.monitor.read(run)
        if value is None:
            return
        self._epochs_without = 0 if self.monitor.improves(value) else self._epochs_without + 1
        self._stop_if_over(run)

    def _stop_if_over(self, run: "Run") -> None:
        if self._epochs_without >= self.patience:
            run.stop(f"no better {self.monitor.name} for {self.patience} epochs")

    def state(self) -> dict[str, Any]:
        """The best value, and how long ago it was."""
        return {"best": self.monitor.best, "epochs_without": self._epochs_without}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.monitor.best, self._epochs_without = state["best"], state["epochs_without"]


class TimeBudget(Callback):
    """End training when its time is up; the schedule is annealed by then (see ``Run.position``)."""

    def fit_started(self, run: "Run") -> None:
        """Look at the clock, which may have run out before the run was resumed."""
        self.step_ended(run)

    def step_ended(self, run: "Run") -> None:
        """Look at the clock."""
        if run.time_share >= 1.0:
            run.stop(f"max_time={run.options.max_time} is over")


class Snapshots(Callback):
    """Keep the weights at the end of every cycle of a schedule with restarts.

    Each cycle ends in a minimum of its own; their predictions, averaged, are an ensemble for the
    price of one training.

    References
    ----------
    Huang, G. et al. (2017), "Snapshot Ensembles: Train 1, get M for free".
    """

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self._position = 0.0
        self._newest: float | None = None  # position of the newest snapshot

    def step_ended(self, run: "Run") -> None:
        """Copy the weights if a cycle ended with this step."""
        # With a time budget steps are of unequal length, and often more than one of the plan's: the
        # next may be twice this one, and a later copy from the same cycle replaces the earlier.
        length = 2 * (run.position - self._position) if run.options.max_time is not None else 0.0
        self._position = run.position
        if run.plan.cycle_ends(run.position, run.position + max(length, 1.0)):
            if self._newest is not None and self._is_in_same_cycle(run, self._newest):
                self.weights.pop()
            self.weights.append(copied_weights(run))
            self._newest = run.position

    def _is_in_same_cycle(self, run: "Run", position: float) -> bool:
        # The last step of a time budget lies beyond the plan, and belongs to its last cycle.
        return not run.plan.cycle_ends(position, min(run.position, run.plan.n_steps - 1))

    def state(self) -> dict[str, Any]:
        """All snapshots so far, and where the schedule stood."""
        return {"weights": self.weights, "position": self._position, "newest": self._newest}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on collecting, in the list that the trainer knows."""
        self.weights[:] = state["weights"]
        self._position, self._newest = state["position"], state["newest"]


def copied_weights(run: "Run") -> dict[str, Tensor]:
    """Return a copy of the model's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}
