"""A language model as one would write it by hand in PyTorch: LSTMs, a tied decoder, AdamW."""

import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

RATE = 1e-3
CUTOFFS = (2_000, 10_000)
"""Where the adaptive softmax cuts a vocabulary in the order of frequency."""


class BareLanguageModel(nn.Module):
    """Embedding, layer after layer of ``nn.LSTM``, and the loss of the next tokens.

    Parameters
    ----------
    vocabulary_size : int
        Number of tokens, sorted by frequency.
    size : dict
        ``embedding``, ``hidden`` and ``layers``.
    softmax : str
        ``""`` for the tied decoder with ``F.cross_entropy``; ``"adaptive softmax"``; or
        ``"tabtext's loss"``.
    """

    def __init__(self, vocabulary_size: int, size: dict[str, int], softmax: str) -> None:
        super().__init__()
        self.softmax = softmax
        width = size["embedding"]
        widths = [width, *[size["hidden"]] * (size["layers"] - 1), width]
        self.embedding = nn.Embedding(vocabulary_size, width)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.layers = nn.ModuleList(nn.LSTM(before, after) for before, after in pairwise(widths))
        if softmax == "adaptive softmax":
            cutoffs = [cutoff for cutoff in CUTOFFS if cutoff < vocabulary_size]
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary_size, cutoffs)
        else:
            self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, tokens: Tensor, targets: Tensor, states: list[Any]) -> tuple[Tensor, list]:
        """Return the mean loss and the layers' states; ``tokens`` are (length, streams)."""
        hidden = self.embedding(tokens)
        new_states = []
        for layer, state in zip(self.layers, states, strict=True):
            hidden, state = layer(hidden, state)
            new_states.append(tuple(part.detach() for part in state))
        return self.loss(hidden.flatten(0, 1), targets.flatten()), new_states

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of the targets; ``hidden`` is (tokens, width)."""
        if self.softmax == "adaptive softmax":
            return self.adaptive(hidden, targets).loss
        if self.softmax == "tabtext's loss":
            from tabtext.text.softmax.cross_entropy import linear_cross_entropy

            return linear_cross_entropy(hidden, self.embedding.weight, self.bias, targets)
        logits = functional.linear(hidden, self.embedding.weight, self.bias)
        return functional.cross_entropy(logits, targets)


class BareTraining:
    """Train it, a turn at a time.

    Parameters
    ----------
    settings : dict
        Size, ``vocabulary``, ``device`` and ``precision``.
    softmax : str
        As for ``BareLanguageModel``.
    """

    def __init__(self, settings: dict[str, Any], softmax: str) -> None:
        torch.manual_seed(0)
        self.device = torch.device(settings["device"])
        self.is_mixed = settings["precision"] == "bf16"
        self.model = BareLanguageModel(settings["vocabulary"], settings, softmax).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, fused=True)
        self.states: list[Any] = [None] * settings["layers"]

    def windows(self, ids: np.ndarray, batch_size: int, bptt: int) -> list[tuple[Tensor, Tensor]]:
        """Cut ids into streams, and the streams into windows with the tokens that follow."""
        length = (len(ids) - 1) // batch_size
        ids = torch.from_numpy(ids[: batch_size * length + 1].astype(np.int64)).to(self.device)
        tokens, targets = (
            part.view(batch_size, length).T.contiguous().split(bptt) for part in (ids[:-1], ids[1:])
        )
        return list(zip(tokens, targets, strict=True))

    def train(self, windows: list[tuple[Tensor, Tensor]]) -> float:
        """A step on every window; return the seconds."""
        started = self._now()
        for tokens, targets in windows:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_mixed):
                loss, self.states = self.model(tokens, targets, self.states)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        return self._now() - started

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
