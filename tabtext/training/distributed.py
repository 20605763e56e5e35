"""Several processes that train one model: ``torchrun --nproc-per-node=N -m tabtext fit ...``.

Every process holds the data, takes its share of the rows of every step, and has the same weights
after it. Where there is one process, everything here does nothing.
"""

import atexit
import gc
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tabtext.errors import TabTextError

__all__ = [
    "STEPS_BETWEEN_MEETINGS",
    "World",
    "first_process_only",
    "is_first_process",
    "join_world",
]

T = TypeVar("T")

STEPS_BETWEEN_MEETINGS = 20
"""In every so many steps processes ask each other about signals and the like, which needs no step
of its own but makes them wait."""


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
    >>> world.is_first, world.gather("one")
    (True, ['one'])
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

    def share_(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors in place by those of the first process."""
        if not self.is_alone:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

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

    def together(self, work: Callable[[], T]) -> T:
        """Do something in every process; where it fails in one, it fails in all.

        One process that left with an error of its own would leave the others waiting for it. The
        work itself must not meet other processes.
        """
        error: Exception | None = None
        try:
            result = work()
        except Exception as caught:
            error = caught
        # Only errors of this library are sure to survive the journey to another process.
        known = error is None or isinstance(error, TabTextError)
        errors = self.gather(error if known else RuntimeError(repr(error)))
        if error is not None:
            raise error
        for other in errors:
            if other is not None:
                raise other
        return result

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
        if _size_by_torchrun() < 2:
            return World()
        if device.type == "cuda":
            torch.cuda.set_device(device)  # NCCL works on the current one
        # Numbers that are on the CPU, and Python's objects, go by gloo, without a wait for a GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return World(dist.get_rank(), dist.get_world_size())


def is_first_process() -> bool:
    """Return whether this process, of those that torchrun started, may write files."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return _size_by_torchrun() < 2 or os.environ["RANK"] == "0"


def first_process_only(work: Callable[[], None]) -> None:
    """Do something in the first process, while the others wait for it; its errors are theirs too.

    Examples
    --------
    >>> first_process_only(lambda: print("one file is enough"))
    one file is enough
    """
    world = World()
    if dist.is_available() and dist.is_initialized():
        world = World(dist.get_rank(), dist.get_world_size())
    world.together(work if is_first_process() else _nothing)


def _size_by_torchrun() -> int:
    """How many processes belong together, as torchrun says in the environment."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def _nothing() -> None:
    pass


def _leave() -> None:
    if dist.is_initialized():
        # Distributed modules sit in cycles, and hold threads that must not outlive the interpreter.
        gc.collect()
        dist.destroy_process_group()
