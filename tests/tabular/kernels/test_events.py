"""The event kernels against the plain Python that their docstrings give, exactly."""

import re
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.tabular.kernels import events

# Rows as (group, day, event, value); -1 is a missing group or day.
rows = st.lists(
    st.tuples(
        st.integers(-1, 3), st.integers(-1, 12), st.booleans(), st.none() | st.integers(-99, 99)
    ),
    max_size=40,
)
# Cells as (group, day): distinct and in order.
cells = st.sets(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=40).map(sorted)


def column(values: list, dtype: type) -> np.ndarray:
    return np.array(values, dtype)


def sorted_rows(groups: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Call ``sort_rows`` with the arrays that it fills."""
    counts = np.zeros(4 + 1, np.int64), np.zeros(13 + 1, np.int64)
    by_day, order = np.empty_like(groups), np.empty_like(groups)
    return order[: events.sort_rows(groups, days, *counts, by_day, order)]


def sorted_slowly(groups: np.ndarray, days: np.ndarray) -> list[int]:
    known = [row for row in range(len(groups)) if groups[row] >= 0 and days[row] >= 0]
    return sorted(known, key=lambda row: (groups[row], days[row]))


@given(rows)
def test_sorting_is_stable_and_leaves_out_what_is_missing(drawn: list[tuple]) -> None:
    groups, days = (column([row[place] for row in drawn], np.int64) for place in (0, 1))

    assert sorted_rows(groups, days).tolist() == sorted_slowly(groups, days)


@given(rows)
def test_cells_are_the_distinct_pairs_in_order(drawn: list[tuple]) -> None:
    groups, days = (column([row[place] for row in drawn], np.int64) for place in (0, 1))
    order = column(sorted_slowly(groups, days), np.int64)
    cell_of_row = np.full(len(drawn), -1)
    cell_group, cell_day = np.empty_like(order), np.empty_like(order)

    n_cells = events.number_cells(order, groups, days, cell_of_row, cell_group, cell_day)

    pairs = sorted({(group, day) for group, day, *_ in drawn if group >= 0 and day >= 0})
    numbers = {pair: number for number, pair in enumerate(pairs)}
    assert list(zip(cell_group[:n_cells], cell_day[:n_cells], strict=True)) == pairs
    assert cell_of_row.tolist() == [numbers.get((group, day), -1) for group, day, *_ in drawn]


@given(st.lists(st.tuples(st.integers(-1, 5), st.booleans(), st.none() | st.integers(-99, 99))))
def test_a_cell_gathers_its_rows(drawn: list[tuple]) -> None:
    cell_of_row = column([cell for cell, *_ in drawn], np.int64)
    event = column([happened for _, happened, _ in drawn], np.bool_)
    values = column([np.nan if value is None else value for *_, value in drawn], np.float64)
    cell_event, cell_sum, cell_count = np.zeros(6, np.bool_), np.zeros(6), np.zeros(6, np.int64)

    events.mark_cells(cell_of_row, event, cell_event)
    events.sum_cells(cell_of_row, values, cell_sum, cell_count)

    for cell in range(6):
        inside = [(happened, value) for place, happened, value in drawn if place == cell]
        known = [value for _, value in inside if value is not None]
        assert cell_event[cell] == any(happened for happened, _ in inside)
        assert cell_sum[cell] == sum(known)
        assert cell_count[cell] == len(known)


@given(cells, st.booleans(), st.randoms(use_true_random=False))
def test_days_to_an_event_are_those_to_the_nearest(
    places: list, forward: bool, random: Random
) -> None:
    group, day = (column([place[index] for place in places], np.int64) for index in (0, 1))
    event = column([random.random() < 0.3 for _ in places], np.bool_)
    result = np.full(len(places), np.nan, np.float32)

    events.days_to_event(group, day, event, forward, result)

    for here in range(len(places)):
        sign = 1 if forward else -1
        away = [
            sign * (day[here] - day[there])
            for there in range(len(places))
            if event[there] and group[there] == group[here]
        ]
        expected = min((days for days in away if days >= 0), default=np.nan)
        np.testing.assert_equal(result[here], np.float32(expected))


@given(cells, st.booleans(), st.integers(1, 45), st.randoms(use_true_random=False))
def test_rolling_sums_are_those_of_the_window(
    places: list, forward: bool, n_days: int, random: Random
) -> None:
    group, day = (column([place[index] for place in places], np.int64) for index in (0, 1))
    cell_sum = column([random.randint(-999, 999) / 8 for _ in places], np.float64)
    cell_count = column([random.randint(0, 3) for _ in places], np.int64)
    tail, window_sum = np.empty(len(places)), np.empty(len(places))
    window_count = np.empty(len(places), np.int64)

    events.roll(group, day, cell_sum, cell_count, n_days, forward, tail, window_sum, window_count)

    for here in range(len(places)):
        sign = 1 if forward else -1
        window = (group == group[here]) & (sign * (day[here] - day) >= 0)
        window &= np.abs(day[here] - day) < n_days
        assert window_sum[here] == cell_sum[window].sum()
        assert window_count[here] == cell_count[window].sum()


def marked_slowly(
    groups: list[int], event: list[bool], min_length: int, before: int, after: int
) -> set[int]:
    """Return the marked places among rows that are in order: write each group out as a word."""
    marked = set()
    for group in set(groups):
        first = groups.index(group)
        word = "".join("x" if event[first + i] else "." for i in range(groups.count(group)))
        for run in re.finditer(f"x{{{min_length},}}", word):
            beside = [
                *range(run.start() - before, run.start()),
                *range(run.end(), run.end() + after),
            ]
            marked |= {first + i for i in beside if 0 <= i < len(word) and word[i] == "."}
    return marked


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([True, True, False])), max_size=30),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_the_rows_around_a_long_run_are_marked(
    drawn: list[tuple[int, bool]], min_length: int, before: int, after: int
) -> None:
    drawn = sorted(drawn, key=lambda row: row[0])
    groups, event = [group for group, _ in drawn], [happened for _, happened in drawn]
    # Rows lie in the table in any order; `order` brings them into theirs.
    order = np.random.default_rng(len(drawn)).permutation(len(drawn))
    row_groups, row_event = np.empty(len(drawn), np.int64), np.empty(len(drawn), np.bool_)
    row_groups[order], row_event[order] = groups, event
    marked = np.zeros(len(drawn), np.bool_)

    events.mark_around(order, row_groups, row_event, min_length, before, after, marked)

    places = set(np.flatnonzero(marked[order]).tolist())
    assert places == marked_slowly(groups, event, min_length, before, after)
