"""Losses, one value per row.

A loss takes the model's raw outputs and the encoded targets, and returns the loss of every row.
The trainer takes the weighted mean, so that sample weights and class weights, which are weights of
rows as well, work with every loss.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from tabtext.errors import ParameterError, did_you_mean

__all__ = [
    "LOSSES",
    "Loss",
    "absolute_error",
    "binary_cross_entropy",
    "cross_entropy",
    "huber",
    "make_loss",
    "mean_over_members",
    "pinball",
    "smoothed_cross_entropy",
    "squared_error",
    "weighted_mean",
]

Loss = Callable[[Tensor, Tensor], Tensor]


def make_loss(name: str, *, label_smoothing: float = 0.0, quantile: float = 0.5) -> Loss:
    """Return the loss of this name, with its parameter set.

    Parameters
    ----------
    name : str
        One of ``LOSSES``.
    label_smoothing : float
        For ``cross_entropy`` only; see ``smoothed_cross_entropy``.
    quantile : float
        For ``pinball`` only; see there.

    Raises
    ------
    ParameterError
        If the name is unknown, or a parameter is out of its range or given to a loss that has
        none: it would be ignored without a word.

    Examples
    --------
    >>> make_loss("pinball", quantile=0.9)(torch.zeros(1, 1), torch.ones(1, 1))
    tensor([0.9000])
    """
    if name not in LOSSES:
        raise ParameterError(
            f"loss={name!r} is not one of {', '.join(LOSSES)}{did_you_mean(name, LOSSES)}"
        )
    _check_smoothing(label_smoothing)
    _check_quantile(quantile)
    if label_smoothing > 0.0 and name != "cross_entropy":
        raise ParameterError(f"{label_smoothing=} needs loss='cross_entropy', not {name!r}")
    if quantile != 0.5 and name != "pinball":
        raise ParameterError(f"{quantile=} needs loss='pinball', not {name!r}")
    if label_smoothing > 0.0:
        return partial(smoothed_cross_entropy, smoothing=label_smoothing)
    return partial(pinball, quantile=quantile) if name == "pinball" else LOSSES[name]


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


def smoothed_cross_entropy(raw: Tensor, target: Tensor, *, smoothing: float) -> Tensor:
    """Cross-entropy against targets that are sure of the right class only to ``1 - smoothing``.

    The rest is spread over all classes evenly, the right one included. No logit can then gain by
    growing forever, and probabilities stay calibrated.

    Parameters
    ----------
    raw : Tensor of shape (rows, classes)
        Logits.
    target : Tensor of shape (rows,), dtype int64
        Class numbers.
    smoothing : float
        Share that is spread, in [0, 1); 0.1 in the paper.

    Returns
    -------
    Tensor of shape (rows,)

    Raises
    ------
    ParameterError
        If ``smoothing`` is outside of [0, 1).

    References
    ----------
    Szegedy, C. et al. (2016), "Rethinking the Inception Architecture for Computer Vision",
    section 7.

    Examples
    --------
    >>> sure_and_right = torch.tensor([[20.0, 0.0]])
    >>> smoothed_cross_entropy(sure_and_right, torch.tensor([0]), smoothing=0.1)
    tensor([1.])
    """
    _check_smoothing(smoothing)
    return functional.cross_entropy(raw, target, reduction="none", label_smoothing=smoothing)


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


def pinball(raw: Tensor, target: Tensor, *, quantile: float = 0.5) -> Tensor:
    """Absolute difference, weighted so that its minimum is a quantile of the targets.

    With ``error = target - raw`` it is ``max(quantile * error, (quantile - 1) * error)``: for the
    quantile 0.9, too low costs nine times as much as too high. The median's is half of
    ``absolute_error``.

    Parameters
    ----------
    raw, target : Tensor of shape (rows, outputs), floating
        Forecasts and true values; the mean is taken over the outputs of a row.
    quantile : float
        Share of the targets that shall lie below the forecast, in (0, 1).

    Returns
    -------
    Tensor of shape (rows,)

    Raises
    ------
    ParameterError
        If ``quantile`` is outside of (0, 1).

    References
    ----------
    Koenker, R. and Bassett, G. (1978), "Regression Quantiles".

    Examples
    --------
    >>> pinball(torch.zeros(2, 1), torch.tensor([[1.0], [-1.0]]), quantile=0.75)
    tensor([0.7500, 0.2500])
    """
    _check_quantile(quantile)
    error = target - raw
    return torch.maximum(quantile * error, (quantile - 1.0) * error).mean(dim=1)


def mean_over_members(loss: Loss) -> Loss:
    """Return a loss for networks that are ensembles: the mean of their members' losses.

    So each member learns to predict by itself. A loss of their common prediction would let them
    lean on one another, and they would no longer make up for each other's errors.

    Parameters
    ----------
    loss : callable
        ``(raw, target) -> losses`` for raw outputs ``(rows, outputs)``.

    Returns
    -------
    callable
        The same for raw outputs ``(rows, members, outputs)``, as in training, too; those without
        members, as in evaluation, go to ``loss`` as they are.

    Examples
    --------
    >>> members = torch.tensor([[[1.0], [3.0]]])  # one row
    >>> mean_over_members(squared_error)(members, torch.tensor([[2.0]]))
    tensor([1.])
    """

    def of_rows(raw: Tensor, target: Tensor) -> Tensor:
        if raw.ndim == 2:
            return loss(raw, target)
        rows, members, _ = raw.shape
        each = loss(raw.flatten(0, 1), target.repeat_interleave(members, dim=0))
        return each.view(rows, members).mean(dim=1)

    return of_rows


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


def _check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing < 1.0:
        raise ParameterError(
            f"label smoothing {smoothing!r} is outside of [0, 1); 0.1 is usual, 0 is none"
        )


def _check_quantile(quantile: float) -> None:
    if not 0.0 < quantile < 1.0:
        raise ParameterError(
            f"quantile {quantile!r} is outside of (0, 1); 0.5 is the median, 0.9 a high forecast"
        )


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "pinball": pinball,
}
"""Losses by name, with their default parameters; ``make_loss`` sets others."""
