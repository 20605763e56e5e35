"""Partial dependence: the mean prediction when one column is set to a value in every row.

A table of rows goes in; for each column the values that it was set to come out, with the mean
predictions. All of a column's values are predicted in one call, by the same road as any other rows,
so that it works for every estimator that reads tables.

Friedman, J. H. (2001), "Greedy Function Approximation: A Gradient Boosting Machine", section 8.2.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tabtext.reports.calendar import DATE_MOVES, DateMove, local_times, with_times
from tabtext.reports.levels import most_frequent
from tabtext.tabular.schema import Role

__all__ = ["Dependence", "partial_dependence"]

_N_POINTS = 20
_N_LEVELS = 12
_SHOWN = (0.01, 0.99)


@dataclass(frozen=True)
class Dependence:
    """What is predicted when a column, or a part of a date, is set to one value after another.

    Parameters
    ----------
    label : str
        The column, or the part of which date.
    predicted : ndarray of shape (points, outputs)
        Mean prediction for each value.
    grid : ndarray of numbers or datetime64, shape (points,), or None
        What the column was set to; None for categories.
    observed : ndarray, or None
        Values that rows have, where there is a grid.
    levels : tuple of str
        Categories that the column was set to.
    counts : ndarray of int or None
        Rows that have each of them.
    """

    label: str
    predicted: NDArray[np.float64]
    grid: NDArray[Any] | None = None
    observed: NDArray[Any] | None = None
    levels: tuple[str, ...] = ()
    counts: NDArray[np.int64] | None = None


def partial_dependence(
    predict: Callable[[pa.Table], NDArray[np.float64]],
    sample: pa.Table,
    everyone: pa.Table,
    column: str,
    role: Role,
    *,
    date_parts: Collection[str] = tuple(DATE_MOVES),
) -> list[Dependence]:
    """Set a column to its typical values, one after another, in all rows of a sample.

    Parameters
    ----------
    predict : callable
        From rows to outputs ``(rows, outputs)``.
    sample : pyarrow.Table
        Rows over which predictions are averaged.
    everyone : pyarrow.Table
        All rows, from which the values are taken: quantiles of numbers, the most frequent
        categories.
    column : str
        Which column.
    role : Role
        What it is to the model. A date is moved to other hours, days of the week or months, all
        else of it being as it is; one that has none of them is set to its quantiles.
    date_parts : collection of str
        The parts of a date that the model reads. Moving it by others would only show chance.

    Returns
    -------
    list of Dependence
        One, or one for each part of a date; none where the column has fewer than two values.
    """

    def mean_outputs(columns: Sequence[pa.Array]) -> NDArray[np.float64]:
        place = sample.column_names.index(column)
        tables = [sample.set_column(place, column, values) for values in columns]
        outputs = predict(pa.concat_tables(tables))
        means: NDArray[np.float64] = outputs.reshape(len(columns), sample.num_rows, -1).mean(axis=1)
        return means

    values = everyone.column(column)
    if role is Role.CONTINUOUS:
        found = _of_numbers(values, sample.num_rows, mean_outputs)
    elif role is Role.CATEGORICAL:
        found = _of_levels(values, sample.num_rows, mean_outputs)
    elif role is Role.DATETIME:
        moves = [move for part, move in DATE_MOVES.items() if part in date_parts]
        return _of_dates(column, values, sample.column(column), moves, mean_outputs)
    else:
        return []
    return [] if found is None else [Dependence(column, **found)]


_MeanOutputs = Callable[[Sequence[pa.Array]], NDArray[np.float64]]


def _of_numbers(
    values: pa.ChunkedArray, n_rows: int, mean_outputs: _MeanOutputs
) -> dict[str, Any] | None:
    numbers = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    present = numbers[np.isfinite(numbers)]
    grid = _grid(present, is_whole=pa.types.is_integer(values.type))
    if len(grid) < 2:
        return None
    columns = [_constant(number, values.type, n_rows) for number in grid.tolist()]
    return {"predicted": mean_outputs(columns), "grid": grid, "observed": present}


def _of_levels(
    values: pa.ChunkedArray, n_rows: int, mean_outputs: _MeanOutputs
) -> dict[str, Any] | None:
    levels = most_frequent(values, _N_LEVELS)
    if len(levels.values) < 2:
        return None
    columns = [
        pa.array([value] * n_rows, levels.values.type) for value in levels.values.to_pylist()
    ]
    return {
        "predicted": mean_outputs(columns),
        "levels": levels.names,
        "counts": levels.counts,
    }


def _of_dates(
    name: str,
    values: pa.ChunkedArray,
    of_sample: pa.ChunkedArray,
    moves: Sequence[DateMove],
    mean_outputs: _MeanOutputs,
) -> list[Dependence]:
    everyone, times = local_times(values), local_times(of_sample)
    known = everyone[~np.isnat(everyone)]
    found = []
    for move in moves:
        parts = move.part(known)
        present, counts = np.unique(parts, return_counts=True)
        if len(present) < 2:
            continue
        columns = [with_times(of_sample.type, move.moved(times, part)) for part in present.tolist()]
        levels = tuple(move.name_of(part) for part in present.tolist())
        outputs = mean_outputs(columns)
        found.append(Dependence(f"{move.name} of {name}", outputs, levels=levels, counts=counts))
    if found or len(known) == 0:
        return found
    seconds = _grid(known.astype("datetime64[s]").astype(np.float64), is_whole=True)
    grid = seconds.astype(np.int64).astype("datetime64[s]")
    if len(grid) < 2:
        return []
    columns = [with_times(of_sample.type, np.full(len(times), time)) for time in grid]
    return [Dependence(name, mean_outputs(columns), grid=grid, observed=known)]


def _grid(present: NDArray[np.float64], *, is_whole: bool) -> NDArray[np.float64]:
    """Distinct quantiles, or all values where they are few."""
    distinct = np.unique(present)
    if len(distinct) <= _N_POINTS:
        return distinct
    places = np.quantile(present, np.linspace(*_SHOWN, _N_POINTS))
    return np.unique(np.round(places) if is_whole else places)


def _constant(number: float, dtype: pa.DataType, n_rows: int) -> pa.Array:
    return pc.cast(pa.array(np.full(n_rows, number)), dtype, safe=False)
