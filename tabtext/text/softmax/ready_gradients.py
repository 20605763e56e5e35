"""A number whose gradients are made along with it, and only scaled on the way back.

Where the gradients of a loss fall off while it is computed, torch need neither keep what it would
compute them from nor compute anything twice.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["Compute", "with_ready_gradients"]

Compute = Callable[[Sequence[bool]], tuple[Tensor, Sequence[Tensor | None]]]
"""Is told which inputs need a gradient; returns the number, and of each a gradient or None."""


def with_ready_gradients(compute: Compute, *inputs: Tensor) -> Tensor:
    """Return a number that knows its gradients.

    Parameters
    ----------
    compute : callable
        See ``Compute``. Gradients are not recorded while it runs, nor can they be derived again.
    *inputs : Tensor
        What the gradients are of; those that ask for none, or where none are recorded, get none.

    Examples
    --------
    >>> weight = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> squares = with_ready_gradients(lambda needed: ((weight**2).sum(), [2 * weight]), weight)
    >>> (3 * squares).backward()
    >>> weight.grad
    tensor([ 6., 12.])
    """
    return _apply(compute, torch.is_grad_enabled(), *inputs)


class _WithReadyGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, compute: Compute, recorded: bool, *inputs: Tensor) -> Tensor:
        # In here gradients are never recorded, so whether they are out there has to be said.
        needed = [recorded and need for need in ctx.needs_input_grad[2:]]
        number, gradients = compute(needed)
        ctx.save_for_backward(*gradients)
        ctx.dtypes = [tensor.dtype for tensor in inputs]
        return number

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # Usually nothing follows a loss, and its gradients, which are as large as a model, can be
        # given out as they are. A GPU is not asked: it would have to be waited for.
        is_one = gradient.device.type == "cpu" and bool(gradient == 1)
        scaled = [
            None if ready is None else (ready if is_one else ready * gradient).to(dtype)
            for ready, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return None, None, *scaled


_apply: Callable[..., Tensor] = _WithReadyGradients.apply  # torch leaves it untyped
