"""Dropout masks that come cheap, and the dropouts of texts: of features, and of whole words.

A mask is a tensor of zeros (dropped) and ``1 / (1 - rate)`` (kept), so that applying it is one
product and keeps the mean. What is applied is a mask, not a rate: the AWD-LSTM shares one over all
time steps, and over all chunks of a long document. ``weight_drop`` holds the dropout of weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tabtext.errors import ParameterError

__all__ = ["dropout_mask", "embed_words", "fill_dropout_mask", "locked_dropout"]

_LEVELS = 2**16
_AT_ONCE = 2**17  # random bits that stay in the cache until they have become a mask


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
    if not 0 <= rate < 1:
        raise ParameterError(f"a dropout rate must be in [0, 1), however: {rate=}")
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


def locked_dropout(sequence: Tensor, mask: Tensor | None) -> Tensor:
    """Drop the same features at every time step: variational dropout.

    Parameters
    ----------
    sequence : Tensor of shape (length, rows, width)
        Time first.
    mask : Tensor of shape (rows, width) or None
        One per row; None drops nothing.

    Returns
    -------
    Tensor
        Of the sequence's shape and dtype.

    References
    ----------
    Gal, Y. and Ghahramani, Z. (2016), "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks".

    Examples
    --------
    >>> mask = torch.tensor([[0.0, 2.0], [2.0, 2.0]])
    >>> locked_dropout(torch.ones(3, 2, 2), mask)[:, 0]
    tensor([[0., 2.],
            [0., 2.],
            [0., 2.]])
    """
    return sequence if mask is None else sequence * mask.to(sequence.dtype)


def embed_words(
    tokens: Tensor,
    weight: Tensor,
    *,
    word_mask: Tensor | None = None,
    locked_mask: Tensor | None = None,
) -> Tensor:
    """Look up the vectors of tokens, some words dropped wherever they occur.

    A mask over the vocabulary is gathered like the vectors themselves: no masked copy of the whole
    embedding matrix is made, which would cost more than the lookup.

    Parameters
    ----------
    tokens : Tensor of shape (length, rows)
        Token ids, time first.
    weight : Tensor of shape (vocabulary, width)
        The embedding matrix.
    word_mask : Tensor of shape (vocabulary,), optional
        0 for a word that is dropped.
    locked_mask : Tensor of shape (rows, width), optional
        For ``locked_dropout`` of the vectors.

    Returns
    -------
    Tensor of shape (length, rows, width)

    References
    ----------
    Gal and Ghahramani (2016), section 4.2; Merity, S., Keskar, N. S. and Socher, R. (2018),
    "Regularizing and Optimizing LSTM Language Models", section 4.3.

    Examples
    --------
    >>> weight = torch.tensor([[1.0, 1.0], [5.0, 6.0], [7.0, 8.0]])
    >>> embed_words(torch.tensor([[1, 2], [2, 2]]), weight, word_mask=torch.tensor([0.0, 2.0, 0.0]))
    tensor([[[10., 12.],
             [ 0.,  0.]],
    <BLANKLINE>
            [[ 0.,  0.],
             [ 0.,  0.]]])
    """
    vectors = functional.embedding(tokens, weight)
    # In place: these vectors belong to nobody else, and their gradient does not need them.
    if word_mask is not None:
        vectors = vectors.mul_(word_mask[tokens].unsqueeze(-1))
    return vectors if locked_mask is None else vectors.mul_(locked_mask)
