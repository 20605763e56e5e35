"""Permutation importance: how much worse a fitted model gets when one column is shuffled.

Breiman, L. (2001), "Random Forests", Machine Learning 45. The shuffling happens on the encoded
arrays, so a column is encoded once, whatever the number of repeats.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.progress import track
from tabtext.tabular.encoding import Encoded

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["permutation_importance"]


def permutation_importance(
    loss: Callable[[Encoded], float],
    encoded: Encoded,
    groups: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    *,
    n_repeats: int,
    random_state: int,
) -> "pd.DataFrame":
    """Rise of the loss when all that stems from one input column is shuffled together.

    Parameters
    ----------
    loss : callable
        Loss of the fitted model on encoded rows; lower is better.
    encoded : Encoded
        The rows to judge on, not the training rows.
    groups : mapping
        Input column -> (positions in ``encoded.categorical``, positions in
        ``encoded.continuous``). A date and its parts, or a number and its missing indicator, are
        shuffled with the same permutation, since they are one piece of information.
    n_repeats : int
        Shuffles per column.
    random_state : int
        Seed of the shuffles.

    Returns
    -------
    DataFrame
        Indexed by ``feature``, most important first: ``importance`` (mean rise of the loss over the
        repeats) and ``standard_deviation``.
    """
    import pandas as pd

    generator = np.random.default_rng(random_state)
    baseline = loss(encoded)
    rises = np.empty((len(groups), n_repeats))
    columns = track(list(groups.values()), "measuring permutation importance")
    for row, (categorical, continuous) in enumerate(columns):
        for repeat in range(n_repeats):
            order = generator.permutation(len(encoded))
            shuffled = Encoded(
                _shuffle(encoded.categorical, categorical, order),
                _shuffle(encoded.continuous, continuous, order),
            )
            rises[row, repeat] = loss(shuffled) - baseline
    frame = pd.DataFrame(
        {"importance": rises.mean(axis=1), "standard_deviation": rises.std(axis=1)},
        index=pd.Index(list(groups), name="feature"),
    )
    return frame.sort_values("importance", ascending=False)


def _shuffle(
    matrix: NDArray[Any], columns: Sequence[int], order: NDArray[np.int64]
) -> NDArray[Any]:
    """Return the matrix with these columns in another row order; itself when there are none."""
    if not columns:
        return matrix
    shuffled = matrix.copy()
    shuffled[:, columns] = matrix[order][:, columns]
    return shuffled
