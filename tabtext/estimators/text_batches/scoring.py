"""Documents to be scored by a language model: each from its own beginning, every token once."""

from collections.abc import Iterator
from math import exp
from typing import Self

import numpy as np
import torch
from torch import Tensor

from tabtext.estimators.text_batches.documents import DocumentBatches
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.training.batches import Batch

__all__ = ["ScoringBatches"]

_LARGEST_LOSS = 700.0  # its exponential is nearly the largest number there is


class ScoringBatches:
    """What validates a language model during its training.

    A batch's inputs are those of ``LanguageModelTask``; its weights are the numbers of tokens that
    each document has to predict, so that the weighted mean of the documents' losses is the loss of
    a token.

    Parameters
    ----------
    documents : Documents or DocumentView
        Token ids.
    device : torch.device
        Where the batches are wanted.
    batch_size : int
        Documents per batch, at most.
    max_tokens_per_batch : int
        Bounds the memory of batches of long documents.

    Examples
    --------
    >>> documents = Documents.of([[2, 9, 9, 3], [2, 3]])
    >>> batch = next(ScoringBatches(documents, torch.device("cpu")).walk(0, seed=0))
    >>> batch.inputs[0].tolist(), batch.inputs[1].tolist(), batch.weight.tolist()
    ([[2, 9, 9], [2, 3, 1]], [[9, 9, 3], [3, 1, 1]], [3.0, 1.0])
    """

    def __init__(
        self,
        documents: Documents | DocumentView,
        device: torch.device,
        *,
        batch_size: int = 64,
        max_tokens_per_batch: int = 1 << 16,
    ) -> None:
        self._batches = DocumentBatches(
            documents,
            batch_size=batch_size,
            device=device,
            max_tokens_per_batch=max_tokens_per_batch,
        )

    def score(self, losses: Tensor) -> dict[str, float]:
        """Return the perplexity, from every document's mean loss in the order of the walk."""
        lengths = self._batches.documents.lengths[self._batches.order]
        counts = torch.from_numpy(np.maximum(lengths - 1, 0)).double()
        mean = float((losses.double() * counts).sum() / counts.sum().clamp_min(1.0))
        return {"perplexity": exp(min(mean, _LARGEST_LOSS))}

    @property
    def n_rows(self) -> int:
        """How many documents a walk visits."""
        return self._batches.n_rows

    def __len__(self) -> int:
        return len(self._batches)

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches, always the same ones."""
        for batch in self._batches.walk(epoch, seed=seed, start=start):
            tokens, lengths = batch.inputs
            lengths = lengths.to(tokens.device)
            rows = torch.arange(len(tokens), device=tokens.device)
            fresh = torch.ones_like(rows, dtype=torch.bool)
            inputs = (tokens[:, :-1], tokens[:, 1:].long(), rows, fresh)
            yield Batch(inputs, lengths, (lengths - 1).clamp_min(0).float())

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part."""
        part = object.__new__(type(self))
        part._batches = self._batches.shard(rank, size)
        return part

    def fingerprint(self) -> str:
        """Return a text that other documents would not have."""
        return self._batches.fingerprint()
