"""Dropout masks that come cheap, and the layer that applies them.

A mask is a tensor of zeros (dropped) and ``1 / (1 - rate)`` (kept), so that applying it is one
product and keeps the mean.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError

__all__ = ["Dropout", "dropout_mask", "fill_dropout_mask"]

_LEVELS = 2**16
_AT_ONCE = 2**17  # random bits that stay in the cache until they have become a mask


class Dropout(nn.Module):
    """Set a share of the elements to zero in training, and scale the others to keep the mean.

    On the CPU the mask is that of ``fill_dropout_mask``; elsewhere, and where the layer is
    compiled, it is torch's own dropout.

    Parameters
    ----------
    rate : float
        Share to drop, in [0, 1).

    Attributes
    ----------
    factor : float
        What multiplies the rate, in [0, 1]: a schedule moves it during training.

    Raises
    ------
    ParameterError
        If the rate is not in [0, 1).

    References
    ----------
    Srivastava, N. et al. (2014), "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting".

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> dropout = Dropout(0.2)
    >>> dropout(torch.ones(1000)).unique()
    tensor([0.0000, 1.2500])
    >>> dropout.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        _check_rate(rate)
        self.rate = float(rate)
        self.factor = 1.0

    def forward(self, features: Tensor) -> Tensor:
        """Return the features with some of them dropped, in training; else as they are."""
        rate = self.rate * self.factor
        if not self.training or rate == 0:
            return features
        if features.device.type != "cpu" or torch.compiler.is_compiling():
            return nn.functional.dropout(features, rate)
        return features * fill_dropout_mask(features.new_empty(features.shape), rate)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows."""
        return f"rate={self.rate}"


def dropout_mask(shape: Sequence[int], rate: float, *, like: Tensor) -> Tensor | None:
    """Return a new mask, or None where nothing is to be dropped.

    Parameters
    ----------
    shape : sequence of int
        Shape of the mask.
    rate : float
        Share to drop, in [0, 1).
    like : Tensor
        Gives dtype and device.

    Returns
    -------
    Tensor or None
        0 where dropped, else ``1 / (1 - rate)``; None for a rate of 0.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> dropout_mask((2, 4), 0.5, like=torch.empty(0)).unique()
    tensor([0., 2.])
    >>> dropout_mask((2, 4), 0.0, like=torch.empty(0)) is None
    True
    """
    if rate == 0:
        return None
    return fill_dropout_mask(like.new_empty(tuple(shape)), rate)


def fill_dropout_mask(mask: Tensor, rate: float) -> Tensor:
    """Draw a mask into memory that is there already.

    On the CPU every element takes 16 of the generator's bits: the rate is that of the nearest
    multiple of 1 / 65,536, and so is the scale, which leaves the mean exact. That is five times as
    fast as torch's Bernoulli numbers, which take 3 % of a training step at 1,152 units
    (``bench/encoder.py``). The mask comes from torch's global generator of the device, and a
    checkpoint of that repeats it.

    Parameters
    ----------
    mask : Tensor
        Contiguous, floating point; overwritten.
    rate : float
        Share to drop, in [0, 1).

    Returns
    -------
    Tensor
        ``mask``.

    Raises
    ------
    ParameterError
        If the rate is not in [0, 1).

    Examples
    --------
    >>> mask = torch.empty(1000)
    >>> fill_dropout_mask(mask, 0.2) is mask
    True
    >>> mask.unique()
    tensor([0.0000, 1.2500])
    """
    _check_rate(rate)
    n_dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    scale = _LEVELS / (_LEVELS - n_dropped)
    if mask.device.type != "cpu":
        return mask.bernoulli_(1 - n_dropped / _LEVELS).mul_(scale)
    for piece in torch.split(mask.view(-1), _AT_ONCE):
        words = torch.empty(-(-len(piece) // 4), dtype=torch.int64).random_(-(2**63), None)
        levels = words.view(torch.int16)[: len(piece)]  # uniform in [-2^15, 2^15)
        torch.ge(levels, n_dropped - _LEVELS // 2, out=piece)
        piece.mul_(scale)
    return mask


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise ParameterError(f"a dropout rate must be in [0, 1), however: {rate=}")
