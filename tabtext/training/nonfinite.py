"""Losses that are not a number: find where they come from, and say so."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite

import torch
from torch import Tensor, nn

from tabtext.errors import DivergenceError
from tabtext.training.batches import Batch
from tabtext.training.losses import Loss

__all__ = ["NOT_REPEATED", "LastGoodBuffers", "diverged", "first_non_finite"]


NOT_REPEATED = "none when the step is repeated; dropout may have drawn another pattern"
"""What is found where the cause does not show a second time, or in another process' rows."""


class LastGoodBuffers:
    """A copy of a model's buffers, such as batch-norm statistics, from before a bad step.

    Weights need no copy, because a step with a gradient that is not finite is never taken; but
    batch norm has by then taken the bad rows into its running statistics. On the CPU the copy is
    that of the step before. On a GPU, where the trainer looks at losses once per epoch, it is that
    of the beginning of the epoch, or of where the run was resumed in it.

    Examples
    --------
    >>> norm = nn.BatchNorm1d(1)
    >>> good = LastGoodBuffers(norm)
    >>> _ = norm(torch.full((2, 1), torch.inf))
    >>> good.restore()
    >>> norm.running_mean
    tensor([0.])
    """

    def __init__(self, model: nn.Module) -> None:
        self._buffers = list(model.buffers())
        self._copies = [buffer.clone() for buffer in self._buffers]

    def keep(self) -> None:
        """The buffers as they are now are good."""
        if self._buffers:
            torch._foreach_copy_(self._copies, self._buffers)

    def restore(self) -> None:
        """Go back to the buffers that were last kept."""
        for buffer, copy in zip(self._buffers, self._copies, strict=True):
            buffer.copy_(copy)


def diverged(
    model: nn.Module,
    loss: Loss,
    batch: Batch,
    *,
    step: int,
    epoch: int,
    loss_value: float,
    learning_rate: float,
    gradient_norm: float,
) -> DivergenceError:
    """Return the error for a step whose loss or gradient is not finite.

    Parameters
    ----------
    model : nn.Module
        With the last good weights.
    loss : callable
        ``(raw, target) -> losses``.
    batch : Batch
        The rows of the step.
    step, epoch : int
        When, counted from 0.
    loss_value, learning_rate, gradient_norm : float
        What was measured.
    """
    what = "loss" if not isfinite(loss_value) else "gradient"
    value = loss_value if what == "loss" else gradient_norm
    found = first_non_finite(model, loss, batch)
    return DivergenceError(
        f"the training {what} became {value} in epoch {epoch + 1}, step {step + 1}, at learning "
        f"rate {learning_rate:g} and gradient norm {gradient_norm:g}. First tensor that is not "
        f"finite: {found}. The model has the weights from before that step. "
        + _remedy(found, learning_rate)
    )


def _remedy(found: str, learning_rate: float) -> str:
    if found.startswith(("input", "target", "weight of rows")):
        return "Clean those values, or leave the rows out"
    return f"Lower learning_rate (for example to {learning_rate / 10:.1g}), or set clip_norm"


def first_non_finite(model: nn.Module, loss: Loss, batch: Batch) -> str:
    """Name the first tensor of a step that holds NaN or infinity, in the order of computation.

    Inputs, target and weights come first, then parameters, then the outputs of the model's modules
    as they compute, then the loss and the gradients.

    Examples
    --------
    >>> from tabtext.training.losses import squared_error
    >>> batch = Batch((torch.tensor([[1.0], [torch.nan]]),), torch.zeros(2, 1))
    >>> first_non_finite(nn.Linear(1, 1), squared_error, batch)
    'input 0, row 1'
    """
    for name, tensor in _given(model, batch):
        if (place := _bad_place(tensor)) is not None:
            return name if name.startswith("parameter") else f"{name}, row {place}"
    with _watched(model) as outputs, torch.enable_grad():
        raw = model(*batch.inputs)
        value = batch.mean(loss(raw, batch.target))
    if outputs:
        return outputs[0]
    if _bad_place(raw) is not None:
        return f"output of the model ({type(model).__name__}), whose modules' outputs are finite"
    if not isfinite(float(value.detach())):
        return "the loss, from outputs that are finite"
    for name, gradient in _gradients(model, value):
        if _bad_place(gradient) is not None:
            return f"gradient of {name!r}"
    return NOT_REPEATED


def _given(model: nn.Module, batch: Batch) -> Iterator[tuple[str, Tensor]]:
    for number, tensor in enumerate(batch.inputs):
        yield f"input {number}", tensor
    yield "target", batch.target
    if batch.weight is not None:
        yield "weight of rows", batch.weight
    for name, parameter in model.named_parameters():
        yield f"parameter {name!r}", parameter


def _gradients(model: nn.Module, value: Tensor) -> list[tuple[str, Tensor]]:
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    found = torch.autograd.grad(value, [p for _, p in named], allow_unused=True)
    return [(name, g) for (name, _), g in zip(named, found, strict=True) if g is not None]


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[str]]:
    """Collect the names of modules whose outputs are not finite, in the order of computation."""
    bad: list[str] = []

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def look(module: nn.Module, inputs: object, output: object) -> None:
            del inputs
            if any(_bad_place(tensor) is not None for tensor in _tensors(output)):
                bad.append(f"output of {name!r} ({type(module).__name__})")

        handle: torch.utils.hooks.RemovableHandle = modules[name].register_forward_hook(look)
        return handle

    modules = {name: module for name, module in model.named_modules() if name}
    handles = [watch(name) for name in modules]
    try:
        yield bad
    finally:
        for handle in handles:
            handle.remove()


def _tensors(output: object) -> Iterator[Tensor]:
    """The tensors of an output, which recurrent modules give as nested tuples."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)


def _bad_place(tensor: Tensor) -> int | None:
    """Number of the first row that holds NaN or infinity."""
    if not tensor.is_floating_point():
        return None
    bad = ~tensor.detach().isfinite()
    if not bad.any():
        return None
    return int(bad.reshape(len(tensor), -1).any(dim=1).nonzero()[0]) if tensor.ndim else 0
