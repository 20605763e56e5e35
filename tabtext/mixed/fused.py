"""The half of the network behind the encoders: columns and what was read of texts, to outputs.

Codes, numbers and pooled texts go in, logits or values come out. As long as the encoders of the
texts are frozen, this half is all that learns, from texts that were read once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tabtext.dropout import Dropout
from tabtext.errors import ParameterError
from tabtext.tabular.members import Combine, MemberTrunk, combine_members
from tabtext.tabular.models import TabularEncoder

__all__ = ["FusedEnsemble", "FusedNetwork", "TextColumns"]

_BEGINNING = 0.01
"""Size of a text's vector before anything is learned, where a category's begins at the same."""


class TextColumns(nn.Module):
    """What was read of each column of text, made one short vector per column.

    Every column has a linear map of its own, behind a batch norm, which takes away what all texts
    of the column have in common, and dropout. A missing text has a learned vector instead.

    The maps begin near zero, so that the network begins as one for tables, and texts enter as far
    as they help. Of a few thousand rows, vectors of unit size and width 32 made predictions worse
    than those without texts (see ``bench/README.md``).

    **Shape**

    - Input: ``(rows, n_columns, n_features + 1)``; the last feature is 1 where there is a text and
      0 where it is missing.
    - Output: ``(rows, n_columns * width)``.

    Parameters
    ----------
    n_columns, n_features
        Columns of text, and what an encoder tells of each text.
    width
        Width of each column's vector.
    dropout
        Share of the features set to zero in training.

    Examples
    --------
    >>> columns = TextColumns(3, 8, width=2).eval()
    >>> columns(torch.randn(5, 3, 9)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self, n_columns: int, n_features: int, *, width: int = 8, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if min(n_columns, n_features, width) < 1:
            raise ParameterError(
                f"sizes must be at least 1, however: {n_columns=}, {n_features=}, {width=}"
            )
        self.n_columns, self.n_features, self.width = n_columns, n_features, width
        self.batch_norm = nn.BatchNorm1d(n_columns * n_features, affine=False)
        self.dropout = Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(n_columns, n_features, width))
        self.bias = nn.Parameter(torch.empty(n_columns, width))
        self.missing = nn.Parameter(torch.empty(n_columns, width))
        self._settings = {
            "n_columns": int(n_columns),
            "n_features": int(n_features),
            "width": int(width),
            "dropout": float(dropout),
        }
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        self.batch_norm.reset_parameters()
        nn.init.normal_(self.weight, std=_BEGINNING * self.n_features**-0.5)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.missing)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the vectors of all columns side by side."""
        if pooled.ndim != 3 or pooled.shape[1:] != (self.n_columns, self.n_features + 1):
            raise ParameterError(
                f"pooled texts must have the shape (rows, {self.n_columns}, "
                f"{self.n_features + 1}), however: {tuple(pooled.shape)}"
            )
        features, is_there = pooled[..., :-1], pooled[..., -1:]
        features = self.dropout(self.batch_norm(features.flatten(1))).view_as(features)
        by_column = torch.bmm(features.transpose(0, 1), self.weight).transpose(0, 1) + self.bias
        vectors = is_there * by_column + (1 - is_there) * self.missing
        return vectors.flatten(1)

    def config(self) -> dict[str, Any]:
        """Return the arguments, ready for JSON."""
        return dict(self._settings)


class FusedNetwork(nn.Module):
    """Columns and texts in one trunk of members (see ``MemberTrunk``).

    **Shape**

    - Input: codes ``(rows, n_categorical)``, numbers ``(rows, n_continuous)`` and pooled texts
      ``(rows, n_columns, n_features + 1)``.
    - Output: in training ``(rows, members, n_outputs)``; else ``(rows, n_outputs)``, logits or
      values.

    Parameters
    ----------
    encoder
        Makes a vector of the columns that are no texts.
    texts
        Makes a vector of what was read of the texts.
    n_outputs
        Number of outputs.
    trunk
        Further arguments of ``MemberTrunk``.

    Examples
    --------
    >>> network = FusedNetwork(
    ...     TabularEncoder([7], n_continuous=2),
    ...     TextColumns(1, 8),
    ...     1,
    ...     trunk={"combine": "values", "hidden": (16,), "n_members": 4},
    ... )
    >>> batch = torch.tensor([[2], [3]]), torch.randn(2, 2), torch.randn(2, 1, 9)
    >>> network(*batch).shape, network.eval()(*batch).shape
    (torch.Size([2, 4, 1]), torch.Size([2, 1]))
    """

    def __init__(
        self,
        encoder: TabularEncoder,
        texts: TextColumns,
        n_outputs: int,
        *,
        trunk: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.encoder, self.texts = encoder, texts
        n_inputs = encoder.width + texts.n_columns * texts.width
        self.trunk = MemberTrunk(n_inputs, n_outputs, **trunk)

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.trunk.n_outputs

    def forward(self, categorical: Tensor, continuous: Tensor, pooled: Tensor) -> Tensor:
        """Return the raw outputs of a batch."""
        both = [self.encoder(categorical, continuous), self.texts(pooled)]
        raw: Tensor = self.trunk(torch.cat(both, dim=1))
        return raw

    def layer_groups(self) -> list[nn.Module]:
        """Return the parts from the input side to the head: both inputs, each block, heads."""
        return [nn.ModuleList([self.encoder, self.texts]), *self.trunk.layer_groups()]

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON."""
        return {
            "encoder": self.encoder.config(),
            "texts": self.texts.config(),
            "trunk": self.trunk.settings(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a network of the same architecture; its values come with ``load_state_dict``."""
        trunk = dict(config["trunk"])
        n_outputs = trunk.pop("n_outputs")
        encoder = TabularEncoder.from_config(config["encoder"])
        return cls(encoder, TextColumns(**config["texts"]), n_outputs, trunk=trunk)


class FusedEnsemble(nn.Module):
    """Fused networks of several folds or seeds, whose mean predicts; not to be trained.

    Parameters
    ----------
    networks
        At least one; all for the same columns and outputs.
    combine
        How the networks' outputs become one, see ``combine_members``.
    """

    def __init__(self, networks: Sequence[FusedNetwork], *, combine: Combine) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.combine = combine

    @property
    def first(self) -> FusedNetwork:
        """The first network; vectors of different networks have no common axes."""
        return cast("FusedNetwork", self.networks[0])

    @property
    def encoder(self) -> TabularEncoder:
        """That of the first network."""
        return self.first.encoder

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.first.n_outputs

    def forward(self, categorical: Tensor, continuous: Tensor, pooled: Tensor) -> Tensor:
        """Return raw outputs that predict the mean of what the networks predict."""
        raws = [network(categorical, continuous, pooled) for network in self.networks]
        return combine_members(torch.stack(raws, dim=1), self.combine)

    def layer_groups(self) -> list[nn.Module]:
        """Return all in one group."""
        return [self.networks]

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON."""
        networks = [cast("FusedNetwork", network).config() for network in self.networks]
        return {"combine": self.combine, "networks": networks}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build an ensemble of the same networks; its values come with ``load_state_dict``."""
        networks = [FusedNetwork.from_config(network) for network in config["networks"]]
        return cls(networks, combine=config["combine"])
