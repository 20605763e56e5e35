"""Activations by name: what they compute, what they learn, and the gains that go with them."""

from math import pi
from typing import get_args

import pytest
import torch
from torch import nn

from tabtext.errors import ParameterError
from tabtext.tabular.activations import (
    ActivationName,
    ParametricActivation,
    activation_gain,
    new_activation,
)

NAMES = get_args(ActivationName)
PARAMETRIC = ["prelu", "parametric_selu", "parametric_mish"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", nn.functional.relu),
        ("leaky_relu", nn.functional.leaky_relu),
        ("gelu", nn.functional.gelu),
        ("selu", nn.functional.selu),
        ("mish", nn.functional.mish),
        ("prelu", lambda x: nn.functional.leaky_relu(x, 0.25)),
        ("parametric_selu", nn.functional.selu),
        ("parametric_mish", nn.functional.mish),
    ],
)
def test_every_name_begins_as_its_function(name: str, expected: nn.Module) -> None:
    features = torch.linspace(-4, 4, 24).view(8, 3)

    torch.testing.assert_close(new_activation(name, 3)(features.clone()), expected(features))


@pytest.mark.parametrize("name", NAMES)
def test_gains_keep_the_size_of_a_signal(name: str) -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = (-z.square() / 2).exp() / (2 * pi) ** 0.5

    bent = new_activation(name, 1).double()(z.unsqueeze(1).clone()).detach().squeeze(1)

    size = torch.trapezoid(density * bent.square(), z).item()
    assert activation_gain(name) ** 2 * size == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_every_unit_learns_a_value_of_its_own_and_can_forget_it(name: str) -> None:
    activation = new_activation(name, 3)
    features = torch.tensor([[-1.0, 2.0, -3.0], [-2.0, 1.0, -1.0]])
    (parameter,) = activation.parameters()
    before = parameter.detach().clone()

    activation(features).sum().backward()
    torch.optim.SGD([parameter], lr=0.1).step()

    assert parameter.shape == (3,)
    assert bool((parameter[[0, 2]] != before[[0, 2]]).all())
    activation.reset_parameters()  # type: ignore[operator]  # those that learn have it
    assert torch.equal(parameter, before)


def test_a_share_of_zero_is_a_straight_line() -> None:
    activation = ParametricActivation(nn.Mish(), 2)
    nn.init.zeros_(activation.share)
    features = torch.randn(5, 2)

    assert torch.equal(activation(features), features)


def test_an_unknown_name_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ParameterError, match=r"'mihs' is not one of .*did you mean 'mish'"):
        new_activation("mihs", 3)
