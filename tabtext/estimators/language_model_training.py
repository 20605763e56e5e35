"""Documents into a trained language model: network, batches, trainer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tabtext.errors import DataError
from tabtext.estimators.text_batches.scoring import ScoringBatches
from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.language_model import LanguageModelNetwork, LanguageModelTask
from tabtext.training.batches import Batches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.history import History
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.streaming import StreamedBatches
from tabtext.training.trainer import Trainer

__all__ = ["LanguageModelRun", "train_language_model"]


@dataclass(frozen=True, kw_only=True)
class LanguageModelRun:
    """How one network is trained.

    Parameters
    ----------
    options : TrainingOptions
        Epochs, rates, schedule and so on.
    n_streams : int
        Streams that the corpus is cut into: the batch size.
    bptt : int
        Tokens of a step in each stream.
    device : torch.device
        Where to train.
    callbacks : sequence of Callback
        What else watches.
    checkpoints : Checkpoints or None
        Where the run saves itself.
    resume : bool
        Whether to go on from there.
    """

    options: TrainingOptions
    n_streams: int
    bptt: int
    device: torch.device
    callbacks: Sequence[Callback] = ()
    checkpoints: Checkpoints | None = None
    resume: bool = False


def train_language_model(
    network: LanguageModelNetwork,
    train: Documents | DocumentView,
    valid: Documents | DocumentView | None,
    run: LanguageModelRun,
) -> History:
    """Train a network on documents laid end to end, and judge it document by document.

    Parameters
    ----------
    network : LanguageModelNetwork
        Has the weights of its best epoch afterwards.
    train : Documents or DocumentView
        What to learn from.
    valid : Documents, DocumentView or None
        What to choose the best epoch by.
    run : LanguageModelRun
        How.

    Raises
    ------
    DataError
        If the documents have too few tokens.
    """
    batches = StreamBatches(train, batch_size=run.n_streams, bptt=run.bptt)
    scoring = None if valid is None else ScoringBatches(valid, run.device)
    with seeded(run.options.seed, run.device):
        task = LanguageModelTask(network, batches.n_streams).to(run.device)

        on_device: Batches = batches
        if run.device.type == "cuda":
            on_device = StreamedBatches(batches, run.device)
        trainer = Trainer(
            task,
            _own_loss,
            options=run.options,
            score=None if scoring is None else scoring.score,
            callbacks=run.callbacks,
            checkpoints=run.checkpoints,
            settings={"bptt": run.bptt, **network.config()},
        )
        history = trainer.fit(on_device, scoring, resume=run.resume)
    if not history.epochs:
        raise DataError(f"training was stopped before its first epoch: {history.stopped}")
    network.eval()
    return history


def _own_loss(losses: Tensor, target: Tensor) -> Tensor:
    """A language model's task computes its losses itself, so as not to keep its logits."""
    del target
    return losses
