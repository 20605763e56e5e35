"""AdamW and what its weight decay reaches."""

import torch
from torch import nn

from tabtext.tabular.models import EntityEmbeddingMLP
from tabtext.training.optimizers import adamw


def decayed_names(model: nn.Module) -> set[str]:
    optimizer = adamw(model, learning_rate=1e-3, weight_decay=0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]
        for group in optimizer.param_groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
    }


def test_only_matrices_of_linear_layers_decay() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    assert decayed_names(model) == {"1.weight", "3.weight"}


def test_entity_embeddings_do_not_decay() -> None:
    model = EntityEmbeddingMLP([7, 9], n_continuous=2, n_outputs=1, hidden=(8,))

    names = decayed_names(model)

    assert names
    assert not any("categorical" in name for name in names)


def test_every_trainable_parameter_is_optimised_once() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model[0].bias.requires_grad_(False)
    optimizer = adamw(model, learning_rate=1e-3, weight_decay=0.1)

    members = [id(p) for group in optimizer.param_groups for p in group["params"]]

    assert sorted(members) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_decay_is_decoupled_from_the_gradient() -> None:
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    optimizer = adamw(model, learning_rate=0.1, weight_decay=0.5)

    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()

    torch.testing.assert_close(model.weight.detach(), before * (1 - 0.1 * 0.5))
