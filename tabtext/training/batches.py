"""Batches of tensors that already live on the device: slices of rows, no loader, no workers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Batch", "TensorBatches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: what the model reads, and what it should have said."""

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor | None


class TensorBatches:
    """Walk over rows of tensors in batches, shuffled anew in every pass or in order.

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
        Whether every pass takes the rows in a new order, drawn from torch's global generator.

    Examples
    --------
    >>> rows = torch.arange(7)
    >>> [batch.target.tolist() for batch in TensorBatches((rows,), rows, batch_size=3)]
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

    @property
    def n_rows(self) -> int:
        """How many rows a pass visits."""
        return len(self.target)

    def __len__(self) -> int:
        whole, rest = divmod(self.n_rows, self.batch_size)
        return max(whole + (rest > 1), 1) if self.n_rows else 0

    def __iter__(self) -> Iterator[Batch]:
        if self.shuffle:
            order = torch.randperm(self.n_rows, device=self.target.device)
            for rows in self._split(order):
                weight = None if self.weight is None else self.weight[rows]
                inputs = tuple(tensor[rows] for tensor in self.inputs)
                yield Batch(inputs, self.target[rows], weight)
        else:
            # Slices of the tensors themselves: nothing is copied.
            parts = [self._split(tensor) for tensor in self.inputs]
            weights = [None] * len(self) if self.weight is None else self._split(self.weight)
            targets = self._split(self.target)
            for inputs, target, weight in zip(
                zip(*parts, strict=True), targets, weights, strict=True
            ):
                yield Batch(inputs, target, weight)

    def _split(self, tensor: Tensor) -> list[Tensor]:
        """Views of consecutive rows, one per batch."""
        if not len(self):
            return []
        sizes = [self.batch_size] * (len(self) - 1)
        return list(torch.split(tensor, [*sizes, self.n_rows - sum(sizes)]))
