"""What columns contain, in a form that adds up: value counts.

The statistic of every column is its sorted distinct values with their counts, and the number of
missing and infinite ones. Category lists, medians, means, quantiles and the *signal* value all
follow from it, always in the same order of operations, so that

    statistics(a) + statistics(b) == statistics(a followed by b)

holds exactly, bit for bit. One property gives fitting in memory, out of memory and on several
machines the same code and the same result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tabtext.errors import ArtifactError, ColumnTypeError, DataError
from tabtext.tabular.arrays import Indexed
from tabtext.tabular.columns import features_of
from tabtext.tabular.dates import DateParts
from tabtext.tabular.prepared import Prepared, in_parallel, prepare
from tabtext.tabular.schema import Schema
from tabtext.tabular.storage import read_rows, write_rows

__all__ = ["ColumnStatistics", "TableStatistics"]

MANY_VALUES = 1 << 22
"""Beyond this many distinct numbers, a column's values are rounded to float32 before counting.

That bounds the memory, and float32 is what the network sees in the end. Rounding looks at each
value alone, so statistics still add up exactly.
"""

_FEW_BUCKETS = 1 << 18  # whole numbers within this span are counted, not sorted


@dataclass(frozen=True, eq=False)
class ColumnStatistics:
    """How often each value of a column occurs.

    Parameters
    ----------
    values : pyarrow.Array
        Distinct values in ascending order, without null: strings, int64, double or bool.
    counts : ndarray of int64, shape (len(values),)
        How often each occurs.
    n_missing, n_infinite : int
        Rows without a value, and rows with an infinite one (which encoders treat as missing).
    rounded : bool
        Whether the values were rounded to float32, see ``MANY_VALUES``.

    Examples
    --------
    >>> first = ColumnStatistics.of_numbers(np.array([2.0, np.nan, 4.0]))
    >>> both = first + ColumnStatistics.of_numbers(np.array([4.0]))
    >>> both.values.to_pylist(), both.counts, both.n_missing
    ([2.0, 4.0], array([1, 2]), 1)
    >>> both.quantile(0.5)
    4.0
    """

    values: pa.Array
    counts: NDArray[np.int64]
    n_missing: int
    n_infinite: int = 0
    rounded: bool = False

    @classmethod
    def of_categories(cls, column: Indexed) -> Self:
        """Count the values of a categorical column."""
        from tabtext.tabular.kernels.encoding import count_indices

        counts = np.zeros((4, len(column.values)), np.int64)
        count_indices(column.indices, column.offset, counts)
        values, summed = _sorted_counts(column.values, counts.sum(axis=0))
        return cls(_whole_if_possible(values), summed, column.n_missing)

    @classmethod
    def of_numbers(cls, column: NDArray[np.floating[Any]]) -> Self:
        """Count the values of a continuous column; NaN is missing."""
        from tabtext.tabular.kernels.encoding import describe_numbers

        n_missing, n_infinite, low, high, whole = describe_numbers(column)
        if n_missing or n_infinite:
            column = column[np.isfinite(column)]
        exact = max(abs(low), abs(high)) < 2.0**53  # beyond, whole numbers are no longer countable
        if whole and exact and high - low < _FEW_BUCKETS:
            values, counts = _count_whole_numbers(column, int(low), int(high))
        else:
            values, counts = _run_lengths(np.sort(column))
        # + 0.0 turns -0.0, which equals 0.0 but prints otherwise, into it.
        numbers = cls(pa.array(values.astype(np.float64) + 0.0), counts, n_missing, n_infinite)
        return numbers._bounded()

    def __add__(self, other: "ColumnStatistics") -> Self:
        first, second = _same_type(self.values, other.values)
        values, counts = _sorted_counts(
            pa.concat_arrays([first, second]), np.concatenate([self.counts, other.counts])
        )
        merged = type(self)(
            values,
            counts,
            self.n_missing + other.n_missing,
            self.n_infinite + other.n_infinite,
            self.rounded or other.rounded,
        )
        return merged._bounded()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ColumnStatistics)
            and self.values.equals(other.values)
            and np.array_equal(self.counts, other.counts)
            and self.n_missing == other.n_missing
            and self.n_infinite == other.n_infinite
            and self.rounded == other.rounded
        )

    @property
    def n_present(self) -> int:
        """Rows with a finite value."""
        return int(self.counts.sum())

    @property
    def n_gaps(self) -> int:
        """Rows that an encoder has to fill: missing and infinite ones."""
        return self.n_missing + self.n_infinite

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The distinct values of a continuous column."""
        return np.asarray(self.values)

    def mean(self) -> float:
        """Mean of the present values; 0.0 without any."""
        total = self.n_present
        return float((self.numbers * (self.counts / total)).sum()) if total else 0.0

    def standard_deviation(self) -> float:
        """Population standard deviation of the present values; 0.0 without any."""
        total = self.n_present
        if not total:
            return 0.0
        mean = self.mean()
        # Relative to the largest deviation, halved: neither it nor its square can overflow then.
        halves = self.numbers / 2 - mean / 2
        largest = float(np.abs(halves).max())
        if largest == 0.0:
            return 0.0
        variance = ((halves / largest) ** 2 * (self.counts / total)).sum()
        return min(2 * largest * float(np.sqrt(variance)), float(np.finfo(np.float64).max))

    def quantile(self, share: float) -> float:
        """Quantile with linear interpolation, as ``numpy.quantile``; 0.0 without any value."""
        return float(self.quantiles(np.array([share]))[0])

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Several quantiles at once."""
        if not len(self.counts):
            return np.zeros(len(shares))
        ends = np.cumsum(self.counts)
        position = shares * (ends[-1] - 1)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, ends[-1] - 1)
        left = self.numbers[np.searchsorted(ends, below, side="right")]
        right = self.numbers[np.searchsorted(ends, above, side="right")]
        weight = position - below
        return np.asarray(left * (1 - weight) + right * weight)

    def _bounded(self) -> Self:
        """Itself, or rounded to float32 where there are too many distinct numbers."""
        if not pa.types.is_float64(self.values.type):
            return self
        if not self.rounded and len(self.values) <= MANY_VALUES:
            return self
        limit = np.finfo(np.float32).max
        rounded = np.clip(self.numbers, -limit, limit).astype(np.float32).astype(np.float64)
        values, counts = _sum_runs(rounded, self.counts)
        return type(self)(pa.array(values), counts, self.n_missing, self.n_infinite, rounded=True)


@dataclass(frozen=True)
class TableStatistics:
    """The statistics of all columns of a table that a preprocessor learns from.

    Parameters
    ----------
    columns : mapping of str to ColumnStatistics
        By the name of the feature: dates appear as their parts.
    n_rows : int
        How many rows were counted.

    Examples
    --------
    >>> from tabtext.tabular.schema import infer_schema
    >>> table = pa.table({"State": ["HE", "BY", "HE"], "Sales": [5.5, None, 4.0]})
    >>> schema = infer_schema(table)
    >>> parts = [TableStatistics.of(table.slice(i, 1), schema) for i in range(3)]
    >>> parts[0] + parts[1] + parts[2] == TableStatistics.of(table, schema)
    True
    """

    columns: Mapping[str, ColumnStatistics]
    n_rows: int

    @classmethod
    def of(cls, table: pa.Table, schema: Schema, *, date_parts: DateParts = True) -> Self:
        """Count a table, or one part of a table that is too large for the memory.

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If the table does not fit the schema.
        """
        return cls.of_prepared(prepare(table, features_of(schema, date_parts)))

    @classmethod
    def of_prepared(cls, prepared: Prepared) -> Self:
        """Count columns that ``prepare`` has prepared."""
        categorical = in_parallel(
            ColumnStatistics.of_categories, prepared.categorical.values(), prepared.n_rows
        )
        continuous = in_parallel(
            ColumnStatistics.of_numbers, prepared.continuous.values(), prepared.n_rows
        )
        names = [*prepared.categorical, *prepared.continuous]
        columns = dict(zip(names, [*categorical, *continuous], strict=True))
        return cls(columns, prepared.n_rows)

    def __add__(self, other: "TableStatistics") -> Self:
        if self.columns.keys() != other.columns.keys():
            different = sorted(self.columns.keys() ^ other.columns.keys())
            raise DataError(f"these columns are in one of the statistics only: {different}")
        columns = {name: column + other.columns[name] for name, column in self.columns.items()}
        return type(self)(columns, self.n_rows + other.n_rows)

    def save(self, path: str | Path) -> None:
        """Write one Arrow IPC file, so that parts can be counted on several machines."""
        write_rows(
            Path(path),
            [
                {
                    "name": name,
                    "values": column.values,
                    "counts": column.counts,
                    "n_missing": column.n_missing,
                    "n_infinite": column.n_infinite,
                    "rounded": column.rounded,
                }
                for name, column in self.columns.items()
            ],
            {"n_rows": self.n_rows},
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        MissingFileError
            If there is no such file.
        ArtifactError
            If the file is damaged.
        """
        rows, header = read_rows(Path(path))
        try:
            columns = {
                row["name"]: ColumnStatistics(
                    row["values"],
                    np.asarray(row["counts"], np.int64),
                    row["n_missing"],
                    row["n_infinite"],
                    row["rounded"],
                )
                for row in rows
            }
            return cls(columns, header["n_rows"])
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{path} holds no statistics of tabtext: {error!r}") from error


Counted = tuple[NDArray[np.float64], NDArray[np.int64]]


def _count_whole_numbers(column: NDArray[np.floating[Any]], low: int, high: int) -> Counted:
    """Distinct values and counts of whole numbers between ``low`` and ``high``."""
    from tabtext.tabular.kernels.encoding import count_indices

    counts = np.zeros((4, high - low + 1), np.int64)
    count_indices(column, low, counts)
    summed = counts.sum(axis=0)
    occurring = np.flatnonzero(summed)
    return (occurring + low).astype(np.float64), summed[occurring]


def _run_lengths(ascending: NDArray[Any]) -> Counted:
    """Distinct values and counts of sorted values."""
    return _sum_runs(ascending, None)


def _sum_runs(ascending: NDArray[Any], counts: NDArray[np.int64] | None) -> Counted:
    """Distinct values of sorted ones, with their counts summed (1 each when None)."""
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    if not len(ascending):
        return ascending, np.zeros(0, np.int64)
    if counts is None:
        return ascending[starts], np.diff(np.append(starts, len(ascending)))
    return ascending[starts], np.add.reduceat(counts, starts)


def _sorted_counts(
    values: pa.Array, counts: NDArray[np.int64]
) -> tuple[pa.Array, NDArray[np.int64]]:
    """Bring values with counts into ascending order; drop nulls and values that do not occur."""
    keep = (counts > 0) & ~np.asarray(values.is_null())
    if not keep.all():
        values, counts = values.filter(pa.array(keep)), counts[keep]
    order = np.asarray(pc.sort_indices(values))
    values, counts = values.take(pa.array(order)), counts[order]
    if len(values) < 2:
        return values, counts
    new = np.asarray(pc.not_equal(values[1:], values[:-1]).cast(pa.uint8())).astype(bool)
    if new.all():
        return values, counts
    starts = np.flatnonzero(np.concatenate([[True], new]))
    return values.take(pa.array(starts)), np.add.reduceat(counts, starts)


def _whole_if_possible(values: pa.Array) -> pa.Array:
    """Floats that are all whole as int64: gaps alone turn pandas' whole numbers into floats."""
    if not len(values):
        return pa.array([], pa.string())
    if not pa.types.is_float64(values.type):
        return values
    whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**53))
    return values.cast(pa.int64()) if pc.all(whole).as_py() else values


def _same_type(first: pa.Array, second: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Two arrays of values in one type; whole numbers become floats beside floats."""
    if first.type == second.type:
        return first, second
    if not len(first):
        return pa.array([], second.type), second
    if not len(second):
        return first, pa.array([], first.type)
    if {first.type, second.type} == {pa.int64(), pa.float64()}:
        return first.cast(pa.float64()), second.cast(pa.float64())
    raise ColumnTypeError(
        f"one part of a column holds {first.type}, such as {first[0].as_py()!r}, another "
        f"{second.type}, such as {second[0].as_py()!r}; read them as one type"
    )
