"""The one training loop, for every model of the library.

It knows tensors, not columns or tokens. ``fit`` is the whole loop; each practice that it calls is a
module of its own beside this one, and ``Run`` holds what changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import isfinite
from time import monotonic
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from tabtext.training.averaging import new_average
from tabtext.training.batches import Batch, Batches
from tabtext.training.callbacks import (
    BestWeights,
    Callback,
    EarlyStopping,
    Monitor,
    Snapshots,
    TimeBudget,
)
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.dropout_schedule import DropoutSchedule
from tabtext.training.history import History
from tabtext.training.layer_groups import LayerGroups
from tabtext.training.log import TrainingLog
from tabtext.training.losses import Loss
from tabtext.training.nonfinite import NOT_REPEATED, diverged
from tabtext.training.options import TrainingOptions
from tabtext.training.prediction import predict
from tabtext.training.run import Run

__all__ = ["Trainer"]

Score = Callable[[Tensor], Mapping[str, float]]
"""Raw outputs on the validation rows, on the CPU -> metrics."""


class Trainer:
    """Train a model on batches that live on its device.

    Parameters
    ----------
    model : nn.Module
        Returns raw outputs ``(rows, outputs)`` for a batch's inputs. Its ``layer_groups()``, if it
        has any, can be frozen and can learn at rates of their own. A module in it that has a method
        ``extra_loss()`` adds that to the loss of every step, as activation regularisation does. One
        that carries something from step to step, as the hidden state of a text that goes on, hands
        it out by ``carried_state()`` and takes it back by ``load_carried_state(state)``, so that
        checkpoints keep it: nested lists of tensors, which it replaces but never changes.
    loss : callable
        ``(raw, target) -> losses`` of shape ``(rows,)``.
    options : TrainingOptions
        Epochs, rates, schedule and so on.
    score : callable, optional
        Computes metrics from raw outputs on all validation rows.
    callbacks : sequence of Callback
        What else watches: progress, loggers, your own.
    checkpoints : Checkpoints, optional
        Where and when to save what a later process needs to go on.
    settings : mapping, optional
        What else shapes the training, such as the names of loss and model, as JSON values: a
        checkpoint of a run with other settings is not continued.

    Attributes
    ----------
    groups : LayerGroups
        ``freeze_to(index)`` and ``unfreeze()`` choose what learns.
    snapshots : list of dict of str to Tensor
        Weights at the end of every cycle, with ``snapshots=True``.

    Examples
    --------
    >>> from tabtext.training import TensorBatches
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
        callbacks: Sequence[Callback] = (),
        checkpoints: Checkpoints | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.loss = loss
        self.options = options
        self.score = score
        self.callbacks = tuple(callbacks)
        self.checkpoints = checkpoints
        self.settings = dict(settings or {})
        self.groups = LayerGroups(model, batch_norm_freeze=options.batch_norm_freeze)
        self.snapshots: list[dict[str, Tensor]] = []

    def fit(self, train: Batches, valid: Batches | None = None, *, resume: bool = False) -> History:
        """Train, and leave the model with the weights of its best epoch.

        Parameters
        ----------
        train : Batches
            Rows to learn from.
        valid : Batches, optional
            Rows to choose the best epoch by; without them the last epoch counts.
        resume : bool
            Go on from the newest of ``checkpoints``; from the start if there is none yet.

        Returns
        -------
        History

        Raises
        ------
        DivergenceError
            If the loss becomes NaN or infinite; the model has its last good weights.
        DataError
            If there are no rows.
        ParameterError
            If the options do not fit the model, it has nothing to train, or the monitor is not
            among the metrics.
        TrainingInterrupted
            If a signal ended training; a checkpoint was saved.
        """
        run = Run(self.groups, self.options, train, valid, settings=self.settings)
        callbacks = self._callbacks(run)
        step_callbacks = [c for c in callbacks if type(c).step_ended is not Callback.step_ended]
        with self._under_way(run, callbacks, resume):
            while run.epoch < run.plan.n_epochs and not run.stopping:
                run.begin_epoch()
                for batch in run.batches_left():
                    self._step(run, batch)
                    for callback in step_callbacks:
                        callback.step_ended(run)
                    if run.ends_here():
                        break
                self._end_epoch(run, callbacks)
            if run.step_in_epoch:  # resumed in an epoch, with no time left for another step
                self._end_epoch(run, callbacks)
        return run.history

    def predict(self, inputs: Sequence[Tensor], *, batch_size: int = 8192) -> Tensor:
        """Return raw outputs ``(rows, outputs)`` in evaluation mode, on the inputs' device."""
        return predict(self.model, inputs, batch_size=batch_size)

    # -- one step ----------------------------------------------------------------------------

    def _step(self, run: Run, batch: Batch) -> None:
        """Forward, backward, clip, update. On a GPU nothing here waits for it."""
        rate = run.begin_step(batch.rate_factor)
        loss = self.backward(run, batch)
        norm = self.clip_gradient(run)
        if loss.is_cuda:
            self._update_if_finite(run, loss, norm)
            run.measured.add(loss, norm, rate)
        else:
            self._update(run, batch, float(loss), float(norm), rate)
        run.clear_gradients()
        run.step_in_epoch += 1

    def backward(self, run: Run, batch: Batch) -> Tensor:
        """Send a batch through the network and its gradient back; return the detached loss."""

        def part(rows: Batch, is_last: bool) -> Tensor:
            # Several processes exchange gradients once, with the last part.
            distributed = isinstance(run.network, nn.parallel.DistributedDataParallel)
            if distributed and not is_last:
                with run.network.no_sync():  # type: ignore[operator]  # it is distributed
                    return self._backward_part(run, rows, len(rows) / len(batch))
            return self._backward_part(run, rows, len(rows) / len(batch))

        return run.micro_batches.run(batch, part, restart=run.begin_batch_anew)

    def _backward_part(self, run: Run, rows: Batch, share: float) -> Tensor:
        if run.precision.is_mixed:
            with run.precision.autocast():
                raw = run.network(*rows.inputs)
            raw = raw.float()
        else:
            raw = run.network(*rows.inputs)
        loss: Tensor = rows.mean(self.loss(raw, rows.target))
        if run.has_extra_losses:
            loss = loss + share * run.extra_loss() / run.world.size
        # Processes' gradients are averaged, where the loss of all is the sum of their parts.
        whole = loss if run.world.is_alone else loss * run.world.size
        run.precision.backward(whole if run.poison is None else whole * run.poison)
        return loss.detach()

    def clip_gradient(self, run: Run) -> Tensor:
        """Shorten the gradient as the options say; return its norm before that."""
        run.precision.unscale(run.optimizer)
        parameters = [p for p in run.parameters if p.grad is not None]
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = length = _total_norm(gradients)
        if self.options.clip_value is not None:
            nn.utils.clip_grad_value_(parameters, self.options.clip_value)
            length = _total_norm(gradients)
        limit = self.options.clip_norm
        # On the CPU the norm is at hand, and a gradient that is short enough need not be touched:
        # at batch size 64 that pass over all parameters is a sixth of the step.
        if limit is not None and (norm.is_cuda or length > limit):
            nn.utils.clip_grads_with_norm_(parameters, limit, length)
        return norm

    def _update(self, run: Run, batch: Batch, loss: float, norm: float, rate: float) -> None:
        """Step, unless loss or gradient are not finite: then training is over."""
        # Of several processes only the common gradient is known to all.
        fine = isfinite(norm) or run.precision.may_skip
        if not fine or (run.world.is_alone and not isfinite(loss)):
            self._give_up(run, batch, run.step_in_epoch, loss, norm, rate)
        run.precision.step(run.optimizer)
        run.measured.add(loss, norm, rate)
        run.good_buffers.keep()

    def _update_if_finite(self, run: Run, loss: Tensor, norm: Tensor) -> None:
        """Step, unless loss or gradient are not finite; decided on the device, which runs ahead.

        After a bad step no other is taken either: until ``_require_finite`` hears of it, the
        weights stay those from before it.
        """
        if run.precision.scales:
            run.precision.step(run.optimizer)
            if run.poison is not None:
                run.poison = torch.where(loss.isfinite(), run.poison, torch.nan)
            return
        # Several processes must all act alike: the norm is common to them, the loss is not.
        fine = loss.isfinite() & norm.isfinite() if run.world.is_alone else norm.isfinite()
        bad = (~fine).float()
        before = getattr(run.optimizer, "found_inf", None)
        # Fused optimizers leave everything as it is where this tensor is 1, as for a scaler.
        run.optimizer.grad_scale = None  # type: ignore[attr-defined]  # as torch's GradScaler does
        run.optimizer.found_inf = bad if before is None else bad.maximum(before)  # type: ignore[attr-defined]
        run.optimizer.step()

    # -- one epoch ---------------------------------------------------------------------------

    def _end_epoch(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Read what the steps measured, validate, and tell the callbacks."""
        run.measured.read()
        self._require_finite(run)
        run.agree_to_stop()
        run.world.share_(self.model.buffers())  # each has seen other rows in the last step
        trained_at = monotonic()
        for callback in callbacks:
            callback.validation_started(run)
        valid_loss, metrics = self._validate(run)
        run.end_epoch(trained_at, valid_loss, metrics)
        for callback in callbacks:
            callback.epoch_ended(run)
        run.agree_to_stop()

    def _require_finite(self, run: Run) -> None:
        """On a GPU, find out after the epoch whether a step had to be left out."""
        measured = run.measured
        bad = run.first_bad_step()
        if bad is None:
            run.good_buffers.keep()
        else:
            batch = next(run.train.walk(run.epoch, seed=self.options.seed, start=bad))
            values = measured.losses[bad], measured.norms[bad], measured.rates[bad]
            self._give_up(run, batch, bad, *values)

    def _give_up(
        self, run: Run, batch: Batch, step: int, loss: float, norm: float, rate: float
    ) -> NoReturn:
        run.clear_gradients()
        run.good_buffers.restore()
        with run.precision.autocast():
            error = diverged(
                self.model,
                self.loss,
                batch,
                step=step,
                epoch=run.epoch,
                loss_value=loss,
                learning_rate=rate,
                gradient_norm=norm,
            )
        run.good_buffers.restore()  # looking for the cause was a forward pass too
        # All processes are here, and the rows to blame may be those of one of them alone.
        errors = run.world.gather(error)
        raise next((other for other in errors if NOT_REPEATED not in str(other)), error)

    @torch.inference_mode()
    def _validate(self, run: Run) -> tuple[float | None, dict[str, float]]:
        """Loss and metrics on all validation rows; several processes share the work."""
        if run.valid is None:
            return None, {}
        self.model.eval()
        outputs, losses, weights = [], [], []
        for number, batch in enumerate(run.valid.walk(0, seed=0)):
            if number % run.world.size == run.world.rank:
                with run.precision.autocast():
                    raw = self.model(*batch.inputs).float()
                rows = self.loss(raw, batch.target)
                weight = torch.ones_like(rows) if batch.weight is None else batch.weight
                outputs.append(raw.cpu())
                losses.append((rows * weight).sum().double())
                weights.append(weight.sum().double())
        totals = torch.stack(
            [
                sum(losses, torch.tensor(0.0, device=run.device)),
                sum(weights, torch.tensor(0.0, device=run.device)),
            ]
        )
        loss, weight_sum = run.world.sum(totals.double()).tolist()
        metrics = {} if self.score is None else dict(self.score(_all_rows(run, outputs)))
        return loss / max(weight_sum, 1e-300), metrics

    # -- around the run ----------------------------------------------------------------------

    def _callbacks(self, run: Run) -> list[Callback]:
        """All callbacks, in the order in which they act.

        Those that read the weights that were validated come before the average, which takes them
        away; the checkpoint sees the plain weights that training goes on with.
        """
        options = self.options
        way = {"greater_is_better": options.greater_is_better}
        found: list[Callback] = [BestWeights(Monitor(options.monitor, **way))]
        if options.patience is not None:
            monitor = Monitor(options.monitor, **way)
            found.append(EarlyStopping(monitor, patience=options.patience))
        if options.max_time is not None:
            found.append(TimeBudget())
        if options.dropout_schedule != "constant":
            found.append(DropoutSchedule())
        if options.snapshots:
            snapshots = Snapshots()
            self.snapshots = snapshots.weights
            found.append(snapshots)
        watching = [TrainingLog(), *self.callbacks]
        found += [c for c in watching if run.world.is_first or not c.first_process_only]
        if options.averaging is not None:
            found.append(new_average(options.averaging, Monitor(options.monitor, **way)))
        if self.checkpoints is not None:
            found.append(self.checkpoints)
        return found

    @contextmanager
    def _under_way(self, run: Run, callbacks: list[Callback], resume: bool) -> Iterator[None]:
        """Open and close what lasts as long as the run, however it ends."""
        self.model.zero_grad(set_to_none=True)  # whatever came before is no part of the first step
        try:
            if self.checkpoints is not None:
                self.checkpoints.open(run, callbacks, resume=resume)
            with run.precision.active():
                for callback in callbacks:
                    callback.fit_started(run)
                yield
            run.finished = True
        finally:
            run.network = self.model
            with ExitStack() as closing:  # goes on to the end, whatever fails on its way
                closing.callback(self.model.eval)
                closing.callback(run.clear_gradients)
                for callback in reversed(callbacks):
                    closing.callback(callback.fit_ended, run)


def _total_norm(gradients: list[Tensor]) -> Tensor:
    """The length of all gradients as one vector.

    As ``nn.utils.get_total_norm``, without its sorting by device and type: a third faster.
    """
    if not gradients:
        return torch.zeros(())
    norms: list[Tensor] = list(torch._foreach_norm(gradients))
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


def _all_rows(run: Run, outputs: list[Tensor]) -> Tensor:
    """Every process' outputs, batch by batch in their order."""
    shares = run.world.gather(outputs)
    n_batches = sum(len(share) for share in shares)
    return torch.cat([shares[i % len(shares)][i // len(shares)] for i in range(n_batches)])
