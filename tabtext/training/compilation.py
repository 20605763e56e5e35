"""``torch.compile`` where a run is long enough to pay for it.

On CUDA small steps are limited by the time Python takes to launch kernels; compiled with
``mode="reduce-overhead"`` they run from CUDA graphs. On the CPU it is never the default: for the
tabular networks it was slower than eager execution however long it ran (``bench/trainer.py``).
"""

import importlib.util
import os
import shutil

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
        ``"auto"`` compiles on CUDA, in runs of at least 2,000 steps, where Triton and a C compiler
        are at hand.
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
    pays = device.type == "cuda" and n_steps >= _STEPS_THAT_PAY and _has_compilers()
    if setting == "never" or (setting == "auto" and not pays):
        return model
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    wrapped: nn.Module = torch.compile(model, mode=mode)  # type: ignore[assignment]  # a module too
    return wrapped


def _has_compilers() -> bool:
    """Whether what torch.compile needs for CUDA is installed; slim images often lack it."""
    has_c = any(shutil.which(name) for name in (os.environ.get("CC", "cc"), "gcc", "clang"))
    return has_c and importlib.util.find_spec("triton") is not None
