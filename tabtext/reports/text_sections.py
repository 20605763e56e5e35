"""What a report says about models of texts: what they read wrongly, and which texts are hard."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tabtext import plots
from tabtext.estimators.text_inputs import columns_of_fit
from tabtext.reports.elements import Excerpt, Picture, Section
from tabtext.reports.rows import JudgedRows
from tabtext.training.targets import ClassificationTarget, RegressionTarget

if TYPE_CHECKING:
    from tabtext.estimators.explanation import Explanation

__all__ = ["errors_section", "most_confident_errors", "text_section"]

# Of a longer text the beginning has to do: what follows would only push all else away.
_LONGEST = 2000
_N_ERRORS = 6


def text_section(model: Any, rows: JudgedRows, *, unit: str = "") -> Section | None:
    """The largest errors of a fitted model of texts, word by word, and how length matters.

    Parameters
    ----------
    model : fitted estimator that reads texts
        With ``explain``, of texts alone or of tables that hold some.
    rows : JudgedRows
        What it predicts.
    unit : str
        Unit of the target, for quantities.

    Returns
    -------
    Section or None
        None for several labels, whose errors have no order.
    """
    target, name = model.target_, model.target_names_[0]
    table = columns_of_fit(rows.table, model.feature_names_in_.tolist())
    lengths = _lengths(model.preprocessor_.transform(table))
    if isinstance(target, ClassificationTarget):
        labels = [str(label) for label in target.classes]
        worst = most_confident_errors(rows.truth, rows.outputs)
        captions = [
            f"Taken for {labels[said]} ({rows.outputs[row, said]:.1%}), and is {labels[true]}."
            for row, said, true in zip(
                worst, rows.outputs[worst].argmax(axis=1), rows.truth[worst], strict=True
            )
        ]
        is_right = rows.outputs.argmax(axis=1) == rows.truth
        picture = _accuracy_over_length(lengths, is_right)
        text = "The texts that the model was surest of and wrong about, with the words that led it."
    elif isinstance(target, RegressionTarget):
        errors = rows.outputs[:, 0] - rows.truth[:, 0]
        worst = np.argsort(-np.abs(errors), kind="stable")[:_N_ERRORS]
        captions = [
            f"Predicted {rows.outputs[row, 0]:.4g} {unit}".rstrip()
            + f" for {name}, and is {rows.truth[row, 0]:.4g}."
            for row in worst
        ]
        picture = Picture(
            "Size of errors over the length of a text, in groups of equal size; lines are two "
            "standard errors to each side",
            plots.plot_error_by(lengths, errors, label="tokens", unit=unit),
        )
        text = "The largest errors, with the words that led the model there."
    else:
        return None
    excerpts = [
        excerpt
        for row, caption in zip(worst.tolist(), captions, strict=True)
        for excerpt in _excerpts(model, table.slice(row, 1), caption)
    ]
    return Section("Errors, word by word", [text], pictures=[picture], excerpts=excerpts)


def most_confident_errors(
    truth: NDArray[np.integer[Any]], probabilities: NDArray[Any], n_errors: int = _N_ERRORS
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
    excerpts = [_excerpt(caption, found) for caption, found in errors]
    picture = _accuracy_over_length(lengths, is_right)
    return Section(title, text, pictures=[picture], excerpts=excerpts)


def _accuracy_over_length(
    lengths: NDArray[np.integer[Any]], is_right: NDArray[np.bool_]
) -> Picture:
    return Picture(
        "Accuracy over the length of a text, in groups of equal size; lines are two standard "
        "errors to each side",
        plots.plot_accuracy_by(lengths, is_right, label="tokens"),
    )


def _excerpt(caption: str, found: "Explanation") -> Excerpt:
    coloured = plots.coloured_html(
        found.tokens, found.contributions, label=found.output, restore=found.restore
    )
    return Excerpt(caption, coloured)


def _lengths(features: Any) -> NDArray[np.int64]:
    """Tokens of each row: of its document, or of all its columns of text."""
    documents = features.texts if hasattr(features, "texts") else (features,)
    lengths: NDArray[np.int64] = np.sum([one.lengths for one in documents], axis=0)
    return lengths


def _excerpts(model: Any, row: pa.Table, caption: str) -> list[Excerpt]:
    """The words of a row: of a model of texts alone in one piece, else column by column."""
    if not hasattr(model, "schema_"):
        return [_excerpt(caption, model.explain(_texts_of(row)))]
    return [
        _excerpt(f"{caption} {column}:", found)
        for column, found in model.explain(row).items()
        if found.tokens
    ]


def _texts_of(row: pa.Table) -> dict[str, str | None]:
    """The text of every column, at its beginning where it is very long."""
    texts: dict[str, Any] = row.to_pylist()[0]
    return {name: None if text is None else text[:_LONGEST] for name, text in texts.items()}
