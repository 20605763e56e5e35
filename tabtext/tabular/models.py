"""The network for tables: entity embeddings and continuous values into a multi-layer perceptron.

A batch of codes ``(batch_size, n_categorical)`` and one of continuous values ``(batch_size,
n_continuous)`` go in; raw outputs ``(batch_size, n_outputs)`` come out: logits or values, without a
final activation. ``TabularEncoder`` is the part up to one vector per row, for other models to build
on.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular.activations import ActivationName
from tabtext.tabular.blocks import Block, FeatureScales
from tabtext.tabular.embeddings import EntityEmbeddings
from tabtext.tabular.numeric_embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings
from tabtext.tabular.parametrizations import (
    Parametrization,
    parametrize_weight,
    require_parametrization,
    set_weight,
)

__all__ = ["EntityEmbeddingMLP", "NumericEmbedding", "TabularEncoder"]

NumericEmbedding = Literal["none", "piecewise_linear", "periodic"]


class TabularEncoder(nn.Module):
    """Turn the columns of a batch into one vector per row: the input side of every tabular model.

    Categorical columns are looked up in entity embeddings. Continuous columns pass a batch norm or,
    where one is chosen, a numeric embedding *instead*: with the plain values beside it, one outlier
    undid the net (california: validation RMSE 0.47 to 0.98 at the end of training).

    **Shape**

    - Input: ``(batch_size, n_categorical)``, any integer dtype, and ``(batch_size, n_continuous)``.
    - Output: ``(batch_size, width)``.

    Parameters
    ----------
    cardinalities
        Number of codes of each categorical column, including 0 (missing) and 1 (unseen).
    n_continuous
        Number of continuous columns.
    embedding_widths, embedding_dropout, unseen_rate, one_hot_up_to
        See ``EntityEmbeddings``.
    numeric_embedding
        ``"none"``, ``"piecewise_linear"`` or ``"periodic"``.
    numeric_width
        Width of each continuous column's vector, unless the numeric embedding is ``"none"``.
    bin_edges
        Bin edges of each continuous column, for ``"piecewise_linear"``.
    n_frequencies, frequency_scale
        See ``PeriodicEmbeddings``.
    batch_norm_continuous
        Normalise the continuous values by batch statistics, when there is no numeric embedding.
        Default True: it costs little and absorbs what the preprocessor's scaling leaves.
    feature_scales
        Multiply every element of the output by a learned factor, see ``FeatureScales``.

    Examples
    --------
    >>> encoder = TabularEncoder([7, 12], n_continuous=3, embedding_widths=[4, 5])
    >>> encoder(torch.tensor([[2, 3], [0, 1]]), torch.randn(2, 3)).shape
    torch.Size([2, 12])
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        n_continuous: int,
        *,
        embedding_widths: Sequence[int | None] | None = None,
        embedding_dropout: float = 0.0,
        unseen_rate: float = 0.01,
        numeric_embedding: NumericEmbedding = "none",
        numeric_width: int = 8,
        bin_edges: Sequence[npt.ArrayLike] | None = None,
        n_frequencies: int = 24,
        frequency_scale: float = 0.1,
        batch_norm_continuous: bool = True,
        one_hot_up_to: int = 0,
        feature_scales: bool = False,
    ) -> None:
        super().__init__()
        _check_columns(cardinalities, n_continuous, numeric_embedding, bin_edges)
        self._settings: dict[str, Any] = {
            "embedding_dropout": float(embedding_dropout),
            "unseen_rate": float(unseen_rate),
            "numeric_embedding": numeric_embedding,
            "numeric_width": int(numeric_width),
            "n_frequencies": int(n_frequencies),
            "frequency_scale": float(frequency_scale),
            "batch_norm_continuous": bool(batch_norm_continuous),
            "one_hot_up_to": int(one_hot_up_to),
            "feature_scales": bool(feature_scales),
        }
        self.n_categorical = len(cardinalities)
        self.n_continuous = n_continuous
        self.categorical: EntityEmbeddings | None = None
        self.batch_norm: nn.BatchNorm1d | None = None
        self.numeric: PiecewiseLinearEmbeddings | PeriodicEmbeddings | None = None
        self.scales: FeatureScales | None = None
        if self.n_categorical:
            self.categorical = EntityEmbeddings(
                cardinalities,
                embedding_widths,
                dropout=embedding_dropout,
                unseen_rate=unseen_rate,
                one_hot_up_to=one_hot_up_to,
            )
        if n_continuous and numeric_embedding != "none":
            self.numeric = self._new_numeric(bin_edges)
        elif n_continuous and batch_norm_continuous:
            self.batch_norm = nn.BatchNorm1d(n_continuous)
        if feature_scales:
            self.scales = FeatureScales(self.width)

    def _new_numeric(
        self, bin_edges: Sequence[npt.ArrayLike] | None
    ) -> PiecewiseLinearEmbeddings | PeriodicEmbeddings:
        width = self._settings["numeric_width"]
        if self._settings["numeric_embedding"] == "piecewise_linear":
            return PiecewiseLinearEmbeddings(bin_edges or [], width)
        waves = {name: self._settings[name] for name in ("n_frequencies", "frequency_scale")}
        return PeriodicEmbeddings(self.n_continuous, width, **waves)

    @property
    def width(self) -> int:
        """Width of the output."""
        categorical = 0 if self.categorical is None else self.categorical.width
        return categorical + (self.n_continuous if self.numeric is None else self.numeric.width)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        for part in (self.categorical, self.batch_norm, self.numeric, self.scales):
            if part is not None:
                part.reset_parameters()

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return one vector per row."""
        _check_shape("categorical", categorical, self.n_categorical)
        _check_shape("continuous", continuous, self.n_continuous)
        parts = []
        if self.categorical is not None:
            parts.append(self.categorical(categorical))
        if self.n_continuous:
            parts.append(self.numbers(continuous))
        features = torch.cat(parts, dim=1)
        return features if self.scales is None else self.scales(features)

    def numbers(self, continuous: Tensor) -> Tensor:
        """Return what becomes of the continuous columns alone, before any scales."""
        if self.numeric is not None:
            embedded: Tensor = self.numeric(continuous)
            return embedded
        return continuous if self.batch_norm is None else self.batch_norm(continuous)

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON.

        Examples
        --------
        >>> TabularEncoder([4], n_continuous=1).config()["embedding_widths"]
        [3]
        """
        tables, numeric = self.categorical, self.numeric
        bin_counts = None
        if isinstance(numeric, PiecewiseLinearEmbeddings):
            bin_counts = list(numeric.encoding.bin_counts)
        return {
            "cardinalities": [] if tables is None else list(tables.cardinalities),
            "n_continuous": self.n_continuous,
            "embedding_widths": [] if tables is None else tables.learned_widths(),
            "bin_counts": bin_counts,
            **self._settings,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build an encoder of the same shape; its values come with ``load_state_dict``."""
        return cls(**_with_bin_edges(config))


class EntityEmbeddingMLP(nn.Module):
    """Embeddings and continuous values, then linear - activation - batch norm - dropout, head.

    **Shape**

    - Input: ``(batch_size, n_categorical)``, any integer dtype, and ``(batch_size, n_continuous)``,
      finite. A model without columns of one kind takes a tensor of width 0 there.
    - Output: ``(batch_size, n_outputs)``: logits or values.

    Parameters
    ----------
    cardinalities
        Number of codes of each categorical column, including 0 (missing) and 1 (unseen).
    n_continuous
        Number of continuous columns.
    n_outputs
        Number of outputs.
    hidden
        Width of each block; empty for a linear model.
    dropout
        Share of each block's outputs set to zero in training: one number, or one per block.
    embedding_widths, embedding_dropout, unseen_rate
        See ``EntityEmbeddings``.
    numeric_embedding, numeric_width, bin_edges, n_frequencies, frequency_scale
        See ``TabularEncoder``.
    batch_norm_continuous, one_hot_up_to, feature_scales
        See ``TabularEncoder``.
    activation
        What follows the hidden linear layers, see ``tabtext.tabular.activations``.
    parametrization
        ``"standard"``, or ``"ntp"`` for all linear layers, see ``parametrize_weight``.
    spectral_norm
        Whether to divide the hidden linear layers' weights by their largest singular value.

    References
    ----------
    Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016, for the architecture; the
    order of the layers is that of the fast.ai library.

    Examples
    --------
    >>> model = EntityEmbeddingMLP([7, 12], n_continuous=3, n_outputs=1, hidden=(32, 16))
    >>> model(torch.tensor([[2, 3], [0, 1]]), torch.randn(2, 3)).shape
    torch.Size([2, 1])
    >>> same = EntityEmbeddingMLP.from_config(model.config())
    >>> same.load_state_dict(model.state_dict())
    <All keys matched successfully>
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        n_continuous: int,
        n_outputs: int,
        *,
        hidden: Sequence[int] = (512, 256),
        dropout: float | Sequence[float] = 0.1,
        embedding_widths: Sequence[int | None] | None = None,
        embedding_dropout: float = 0.0,
        unseen_rate: float = 0.01,
        numeric_embedding: NumericEmbedding = "none",
        numeric_width: int = 8,
        bin_edges: Sequence[npt.ArrayLike] | None = None,
        n_frequencies: int = 24,
        frequency_scale: float = 0.1,
        batch_norm_continuous: bool = True,
        one_hot_up_to: int = 0,
        feature_scales: bool = False,
        activation: ActivationName = "relu",
        parametrization: Parametrization = "standard",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        if n_outputs < 1:
            raise ParameterError(f"n_outputs must be at least 1, however: {n_outputs=}")
        if any(width < 1 for width in hidden):
            raise ParameterError(f"every hidden width must be at least 1, however: {hidden=}")
        require_parametrization(parametrization)
        practices: dict[str, Any] = {
            "activation": activation,
            "parametrization": parametrization,
            "spectral_norm": bool(spectral_norm),
        }
        self._settings: dict[str, Any] = {
            "n_outputs": int(n_outputs),
            "hidden": [int(width) for width in hidden],
            "dropout": _one_per_block(dropout, len(hidden)),
            **practices,
        }
        self.encoder = TabularEncoder(
            cardinalities,
            n_continuous,
            embedding_widths=embedding_widths,
            embedding_dropout=embedding_dropout,
            unseen_rate=unseen_rate,
            numeric_embedding=numeric_embedding,
            numeric_width=numeric_width,
            bin_edges=bin_edges,
            n_frequencies=n_frequencies,
            frequency_scale=frequency_scale,
            batch_norm_continuous=batch_norm_continuous,
            one_hot_up_to=one_hot_up_to,
            feature_scales=feature_scales,
        )
        widths = [self.encoder.width, *self._settings["hidden"]]
        shares = self._settings["dropout"]
        self.blocks = nn.ModuleList(
            Block(*widths[i : i + 2], dropout=shares[i], bias=i == 0, **practices)
            for i in range(len(hidden))
        )
        self.head = nn.Linear(widths[-1], n_outputs)
        parametrize_weight(
            self.head, widths[-1], parametrization=parametrization, spectral_norm=False
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        self.encoder.reset_parameters()
        for block in self.blocks:
            cast("Block", block).reset_parameters()
        fresh = nn.Linear(self.head.in_features, self.head.out_features)
        set_weight(self.head, fresh.weight)
        self.head.bias.data.copy_(fresh.bias)

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return the raw outputs of a batch."""
        features = self.encoder(categorical, continuous)
        for block in self.blocks:
            features = block(features)
        outputs: Tensor = self.head(features)
        return outputs

    def layer_groups(self) -> list[nn.Module]:
        """Return the parts from the input side to the head: encoder, each block, head.

        Examples
        --------
        >>> model = EntityEmbeddingMLP([], n_continuous=3, n_outputs=1, hidden=(32, 16))
        >>> [type(group).__name__ for group in model.layer_groups()]
        ['TabularEncoder', 'Block', 'Block', 'Linear']
        """
        return [self.encoder, *self.blocks, self.head]

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON.

        Examples
        --------
        >>> EntityEmbeddingMLP([4], n_continuous=1, n_outputs=1).config()["embedding_widths"]
        [3]
        """
        return {**self.encoder.config(), **self._settings}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a model of the same architecture; its values come with ``load_state_dict``."""
        return cls(**_with_bin_edges(config))


def _with_bin_edges(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from a config; edges are 0, 1, 2, ... until a state dict brings the real ones."""
    arguments = dict(config)
    bin_counts = arguments.pop("bin_counts")
    if bin_counts is not None:
        arguments["bin_edges"] = [np.arange(count + 1) for count in bin_counts]
    return arguments


def _one_per_block(dropout: float | Sequence[float], n_blocks: int) -> list[float]:
    shares = [dropout] * n_blocks if isinstance(dropout, int | float) else list(dropout)
    if len(shares) != n_blocks:
        raise ParameterError(
            "dropout must be one number or one per block, "
            f"however: {len(shares)} numbers for {n_blocks} blocks"
        )
    if not all(0 <= share < 1 for share in shares):
        raise ParameterError(f"dropout must be in [0, 1), however: {dropout=}")
    return [float(share) for share in shares]


def _check_columns(
    cardinalities: Sequence[int],
    n_continuous: int,
    numeric_embedding: str,
    bin_edges: Sequence[npt.ArrayLike] | None,
) -> None:
    if n_continuous < 0:
        raise ParameterError(f"n_continuous must not be negative, however: {n_continuous=}")
    if len(cardinalities) == 0 and n_continuous == 0:
        raise ParameterError("the model has no columns at all: neither categorical nor continuous")
    known = get_args(NumericEmbedding)
    if numeric_embedding not in known:
        raise ParameterError(
            f"numeric_embedding must be one of {', '.join(known)}, however: {numeric_embedding!r}"
        )
    if numeric_embedding == "piecewise_linear":
        given = 0 if bin_edges is None else len(bin_edges)
        if given != n_continuous:
            raise ParameterError(
                "piecewise_linear needs the bin edges of every continuous column, "
                f"however: {given} for {n_continuous=}; see quantile_bin_edges and tree_bin_edges"
            )
    elif bin_edges is not None:
        raise ParameterError(f"bin_edges have no use with {numeric_embedding=}")


def _check_shape(name: str, batch: Tensor, n_columns: int) -> None:
    if batch.ndim != 2 or batch.shape[1] != n_columns:
        raise ParameterError(
            f"{name} must have the shape (batch_size, {n_columns}), however: {tuple(batch.shape)}"
        )
