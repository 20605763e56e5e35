"""Which device a model trains on."""

import torch

from tabtext.errors import ParameterError

__all__ = ["choose_device"]


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device, or for ``"auto"`` a CUDA GPU where there is one, else the CPU.

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
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ParameterError(f"device={name!r} is no device of torch: {error}") from error
    if device.type == "cuda":
        found = torch.cuda.device_count()
        if (device.index or 0) >= found:
            raise ParameterError(
                f"device={name!r}, but torch sees {found} CUDA devices here; use device='auto'"
            )
    return device
