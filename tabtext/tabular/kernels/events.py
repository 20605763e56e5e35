"""Compiled loops over rows in (group, day) order: elapsed days, rolling sums, closed periods.

Every kernel releases the GIL, allocates nothing (the caller passes the arrays that it fills) and
is compiled once per machine. A *cell* is one day of one group: all rows of a group that share a
day fall into one cell, and cells are numbered in the order of (group, day). Sequences that are
walked in both directions take ``forward``; backwards, "the last" becomes "the next".
"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = [
    "days_to_event",
    "mark_around",
    "mark_cells",
    "number_cells",
    "roll",
    "sort_rows",
    "sum_cells",
]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def sort_rows(
    groups: Integers,
    days: Integers,
    group_ends: Integers,
    day_ends: Integers,
    by_day: Integers,
    order: Integers,
) -> int:
    """Write the stable order of the rows by (group, day); return how many rows take part.

    Rows with a negative group or day are left out. ``group_ends`` and ``day_ends`` are zeros, one
    longer than the number of groups and of days. Two counting sorts, so the time grows linearly.

    The same in Python: ``sorted((i for i in range(n) if groups[i] >= 0 and days[i] >= 0),
    key=lambda i: (groups[i], days[i]))``.
    """
    for row in range(len(groups)):
        if groups[row] >= 0 and days[row] >= 0:
            group_ends[groups[row] + 1] += 1
            day_ends[days[row] + 1] += 1
    for group in range(1, len(group_ends)):
        group_ends[group] += group_ends[group - 1]
    for day in range(1, len(day_ends)):
        day_ends[day] += day_ends[day - 1]
    n_sorted = day_ends[-1]
    for row in range(len(groups)):
        if groups[row] >= 0 and days[row] >= 0:
            by_day[day_ends[days[row]]] = row
            day_ends[days[row]] += 1
    for position in range(n_sorted):
        row = by_day[position]
        order[group_ends[groups[row]]] = row
        group_ends[groups[row]] += 1
    return int(n_sorted)


@numba.njit(nogil=True, cache=True)
def number_cells(
    order: Integers,
    groups: Integers,
    days: Integers,
    cell_of_row: Integers,
    cell_group: Integers,
    cell_day: Integers,
) -> int:
    """Give the distinct (group, day) pairs along ``order`` numbers; return how many there are."""
    n_cells = 0
    for position in range(len(order)):
        row = order[position]
        if (
            n_cells == 0
            or cell_group[n_cells - 1] != groups[row]
            or cell_day[n_cells - 1] != days[row]
        ):
            cell_group[n_cells] = groups[row]
            cell_day[n_cells] = days[row]
            n_cells += 1
        cell_of_row[row] = n_cells - 1
    return n_cells


@numba.njit(nogil=True, cache=True)
def mark_cells(cell_of_row: Integers, event: Flags, cell_event: Flags) -> None:
    """Set ``cell_event`` where any row of the cell has the event."""
    for row in range(len(cell_of_row)):
        if event[row] and cell_of_row[row] >= 0:
            cell_event[cell_of_row[row]] = True


@numba.njit(nogil=True, cache=True)
def days_to_event(
    cell_group: Integers,
    cell_day: Integers,
    cell_event: Flags,
    forward: bool,
    result: npt.NDArray[np.float32],
) -> None:
    """Write the days from each cell to the last event of its group (the next if not forward).

    Cells without such an event keep what ``result`` held.

    The same in Python, for the last event: ``min(day[i] - day[j] for j in range(i + 1) if
    event[j] and group[j] == group[i])``.
    """
    n_cells = len(cell_day)
    group = -1
    day_of_event = 0
    seen = False
    for step in range(n_cells):
        cell = step if forward else n_cells - 1 - step
        if cell_group[cell] != group:
            group = cell_group[cell]
            seen = False
        if cell_event[cell]:
            day_of_event = cell_day[cell]
            seen = True
        if seen:
            result[cell] = abs(cell_day[cell] - day_of_event)


@numba.njit(nogil=True, cache=True)
def sum_cells(
    cell_of_row: Integers,
    values: Floats,
    cell_sum: Floats,
    cell_count: Integers,
) -> None:
    """Add up each cell's values that are not NaN, and count them."""
    for row in range(len(cell_of_row)):
        cell = cell_of_row[row]
        if cell >= 0 and not np.isnan(values[row]):
            cell_sum[cell] += values[row]
            cell_count[cell] += 1


@numba.njit(nogil=True, cache=True)
def roll(
    cell_group: Integers,
    cell_day: Integers,
    cell_sum: Floats,
    cell_count: Integers,
    n_days: int,
    forward: bool,
    tail_sum: Floats,
    window_sum: Floats,
    window_count: Integers,
) -> None:
    """Sum the cells of each group over a window of days that ends at (or starts from) each cell.

    A sliding sum that adds what enters and subtracts what leaves loses digits when large values
    leave, and one infinity spoils it for good. This one never subtracts: the window is a *tail*,
    whose sums from each start to a fixed middle are stored in ``tail_sum``, and a *head* that
    grows beyond the middle. When the window has left the middle behind, all of it becomes the new
    tail. Each cell is added at most twice, so the time does not depend on the window's length.

        cells     a  b  c  d │ e  f            window b..f = tail_sum[b] + head
                     └─tail──┘ └head┘          tail_sum[b] = b + c + d, head = e + f

    The same in Python: ``sum(cell_sum[j] for j in range(i + 1) if group[j] == group[i] and
    day[i] - day[j] < n_days)``.
    """
    n_cells = len(cell_day)
    first = 0  # the first step of the window
    middle = -1  # the last step of the tail
    head = 0.0
    count = 0
    for step in range(n_cells):
        cell = step if forward else n_cells - 1 - step
        head += cell_sum[cell]
        count += cell_count[cell]
        while True:
            oldest = first if forward else n_cells - 1 - first
            if (
                cell_group[oldest] == cell_group[cell]
                and abs(cell_day[cell] - cell_day[oldest]) < n_days
            ):
                break
            count -= cell_count[oldest]
            first += 1
        if first > middle:
            running = 0.0
            for back in range(step, first - 1, -1):
                running += cell_sum[back if forward else n_cells - 1 - back]
                tail_sum[back] = running
            middle = step
            head = 0.0
        window_sum[cell] = tail_sum[first] + head
        window_count[cell] = count


@numba.njit(nogil=True, cache=True)
def mark_around(
    order: Integers,
    groups: Integers,
    event: Flags,
    min_length: int,
    before: int,
    after: int,
    marked: Flags,
) -> None:
    """Mark the rows next to each run of at least ``min_length`` event rows, not the run itself.

    Rows are neighbours along ``order``; a run ends with its group. Rows that have the event
    themselves are never marked.
    """
    n_rows = len(order)
    start = 0
    while start < n_rows:
        if not event[order[start]]:
            start += 1
            continue
        group = groups[order[start]]
        stop = start
        while stop < n_rows and groups[order[stop]] == group and event[order[stop]]:
            stop += 1
        if stop - start >= min_length:
            for position in range(max(start - before, 0), start):
                row = order[position]
                if groups[row] == group and not event[row]:
                    marked[row] = True
            for position in range(stop, min(stop + after, n_rows)):
                row = order[position]
                if groups[row] == group and not event[row]:
                    marked[row] = True
        start = stop
