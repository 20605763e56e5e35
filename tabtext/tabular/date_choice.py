"""Which parts of dates the rows of a fit can teach.

A network learns a vector for each value of a part, from the rows that have the value. With few rows
for each, as of 366 days of the year in a table of some thousands, the vectors learn the rows by
heart (see ``bench/README.md``, tables that hold texts: all parts of four dates made errors 2 %
larger).
"""

from tabtext.tabular.dates import is_categorical_part
from tabtext.tabular.statistics import ColumnStatistics

__all__ = ["ROWS_PER_VALUE", "is_part_of_use"]

ROWS_PER_VALUE = 100
"""Training rows that a value has to have on average; a flag, such as the end of a quarter, has to
be up in so many, and down."""


def is_part_of_use(part: str, column: ColumnStatistics, *, choose: bool) -> bool:
    """Return whether to use a part of a date, by how often its values occur in training.

    Parameters
    ----------
    part : str
        One of ``tabtext.tabular.dates.PARTS``.
    column : ColumnStatistics
        Counts of the part's values.
    choose : bool
        Whether parts with few rows for each value are of no use. A part with but one value never
        is, a gap being a value.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> days = ColumnStatistics(pa.array([1, 2]), np.array([90, 30]), n_missing=0)
    >>> is_part_of_use("day", days, choose=True), is_part_of_use("day", days, choose=False)
    (False, True)
    """
    if len(column.values) + (column.n_gaps > 0) < 2:
        return False
    if not choose or not is_categorical_part(part):
        return True
    fewest = column.counts.min() if part.startswith("is_") else column.counts.mean()
    return bool(fewest >= ROWS_PER_VALUE)
