"""Word vectors from counts: which words stand near which, factorised.

Documents of token ids flow in; a vector for every token of the vocabulary flows out, in seconds
for millions of words. Words that are used alike get vectors that are alike. A language model that
begins with them has less left to learn, see ``bench/README.md``.

Two kinds of nearness are counted. Words with the same *immediate* neighbours are of the same kind,
as "good" and "bad" are; words with the same *wider* surroundings belong to the same matter and the
same mood, which tells "good" from "bad". Half of each vector is of either kind.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from tabtext.errors import ParameterError
from tabtext.progress import Progress, step
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents

__all__ = ["NEAR", "WIDE", "Reach", "word_vectors"]

Vectors = npt.NDArray[np.float32]

_SMOOTHING = 0.75
"""Exponent of context counts: rare contexts would else seem more telling than they are (Levy,
Goldberg and Dagan 2015, section 3.2)."""
_MOST_TOKENS = 50_000_000
"""More texts than this are sampled. They would tell little more, and counts in single precision
stop at 16.7 million, which pairs of the commonest words reach from here on."""
_BLOCK_BYTES = 128 * 1024**2
_POWER_ITERATIONS = 3
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Reach:
    """How far words are neighbours, and how much a neighbour counts by its distance.

    Parameters
    ----------
    distance : int
        How many tokens away the furthest neighbour is.
    falls : bool
        Whether a neighbour at distance ``d`` counts ``1 / d``, else 1.

    Examples
    --------
    >>> Reach(4, falls=True).weights().tolist()
    [1.0, 0.5, 0.3333333432674408, 0.25]
    """

    distance: int
    falls: bool = False

    def __post_init__(self) -> None:
        """Refuse a reach of nothing."""
        if self.distance < 1:
            raise ParameterError(f"{self.distance=} must be at least 1")

    def weights(self) -> Vectors:
        """Return what neighbours at distance 1, 2, ... count."""
        distances = np.arange(1, self.distance + 1, dtype=np.float32)
        counts = 1 / distances if self.falls else np.ones_like(distances)
        return counts.astype(np.float32)


NEAR = Reach(5, falls=True)
WIDE = Reach(40)


def word_vectors(
    documents: Documents | DocumentView,
    vocabulary_size: int,
    width: int,
    *,
    reaches: Sequence[Reach] = (NEAR, WIDE),
    seed: int = 0,
) -> Vectors:
    """Return vectors of words by a truncated factorisation of their positive mutual information.

    Parameters
    ----------
    documents : Documents or DocumentView
        Texts as token ids.
    vocabulary_size : int
        Number of distinct tokens.
    width : int
        Width of the vectors; divided evenly among the reaches.
    reaches : sequence of Reach
        The kinds of nearness.
    seed : int
        Of the random projection that the factorisation begins with.

    Returns
    -------
    float32 array of shape (vocabulary_size, width)
        Each reach's part has a root mean square of 1. Words that do not occur, or never near
        another, are zero; so are columns beyond the number of words.

    Raises
    ------
    ParameterError
        If the width is smaller than the number of reaches.

    References
    ----------
    Levy, O. and Goldberg, Y. (2014), "Neural Word Embedding as Implicit Matrix Factorization".
    Levy, O., Goldberg, Y. and Dagan, I. (2015), "Improving Distributional Similarity with Lessons
    Learned from Word Embeddings": context smoothing, square root of the singular values.
    Halko, N., Martinsson, P. G. and Tropp, J. A. (2011), "Finding Structure with Randomness".

    Examples
    --------
    >>> documents = Documents.of([[5, 6, 7], [5, 8, 7], [9, 6, 10], [9, 8, 10]])
    >>> vectors = word_vectors(documents, 11, width=2, reaches=[NEAR])
    >>> vectors.shape
    (11, 2)
    >>> bool(np.allclose(vectors[6], vectors[8], atol=1e-4))  # they have the same neighbours
    True
    """
    if width < len(reaches) or not reaches:
        raise ParameterError(f"{width=} must be at least the number of reaches, {len(reaches)}")
    view = _sample(DocumentView.of(documents))
    shares = np.array_split(np.arange(width), len(reaches))
    vectors = np.zeros((vocabulary_size, width), np.float32)
    with step("counting words") as progress:
        counting = _Counting(view, vocabulary_size, progress, n_matrices=len(reaches))
        for reach, columns in zip(reaches, shares, strict=True):
            information = counting.positive_information(reach.weights())
            part = _factorised(information, len(columns), seed)
            part[np.diff(information.indptr) == 0] = 0  # and not what rounding left
            # Words that do not occur count as well, so that the scale is that of a whole network.
            part *= np.sqrt(vocabulary_size * len(columns)) / max(np.linalg.norm(part), _SMALLEST)
            vectors[np.ix_(counting.present, columns)] = part
    return vectors


def _sample(view: DocumentView) -> DocumentView:
    """Documents at even distances, so many that their tokens are not too many."""
    distance = -(-view.n_tokens // _MOST_TOKENS)
    if distance < 2:
        return view
    rows = np.arange(len(view)) if view.rows is None else np.asarray(view.rows)
    return DocumentView(view.documents, rows[::distance])


def _factorised(information: sparse.csr_matrix, width: int, seed: int) -> Vectors:
    """The left factor."""
    vectors = np.zeros((information.shape[0], width), np.float32)
    rank = min(width, information.shape[0] - 1)
    if information.nnz and rank > 0:
        left, values, _ = randomized_svd(
            information, rank, n_iter=_POWER_ITERATIONS, random_state=seed
        )
        vectors[:, :rank] = left * np.sqrt(values)
    return vectors


def _information(
    counts: Vectors, log_words: npt.NDArray[np.float64], log_contexts: npt.NDArray[np.float64]
) -> sparse.csr_matrix:
    """Of a block of words, how much likelier each neighbour is than elsewhere, if it is."""
    seen = np.flatnonzero(counts != 0)  # few pairs of many
    words, contexts = np.divmod(seen, counts.shape[1])
    expected = (log_words[words] + log_contexts[contexts]).astype(np.float32)
    information = np.log(counts.ravel()[seen]) - expected
    positive = information > 0
    return sparse.csr_matrix(
        (information[positive], (words[positive], contexts[positive])), shape=counts.shape
    )


class _Counting:
    """Counts neighbours, a block of words after the other, each in a dense matrix.

    Words without any are left out: few texts use few words of a large vocabulary, and the work
    grows with the square of its size.
    """

    def __init__(
        self,
        view: DocumentView,
        vocabulary_size: int,
        progress: Progress,
        *,
        n_matrices: int,
    ) -> None:
        self.ids, self.begins, self.lengths = view.ids, view.begins, view.lengths
        self.present = self._totals(np.ones(1, np.float32), vocabulary_size) > 0
        self.numbers = np.where(self.present, np.cumsum(self.present) - 1, -1).astype(np.int32)
        self.size = int(self.present.sum())
        self.progress = progress
        self.n_threads = os.cpu_count() or 1
        self.block = max(_BLOCK_BYTES // (4 * max(self.size, 1) * self.n_threads), 1)
        self.n_blocks = n_matrices * -(-self.size // self.block)
        self.done = 0

    def positive_information(self, weights: Vectors) -> sparse.csr_matrix:
        """Positive pointwise mutual information of words (rows) and neighbours (columns)."""
        totals = self._totals(weights, len(self.present))[self.present]
        contexts = totals**_SMOOTHING
        log_words, log_contexts = np.log(totals), np.log(contexts / contexts.sum())
        blocks = [sparse.csr_matrix((0, self.size), dtype=np.float32)]
        with ThreadPoolExecutor(self.n_threads) as pool:
            for first in range(0, self.size, self.block):
                counts = self._count(pool, first, weights)
                blocks.append(_information(counts, log_words[first:], log_contexts))
                self._tell()
        return sparse.vstack(blocks, format="csr")

    def _count(self, pool: ThreadPoolExecutor, first: int, weights: Vectors) -> Vectors:
        """Counts of one block; every thread has documents of its own, so that none waits."""
        from tabtext.text.kernels.neighbours import count_neighbours

        n_words = min(self.block, self.size - first)

        def count(rows: npt.NDArray[np.intp]) -> Vectors:
            out = np.zeros((n_words, self.size), np.float32)
            begins, lengths = self.begins[rows], self.lengths[rows]
            count_neighbours(self.ids, begins, lengths, self.numbers, weights, first, out)
            return out

        shares = np.array_split(np.arange(len(self.begins)), self.n_threads)
        total, *others = pool.map(count, shares)
        for other in others:
            total += other
        return total

    def _totals(self, weights: Vectors, vocabulary_size: int) -> npt.NDArray[np.float64]:
        """What the neighbours of every word of the vocabulary count together."""
        from tabtext.text.kernels.neighbours import sum_neighbours

        sums = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
        totals = np.zeros(vocabulary_size)
        sum_neighbours(self.ids, self.begins, self.lengths, sums, totals)
        return totals

    def _tell(self) -> None:
        self.done += 1
        self.progress(self.done, self.n_blocks)
