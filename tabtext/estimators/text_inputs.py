"""What comes through the door of a text estimator: texts, tables that hold some, files, folders."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tabtext.errors import ColumnTypeError
from tabtext.tables import as_table, require_columns
from tabtext.text.files import FILE, LABEL, TEXT, read_text_file, warn_of_unlabelled
from tabtext.text.numbering import field_numbers
from tabtext.text.preprocessing import TextPreprocessor, tokenize_columns
from tabtext.text.reading import is_text, read_texts
from tabtext.text.special_tokens import BEGIN, END, FIELD

__all__ = [
    "as_text_table",
    "columns_of_fit",
    "is_table",
    "read_labelled_texts",
    "single_row",
    "tokens_of_row",
]


def as_text_table(data: Any) -> pa.Table:
    """Return a table of any kind, texts alone, and files of texts as an Arrow table.

    Parameters
    ----------
    data : texts, table of any kind, or path
        See ``tabtext.text.reading.read_texts``. Of a folder of texts the names of the files are
        left out.

    Returns
    -------
    pyarrow.Table
        All columns; categories that are texts are texts.

    Examples
    --------
    >>> as_text_table(["good", None]).to_pydict()
    {'text': ['good', None]}
    """
    # os.path.exists says no to a text that is too long for a path; Path.exists raises.
    if isinstance(data, str | os.PathLike) and os.path.exists(data):
        return _with_plain_texts(read_labelled_texts(Path(data)))
    return _with_plain_texts(as_table(data)) if is_table(data) else read_texts(data, columns=TEXT)


def columns_of_fit(data: Any, names: Sequence[str]) -> pa.Table:
    """Return the columns that a model was fitted on, in their order.

    Texts alone, and files and folders of them, have no name of their own: where the fit had but one
    column they are that column, and where the fit had them they are a table's only column of text.

    Raises
    ------
    UnknownColumnError
        If one of the columns is not there.

    Examples
    --------
    >>> columns_of_fit(["good"], ["review"]).to_pydict()
    {'review': ['good']}
    """
    table = as_text_table(data)
    if len(names) == 1 and names[0] not in table.column_names:
        nameless = _column_without_name(table, names[0])
        if nameless is not None:
            table = table.select([nameless]).rename_columns(list(names))
    require_columns(table, names)
    return table.select(list(names))


def single_row(text: Any) -> dict[str, list[Any]] | list[str]:
    """Return one text, or one of every column, as a row for the readers.

    Raises
    ------
    ColumnTypeError
        If it is no text, or a column's is none.

    Examples
    --------
    >>> single_row("good"), single_row({"title": "good", "body": None})
    (['good'], {'title': ['good'], 'body': [None]})
    """
    if isinstance(text, str):
        return [text]
    if not isinstance(text, Mapping):
        raise ColumnTypeError(
            f"one text is explained, a str, or a mapping of column to str, however: {text!r:.80} "
            f"is a {type(text).__name__}"
        )
    for name, value in text.items():
        if not (value is None or isinstance(value, str)):
            raise ColumnTypeError(
                f"{name!r}: {value!r:.80} is a {type(value).__name__}, no text; give a str, or None"
            )
    return {str(name): [value] for name, value in text.items()}


def tokens_of_row(preprocessor: TextPreprocessor, table: pa.Table) -> tuple[str, ...]:
    """Return the tokens of a table's only row as its document has them, unknown words spelled out.

    Examples
    --------
    >>> preprocessor = TextPreprocessor(min_freq=1).fit(["A good film."])
    >>> tokens_of_row(preprocessor, pa.table({"text": ["A bad film"]}))
    ('xxbos', 'xxmaj', 'a', 'bad', 'film', 'xxeos')
    """
    columns = [texts[0] for texts in tokenize_columns(preprocessor.tokenizer_, table)]
    numbers = field_numbers(len(columns))
    fields = [[FIELD, number] for number in numbers] or [[]]
    words = [token for mark, tokens in zip(fields, columns, strict=True) for token in mark + tokens]
    return (BEGIN, *words, END)


def read_labelled_texts(path: Path, *, columns: Sequence[str] = ()) -> pa.Table:
    """Return the columns of a file; of a folder the texts and their classes, not the files' names.

    Parameters
    ----------
    path : Path
        See ``tabtext.text.files.read_text_file``.
    columns : sequence of str
        Columns that are texts even if they look like numbers.
    """
    table = read_text_file(path, columns=columns)
    if not path.is_dir():
        return table
    warn_of_unlabelled(path, table)
    return table.drop_columns([FILE])


def is_table(data: Any) -> bool:
    """Whether this has columns, and is not one itself.

    Examples
    --------
    >>> is_table({"text": ["good"]}), is_table(["good"])
    (True, False)
    """
    if isinstance(data, Mapping) or hasattr(data, "columns"):
        return True
    if isinstance(data, np.ndarray):
        return data.ndim == 2
    # A single column is a stream, too.
    is_column = isinstance(data, pa.ChunkedArray) or hasattr(data, "to_frame")
    return hasattr(data, "__arrow_c_stream__") and not is_column


def _with_plain_texts(table: pa.Table) -> pa.Table:
    """Categories of pandas and polars spelled out: few texts, often repeated, are texts still."""
    for index, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type) and is_text(column.type.value_type):
            plain = table.column(index).cast(column.type.value_type)
            table = table.set_column(index, column.name, plain)
    return table


def _column_without_name(table: pa.Table, name: str) -> str | None:
    """The column that stands for the only one of the fit, if one side came without a name."""
    if TEXT in table.column_names and set(table.column_names) <= {TEXT, LABEL}:
        return TEXT  # texts alone, or a folder of them
    texts = [column.name for column in table.schema if is_text(column.type)]
    return texts[0] if name == TEXT and len(texts) == 1 else None
