"""Texts of any of the accepted kinds in, batches of Arrow's bytes out: valid UTF-8, no nulls."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tabtext.errors import ColumnTypeError, DataError

__all__ = ["as_text_array", "text_batches"]

_SURROGATES = re.compile("[\ud800-\udfff]")


def as_text_array(texts: Any) -> pa.ChunkedArray:
    """Return texts as a chunked array of large strings.

    Parameters
    ----------
    texts : Arrow array of strings, or sequence of str or None
        Halves of surrogate pairs, which no encoding can hold, become U+FFFD.

    Raises
    ------
    ColumnTypeError
        If something is no text.
    DataError
        If an Arrow array holds bytes that are not UTF-8.
    """
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return _checked(texts)
    if isinstance(texts, str | bytes):
        raise ColumnTypeError(
            f"one text came where several are expected: {texts[:40]!r}; pass a list: [text]"
        )
    values = list(texts)
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise ColumnTypeError(
                f"row {row} is a {type(value).__name__}, not a text: {value!r:.80}; convert it to "
                "str, or to None where there is none"
            )
    try:
        return pa.chunked_array([pa.array(values, pa.large_string())])
    except UnicodeEncodeError:
        whole = [None if text is None else _SURROGATES.sub("\ufffd", text) for text in values]
        return pa.chunked_array([pa.array(whole, pa.large_string())])


def text_batches(texts: pa.ChunkedArray, n_bytes: int) -> Iterator[pa.LargeStringArray]:
    """Yield the texts in arrays of at most so many bytes, or of one text; nulls as empty texts."""
    for chunk in texts.chunks:
        filled = chunk.fill_null("") if chunk.null_count else chunk
        first = filled.offset
        offsets = np.frombuffer(filled.buffers()[1], np.int64)[first : first + len(filled) + 1]
        begin = 0
        while begin < len(filled):
            end = int(np.searchsorted(offsets, offsets[begin] + n_bytes, side="right")) - 1
            end = max(end, begin + 1)
            yield filled[begin:end]
            begin = end


def _checked(texts: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    kind = texts.type.value_type if pa.types.is_dictionary(texts.type) else texts.type
    is_text = (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )
    if not is_text:
        raise ColumnTypeError(f"texts must be strings, however the array's type is {texts.type}")
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    for number, chunk in enumerate(chunks):
        try:
            chunk.validate(full=True)
        except pa.ArrowInvalid as error:
            where = f" in chunk {number}" if len(chunks) > 1 else ""
            raise DataError(f"the texts{where} are not valid UTF-8: {error}") from error
    return pa.chunked_array(chunks, texts.type).cast(pa.large_string())
