"""The dropouts of texts: of features, and of whole words.

What is applied is a mask of ``tabtext.dropout``, not a rate: the AWD-LSTM shares one over all time
steps, and over all chunks of a long document. ``weight_drop`` holds the dropout of weights.
"""

from torch import Tensor
from torch.nn import functional

__all__ = ["embed_words", "locked_dropout"]


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
    >>> import torch
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
    >>> import torch
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
