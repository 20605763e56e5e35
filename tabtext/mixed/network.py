"""The network for tables that hold texts: encoders read them, the fused half does the rest."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.mixed.fused import FusedEnsemble, FusedNetwork
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.pooling import read_documents

__all__ = ["ColumnReader", "MixedNetwork", "read_column"]

_CHUNK_LENGTH = 48
"""Tokens that all texts of a batch are read at once: a column of titles beside one of descriptions
would else be mostly padding."""


class MixedNetwork(nn.Module):
    """Encoders of texts, and the fused network behind them.

    **Shape**

    - Input: codes ``(rows, n_categorical)``, numbers ``(rows, n_continuous)``, token ids
      ``(rows, n_columns, longest)`` with padding behind the text, and lengths
      ``(rows, n_columns)``, best on the CPU; 0 for a missing text.
    - Output: as that of ``FusedNetwork``.

    Parameters
    ----------
    encoders : sequence of AWDLSTM
        One for all columns of text, or one for each.
    fused : FusedNetwork or FusedEnsemble
        What judges columns and texts together.

    Examples
    --------
    >>> from tabtext.mixed.fused import TextColumns
    >>> from tabtext.tabular.models import TabularEncoder
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> encoder = AWDLSTM(30, EncoderOptions(embedding_width=8, hidden_width=12))
    >>> fused = FusedNetwork(
    ...     TabularEncoder([7], n_continuous=0), TextColumns(2, 32), 1, trunk={"combine": "values"}
    ... )
    >>> network = MixedNetwork([encoder], fused).eval()
    >>> tokens = torch.tensor([[[2, 9, 3], [2, 3, 1]]])
    >>> network(torch.tensor([[3]]), torch.zeros(1, 0), tokens, torch.tensor([[3, 2]])).shape
    torch.Size([1, 1])
    """

    def __init__(self, encoders: Sequence[AWDLSTM], fused: FusedNetwork | FusedEnsemble) -> None:
        super().__init__()
        first = fused.first if isinstance(fused, FusedEnsemble) else fused
        if len(encoders) not in (1, first.texts.n_columns):
            raise ParameterError(
                f"{len(encoders)} encoders for {first.texts.n_columns} columns of text; give one "
                "for all, or one for each"
            )
        self.encoders = nn.ModuleList(encoders)
        self.fused = fused
        self.n_columns = first.texts.n_columns

    def encoder_of(self, column: int) -> AWDLSTM:
        """Return the encoder that reads a column of text."""
        return cast("AWDLSTM", self.encoders[column if len(self.encoders) > 1 else 0])

    def forward(
        self, categorical: Tensor, continuous: Tensor, tokens: Tensor, lengths: Tensor
    ) -> Tensor:
        """Return the raw outputs of a batch."""
        raw: Tensor = self.fused(categorical, continuous, self.read(tokens, lengths))
        return raw

    def read(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return what the encoders tell of texts: ``(rows, n_columns, features + 1)``.

        The last feature is 1, or 0 where the text is missing.
        """
        if len(self.encoders) == 1:  # all texts at once, those of similar length together
            by_text = read_column(self.encoder_of(0), tokens.flatten(0, 1), lengths.flatten())
            return by_text.view(-1, self.n_columns, by_text.shape[1])
        by_column = [
            read_column(self.encoder_of(column), tokens[:, column], lengths[:, column])
            for column in range(self.n_columns)
        ]
        return torch.stack(by_column, dim=1)

    def layer_groups(self) -> list[nn.Module]:
        """Return the parts from the input side to the head.

        First those of the encoders (word vectors, each layer), then those of the fused half: the
        inputs of tables and texts, each block, the heads. So ``freeze_to`` with the number of the
        encoder's groups freezes the encoders alone.
        """
        depths = zip(
            *(cast("AWDLSTM", encoder).layer_groups() for encoder in self.encoders), strict=True
        )
        return [*(nn.ModuleList(parts) for parts in depths), *self.fused.layer_groups()]

    @property
    def n_encoder_groups(self) -> int:
        """How many layer groups the encoders have."""
        return len(self.encoder_of(0).layer_groups())

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON."""
        encoders = [cast("AWDLSTM", encoder).config() for encoder in self.encoders]
        return {"encoders": encoders, "fused": self.fused.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a network of the same architecture; its values come with ``load_state_dict``."""
        encoders = [AWDLSTM.from_config(encoder) for encoder in config["encoders"]]
        kind = FusedEnsemble if "networks" in config["fused"] else FusedNetwork
        return cls(encoders, kind.from_config(config["fused"]))


def read_column(encoder: AWDLSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return what an encoder tells of documents ``(rows, features)``, and whether they are there.

    Parameters
    ----------
    encoder, tokens, lengths
        See ``tabtext.text.pooling.read_documents``.
    """
    features = read_documents(encoder, tokens, lengths, chunk_length=_CHUNK_LENGTH)
    is_there = (lengths > 0).to(features)[:, None]
    return torch.cat([features, is_there], dim=1)


class ColumnReader:
    """One column of text of a single row, to be explained with all else of the row as it is.

    Parameters
    ----------
    network : MixedNetwork
        Reads and judges.
    column : int
        Which of the columns of text.
    categorical, continuous, pooled : Tensor
        The row, and what was read of its texts: each with one row.
    """

    def __init__(
        self,
        network: MixedNetwork,
        column: int,
        categorical: Tensor,
        continuous: Tensor,
        pooled: Tensor,
    ) -> None:
        self.network, self.column = network, column
        self.encoder = network.encoder_of(column)
        self.n_outputs = network.fused.n_outputs
        self._row = categorical, continuous, pooled

    def eval(self) -> None:
        """Put the network into evaluation mode."""
        self.network.eval()

    def judge(self, encoder: AWDLSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the raw outputs of the row with other texts in the column."""
        own = read_column(encoder, tokens, lengths)
        categorical, continuous, pooled = (
            part.expand(len(tokens), *part.shape[1:]) for part in self._row
        )
        texts = [pooled[:, : self.column], own[:, None], pooled[:, self.column + 1 :]]
        raw: Tensor = self.network.fused(categorical, continuous, torch.cat(texts, dim=1))
        return raw
