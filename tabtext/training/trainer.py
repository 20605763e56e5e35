"""The one training loop, for every model of the library.

It knows tensors, not columns or tokens. Nothing in a step waits for the device: losses and
gradient norms go into tensors there, and are read once per epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor, nn

from tabtext.errors import DataError, ParameterError, did_you_mean
from tabtext.training.batches import Batch, TensorBatches
from tabtext.training.callbacks import EarlyStopping, NoProgress, ProgressDisplay
from tabtext.training.history import Epoch, History
from tabtext.training.losses import Loss, weighted_mean
from tabtext.training.optimizers import adamw
from tabtext.training.schedules import SCHEDULES

__all__ = ["Trainer", "TrainingOptions"]

Score = Callable[[Tensor], Mapping[str, float]]
"""Raw outputs on the validation rows, on the CPU -> metrics."""


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained."""

    epochs: int = 10
    learning_rate: float = 2e-3  # peak; the middle of what suits AdamW on networks of this size
    weight_decay: float = 0.01  # fast.ai's and torch's default; matrices only
    betas: tuple[float, float] = (0.9, 0.99)  # see optimizers.adamw
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    clip_norm: float | None = 1.0  # a few wild rows would otherwise undo many steps
    monitor: str = "valid_loss"  # what chooses the best epoch; smoother than most metrics
    greater_is_better: bool = False  # for the monitor
    patience: int | None = None  # the one-cycle schedule is best run to its end

    def __post_init__(self) -> None:
        """Refuse values outside of what each option may take."""
        rules = {
            "epochs": self.epochs >= 1,
            "learning_rate": self.learning_rate > 0,
            "weight_decay": self.weight_decay >= 0,
            "clip_norm": self.clip_norm is None or self.clip_norm > 0,
            "patience": self.patience is None or self.patience >= 1,
            "schedule": self.schedule in SCHEDULES,
        }
        for name, fine in rules.items():
            if not fine:
                raise ParameterError(
                    f"{name}={getattr(self, name)!r} is outside of what it may be"
                    + (f": one of {', '.join(SCHEDULES)}" if name == "schedule" else "")
                )


class Trainer:
    """Train a model on batches that live on its device.

    Parameters
    ----------
    model : nn.Module
        Returns raw outputs ``(rows, outputs)`` for a batch's inputs.
    loss : callable
        ``(raw, target) -> losses`` of shape ``(rows,)``.
    options : TrainingOptions
        Epochs, rates, schedule and so on.
    score : callable, optional
        Computes metrics from raw outputs on all validation rows.
    progress : ProgressDisplay
        What shows how far training is.

    Examples
    --------
    >>> from tabtext.training.losses import squared_error
    >>> _ = torch.manual_seed(0)
    >>> inputs = torch.randn(64, 3)
    >>> target = inputs.sum(dim=1, keepdim=True)
    >>> batches = TensorBatches((inputs,), target, batch_size=16, shuffle=True)
    >>> options = TrainingOptions(epochs=20, learning_rate=0.1)
    >>> trainer = Trainer(nn.Linear(3, 1), squared_error, options=options)
    >>> history = trainer.fit(batches)
    >>> bool(history.epochs[-1].train_loss < 0.01)
    True
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        *,
        options: TrainingOptions,
        score: Score | None = None,
        progress: ProgressDisplay | None = None,
    ) -> None:
        self.model = model
        self.loss = loss
        self.options = options
        self.score = score
        self.progress = progress or NoProgress()

    def fit(self, train: TensorBatches, valid: TensorBatches | None = None) -> History:
        """Train, and leave the model with the weights of its best epoch.

        Parameters
        ----------
        train : TensorBatches
            Rows to learn from.
        valid : TensorBatches, optional
            Rows to choose the best epoch by; without them the last epoch counts.

        Returns
        -------
        History

        Raises
        ------
        DataError
            If the loss becomes NaN or infinite; the model keeps its best weights so far.
        ParameterError
            If the monitor is not among the metrics.
        """
        options = self.options
        self._optimizer = adamw(
            self.model,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            betas=options.betas,
        )
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        history = History()
        stopping = EarlyStopping(
            patience=options.patience, greater_is_better=options.greater_is_better
        )
        best: dict[str, Tensor] = {}
        self.progress.start(options.epochs * len(train))
        try:
            for number in range(options.epochs):
                epoch = self._run_epoch(number, train, valid, history)
                history.epochs.append(epoch)
                self.progress.epoch(number, options.epochs, epoch)
                if valid is None or stopping.improves(self._monitored(epoch)):
                    history.best_epoch = number
                    best = _copy_weights(self.model) if valid is not None else {}
                if stopping.exhausted:
                    break
        finally:
            self.progress.stop()
            if best:
                self.model.load_state_dict(best)
            self.model.eval()
        return history

    def predict(self, inputs: Sequence[Tensor], *, batch_size: int = 8192) -> Tensor:
        """Return raw outputs ``(rows, outputs)`` in evaluation mode, on the inputs' device."""
        return predict(self.model, inputs, batch_size=batch_size)

    def _run_epoch(
        self, number: int, train: TensorBatches, valid: TensorBatches | None, history: History
    ) -> Epoch:
        """One pass over the training rows, then validation."""
        started = perf_counter()
        n_steps = len(train)
        losses = torch.zeros(n_steps, device=train.target.device)
        norms = torch.zeros(n_steps, device=train.target.device)
        rates = []
        self.model.train()
        for step, batch in enumerate(train):
            rates.append(self._set_learning_rate(number * n_steps + step, n_steps))
            losses[step], norms[step] = self._step(batch)
            self.progress.step()
        step_losses = losses.tolist()  # here, and only here, the device is waited for
        trained = perf_counter() - started
        _require_finite(step_losses, number, self.options)
        history.step_losses += step_losses
        history.step_gradient_norms += norms.tolist()
        history.step_learning_rates += rates
        valid_loss, metrics = (None, {}) if valid is None else self._validate(valid)
        return Epoch(
            train_loss=float(losses.mean()),
            valid_loss=valid_loss,
            metrics=metrics,
            learning_rate=rates[-1],
            gradient_norm=float(norms.mean()),
            seconds=perf_counter() - started,
            rows_per_second=train.n_rows / trained,
        )

    def _step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Forward, backward, clip, update; return loss and gradient norm, still on the device."""
        raw = self.model(*batch.inputs)
        loss = weighted_mean(self.loss(raw, batch.target), batch.weight)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves this one untyped
        norm = self._clip_gradient()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.detach(), norm

    def _clip_gradient(self) -> Tensor:
        """Shorten the gradient to ``clip_norm``; return its norm before that."""
        limit = self.options.clip_norm
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        # On the CPU the norm is at hand, and a gradient that is short enough need not be touched:
        # at batch size 64 that pass over all parameters is a sixth of the step.
        if limit is not None and (norm.is_cuda or norm > limit):
            nn.utils.clip_grads_with_norm_(self._parameters, limit, norm)
        return norm

    def _set_learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Set the rate of this step, counted over all epochs, in every parameter group."""
        last = max(self.options.epochs * steps_per_epoch - 1, 1)
        schedule = SCHEDULES[self.options.schedule]
        rate = self.options.learning_rate * schedule(step / last)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _validate(self, valid: TensorBatches) -> tuple[float, Mapping[str, float]]:
        """Loss and metrics on all validation rows at once."""
        raw = self.predict(valid.inputs)
        loss = weighted_mean(self.loss(raw, valid.target), valid.weight)
        metrics = {} if self.score is None else self.score(raw.cpu())
        return float(loss), metrics

    def _monitored(self, epoch: Epoch) -> float:
        values = {"valid_loss": epoch.valid_loss, **epoch.metrics}
        value = values.get(self.options.monitor)
        if value is None:
            hint = did_you_mean(self.options.monitor, values)
            raise ParameterError(
                f"monitor={self.options.monitor!r} is not measured{hint}. "
                f"Use one of: {', '.join(values)}"
            )
        return value


@torch.inference_mode()
def predict(model: nn.Module, inputs: Sequence[Tensor], *, batch_size: int = 8192) -> Tensor:
    """Return a model's raw outputs for all rows, in evaluation mode, batch by batch.

    Examples
    --------
    >>> predict(nn.Linear(3, 2), [torch.zeros(5, 3)], batch_size=2).shape
    torch.Size([5, 2])
    """
    model.eval()
    parts = zip(*(torch.split(tensor, batch_size) for tensor in inputs), strict=True)
    return torch.cat([model(*part) for part in parts])


def _copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _require_finite(losses: Sequence[float], epoch: int, options: TrainingOptions) -> None:
    """Stop at the first epoch with a loss that is not a number: nothing would be learned."""
    for step, loss in enumerate(losses):
        if loss - loss != 0:  # NaN or infinite
            raise DataError(
                f"the training loss became {loss} in epoch {epoch + 1}, step {step + 1}. Lower "
                f"learning_rate (now {options.learning_rate:g}), clip gradients "
                f"(clip_norm={options.clip_norm}), or look for extreme values in the data"
            )
