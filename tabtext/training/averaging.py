"""Averages of the weights over the steps of training: EMA, SWA and NT-ASGD.

The average is what gets validated, kept as the best epoch, and left in the model at the end;
training itself goes on with the plain weights. Batch norms' running statistics belong to the plain
weights, so they are computed anew for the average, from training rows.
"""

from itertools import islice
from math import isnan
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.training.callbacks import Callback, Monitor

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = [
    "ExponentialAverage",
    "StochasticAverage",
    "TriggeredAverage",
    "WeightAverage",
    "new_average",
    "recompute_batch_norm",
]

_BatchNorm = nn.modules.batchnorm._BatchNorm
_BATCHES_FOR_STATISTICS = 100
_ROWS_FOR_STATISTICS = 8192  # a mean over them is off by about 0.01 standard deviations


class WeightAverage(Callback):
    """What the averages share: they move towards the weights, and stand in for them to be judged.

    Children say in ``new_share`` how much the newest weights count.
    """

    def __init__(self) -> None:
        self._average: list[Tensor] = []
        self._n_averaged = 0
        self._plain: list[Tensor] | None = None

    def new_share(self, run: "Run") -> float | None:
        """Share of the newest weights in the average, or None while nothing is averaged yet."""
        raise NotImplementedError

    def step_ended(self, run: "Run") -> None:
        """Take the newest weights into the average."""
        share = self.new_share(run)
        if share is None:
            return
        weights = _weights(run.model)
        if not self._average:
            self._average = [tensor.clone() for tensor in weights]
        else:
            torch._foreach_lerp_(self._average, weights, share)
        self._n_averaged += 1

    def validation_started(self, run: "Run") -> None:
        """Put the average into the model."""
        if not self._average:
            return
        state = [*_weights(run.model), *run.model.buffers()]
        self._plain = [tensor.detach().clone() for tensor in state]
        torch._foreach_copy_(_weights(run.model), self._average)
        recompute_batch_norm(run)

    def epoch_ended(self, run: "Run") -> None:
        """Put the plain weights back, for training to go on."""
        self._put_plain_back(run)

    def fit_ended(self, run: "Run") -> None:
        """Put the plain weights back, should validation have failed."""
        if not run.finished:
            self._put_plain_back(run)

    def _put_plain_back(self, run: "Run") -> None:
        if self._plain is None:
            return
        state = [*_weights(run.model), *run.model.buffers()]
        for tensor, plain in zip(state, self._plain, strict=True):
            tensor.copy_(plain)
        self._plain = None

    def state(self) -> dict[str, Any]:
        """The average so far."""
        return {"average": self._average, "n_averaged": self._n_averaged}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on averaging."""
        self._average, self._n_averaged = state["average"], state["n_averaged"]


class ExponentialAverage(WeightAverage):
    """An average in which weights fade by ``decay`` in every step (EMA).

    Early on it follows faster, so that the random start is soon forgotten.

    Parameters
    ----------
    decay : float
        Share of the old average that stays; 0.999 looks back over about a thousand steps.

    References
    ----------
    Polyak, B. T. and Juditsky, A. B. (1992), "Acceleration of stochastic approximation by
    averaging"; with the warm-up of TensorFlow's ``ExponentialMovingAverage``.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = decay

    def new_share(self, run: "Run") -> float:
        """``1 - decay``, more at the beginning."""
        del run
        return 1.0 - min(self.decay, (1 + self._n_averaged) / (10 + self._n_averaged))


class StochasticAverage(WeightAverage):
    """The plain mean over all steps of the last part of training (SWA).

    Parameters
    ----------
    start : float
        Share of the steps after which averaging begins.

    References
    ----------
    Izmailov, P. et al. (2018), "Averaging Weights Leads to Wider Optima and Better
    Generalization". The paper averages once per epoch; on tables, where runs have few epochs,
    every step is taken.
    """

    def __init__(self, start: float = 0.75) -> None:
        super().__init__()
        self.start = start

    def new_share(self, run: "Run") -> float | None:
        """``1 / n`` for the n-th weights of the mean."""
        if run.position < self.start * run.plan.n_steps:
            return None
        return 1.0 / (self._n_averaged + 1)


class TriggeredAverage(WeightAverage):
    """The mean over all steps since validation stopped improving (NT-ASGD).

    Averaging begins once the monitor is worse than its best value from more than
    ``non_monotone_interval`` epochs ago. Made for SGD with a constant rate.

    Parameters
    ----------
    monitor : Monitor
        What is judged after every epoch.
    non_monotone_interval : int
        The newest epochs that do not count as that best value.

    References
    ----------
    Merity, S., Keskar, N. S. and Socher, R. (2018), "Regularizing and Optimizing LSTM Language
    Models", algorithm 1.
    """

    def __init__(self, monitor: Monitor, *, non_monotone_interval: int = 5) -> None:
        super().__init__()
        self.monitor = monitor
        self.non_monotone_interval = non_monotone_interval
        self.triggered = False
        self._values: list[float] = []

    def fit_started(self, run: "Run") -> None:
        """Refuse a run without validation, in which nothing would ever trigger."""
        if run.valid is None:
            raise ParameterError(
                "averaging='nt_asgd' is triggered by validation, and there are no validation rows; "
                "give some, or use 'swa' or 'ema'"
            )

    def new_share(self, run: "Run") -> float | None:
        """``1 / n`` for the n-th weights since the trigger."""
        del run
        return 1.0 / (self._n_averaged + 1) if self.triggered else None

    def epoch_ended(self, run: "Run") -> None:
        """See whether validation still improves."""
        super().epoch_ended(run)
        value = self.monitor.read(run)
        if value is None or self.triggered:
            return
        older = [v for v in self._values[: -self.non_monotone_interval] if not isnan(v)]
        self._values.append(-value if self.monitor.greater_is_better else value)
        self.triggered = bool(older) and self._values[-1] > min(older)

    def state(self) -> dict[str, Any]:
        """The average so far, and the values that may trigger it."""
        return {**super().state(), "values": self._values, "triggered": self.triggered}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on averaging, or waiting."""
        super().load_state(state)
        self._values, self.triggered = state["values"], state["triggered"]


def new_average(name: str, monitor: Monitor) -> WeightAverage:
    """Return the average that ``TrainingOptions.averaging`` names."""
    if name == "ema":
        return ExponentialAverage()
    return StochasticAverage() if name == "swa" else TriggeredAverage(monitor)


@torch.no_grad()
def recompute_batch_norm(
    run: "Run",
    *,
    n_batches: int = _BATCHES_FOR_STATISTICS,
    n_rows: int = _ROWS_FOR_STATISTICS,
) -> None:
    """Compute running means and variances anew, as plain averages over training batches.

    Parameters
    ----------
    run : Run
        Its model's batch norms are changed, unless they are asleep because they are frozen; has it
        none, nothing is done.
    n_batches, n_rows : int
        At most so many batches, and no further one once so many rows were seen; more would cost an
        epoch and change little.

    References
    ----------
    Izmailov, P. et al. (2018), section 3.2.
    """
    norms = [
        module
        for module in run.model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    run.model.eval()  # no dropout: the statistics should be those of prediction
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    rows_seen = 0
    for batch in islice(run.train.walk(run.epoch, seed=run.options.seed), n_batches):
        run.model(*batch.inputs)
        rows_seen += len(batch)
        if rows_seen >= n_rows:
            break
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    run.world.average_([buffer for norm in norms for buffer in norm.buffers()])
    run.model.eval()


def _weights(model: nn.Module) -> list[Tensor]:
    return [p.detach() for p in model.parameters() if p.is_floating_point()]
