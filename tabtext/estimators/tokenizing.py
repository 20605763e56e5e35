"""What a person sees while an estimator cuts much text into tokens, or counts many of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.preprocessing import Progress
from tabtext.text.progress import progress_bar
from tabtext.training.distributed import is_first_process

__all__ = ["counting", "tokenizing"]

_MUCH_TEXT = 10_000_000
"""Bytes that take more than a second, below which a bar would only flicker."""
_MANY_TOKENS = 1_000_000
"""The same for counting."""


@contextmanager
def tokenizing(texts: pa.Table, *, verbose: int, what: str = "texts") -> Iterator[Progress | None]:
    """Give what is told of progress: a bar that is gone when the block ends, or None.

    Parameters
    ----------
    texts : pyarrow.Table
        What is going to be tokenized. Little text is done before anyone looks.
    verbose : int
        The estimator's; 0 is silent.
    what : str
        What the texts are called.

    Examples
    --------
    >>> with tokenizing(pa.table({"text": ["good"]}), verbose=1) as progress:
    ...     progress is None
    True
    """
    with _watched(f"tokenizing {what}", verbose > 0 and texts.nbytes >= _MUCH_TEXT) as progress:
        yield progress


@contextmanager
def counting(documents: Documents | DocumentView, *, verbose: int) -> Iterator[Progress | None]:
    """Give what is told of progress while neighbours of words are counted; see ``tokenizing``.

    Parameters
    ----------
    documents : Documents or DocumentView
        What is going to be counted.
    verbose : int
        The estimator's; 0 is silent.
    """
    with _watched("counting words", verbose > 0 and documents.n_tokens >= _MANY_TOKENS) as progress:
        yield progress


@contextmanager
def _watched(what: str, shown: bool) -> Iterator[Progress | None]:
    if not shown or not is_first_process():
        yield None
        return
    with progress_bar(transient=True) as watch:
        yield lambda done, total: watch(what, done, total)
