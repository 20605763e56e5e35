"""Other ways to write a linear layer's weight: spectral norm, and neural tangent parametrization.

Both are ``torch.nn.utils.parametrize``: what is trained and saved is another matrix, from which the
weight follows. So the layers themselves, averages of weights and checkpoints need to know nothing.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from tabtext.errors import ParameterError, did_you_mean

__all__ = ["Parametrization", "parametrize_weight", "require_parametrization", "set_weight"]

Parametrization = Literal["standard", "ntp"]

_ITERATIONS = 15  # as many as torch takes when it adds a spectral norm


class _NeuralTangent(nn.Module):
    """Train ``weight * sqrt(inputs)``, whose elements are of about unit size for any width.

    An optimizer whose steps do not depend on the gradient's size, such as Adam, then moves the
    weights of a layer in proportion to ``1 / sqrt(inputs)``.
    """

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.factor: float = n_inputs**-0.5

    def forward(self, unscaled: Tensor) -> Tensor:
        """Return the weight."""
        return unscaled * self.factor

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what is trained for a weight."""
        return weight / self.factor


def parametrize_weight(
    layer: nn.Module, n_inputs: int, *, parametrization: str, spectral_norm: bool
) -> None:
    """Let the weight of a layer follow from another matrix; with the defaults, do nothing.

    Parameters
    ----------
    layer
        With a parameter ``weight``, which keeps its values, but for its spectral norm.
    n_inputs
        Inputs of each unit.
    parametrization
        ``"standard"``, or ``"ntp"``: what is trained is the weight times ``sqrt(n_inputs)``.
    spectral_norm
        Whether to divide the weight by its largest singular value, which is estimated by one power
        iteration in each training step.

    References
    ----------
    Jacot, Gabriel, Hongler (2018), "Neural Tangent Kernel", for the first; Miyato, Kataoka, Koyama,
    Yoshida (2018), "Spectral Normalization for Generative Adversarial Networks", for the second.

    Examples
    --------
    >>> layer = nn.Linear(5, 7)
    >>> parametrize_weight(layer, 5, parametrization="standard", spectral_norm=True)
    >>> bool(abs(torch.linalg.matrix_norm(layer.weight, 2) - 1) < 0.1)
    True
    """
    if parametrization == "ntp":
        parametrize.register_parametrization(layer, "weight", _NeuralTangent(n_inputs))
    if spectral_norm:
        parametrizations.spectral_norm(layer)


@torch.no_grad()
def set_weight(layer: nn.Module, weight: Tensor) -> None:
    """Give a layer another weight, however it is written.

    A spectral norm is estimated anew, which takes a layer in training mode.
    """
    if not parametrize.is_parametrized(layer, "weight"):
        layer.get_parameter("weight").copy_(weight)
        return
    layer.weight = weight.detach()  # through the parametrizations
    for _ in range(_ITERATIONS):
        _ = layer.weight


def require_parametrization(name: str) -> None:
    """Raise ``ParameterError`` unless this is the name of a parametrization."""
    known = get_args(Parametrization)
    if name not in known:
        raise ParameterError(
            f"parametrization={name!r} is not one of {', '.join(known)}"
            f"{did_you_mean(str(name), known)}"
        )
