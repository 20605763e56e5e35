"""Groups and days of rows as integers, and rows in their order, without sorting the table.

Columns of an Arrow table go in; integer codes, an order of the rows, and *cells* (one per group
and day) come out. The features and the outlier rules that look at a row's group or at its
neighbours in time work on these and leave the table as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabtext.errors import ColumnTypeError
from tabtext.tables import require_columns
from tabtext.tabular.dates import calendar_days, parts_of

__all__ = [
    "GroupedDays",
    "day_codes",
    "group_codes",
    "integers_of_dates",
    "names_of",
    "numbers_of",
    "rows_in_order",
    "take_column",
]

Integers = npt.NDArray[np.int64]


def take_column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column by name, or say which name may have been meant.

    Examples
    --------
    >>> import pyarrow as pa
    >>> take_column(pa.table({"Store": [1, 2]}), "Stroe")
    Traceback (most recent call last):
        ...
    tabtext.errors.UnknownColumnError: column 'Stroe' is not in the table (2 rows, 1 columns; did \
you mean 'Store'?)
    """
    require_columns(table, [name])
    return table.column(name)


def names_of(names: str | Sequence[str] | None) -> list[str]:
    """Return one name, several or none as a list.

    Examples
    --------
    >>> names_of("Store"), names_of(("Store", "State")), names_of(None)
    (['Store'], ['Store', 'State'], [])
    """
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def numbers_of(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Return a column of numbers or booleans as floats, NaN where missing.

    Examples
    --------
    >>> import pyarrow as pa
    >>> numbers_of(pa.table({"Open": [True, None]}), "Open").tolist()
    [1.0, nan]
    """
    column = take_column(table, name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    types = pa.types
    numeric = (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    if not any(is_type(column.type) for is_type in (*numeric, types.is_null)):
        raise ColumnTypeError(
            f"column {name!r} holds {column.type}, but numbers are needed. Convert it first."
        )
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())


def integers_of_dates(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column of dates or timestamps as integers in their order, null where missing.

    Examples
    --------
    >>> import pyarrow as pa
    >>> dates = pa.array([2, None, 1], pa.timestamp("s", "Europe/Berlin"))
    >>> integers_of_dates(pa.table({"when": dates}), "when").to_pylist()
    [2, None, 1]
    """
    column = take_column(table, name)
    if not parts_of(column.type):
        raise ColumnTypeError(
            f"column {name!r} holds {column.type}, not dates or timestamps. Convert it first, for "
            f"example with pandas.to_datetime."
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.int32())
    return column.cast(pa.int64())


def group_codes(table: pa.Table, by: Sequence[str]) -> tuple[Integers, int]:
    """Return each row's group as a code from 0, and the number of groups.

    Rows with a missing value in any of the columns get -1: nobody knows whose neighbours they are.
    No columns at all make one group.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"Store": [7, 7, None, 1], "State": ["a", "b", "a", "a"]})
    >>> group_codes(table, ["Store"])[0].tolist()
    [0, 0, -1, 1]
    >>> group_codes(table, ["Store", "State"])[0].tolist()
    [0, 1, -1, 2]
    """
    codes, n_groups = np.zeros(table.num_rows, np.int64), 1
    for position, name in enumerate(by):
        column_codes, n_values = _codes(take_column(table, name))
        if position == 0:
            codes, n_groups = column_codes, n_values
            continue
        known = (codes >= 0) & (column_codes >= 0)
        pairs = pa.array(codes * n_values + column_codes, mask=~known)
        # Number the pairs that occur, so that the product of several columns cannot overflow.
        codes, n_groups = _codes(pairs)
    return codes, n_groups


def day_codes(values: pa.Array | pa.ChunkedArray, name: str) -> tuple[Integers, int]:
    """Return each row's day counted from the earliest one (-1 if missing), and the range of days.

    Examples
    --------
    >>> import datetime
    >>> import pyarrow as pa
    >>> days = pa.array([datetime.date(2015, 7, 31), None, datetime.date(2015, 7, 29)])
    >>> codes, n_days = day_codes(days, "Date")
    >>> codes.tolist(), n_days
    ([2, -1, 0], 3)
    """
    days = calendar_days(values, name).cast(pa.int32())
    if days.null_count == len(days):
        return np.full(len(days), -1, np.int64), 0
    bounds = pc.min_max(days)
    earliest, latest = bounds["min"].as_py(), bounds["max"].as_py()
    codes = days.fill_null(earliest - 1).to_numpy().astype(np.int64) - earliest
    return codes, latest - earliest + 1


def rows_in_order(groups: Integers, days: Integers, n_groups: int, n_days: int) -> Integers:
    """Return the stable order of the rows by (group, day), without those where either is missing.

    Examples
    --------
    >>> import numpy as np
    >>> groups, days = np.array([1, 0, 1, -1, 0]), np.array([5, 3, 2, 0, 1])
    >>> rows_in_order(groups, days, n_groups=2, n_days=6).tolist()
    [4, 1, 2, 0]
    """
    from tabtext.tabular.kernels.events import sort_rows

    if n_days > max(2**20, 8 * len(days)):
        # A few rows over thousands of years: counting would need more memory than the table.
        rows = np.flatnonzero((groups >= 0) & (days >= 0))
        return rows[np.lexsort((days[rows], groups[rows]))]
    by_day, order = np.empty_like(groups), np.empty_like(groups)
    counts = np.zeros(n_groups + 1, np.int64), np.zeros(n_days + 1, np.int64)
    return order[: sort_rows(groups, days, *counts, by_day, order)]


@dataclass(frozen=True)
class GroupedDays:
    """The cells of a table: one per group and day that occur together, in that order.

    Parameters
    ----------
    cell_of_row : ndarray of int64, shape (rows,)
        The cell of each row; -1 where the group or the date is missing.
    group, day : ndarray of int64, shape (cells,)
        Code of the group, and days since the table's first day, of each cell.
    """

    cell_of_row: Integers
    group: Integers
    day: Integers

    @classmethod
    def of(cls, table: pa.Table, date: str, by: Sequence[str]) -> "GroupedDays":
        """Return the cells of a table with a date column and group columns."""
        from tabtext.tabular.kernels.events import number_cells

        groups, n_groups = group_codes(table, by)
        days, n_days = day_codes(take_column(table, date), date)
        order = rows_in_order(groups, days, n_groups, n_days)
        cell_of_row = np.full(table.num_rows, -1, np.int64)
        cell_group, cell_day = np.empty_like(order), np.empty_like(order)
        n_cells = number_cells(order, groups, days, cell_of_row, cell_group, cell_day)
        return cls(cell_of_row, cell_group[:n_cells], cell_day[:n_cells])

    def __len__(self) -> int:
        return len(self.day)


def _codes(values: pa.Array | pa.ChunkedArray) -> tuple[Integers, int]:
    """Return each value's position among the distinct ones (-1 if missing), and their number."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if pa.types.is_dictionary(values.type):
        labels = values.dictionary
        if labels.null_count or len(labels.unique()) != len(labels):
            values = values.cast(labels.type)  # the dictionary says the same thing twice
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    codes = values.indices.fill_null(-1).to_numpy().astype(np.int64)
    return codes, len(values.dictionary)
