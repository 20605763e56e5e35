"""Weights that follow from another matrix: their values, their gradients, and drawing them anew."""

import copy

import pytest
import torch
from torch import nn

from tabtext.errors import ParameterError
from tabtext.tabular.members import MemberLinear
from tabtext.tabular.parametrizations import (
    parametrize_weight,
    require_parametrization,
    set_weight,
)


def largest_singular_value(layer: nn.Module) -> float:
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]  # it is no module
    return torch.linalg.matrix_norm(weight.detach(), 2).item()


def layers() -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Linear(12, 7), MemberLinear(3, 12, 7, shared_input=True)]


@pytest.mark.parametrize("index", [0, 1])
def test_the_largest_singular_value_is_1_in_training_and_evaluation(index: int) -> None:
    layer = layers()[index]
    parametrize_weight(layer, 12, parametrization="standard", spectral_norm=True)
    for _ in range(100):
        layer(torch.randn(4, 12))

    assert largest_singular_value(layer) == pytest.approx(1, abs=1e-3)
    assert largest_singular_value(layer.eval()) == pytest.approx(1, abs=1e-3)


def test_evaluation_changes_nothing() -> None:
    (layer, _) = layers()
    parametrize_weight(layer, 12, parametrization="ntp", spectral_norm=True)
    layer.eval()
    before = copy.deepcopy(layer.state_dict())

    layer(torch.randn(4, 12))

    after = layer.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("index", [0, 1])
def test_the_neural_tangent_parametrization_keeps_the_weight_and_scales_its_steps(
    index: int,
) -> None:
    layer = layers()[index]
    before = layer.get_parameter("weight").detach().clone()

    parametrize_weight(layer, 12, parametrization="ntp", spectral_norm=False)
    torch.testing.assert_close(layer.weight, before)
    layer(torch.randn(4, 12)).square().sum().backward()
    torch.optim.Adam(layer.parameters(), lr=0.1).step()

    step = (layer.weight - before).abs()  # type: ignore[operator]  # it is no module
    torch.testing.assert_close(step, torch.full_like(step, 0.1 / 12**0.5), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("parametrization", ["standard", "ntp"])
def test_a_weight_can_be_set_however_it_is_written(
    parametrization: str, spectral_norm: bool
) -> None:
    (layer, _) = layers()
    parametrize_weight(layer, 12, parametrization=parametrization, spectral_norm=spectral_norm)
    weight = torch.randn(7, 12) * 5

    for _ in range(5):  # estimates of a spectral norm settle
        set_weight(layer, weight)

    expected = weight / torch.linalg.matrix_norm(weight, 2) if spectral_norm else weight
    torch.testing.assert_close(layer.weight, expected, rtol=1e-3, atol=1e-5)


def test_an_unknown_parametrization_is_refused() -> None:
    with pytest.raises(ParameterError, match="'npt' is not one of standard, ntp"):
        require_parametrization("npt")
