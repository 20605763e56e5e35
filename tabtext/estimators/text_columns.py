"""Which columns a text estimator reads: those that were named, or all that hold text.

The parameter ``text_columns`` and a table flow in; names of columns of that table flow out, none of
which holds what is to be predicted.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from tabtext.errors import DataError, ParameterError
from tabtext.tables import require_columns
from tabtext.text.files import TEXT
from tabtext.text.reading import is_text

__all__ = ["asked_columns", "chosen_columns", "under_the_asked_name"]


def asked_columns(text_columns: Any) -> list[str] | None:
    """Return the columns that a user named, one alone or several; None if none were.

    Raises
    ------
    ParameterError
        If these are no names, no name at all, or the same twice.

    Examples
    --------
    >>> asked_columns("review"), asked_columns(("title", "body")), asked_columns(None)
    (['review'], ['title', 'body'], None)
    """
    if text_columns is None:
        return None
    is_single = isinstance(text_columns, str) or not isinstance(text_columns, Iterable)
    names = [text_columns] if is_single else list(text_columns)
    if not names or any(not isinstance(name, str) for name in names):
        raise ParameterError(
            f"text_columns={text_columns!r} names no columns; give one name, such as 'review', or "
            "a list of names"
        )
    if len(set(names)) < len(names):
        raise ParameterError(f"text_columns={names!r} names a column twice; name each once")
    return names


def chosen_columns(
    table: pa.Table, text_columns: Any, *, targets: Sequence[str], weight_column: str | None
) -> list[str]:
    """Return the columns to read: those that were named, or all texts that are no target.

    Parameters
    ----------
    table : pyarrow.Table
        Features, targets and weights.
    text_columns : str, sequence of str, or None
        What the user named.
    targets : sequence of str
        The columns to be predicted; a model that reads them would only copy them.
    weight_column : str or None
        The column of the sample weights, which are not there at prediction either.

    Raises
    ------
    UnknownColumnError
        If a named column is not there.
    ParameterError
        If one is a target, or holds the weights.
    DataError
        If no column holds text.

    Examples
    --------
    >>> table = pa.table({"review": ["Good."], "stars": [5], "verdict": ["praise"]})
    >>> chosen_columns(table, None, targets=["verdict"], weight_column=None)
    ['review']
    """
    known = [*targets, *([] if weight_column is None else [weight_column])]
    names = asked_columns(text_columns)
    if names is None:
        return _texts(table, but=known)
    require_columns(table, names)
    for name in names:
        if name in known:
            role = "the target" if name in targets else "the column of the sample weights"
            raise ParameterError(
                f"text_columns={names!r}: {name!r} is {role}, which is not to be read as a "
                "feature. Leave it out of text_columns"
            )
    return names


def under_the_asked_name(table: pa.Table, text_columns: Any) -> pa.Table:
    """Return texts that came without a name under the one that the user gave their column.

    Examples
    --------
    >>> under_the_asked_name(pa.table({"text": ["Good."]}), ["review"]).column_names
    ['review']
    """
    names = asked_columns(text_columns)
    if names is not None and len(names) == 1 and table.column_names == [TEXT]:
        return table.rename_columns(names)
    return table


def _texts(table: pa.Table, *, but: Sequence[str]) -> list[str]:
    texts = [
        name
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
        if name not in but and is_text(kind)
    ]
    if not texts:
        raise DataError(
            f"none of the columns {', '.join(table.column_names)} holds text to read; name it "
            "with text_columns=[...]"
        )
    return texts
