"""PyTorch's optimizers without the compiler that they load.

Their methods are wrapped in decorators that keep ``torch.compile`` away, and that load it to say
so: two seconds of the first fit of a process, more than all else that a small table needs. The
trainer never compiles an optimizer's step, so these classes take the methods from under the
decorators.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch

__all__ = ["SGD", "AdamW"]


def _bare(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method as it was written, without a gradient, which is what the decorators add."""
    bare: Callable[..., Any] = torch.no_grad()(unwrap(method))
    return bare


class _Eager(torch.optim.Optimizer):
    add_param_group = _bare(torch.optim.Optimizer.add_param_group)
    state_dict = _bare(torch.optim.Optimizer.state_dict)
    load_state_dict = _bare(torch.optim.Optimizer.load_state_dict)
    zero_grad = _bare(torch.optim.Optimizer.zero_grad)


class AdamW(_Eager, torch.optim.AdamW):
    """``torch.optim.AdamW``, number for number."""

    step = _bare(torch.optim.AdamW.step)


class SGD(_Eager, torch.optim.SGD):
    """``torch.optim.SGD``, number for number."""

    step = _bare(torch.optim.SGD.step)
