"""Calendar parts of dates against pandas."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ColumnTypeError, ParameterError
from tabtext.tabular.dates import (
    DATE_PARTS,
    PARTS,
    date_part_arrays,
    is_categorical_part,
    parts_of,
)

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

seconds_of_three_centuries = st.integers(-5_000_000_000, 5_000_000_000)
instants = st.lists(st.none() | seconds_of_three_centuries, min_size=1, max_size=30)


def pandas_part(series: pd.Series, part: str) -> list:
    """Return a part as pandas computes it, None where the date is missing."""
    if part == "week":
        values = series.dt.isocalendar().week
    elif part == "elapsed":
        utc = series if series.dt.tz is None else series.dt.tz_convert("UTC").dt.tz_localize(None)
        values = (utc - pd.Timestamp(0)) // pd.Timedelta("1s")
    else:
        values = getattr(series.dt, part)
    return [
        None if missing else value.item() if hasattr(value, "item") else int(value)
        for value, missing in zip(values, series.isna(), strict=True)
    ]


def assert_equal_to_pandas(values: pa.Array | pa.ChunkedArray, parts: tuple[str, ...]) -> None:
    series = values.to_pandas()
    if pa.types.is_date(values.type):
        series = pd.Series(pd.to_datetime(series))
    arrays = date_part_arrays(values, "when")
    assert list(arrays) == [f"when_{part}" for part in parts]
    for part in parts:
        assert arrays[f"when_{part}"].to_pylist() == pandas_part(series, part), part


@given(instants, st.sampled_from(sorted(UNITS)))
def test_parts_of_naive_timestamps_equal_pandas(seconds: list[int | None], unit: str) -> None:
    ticks = [None if second is None else second * UNITS[unit] for second in seconds]

    assert_equal_to_pandas(pa.array(ticks, pa.timestamp(unit)), PARTS)


@given(instants, st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]))
def test_parts_of_aware_timestamps_are_those_of_the_local_clock(
    seconds: list[int | None], timezone: str
) -> None:
    # Before 1970 zone databases differ in how much local history they keep.
    recent = [None if second is None else abs(second) % 2_000_000_000 for second in seconds]

    assert_equal_to_pandas(pa.array(recent, pa.timestamp("s", timezone)), PARTS)


@given(st.lists(st.none() | st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1))))
def test_parts_of_dates_equal_pandas(days: list[datetime.date | None]) -> None:
    if any(day is not None for day in days):
        assert_equal_to_pandas(pa.array(days, pa.date32()), DATE_PARTS)
        assert_equal_to_pandas(pa.array(days, pa.date64()), DATE_PARTS)


def test_every_day_of_forty_years_equals_pandas() -> None:
    assert_equal_to_pandas(pa.array(pd.date_range("1985-01-01", "2024-12-31")), PARTS)


def test_daylight_saving_does_not_move_the_local_hour() -> None:
    # Berlin moved from 02:00 to 03:00 on 2021-03-28: one hour of elapsed time, two on the clock.
    moments = pd.Series(pd.to_datetime(["2021-03-28 00:59", "2021-03-28 01:00"], utc=True))

    arrays = date_part_arrays(pa.array(moments.dt.tz_convert("Europe/Berlin")), "t")

    assert arrays["t_hour"].to_pylist() == [1, 3]
    assert np.diff(arrays["t_elapsed"].to_pylist()).tolist() == [60]


def test_iso_week_53_belongs_to_the_old_year_in_january() -> None:
    days = pa.array([datetime.date(2020, 12, 31), datetime.date(2021, 1, 3)])

    arrays = date_part_arrays(days, "d")

    assert arrays["d_week"].to_pylist() == [53, 53]
    assert arrays["d_year"].to_pylist() == [2020, 2021]


def test_leap_day_is_a_month_end_and_the_sixtieth_day() -> None:
    arrays = date_part_arrays(pa.array([datetime.date(2024, 2, 29)]), "d")

    assert arrays["d_is_month_end"].to_pylist() == [True]
    assert arrays["d_day_of_year"].to_pylist() == [60]


def test_fractions_of_a_second_before_1970_round_down() -> None:
    arrays = date_part_arrays(pa.array([-1, 0, 1], pa.timestamp("ns")), "t")

    assert arrays["t_elapsed"].to_pylist() == [-1, 0, 0]
    assert arrays["t_day"].to_pylist() == [31, 1, 1]


def test_categorical_parts_are_dictionaries_with_narrow_indices_and_used_sorted_values() -> None:
    days = pa.array([datetime.date(2021, month, 1) for month in (12, 3, 7, 3)])

    month = date_part_arrays(days, "d")["d_month"]

    assert month.type == pa.dictionary(pa.int8(), pa.int32())
    assert month.dictionary.to_pylist() == [3, 7, 12]


def test_all_366_days_of_a_year_fit_the_indices() -> None:
    days = pa.array(pd.date_range("2024-01-01", "2024-12-31").date)

    assert date_part_arrays(days, "d")["d_day_of_year"].to_pylist() == list(range(1, 367))


@pytest.mark.parametrize("values", [pa.nulls(3, pa.date32()), pa.array([], pa.timestamp("us"))])
def test_a_column_without_any_date_gives_only_nulls(values: pa.Array) -> None:
    for array in date_part_arrays(values, "d").values():
        assert array.to_pylist() == [None] * len(values)


def test_chunked_and_dictionary_encoded_dates_equal_plain_ones() -> None:
    days = pa.array([datetime.date(2021, 1, 3), None, datetime.date(2024, 2, 29)])
    forms = [pa.chunked_array([days[:1], days[1:]]), days.dictionary_encode()]

    expected = {name: array.to_pylist() for name, array in date_part_arrays(days, "d").items()}

    for form in forms:
        arrays = date_part_arrays(form, "d")
        assert {name: array.to_pylist() for name, array in arrays.items()} == expected


def test_asked_parts_come_out_alone_and_in_order() -> None:
    days = pa.array([datetime.date(2021, 1, 3)])

    assert list(date_part_arrays(days, "d", parts=["elapsed", "year"])) == ["d_elapsed", "d_year"]


def test_a_column_of_text_is_refused_with_the_remedy() -> None:
    with pytest.raises(ColumnTypeError, match=r"column 'Date' holds string.*pandas.to_datetime"):
        date_part_arrays(pa.array(["2021-01-03"]), "Date")


def test_an_unknown_part_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ParameterError, match=r"'mont' is not a date part; did you mean 'month'"):
        date_part_arrays(pa.array([0], pa.date32()), "d", parts=["mont"])


def test_a_time_of_day_is_not_a_part_of_dates() -> None:
    with pytest.raises(ParameterError, match=r"column 'd' holds dates .* no 'hour'"):
        date_part_arrays(pa.array([0], pa.date32()), "d", parts=["hour"])


def test_only_elapsed_is_a_quantity() -> None:
    assert [part for part in PARTS if not is_categorical_part(part)] == ["elapsed"]
    assert parts_of(pa.date32()) == DATE_PARTS
    assert parts_of(pa.dictionary(pa.int32(), pa.timestamp("us"))) == PARTS
