"""Losses, one value per row.

A loss takes the model's raw outputs and the encoded targets, and returns the loss of every row.
The trainer takes the weighted mean, so that sample weights and class weights, which are weights of
rows as well, work with every loss.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "LOSSES",
    "Loss",
    "absolute_error",
    "binary_cross_entropy",
    "cross_entropy",
    "huber",
    "squared_error",
    "weighted_mean",
]

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    """Negative log-probability of the right class.

    Parameters
    ----------
    raw : Tensor of shape (rows, classes)
        Logits.
    target : Tensor of shape (rows,), dtype int64
        Class numbers.

    Returns
    -------
    Tensor of shape (rows,)

    Examples
    --------
    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])).exp().round(decimals=3)
    tensor([4., 4.])
    """
    return functional.cross_entropy(raw, target, reduction="none")


def binary_cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    """Negative log-probability of yes or no, averaged over the labels of a row.

    Parameters
    ----------
    raw : Tensor of shape (rows, labels)
        Logits of yes.
    target : Tensor of shape (rows, labels), floating
        1 for yes, 0 for no.

    Examples
    --------
    >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])).exp()
    tensor([2.])
    """
    losses = functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
    return losses.mean(dim=1)


def squared_error(raw: Tensor, target: Tensor) -> Tensor:
    """Squared difference, averaged over the outputs of a row; both ``(rows, outputs)``."""
    return (raw - target).square().mean(dim=1)


def absolute_error(raw: Tensor, target: Tensor) -> Tensor:
    """Absolute difference, averaged over the outputs of a row; both ``(rows, outputs)``."""
    return (raw - target).abs().mean(dim=1)


def huber(raw: Tensor, target: Tensor) -> Tensor:
    """Squared near zero, absolute beyond 1: less led by outliers than ``squared_error``.

    References
    ----------
    Huber, P. J. (1964), "Robust Estimation of a Location Parameter".
    """
    return functional.huber_loss(raw, target, reduction="none").mean(dim=1)


def weighted_mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of the rows' losses; rows count by their weight. Zero if all weights are.

    Examples
    --------
    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
}
"""Losses by name."""
