"""Partial dependence: what columns are set to, and what is averaged."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.reports.calendar import DATE_MOVES, local_times, with_times
from tabtext.reports.dependence import partial_dependence
from tabtext.reports.levels import most_frequent
from tabtext.tabular.schema import Role

TIMES = np.datetime64("2012-01-01T06:30", "us") + np.arange(800).astype("timedelta64[D]")
ROWS = pa.table(
    {
        "wind": pa.array(np.arange(800.0) % 37, pa.float32()),
        "stops": pa.array(np.arange(800) % 3, pa.int8()),
        "carrier": pa.array(["UA", "B6", None, "UA"] * 200).dictionary_encode(),
        "when": pa.array(TIMES),
        "empty": pa.nulls(800, pa.float64()),
    }
)


def wind_twice(table: pa.Table) -> np.ndarray:
    return (
        2.0 * table.column("wind").to_numpy()[:, None] + table.column("stops").to_numpy()[:, None]
    )


def test_the_prediction_is_averaged_over_rows_that_are_else_as_they_are() -> None:
    (found,) = partial_dependence(wind_twice, ROWS, ROWS, "wind", Role.CONTINUOUS)

    assert found.grid is not None
    np.testing.assert_allclose(
        found.predicted[:, 0], 2 * found.grid + np.mean(np.arange(800) % 3), rtol=1e-5
    )
    assert 10 < len(found.grid) <= 20


def test_few_whole_numbers_are_all_tried() -> None:
    (found,) = partial_dependence(wind_twice, ROWS, ROWS, "stops", Role.CONTINUOUS)

    assert found.grid is not None
    assert found.grid.tolist() == [0, 1, 2]


def test_missing_categories_are_a_level() -> None:
    def is_united(table: pa.Table) -> np.ndarray:
        return np.array([[name == "UA"] for name in table.column("carrier").to_pylist()], float)

    (found,) = partial_dependence(is_united, ROWS[:50], ROWS, "carrier", Role.CATEGORICAL)

    assert found.levels == ("UA", "B6", "(missing)")
    assert found.predicted.ravel().tolist() == [1, 0, 0]
    assert found.counts is not None
    assert found.counts.tolist() == [400, 200, 200]


def test_a_date_is_moved_by_the_parts_that_the_model_reads() -> None:
    def is_sunday(table: pa.Table) -> np.ndarray:
        days = DATE_MOVES["day_of_week"].part(local_times(table.column("when")))
        return (days == 6).astype(float)[:, None]

    found = partial_dependence(
        is_sunday, ROWS, ROWS, "when", Role.DATETIME, date_parts=["day_of_week", "month"]
    )

    assert [one.label for one in found] == ["day of week of when", "month of when"]
    assert found[0].levels == ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    assert found[0].predicted.ravel().tolist() == [0, 0, 0, 0, 0, 0, 1]
    # Moved by whole weeks: the month says nothing about the day of the week.
    np.testing.assert_allclose(found[1].predicted.ravel(), is_sunday(ROWS).mean())


def test_a_date_without_parts_is_set_to_its_quantiles() -> None:
    def year(table: pa.Table) -> np.ndarray:
        return local_times(table.column("when")).astype("datetime64[Y]").astype(float)[:, None]

    (found,) = partial_dependence(year, ROWS, ROWS, "when", Role.DATETIME, date_parts=["elapsed"])

    assert found.grid is not None
    assert found.grid.dtype == np.dtype("datetime64[s]")
    np.testing.assert_array_equal(
        found.predicted.ravel(), found.grid.astype("datetime64[Y]").astype(float)
    )


@pytest.mark.parametrize(
    ("column", "role"), [("empty", Role.CONTINUOUS), ("wind", Role.TEXT), ("wind", Role.IGNORE)]
)
def test_what_has_no_values_to_try_has_no_dependence(column: str, role: Role) -> None:
    assert partial_dependence(wind_twice, ROWS, ROWS, column, role) == []


@given(
    st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(0, 11),
    st.integers(0, 6),
    st.integers(0, 23),
)
def test_moved_dates_have_the_part_and_keep_the_others(
    time: datetime, month: int, day: int, hour: int
) -> None:
    times = np.array([time], "datetime64[us]")
    hours, days, months = (DATE_MOVES[name] for name in ("hour", "day_of_week", "month"))

    assert hours.part(hours.moved(times, hour)) == hour
    assert days.part(days.moved(times, day)) == day
    moved = months.moved(times, month)
    assert months.part(moved) == month
    assert days.part(moved) == days.part(times)
    assert hours.part(moved) == hours.part(times)


def test_times_of_a_zone_are_those_that_clocks_showed() -> None:
    column = pa.chunked_array([pa.array([0, None], pa.timestamp("s", "America/New_York"))])

    times = local_times(column)

    assert str(times[0]) == "1969-12-31T19:00:00.000000"
    assert np.isnat(times[1])
    assert with_times(column.type, times).equals(column.combine_chunks())


def test_levels_are_counted_with_what_is_left() -> None:
    found = most_frequent(pa.chunked_array([["a", "b", "b", None, "c"]]), 2)

    assert found.names == ("b", "a")
    assert found.counts.tolist() == [2, 1]
    assert (found.n_others, found.n_distinct) == (2, 4)
