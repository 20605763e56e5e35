"""The learning-rate finder: a short sweep over rates, after which nothing has changed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tabtext.errors import DataError, ParameterError
from tabtext.training.batches import Batch, Batches
from tabtext.training.optimizers import set_rates
from tabtext.training.run import Run

if TYPE_CHECKING:
    from tabtext.training.trainer import Trainer

__all__ = ["LearningRateCurve", "find_learning_rate", "suggestions"]

_MEMORY = 0.98  # of the smoothed loss; fast.ai's
_DIVERGED = 4.0  # times the smallest smoothed loss; fast.ai's too


@dataclass(frozen=True)
class LearningRateCurve:
    """What a sweep over learning rates found.

    Parameters
    ----------
    rates : tuple of float
        The rate of every step.
    losses : tuple of float
        Its smoothed loss.
    suggestions : mapping of str to float
        ``"steep"``: where the loss falls fastest within its longest fall; ``"valley"``: two thirds
        into that fall; ``"minimum/10"``: a tenth of the rate where it ends.

    Examples
    --------
    >>> LearningRateCurve((1e-4, 1e-3), (0.9, 0.4), {"steep": 5e-4}).steep
    0.0005
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestions: Mapping[str, float]

    @property
    def steep(self) -> float:
        """The suggestion to start with."""
        return self.suggestions["steep"]


def find_learning_rate(
    trainer: "Trainer",
    train: Batches,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    n_steps: int = 100,
) -> LearningRateCurve:
    """Raise the rate exponentially from step to step, and see where the loss falls and diverges.

    Model, optimizer, gradients, data order and random generators are afterwards as they were: a
    training that follows is the same, bit for bit, as one without a sweep.

    Parameters
    ----------
    trainer : Trainer
        Whose model, loss and options are used; what is frozen stays frozen.
    train : Batches
        Rows to learn from.
    lowest, highest : float
        Range of the peak rate; with several layer groups, of the last one's.
    n_steps : int
        Steps of the sweep; it ends early when the smoothed loss is four times its minimum.

    Returns
    -------
    LearningRateCurve

    Raises
    ------
    ParameterError
        If the range or the number of steps makes no sweep.
    DataError
        If the loss is not finite, or diverges, from the start.

    References
    ----------
    Smith, L. N. (2017), "Cyclical Learning Rates for Training Neural Networks".

    Examples
    --------
    >>> from tabtext.training import TensorBatches, Trainer, TrainingOptions
    >>> from tabtext.training.losses import squared_error
    >>> _ = torch.manual_seed(0)
    >>> rows = torch.randn(512, 3)
    >>> train = TensorBatches((rows,), rows.sum(1, keepdim=True), batch_size=64, shuffle=True)
    >>> trainer = Trainer(torch.nn.Linear(3, 1), squared_error, options=TrainingOptions())
    >>> curve = find_learning_rate(trainer, train)
    >>> 1e-4 < curve.steep < 1.0
    True
    """
    if not 0 < lowest < highest or n_steps < 10:
        raise ParameterError(
            f"{lowest=}, {highest=}, {n_steps=}: rates must rise from above 0, in 10 steps or more"
        )
    rates = [lowest * (highest / lowest) ** (i / (n_steps - 1)) for i in range(n_steps)]
    # The first averages are of a few losses only: a lucky batch among them is no minimum.
    settled = n_steps // 10
    smoothed: list[float] = []
    average = 0.0
    with _put_back(trainer):
        for step, loss in enumerate(_losses(trainer, train, rates)):
            average = _MEMORY * average + (1 - _MEMORY) * loss
            corrected = average / (1 - _MEMORY ** (step + 1))  # for its start at zero
            smallest = min(smoothed[settled:], default=inf)
            if not isfinite(corrected) or corrected > _DIVERGED * smallest:
                break
            smoothed.append(corrected)
    if len(smoothed) < settled + 2 or min(smoothed[settled:]) > _DIVERGED * smoothed[0]:
        raise DataError(
            f"the loss is not finite or diverges from rate {lowest:g} on; lower `lowest`, or look "
            "for extreme values in the data"
        )
    tried = rates[: len(smoothed)]
    return LearningRateCurve(tuple(tried), tuple(smoothed), suggestions(tried, smoothed))


def suggestions(rates: Sequence[float], losses: Sequence[float]) -> dict[str, float]:
    """Return suggested rates for a smoothed curve.

    All of them lie in its longest fall. Elsewhere a curve goes up and down by chance, above all at
    its beginning, where the average is of a few losses only.

    Parameters
    ----------
    rates, losses : sequence of float
        At least three steps of a sweep.

    Examples
    --------
    >>> losses = [4.0, 3.9, 3.0, 1.0, 0.8, 2.0]
    >>> {name: f"{rate:g}" for name, rate in suggestions([10**k for k in range(6)], losses).items()}
    {'steep': '100', 'valley': '100', 'minimum/10': '1000'}
    """
    fall = _longest_fall(losses)
    slopes = _slopes(np.log(rates), np.asarray(losses))
    # Before that there is a plateau of averages over few losses, where only chance makes a slope.
    settled = [place for place in fall if place >= len(losses) // 4] or fall
    top, bottom = losses[settled[0]], losses[settled[-1]]
    under_way = [place for place in settled if losses[place] <= top - 0.1 * (top - bottom)]
    return {
        "steep": rates[min(under_way, key=lambda place: slopes[place])],
        "valley": rates[fall[(len(fall) - 1) * 2 // 3]],
        "minimum/10": rates[fall[-1]] / 10,
    }


def _slopes(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Slope of a straight line through each point and its neighbours, a tenth of all points."""
    reach = max(len(x) // 20, 1)
    slopes = np.empty(len(x))
    for place in range(len(x)):
        near = slice(max(place - reach, 0), place + reach + 1)
        slopes[place] = np.polyfit(x[near], y[near], 1)[0]
    return slopes


def _longest_fall(losses: Sequence[float]) -> list[int]:
    """Places of the longest subsequence of falling losses, as in fast.ai's ``valley``."""
    lengths, before = [1] * len(losses), list(range(len(losses)))
    for end in range(1, len(losses)):
        for place in range(end):
            if losses[place] > losses[end] and lengths[place] + 1 > lengths[end]:
                lengths[end], before[end] = lengths[place] + 1, place
    places = [int(np.argmax(lengths))]
    while before[places[-1]] != places[-1]:
        places.append(before[places[-1]])
    return places[::-1]


def _losses(trainer: "Trainer", train: Batches, rates: Sequence[float]) -> Iterator[float]:
    """The loss of every step of the sweep, before that step."""
    run = Run(trainer.groups, trainer.options, train, None)
    run.begin_step()  # of the first phase, which stays: what it freezes is frozen in the sweep
    with run.precision.active():
        for rate, batch in zip(rates, _endless(run), strict=False):
            yield _step(trainer, run, batch, rate)


def _step(trainer: "Trainer", run: Run, batch: Batch, rate: float) -> float:
    peak = run.plan.phases[0].rates
    factor = batch.rate_factor
    set_rates(run.optimizer, [own * rate / peak[-1] for own in peak], factor, None)
    loss = float(run.world.sum(trainer.backward(run, batch).double()))
    trainer.clip_gradient(run)
    run.precision.step(run.optimizer)
    run.optimizer.zero_grad(set_to_none=True)
    return loss


def _endless(run: Run) -> Iterator[Batch]:
    for epoch in count():
        yield from run.train.walk(epoch, seed=run.options.seed)


@contextmanager
def _put_back(trainer: "Trainer") -> Iterator[None]:
    """Give the model and all generators back what they had, however the block ends."""
    model = trainer.model
    # Not the state dict: it leaves out buffers that are not saved.
    state = {name: tensor.detach().clone() for name, tensor in _named_tensors(model)}
    gradients = [parameter.grad for parameter in model.parameters()]
    learns = [parameter.requires_grad for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    carried = [(m, m.carried_state()) for m in model.modules() if hasattr(m, "carried_state")]  # type: ignore[operator]  # found by its name
    first_trained = trainer.groups.first_trained
    device = next(model.parameters()).device
    cuda = [device] if device.type == "cuda" else []
    model.zero_grad(set_to_none=True)
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        with torch.no_grad():
            for name, tensor in _named_tensors(model):
                tensor.copy_(state[name])
        trainer.groups.first_trained = first_trained
        for parameter, was, gradient in zip(model.parameters(), learns, gradients, strict=True):
            parameter.requires_grad_(was)
            parameter.grad = gradient
        for module, was in zip(model.modules(), modes, strict=True):
            module.training = was
        for carrier, before in carried:
            carrier.load_carried_state(before)  # type: ignore[operator]  # as above


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
