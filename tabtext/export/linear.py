"""The linear models that vote with a text classifier, as torch modules that can be exported.

Each reads token ids ``(rows, longest)`` and lengths ``(rows,)`` and returns outputs ``(rows,
n_outputs)``: those of the model that it was made from, up to rounding.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tabtext.text.frequencies import FrequencyModel
from tabtext.text.ngrams import NgramModel, WordModel

__all__ = ["LinearMember", "linear_program"]

Floats = NDArray[np.float32]

LinearMember = NgramModel | FrequencyModel | WordModel

_NONE = -1
"""Less than the number of any n-gram and the id of any token."""


def linear_program(member: LinearMember) -> nn.Module:
    """Return the module that computes what a fitted linear model does.

    Examples
    --------
    >>> model = WordModel(np.eye(4, 2, dtype=np.float32), np.zeros(2, np.float32))
    >>> linear_program(model)(torch.tensor([[0, 1, 0], [1, 3, 3]]), torch.tensor([2, 1]))
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """
    if isinstance(member, NgramModel):
        return _NgramProgram(member)
    if isinstance(member, FrequencyModel):
        return _FrequencyProgram(member)
    return _WordProgram(member.weights, member.bias)


class _LinearProgram(nn.Module):
    """Weights and biases of a linear model."""

    weights: Tensor
    bias: Tensor

    def __init__(self, weights: Floats, bias: Floats) -> None:
        super().__init__()
        self.register_buffer("weights", torch.from_numpy(weights))
        self.register_buffer("bias", torch.from_numpy(bias))


class _WordProgram(_LinearProgram):
    """The mean of what the words say."""

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        said = self.weights[tokens].masked_fill(~_inside(tokens, lengths)[:, :, None], 0.0)
        return said.sum(dim=1) / lengths.clamp(min=1)[:, None] + self.bias


class _FrequencyProgram(_LinearProgram):
    """Words weighted by how often they come and how rare they are, every text of length 1."""

    rarity: Tensor

    def __init__(self, member: FrequencyModel) -> None:
        super().__init__(member.weights, member.bias)
        self.register_buffer("rarity", torch.from_numpy(member.rarity))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        known = tokens.masked_fill(~_inside(tokens, lengths), _NONE).sort(dim=1).values
        counts = _counts(known)  # of every token where it stands first, else 0
        ids = known.clamp(min=0)
        seen = (counts > 0) & (known != _NONE)
        values = torch.where(seen, (1 + counts.clamp(min=1).log()) * self.rarity[ids], 0.0)
        norms = values.square().sum(dim=1, keepdim=True).sqrt()
        summed = (values[:, :, None] * self.weights[ids]).sum(dim=1)
        return summed / torch.where(norms > 0, norms, 1.0) + self.bias


class _NgramProgram(_LinearProgram):
    """Which n-grams there are, each once, looked up by their numbers."""

    ngrams: Tensor

    def __init__(self, member: NgramModel) -> None:
        # One number more, which no n-gram has: so there is one to look at even where none is known.
        nothing = np.zeros((1, member.weights.shape[1]), np.float32)
        super().__init__(np.concatenate([member.weights, nothing]), member.bias)
        ngrams = np.append(member.ngrams, np.iinfo(np.int64).max)
        self.register_buffer("ngrams", torch.from_numpy(ngrams))
        self.longest, self.base = member.longest, member.vocabulary_size + 1

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        numbers = self._numbers(tokens, lengths).sort(dim=1).values
        places = _places(numbers, self.ngrams)
        counts = (self.ngrams[places] == numbers) & _is_first(numbers)
        return (self.weights[places] * counts[:, :, None]).sum(dim=1) + self.bias

    def _numbers(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """All n-grams of the documents by their numbers; see ``kernels.ngrams``."""
        longest = tokens.shape[1]
        places = torch.arange(longest)[None, :]
        padded = nn.functional.pad(tokens, (0, self.longest - 1))
        number, numbers = torch.zeros_like(tokens), list[Tensor]()
        for behind in range(self.longest):
            number = number * self.base + padded[:, behind : behind + longest] + 1
            numbers.append(number.masked_fill(places + behind >= lengths[:, None], _NONE))
        return torch.cat(numbers, dim=1)


def _inside(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Which tokens are no padding."""
    return torch.arange(tokens.shape[1])[None, :] < lengths[:, None]


def _is_first(ascending: Tensor) -> Tensor:
    """Which numbers of each row, ascending, stand there for the first time."""
    before = nn.functional.pad(ascending[:, :-1], (1, 0), value=_NONE - 1)
    return ascending != before


def _counts(ascending: Tensor) -> Tensor:
    """How often each number of a row stands in it, where it stands first; else 0."""
    first = _is_first(ascending)
    which = first.to(torch.int64).cumsum(dim=1) - 1
    totals = torch.zeros(ascending.shape).scatter_add(1, which, torch.ones(ascending.shape))
    return torch.where(first, totals.gather(1, which), 0.0)


def _places(numbers: Tensor, ascending: Tensor) -> Tensor:
    """Where in a table the largest number stands that is not greater; 0 if all are.

    A binary search whose steps are written out, as no operator of ONNX searches.
    """
    place = torch.zeros_like(numbers)
    size = len(ascending)
    step = 1 << max(size - 1, 1).bit_length()
    while step := step // 2:
        beyond = place + step
        further = (beyond < size) & (ascending[beyond.clamp(max=size - 1)] <= numbers)
        place = torch.where(further, beyond, place)
    return place
