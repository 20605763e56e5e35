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

_SCALARS_AT_ONCE = 1000


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
        self._on_its_way = _Arrival()

    def add(self, loss: Tensor | float, norm: Tensor | float, rate: float) -> None:
        """Note a step."""
        self._new_losses.append(loss)
        self._new_norms.append(norm)
        self.rates.append(rate)
        if len(self._new_losses) == _SCALARS_AT_ONCE and isinstance(loss, Tensor):
            # Each of them holds a block of the GPU's memory; together they need one.
            self._new_losses[:] = [_vector(self._new_losses)]
            self._new_norms[:] = [_vector(self._new_norms)]

    @property
    def latest(self) -> float | None:
        """The newest loss that can be had without waiting, as an estimate from one process' rows.

        From a GPU it arrives late: with each question a copy sets out, and the next one that is
        asked after its arrival gets it.
        """
        if not self._new_losses:
            return self.losses[-1] if self.losses else None
        loss = self._new_losses[-1]
        if isinstance(loss, float):
            return loss * self.world.size
        arrived = self._on_its_way.ask(loss.view(-1)[-1:])
        return None if arrived is None else arrived * self.world.size

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


class _Arrival:
    """A number that is copied from a GPU while both sides go on."""

    def __init__(self) -> None:
        self._host: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    def ask(self, number: Tensor) -> float | None:
        """Return the number of the last copy that arrived, and send the next."""
        if not number.is_cuda:
            return None
        if self._host is None:
            self._host = torch.empty(1, pin_memory=True)
        arrived = None
        if self._copied is not None:
            if not self._copied.query():  # type: ignore[no-untyped-call]  # torch's own
                return None
            arrived = float(self._host)
        self._host.copy_(number, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's own
        self._copied.record()
        return arrived


def _vector(values: Sequence[Tensor | float]) -> Tensor:
    if values and isinstance(values[0], Tensor):
        return torch.cat([v.float().view(-1) for v in values if isinstance(v, Tensor)])
    return torch.tensor(values, dtype=torch.float64)
