"""Rows with texts in batches, and what encoders make of many texts at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.estimators.samples import EncodedSample
from tabtext.estimators.text_batches.documents import DocumentBatches
from tabtext.mixed.network import read_column
from tabtext.mixed.rows import MixedRows
from tabtext.progress import step
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.special_tokens import PADDING_ID
from tabtext.training.batches import Batch, TensorBatches

__all__ = ["TokenBatches", "pooled_texts", "row_tensors"]

_DOCUMENTS_AT_ONCE = 64
_TOKENS_AT_ONCE = 64 * 1024


def row_tensors(rows: MixedRows) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes, numbers and pooled texts as tensors, which share memory with the arrays."""
    if rows.pooled is None:
        raise ValueError("the texts were not read yet; see pooled_texts")
    parts = rows.tabular.categorical, rows.tabular.continuous, rows.pooled
    categorical, continuous, pooled = map(torch.from_numpy, parts)
    return categorical, continuous, pooled


@torch.inference_mode()
def pooled_texts(encoders: Sequence[AWDLSTM], texts: Sequence[Documents]) -> NDArray[np.float32]:
    """Return what encoders tell of all texts: ``(rows, columns, features + 1)``.

    Texts of similar length are read together, column by column.

    Parameters
    ----------
    encoders : sequence of AWDLSTM
        One for all columns, or one for each; they stay on their device, and are put into
        evaluation mode.
    texts : sequence of Documents
        One set for each column.
    """
    of_columns = list(encoders) * len(texts) if len(encoders) == 1 else encoders
    total = sum(int(np.count_nonzero(documents.lengths)) for documents in texts)
    columns: list[NDArray[np.float32]] = []
    with step("reading texts") as progress:
        done = 0
        for encoder, documents in zip(of_columns, texts, strict=True):
            pooled = np.zeros((len(documents), 4 * encoder.options.embedding_width + 1), np.float32)
            for rows, features in _read(encoder.eval(), documents):
                pooled[rows] = features
                done += len(rows)
                progress(done, total)
            columns.append(pooled)
    return np.stack(columns, axis=1)


def _read(
    encoder: AWDLSTM, documents: Documents
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Yield which documents were read, and what an encoder tells of them; missing ones never."""
    there = np.flatnonzero(documents.lengths)
    batches = DocumentBatches(
        documents.take(there),
        batch_size=_DOCUMENTS_AT_ONCE,
        device=encoder.embedding.weight.device,
        max_tokens_per_batch=_TOKENS_AT_ONCE,
    )
    order, begin = there[batches.order], 0
    for batch in batches.walk(0, seed=0):
        rows = order[begin : begin + len(batch)]
        yield rows, read_column(encoder, *batch.inputs).float().cpu().numpy()
        begin += len(rows)


class TokenBatches:
    """Walk over rows whose texts are read anew: batches for ``MixedNetwork``.

    A batch's inputs are codes, numbers, token ids ``(rows, columns, longest)`` on the device, and
    lengths ``(rows, columns)`` on the CPU, where a network reads them without waiting for a GPU.

    Parameters
    ----------
    sample : EncodedSample of MixedRows
        Rows, targets and weights.
    batch_size : int
        Rows per batch.
    shuffle : bool
        Whether every epoch takes the rows in an order of its own.
    device : torch.device
        Where the batches are wanted.
    """

    def __init__(
        self,
        sample: EncodedSample[MixedRows],
        *,
        batch_size: int,
        shuffle: bool,
        device: torch.device,
    ) -> None:
        self.texts, self.device = sample.encoded.texts, device
        table = sample.encoded.tabular
        self._rows = TensorBatches(
            (
                torch.from_numpy(table.categorical),
                torch.from_numpy(table.continuous),
                torch.arange(len(sample)),
            ),
            torch.from_numpy(sample.codes),
            None if sample.weight is None else torch.from_numpy(sample.weight),
            batch_size=batch_size,
            shuffle=shuffle,
        )

    @property
    def n_rows(self) -> int:
        """How many rows a walk visits, in all processes together."""
        return self._rows.n_rows

    def __len__(self) -> int:
        return len(self._rows)

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number ``start`` on."""
        for batch in self._rows.walk(epoch, seed=seed, start=start):
            categorical, continuous, rows = batch.inputs
            tokens, lengths = self._tokens(rows.numpy())
            yield replace(
                batch,
                inputs=(self._sent(categorical), self._sent(continuous), tokens, lengths),
                target=self._sent(batch.target),
                weight=None if batch.weight is None else self._sent(batch.weight),
                total=self._sent(batch.total) if isinstance(batch.total, Tensor) else batch.total,
            )

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part of the batches, which are ``size`` times as large together."""
        part = type(self).__new__(type(self))
        part.texts, part.device = self.texts, self.device
        part._rows = self._rows.shard(rank, size)
        return part

    def fingerprint(self) -> str:
        """Return what tells these rows, texts, targets and weights from others."""
        texts = "; ".join(documents.fingerprint() for documents in self.texts)
        return f"{self._rows.fingerprint()}; {texts}"

    def _tokens(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        from tabtext.text.kernels.padding import fill_padded  # numba: not to load a model

        lengths = np.stack([documents.lengths[rows] for documents in self.texts], axis=1)
        longest = int(lengths.max(initial=1))
        tokens = np.empty((len(self.texts), len(rows), longest), np.int32)
        for documents, out in zip(self.texts, tokens, strict=True):
            begins = documents.offsets[:-1]
            fill_padded(documents.ids, begins, documents.lengths, rows, False, PADDING_ID, out)
        by_row = torch.from_numpy(tokens).transpose(0, 1).contiguous()
        return self._sent(by_row), torch.from_numpy(lengths)

    def _sent(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)
