"""Word vectors of new texts, turned so that a network reads them that was trained on others.

Counts in new texts tell how words are used there, but axes of vectors from counts are arbitrary.
A rotation brings them to those of a network's own vectors, with the words that both know as the
hinge; nothing that the counts told is lost in it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HALF_WAY", "adapted_vectors"]

Vectors = npt.NDArray[np.float32]

HALF_WAY = 10
"""Occurrences of a word in the new texts from which on they say more of it than the old ones."""
_SMALLEST = 1e-6
_MOST_WEIGHT = 300.0
"""What a word counts at most in the alignment, where each counts by the root of its occurrences:
stop words, which have no meaning to be aligned, would else have all the say."""


def adapted_vectors(
    counted: Vectors,
    carried: Vectors,
    shared: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.integer[Any]],
    *,
    half_way: float = HALF_WAY,
) -> Vectors:
    """Return vectors for the words of new texts, in the space of a network's own vectors.

    Words that the network knows turn from its vector to that of the new texts, the further the more
    often they occur there. What is blended with its vector has that vector's length, which tells
    the softmax how frequent the word is; where the two point apart, the blend is shorter, which
    says that neither is sure. New words have vectors as long as those of known rare words. A word
    of which nothing was counted, having no neighbour, keeps what it has.

    Parameters
    ----------
    counted : float32 array of shape (n_words, width)
        From counts in the new texts, see ``word_vectors``.
    carried : float32 array of shape (n_words, width)
        The network's vectors; for words that it does not know, what they have if nothing was
        counted of them.
    shared : bool array of shape (n_words,)
        Which words it knows.
    counts : int array of shape (n_words,)
        How often each occurs in the new texts.
    half_way : float
        Occurrences from which on the new texts say more of a word than the network's vector.

    Returns
    -------
    float32 array of shape (n_words, width)
        ``carried`` itself if fewer words are shared than there are axes to align.

    References
    ----------
    Schönemann, P. (1966), "A Generalized Solution of the Orthogonal Procrustes Problem"; Hamilton,
    W., Leskovec, J. and Jurafsky, D. (2016), "Diachronic Word Embeddings Reveal Statistical Laws of
    Semantic Change" (of vectors from counts in different texts).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> own = rng.normal(size=(50, 3)).astype(np.float32)
    >>> turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    >>> shared = np.arange(50) < 40
    >>> adapted = adapted_vectors(own @ turn, own, shared, np.full(50, 10_000))
    >>> bool(np.allclose(adapted[:40], own[:40], atol=0.01))
    True
    >>> cosine = adapted[49] @ own[49] / np.linalg.norm(adapted[49]) / np.linalg.norm(own[49])
    >>> bool(cosine > 0.99)  # of a new word, of which nothing was known
    True
    """
    told = counted.any(axis=1)
    known = shared & told & (counts > 0)
    if known.sum() < counted.shape[1]:
        return carried
    weight = np.minimum(np.sqrt(counts[known]), _MOST_WEIGHT)[:, None]
    left, _, right = np.linalg.svd((counted[known] * weight).T @ carried[known])
    turned = counted @ (left @ right)
    turned *= (_lengths(carried, known, counts) / np.maximum(_norms(turned), _SMALLEST))[:, None]
    share = (told * np.where(shared, counts / (counts + half_way), 1.0))[:, None]
    return np.asarray(share * turned + (1 - share) * carried, np.float32)


def _lengths(
    carried: Vectors, known: npt.NDArray[np.bool_], counts: npt.NDArray[np.integer[Any]]
) -> Vectors:
    """The network's own length of each word's vector; new words are as long as known rare ones."""
    lengths = _norms(carried)
    rare = known & (counts <= np.median(counts[known]))
    return np.where(known, lengths, np.median(lengths[rare]))


def _norms(vectors: Vectors) -> Vectors:
    return np.asarray(np.linalg.norm(vectors, axis=1), np.float32)
