"""Where to cut a vocabulary into frequent tokens and clusters of rarer ones.

Counts of tokens in the order of their ids flow in; the ids at which the clusters of an adaptive
softmax begin flow out.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tabtext.errors import DataError, ParameterError

__all__ = ["choose_cutoffs", "zipf_counts"]

_CANDIDATES = 64
"""Places that may be cut at, evenly spread over the logarithm of the rank."""
_BATCH = 2_240
"""Targets of a step that costs are reckoned for: 32 streams of 70 tokens."""
_FEWEST_ROWS = 16
"""A cluster's weights are read as long as so many rows take to be multiplied."""
_CALL = 20_000
"""What calling a cluster costs in itself, in logits."""


def choose_cutoffs(
    counts: npt.ArrayLike | Sequence[int], *, n_clusters: int = 3
) -> tuple[int, ...]:
    """Return the cutoffs that make a training step's expected number of scored words smallest.

    The head scores its own words and one entry per cluster for every target; a cluster scores all
    of its words for the targets that lie in it. With ``p`` a cluster's share of all targets and
    ``n`` targets in a step, a step costs ``n * (head + clusters)`` and, for every cluster,
    ``max(n p, 16) * size + 20,000``: scoring few rows takes as long as reading the weights, and a
    call as long as 20,000 logits. The cheapest of all cuts at 64 candidate ranks is found by
    dynamic programming.

    Parameters
    ----------
    counts : int array of shape (vocabulary,)
        How often each token occurs, in the order of ids: the special tokens, then falling.
    n_clusters : int
        Clusters of rarer tokens. Default 3: in a vocabulary of 30,000 as Zipf's law has it, two
        take 1.4 times as long; four would save another quarter of what little the softmax takes
        then, with only 240 words left that are told from *all* others directly.

    Returns
    -------
    tuple of int
        Rising; fewer than ``n_clusters`` only where there are not enough tokens.

    Raises
    ------
    DataError
        If there are fewer than two tokens, or no token occurs.
    ParameterError
        If ``n_clusters`` is not at least 1.

    References
    ----------
    Grave, E. et al. (2017), "Efficient softmax approximation for GPUs", whose model of costs this
    is, for another machine; Goodman, J. (2001), "Classes for Fast Maximum Entropy Training".

    Examples
    --------
    >>> choose_cutoffs(zipf_counts(30_000))
    (591, 4959, 15590)
    >>> choose_cutoffs([50, 5, 4, 3, 2, 1], n_clusters=1)
    (1,)
    """
    shares = np.asarray(counts, np.float64)
    if n_clusters < 1:
        raise ParameterError(f"{n_clusters=} must be at least 1")
    if len(shares) < 2 or not shares.sum() > 0:
        raise DataError(
            f"cutoffs are chosen from the counts of two tokens at least, however: {len(shares)} "
            f"tokens occur {shares.sum():,.0f} times"
        )
    n_words = len(shares)
    # below[i] is the share of all targets with an id below i.
    below = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    places = np.unique(np.geomspace(1, n_words - 1, _CANDIDATES).round().astype(np.int64))
    n_clusters = min(n_clusters, len(places))
    ends = np.append(places, n_words)
    sizes = ends[None, :] - places[:, None]
    rows = np.maximum(_BATCH * (below[ends][None, :] - below[places][:, None]), _FEWEST_ROWS)
    cluster_costs = np.where(sizes > 0, rows * sizes + _CALL, np.inf)  # from place i to end j

    costs = cluster_costs[:, -1]  # of everything behind place i, as one cluster
    choices: list[npt.NDArray[np.intp]] = []  # behind place i, where the first cluster ends
    for _ in range(n_clusters - 1):
        split = cluster_costs[:, :-1] + costs[None, :]
        choices.append(split.argmin(axis=1))
        costs = split.min(axis=1)
    place = int(np.argmin(_BATCH * (places + n_clusters) + costs))
    chosen = [place]
    for choice in reversed(choices):
        place = int(choice[place])
        chosen.append(place)
    return tuple(int(places[place]) for place in chosen)


def zipf_counts(n_words: int) -> npt.NDArray[np.float64]:
    """Return relative counts as texts have them: Zipf's law with Mandelbrot's correction.

    Parameters
    ----------
    n_words : int
        Size of the vocabulary.

    References
    ----------
    Mandelbrot, B. (1953), "An informational theory of the statistical structure of language".

    Examples
    --------
    >>> zipf_counts(3).round(2).tolist()
    [0.27, 0.21, 0.18]
    """
    return 1.0 / (np.arange(n_words, dtype=np.float64) + 3.7)
