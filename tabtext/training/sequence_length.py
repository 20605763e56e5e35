"""Growing sequences: train on short pieces of text first, then on longer ones.

What progressive resizing does for images: early steps are cheap and learn what short pieces tell,
later ones add what needs length.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Self

from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.training.batches import Batch, Batches
from tabtext.training.schedules import Schedule, linear_warm_up

__all__ = ["GrowingSequences", "length_at"]


def length_at(
    progress: float,
    *,
    shortest: int,
    longest: int,
    growth: Schedule = linear_warm_up,
    multiple_of: int = 8,
) -> int:
    """Return the sequence length at a share of training.

    Parameters
    ----------
    progress : float
        Share of the epochs done, in [0, 1].
    shortest, longest : int
        Lengths at the start and at the end.
    growth : callable
        Progress -> share of the way from shortest to longest.
    multiple_of : int
        Lengths are rounded down to a multiple of this, so that few different shapes occur and
        matrix units of GPUs are filled.

    Examples
    --------
    >>> [length_at(p, shortest=16, longest=70) for p in (0.0, 0.5, 1.0)]
    [16, 40, 70]
    """
    if not 1 <= shortest <= longest:
        raise ParameterError(f"{shortest=}, {longest=}: 1 <= shortest <= longest is needed")
    length = shortest + growth(progress) * (longest - shortest)
    if length >= longest:
        return longest
    return max(int(length) // multiple_of * multiple_of, shortest)


class GrowingSequences:
    """Batches of sequences that are cut short in early epochs.

    Parameters
    ----------
    batches : Batches
        Whose inputs and per-token targets have the shape ``(rows, length, ...)``.
    epochs : int
        Over how many epochs to grow; later ones see whole sequences.
    shortest : int
        Length in the first epoch.
    longest : int
        Length of the whole sequences.
    growth : callable
        Progress -> share of the way, as for ``length_at``.
    keep : {"start", "end"}
        Which part of a sequence stays. The end is right where padding is in front.

    References
    ----------
    Press, O., Smith, N. A. and Lewis, M. (2021), "Shortformer: Better Language Modeling using
    Shorter Inputs", section 4 (staged training).

    Examples
    --------
    >>> import torch
    >>> from tabtext.training import TensorBatches
    >>> tokens = torch.arange(40).reshape(2, 20)
    >>> batches = TensorBatches((tokens,), torch.zeros(2), batch_size=2)
    >>> growing = GrowingSequences(batches, epochs=3, shortest=4, longest=20)
    >>> [next(growing.walk(epoch, seed=0)).inputs[0].shape[1] for epoch in range(4)]
    [4, 8, 20, 20]
    """

    def __init__(
        self,
        batches: Batches,
        *,
        epochs: int,
        shortest: int,
        longest: int,
        growth: Schedule = linear_warm_up,
        keep: str = "end",
    ) -> None:
        if keep not in ("start", "end") or epochs < 1:
            raise ParameterError(f"{keep=}, {epochs=}: keep is 'start' or 'end', epochs at least 1")
        length_at(0.0, shortest=shortest, longest=longest)
        self.batches = batches
        self.epochs = epochs
        self.shortest, self.longest = shortest, longest
        self.growth = growth
        self.keep = keep

    @property
    def n_rows(self) -> int:
        """How many rows a walk visits."""
        return self.batches.n_rows

    def __len__(self) -> int:
        return len(self.batches)

    def length(self, epoch: int) -> int:
        """Return the length of an epoch's sequences."""
        progress = min(epoch / max(self.epochs - 1, 1), 1.0) if self.epochs > 1 else 1.0
        return length_at(progress, shortest=self.shortest, longest=self.longest, growth=self.growth)

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, cut to its length."""
        length = self.length(epoch)
        kept = slice(None, length) if self.keep == "start" else slice(-length, None)
        for batch in self.batches.walk(epoch, seed=seed, start=start):
            whole = batch.inputs[0].shape[1]  # less than longest where batches are padded singly
            cut = partial(_cut, whole=whole, kept=kept)
            yield replace(
                batch,
                inputs=tuple(cut(tensor) for tensor in batch.inputs),
                target=cut(batch.target),
            )

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part."""
        return type(self)(
            self.batches.shard(rank, size),
            epochs=self.epochs,
            shortest=self.shortest,
            longest=self.longest,
            growth=self.growth,
            keep=self.keep,
        )

    def fingerprint(self) -> str:
        """Return what tells these data from others."""
        lengths = [self.length(epoch) for epoch in range(self.epochs)]
        return f"{self.batches.fingerprint()}, {self.keep} of lengths {lengths}"


def _cut(tensor: Tensor, *, whole: int, kept: slice) -> Tensor:
    """A part of every row's sequence; what is no sequence of that length stays as it is."""
    return tensor[:, kept] if tensor.ndim > 1 and tensor.shape[1] == whole else tensor
