"""The linear models that vote with a text classifier's network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.estimators.samples import EncodedSample
from tabtext.text.documents import Documents
from tabtext.text.ngrams import NgramModel, WordModel
from tabtext.training.targets import ClassificationTarget, Target

__all__ = ["LinearMembers", "fit_linear_members", "from_tensors", "to_tensors"]

LinearMembers = dict[str, NgramModel | WordModel]
"""By name: ``"ngrams"``, and ``"words"`` where a language model has vectors of words."""


def fit_linear_members(
    train: EncodedSample[Documents],
    target: Target,
    *,
    longest: int,
    vocabulary_size: int,
    vectors: NDArray[np.float32] | None,
) -> LinearMembers:
    """Fit the linear models of labelled texts.

    Parameters
    ----------
    train : EncodedSample
        Texts, and codes of classes or labels.
    target : ClassificationTarget or MultilabelTarget
        What the codes mean.
    longest : int
        Tokens of the longest n-gram.
    vocabulary_size : int
        Number of distinct tokens.
    vectors : float32 array of shape (vocabulary_size, width) or None
        A language model's word vectors.
    """
    exclusive = isinstance(target, ClassificationTarget)
    codes = train.codes
    targets = np.eye(target.n_outputs)[codes] if exclusive else codes.astype(np.float64)
    members: LinearMembers = {
        "ngrams": NgramModel.fit(
            train.encoded,
            targets,
            vocabulary_size=vocabulary_size,
            exclusive=exclusive,
            longest=longest,
            weight=train.weight,
        )
    }
    if vectors is not None:
        members["words"] = WordModel.fit(
            train.encoded, targets, vectors, exclusive=exclusive, weight=train.weight
        )
    return members


def to_tensors(members: LinearMembers) -> dict[str, Tensor]:
    """Return what has to be saved of linear models, under ``name/what``."""
    return {
        f"{name}/{what}": torch.from_numpy(np.ascontiguousarray(array))
        for name, member in members.items()
        for what, array in member.tensors().items()
    }


def from_tensors(
    tensors: Mapping[str, Tensor], *, longest: int, vocabulary_size: int
) -> LinearMembers:
    """Return the linear models that ``to_tensors`` was given; none if it was given none."""
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for path, tensor in tensors.items():
        name, what = path.split("/")
        arrays.setdefault(name, {})[what] = tensor.numpy()
    members: LinearMembers = {}
    if "ngrams" in arrays:
        members["ngrams"] = NgramModel(longest, vocabulary_size, **arrays["ngrams"])
    if "words" in arrays:
        members["words"] = WordModel(**arrays["words"])
    return members
