"""Seeds that hold inside a block and leave the caller's random state alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's generators for the block, and put the caller's state back at its end.

    Two blocks with the same seed on the same CPU give results that are equal bit for bit. On CUDA
    some sums add in an order that varies, so results are equal up to rounding.

    Parameters
    ----------
    seed : int
        Seed of the CPU generator and of the device's.
    device : torch.device, optional
        A CUDA device whose generator is seeded and restored as well.

    Examples
    --------
    >>> with seeded(0):
    ...     first = torch.rand(2)
    >>> with seeded(0):
    ...     torch.equal(first, torch.rand(2))
    True
    """
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield
