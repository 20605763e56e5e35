"""From a table that holds texts to ``MixedRows``: each column by the preprocessor of its kind.

All columns of text share one tokenizer and one vocabulary: their texts are laid one column below
the other, tokenized at once, and taken apart again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tabtext.errors import DataError, ParameterError
from tabtext.mixed.rows import MixedRows
from tabtext.tables import as_table, require_columns
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.tabular.schema import Role, Schema, infer_schema
from tabtext.tabular.statistics import TableStatistics
from tabtext.text.documents import Documents, offsets_of
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.reading import text_column
from tabtext.text.special_tokens import END_ID

__all__ = ["TEXT", "MixedPreprocessor", "learn_columns", "mixed_schema", "stacked_texts"]

TEXT = "text"
"""What the column is called in which the texts of all columns stand one below the other."""

_TABULAR = (Role.CATEGORICAL, Role.CONTINUOUS, Role.DATETIME)


def mixed_schema(
    table: pa.Table,
    *,
    targets: Sequence[str],
    weight: str | None,
    roles: Mapping[str, Role | str] | None,
    exclude: Sequence[str],
    text_columns: Sequence[str] | None,
) -> Schema:
    """Return what each column is, with at least one text and one that is none.

    Parameters
    ----------
    table, targets, weight, roles, exclude
        See ``tabtext.tabular.schema.infer_schema``.
    text_columns : sequence of str or None
        The columns to read as text; None for those that read like prose, or have that role.

    Raises
    ------
    DataError
        If there is no column of text, or nothing else.
    ParameterError
        If a column of ``text_columns`` is excluded, or given another role; as ``infer_schema``.
    UnknownColumnError, ColumnTypeError
        As ``infer_schema``.
    """
    roles = dict(roles or {})
    if text_columns is not None:
        require_columns(table, text_columns)
        _require_no_contradiction(text_columns, roles, exclude)
        roles |= dict.fromkeys(text_columns, Role.TEXT)
    schema = infer_schema(table, targets=targets, weight=weight, roles=roles, exclude=exclude)
    if text_columns is not None:  # other prose is not read
        schema = Schema(
            tuple(
                replace(column, role=Role.IGNORE, reason="no column of text_columns")
                if column.role is Role.TEXT and column.name not in text_columns
                else column
                for column in schema.columns
            )
        )
    if not schema.names(Role.TEXT):
        raise DataError(
            "no column reads like text (more than five words on average, mostly different): use "
            "TabularRegressor or TabularClassifier, or name the columns of text with "
            f"roles={{column: 'text'}}. The columns: {', '.join(table.column_names)}"
        )
    if not schema.names(*_TABULAR):
        raise DataError(
            f"there is no column but texts ({', '.join(schema.names(Role.TEXT))}): use "
            "TextRegressor or TextClassifier, which read several columns of text too"
        )
    return schema


def _require_no_contradiction(
    text_columns: Sequence[str], roles: Mapping[str, Role | str], exclude: Sequence[str]
) -> None:
    for name in text_columns:
        if name in exclude:
            raise ParameterError(f"{name!r} is in text_columns and in exclude; leave it out of one")
        if roles.get(name, Role.TEXT) != Role.TEXT:
            raise ParameterError(
                f"{name!r} is in text_columns, and roles make it {roles[name]!s}; leave it out of "
                "one"
            )


def learn_columns(
    preprocessor: TabularPreprocessor, table: pa.Table, schema: Schema
) -> TabularPreprocessor:
    """Fit a preprocessor to the columns of a table that are no texts, and return it."""
    statistics = TableStatistics.of(table, schema, date_parts=preprocessor.date_parts)
    return preprocessor.fit_statistics(schema, statistics)


def stacked_texts(table: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Return the texts of all columns one below the other, and which are missing.

    Parameters
    ----------
    table : pyarrow.Table
        Holds the columns.
    columns : sequence of str
        Columns of text.

    Returns
    -------
    texts : pyarrow.Table
        One column; missing texts are empty.
    missing : ndarray of bool, shape (len(columns) * rows,)

    Raises
    ------
    UnknownColumnError, ColumnTypeError
        If a column is not there, or holds no text.

    Examples
    --------
    >>> texts, missing = stacked_texts(pa.table({"a": ["x", None], "b": ["y", ""]}), ["a", "b"])
    >>> texts["text"].to_pylist(), missing.tolist()
    (['x', '', 'y', ''], [False, True, False, False])
    """
    require_columns(table, columns)
    chunks = [chunk for name in columns for chunk in text_column(table.column(name), name).chunks]
    stacked = pa.chunked_array(chunks, pa.large_string())
    missing = np.asarray(stacked.is_null())
    return pa.table({TEXT: stacked.fill_null("")}), missing


@dataclass(frozen=True, eq=False)
class MixedPreprocessor:
    """What was learned of the columns of both kinds.

    Parameters
    ----------
    tabular : TabularPreprocessor
        Fitted to the columns that are no texts; its schema has all columns.
    text : TextPreprocessor
        Tokenizer and vocabulary of all texts.
    text_columns : tuple of str
        The columns of text.
    max_tokens : int
        Longer documents are cut behind so many tokens, ``xxeos`` being the last of them.
    """

    tabular: TabularPreprocessor
    text: TextPreprocessor
    text_columns: tuple[str, ...]
    max_tokens: int

    def transform(self, data: Any) -> MixedRows:
        """Encode rows; columns are found by name, further columns are ignored.

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If a column of the fit is not there, or has another type.
        """
        table = as_table(data)
        texts, missing = stacked_texts(table, self.text_columns)
        encoded = self.tabular.encode(table)
        return self.rows(encoded, self.text.transform(texts), missing)

    def rows(self, encoded: Encoded, documents: Documents, missing: NDArray[np.bool_]) -> MixedRows:
        """Return rows of columns and of documents that stand one column below the other."""
        lengths = np.where(missing, 0, np.minimum(documents.lengths, self.max_tokens))
        short = shortened(documents, lengths)
        n_rows, ids, offsets = len(encoded), short.ids, short.offsets
        texts = []
        for first in range(0, len(short), n_rows) if n_rows else ():
            own = offsets[first : first + n_rows + 1]
            texts.append(Documents(ids[own[0] : own[-1]], own - own[0]))
        empty = Documents.of([])
        return MixedRows(encoded, tuple(texts) if n_rows else (empty,) * len(self.text_columns))

    def save(self, directory: Path) -> None:
        """Write what both preprocessors write, each into a directory of its own.

        Raises
        ------
        SaveError
            If writing fails.
        """
        self.tabular.save(directory / "tabular")
        self.text.save(directory / "text")

    @classmethod
    def load(cls, directory: Path, *, max_tokens: int) -> Self:
        """Read what ``save`` wrote; no code from the files is run.

        Raises
        ------
        MissingFileError, ArtifactError
            If a file is not there, or damaged.
        """
        tabular = TabularPreprocessor.load(directory / "tabular")
        text = TextPreprocessor.load(directory / "text")
        return cls(tabular, text, tuple(tabular.schema_.names(Role.TEXT)), max_tokens)


def shortened(documents: Documents, lengths: NDArray[np.integer[Any]]) -> Documents:
    """Return documents cut to lengths that are no longer; what is cut ends with ``xxeos``.

    Examples
    --------
    >>> short = shortened(Documents.of([[2, 7, 8, 9, 3], [2, 3], [2, 5, 3]]), np.array([3, 2, 0]))
    >>> [document.tolist() for document in short]
    [[2, 7, 3], [2, 3], []]
    """
    offsets = offsets_of(np.asarray(lengths, np.int64))
    shift = documents.offsets[:-1] - offsets[:-1]
    places = np.arange(offsets[-1]) + np.repeat(shift, lengths)
    ids = np.asarray(documents.ids)[places]
    cut = (lengths < documents.lengths) & (lengths > 0)
    ids[offsets[1:][cut] - 1] = END_ID
    return Documents(ids, offsets)
