"""Some documents of many, in either direction, without a copy: for those that fill no memory.

``Documents`` and row numbers flow in; where each chosen document begins in the ids, and how long it
is, flows out. The ids stay where they are, mapped from a file perhaps.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tabtext.text.documents import Documents, Ids, Offsets

__all__ = ["DocumentView"]


@dataclass(frozen=True, eq=False, repr=False)
class DocumentView:
    """Some of the documents, as a model reads them that goes forward or backward.

    In memory are a few numbers for each document, and none for its tokens.

    Parameters
    ----------
    documents : Documents
        All documents.
    rows : int64 array of shape (n_documents,), optional
        Which of them; default: all.
    backward : bool
        Whether each is read from its end on, as ``Documents.reversed`` turns it round.

    Examples
    --------
    >>> documents = Documents.of([[2, 9, 3], [2, 3], [2, 7, 8, 3]])
    >>> view = DocumentView(documents, np.array([0, 2]))
    >>> view
    DocumentView(2 documents, 7 tokens)
    >>> view.begins.tolist(), view.lengths.tolist()
    ([0, 5], [3, 4])
    >>> view.reversed().backward
    True
    """

    documents: Documents
    rows: npt.NDArray[np.integer[Any]] | None = None
    backward: bool = False

    @classmethod
    def of(cls, documents: "Documents | DocumentView") -> "DocumentView":
        """Return a view of documents, or the view that they are already."""
        return documents if isinstance(documents, DocumentView) else cls(documents)

    def __len__(self) -> int:
        return len(self.documents if self.rows is None else self.rows)

    def __repr__(self) -> str:
        return f"DocumentView({len(self):,} documents, {self.n_tokens:,} tokens)"

    @property
    def ids(self) -> Ids:
        """The ids of all documents, chosen or not."""
        return np.asarray(self.documents.ids)

    @cached_property
    def begins(self) -> Offsets:
        """Where each document begins in the ids."""
        begins: Offsets = self.documents.offsets[:-1]
        return begins if self.rows is None else np.take(begins, self.rows)

    @cached_property
    def lengths(self) -> Offsets:
        """Number of ids in each document."""
        if self.rows is None:
            return self.documents.lengths
        ends: Offsets = np.take(self.documents.offsets[1:], self.rows)
        return ends - self.begins

    @cached_property
    def n_tokens(self) -> int:
        """Number of ids in the chosen documents together."""
        return self.documents.n_tokens if self.rows is None else int(self.lengths.sum())

    def reversed(self) -> Self:
        """Return the same documents, read in the other direction."""
        return replace(self, backward=not self.backward)

    def unknown_share(self) -> float:
        """Return the share of ``xxunk`` among the words of these documents; 0 where there is none.

        Marks such as ``xxbos`` and ``xxmaj`` are no words: there are many, always known.

        Examples
        --------
        >>> DocumentView(Documents.of([[2, 9, 3], [2, 8, 0, 9, 9, 3]])).unknown_share()
        0.25
        """
        from tabtext.text.kernels.documents import count_words

        n_words, n_unknown = count_words(self.ids, self.begins, self.lengths)
        return float(n_unknown / n_words) if n_unknown else 0.0

    def fingerprint(self) -> str:
        """Return a text that other documents, or another choice of them, would not have."""
        parts = [self.documents.fingerprint()]
        if self.rows is not None:
            content = np.ascontiguousarray(self.rows, np.int64).view(np.uint8)
            parts.append(f"of which {len(self)} with sum {crc32(content.data):08x}")
        return ", ".join([*parts, "backward"] if self.backward else parts)
