"""The blocks of the plain network, and the scales before them."""

import pytest
import torch

from tabtext.tabular.activations import activation_gain
from tabtext.tabular.blocks import Block, FeatureScales


@pytest.mark.parametrize("activation", ["relu", "selu", "mish", "prelu"])
def test_weights_begin_with_the_deviation_that_suits_the_activation(activation: str) -> None:
    torch.manual_seed(0)
    block = Block(400, 500, dropout=0.0, bias=True, activation=activation)

    block.reset_parameters()

    expected = activation_gain(activation) / 400**0.5
    assert block.linear.weight.std().item() == pytest.approx(expected, rel=0.02)


def test_scales_of_features_begin_as_1_and_move_six_times_as_far() -> None:
    scales = FeatureScales(3)
    features = torch.randn(5, 3)

    torch.testing.assert_close(scales(features), features)
    scales(features).square().sum().backward()
    torch.optim.Adam(scales.parameters(), lr=0.01).step()

    torch.testing.assert_close(scales(torch.ones(1, 3)), torch.full((1, 3), 1 - 0.06))
