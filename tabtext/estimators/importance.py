"""Permutation importance: how much worse a fitted model gets when one column is shuffled.

Breiman, L. (2001), "Random Forests", Machine Learning 45. The shuffling happens on the encoded
arrays, so a column is encoded once, whatever the number of repeats.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.estimators.samples import Features
from tabtext.progress import track
from tabtext.tabular.encoding import Encoded

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["permutation_importance", "shuffle_table"]


def permutation_importance(
    loss: Callable[[Features], float],
    encoded: Features,
    names: Sequence[str],
    shuffle: Callable[[Features, str, NDArray[np.intp]], Features],
    *,
    n_repeats: int,
    random_state: int,
) -> "pd.DataFrame":
    """Rise of the loss when all that stems from one input column is shuffled together.

    Parameters
    ----------
    loss : callable
        Loss of the fitted model on encoded rows; lower is better.
    encoded : Encoded or another kind of rows
        The rows to judge on, not the training rows.
    names : sequence of str
        Input columns.
    shuffle : callable
        Rows, the name of a column and an order of rows -> rows with all that stems from the column
        in that order: a date and its parts, or a number and its missing indicator, are one piece of
        information.
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
    rises = np.empty((len(names), n_repeats))
    for row, name in enumerate(track(names, "measuring permutation importance")):
        for repeat in range(n_repeats):
            order = generator.permutation(len(encoded))
            rises[row, repeat] = loss(shuffle(encoded, name, order)) - baseline
    frame = pd.DataFrame(
        {"importance": rises.mean(axis=1), "standard_deviation": rises.std(axis=1)},
        index=pd.Index(list(names), name="feature"),
    )
    return frame.sort_values("importance", ascending=False)


def shuffle_table(
    encoded: Encoded,
    categorical: Sequence[int],
    continuous: Sequence[int],
    order: NDArray[np.intp],
) -> Encoded:
    """Return rows with some columns of both matrices in another order."""
    return Encoded(
        _shuffle(encoded.categorical, categorical, order),
        _shuffle(encoded.continuous, continuous, order),
    )


def _shuffle(matrix: NDArray[Any], columns: Sequence[int], order: NDArray[np.intp]) -> NDArray[Any]:
    """Return the matrix with these columns in another row order; itself when there are none."""
    if not columns:
        return matrix
    shuffled = matrix.copy()
    shuffled[:, columns] = matrix[order][:, columns]
    return shuffled
