"""What comes through the door of a text estimator: texts, tables that hold some, files, folders."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tabtext.tables import as_table, require_columns
from tabtext.text.files import FILE, TEXT, read_text_file, warn_of_unlabelled
from tabtext.text.numbering import field_numbers
from tabtext.text.preprocessing import TextPreprocessor, tokenize_columns
from tabtext.text.reading import read_texts
from tabtext.text.special_tokens import BEGIN, END, FIELD

__all__ = ["as_text_table", "columns_of_fit", "tokens_of_row"]


def as_text_table(data: Any) -> Any:
    """Return a table of any kind as it is; texts alone, and files of them, as a table.

    Parameters
    ----------
    data : texts, table of any kind, or path
        See ``tabtext.text.reading.read_texts``. Of a folder of texts the names of the files are
        left out.

    Examples
    --------
    >>> as_text_table(["good", None]).to_pydict()
    {'text': ['good', None]}
    """
    if isinstance(data, str | os.PathLike) and Path(data).exists():
        table = read_text_file(data)
        if not Path(data).is_dir():
            return table
        warn_of_unlabelled(Path(data), table)
        return table.drop_columns([FILE])
    is_array = isinstance(data, np.ndarray) and data.ndim == 2
    is_stream = hasattr(data, "__arrow_c_stream__") and not hasattr(data, "to_frame")
    if is_array or is_stream or isinstance(data, Mapping) or hasattr(data, "columns"):
        return data
    return read_texts(data, columns=TEXT)


def columns_of_fit(data: Any, names: Sequence[str]) -> pa.Table:
    """Return the columns that a model was fitted on, in their order.

    Texts alone have no name of their own; they are the column, where the fit had but one.

    Raises
    ------
    UnknownColumnError
        If one of the columns is not there.

    Examples
    --------
    >>> columns_of_fit(["good"], ["review"]).to_pydict()
    {'review': ['good']}
    """
    table = as_table(as_text_table(data))
    if table.column_names == [TEXT] and len(names) == 1:
        table = table.rename_columns(list(names))
    require_columns(table, names)
    return table.select(list(names))


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
