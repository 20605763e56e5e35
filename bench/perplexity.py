"""Perplexity of a stream, the same way for every side: each token once, in order, state carried."""

import math
from collections.abc import Callable

import numpy as np

WINDOW = 512
"""Tokens that are scored at once; only speed and memory depend on it."""

WindowLosses = Callable[[np.ndarray, np.ndarray], float]
"""Inputs and targets of the next window -> the sum of the targets' negative log probabilities."""


def stream_perplexity(losses: WindowLosses, ids: np.ndarray) -> float:
    """Return the perplexity of every token but the first, which follows nothing.

    Parameters
    ----------
    losses : callable
        Scores a window, and remembers its end for the next one.
    ids : int array of shape (n_tokens,)
        The stream.
    """
    total = 0.0
    for start in range(0, len(ids) - 1, WINDOW):
        stop = min(start + WINDOW, len(ids) - 1)
        total += losses(ids[start:stop], ids[start + 1 : stop + 1])
    return math.exp(total / (len(ids) - 1))
