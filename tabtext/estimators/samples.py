"""Rows on their way through ``fit``: encoded for a network, with what became of the others."""

from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["EncodedSample", "PreparedRows"]


class _Rows(Protocol):
    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.intp], /) -> Self: ...


Features = TypeVar("Features", bound=_Rows)
"""What a network reads: ``tabular.encoding.Encoded``, ``text.documents.Documents``."""


@dataclass(frozen=True)
class EncodedSample(Generic[Features]):
    """Rows as the network reads them, with what it should say.

    Parameters
    ----------
    encoded : Encoded or Documents
        The features.
    codes : ndarray
        ``target.encode`` of the rows, for the loss.
    truth : ndarray
        ``target.truth`` of the rows, for the metrics.
    weight : ndarray of float32, shape (rows,), or None
        How much each row counts.
    """

    encoded: Features
    codes: NDArray[Any]
    truth: NDArray[Any]
    weight: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.encoded)

    def take(self, rows: NDArray[np.intp]) -> "EncodedSample[Features]":
        """The rows with these indices, in this order."""
        weight = None if self.weight is None else self.weight[rows]
        return EncodedSample(self.encoded.take(rows), self.codes[rows], self.truth[rows], weight)

    def relative_weight(self) -> NDArray[np.float32] | None:
        """Return the weights, made 1 in the mean of the rows that count; None for none.

        For what weighs rows against a penalty: that weights of 1/n are meant to change nothing.
        """
        if self.weight is None or not self.weight.any():
            return self.weight
        return np.asarray(self.weight / self.weight[self.weight > 0].mean(), np.float32)


@dataclass(frozen=True)
class PreparedRows(Generic[Features]):
    """Encoded rows for the network, and what became of the others.

    Parameters
    ----------
    train : EncodedSample
        Rows to learn from; their weights are those of rows times those of classes.
    valid : EncodedSample or None
        Rows to choose the best epoch by.
    judged : EncodedSample
        The rows that are not set aside, as they are if judged on: with those that were pruned or
        weigh nothing, and with the weights of rows alone. Only where folds are dealt; else the
        training rows.
    kept : ndarray of intp
        Which of them the training rows are.
    numbers : ndarray of intp or None
        Which rows of what ``fit`` was given the judged rows are; None for all of them, in order.
    counts : dict of str to int
        How many rows came, went and stayed.
    missing : dict of str to float
        Share of missing values per column.
    """

    train: EncodedSample[Features]
    valid: EncodedSample[Features] | None
    judged: EncodedSample[Features]
    kept: NDArray[np.intp]
    numbers: NDArray[np.intp] | None
    counts: dict[str, int]
    missing: dict[str, float]
