"""Linear models of texts: which words and word sequences there are, and what words mean on average.

Documents and 0/1 targets flow in; two models flow out that are trained in seconds, and that no
network of a few labelled texts is far ahead of: logistic regression on n-grams, each weighted by
how differently the classes use it, and logistic regression on the mean of the words' vectors. Both
are sums over the tokens of a text, so that they explain themselves.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tabtext.errors import ParameterError
from tabtext.text.documents import Documents
from tabtext.text.logistic import fit_logistic, fit_outputs

__all__ = ["NgramModel", "WordModel", "fit_64_bits", "require_numbers"]

Floats = npt.NDArray[np.float32]

_LARGEST = 2**63 - 1


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Naive-Bayes-weighted logistic regression on which n-grams a text has.

    How often an n-gram comes in a text does not count, only whether it does.

    Parameters
    ----------
    longest : int
        Tokens of the longest n-gram.
    vocabulary_size : int
        Number of distinct tokens.
    ngrams : int64 array of shape (n_ngrams,)
        The known n-grams as numbers, ascending; see ``kernels.ngrams.collect_ngrams``.
    weights : float32 array of shape (n_ngrams, n_outputs)
        What each adds to the outputs of a text that has it.
    bias : float32 array of shape (n_outputs,)
        The outputs of a text with none of them.

    References
    ----------
    Wang, S. and Manning, C. D. (2012), "Baselines and Bigrams: Simple, Good Sentiment and Topic
    Classification"; Mesnil, G. et al. (2014), "Ensemble of Generative and Discriminative Techniques
    for Sentiment Analysis of Movie Reviews" (with a recurrent language model).

    Examples
    --------
    >>> documents = Documents.of([[5, 6], [5, 7], [8, 6], [8, 7]])
    >>> targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> model = NgramModel.fit(documents, targets, vocabulary_size=9, min_texts=1)
    >>> model(Documents.of([[8, 9], [5]])).argmax(axis=1).tolist()
    [1, 0]
    """

    longest: int
    vocabulary_size: int
    ngrams: npt.NDArray[np.int64]
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
        longest: int = 2,
        weight: npt.NDArray[np.floating[Any]] | None = None,
        min_texts: int = 2,
        inverse_penalty: float = 0.5,
    ) -> Self:
        """Learn from documents.

        Parameters
        ----------
        documents : Documents
        targets : float array of shape (documents, n_outputs)
            1 where an output holds, else 0.
        vocabulary_size : int
            Number of distinct tokens.
        exclusive : bool
            Whether exactly one output holds for each document. Then of two outputs one is the
            negative of the other; with more, or if not, each is fitted against the rest.
        longest : int
            Tokens of the longest n-gram.
        weight : float array of shape (documents,), optional
            How much each document counts.
        min_texts : int
            n-grams of fewer texts are left out.
        inverse_penalty : float
            scikit-learn's C. On short sentences and long reviews, 400 to 4,000 of them, 0.3 and 1
            had the lowest losses of 0.03 to 4.

        Raises
        ------
        ParameterError
            If n-grams of this length have no number in 64 bits, or a number is out of range.
        """
        require_numbers(longest, vocabulary_size)
        numbers, ends = _collected(documents, longest, vocabulary_size)
        ngrams, n_texts = np.unique(numbers, return_counts=True)
        ngrams = ngrams[n_texts >= min_texts]
        present = _presence(numbers, ends, ngrams)

        def fit_one(holds: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
            ratio = _log_ratio(present, holds, weight)
            weighted = present @ sparse.diags(ratio)
            coefficients, intercept = fit_logistic(weighted, holds, weight, inverse_penalty)
            return coefficients * ratio, intercept

        weights, bias = fit_outputs(targets, exclusive, fit_one)
        return cls(longest, vocabulary_size, ngrams, weights, bias)

    def __call__(self, documents: Documents) -> Floats:
        """Return outputs ``(documents, n_outputs)``, in logits."""
        numbers, ends = _collected(documents, self.longest, self.vocabulary_size)
        present = _presence(numbers, ends, self.ngrams)
        return np.asarray(present @ self.weights + self.bias, np.float32)

    def contributions(self, document: Documents) -> Floats:
        """Return what each token of a single document adds, ``(tokens, n_outputs)``.

        An n-gram's weight is shared by its tokens, and by all places where it stands.
        """
        ids = document.ids.astype(np.int64)
        total = np.zeros((len(ids), self.weights.shape[1]), np.float32)
        base = self.vocabulary_size + 1
        numbers = np.zeros(0, np.int64)
        for length in range(1, self.longest + 1):
            n_places = len(ids) - length + 1
            if n_places < 1:
                break
            last = ids[length - 1 :] + 1
            numbers = numbers[:n_places] * base + last if length > 1 else last
            places, known = _places(numbers, self.ngrams)
            _, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
            share = self.weights[places] * (known / counts[which] / length)[:, None]
            for token in range(length):
                total[token : token + n_places] += share
        return total

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what has to be saved."""
        longest = np.array([self.longest], np.int64)
        return {
            "longest": longest,
            "ngrams": self.ngrams,
            "weights": self.weights,
            "bias": self.bias,
        }


@dataclass(frozen=True, eq=False)
class WordModel:
    """Logistic regression on the mean of a text's word vectors.

    As the mean is a sum over tokens, what has been learned is a number for each word and output.

    Parameters
    ----------
    weights : float32 array of shape (vocabulary_size, n_outputs)
        What each word says, to be averaged over the words of a text.
    bias : float32 array of shape (n_outputs,)
        What is added.

    Examples
    --------
    >>> vectors = np.eye(9, 4, k=-5, dtype=np.float32)  # of words 5 to 8
    >>> documents = Documents.of([[5, 6], [5, 7], [8, 6], [8, 7]])
    >>> targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> model = WordModel.fit(documents, targets, vectors)
    >>> model(Documents.of([[8], [5]])).argmax(axis=1).tolist()
    [1, 0]
    """

    weights: Floats
    bias: Floats

    @classmethod
    def fit(
        cls,
        documents: Documents,
        targets: npt.NDArray[np.floating[Any]],
        vectors: Floats,
        *,
        exclusive: bool = True,
        weight: npt.NDArray[np.floating[Any]] | None = None,
        inverse_penalty: float = 0.01,
    ) -> Self:
        """Learn from documents.

        Parameters
        ----------
        documents, targets, exclusive, weight, inverse_penalty
            As for ``NgramModel.fit``; the penalty is that of standardised features. On film
            reviews 0.01 was within half a point of the best for 500 to 5,000 labels.
        vectors : float32 array of shape (vocabulary_size, width)
            Of all words.
        """
        means = _mean_rows(documents, len(vectors)) @ vectors
        centre, scale = means.mean(axis=0), means.std(axis=0)
        scale[scale < np.finfo(np.float32).eps] = 1.0
        features = (means - centre) / scale

        def fit_one(holds: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
            of_features, intercept = fit_logistic(features, holds, weight, inverse_penalty)
            of_means = of_features / scale
            return of_means, intercept - float(centre @ of_means)

        coefficients, bias = fit_outputs(targets, exclusive, fit_one)
        return cls(np.asarray(vectors @ coefficients, np.float32), bias)

    def __call__(self, documents: Documents) -> Floats:
        """Return outputs ``(documents, n_outputs)``, in logits."""
        means = _mean_rows(documents, len(self.weights)) @ self.weights
        return np.asarray(means + self.bias, np.float32)

    def contributions(self, document: Documents) -> Floats:
        """Return what each token of a single document adds, ``(tokens, n_outputs)``."""
        ids = document.ids
        return np.asarray(self.weights[ids] / max(len(ids), 1), np.float32)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what has to be saved."""
        return {"weights": self.weights, "bias": self.bias}


def fit_64_bits(longest: int, vocabulary_size: int) -> bool:
    """Return whether all n-grams of so many distinct tokens, and so long, have numbers.

    Examples
    --------
    >>> fit_64_bits(3, 60_000), fit_64_bits(4, 60_000), fit_64_bits(0, 60_000)
    (True, False, False)
    """
    # A damaged model may have any length, and the power of a large one would take for ever.
    return 1 <= longest < 64 and (vocabulary_size + 1) ** longest <= _LARGEST


def require_numbers(longest: int, vocabulary_size: int) -> None:
    """Raise ``ParameterError`` unless n-grams have numbers; see ``fit_64_bits``.

    Examples
    --------
    >>> require_numbers(3, 60_000)
    """
    if not fit_64_bits(longest, vocabulary_size):
        raise ParameterError(
            f"n-grams of up to {longest} of {vocabulary_size:,} distinct tokens have no numbers "
            "of 64 bits; give a length of at least 1, a shorter one, or a smaller max_vocabulary"
        )


def _collected(
    documents: Documents, longest: int, vocabulary_size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The n-grams of every document, and where those of each end."""
    from tabtext.text.kernels.ngrams import collect_ngrams

    out = np.empty(longest * len(documents.ids), np.int64)
    ends = np.zeros(len(documents), np.int64)
    collect_ngrams(documents.ids, documents.offsets, longest, vocabulary_size + 1, out, ends)
    return out[: ends[-1] if len(ends) else 0], ends


def _places(
    numbers: npt.NDArray[np.int64], ngrams: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where numbers stand among the known n-grams, and which of them do."""
    if not len(ngrams):
        return np.zeros(len(numbers), np.intp), np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(ngrams, numbers), len(ngrams) - 1)
    return places, ngrams[places] == numbers


def _presence(
    numbers: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], ngrams: npt.NDArray[np.int64]
) -> sparse.csr_matrix:
    """A 1 for every known n-gram of every document."""
    places, known = _places(numbers, ngrams)
    offsets = np.concatenate([[0], np.cumsum(known)])[np.concatenate([[0], ends])]
    columns = places[known]
    ones = np.ones(len(columns), np.float32)
    return sparse.csr_matrix((ones, columns, offsets), shape=(len(ends), len(ngrams)))


def _mean_rows(documents: Documents, vocabulary_size: int) -> sparse.csr_matrix:
    """For every document the share that each word has of its tokens."""
    lengths = documents.lengths
    shares = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    return sparse.csr_matrix(
        (shares, documents.ids, documents.offsets), shape=(len(documents), vocabulary_size)
    )


def _log_ratio(
    present: sparse.csr_matrix,
    holds: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.floating[Any]] | None,
) -> Floats:
    """How much more often an n-gram is in the texts where an output holds, in logarithms."""
    weight = np.ones(len(holds)) if weight is None else weight
    counts = [np.asarray((weight * side) @ present).ravel() + 1 for side in (holds, ~holds)]
    yes, no = (np.log(count / count.sum()) for count in counts)
    return np.asarray(yes - no, np.float32)
