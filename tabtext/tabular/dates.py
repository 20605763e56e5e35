"""Calendar parts of dates: what a network can learn from a date column.

An Arrow array of dates or timestamps goes in; one Arrow array per part comes out, with nulls where
the date is null. A column of a million rows rarely holds more than a few thousand different days,
so the calendar is computed once per distinct day and spread over the rows by index. The
categorical parts keep that form: they are dictionary arrays whose indices have one or two bytes,
and an encoder that works on distinct values never has to look at the rows' values again.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabtext.errors import ColumnTypeError, DataError, ParameterError, did_you_mean

__all__ = [
    "DATE_PARTS",
    "PARTS",
    "TIME_PARTS",
    "DateParts",
    "calendar_days",
    "date_part_arrays",
    "is_categorical_part",
    "parts_of",
]

DATE_PARTS: tuple[str, ...] = (
    "year",
    "month",
    "week",
    "day",
    "day_of_week",
    "day_of_year",
    "is_month_start",
    "is_month_end",
    "is_quarter_start",
    "is_quarter_end",
    "is_year_start",
    "is_year_end",
    "elapsed",
)
"""The parts of a date without a time of day."""

TIME_PARTS: tuple[str, ...] = ("hour", "minute")
"""The parts that timestamps add."""

PARTS: tuple[str, ...] = DATE_PARTS + TIME_PARTS
"""Every part, in the order in which the columns come out."""

DateParts: TypeAlias = bool | Literal["auto"] | Sequence[str]
"""Which parts stand for dates: all, none, all that occur often enough, or these."""

_SECONDS_PER_DAY = 86_400
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def date_part_arrays(
    values: pa.Array | pa.ChunkedArray, name: str, *, parts: Sequence[str] | None = None
) -> dict[str, pa.Array]:
    """Return the calendar parts of a date column, one array per part.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        Dates (``date32``, ``date64``) or timestamps of any unit, naive or with a timezone. Parts
        of timestamps with a timezone are those of the local wall clock.
    name : str
        Name of the column; the keys of the result are ``f"{name}_{part}"``.
    parts : sequence of str, optional
        The parts to compute, in this order; by default all that `parts_of` lists for the type.

    Returns
    -------
    dict of str to pyarrow.Array
        ``elapsed`` is int64: whole seconds (rounded down) since 1970-01-01 00:00 UTC, a naive
        timestamp being read as UTC. All other parts are dictionary arrays with a sorted
        dictionary of int32 (bool for ``is_…``) that holds only values that occur. ``week`` is the
        ISO 8601 week (1 to 53), ``day_of_week`` counts from Monday = 0, ``month``, ``day`` and
        ``day_of_year`` count from 1.

    Raises
    ------
    ColumnTypeError
        If the column holds neither dates nor timestamps.
    ParameterError
        If a part is unknown, or a time of day is asked of dates.
    DataError
        If the timezone is unknown on this machine.

    Examples
    --------
    >>> import datetime
    >>> import pyarrow as pa
    >>> days = pa.array([datetime.date(2016, 2, 29), None, datetime.date(2021, 1, 3)])
    >>> arrays = date_part_arrays(days, "Date")
    >>> arrays["Date_week"].to_pylist()
    [9, None, 53]
    >>> arrays["Date_is_month_end"].to_pylist()
    [True, None, False]
    >>> arrays["Date_elapsed"].to_pylist()
    [1456704000, None, 1609632000]
    """
    values = _plain_array(values)
    wanted = _checked_parts(values.type, name, parts)
    local = _local_time(values, name)
    arrays: dict[str, pa.Array] = {}
    if any(part in DATE_PARTS and part != "elapsed" for part in wanted):
        encoded = _days_of(local).dictionary_encode()
        distinct = _parts_of_days(encoded.dictionary)
        arrays |= {p: _spread(distinct[p], encoded.indices) for p in wanted if p in distinct}
    for part in set(wanted).intersection(TIME_PARTS):
        clock = pc.hour(local) if part == "hour" else pc.minute(local)
        encoded = clock.cast(pa.int8()).dictionary_encode()
        arrays[part] = _spread(_to_numpy(encoded.dictionary).astype(np.int32), encoded.indices)
    if "elapsed" in wanted:
        arrays["elapsed"] = _elapsed_seconds(values)
    return {f"{name}_{part}": arrays[part] for part in wanted}


def calendar_days(values: pa.Array | pa.ChunkedArray, name: str) -> pa.Array:
    """Return the day of each date or timestamp (``date32``), by the local wall clock.

    Raises
    ------
    ColumnTypeError
        If the column, called ``name``, holds neither dates nor timestamps.

    Examples
    --------
    >>> import pyarrow as pa
    >>> instants = pa.array([23 * 3600, None], pa.timestamp("s", "UTC"))
    >>> calendar_days(instants.cast(pa.timestamp("s", "Europe/Berlin")), "when").to_pylist()
    [datetime.date(1970, 1, 2), None]
    """
    values = _plain_array(values)
    _checked_parts(values.type, name, None)
    return _days_of(_local_time(values, name))


def parts_of(dtype: pa.DataType) -> tuple[str, ...]:
    """Return the parts that a column of this Arrow type has.

    Examples
    --------
    >>> import pyarrow as pa
    >>> "hour" in parts_of(pa.date32()), "hour" in parts_of(pa.timestamp("us"))
    (False, True)
    >>> parts_of(pa.int64())
    ()
    """
    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    if pa.types.is_date(dtype):
        return DATE_PARTS
    return PARTS if pa.types.is_timestamp(dtype) else ()


def is_categorical_part(part: str) -> bool:
    """Return whether a part is a category; only ``elapsed`` is a quantity.

    Examples
    --------
    >>> is_categorical_part("month"), is_categorical_part("elapsed")
    (True, False)
    """
    if part not in PARTS:
        raise ParameterError(f"{part!r} is not a date part{did_you_mean(part, PARTS)}. {_REMEDY}")
    return part != "elapsed"


_REMEDY = f"Use some of: {', '.join(PARTS)}."


def _checked_parts(dtype: pa.DataType, name: str, parts: Sequence[str] | None) -> tuple[str, ...]:
    available = parts_of(dtype)
    if not available:
        raise ColumnTypeError(
            f"column {name!r} holds {dtype}, not dates or timestamps. Convert it first, for "
            f"example with pandas.to_datetime."
        )
    wanted = available if parts is None else tuple(parts)
    for part in wanted:
        is_categorical_part(part)  # raises for a name that is no part at all
        if part not in available:
            raise ParameterError(
                f"column {name!r} holds dates ({dtype}), which have no {part!r}. Leave it out or "
                f"pass timestamps."
            )
    return wanted


def _plain_array(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return one contiguous array without a dictionary."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _local_time(values: pa.Array, name: str) -> pa.Array:
    """Return wall-clock timestamps without a timezone (dates stay dates)."""
    if not pa.types.is_timestamp(values.type) or values.type.tz is None:
        return values
    try:
        return pc.local_timestamp(values)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"column {name!r} has the timezone {values.type.tz!r}, which this machine cannot look "
            f"up ({error}). Install the system's timezone data (the package tzdata) or convert "
            f"the column to a known timezone."
        ) from error


def _days_of(local: pa.Array) -> pa.Array:
    """Return the day of local timestamps or dates, rounded down, also before 1970."""
    return local.cast(pa.date32(), safe=False)


def _parts_of_days(days: pa.Array) -> dict[str, npt.NDArray[np.generic]]:
    """Return the categorical parts of distinct days (``date32`` without nulls)."""
    tomorrow = pc.add(days.cast(pa.int32()), pa.scalar(1, pa.int32())).cast(pa.date32())
    year, month, day = (_to_numpy(part(days)) for part in (pc.year, pc.month, pc.day))
    next_year, next_month = (_to_numpy(part(tomorrow)) for part in (pc.year, pc.month))
    starts_month, ends_month = day == 1, month != next_month
    integers = {
        "year": year,
        "month": month,
        "week": _to_numpy(pc.iso_week(days)),
        "day": day,
        "day_of_week": _to_numpy(pc.day_of_week(days)),
        "day_of_year": _to_numpy(pc.day_of_year(days)),
    }
    flags = {
        "is_month_start": starts_month,
        "is_month_end": ends_month,
        "is_quarter_start": starts_month & (month % 3 == 1),
        "is_quarter_end": ends_month & (month % 3 == 0),
        "is_year_start": starts_month & (month == 1),
        "is_year_end": year != next_year,
    }
    return {part: values.astype(np.int32) for part, values in integers.items()} | flags


def _spread(distinct: npt.NDArray[np.generic], indices: pa.Array) -> pa.Array:
    """Return ``distinct[indices]`` as a dictionary array with the narrowest indices."""
    dictionary, codes = np.unique(distinct, return_inverse=True)
    index_type = np.min_scalar_type(-max(len(dictionary), 1))
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(index_type)).take(indices), pa.array(dictionary)
    )


def _elapsed_seconds(values: pa.Array) -> pa.Array:
    """Return whole seconds since the epoch, rounded down, as int64."""
    if pa.types.is_date(values.type):
        days = _days_of(values).cast(pa.int32()).cast(pa.int64())
        return pc.multiply(days, _SECONDS_PER_DAY)
    units = _UNITS_PER_SECOND[values.type.unit]
    ticks = values.cast(pa.int64())
    whole = pc.divide(ticks, units)  # rounds towards zero
    before = pc.and_(pc.less(ticks, 0), pc.not_equal(pc.multiply(whole, units), ticks))
    return pc.subtract(whole, before.cast(pa.int64()))


def _to_numpy(array: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(array.to_numpy(zero_copy_only=False))
