"""What a person sees while an estimator cuts much text into tokens."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from tabtext.text.preprocessing import Progress
from tabtext.text.progress import progress_bar
from tabtext.training.distributed import is_first_process

__all__ = ["tokenizing"]

_MUCH_TEXT = 10_000_000
"""Bytes that take more than a second, below which a bar would only flicker."""


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
    if verbose <= 0 or texts.nbytes < _MUCH_TEXT or not is_first_process():
        yield None
        return
    with progress_bar(transient=True) as watch:
        yield lambda done, total: watch(f"tokenizing {what}", done, total)
