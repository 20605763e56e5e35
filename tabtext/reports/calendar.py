"""Dates moved to another hour, day of the week or month, all else of them being as it is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["DATE_MOVES", "DateMove", "local_times", "with_times"]

Times = NDArray[np.datetime64]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class DateMove:
    """A part of a date that can be set to another value.

    Parameters
    ----------
    name : str
        What people call the part.
    part : callable
        From times to the part's numbers.
    moved : callable
        From times and a number of the part to times that have it.
    name_of : callable
        From a number of the part to its name.
    """

    name: str
    part: Callable[[Times], NDArray[np.int64]]
    moved: Callable[[Times, int], Times]
    name_of: Callable[[int], str]


def local_times(values: pa.ChunkedArray) -> Times:
    """Dates or timestamps as datetime64, as clocks showed them; NaT where there is none."""
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = pc.local_timestamp(values)
    plain = pc.cast(values, pa.timestamp("us"), safe=False)
    times: Times = np.asarray(plain.to_numpy(zero_copy_only=False), "datetime64[us]")
    return times


def with_times(dtype: pa.DataType, times: Times) -> pa.Array:
    """Times as a column of dates or timestamps, as ``local_times`` read them."""
    column = pa.array(times.astype("datetime64[us]"), pa.timestamp("us"))
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        column = pc.assume_timezone(column, dtype.tz, ambiguous="earliest", nonexistent="earliest")
    return pc.cast(column, dtype, safe=False)


def _hour(times: Times) -> NDArray[np.int64]:
    hours: NDArray[np.int64] = times.astype("datetime64[h]").astype(np.int64) % 24
    return hours


def _with_hour(times: Times, hour: int) -> Times:
    moved: Times = times + (hour - _hour(times)).astype("timedelta64[h]")
    return moved


def _day_of_week(times: Times) -> NDArray[np.int64]:
    # Day 0 of the count, 1970-01-01, was a Thursday.
    days: NDArray[np.int64] = (times.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return days


def _with_day_of_week(times: Times, day: int) -> Times:
    """Within the same week, Monday to Sunday."""
    moved: Times = times + (day - _day_of_week(times)).astype("timedelta64[D]")
    return moved


def _month(times: Times) -> NDArray[np.int64]:
    months: NDArray[np.int64] = times.astype("datetime64[M]").astype(np.int64) % 12
    return months


def _with_month(times: Times, month: int) -> Times:
    """Within the same year, by whole weeks, so that the day of the week stays what it is."""
    days = times.astype("datetime64[D]")
    begins = days.astype("datetime64[M]")
    target = begins + (month - _month(times))
    first, after = target.astype("datetime64[D]"), (target + 1).astype("datetime64[D]")
    distance = (first - begins.astype("datetime64[D]")).astype(np.int64)
    moved = days + (np.round(distance / 7).astype(np.int64) * 7).astype("timedelta64[D]")
    week = np.timedelta64(7, "D")
    moved = np.where(moved < first, moved + week, moved)
    moved = np.where(moved >= after, moved - week, moved)
    whole: Times = moved + (times - days)
    return whole


DATE_MOVES = {
    "hour": DateMove("hour", _hour, _with_hour, str),
    "day_of_week": DateMove(
        "day of week", _day_of_week, _with_day_of_week, lambda day: _WEEKDAYS[day]
    ),
    "month": DateMove("month", _month, _with_month, lambda month: _MONTHS[month]),
}
"""What dates can be moved by, under the names of ``tabtext.tabular.dates.PARTS``."""
