"""The rows that a report judges a model on: what is true of them, and what the model says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tabtext.errors import DataError

if TYPE_CHECKING:
    from tabtext.estimators.supervised import SupervisedEstimator

    Estimator = SupervisedEstimator[Any]

__all__ = ["JudgedRows", "draw", "judge", "outputs_for"]


@dataclass(frozen=True)
class JudgedRows:
    """Rows with a target, and predictions for them.

    Parameters
    ----------
    table : pyarrow.Table
        Features and targets.
    truth : ndarray
        Quantities ``(rows, targets)``, class numbers ``(rows,)``, or 0/1 labels ``(rows, labels)``.
    outputs : ndarray of float64
        Quantities ``(rows, targets)``, or probabilities ``(rows, classes)``, ``(rows, labels)``.
    n_given : int
        Rows that were given.
    n_usable : int
        Those of them that have a target and a prediction, before any were drawn.
    are_own : bool
        Whether the outputs are what the model says of these rows, and were not given.
    """

    table: pa.Table
    truth: NDArray[Any]
    outputs: NDArray[np.float64]
    n_given: int
    n_usable: int
    are_own: bool = True

    def __len__(self) -> int:
        return int(self.table.num_rows)


def judge(
    model: "Estimator",
    table: pa.Table,
    y: Any = None,
    *,
    predictions: NDArray[Any] | None = None,
    max_rows: int,
    seed: int,
) -> JudgedRows:
    """Keep the rows with a target, draw at most so many, and predict them.

    Parameters
    ----------
    model : fitted estimator with a target
        Whose rows these are.
    table, y
        As for its ``evaluate``.
    predictions : ndarray, optional
        Outputs for every row that are used in place of the model's; rows of NaN are left out.
    max_rows : int
        How many rows are predicted at most.
    seed : int
        Of the draw.

    Raises
    ------
    DataError
        If no row has a target and a prediction, or there are not as many predictions as rows, or
        not as many outputs in each as the model has.
    """
    sample = model.labelled_rows(table, y)
    outputs = None
    if predictions is not None:
        outputs = _per_row(predictions, table.num_rows, model.target_.n_outputs)
        numbers = np.arange(len(sample)) if sample.numbers is None else sample.numbers
        is_known: NDArray[np.bool_] = np.asarray(np.isfinite(outputs[numbers]).all(axis=1))
        if not is_known.any():
            raise DataError(
                "no row has both a target and a prediction, so that there is nothing to judge"
            )
        sample = sample.filter(is_known)
    n_usable = len(sample)
    sample = sample.draw(max_rows, seed=seed)
    if outputs is None:
        outputs = outputs_for(model, sample.table)
    elif sample.numbers is not None:
        outputs = outputs[sample.numbers]
    truth = model.target_.truth(sample.target_table)
    are_own = predictions is None
    return JudgedRows(sample.table, truth, outputs, table.num_rows, n_usable, are_own)


def outputs_for(model: "Estimator", table: pa.Table) -> NDArray[np.float64]:
    """Probabilities ``(rows, classes)``, or quantities ``(rows, targets)``."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(table), np.float64)
    predicted = np.asarray(model.predict(table), np.float64)
    return predicted.reshape(len(predicted), -1)


def draw(table: pa.Table, n_rows: int, *, seed: int) -> pa.Table:
    """At most so many rows, drawn at random, in their own order."""
    if table.num_rows <= n_rows:
        return table
    rows = np.random.default_rng(seed).permutation(table.num_rows)[:n_rows]
    return table.take(pa.array(np.sort(rows)))


def _per_row(predictions: NDArray[Any], n_rows: int, n_outputs: int) -> NDArray[np.float64]:
    """Predictions as outputs ``(rows, outputs)``."""
    if len(predictions) != n_rows:
        raise DataError(f"{len(predictions)} predictions for {n_rows} rows; give one for each row")
    outputs = np.asarray(predictions, np.float64).reshape(n_rows, -1)
    if outputs.shape[1] != n_outputs:
        raise DataError(
            f"predictions have {outputs.shape[1]} outputs in each row and the model has "
            f"{n_outputs}; give what its predict_proba, or a regressor's predict, returns"
        )
    return outputs
