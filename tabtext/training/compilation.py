"""``torch.compile`` where a run is long enough to pay for it.

On CUDA small steps are limited by the time Python takes to launch kernels; compiled with
``mode="reduce-overhead"`` they run from CUDA graphs. On the CPU it is never the default: for the
tabular networks it was slower than eager execution (``bench/trainer.py``), because most of a step
is matrix products and one embedding lookup that are optimal already.
"""

import torch
from torch import nn

from tabtext.training.options import Compile

__all__ = ["compiled"]

_STEPS_THAT_PAY = 2000


def compiled(model: nn.Module, setting: Compile, device: torch.device, n_steps: int) -> nn.Module:
    """Return the model, compiled if that is asked for or pays; it shares the model's parameters.

    Parameters
    ----------
    model : nn.Module
        What to compile.
    setting : {"auto", "always", "never"}
        ``"auto"`` compiles on CUDA, in runs of at least 2,000 steps.
    device : torch.device
        Where it runs.
    n_steps : int
        Steps of the run.

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> compiled(model, "auto", torch.device("cpu"), 10**6) is model
    True
    """
    pays = device.type == "cuda" and n_steps >= _STEPS_THAT_PAY
    if setting == "never" or (setting == "auto" and not pays):
        return model
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    wrapped: nn.Module = torch.compile(model, mode=mode)  # type: ignore[assignment]  # a module too
    return wrapped
