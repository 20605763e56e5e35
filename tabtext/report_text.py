"""What a report says about models of texts: what they read wrongly, and which texts are hard."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import plots
from tabtext.report import Excerpt, Picture, Section

if TYPE_CHECKING:
    from tabtext.estimators.explanation import Explanation

__all__ = ["errors_section", "most_confident_errors"]


def most_confident_errors(
    truth: NDArray[np.integer[Any]], probabilities: NDArray[Any], n_errors: int = 6
) -> NDArray[np.intp]:
    """Return the rows where the model was surest of a wrong class, the surest first.

    Parameters
    ----------
    truth : ndarray of int, shape (rows,)
        Number of the true class.
    probabilities : ndarray of shape (rows, classes)
        As ``predict_proba`` returns them.
    n_errors : int
        How many rows at most.

    Examples
    --------
    >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> most_confident_errors(np.array([1, 0, 1]), probabilities).tolist()
    [0, 1]
    """
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != truth)
    surest_first = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[surest_first][:n_errors]


def errors_section(
    title: str,
    errors: "Sequence[tuple[str, Explanation]]",
    *,
    lengths: NDArray[np.integer[Any]],
    is_right: NDArray[np.bool_],
    text: Sequence[str] = (),
) -> Section:
    """The errors that a classifier was surest of, word by word, and accuracy over length.

    Parameters
    ----------
    title : str
        The heading.
    errors : sequence of (str, Explanation)
        What is said about each error, and why the model made it.
    lengths : ndarray of int, shape (rows,)
        Tokens of every text that was judged.
    is_right : ndarray of bool, shape (rows,)
        Whether each was judged rightly.
    text : sequence of str
        Paragraphs before them.
    """
    excerpts = [
        Excerpt(
            caption,
            plots.coloured_html(
                found.tokens, found.contributions, label=found.output, restore=found.restore
            ),
        )
        for caption, found in errors
    ]
    picture = Picture(
        "Accuracy over the length of a text, in groups of equal size; lines are two standard "
        "errors to each side",
        plots.plot_accuracy_by(lengths, is_right, label="tokens"),
    )
    return Section(title, text, pictures=[picture], excerpts=excerpts)
