"""Rules that say which training rows are outliers.

Each rule is a frozen dataclass that turns an Arrow table into a mask of rows to remove, and itself
into a dictionary for JSON. `tabtext.tabular.outliers` has the short names that make them, and
applies them one after the other.

A rule removes a row only if the row's values say so. A missing value says nothing: a condition
that is unknown keeps the row, and a missing or infinite number is within all bounds. (Rows without
a target are dropped, and counted, where the target is encoded; not here.)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabtext.errors import ParameterError, did_you_mean
from tabtext.tabular.dates import parts_of
from tabtext.tabular.expressions import Expression
from tabtext.tabular.grouping import group_codes, integers_of_dates, names_of, numbers_of

__all__ = ["AroundEvent", "InterquartileRange", "MedianDeviation", "Predicate", "Quantile", "Rule"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# The standard deviation of normal values is 1.4826 times their median absolute deviation.
_DEVIATIONS_PER_MAD = 1.4826


@dataclass(frozen=True)
class Values:
    """The numbers of each group, sorted.

    Parameters
    ----------
    numbers : ndarray of float64, shape (rows,)
        Sorted by group and value, without NaN.
    groups : ndarray of int64, shape (rows,)
        The group of each number.
    starts, counts : ndarray of int64, shape (groups,)
        Where each group starts, and how many numbers it has.
    """

    numbers: Floats
    groups: Integers
    starts: Integers
    counts: Integers

    @classmethod
    def of(cls, numbers: Floats, groups: Integers, n_groups: int) -> "Values":
        """Return the sorted numbers of each group."""
        order = np.lexsort((numbers, groups)) if n_groups > 1 else np.argsort(numbers)
        counts = np.bincount(groups, minlength=n_groups)
        starts = np.cumsum(counts) - counts
        return cls(numbers[order].astype(np.float64), groups[order], starts, counts)

    def quantile(self, share: float, choose: Callable[[Floats], Floats] | None = None) -> Floats:
        """Return a quantile of each group, NaN for groups without numbers.

        Between two numbers it is interpolated, or ``choose`` (`numpy.floor`, `numpy.ceil`) picks
        one of them.
        """
        result = np.full(len(self.counts), np.nan)
        some = self.counts > 0
        if not some.any():
            return result
        starts, last = self.starts[some], self.counts[some] - 1
        exact = np.asarray(share * last, np.float64)
        place = exact if choose is None else choose(exact)
        below = np.floor(place).astype(np.int64)
        lower = self.numbers[starts + below]
        upper = self.numbers[starts + np.minimum(below + 1, last)]
        # In this form the quantile of equal numbers is exactly that number.
        result[some] = lower + (upper - lower) * (place - below)
        return result

    def distances_from(self, centres: Floats) -> "Values":
        """Return the distances of the numbers from a centre per group, sorted in turn."""
        distances = np.abs(self.numbers - centres[self.groups])
        return Values.of(distances, self.groups, len(self.counts))


@dataclass(frozen=True)
class Rule(ABC):
    """What all rules can do."""

    kind: ClassVar[str]

    @abstractmethod
    def removes(self, table: pa.Table, kept: Mask) -> Mask:
        """Return which rows of the table to remove.

        Parameters
        ----------
        table : pyarrow.Table
            All rows.
        kept : ndarray of bool, shape (rows,)
            The rows that earlier rules kept. Bounds are computed from these alone.
        """

    @abstractmethod
    def __str__(self) -> str: ...

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as values that JSON can hold; `Rule.from_dict` is the way back."""
        values = asdict(self)
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        return {"rule": self.kind, **values}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Rule":
        """Return the rule that `to_dict` described.

        Raises
        ------
        ParameterError
            If the values describe no rule.
        """
        arguments = dict(values)
        kind = arguments.pop("rule", None)
        if kind not in _RULES:
            hint = did_you_mean(str(kind), _RULES)
            raise ParameterError(f"{kind!r} is no rule{hint}. Use one of: {', '.join(_RULES)}.")
        if "by" in arguments:
            arguments["by"] = tuple(names_of(arguments["by"]))
        try:
            return _RULES[kind](**arguments)
        except TypeError as error:
            raise ParameterError(f"{dict(values)} does not describe a rule: {error}.") from error


@dataclass(frozen=True)
class Predicate(Rule):
    """Keep rows where a condition holds or is unknown; see `tabtext.tabular.outliers.predicate`."""

    kind: ClassVar[str] = "predicate"
    condition: str

    def __post_init__(self) -> None:
        Expression(self.condition)  # raises where the condition is outside the grammar

    def removes(self, table: pa.Table, kept: Mask) -> Mask:  # noqa: ARG002 - looks at no bounds
        """Return the rows where the condition is known to be false."""
        holds = Expression(self.condition).evaluate(table)
        return ~np.asarray(holds.fill_null(True), np.bool_)

    def __str__(self) -> str:
        return f"keep where {self.condition}"


@dataclass(frozen=True)
class Quantile(Rule):
    """Keep numbers between two quantiles; see `tabtext.tabular.outliers.quantile`."""

    kind: ClassVar[str] = "quantile"
    column: str
    low: float = 0.0
    high: float = 1.0
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ParameterError(
                f"{self.low=}, {self.high=}, however quantiles are shares: 0 <= low < high <= 1."
            )

    def removes(self, table: pa.Table, kept: Mask) -> Mask:
        """Return the rows beyond the two quantiles."""
        return _outside(table, kept, self.column, self.by, self._bounds)

    def _bounds(self, values: Values) -> tuple[Floats, Floats]:
        # The neighbour on the outer side, not an interpolated value: otherwise the extremes of
        # every small group would be removed, however small the share.
        return values.quantile(self.low, np.floor), values.quantile(self.high, np.ceil)

    def __str__(self) -> str:
        return f"{self.column} within quantiles {self.low:g} and {self.high:g}{_per(self.by)}"


@dataclass(frozen=True)
class InterquartileRange(Rule):
    """Keep numbers near the quartiles; see `tabtext.tabular.outliers.iqr`."""

    kind: ClassVar[str] = "iqr"
    column: str
    factor: float = 1.5
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_factor(self.factor)

    def removes(self, table: pa.Table, kept: Mask) -> Mask:
        """Return the rows too far below the first or above the third quartile."""
        return _outside(table, kept, self.column, self.by, self._bounds)

    def _bounds(self, values: Values) -> tuple[Floats, Floats]:
        first, third = values.quantile(0.25), values.quantile(0.75)
        reach = self.factor * _or_infinite(third - first)
        return first - reach, third + reach

    def __str__(self) -> str:
        return f"{self.column} within {self.factor:g} IQR of its quartiles{_per(self.by)}"


@dataclass(frozen=True)
class MedianDeviation(Rule):
    """Keep numbers near the median; see `tabtext.tabular.outliers.mad`."""

    kind: ClassVar[str] = "mad"
    column: str
    factor: float = 3.5
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_factor(self.factor)

    def removes(self, table: pa.Table, kept: Mask) -> Mask:
        """Return the rows too far from the median."""
        return _outside(table, kept, self.column, self.by, self._bounds)

    def _bounds(self, values: Values) -> tuple[Floats, Floats]:
        median = values.quantile(0.5)
        deviation = values.distances_from(median).quantile(0.5)
        reach = self.factor * _DEVIATIONS_PER_MAD * _or_infinite(deviation)
        return median - reach, median + reach

    def __str__(self) -> str:
        return f"{self.column} within {self.factor:g} MAD of its median{_per(self.by)}"


@dataclass(frozen=True)
class AroundEvent(Rule):
    """Remove the rows next to a long event; see `tabtext.tabular.outliers.around`."""

    kind: ClassVar[str] = "around"
    event: str
    by: tuple[str, ...] = ()
    min_length: int = 5
    before: int = 1
    after: int = 1
    date: str | None = None

    def __post_init__(self) -> None:
        Expression(self.event)  # raises where the event is outside the grammar
        if self.min_length < 1 or self.before < 0 or self.after < 0:
            raise ParameterError(
                f"{self.min_length=}, {self.before=}, {self.after=}, however an event has at "
                f"least 1 row, and the rows before and after it are at least 0."
            )

    def removes(self, table: pa.Table, kept: Mask) -> Mask:  # noqa: ARG002 - events are all seen
        """Return the rows just before and just after the long events."""
        from tabtext.tabular.kernels.events import mark_around

        groups, _ = group_codes(table, self.by)
        instants = self._instants(table)
        placed = np.flatnonzero(instants.is_valid().to_numpy() & (groups >= 0))
        ticks = instants.fill_null(0).to_numpy()
        order = placed[np.lexsort((ticks[placed], groups[placed]))]
        happens = Expression(self.event).evaluate(table).fill_null(False).to_numpy()
        removed = np.zeros(table.num_rows, np.bool_)
        lengths = (self.min_length, self.before, self.after)
        mark_around(order, groups, happens, *lengths, removed)
        return removed

    def _instants(self, table: pa.Table) -> pa.ChunkedArray:
        """Return what orders the rows of a group: the date as an integer."""
        dates = [name for name in table.column_names if parts_of(table.schema.field(name).type)]
        if self.date is None and not dates:
            return pa.chunked_array([np.arange(table.num_rows)])
        if self.date is None and len(dates) > 1:
            raise ParameterError(
                f"rule '{self}': the table has several date columns ({', '.join(dates)}). Say "
                f"which one orders the rows, for example date={dates[0]!r}."
            )
        return integers_of_dates(table, self.date or dates[0])

    def __str__(self) -> str:
        ends = f"{self.before} before and {self.after} after"
        return f"rows {ends} {self.min_length} or more with {self.event}{_per(self.by)}"


_RULES: dict[str, type[Rule]] = {
    rule.kind: rule
    for rule in (Predicate, Quantile, InterquartileRange, MedianDeviation, AroundEvent)
}


def _outside(
    table: pa.Table,
    kept: Mask,
    column: str,
    by: Sequence[str],
    bounds: Callable[[Values], tuple[Floats, Floats]],
) -> Mask:
    """Return the rows whose number is outside the bounds of its group."""
    numbers = numbers_of(table, column)
    groups, n_groups = group_codes(table, by)
    known = np.isfinite(numbers) & (groups >= 0)
    sample = known & kept
    low, high = bounds(Values.of(numbers[sample], groups[sample], n_groups))
    outside = np.zeros(len(numbers), np.bool_)
    groups, numbers = groups[known], numbers[known]
    # Groups of which nothing was kept have NaN as bounds, and nothing is beyond NaN.
    outside[known] = (numbers < low[groups]) | (numbers > high[groups])
    return outside


def _or_infinite(spread: Floats) -> Floats:
    """Return the spread, infinite where it is 0: equal values give no scale to judge others by."""
    return np.where(spread == 0, np.inf, spread)


def _check_factor(factor: float) -> None:
    if not factor > 0:
        raise ParameterError(f"{factor=}, however a factor is greater than 0.")


def _per(by: Sequence[str]) -> str:
    return f" per {', '.join(by)}" if by else ""
