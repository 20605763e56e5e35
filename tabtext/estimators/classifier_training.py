"""Labelled documents into a trained text network: batches, trainer, predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from tabtext.errors import DataError
from tabtext.estimators.samples import EncodedSample, PreparedRows
from tabtext.estimators.text_batches.documents import DocumentBatches
from tabtext.progress import track
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.training.batch_norm import FreshStatistics
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.history import History
from tabtext.training.losses import Loss
from tabtext.training.metrics import METRICS
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.targets import Target
from tabtext.training.trainer import Trainer

__all__ = ["ClassifierRun", "in_direction", "predict_documents", "train_classifier"]

_ROWS_PER_PREDICTION = 64
_TOKENS_PER_BATCH = 64 * 1024  # bounds the memory of a batch of long documents


@dataclass(frozen=True, kw_only=True)
class ClassifierRun:
    """How a text network is trained, whatever its direction.

    Parameters
    ----------
    options : TrainingOptions
        Epochs, rates, schedule and so on.
    batch_size : int
        Documents per step.
    device : torch.device
        Where to train.
    target : Target
        What is predicted.
    row_loss : callable
        The loss of every row.
    settings : mapping
        What else a checkpoint must have been trained with.
    callbacks : sequence of Callback
        What else watches.
    resume : bool
        Whether to go on from the newest checkpoint.
    """

    options: TrainingOptions
    batch_size: int
    device: torch.device
    target: Target
    row_loss: Loss
    settings: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Sequence[Callback] = ()
    resume: bool = False


def train_classifier(
    network: TextClassifierNetwork,
    rows: PreparedRows[Documents],
    direction: str,
    run: ClassifierRun,
    checkpoints: Checkpoints | None,
) -> History:
    """Train a network on documents; it has the weights of its best epoch afterwards.

    Parameters
    ----------
    network : TextClassifierNetwork
        New, or with a pre-trained encoder.
    rows : PreparedRows
        Documents and encoded targets, to learn from and to validate on.
    direction : {"forward", "backward"}
        Which way the network reads.
    run : ClassifierRun
        How to train.
    checkpoints : Checkpoints or None
        Where the run saves itself.
    """
    network.to(run.device)
    batches = _batches(rows.train, direction, run.batch_size, run.device, shuffle=True)
    valid = None
    if rows.valid is not None:
        valid = _batches(rows.valid, direction, _ROWS_PER_PREDICTION, run.device, shuffle=False)

    def score(raw: Tensor) -> dict[str, float]:
        if rows.valid is None or valid is None:
            return {}
        outputs = run.target.outputs(in_order(raw, valid.order))
        truth, weight = rows.valid.truth, rows.valid.weight
        metrics = METRICS[run.target.task]
        return {m.name: m.function(truth, outputs, weight) for m in metrics}

    def loss(raw: Tensor, codes: Tensor) -> Tensor:
        return run.row_loss(run.target.activate(raw), codes)

    with seeded(run.options.seed, run.device):
        trainer = Trainer(
            network,
            loss,
            options=run.options,
            score=score,
            callbacks=(FreshStatistics(), *run.callbacks),
            checkpoints=checkpoints,
            settings={**run.settings, "direction": direction, **network.config()},
        )
        history = trainer.fit(batches, valid, resume=run.resume)
    if not history.epochs:
        raise DataError(f"training was stopped before its first epoch: {history.stopped}")
    return history


@torch.inference_mode()
def predict_documents(network: TextClassifierNetwork, documents: Documents) -> Tensor:
    """Return raw outputs ``(documents, outputs)`` on the CPU, in the order of the documents.

    A document's outputs do not depend on what else is predicted with it, beyond rounding.

    Parameters
    ----------
    network : TextClassifierNetwork
        Stays on its device.
    documents : Documents
        In the direction in which the network reads.
    """
    network.eval()
    device = next(network.parameters()).device
    if not len(documents):
        return torch.zeros(0, network.n_outputs)
    batches = DocumentBatches(
        documents,
        batch_size=_ROWS_PER_PREDICTION,
        device=device,
        max_tokens_per_batch=_TOKENS_PER_BATCH,
    )
    walk = track(batches.walk(0, seed=0), "predicting", total=len(batches))
    raw = [network(*batch.inputs).cpu() for batch in walk]
    return in_order(torch.cat(raw), batches.order)


def in_order(raw: Tensor, order: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
    """Return rows in the order of the documents; row ``i`` of ``raw`` is document ``order[i]``.

    Examples
    --------
    >>> in_order(torch.tensor([[2.0], [0.0], [1.0]]), np.array([2, 0, 1])).flatten()
    tensor([0., 1., 2.])
    """
    placed = torch.empty_like(raw)
    placed[torch.from_numpy(np.asarray(order, np.int64))] = raw
    return placed


class _Reversible(Protocol):
    def reversed(self) -> Self: ...


Readable = TypeVar("Readable", bound=_Reversible)
"""``Documents`` or ``DocumentView``."""


def in_direction(documents: Readable, direction: str) -> Readable:
    """Return the documents as a network of this direction reads them."""
    return documents.reversed() if direction == "backward" else documents


def _batches(
    sample: EncodedSample[Documents],
    direction: str,
    batch_size: int,
    device: torch.device,
    *,
    shuffle: bool,
) -> DocumentBatches:
    weight = None if sample.weight is None else torch.from_numpy(sample.weight)
    return DocumentBatches(
        in_direction(sample.encoded, direction),
        torch.from_numpy(sample.codes),
        weight,
        batch_size=batch_size,
        shuffle=shuffle,
        device=device,
        max_tokens_per_batch=_TOKENS_PER_BATCH,
    )
