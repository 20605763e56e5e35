"""Several processes that train one model: ``torchrun --nproc-per-node=N -m tabtext fit ...``.

Every process holds the data, takes its share of the rows of every step, and has the same weights
after it. Where there is one process, everything here does nothing.
"""

import atexit
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["World", "first_process_only", "is_first_process", "join_world"]

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Parameters
    ----------
    rank : int
        Number of this process.
    size : int
        How many there are.

    Examples
    --------
    >>> world = World()
    >>> world.is_first, world.any(False)
    (True, False)
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def sum(self, values: Tensor) -> Tensor:
        """Sum of every process' tensor, element by element."""
        if not self.is_alone:
            dist.all_reduce(values)
        return values

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors in place by their mean over the processes."""
        if not self.is_alone:
            for tensor in tensors:
                if tensor.is_floating_point():
                    dist.all_reduce(tensor)
                    tensor /= self.size

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; a meeting of all of them."""
        if self.is_alone:
            return flag
        flags = self.gather(flag)
        return any(flags)

    def first(self, value: float) -> float:
        """The first process' value, so that all act alike on a clock."""
        if self.is_alone:
            return value
        shared: list[float] = [value]
        dist.broadcast_object_list(shared, src=0)
        return shared[0]

    def gather(self, value: T) -> list[T]:
        """Every process' value, in the order of ranks."""
        if self.is_alone:
            return [value]
        values: list[T | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # all places are filled now

    def wait(self) -> None:
        """Meet all other processes."""
        if not self.is_alone:
            dist.barrier()


def join_world(device: torch.device) -> World:
    """Return the processes that torchrun started, or a world of one.

    Parameters
    ----------
    device : torch.device
        Where this process trains: NCCL connects CUDA devices, gloo CPUs.
    """
    if not dist.is_available():
        return World()
    if not dist.is_initialized():
        # torchrun says who belongs together in the environment.
        if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
            return World()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return World(dist.get_rank(), dist.get_world_size())


def is_first_process() -> bool:
    """Return whether this process, of those that torchrun started, may write files."""
    return int(os.environ.get("RANK", "0")) == 0


def first_process_only(work: Callable[[], None]) -> None:
    """Do something in the first process, while the others wait for it."""
    if is_first_process():
        work()
    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
