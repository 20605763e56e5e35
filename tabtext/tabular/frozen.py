"""Networks for tables as they predict: all that does not depend on the rows computed beforehand.

A trained network in evaluation goes in; one comes out that returns the same, up to rounding, for a
fraction of the work. What members multiply into their weights is multiplied once; a batch norm's
shift and scale go into the layer behind it; and the first layer, which is linear in what the
embeddings give it, is not computed for a category but looked up: *its* rows are made beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.tabular.first_layer import FirstLayer
from tabtext.tabular.members import Combine, MemberLinear, TabM, combine_members
from tabtext.tabular.models import EntityEmbeddingMLP

__all__ = ["frozen"]

_FROZEN: "WeakKeyDictionary[nn.Module, _Kept]" = WeakKeyDictionary()


@torch.no_grad()
def frozen(model: nn.Module) -> nn.Module:
    """Return the form of a network that predicts fast, made once for as long as its weights stay.

    Parameters
    ----------
    model : TabM, EntityEmbeddingMLP, NetworkEnsemble or another network
        Trained, on the CPU; another network is returned as it is, and so is one that was made in
        inference mode. One whose weights are changed where torch keeps no count, as by a fused
        optimizer or in ``weight.data``, has to be another object.

    Returns
    -------
    nn.Module
        For prediction only, with the arguments of ``model``, and its outputs in evaluation.

    Examples
    --------
    >>> model = EntityEmbeddingMLP([7, 12], n_continuous=3, n_outputs=1, hidden=(32, 16)).eval()
    >>> rows = torch.tensor([[2, 3], [0, 1]], dtype=torch.uint8), torch.randn(2, 3)
    >>> with torch.no_grad():
    ...     torch.allclose(frozen(model)(*rows), model(*rows), atol=1e-6)
    True
    """
    if not isinstance(model, TabM | EntityEmbeddingMLP | NetworkEnsemble):
        return model
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.is_inference() for tensor in tensors):
        return model  # torch does not count what changes them
    kept = _FROZEN.get(model)
    if kept is None or not kept.is_of(tensors):
        kept = _FROZEN[model] = _Kept.of(model, tensors)
    return kept.network


@dataclass(frozen=True)
class _Kept:
    """A frozen network, and the tensors it was made from: where they lie, how often changed."""

    network: nn.Module
    memory: list[Tensor]  # held, so that no other tensor comes to lie there
    versions: list[int]

    @classmethod
    def of(cls, model: nn.Module, tensors: Sequence[Tensor]) -> "_Kept":
        memory = [tensor.detach() for tensor in tensors]
        return cls(_frozen(model).eval(), memory, [tensor._version for tensor in tensors])

    def is_of(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these are the tensors, and as they were."""
        places = [tensor.data_ptr() for tensor in self.memory]
        return [tensor.data_ptr() for tensor in tensors] == places and [
            tensor._version for tensor in tensors
        ] == self.versions


def _frozen(model: nn.Module) -> nn.Module:
    if isinstance(model, NetworkEnsemble):
        return _FrozenEnsemble([_frozen(network) for network in model.networks], model.combine)
    if isinstance(model, TabM):
        return _FrozenNetwork.of(model, _layers_of_members(model), model.n_members, model.combine)
    one = cast("EntityEmbeddingMLP", model)
    return _FrozenNetwork.of(one, _layers_of_one(one), 1, "values")


@dataclass(frozen=True)
class _Layer:
    """A linear layer of every member, and what follows it."""

    weight: Tensor  # (members, inputs, units)
    bias: Tensor  # (members, units)
    activation: nn.Module | None = None
    batch_norm: nn.BatchNorm1d | None = None


class _FrozenNetwork(nn.Module):
    """The first layer by lookups, then batched products with an activation between."""

    def __init__(self, first: FirstLayer, layers: Sequence[_Layer], combine: Combine) -> None:
        super().__init__()
        self.first, self.combine = first, combine
        self.layers = list(layers)

    @classmethod
    def of(
        cls,
        model: TabM | EntityEmbeddingMLP,
        layers: Sequence[_Layer],
        n_members: int,
        combine: Combine,
    ) -> "_FrozenNetwork":
        """Fold each batch norm into the layer behind it, and the embeddings into the first."""
        folded = [layers[0]]
        for before, layer in pairwise(layers):
            folded.append(_with_batch_norm(before.batch_norm, layer, n_members))
        side_by_side = layers[0].weight.transpose(0, 1).flatten(1)
        first = FirstLayer(model.encoder, side_by_side, layers[0].bias.flatten())
        return cls(first, folded, combine)

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return raw outputs ``(rows, outputs)``."""
        units = self.first(categorical, continuous)
        n_members = len(self.layers[0].weight)
        for before, layer in pairwise(self.layers):
            if before.activation is not None:
                units = before.activation(units)
            own = units.unflatten(1, (n_members, units.shape[1] // n_members)).transpose(0, 1)
            units = torch.baddbmm(layer.bias.unsqueeze(1), own, layer.weight)
            units = units.transpose(0, 1).flatten(1)
        members = units.unflatten(1, (n_members, units.shape[1] // n_members))
        return combine_members(members, self.combine)


class _FrozenEnsemble(nn.Module):
    """Several frozen networks."""

    def __init__(self, networks: Sequence[nn.Module], combine: Combine) -> None:
        super().__init__()
        self.networks, self.combine = nn.ModuleList(networks), combine

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return raw outputs ``(rows, outputs)``."""
        raws = [network(categorical, continuous) for network in self.networks]
        return combine_members(torch.stack(raws, dim=1), self.combine)


def _layers_of_members(model: TabM) -> list[_Layer]:
    layers = []
    for block in model.blocks:
        linear = cast("MemberLinear", block.linear)
        weight = linear.scale_in.unsqueeze(2) * linear.weight * linear.scale_out.unsqueeze(1)
        rest = cast("nn.Module", block.activation), cast("nn.BatchNorm1d", block.batch_norm)
        layers.append(_Layer(weight.detach(), linear.bias.detach().clone(), *rest))
    head = model.head
    return [*layers, _Layer(head.weight.detach().clone(), head.bias.detach().squeeze(1).clone())]


def _layers_of_one(model: EntityEmbeddingMLP) -> list[_Layer]:
    layers = []
    for block in model.blocks:
        linear = cast("nn.Linear", block.linear)
        rest = cast("nn.Module", block.activation), cast("nn.BatchNorm1d", block.batch_norm)
        layers.append(_Layer(*_of_linear(linear), *rest))
    return [*layers, _Layer(*_of_linear(model.head))]


def _of_linear(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias as those of one member."""
    weight = linear.weight.detach().t().unsqueeze(0).contiguous()
    bias = weight.new_zeros(weight.shape[2]) if linear.bias is None else linear.bias.detach()
    return weight, bias.clone().unsqueeze(0)


def _with_batch_norm(norm: nn.BatchNorm1d | None, layer: _Layer, n_members: int) -> _Layer:
    """A layer that reads what a batch norm in front of it would have read."""
    if norm is None or norm.running_mean is None or norm.running_var is None:
        return layer
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = (norm.bias - norm.running_mean * scale).view(n_members, 1, -1)
    return _Layer(
        scale.view(n_members, -1, 1) * layer.weight,
        layer.bias + torch.bmm(shift, layer.weight).squeeze(1),
        layer.activation,
        layer.batch_norm,
    )
