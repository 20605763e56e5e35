"""What bends between the linear layers of a network for tables: activations by name.

A name goes in, a module out. Activations with something to learn hold one value for every unit, of
every member where there are members, in one dimension: weight decay passes those over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError, did_you_mean

__all__ = ["ActivationName", "ParametricActivation", "activation_gain", "new_activation"]

ActivationName = Literal[
    "relu",
    "leaky_relu",
    "gelu",
    "selu",
    "mish",
    "prelu",
    "parametric_selu",
    "parametric_mish",
]
"""``"prelu"`` learns the slope below 0; for ``parametric_`` see ``ParametricActivation``."""


class ParametricActivation(nn.Module):
    """Learn for every unit how much it bends: ``x + share * (activation(x) - x)``.

    A share of 1, where training begins, is the activation itself; 0 is a straight line.

    **Shape**

    - Input and output: ``(rows, units)``.

    Parameters
    ----------
    activation
        What is blended with the straight line; it must not change its input.
    n_units
        Number of units.

    References
    ----------
    Holzmueller, Grinsztajn, Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", section 3.

    Examples
    --------
    >>> activation = ParametricActivation(nn.ReLU(), 2)
    >>> _ = activation.share.data.copy_(torch.tensor([1.0, 0.5]))
    >>> activation(torch.tensor([[-4.0, -4.0]]))
    tensor([[ 0., -2.]], grad_fn=<LerpBackward1>)
    """

    def __init__(self, activation: nn.Module, n_units: int) -> None:
        super().__init__()
        self.activation = activation
        self.share = nn.Parameter(torch.empty(n_units))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with the activation itself."""
        nn.init.ones_(self.share)

    def forward(self, features: Tensor) -> Tensor:
        """Return the blend."""
        return torch.lerp(features, self.activation(features), self.share)


@dataclass(frozen=True)
class _Activation:
    """How to build an activation for so many units, and the gain that goes with it."""

    build: Callable[[int], nn.Module]
    gain: float


# In place where nothing else reads the input: a linear layer's gradient does not need its output.
_ACTIVATIONS: dict[str, _Activation] = {
    "relu": _Activation(lambda _: nn.ReLU(inplace=True), sqrt(2.0)),
    "leaky_relu": _Activation(lambda _: nn.LeakyReLU(inplace=True), sqrt(2.0 / (1.0 + 0.01**2))),
    "gelu": _Activation(lambda _: nn.GELU(), 1.5335),
    "selu": _Activation(lambda _: nn.SELU(inplace=True), 1.0),
    "mish": _Activation(lambda _: nn.Mish(), 1.4868),
    "prelu": _Activation(nn.PReLU, sqrt(2.0 / (1.0 + 0.25**2))),
    "parametric_selu": _Activation(lambda n: ParametricActivation(nn.SELU(), n), 1.0),
    "parametric_mish": _Activation(lambda n: ParametricActivation(nn.Mish(), n), 1.4868),
}


def new_activation(name: str, n_units: int) -> nn.Module:
    """Return the activation of this name for vectors ``(rows, n_units)``.

    Those with something to learn have a method ``reset_parameters()``.

    Parameters
    ----------
    name
        One of ``ActivationName``.
    n_units
        Number of units, all members' together.

    Raises
    ------
    ParameterError
        If the name is unknown.

    References
    ----------
    Hendrycks and Gimpel (2016) for "gelu", Klambauer et al. (2017) for "selu", Misra (2019) for
    "mish", He et al. (2015) for "prelu".

    Examples
    --------
    >>> new_activation("prelu", 64)
    PReLU(num_parameters=64)
    """
    return _named(name).build(n_units)


def activation_gain(name: str) -> float:
    """Return the deviation that weights need, times ``sqrt(inputs)``, to keep a signal's size.

    It is ``1 / sqrt(E[activation(z)^2])`` for a standard normal ``z``, as the activation begins:
    Kaiming's rule for any activation.

    References
    ----------
    He, Zhang, Ren, Sun (2015), "Delving Deep into Rectifiers", section 2.2.

    Examples
    --------
    >>> round(activation_gain("relu") ** 2, 6)
    2.0
    """
    return _named(name).gain


def _named(name: str) -> _Activation:
    if name not in _ACTIVATIONS:
        known = get_args(ActivationName)
        raise ParameterError(
            f"activation={name!r} is not one of {', '.join(known)}{did_you_mean(str(name), known)}"
        )
    return _ACTIVATIONS[name]
