"""How a model is trained: every choice in one frozen dataclass, checked when it is made."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from numbers import Integral, Real
from typing import Any, Literal, TypeGuard, get_args

from tabtext.errors import ParameterError, did_you_mean
from tabtext.training.schedules import SCHEDULE_NAMES, Schedule, restarts_of

__all__ = [
    "BETAS",
    "GROUP_RATIOS",
    "Phase",
    "TrainingOptions",
    "duration",
    "gradual_unfreezing",
    "ratio_of",
]

Optimizer = Literal["adamw", "sgd"]
Averaging = Literal["ema", "swa", "nt_asgd"]
DropoutScheduleName = Literal["constant", "flat_cosine"]
PrecisionName = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
Compile = Literal["auto", "always", "never"]

BETAS: dict[str, tuple[float, float]] = {
    "ulmfit": (0.7, 0.99),  # the paper's
    "ulmfit_scripts": (0.8, 0.99),  # its published scripts', for language models
}
"""Betas of AdamW by name, for text."""

GROUP_RATIOS: dict[str, float] = {"similar": 10.0, "unlike": 3.0, "text": 2.6}
"""How much slower each earlier layer group learns: data similar to what the model was pre-trained
on leaves early layers nearly as they are, unlike data needs them to move; 2.6 is ULMFiT's."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Some epochs of a recipe, with groups, rates and schedule of their own.

    Parameters
    ----------
    epochs : int
        How long the phase lasts; its schedule runs from start to end within it.
    freeze_to : int, optional
        Layer groups before this one are frozen; negative counts from the head, so that -1 trains
        the head alone. 0 trains everything; None leaves what is frozen as it is.
    learning_rate : float or tuple of float, optional
        As in ``TrainingOptions``, whose rate is the default.
    group_ratio : float or str, optional
        As in ``TrainingOptions``.
    schedule : str or callable, optional
        As in ``TrainingOptions``.

    Examples
    --------
    >>> head_first = (Phase(epochs=1, freeze_to=-1), Phase(epochs=3, freeze_to=0))
    >>> [phase.epochs for phase in TrainingOptions(phases=head_first).phases]
    [1, 3]
    """

    epochs: int
    freeze_to: int | None = None
    learning_rate: float | tuple[float, ...] | None = None
    group_ratio: float | str | None = None
    schedule: str | Schedule | None = None

    def __post_init__(self) -> None:
        """Refuse what no phase can be."""
        if not _counts(self.epochs):
            raise ParameterError(f"a phase has epochs={self.epochs!r}; it needs at least 1, whole")
        if self.learning_rate is not None and not _are_rates(self.learning_rate):
            raise ParameterError(
                f"a phase has learning_rate={self.learning_rate!r}; every rate must be above 0"
            )
        if self.schedule is not None and not callable(self.schedule):
            _check_choice("schedule", self.schedule, SCHEDULE_NAMES)
        ratio_of(self.group_ratio)


def gradual_unfreezing(
    n_groups: int,
    *,
    learning_rate: float,
    epochs_each: int = 1,
    final_epochs: int = 1,
    group_ratio: float | str = "text",
) -> tuple[Phase, ...]:
    """Return the recipe that trains the head first and thaws one group more in every phase.

    The peak rate halves with every group that thaws, as in the scripts of ULMFiT.

    Parameters
    ----------
    n_groups : int
        ``len(model.layer_groups())``.
    learning_rate : float
        Peak rate of the first phase, in which only the head learns.
    epochs_each : int
        Epochs of every phase but the last.
    final_epochs : int
        Epochs of the last phase, in which everything learns.
    group_ratio : float or str
        How much slower each earlier group learns.

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text
    Classification", section 3.3.

    Examples
    --------
    >>> [(p.freeze_to, p.learning_rate) for p in gradual_unfreezing(3, learning_rate=0.02)]
    [(2, 0.02), (1, 0.01), (0, 0.005)]
    """
    if n_groups < 1:
        raise ParameterError(f"n_groups={n_groups}; a model has at least one layer group")
    return tuple(
        Phase(
            epochs=final_epochs if thawed == n_groups else epochs_each,
            freeze_to=n_groups - thawed,
            learning_rate=learning_rate / 2 ** (thawed - 1),
            group_ratio=group_ratio,
        )
        for thawed in range(1, n_groups + 1)
    )


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained.

    Parameters
    ----------
    epochs : int
        Passes over the training rows; with ``phases``, theirs count instead.
    learning_rate : float or tuple of float
        Peak rate. A pair ``(low, high)`` is spread over the layer groups geometrically, low at the
        input side; a longer tuple gives every group its own.
    group_ratio : float, "similar", "unlike", "text" or None
        How much slower each group learns than the one after it; the head has ``learning_rate``.
    schedule : str or callable
        A name of ``tabtext.training.schedules``, or a function of progress in [0, 1].
    cycle_len, cycle_mult : int
        Epochs of the first cycle of ``"sgdr"``, and how much longer each next cycle is.
    momentum_range : pair of float or None
        ``"one_cycle"`` moves momentum (beta1) from the first to the second and back, against the
        rate, such as ``(0.95, 0.85)``; None leaves it at the first of ``betas``.
    phases : tuple of Phase
        A recipe of several parts, such as ``gradual_unfreezing``; empty for a single part.
    batch_norm_freeze : bool
        Whether batch norms of frozen groups keep statistics, weight and bias; else they go on
        learning while the rest of their group is frozen.
    optimizer : {"adamw", "sgd"}
        ``"sgd"`` takes the first of ``betas`` as Nesterov momentum.
    betas : pair of float or name of ``BETAS``
        Decay of the averages of gradient and squared gradient.
    weight_decay : float or tuple of float
        Decoupled for ``"adamw"``; a tuple gives every layer group its own. Biases, norms,
        embeddings and what a module names in ``no_weight_decay`` are left out.
    decay_all : bool
        Whether they are not.
    clip_norm, clip_value : float or None
        Largest global norm of the gradient, and largest absolute value of its elements.
    dropout_schedule : {"constant", "flat_cosine"}
        ``"flat_cosine"`` lets dropout fade in the second half of training; see
        ``tabtext.training.dropout_schedule``. Such models are not compiled: what is compiled holds
        its dropout rate as a constant.
    averaging : {"ema", "swa", "nt_asgd"} or None
        Which average of the weights is validated and kept; see ``tabtext.training.averaging``.
    snapshots : bool
        Keep the weights at the end of every cycle of ``"sgdr"``.
    precision : {"auto", "fp32", "tf32", "bf16", "fp16"}
        See ``tabtext.training.precision``.
    micro_batch_size : int or None
        Rows that go through the model at once; gradients of a batch's parts are added up, so that
        the step is that of the whole batch. None: the whole batch, as long as memory allows.
    compile : {"auto", "always", "never"}
        See ``tabtext.training.compilation``. On a GPU, batches that go through in parts are not
        compiled, nor are models that carry something from step to step.
    monitor : str
        What chooses the best epoch: ``"valid_loss"`` or a metric.
    greater_is_better : bool
        Which way the monitor goes.
    patience : int or None
        Epochs without improvement after which training ends.
    max_time : float, str or None
        Seconds, or text such as ``"10min"``. The schedule runs to its end within that time.
    seed : int
        Seed of the order of batches.

    Examples
    --------
    >>> options = TrainingOptions(epochs=5, schedule="constant", averaging="ema")
    >>> options.to_dict()["epochs"]
    5
    """

    epochs: int = 10
    learning_rate: float | tuple[float, ...] = 2e-3  # suits AdamW on networks of this size
    group_ratio: float | str | None = None
    schedule: str | Schedule = "one_cycle"
    cycle_len: int = 1
    cycle_mult: int = 2
    # Smith's (0.95, 0.85) was no better on flights: loss 0.1182 against 0.1171, three seeds' means.
    momentum_range: tuple[float, float] | None = None
    phases: tuple[Phase, ...] = ()
    batch_norm_freeze: bool = True
    optimizer: Optimizer = "adamw"
    betas: tuple[float, float] | str = (0.9, 0.99)  # 0.999 is slow for runs of these lengths
    weight_decay: float | tuple[float, ...] = 0.01  # fast.ai's and torch's default
    decay_all: bool = False
    clip_norm: float | None = 1.0  # a few wild rows would otherwise undo many steps
    clip_value: float | None = None
    dropout_schedule: DropoutScheduleName = "constant"
    averaging: Averaging | None = None
    snapshots: bool = False
    precision: PrecisionName = "auto"
    micro_batch_size: int | None = None
    compile: Compile = "auto"
    monitor: str = "valid_loss"  # smoother than most metrics
    greater_is_better: bool = False
    patience: int | None = None  # schedules are best run to their end
    max_time: float | str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside of what each option may take."""
        rules = {
            "epochs": _counts(self.epochs),
            "learning_rate": _are_rates(self.learning_rate),
            "cycle_len": _counts(self.cycle_len),
            "cycle_mult": _counts(self.cycle_mult),
            "weight_decay": _are_decays(self.weight_decay),
            "clip_norm": self.clip_norm is None or _is_positive(self.clip_norm),
            "clip_value": self.clip_value is None or _is_positive(self.clip_value),
            "patience": self.patience is None or _counts(self.patience),
            "micro_batch_size": self.micro_batch_size is None or _counts(self.micro_batch_size),
            "momentum_range": self.momentum_range is None or _are_shares(self.momentum_range),
            "betas": isinstance(self.betas, str) or _are_shares(self.betas),
            "phases": isinstance(self.phases, tuple | list)
            and all(isinstance(phase, Phase) for phase in self.phases),
        }
        for name, fine in rules.items():
            if not fine:
                raise ParameterError(f"{name}={getattr(self, name)!r} is outside of what it may be")
        if not callable(self.schedule):
            _check_choice("schedule", self.schedule, SCHEDULE_NAMES)
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        _check_choice("dropout_schedule", self.dropout_schedule, get_args(DropoutScheduleName))
        _check_choice("averaging", self.averaging, (None, *get_args(Averaging)))
        _check_choice("precision", self.precision, get_args(PrecisionName))
        _check_choice("compile", self.compile, get_args(Compile))
        if isinstance(self.betas, str):
            _check_choice("betas", self.betas, tuple(BETAS))
        ratio_of(self.group_ratio)
        if self.snapshots and not self.has_restarts:
            raise ParameterError(
                "snapshots are taken at the ends of cycles, and no schedule of this training has "
                "any; use 'sgdr', 'sgdr_doubling' or 'sgdr_equal'"
            )
        if self.max_time is not None:
            duration(self.max_time)

    @property
    def has_restarts(self) -> bool:
        """Whether any schedule of the run has cycles."""
        own = [phase.schedule for phase in self.phases] or [None]
        schedules = [self.schedule if schedule is None else schedule for schedule in own]
        lengths = {"cycle_len": self.cycle_len, "cycle_mult": self.cycle_mult}
        return any(restarts_of(schedule, **lengths) is not None for schedule in schedules)

    @property
    def n_epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases) if self.phases else self.epochs

    @property
    def beta_pair(self) -> tuple[float, float]:
        """The betas as numbers."""
        first, second = BETAS[self.betas] if isinstance(self.betas, str) else self.betas
        return float(first), float(second)

    def to_dict(self) -> dict[str, Any]:
        """Return all options as values that JSON can hold; own schedules by their name."""
        values: dict[str, Any] = _plain(asdict(self))
        return values


def ratio_of(group_ratio: float | str | None) -> float:
    """Return a group ratio as a number; 1 for None.

    Examples
    --------
    >>> ratio_of("text"), ratio_of(None)
    (2.6, 1.0)
    """
    if group_ratio is None:
        return 1.0
    if isinstance(group_ratio, str):
        _check_choice("group_ratio", group_ratio, tuple(GROUP_RATIOS))
        return GROUP_RATIOS[group_ratio]
    if not _is_positive(group_ratio):
        raise ParameterError(f"group_ratio={group_ratio} must be greater than 0")
    return float(group_ratio)


_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def duration(given: float | str) -> float:
    """Return seconds for a number of seconds or for text such as ``"1h 30min"``.

    Raises
    ------
    ParameterError
        If the text is no duration, or it is not longer than nothing.

    Examples
    --------
    >>> duration("10min"), duration("1h30min"), duration(2.5)
    (600.0, 5400.0, 2.5)
    """
    if isinstance(given, str) and _is_plain_number(given):
        given = float(given)
    if isinstance(given, str):
        text = given.replace(" ", "").lower()
        parts = re.findall(r"(\d+(?:\.\d+)?)(h|min|m|sec|s)", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ParameterError(
                f"max_time={given!r} is no duration; write '90s', '10min' or '1h30min'"
            )
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    else:
        seconds = float(given) if _is_number(given) else 0.0
    if not 0 < seconds < inf:
        raise ParameterError(f"max_time={given!r} leaves no time to train")
    return seconds


def _check_choice(name: str, value: object, known: Sequence[str | None]) -> None:
    if value not in known:
        names = [choice for choice in known if choice is not None]
        raise ParameterError(
            f"{name}={value!r} is outside of what it may be: one of {', '.join(names)}"
            + did_you_mean(str(value), names)
        )


def _is_plain_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) is not None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return _is_number(value) and value > 0


def _counts(value: object) -> bool:
    return isinstance(value, Integral) and _is_positive(value)


def _are_shares(pair: object) -> bool:
    return (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(_is_number(value) and 0 <= value < 1 for value in pair)
    )


def _are_rates(rates: object) -> bool:
    several = rates if isinstance(rates, tuple | list) else (rates,)
    return bool(several) and all(_is_positive(rate) and rate < inf for rate in several)


def _are_decays(decays: object) -> bool:
    several = decays if isinstance(decays, tuple | list) else (decays,)
    return bool(several) and all(_is_number(decay) and 0 <= decay < inf for decay in several)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Real) and not isinstance(value, int | float):
        return int(value) if isinstance(value, Integral) else float(value)  # a number of numpy
    return getattr(value, "__name__", type(value).__name__) if callable(value) else value
