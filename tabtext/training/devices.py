"""Which device a model trains on."""

import os

import torch

from tabtext.errors import ParameterError

__all__ = ["choose_device"]


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device, or for ``"auto"`` a CUDA GPU where there is one, else the CPU.

    Of several processes that torchrun started, each takes a GPU of its own.

    Raises
    ------
    ParameterError
        If the device is unknown to torch or not on this machine.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:  # a TypeError for what is no text
        raise ParameterError(f"device={name!r} is no device of torch: {error}") from error
    if device.type == "cuda":
        found = torch.cuda.device_count()
        if (device.index or 0) >= found:
            raise ParameterError(
                f"device={name!r}, but torch sees {found} CUDA devices here; use device='auto'"
            )
    elif device.type != "cpu":
        try:
            torch.empty(0, device=device)
        except (RuntimeError, NotImplementedError, AssertionError) as error:
            raise ParameterError(f"device={name!r} cannot be used here: {error}") from error
    return device
