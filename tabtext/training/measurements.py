"""What every step measures: loss, gradient norm, learning rate.

On the CPU a number is at hand at once. On a GPU reading one would wait for all work before it, so
losses and norms stay there as tensors until the epoch ends.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from tabtext.training.distributed import World

__all__ = ["Measurements"]


class Measurements:
    """The steps of the epoch that is under way.

    Parameters
    ----------
    world : World
        Losses are sums over processes, each of which sees a part of the rows.

    Examples
    --------
    >>> measured = Measurements(World())
    >>> measured.add(torch.tensor(0.5), torch.tensor(2.0), 1e-3)
    >>> measured.read()
    >>> measured.losses, measured.norms, measured.rates
    ([0.5], [2.0], [0.001])
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []
        self._new_losses: list[Tensor | float] = []
        self._new_norms: list[Tensor | float] = []

    def add(self, loss: Tensor | float, norm: Tensor | float, rate: float) -> None:
        """Note a step."""
        self._new_losses.append(loss)
        self._new_norms.append(norm)
        self.rates.append(rate)

    @property
    def latest(self) -> float | None:
        """The newest loss that can be had without waiting."""
        if self._new_losses:
            loss = self._new_losses[-1]
            return loss if isinstance(loss, float) else None
        return self.losses[-1] if self.losses else None

    def read(self) -> None:
        """Wait for the device, and make numbers of what it measured; a meeting of all processes."""
        self.losses += self.world.sum(_vector(self._new_losses)).tolist()
        self.norms += _vector(self._new_norms).tolist()
        self._new_losses.clear()
        self._new_norms.clear()

    def first_bad_step(self, *, norms_too: bool = True) -> int | None:
        """Return the first step whose loss, or gradient norm, is not finite."""
        for step, (loss, norm) in enumerate(zip(self.losses, self.norms, strict=True)):
            if not isfinite(loss) or (norms_too and not isfinite(norm)):
                return step
        return None

    def clear(self) -> None:
        """Begin a new epoch."""
        for values in (self.losses, self.norms, self.rates):
            values.clear()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of an epoch under way."""
        self.read()
        return {"losses": list(self.losses), "norms": list(self.norms), "rates": list(self.rates)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue an epoch."""
        self.losses, self.norms, self.rates = state["losses"], state["norms"], state["rates"]


def _vector(values: Sequence[Tensor | float]) -> Tensor:
    if values and isinstance(values[0], Tensor):
        return torch.stack([value for value in values if isinstance(value, Tensor)]).float()
    return torch.tensor(values, dtype=torch.float64)
