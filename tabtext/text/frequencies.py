"""A linear model of texts on how often each word comes in them: TF-IDF and logistic regression.

Documents and 0/1 targets flow in, a model flows out. It sees single words only, and how often they
come; ``ngrams`` sees sequences, and whether they come. Together they are better than either.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tabtext.text.documents import Documents
from tabtext.text.logistic import fit_logistic, fit_outputs

__all__ = ["FrequencyModel"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FrequencyModel:
    """Logistic regression on logarithms of word counts, rare words counting more.

    A word that comes ``n`` times counts ``(1 + log n) * (1 + log((1 + texts) / (1 + texts with
    it)))``, and every text has length 1 then.

    Parameters
    ----------
    rarity : float32 array of shape (vocabulary_size,)
        The second factor; 0 for words of too few training texts.
    weights : float32 array of shape (vocabulary_size, n_outputs)
        What each word adds to the outputs, by its share of the length.
    bias : float32 array of shape (n_outputs,)
        The outputs of a text with no known word.

    References
    ----------
    Spärck Jones, K. (1972), "A Statistical Interpretation of Term Specificity"; Salton, G. and
    Buckley, C. (1988), "Term-Weighting Approaches in Automatic Text Retrieval" (the logarithm).

    Examples
    --------
    >>> documents = Documents.of([[5, 6], [5, 7], [8, 6], [8, 7]])
    >>> targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> model = FrequencyModel.fit(documents, targets, vocabulary_size=10)
    >>> model(Documents.of([[8, 9], [5]])).argmax(axis=1).tolist()
    [1, 0]
    """

    rarity: Floats
    weights: Floats
    bias: Floats

    @classmethod
    def fit(
        cls,
        documents: Documents,
        targets: npt.NDArray[np.floating[Any]],
        *,
        vocabulary_size: int,
        exclusive: bool = True,
        weight: npt.NDArray[np.floating[Any]] | None = None,
        min_texts: int = 2,
        inverse_penalty: float = 10.0,
    ) -> Self:
        """Learn from documents.

        Parameters
        ----------
        documents, targets, vocabulary_size, exclusive, weight, min_texts, inverse_penalty
            As for ``NgramModel.fit``; words are left out here as n-grams are there.
        """
        counts = _counts(documents, vocabulary_size)
        n_texts = np.bincount(counts.indices, minlength=vocabulary_size)
        rarity = 1 + np.log((1 + len(documents)) / (1 + n_texts))
        rarity = np.where(n_texts >= min_texts, rarity, 0).astype(np.float32)
        kept = np.flatnonzero(rarity)
        features = _weighted(counts, rarity)[:, kept]

        def fit_one(holds: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
            return fit_logistic(features, holds, weight, inverse_penalty)

        coefficients, bias = fit_outputs(targets, exclusive, fit_one)
        weights = np.zeros((vocabulary_size, len(bias)), np.float32)
        weights[kept] = coefficients
        return cls(rarity, weights, bias)

    def __call__(self, documents: Documents) -> Floats:
        """Return outputs ``(documents, n_outputs)``, in logits."""
        features = _weighted(_counts(documents, len(self.rarity)), self.rarity)
        return np.asarray(features @ self.weights + self.bias, np.float32)

    def contributions(self, document: Documents) -> Floats:
        """Return what each token of a single document adds, ``(tokens, n_outputs)``.

        What a word adds that comes several times is shared by its tokens.
        """
        counts = _counts(document, len(self.rarity))
        shares = _weighted(counts, self.rarity).toarray()[0] / np.maximum(counts.toarray()[0], 1)
        ids = document.ids
        return np.asarray(shares[ids, None] * self.weights[ids], np.float32)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what has to be saved."""
        return {"rarity": self.rarity, "weights": self.weights, "bias": self.bias}


def _counts(documents: Documents, vocabulary_size: int) -> sparse.csr_matrix:
    """How often every word comes in every document."""
    ones = np.ones(len(documents.ids), np.float32)
    shape = (len(documents), vocabulary_size)
    # A copy, because what comes next moves ids, and the documents' must stay.
    counts = sparse.csr_matrix((ones, documents.ids, documents.offsets), shape=shape, copy=True)
    counts.sum_duplicates()
    return counts


def _weighted(counts: sparse.csr_matrix, rarity: Floats) -> sparse.csr_matrix:
    """Counts into features; rows of length 1, or 0 where no word is known."""
    values = (1 + np.log(counts.data)) * rarity[counts.indices]
    features = sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
    lengths = np.sqrt(features.multiply(features).sum(axis=1)).A1
    return sparse.diags(1 / np.where(lengths > 0, lengths, 1)) @ features
