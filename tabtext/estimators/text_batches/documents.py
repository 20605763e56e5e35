"""Documents as rows of batches: those of similar length together, so that little is padding.

Flat token ids and what should be said about each document flow in; batches ``((tokens, lengths),
target, weight)`` for the trainer flow out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.special_tokens import PADDING_ID
from tabtext.training.batches import Batch, batch_order, batch_starts
from tabtext.training.streaming import fits_on

__all__ = ["DocumentBatches"]

# How far a document may be from its place by length when shuffled, as a share of the length. On
# 25,000 IMDb reviews in batches of 32 or 64 a share of 0.03 makes 3 and 4 % of a batch padding; 0.1
# would make 10 and 11 %, and none 1 and 2 % (but the same batches in every epoch).
_JITTER = 0.03


class DocumentBatches:
    """Walk over documents in batches of similar length, padded behind the text.

    A batch's inputs are ``tokens``, int32 of shape ``(rows, longest)`` on the device, and
    ``lengths``, int64 of shape ``(rows,)`` on the CPU, where a network reads them without waiting
    for a GPU. Within a batch the rows come by falling length.

    Parameters
    ----------
    documents : Documents or DocumentView
        Token ids. If a GPU's memory holds them they are copied there once, and rows are gathered
        there; otherwise they stay where they are, be it on disk, and each batch is sent. So do
        those of a view, which may be a few of many.
    target : Tensor, optional
        Encoded targets, one row per document. Without it, for prediction, all are zero.
    weight : Tensor of shape (documents,), optional
        How much each document counts.
    batch_size : int
        Documents per batch. A last batch of a single one, on which batch norm would fail, joins
        another.
    shuffle : bool
        Whether epoch and seed choose other neighbours for each document, and the batches' order.
        The first epoch begins with its largest batch, so that a lack of memory shows at once.
        Without it the longest documents come first; ``order`` says which.
    device : torch.device
        Where the batches are wanted.
    max_tokens_per_batch : int, optional
        Batches of long documents have fewer rows, so that rows times longest does not exceed this;
        two rows they have anyhow, and a last batch may have one or two more, which would have been
        too few for one of their own. How many batches there are does not depend on the epoch.

    Raises
    ------
    ParameterError
        If numbers are too small, or there are more or fewer targets or weights than documents.

    Examples
    --------
    >>> documents = Documents.of([[2, 3], [2, 9, 9, 3], [2, 9, 3]])
    >>> batches = DocumentBatches(documents, torch.tensor([0, 1, 1]), batch_size=8)
    >>> batch = next(batches.walk(0, seed=0))
    >>> batch.inputs[0].tolist()
    [[2, 9, 9, 3], [2, 9, 3, 1], [2, 3, 1, 1]]
    >>> batch.inputs[1].tolist(), batch.target.tolist(), batches.order.tolist()
    ([4, 3, 2], [1, 1, 0], [1, 2, 0])
    """

    def __init__(
        self,
        documents: Documents | DocumentView,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        device: torch.device | None = None,
        max_tokens_per_batch: int | None = None,
    ) -> None:
        _check(len(documents), target, weight, batch_size, max_tokens_per_batch)
        self.documents = DocumentView.of(documents)
        self.device = torch.device("cpu") if device is None else device
        self.target = (torch.zeros(len(documents)) if target is None else target).to(self.device)
        self.weight = None if weight is None else weight.to(self.device)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_tokens_per_batch = max_tokens_per_batch
        self._lengths = self.documents.lengths
        self._on_device: _OnDevice | None = None
        if self.device.type == "cuda" and isinstance(documents, Documents):
            ids = torch.empty(documents.n_tokens, dtype=torch.int32, device="meta")
            if fits_on(self.device, ids):
                self._on_device = _OnDevice(documents, self.device)
        self._rank, self._size = 0, 1
        self._levels = self._find_levels()
        self._edges = self._find_edges()

    @property
    def n_rows(self) -> int:
        """How many documents a walk visits, in all processes together."""
        return len(self._lengths)

    def __len__(self) -> int:
        return len(self._edges) - 1

    @property
    def order(self) -> NDArray[np.int64]:
        """Which document each row of a walk in order is, one batch laid behind the other.

        Raises
        ------
        ParameterError
            If the batches are shuffled: then it differs from epoch to epoch.
        """
        if self.shuffle:
            raise ParameterError("shuffled batches have another order in every epoch")
        return np.argsort(-self._lengths, kind="stable")

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number ``start`` on.

        Parameters
        ----------
        epoch, seed : int
            Fix which documents stand together, and the order of the batches, if they are shuffled.
        start : int
            Batches to leave out at the beginning.

        Yields
        ------
        Batch
        """
        if self.shuffle:
            rows, bounds = self._shuffled(epoch, seed)
        else:
            rows, bounds = self.order, list(pairwise(self._edges))
        lengths = torch.from_numpy(self._lengths[rows])
        chosen = torch.from_numpy(rows)
        if self.device.type == "cuda":  # pinned, else the GPU would be waited for with every copy
            lengths, chosen = lengths.pin_memory(), chosen.pin_memory()
        chosen = chosen.to(self.device, non_blocking=True)
        for begin, end in bounds[start:]:
            own = slice(begin + self._rank, end, self._size)
            yield Batch(
                (self._tokens(rows[own], chosen[own], lengths[own]), lengths[own]),
                self.target[chosen[own]],
                None if self.weight is None else self.weight[chosen[own]],
                None if self._size == 1 else self._total(chosen[begin:end]),
            )

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part of the batches, which are ``size`` times as large together."""
        part = type(self).__new__(type(self))
        part.__dict__.update(self.__dict__)  # the tensors are shared, not copied to the GPU anew
        part._rank, part._size = rank, size
        part._levels = part._find_levels()
        part._edges = part._find_edges()
        return part

    def fingerprint(self) -> str:
        """Return what tells these documents, targets, weights and batches from others."""
        checksum = 0
        for tensor in (self.target, *([] if self.weight is None else [self.weight])):
            if tensor.numel():
                content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
                checksum = crc32(content.numpy().data, checksum)
        order = "shuffled" if self.shuffle else "in order"
        limit = self.max_tokens_per_batch
        return (
            f"{self.documents.fingerprint()}, batch size {self.batch_size}, {order}, "
            f"{'' if limit is None else f'at most {limit} tokens, '}targets {checksum:08x}"
        )

    # -- which documents stand together ------------------------------------------------------

    def _find_levels(self) -> "list[_Level]":
        """Cut the documents by falling length into ranges, each with its number of rows per batch.

        The ranges are filled by whole batches, and they hold the same lengths in every epoch. So
        whichever documents share a batch, it respects the limit, and the batches are as many.
        """
        if self.max_tokens_per_batch is None:
            return [_Level(0, self.n_rows, self.batch_size)] if self.n_rows else []
        falling = np.sort(self._lengths)[::-1]
        levels: list[_Level] = []
        begin = 0
        while begin < self.n_rows:
            longest = int(falling[begin])
            size, below = _rows_allowed(longest, self.batch_size, self.max_tokens_per_batch)
            n_long = int(np.searchsorted(-falling, -below))  # those that allow no more rows
            step = size * self._size
            end = min(begin + -(-(n_long - begin) // step) * step, self.n_rows)
            if size == self.batch_size or self.n_rows - end < 2 * self._size:
                end = self.n_rows
            levels.append(_Level(begin, end, size))
            begin = end
        return levels

    def _find_edges(self) -> list[int]:
        """Where every batch begins among the documents by falling length, and the last one ends."""
        edges = [0]
        for level in self._levels:
            starts = batch_starts(level.end - level.begin, level.batch_size, self._size)
            edges += [level.begin + start for start in starts[1:]]
        return edges

    def _shuffled(self, epoch: int, seed: int) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
        """All rows, batch by batch, and where the batches begin and end in the epoch's order."""
        lengths = self._lengths
        places = batch_order(self.n_rows, epoch, seed).numpy()
        jittered = lengths * (1.0 + _JITTER * (2.0 * places / max(self.n_rows, 1) - 1.0))
        # Of equally long documents, others stand at the edge of a level in every epoch.
        rows = np.lexsort((places, -lengths))
        for level in self._levels:
            part = rows[level.begin : level.end]
            rows[level.begin : level.end] = part[np.lexsort((places[part], -jittered[part]))]
        batch = np.repeat(np.arange(len(self)), np.diff(self._edges))
        rows = rows[np.lexsort((-lengths[rows], batch))]
        bounds = list(pairwise(self._edges))
        bounds = [bounds[number] for number in batch_order(len(bounds), epoch, ~seed).tolist()]
        if epoch == 0 and bounds:
            areas = [(end - begin) * lengths[rows[begin]] for begin, end in bounds]
            bounds.insert(0, bounds.pop(int(np.argmax(areas))))
        return rows, bounds

    # -- one batch ---------------------------------------------------------------------------

    def _tokens(self, rows: NDArray[np.int64], chosen: Tensor, lengths: Tensor) -> Tensor:
        longest = int(lengths[0]) if len(lengths) else 0  # they fall
        if self._on_device is not None:
            return self._on_device.gather(chosen, lengths, longest)
        from tabtext.text.kernels.padding import fill_padded  # numba: not to load a model

        tokens = torch.empty((len(rows), longest), dtype=torch.int32)
        view = self.documents
        fill_padded(
            view.ids, view.begins, view.lengths, rows, view.backward, PADDING_ID, tokens.numpy()
        )
        if self.device.type == "cuda":
            tokens = tokens.pin_memory().to(self.device, non_blocking=True)
        return tokens

    def _total(self, rows: Tensor) -> float | Tensor:
        """Weight of the rows of all processes."""
        if self.weight is None:
            return float(len(rows))
        return self.weight[rows].sum().clamp_min(torch.finfo(self.weight.dtype).tiny)


@dataclass(frozen=True)
class _Level:
    """A range of the documents by falling length whose batches have the same number of rows."""

    begin: int
    end: int
    batch_size: int


class _OnDevice:
    """Documents in a GPU's memory."""

    def __init__(self, documents: Documents, device: torch.device) -> None:
        self.ids = torch.tensor(np.asarray(documents.ids), dtype=torch.int32, device=device)
        self.offsets = torch.tensor(np.asarray(documents.offsets), device=device)

    def gather(self, rows: Tensor, lengths: Tensor, longest: int) -> Tensor:
        """The rows' ids, with padding behind; nothing here waits for the GPU."""
        if not longest:
            return self.ids.new_empty((len(rows), 0))
        columns = torch.arange(longest, device=self.ids.device)
        places = (self.offsets[rows, None] + columns).clamp_(max=len(self.ids) - 1)
        behind = columns >= lengths.to(self.ids.device, non_blocking=True)[:, None]
        return self.ids[places].masked_fill_(behind, PADDING_ID)


def _rows_allowed(longest: int, batch_size: int, limit: int) -> tuple[int, int]:
    """How many rows a batch with such a document has, and up to which length it would have more.

    The numbers to choose from fall by a quarter, so that there are few.
    """
    size, below = batch_size, 0
    while size > 2 and size * longest > limit:
        below = limit // size
        size = max(size * 3 // 4, 2)
    return size, below


def _check(
    n_rows: int, target: Any, weight: Any, batch_size: int, max_tokens_per_batch: int | None
) -> None:
    if batch_size < 1:
        raise ParameterError(f"batch_size must be at least 1, however: {batch_size=}")
    if max_tokens_per_batch is not None and max_tokens_per_batch < 1:
        raise ParameterError(
            f"max_tokens_per_batch must be at least 1, however: {max_tokens_per_batch=}"
        )
    for name, given in (("target", target), ("weight", weight)):
        if given is not None and len(given) != n_rows:
            raise ParameterError(
                f"{len(given)} rows of {name} for {n_rows} documents; give as many"
            )
