"""One training run: all that changes while it lasts, and what its callbacks may look at."""

from collections.abc import Iterator, Mapping
from math import isfinite
from time import monotonic
from typing import Any

import torch
from torch import nn

from tabtext.errors import DataError, ParameterError
from tabtext.training.batches import Batch, Batches
from tabtext.training.compilation import compiled
from tabtext.training.distributed import STEPS_BETWEEN_MEETINGS, World, join_world
from tabtext.training.history import Epoch, History
from tabtext.training.layer_groups import LayerGroups
from tabtext.training.measurements import Measurements
from tabtext.training.micro_batches import MicroBatches
from tabtext.training.nonfinite import LastGoodBuffers
from tabtext.training.optimizers import build_optimizer, set_rates
from tabtext.training.options import TrainingOptions, duration
from tabtext.training.plan import Plan, StepSettings
from tabtext.training.precision import Precision

__all__ = ["Run"]


class Run:
    """The state of a run. The trainer writes it, callbacks read it.

    Parameters
    ----------
    groups : LayerGroups
        The model and its parts.
    options : TrainingOptions
        How to train.
    train, valid : Batches
        Rows to learn from; rows to choose the best epoch by, or None.
    settings : mapping, optional
        What else must be the same for a checkpoint to be continued.

    Attributes
    ----------
    model : nn.Module
        What is trained.
    world : World
        The processes that train together.
    parameters : list of Parameter
        All of the model's, frozen ones too.
    steps_per_epoch : int
        Batches of an epoch.
    plan : Plan
        Phases, rates and schedules over all steps.
    history : History
        The record so far.
    epoch, step_in_epoch : int
        Epochs that are over, and steps since.
    position : float
        Where the schedule stands, in steps.
    stopping : str or None
        Why training is about to end.
    finished : bool
        Whether it ended without an error.
    """

    def __init__(
        self,
        groups: LayerGroups,
        options: TrainingOptions,
        train: Batches,
        valid: Batches | None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.groups, self.options = groups, options
        self.model = groups.model
        _require_something_to_do(self.model, train, valid)
        self.device = next(self.model.parameters()).device
        self.world: World = join_world(self.device)
        self.train = train if self.world.is_alone else train.shard(self.world.rank, self.world.size)
        self.valid = valid
        _require_same_rows(self.world, train, valid)
        self.parameters = list(self.model.parameters())
        self.steps_per_epoch = len(self.train)
        self.plan = Plan(options, n_groups=len(groups), steps_per_epoch=self.steps_per_epoch)
        self.optimizer = build_optimizer(
            groups.groups, options, rates_differ=self.plan.rates_differ
        )
        self.precision = Precision(options.precision, self.device)
        self.micro_batches = MicroBatches(options.micro_batch_size, recovers=self.world.is_alone)
        self.measured = Measurements(self.world)
        self.history = History()
        self.good_buffers = LastGoodBuffers(self.model)
        self.network: nn.Module = self.model  # what forward passes go through
        self.epoch = self.step_in_epoch = 0
        self.position = 0.0
        self.time_share = 0.0
        self.stopping: str | None = None
        self.finished = False
        self._phase: int | None = None
        # For fp16 on a GPU: NaN after a loss that was not finite, so that later steps are skipped.
        late = self.precision.scales and self.device.type == "cuda"
        self.poison = torch.ones((), device=self.device) if late else None
        self._settings = dict(settings or {})
        self._rates: tuple[float, ...] = ()
        self._momentum, _ = options.beta_pair
        self._time_limit = None if options.max_time is None else duration(options.max_time)
        self._started, self._epoch_started = monotonic(), monotonic()
        self._extra_losses = [m for m in self.model.modules() if hasattr(m, "extra_loss")]
        self._carriers = [m for m in self.model.modules() if hasattr(m, "carried_state")]
        self._carried_before: list[Any] = []
        if not self.world.is_alone:
            # Weights are drawn alike and broadcast; dropout must differ from process to process.
            torch.manual_seed(torch.initial_seed() + self.world.rank)

    # -- where the run is --------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Steps so far, over all epochs."""
        return self.epoch * self.steps_per_epoch + self.step_in_epoch

    def elapsed(self) -> float:
        """Seconds of training so far, those before a resumption included."""
        return monotonic() - self._started

    def stop(self, reason: str) -> None:
        """End training after the current step or epoch."""
        self.stopping = self.history.stopped = reason

    def agree_to_stop(self) -> None:
        """End training in all processes if it ends in one, whose gradients would be missed."""
        reasons = [reason for reason in self.world.gather(self.stopping) if reason is not None]
        if reasons:
            self.stop(reasons[0])

    def ends_here(self) -> bool:
        """Whether no batch of this epoch follows; several processes agree on that now and then."""
        if not self.world.is_alone:
            watches_clock = self._time_limit is not None  # then they meet in every step anyhow
            if not watches_clock and self.step % STEPS_BETWEEN_MEETINGS:
                return False
            self.agree_to_stop()
        return self.stopping is not None

    def batches_left(self) -> Iterator[Batch]:
        """The batches of this epoch that were not seen yet."""
        return self.train.walk(self.epoch, seed=self.options.seed, start=self.step_in_epoch)

    # -- one step ----------------------------------------------------------------------------

    def begin_step(self, rate_factor: float = 1.0) -> float:
        """Set what plan and batch say for this step; return the last group's learning rate."""
        self._look_at_the_clock()
        self._carried_before = self._carried_state()
        settings = self.plan.at(self.position)
        if settings.phase != self._phase:
            self._enter_phase(settings)
        # A phase that does not move the momentum has that of the options, whatever came before.
        momentum = self._momentum if settings.momentum is None else settings.momentum
        factor = settings.factor * rate_factor
        set_rates(self.optimizer, self._rates, factor, momentum)
        return self._rates[-1] * factor

    def extra_loss(self) -> torch.Tensor | float:
        """Sum of the terms that modules add to the loss of their last forward pass."""
        total: torch.Tensor | float = 0.0
        for module in self._extra_losses:
            total = total + module.extra_loss()  # type: ignore[operator]  # found by its name
        return total

    @property
    def has_extra_losses(self) -> bool:
        """Whether any module has a term of its own."""
        return bool(self._extra_losses)

    def clear_gradients(self) -> None:
        """Forget the gradients; faster than the optimizer, which looks its parameters up."""
        for parameter in self.parameters:
            parameter.grad = None

    def begin_batch_anew(self) -> None:
        """Forget what a batch did that memory did not hold; it goes on in parts."""
        self.clear_gradients()
        self._load_carried_state(self._carried_before)
        self.network = self.model  # parts are not compiled, and only a process alone gets here

    def has_bad_steps(self) -> bool:
        """Wait for the device; return whether a loss or gradient of the epoch is not finite."""
        self.measured.read()
        return self.first_bad_step() is not None

    def first_bad_step(self) -> int | None:
        """The first step of the epoch, as far as it was read, that was not finite."""
        return self.measured.first_bad_step(norms_too=not self.precision.may_skip)

    def _look_at_the_clock(self) -> None:
        """Without a time budget the schedule follows the steps; with one, whichever is ahead."""
        self.position = float(self.step)
        if self._time_limit is not None:
            self.time_share = self.world.first(self.elapsed() / self._time_limit)
            self.position = max(self.position, self.time_share * self.plan.n_steps)

    def _enter_phase(self, settings: StepSettings) -> None:
        phase = self.plan.phases[settings.phase]
        if phase.freeze_to is not None:
            self.groups.freeze_to(phase.freeze_to)
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise ParameterError(
                f"all parameters of {type(self.model).__name__} are frozen, and nothing would "
                "learn; unfreeze() its layer groups, or freeze_to() an earlier one"
            )
        self._phase, self._rates = settings.phase, phase.rates
        self.groups.train()
        # CUDA graphs give what comes out of every pass the same memory: the gradients of a batch's
        # parts would overwrite each other instead of adding up, and so would what is carried on.
        kept = self.micro_batches.rows is not None or bool(self._carriers)
        fades = self.options.dropout_schedule != "constant"
        never = fades or (kept and self.device.type == "cuda")
        setting = "never" if never else self.options.compile
        self.network = compiled(self.model, setting, self.device, self.plan.n_steps)
        if not self.world.is_alone:
            # Wrapped anew in every phase: it notes which parameters have gradients.
            self.network = nn.parallel.DistributedDataParallel(self.network)

    # -- one epoch ---------------------------------------------------------------------------

    def begin_epoch(self) -> None:
        """Put the model into training mode."""
        self.groups.train()
        if self.step_in_epoch == 0:
            self._epoch_started = monotonic()

    def end_epoch(
        self, trained_at: float, valid_loss: float | None, metrics: dict[str, float]
    ) -> None:
        """Write the record of the epoch."""
        measured, history = self.measured, self.history
        n_steps = max(len(measured.losses), 1)
        rows = self.train.n_rows * len(measured.losses) / self.steps_per_epoch
        norms = [norm for norm in measured.norms if isfinite(norm)]  # fp16 skips the others' steps
        history.step_losses += measured.losses
        history.step_gradient_norms += measured.norms
        history.step_learning_rates += measured.rates
        history.epochs.append(
            Epoch(
                train_loss=sum(measured.losses) / n_steps,
                valid_loss=valid_loss,
                metrics=metrics,
                learning_rate=measured.rates[-1],
                gradient_norm=sum(norms) / max(len(norms), 1),
                seconds=monotonic() - self._epoch_started,
                rows_per_second=rows / max(trained_at - self._epoch_started, 1e-9),
            )
        )
        measured.clear()
        self.epoch += 1
        self.step_in_epoch = 0

    # -- checkpoints -------------------------------------------------------------------------

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be continued."""
        options = self.options.to_dict()
        for name in ("max_time", "patience", "compile"):  # these may change midway
            del options[name]
        return {
            "data": self.train.fingerprint(),
            "validation": None if self.valid is None else self.valid.fingerprint(),
            "processes": self.world.size,
            "parameters": {name: list(p.shape) for name, p in self.model.named_parameters()},
            "options": {**options, "schedules": self.plan.fingerprint(), **self._settings},
        }

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on; a meeting of all processes."""
        cuda = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "seconds": self.elapsed(),
            "epoch_seconds": monotonic() - self._epoch_started,
            "history": self.history.to_dict(),
            "measured": self.measured.state(),
            "model": self.model.state_dict(),
            "first_trained": self.groups.first_trained,
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state(),
            "micro_batch_rows": self.micro_batches.rows,
            "random": self.world.gather([torch.get_rng_state(), *cuda]),
            "carried": self.world.gather(_on_cpu(self._carried_state())),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.epoch, self.step_in_epoch = state["epoch"], state["step_in_epoch"]
        self._started = monotonic() - state["seconds"]
        self._epoch_started = monotonic() - state["epoch_seconds"]
        self.history = History.from_dict(state["history"])
        # Whatever ended the earlier process does not end this one.
        self.history.stopped = None
        self.measured.load_state(state["measured"])
        self.model.load_state_dict(state["model"])
        if state["first_trained"] != self.groups.first_trained:
            # What an earlier phase froze; one that freezes nothing itself leaves it like that.
            self.groups.freeze_to(state["first_trained"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.load_state(state["precision"])
        self.micro_batches.rows = state["micro_batch_rows"]
        own = state["random"][self.world.rank]
        torch.set_rng_state(own[0].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(own[1].cpu(), self.device)
        if self._carriers:
            self._load_carried_state(state["carried"][self.world.rank])
        self.good_buffers.keep()
        self._look_at_the_clock()

    def _carried_state(self) -> list[Any]:
        """What modules carry from step to step, each as nested lists of tensors."""
        return [module.carried_state() for module in self._carriers]  # type: ignore[operator]  # found by its name

    def _load_carried_state(self, state: list[Any]) -> None:
        for module, carried in zip(self._carriers, state, strict=True):
            module.load_carried_state(carried)  # type: ignore[operator]  # as above


def _on_cpu(state: Any) -> Any:
    """Nested lists of tensors where every process can take them over."""
    if isinstance(state, torch.Tensor):
        return state.cpu()
    return [_on_cpu(entry) for entry in state]


def _require_something_to_do(model: nn.Module, train: Batches, valid: Batches | None) -> None:
    if next(model.parameters(), None) is None:
        raise ParameterError(f"{type(model).__name__} has no parameters that could be trained")
    if not train.n_rows:
        raise DataError("there are no training rows")
    if valid is not None and not valid.n_rows:
        raise DataError("there are no validation rows; leave `valid` out to train without any")


def _require_same_rows(world: World, train: Batches, valid: Batches | None) -> None:
    """Refuse processes with rows of their own, which would wait for each other's steps for ever."""
    if world.is_alone:
        return
    rows = world.gather((train.fingerprint(), None if valid is None else valid.fingerprint()))
    for rank, others in enumerate(rows):
        if others != rows[0]:
            raise DataError(
                f"process {rank} has other rows ({others}) than process 0 ({rows[0]}); give every "
                "process all rows, of which it takes its share itself"
            )
