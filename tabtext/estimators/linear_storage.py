"""The linear models of a text classifier as tensors of its artifact, and back.

Fitted models flow in and named tensors flow out, or the other way; what was damaged in between is
told by name, for a model of wrong numbers would predict as quietly as a right one.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tabtext.errors import ArtifactError
from tabtext.estimators.linear_members import LinearMembers
from tabtext.text.frequencies import FrequencyModel
from tabtext.text.ngrams import NgramModel, WordModel, fit_64_bits

__all__ = ["from_tensors", "to_tensors"]

Form = tuple[torch.dtype, tuple[int, ...]]
"""What a tensor holds, and its shape."""


def to_tensors(members: LinearMembers) -> dict[str, Tensor]:
    """Return what has to be saved of linear models, under ``name/what``."""
    return {
        f"{name}/{what}": torch.from_numpy(np.ascontiguousarray(array))
        for name, member in members.items()
        for what, array in member.tensors().items()
    }


def from_tensors(
    tensors: Mapping[str, Tensor], *, vocabulary_size: int, n_outputs: int
) -> LinearMembers:
    """Return the linear models that ``to_tensors`` was given; none if it was given none.

    Raises
    ------
    ArtifactError
        If something is missing, surplus or damaged, or belongs to another vocabulary or target.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        name, _, what = path.partition("/")
        parts.setdefault(name, {})[what] = tensor
    forms = _forms(parts, vocabulary_size, n_outputs)
    for name, part in parts.items():
        if name not in forms:
            raise _damaged(f"{name!r} is none of its linear models, {', '.join(forms)}")
        _require_forms(name, part, forms[name])
        _require_finite(name, part)
    members: LinearMembers = {}
    if "ngrams" in parts:
        members["ngrams"] = _ngram_model(parts["ngrams"], vocabulary_size)
    if "frequencies" in parts:
        members["frequencies"] = FrequencyModel(**_arrays(parts["frequencies"]))
    if "words" in parts:
        members["words"] = WordModel(**_arrays(parts["words"]))
    return members


def _forms(
    parts: Mapping[str, Mapping[str, Tensor]], vocabulary_size: int, n_outputs: int
) -> dict[str, dict[str, Form]]:
    """The form of every tensor, by model and name."""
    ngrams = parts.get("ngrams", {}).get("ngrams")
    n_ngrams = 0 if ngrams is None else ngrams.numel()  # which says so if it has two dimensions
    bias = (torch.float32, (n_outputs,))
    of_words = (torch.float32, (vocabulary_size, n_outputs))
    return {
        "ngrams": {
            "longest": (torch.int64, (1,)),
            "ngrams": (torch.int64, (n_ngrams,)),
            "weights": (torch.float32, (n_ngrams, n_outputs)),
            "bias": bias,
        },
        "frequencies": {
            "rarity": (torch.float32, (vocabulary_size,)),
            "weights": of_words,
            "bias": bias,
        },
        "words": {"weights": of_words, "bias": bias},
    }


def _require_forms(name: str, part: Mapping[str, Tensor], forms: Mapping[str, Form]) -> None:
    if part.keys() != forms.keys():
        raise _damaged(
            f"the linear model {name!r} has {', '.join(sorted(part))}, not "
            f"{', '.join(sorted(forms))}"
        )
    for what, (dtype, shape) in forms.items():
        found = part[what]
        if found.dtype != dtype or tuple(found.shape) != shape:
            raise _damaged(
                f"{what!r} of the linear model {name!r} is {found.dtype} of shape "
                f"{tuple(found.shape)}, not {dtype} of shape {shape}"
            )


def _require_finite(name: str, part: Mapping[str, Tensor]) -> None:
    for what, tensor in part.items():
        if not tensor.isfinite().all():
            raise _damaged(f"{what!r} of the linear model {name!r} has values that are not finite")


def _ngram_model(part: Mapping[str, Tensor], vocabulary_size: int) -> NgramModel:
    longest, ngrams = int(part["longest"][0]), part["ngrams"]
    if not fit_64_bits(longest, vocabulary_size):
        raise _damaged(
            f"'longest' of the linear model 'ngrams' is {longest}, with which n-grams of "
            f"{vocabulary_size:,} tokens have no numbers of 64 bits"
        )
    if not (ngrams[1:] > ngrams[:-1]).all():
        raise _damaged("'ngrams' of the linear model 'ngrams' do not ascend")
    arrays = _arrays(part)
    return NgramModel(longest, vocabulary_size, arrays["ngrams"], arrays["weights"], arrays["bias"])


def _arrays(part: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {what: tensor.numpy() for what, tensor in part.items()}


def _damaged(what: str) -> ArtifactError:
    return ArtifactError(
        f"the saved classifier is damaged: {what}; save it again or restore a copy"
    )
