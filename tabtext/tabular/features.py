"""Features that a date and a group give to a row of a DataFrame.

Each function takes a DataFrame and returns a new one with the same rows, in the same order, under
the same index, and with further columns; the frame that came in is not changed. The order of its
rows does not matter: neighbours in time are found by group and date.

- `add_date_parts`: what the calendar says about a date;
- `add_elapsed`: how long ago the last event was and how far off the next one is, as the fast.ai
  lesson on Rossmann does (J. Howard and others, "Practical Deep Learning for Coders", 2018);
- `add_rolling`: sums and means over the last or the next days.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    ParameterError,
    UnknownColumnError,
    did_you_mean,
)
from tabtext.tables import as_table
from tabtext.tabular.dates import date_part_arrays
from tabtext.tabular.expressions import Expression
from tabtext.tabular.grouping import GroupedDays, names_of, numbers_of

__all__ = ["add_date_parts", "add_elapsed", "add_rolling"]

Statistic = Literal["sum", "mean"]
Direction = Literal["last", "next", "both"]


def add_date_parts(
    frame: pd.DataFrame, column: str, *, parts: Sequence[str] | None = None, drop: bool = False
) -> pd.DataFrame:
    """Add the calendar parts of a date column.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    column : str
        A column of dates or timestamps, naive or with a timezone.
    parts : sequence of str, optional
        The parts to add, of `tabtext.tabular.dates.PARTS`; by default all that the column has:
        timestamps have an hour and a minute, dates have none.
    drop : bool, default False
        Whether to leave the date column itself out of the result. It stays by default, since
        splitting by time and the other functions of this module need it.

    Returns
    -------
    pandas.DataFrame
        The frame with columns ``f"{column}_{part}"``: int32, bool for ``is_…`` and int64 for
        ``elapsed`` (seconds), or pandas' nullable types of these where a date is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"Date": pd.to_datetime(["2015-07-31", "2016-02-29"])})
    >>> add_date_parts(frame, "Date", parts=["week", "is_month_end"])
            Date  Date_week  Date_is_month_end
    0 2015-07-31         31               True
    1 2016-02-29          9               True
    """
    table = _table_of(frame, [column])
    arrays = date_part_arrays(table.column(column), column, parts=parts)
    added = {name: _to_pandas(array) for name, array in arrays.items()}
    result = _with_columns(frame, added)
    return result.drop(columns=column) if drop else result


def add_elapsed(
    frame: pd.DataFrame,
    *,
    events: Sequence[str] | Mapping[str, str],
    date: str,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Add the days since the last and until the next event of each group.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    events : sequence of str, or mapping of str to str
        Columns of booleans or numbers, where true or any number but 0 is an event; or names with
        the condition that makes a row an event, such as
        ``{"holiday": "StateHoliday in ['a', 'b', 'c']"}`` (see `tabtext.tabular.expressions`).
        A missing value is no event.
    date : str
        Column of dates or timestamps; only the (local) day counts.
    by : str or sequence of str, optional
        Columns whose values together make a group, such as ``"Store"``; by default all rows are
        one group.

    Returns
    -------
    pandas.DataFrame
        The frame with float32 columns ``f"days_since_{event}"`` and ``f"days_until_{event}"``:
        whole days, 0 on the day of an event itself (for every row of the group on that day), and
        NaN before the group's first and after its last event, and where date or group is missing.

    Notes
    -----
    ``days_until`` looks ahead. That is right for what is known beforehand, such as holidays and
    planned promotions, and a leak for anything that is not.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {
    ...         "Store": [1, 1, 1, 2],
    ...         "Date": pd.to_datetime(["2015-07-05", "2015-07-01", "2015-07-03", "2015-07-04"]),
    ...         "Promo": [0, 0, 1, 0],
    ...     }
    ... )
    >>> frame = add_elapsed(frame, events=["Promo"], date="Date", by="Store")
    >>> frame["days_since_Promo"].tolist()
    [2.0, nan, 0.0, nan]
    >>> frame["days_until_Promo"].tolist()
    [nan, 2.0, 0.0, nan]
    """
    from tabtext.tabular.kernels.events import days_to_event, mark_cells

    group_columns, conditions = names_of(by), _conditions(events)
    needed = [name for condition in conditions.values() for name in condition.columns]
    table = _table_of(frame, [date, *group_columns, *needed])
    cells = GroupedDays.of(table, date, group_columns)
    added: dict[str, Any] = {}
    for event, condition in conditions.items():
        happened = condition.evaluate(table).fill_null(False).to_numpy()
        cell_event = np.zeros(len(cells), np.bool_)
        mark_cells(cells.cell_of_row, happened, cell_event)
        for side, forward in (("since", True), ("until", False)):
            days = _per_cell(cells, np.float32)
            days_to_event(cells.group, cells.day, cell_event, forward, days)
            added[f"days_{side}_{event}"] = days[cells.cell_of_row]
    return _with_columns(frame, added)


def add_rolling(
    frame: pd.DataFrame,
    columns: str | Sequence[str],
    *,
    date: str,
    by: str | Sequence[str] | None = None,
    days: int = 7,
    statistics: Sequence[Statistic] = ("sum", "mean"),
    direction: Direction = "last",
) -> pd.DataFrame:
    """Add sums and means of columns over the last or the next days of each group.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    columns : str or sequence of str
        Columns of numbers or booleans.
    date : str
        Column of dates or timestamps; only the (local) day counts.
    by : str or sequence of str, optional
        Columns whose values together make a group; by default all rows are one group.
    days : int, default 7
        Length of the window in days, not rows, the row's own day included. A week by default,
        so that every window holds each day of the week once.
    statistics : sequence of "sum" and "mean", default both
        What to compute.
    direction : "last", "next" or "both", default "last"
        Whether the window ends with the row's day, starts from it, or one of each. ``"last"``
        with 7 days is the window of pandas' ``rolling("7D")``.

    Returns
    -------
    pandas.DataFrame
        The frame with float64 columns ``f"{column}_{statistic}_{direction}_{days}_days"``. All
        rows of a group on one day have the same window, which holds all of them. Missing values
        are skipped; a window without any value, and a row without date or group, gets NaN.

    Notes
    -----
    The window holds the row's own day. Over a target, even ``"last"`` tells the model the answer;
    ``"next"`` is for what is known beforehand.

    Sums of integers are exact up to 2**53. Sums of floats never subtract what leaves the window,
    so their error is bounded by ``w * 2**-53`` times the sum of the window's absolute values,
    where ``w`` is the number of its values, whatever values came before.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"Date": pd.to_datetime(["2015-07-09", "2015-07-01", "2015-07-03"]), "Sales": [5, 1, 2]}
    ... )
    >>> add_rolling(frame, "Sales", date="Date", statistics=["sum"])["Sales_sum_last_7_days"]
    0    7.0
    1    1.0
    2    3.0
    Name: Sales_sum_last_7_days, dtype: float64
    """
    from tabtext.tabular.kernels.events import roll, sum_cells

    _check_rolling(days, statistics, direction)
    columns, group_columns = names_of(columns), names_of(by)
    table = _table_of(frame, [date, *group_columns, *columns])
    cells = GroupedDays.of(table, date, group_columns)
    sides = ("last", "next") if direction == "both" else (direction,)
    tail_sum = np.empty(len(cells))
    added: dict[str, Any] = {}
    for column in columns:
        day_sum, day_count = np.zeros(len(cells)), np.zeros(len(cells), np.int64)
        sum_cells(cells.cell_of_row, numbers_of(table, column), day_sum, day_count)
        for side in sides:
            window_sum, count = _per_cell(cells, np.float64), np.zeros(len(cells) + 1, np.int64)
            window = (days, side == "last", tail_sum, window_sum, count)
            roll(cells.group, cells.day, day_sum, day_count, *window)
            window_sum[count == 0] = np.nan
            for statistic in statistics:
                result = window_sum if statistic == "sum" else window_sum / np.maximum(count, 1)
                name = f"{column}_{statistic}_{side}_{days}_days"
                added[name] = result[cells.cell_of_row]
    return _with_columns(frame, added)


def _check_rolling(days: int, statistics: Iterable[str], direction: str) -> None:
    if days < 1 or days != int(days):
        raise ParameterError(f"{days=}, however a window has a whole number of days from 1.")
    for statistic in statistics:
        if statistic not in get_args(Statistic):
            raise ParameterError(f"{statistic=}, however it is 'sum' or 'mean'.")
    if direction not in get_args(Direction):
        raise ParameterError(f"{direction=}, however it is 'last', 'next' or 'both'.")


def _conditions(events: Sequence[str] | Mapping[str, str]) -> dict[str, Expression]:
    """Return the condition of each event; that of a column is its own truth."""
    if isinstance(events, Mapping):
        return {name: Expression(text) for name, text in events.items()}
    return {name: Expression(f"`{name}`") for name in names_of(events)}


def _table_of(frame: pd.DataFrame, names: Iterable[str]) -> pa.Table:
    """Return the columns that are needed as an Arrow table."""
    if not isinstance(frame, pd.DataFrame):
        raise ColumnTypeError(f"expected a pandas DataFrame, got {type(frame).__name__}.")
    needed = list(dict.fromkeys(names))
    for name in needed:
        if name not in frame.columns:
            hint = did_you_mean(name, map(str, frame.columns))
            raise UnknownColumnError(
                f"column {name!r} is not in the frame ({len(frame)} rows{hint})"
            )
    return as_table(frame[needed], what="the frame")


def _per_cell(cells: GroupedDays, dtype: type[np.floating[Any]]) -> npt.NDArray[Any]:
    """Return NaN for each cell and one more: rows without a cell have the index -1, the last."""
    return np.full(len(cells) + 1, np.nan, dtype)


def _to_pandas(part: pa.Array) -> Any:
    """Return a date part as a NumPy array, or as a nullable pandas array if dates are missing."""
    if pa.types.is_dictionary(part.type):
        part = part.cast(part.type.value_type)
    if part.null_count == 0:
        return part.to_numpy(zero_copy_only=False)
    nullable = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    return part.to_pandas(types_mapper=nullable.get).array


def _with_columns(frame: pd.DataFrame, added: Mapping[str, Any]) -> pd.DataFrame:
    """Return the frame with further columns, and the frame itself unchanged."""
    taken = [name for name in added if name in frame.columns]
    if taken:
        raise DataError(
            f"the frame already has the columns {taken}. Drop or rename them, or leave the frame "
            f"as it is if they were added before."
        )
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
