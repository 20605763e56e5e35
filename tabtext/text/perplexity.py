"""How well a language model predicts documents: every token scored once, whatever the batches.

Documents flow in; the sum of the losses of each, and its number of scored tokens, flow out. A
document begins in a fresh state, so its loss depends on nothing but itself; its first token, which
begins every document, is given and not scored.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tabtext.errors import DataError
from tabtext.progress import step
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.special_tokens import PADDING_ID

if TYPE_CHECKING:
    from tabtext.text.language_model import LanguageModelNetwork

__all__ = ["Scores", "evaluating", "padded_documents", "row_losses", "score_documents"]

_POSITIONS_AT_ONCE = 8192
"""Rows times tokens that go through the network at once: what bounds the memory of long texts."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What a language model made of each document.

    Parameters
    ----------
    losses : float64 array of shape (documents,)
        Sum of the negative log-probabilities of a document's tokens, in nats.
    counts : int64 array of shape (documents,)
        How many tokens were scored: all but the first.

    Examples
    --------
    >>> scores = Scores(np.log([4.0, 64.0]), np.array([1, 3]))
    >>> round(scores.perplexity, 6), scores.n_tokens
    (4.0, 4)
    """

    losses: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def n_tokens(self) -> int:
        """Number of scored tokens in all documents together."""
        return int(self.counts.sum())

    @property
    def loss(self) -> float:
        """Mean negative log-probability of a token, in nats."""
        return float(self.losses.sum()) / self.n_tokens

    @property
    def perplexity(self) -> float:
        """Exponential of the loss: among how many words the model is undecided on average."""
        return exp(self.loss)


def score_documents(
    network: "LanguageModelNetwork",
    documents: Documents | DocumentView,
    *,
    tokens_at_once: int = 65_536,
) -> Scores:
    """Return the loss of every document, as exactly as single precision allows.

    Parameters
    ----------
    network : LanguageModelNetwork
        Used in evaluation mode, where it is; its mode is afterwards as it was.
    documents : Documents or DocumentView
        Ids of the network's vocabulary; they may be mapped from a file, and stay there.
    tokens_at_once : int
        Rows times longest of a batch; documents of similar length share one. A longer document
        makes a batch of its own, and all go through the network in pieces.

    Raises
    ------
    DataError
        If no document has a token to predict.

    Examples
    --------
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> from tabtext.text.language_model import LanguageModelNetwork
    >>> options = EncoderOptions(embedding_width=4, hidden_width=4, n_layers=1)
    >>> network = LanguageModelNetwork(11, options)
    >>> scores = score_documents(network, Documents.of([[2, 9, 3], [2, 3]]))
    >>> scores.counts.tolist(), 9 < scores.perplexity < 13  # it has learned nothing yet
    ([2, 1], True)
    """
    documents = DocumentView.of(documents)
    counts = np.maximum(documents.lengths - 1, 0)
    if not counts.any():
        raise DataError(f"{documents} hold no token that could be predicted")
    losses = np.zeros(len(documents))
    device = next(network.parameters()).device
    done, total = 0, len(documents)
    with evaluating(network), step("scoring texts") as progress:
        for rows, tokens in padded_documents(documents, tokens_at_once=tokens_at_once):
            placed = tokens.to(device)
            sums, _ = row_losses(network, placed[:, :-1], placed[:, 1:])
            losses[rows] = sums.cpu().numpy()
            done += len(rows)
            progress(done, total)
    return Scores(losses, counts)


@torch.no_grad()
def row_losses(
    network: "LanguageModelNetwork", tokens: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the sum of the losses of every row, and its number of targets.

    Parameters
    ----------
    network : LanguageModelNetwork
        In evaluation mode.
    tokens, targets : int Tensor of shape (rows, length)
        What is read, from a fresh state, and what should have been foreseen; padding is not scored.

    Returns
    -------
    sums : float64 Tensor of shape (rows,)
    counts : int64 Tensor of shape (rows,)
    """
    state = network.encoder.initial_state(len(tokens))
    sums = torch.zeros(len(tokens), dtype=torch.float64, device=tokens.device)
    length = max(_POSITIONS_AT_ONCE // max(len(tokens), 1), 1)
    pieces = torch.split(tokens, length, dim=1), torch.split(targets, length, dim=1)
    for read, wanted in zip(*pieces, strict=True):
        output = network.encoder(read, state)
        state = output.state
        losses = network.token_losses(output.outputs.flatten(0, 1), wanted.flatten())
        losses = losses.view(wanted.shape).masked_fill(wanted == PADDING_ID, 0.0)
        sums += losses.sum(dim=1, dtype=torch.float64)
    return sums, (targets != PADDING_ID).sum(dim=1)


def padded_documents(
    documents: Documents | DocumentView, *, tokens_at_once: int
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yield documents of similar length side by side, padded behind the text, the longest first.

    Parameters
    ----------
    documents : Documents or DocumentView
        Those of fewer than two tokens, in which nothing can be predicted, are left out.
    tokens_at_once : int
        Rows times longest are no more than that, but for a single row.

    Yields
    ------
    rows : int64 array of shape (rows,)
        Which documents they are.
    tokens : int64 Tensor of shape (rows, longest)

    Examples
    --------
    >>> documents = Documents.of([[2, 3], [2, 9, 8, 3], [2, 9, 3]])
    >>> for rows, tokens in padded_documents(documents, tokens_at_once=6):
    ...     print(rows.tolist(), tokens.tolist())
    [1] [[2, 9, 8, 3]]
    [2, 0] [[2, 9, 3], [2, 3, 1]]
    """
    from tabtext.text.kernels.padding import fill_padded

    view = DocumentView.of(documents)
    lengths = view.lengths
    order = np.argsort(-lengths, kind="stable")
    order = order[: int((lengths > 1).sum())]
    begin = 0
    while begin < len(order):
        longest = int(lengths[order[begin]])
        rows = order[begin : begin + max(tokens_at_once // longest, 1)]
        tokens = np.empty((len(rows), longest), np.int64)
        fill_padded(view.ids, view.begins, lengths, rows, view.backward, PADDING_ID, tokens)
        yield rows, torch.from_numpy(tokens)
        begin += len(rows)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and give it its own back.

    Examples
    --------
    >>> network = nn.Dropout()
    >>> with evaluating(network):
    ...     print(network.training)
    False
    >>> network.training
    True
    """
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
