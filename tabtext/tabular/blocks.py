"""The hidden layers of the plain network for tables, and the scales that may stand before them."""

import torch
from torch import Tensor, nn

from tabtext.dropout import Dropout
from tabtext.tabular.activations import ParametricActivation, activation_gain, new_activation
from tabtext.tabular.parametrizations import parametrize_weight, set_weight

__all__ = ["Block", "FeatureScales", "reset_activation"]

_RATE_FACTOR = 6.0


class FeatureScales(nn.Module):
    """Multiply every feature by a learned factor, which begins as 1: a soft choice of features.

    The factor is a parameter times 6, so that an optimizer such as Adam moves it six times as far
    in a step as the network's other weights; the paper trains these scales at six times the rate.

    **Shape**

    - Input and output: ``(rows, n_features)``.

    References
    ----------
    Holzmueller, Grinsztajn, Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", section 3.

    Examples
    --------
    >>> FeatureScales(3)(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 2.0, 3.0]]
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with factors of 1."""
        nn.init.constant_(self.weight, 1.0 / _RATE_FACTOR)

    def forward(self, features: Tensor) -> Tensor:
        """Return the scaled features."""
        return features * (self.weight * _RATE_FACTOR)


class Block(nn.Module):
    """Linear, activation, batch norm, dropout.

    The shift of a batch norm reaches the *next* linear layer, where it does all that a bias could
    do; from its own linear layer it is cut off by the activation. So the first linear layer keeps
    its bias, which places the bends of the activation, and those after it go without.

    **Shape**

    - Input: ``(rows, n_inputs)``.
    - Output: ``(rows, n_outputs)``.

    Parameters
    ----------
    n_inputs, n_outputs
        Widths.
    dropout
        Share of the outputs set to zero in training.
    bias
        Whether the linear layer has one.
    activation
        See ``tabtext.tabular.activations``.
    parametrization, spectral_norm
        See ``parametrize_weight``.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        dropout: float,
        bias: bool,
        activation: str = "relu",
        parametrization: str = "standard",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs, bias=bias)
        parametrize_weight(
            self.linear, n_inputs, parametrization=parametrization, spectral_norm=spectral_norm
        )
        self.activation = new_activation(activation, n_outputs)
        self.batch_norm = nn.BatchNorm1d(n_outputs)
        self.dropout = Dropout(dropout)
        self._gain = activation_gain(activation)

    def reset_parameters(self) -> None:
        """Draw the weights by Kaiming's rule for a layer before the activation."""
        n_inputs, n_outputs = self.linear.in_features, self.linear.out_features
        weight = self.batch_norm.weight.new_empty(n_outputs, n_inputs)
        set_weight(self.linear, nn.init.normal_(weight, std=self._gain / n_inputs**0.5))
        if self.linear.bias is not None:
            nn.init.zeros_(self.linear.bias)
        reset_activation(self.activation)
        self.batch_norm.reset_parameters()

    def forward(self, features: Tensor) -> Tensor:
        """Return the block's outputs."""
        dropped: Tensor = self.dropout(self.batch_norm(self.activation(self.linear(features))))
        return dropped


def reset_activation(activation: nn.Module) -> None:
    """Let an activation begin anew, if it has something to learn."""
    if isinstance(activation, nn.PReLU | ParametricActivation):
        activation.reset_parameters()
