"""Batches of tensors that already live on the device: slices of rows, no loader, no workers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, Self
from zlib import crc32

import torch
from torch import Tensor

from tabtext.training.losses import weighted_mean

__all__ = ["Batch", "Batches", "TensorBatches", "batch_order", "batch_starts"]

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: what the model reads, and what it should have said.

    Parameters
    ----------
    inputs : tuple of Tensor
        The model's arguments.
    target : Tensor
        Encoded targets, one row per example.
    weight : Tensor of shape (rows,) or None
        How much each row counts.
    total : float, Tensor or None
        Weight of all rows of the optimizer step, of which these may be a part: one process' share,
        or a micro-batch. None: these are all.
    rate_factor : float
        What the learning rate of the step is multiplied by. Windows of text differ in length, and
        the mean over a short one is noisier: it takes a smaller step.

    Examples
    --------
    >>> batch = Batch((torch.zeros(2, 3),), torch.ones(2, 1), weight=torch.tensor([3.0, 1.0]))
    >>> len(batch), float(batch.mean(torch.tensor([1.0, 2.0])))
    (2, 1.25)
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor | None = None
    total: float | Tensor | None = None
    rate_factor: float = 1.0

    def __len__(self) -> int:
        return len(self.target)

    def mean(self, losses: Tensor) -> Tensor:
        """Weighted mean of the rows' losses; for a part, its share in the mean of the whole."""
        if self.total is None:
            return weighted_mean(losses, self.weight)
        summed = losses.sum() if self.weight is None else (losses * self.weight).sum()
        return summed / self.total

    def split(self, rows: int) -> list["Batch"]:
        """Parts of at most so many rows, whose means add up to the whole's."""
        if len(self) <= rows:
            return [self]
        total = self.total if self.total is not None else _total(self.target, self.weight)
        pieces = _split_evenly(len(self), rows)
        inputs = zip(*(torch.split(tensor, pieces) for tensor in self.inputs), strict=True)
        weights = [None] * len(pieces) if self.weight is None else torch.split(self.weight, pieces)
        targets = torch.split(self.target, pieces)
        parts = zip(inputs, targets, weights, strict=True)
        return [Batch(*part, total, self.rate_factor) for part in parts]


class Batches(Protocol):
    """What the trainer asks of data: walks that can be repeated exactly, and begun midway.

    Examples
    --------
    >>> batches: Batches = TensorBatches((torch.zeros(5, 3),), torch.zeros(5, 1), batch_size=2)
    >>> len(batches), [len(batch) for batch in batches.walk(0, seed=0)]
    (2, [2, 3])
    """

    @property
    def n_rows(self) -> int:
        """How many rows a walk visits."""

    def __len__(self) -> int:
        """How many batches a walk has."""

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``start`` on, always the same ones."""

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part: of every step its share of the rows, none lost or repeated."""

    def fingerprint(self) -> str:
        """Return a text that other data would not have, so that no run resumes on them."""


class TensorBatches:
    """Walk over rows of tensors in batches, shuffled anew in every epoch or in order.

    Parameters
    ----------
    inputs : tuple of Tensor
        The model's arguments, each with one row per example.
    target : Tensor
        Encoded targets, one row per example.
    weight : Tensor of shape (rows,), optional
        How much each row counts.
    batch_size : int
        Rows per batch. A last batch of a single row, on which batch norm would fail, joins the one
        before it.
    shuffle : bool
        Whether every epoch takes the rows in an order of its own, which epoch and seed alone fix.

    Examples
    --------
    >>> rows = torch.arange(7)
    >>> batches = TensorBatches((rows,), rows, batch_size=3)
    >>> [batch.target.tolist() for batch in batches.walk(0, seed=0)]
    [[0, 1, 2], [3, 4, 5, 6]]
    """

    def __init__(
        self,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        weight: Tensor | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
    ) -> None:
        self.inputs = inputs
        self.target = target
        self.weight = weight
        self.batch_size = batch_size
        self.shuffle = shuffle
        self._rank, self._size = 0, 1

    @property
    def n_rows(self) -> int:
        """How many rows a walk visits, in all processes together."""
        return len(self.target)

    def __len__(self) -> int:
        return len(batch_starts(self.n_rows, self.batch_size, self._size)) - 1

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number ``start`` on.

        Parameters
        ----------
        epoch, seed : int
            Fix the order, if it is shuffled.
        start : int
            Batches to leave out at the beginning.

        Yields
        ------
        Batch
        """
        starts = batch_starts(self.n_rows, self.batch_size, self._size)[start:]
        order = batch_order(self.n_rows, epoch, seed) if self.shuffle else None
        if order is not None and self.target.is_cuda:
            order = order.pin_memory()  # else the GPU would be waited for with every copy
        # Many batches are gathered at once and handed out as views: at batch size 64 an indexing
        # call per tensor and batch would be a tenth of a step.
        at_once = max(_ROWS_AT_ONCE // (self.batch_size * self._size), 1)
        for first in range(0, len(starts) - 1, at_once):
            bounds = starts[first : first + at_once + 1]
            yield from self._gathered(bounds, order)

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part of the batches, which are ``size`` times as large together."""
        part = type(self)(
            self.inputs,
            self.target,
            self.weight,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
        )
        part._rank, part._size = rank, size
        return part

    def fingerprint(self) -> str:
        """Return the number of rows and a checksum of all tensors."""
        checksum = 0
        for tensor in (*self.inputs, self.target, *([] if self.weight is None else [self.weight])):
            if tensor.numel():
                content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
                checksum = crc32(content.numpy().data, checksum)
        order = "shuffled" if self.shuffle else "in order"
        return f"{self.n_rows} rows, batch size {self.batch_size}, {order}, sum {checksum:08x}"

    def _gathered(self, bounds: list[int], order: Tensor | None) -> Iterator[Batch]:
        """The batches between the bounds, as views of one gathering."""
        rows = slice(bounds[0], bounds[-1])
        chosen = rows if order is None else order[rows].to(self.target.device, non_blocking=True)
        whole = Batch(
            tuple(tensor[chosen] for tensor in self.inputs),
            self.target[chosen],
            None if self.weight is None else self.weight[chosen],
        )
        if len(bounds) == 2 and self._size == 1:
            yield whole
            return
        offset = bounds[0]
        for begin, end in pairwise(bounds):
            batch = _rows_of(whole, slice(begin - offset, end - offset))
            yield batch if self._size == 1 else self._own_part(batch)

    def _own_part(self, batch: Batch) -> Batch:
        part = _rows_of(batch, slice(self._rank, None, self._size))
        return replace(part, total=_total(batch.target, batch.weight))


def batch_starts(n_rows: int, batch_size: int, size: int = 1) -> list[int]:
    """Return where every batch begins, and where the last one ends.

    A last batch that would leave a process with fewer than two rows joins the one before it.

    Parameters
    ----------
    n_rows : int
        Rows in all.
    batch_size : int
        Rows per batch and process.
    size : int
        Number of processes.

    Examples
    --------
    >>> batch_starts(7, 3), batch_starts(8, 3), batch_starts(0, 3)
    ([0, 3, 7], [0, 3, 6, 8], [0])
    """
    starts = list(range(0, n_rows, batch_size * size))
    if len(starts) > 1 and n_rows - starts[-1] < 2 * size:
        starts.pop()
    return [*starts, n_rows] if n_rows else [0]


def batch_order(n_rows: int, epoch: int, seed: int) -> Tensor:
    """Return a permutation that epoch and seed fix on every machine: int64 on the CPU.

    It comes from a generator of its own, so that nothing else that draws random numbers changes it.

    Examples
    --------
    >>> torch.equal(batch_order(9, 1, 0), batch_order(9, 1, 0))
    True
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(n_rows, generator=generator)


def _rows_of(batch: Batch, rows: slice) -> Batch:
    return Batch(
        tuple(tensor[rows] for tensor in batch.inputs),
        batch.target[rows],
        None if batch.weight is None else batch.weight[rows],
    )


def _total(target: Tensor, weight: Tensor | None) -> float | Tensor:
    if weight is None:
        return float(len(target))
    return weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


def _split_evenly(n_rows: int, at_most: int) -> list[int]:
    """Sizes of equal parts, as equal as whole rows allow: no part of a single row if avoidable."""
    n_parts = -(-n_rows // at_most)
    small, more = divmod(n_rows, n_parts)
    return [small + 1] * more + [small] * (n_parts - more)
