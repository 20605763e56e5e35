"""The linear models that vote with a text classifier's network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.estimators.samples import EncodedSample
from tabtext.progress import track
from tabtext.text.documents import Documents
from tabtext.text.frequencies import FrequencyModel
from tabtext.text.ngrams import NgramModel, WordModel
from tabtext.training.targets import ClassificationTarget, Target

__all__ = ["LinearFitting", "LinearMembers"]

LinearMembers = dict[str, NgramModel | FrequencyModel | WordModel]
"""By name: ``"ngrams"``, ``"frequencies"``, and ``"words"`` where a language model has vectors."""

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class LinearFitting:
    """How the linear models of labelled texts are fitted.

    Parameters
    ----------
    target : ClassificationTarget or MultilabelTarget
        What the codes of the rows mean.
    longest : int
        Tokens of the longest n-gram.
    vocabulary_size : int
        Number of distinct tokens.
    vectors : float32 array of shape (vocabulary_size, width) or None
        A language model's word vectors.
    """

    target: Target
    longest: int
    vocabulary_size: int
    vectors: NDArray[np.float32] | None

    def fit(self, rows: EncodedSample[Documents]) -> LinearMembers:
        """Fit all models on all rows."""
        return self._fit(rows.encoded, rows.codes, rows.relative_weight())

    def _fit(
        self, documents: Documents, codes: NDArray[Any], weight: NDArray[np.float32] | None
    ) -> LinearMembers:
        exclusive = isinstance(self.target, ClassificationTarget)
        targets = np.eye(self.target.n_outputs)[codes] if exclusive else codes.astype(np.float64)
        members: LinearMembers = {
            "ngrams": NgramModel.fit(
                documents,
                targets,
                vocabulary_size=self.vocabulary_size,
                exclusive=exclusive,
                longest=self.longest,
                weight=weight,
            ),
            "frequencies": FrequencyModel.fit(
                documents,
                targets,
                vocabulary_size=self.vocabulary_size,
                exclusive=exclusive,
                weight=weight,
            ),
        }
        if self.vectors is not None:
            members["words"] = WordModel.fit(
                documents, targets, self.vectors, exclusive=exclusive, weight=weight
            )
        return members

    def out_of_fold(self, rows: EncodedSample[Documents], *, seed: int) -> list[Tensor]:
        """Return the raw outputs of every model for each row, by models that have not seen it."""
        n_folds = min(_FOLDS, len(rows))
        folds = self._folds(rows.codes, n_folds, seed)
        outputs: list[Tensor] = []
        weight = rows.relative_weight()
        for fold in track(range(n_folds), "fitting linear models"):
            others, own = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            of_others = None if weight is None else weight[others]
            members = self._fit(rows.encoded.take(others), rows.codes[others], of_others)
            documents = rows.encoded.take(own)
            if not outputs:
                shape = (len(rows), self.target.n_outputs)
                outputs = [torch.zeros(shape) for _ in members]
            for all_rows, member in zip(outputs, members.values(), strict=True):
                all_rows[torch.from_numpy(own)] = torch.from_numpy(member(documents))
        return outputs

    def _folds(self, codes: NDArray[Any], n_folds: int, seed: int) -> NDArray[np.intp]:
        """The fold of every row; all folds have the same share of each class, if there are classes.

        A class that a fold has more of, the others have less of, and models of the others find it
        less likely: of few rows that alone would tell against the models.
        """
        order = np.random.default_rng(seed).permutation(len(codes))
        if isinstance(self.target, ClassificationTarget):
            order = order[np.argsort(codes[order], kind="stable")]
        folds = np.empty(len(codes), np.intp)
        folds[order] = np.arange(len(codes)) % n_folds
        return folds
