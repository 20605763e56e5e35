"""Tokens to documents of ids: look every token up, and mark where documents and fields begin."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tabtext.errors import DataError
from tabtext.text.documents import Documents, offsets_of
from tabtext.text.special_tokens import BEGIN, BEGIN_ID, END, END_ID, FIELD, FIELD_ID
from tabtext.text.tokenization import TokenizedTexts
from tabtext.text.vocabulary import TokenCounts, Vocabulary

__all__ = ["count_marks", "count_tokens", "document_lengths", "field_numbers", "number_documents"]


def number_documents(columns: Sequence[TokenizedTexts], vocabulary: Vocabulary) -> Documents:
    """Return one document per row: ``xxbos``, the tokens of every column, ``xxeos``.

    Where there are several columns, ``xxfld`` and the column's number, an ordinary token, go before
    each column's tokens. A row without tokens is ``xxbos xxeos``.

    Parameters
    ----------
    columns : sequence of TokenizedTexts
        The texts of every column, of one length.
    vocabulary : Vocabulary
        The ids; tokens that are not in it become ``xxunk``.

    Raises
    ------
    DataError
        If the columns differ in length.

    Examples
    --------
    >>> texts = TokenizedTexts(("good",), np.zeros(1, np.int32), np.array([0, 1, 1]))
    >>> vocabulary = Vocabulary.from_counts(count_tokens([texts]), min_freq=1)
    >>> [document.tolist() for document in number_documents([texts], vocabulary)]
    [[2, 9, 3], [2, 3]]
    """
    from tabtext.text.kernels.documents import write_ids

    if len({len(texts) for texts in columns}) != 1:
        raise DataError(f"columns of text differ in length: {[len(texts) for texts in columns]}")
    numbers = vocabulary.ids(field_numbers(len(columns)))
    offsets = offsets_of(document_lengths(columns))
    ids = np.empty(offsets[-1], np.int32)
    place = offsets[:-1].copy()
    ids[place] = BEGIN_ID
    place += 1
    for index, texts in enumerate(columns):
        if len(numbers):
            ids[place], ids[place + 1] = FIELD_ID, numbers[index]
            place += 2
        write_ids(texts.codes, texts.offsets, vocabulary.ids(texts.tokens), place, ids)
        place += np.diff(texts.offsets)
    ids[place] = END_ID
    return Documents(ids, offsets)


def document_lengths(columns: Sequence[TokenizedTexts]) -> npt.NDArray[np.int64]:
    """Return how many ids every row's document has, marks included."""
    marks = 2 + 2 * len(field_numbers(len(columns)))
    lengths: npt.NDArray[np.int64] = np.sum([np.diff(t.offsets) for t in columns], axis=0) + marks
    return lengths


def count_tokens(columns: Sequence[TokenizedTexts]) -> TokenCounts:
    """Return how often each token occurs in the texts of all columns."""
    return TokenCounts.total(TokenCounts.of(texts) for texts in columns)


def count_marks(n_rows: int, n_columns: int) -> TokenCounts:
    """Return how often each token occurs that ``number_documents`` adds to the texts.

    Examples
    --------
    >>> dict(count_marks(5, n_columns=2))
    {'xxbos': 5, 'xxeos': 5, 'xxfld': 10, '1': 5, '2': 5}
    """
    numbers = field_numbers(n_columns)
    fields = {FIELD: n_rows * len(numbers), **dict.fromkeys(numbers, n_rows)}
    return TokenCounts({BEGIN: n_rows, END: n_rows, **fields})


def field_numbers(n_columns: int) -> list[str]:
    """Return the tokens that number the columns: none if there is but one."""
    return [str(number) for number in range(1, n_columns + 1)] if n_columns > 1 else []
