"""Number formats of training: fp32, tf32, bf16, and fp16 with a gradient scaler.

| name   | what it does |
|--------|--------------|
| `fp32` | everything in single precision |
| `tf32` | matrix products of CUDA GPUs since Ampere with 10 bits of mantissa, the rest as `fp32` |
| `bf16` | products in bfloat16, which has the range of single precision |
| `fp16` | products in half precision; losses are scaled so that small gradients do not vanish |
| `auto` | `tf32` on a GPU that has it, else `fp32`: fast, and the same result up to rounding |
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.training.options import PrecisionName

__all__ = ["Precision"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_AMPERE = (8, 0)
_SMALLEST_SCALE = 1.0  # a gradient that overflows with no scaling at all is no rounding matter


class Precision:
    """What the trainer does differently for a number format.

    Parameters
    ----------
    name : {"auto", "fp32", "tf32", "bf16", "fp16"}
        See the table above.
    device : torch.device
        Where the model is.

    Raises
    ------
    ParameterError
        If the device has no such format.

    References
    ----------
    Micikevicius, P. et al. (2018), "Mixed Precision Training".

    Examples
    --------
    >>> Precision("auto", torch.device("cpu")).name
    'fp32'
    """

    def __init__(self, name: PrecisionName, device: torch.device) -> None:
        self.device = device
        self.name = _choose(name, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    @contextmanager
    def active(self) -> Iterator[None]:
        """Set what is set once per run, and put it back at the end."""
        if self.name != "tf32":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        dtype = _DTYPES.get(self.name)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    @property
    def is_mixed(self) -> bool:
        """Whether forward passes need ``autocast``."""
        return self.name in _DTYPES

    @property
    def scales(self) -> bool:
        """Whether losses are scaled."""
        return self.name == "fp16"

    @property
    def may_skip(self) -> bool:
        """Whether a gradient that is not finite only skips its step, as long as the scale can fall.

        Reading the scale waits for the device.
        """
        return self.scales and self.scaler.get_scale() >= _SMALLEST_SCALE

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to the parameters'."""
        scaled = self.scaler.scale(loss) if self.scales else loss
        scaled.backward()  # type: ignore[no-untyped-call]  # torch leaves this one untyped

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Give gradients their true size, before they are measured and clipped."""
        if self.scales:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Update the weights, or, after an overflow, only lower the scale."""
        if self.scales:
            self.scaler.step(optimizer)
            self.scaler.update()
        else:
            optimizer.step()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return self.scaler.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what a checkpoint kept."""
        if state:
            self.scaler.load_state_dict(state)


def _choose(name: PrecisionName, device: torch.device) -> str:
    modern = device.type == "cuda" and torch.cuda.get_device_capability(device) >= _AMPERE
    if name == "auto":
        return "tf32" if modern else "fp32"
    if name == "tf32" and not modern:
        raise ParameterError(
            f"precision='tf32' needs a CUDA GPU of compute capability 8.0 or more, and training "
            f"is on {device}; use 'auto', 'fp32' or 'bf16'"
        )
    if name == "fp16" and device.type == "cuda":
        return name
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ParameterError("precision='bf16' is not supported by this GPU; use 'fp16'")
    return name
