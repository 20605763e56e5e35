"""An encoder of texts and its pooling, as an exporter can write them: for any number of tokens."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from tabtext.export.recurrence import RecurrentProgram
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.pooling import ConcatPooling

__all__ = ["EXAMPLE", "ReadingProgram"]

EXAMPLE = (torch.tensor([[2, 4, 3], [2, 3, 1]]), torch.tensor([3, 2]))
"""Tokens and lengths of two documents."""


class ReadingProgram(nn.Module):
    """What ``read_documents`` returns in evaluation, without chunks and sorting.

    **Shape**

    - Input: token ids ``(rows, longest)`` and lengths ``(rows,)``, int64.
    - Output: ``(rows, 4 * embedding_width)``.

    Parameters
    ----------
    encoder : AWDLSTM
        A copy of it on the CPU is exported.
    """

    def __init__(self, encoder: AWDLSTM) -> None:
        super().__init__()
        copied = deepcopy(encoder).cpu()
        self.embedding = copied.embedding
        self.layers = nn.ModuleList(RecurrentProgram(one) for one in copied.recurrent_layers())
        self.pooling = ConcatPooling()

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return what is pooled of documents."""
        words = self.embedding(tokens.t())
        sequence = words
        for layer in self.layers:
            sequence = layer(sequence)
        pooled: Tensor = self.pooling(sequence.transpose(0, 1), words.transpose(0, 1), lengths)
        return pooled
