"""Rows of a table that holds texts, as the fused network reads them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabtext.tabular.encoding import Encoded
from tabtext.text.documents import Documents

__all__ = ["MixedRows"]


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows with columns of numbers, categories and texts.

    Parameters
    ----------
    tabular : Encoded
        Categories, numbers and dates.
    texts : tuple of Documents
        One set of documents for each column of text, all as long as ``tabular``. A missing text has
        no token at all, an empty one only ``xxbos`` and ``xxeos``.
    pooled : ndarray of float32, shape (rows, text columns, features), or None
        What an encoder has read of the texts, where it has: see ``MixedNetwork.read``.

    Examples
    --------
    >>> numbers = Encoded(np.zeros((2, 0), np.uint8), np.zeros((2, 1), np.float32))
    >>> rows = MixedRows(numbers, (Documents.of([[2, 9, 3], []]),))
    >>> len(rows), rows.take(np.array([1])).texts[0].lengths.tolist()
    (2, [0])
    """

    tabular: Encoded
    texts: tuple[Documents, ...]
    pooled: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.tabular)

    def take(self, rows: NDArray[np.intp]) -> "MixedRows":
        """The rows with these indices, in this order."""
        texts = tuple(documents.take(rows) for documents in self.texts)
        pooled = None if self.pooled is None else self.pooled[rows]
        return MixedRows(self.tabular.take(rows), texts, pooled)

    def with_pooled(self, pooled: NDArray[Any] | None) -> "MixedRows":
        """The same rows with what an encoder has read of their texts, or without it."""
        return replace(self, pooled=pooled)
