"""Pruning: which rows of a training table are outliers, by which rule, and how many.

Rules and an Arrow table go in; the mask of the rows to keep and a report for the model card come
out. Pruning is for training rows only: a model has to answer for every row it is asked about.

A rule is what `predicate`, `quantile`, `iqr`, `mad` and `around` return; a condition as text, such
as ``"Sales > 0"``, is short for ``predicate("Sales > 0")``. Rules are applied in their order. The
bounds of `quantile`, `iqr` and `mad` come from the rows that the rules before them kept, so that
closed shops do not shift the quartiles of sales; the events of `around` are looked for among all
rows, so that a rule before it that removes them does not hide them.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabtext.errors import DataError, ParameterError, TabTextWarning
from tabtext.tabular.grouping import names_of
from tabtext.tabular.outlier_rules import (
    AroundEvent,
    InterquartileRange,
    MedianDeviation,
    Predicate,
    Quantile,
    Rule,
)

__all__ = [
    "PruningReport",
    "Rule",
    "RuleOutcome",
    "around",
    "iqr",
    "mad",
    "parse_rule",
    "predicate",
    "prune",
    "quantile",
]

AnyRule = Rule | str | Mapping[str, Any]
"""What `parse_rule` turns into a rule."""


def predicate(condition: str) -> Predicate:
    """Keep the rows where a condition holds.

    Parameters
    ----------
    condition : str
        Such as ``"Sales > 0 and Open == 1"``; the grammar is in `tabtext.tabular.expressions`.
        Rows for which the answer is unknown because a value is missing are kept; add
        ``"and Sales is not None"`` to remove them too.

    Examples
    --------
    >>> import pyarrow as pa
    >>> mask, _ = prune(pa.table({"Sales": [0, 5, None]}), [predicate("Sales > 0")], max_share=1)
    >>> mask.tolist()
    [False, True, True]
    """
    return Predicate(condition)


def quantile(
    column: str, low: float = 0.0, high: float = 1.0, *, by: str | Sequence[str] | None = None
) -> Quantile:
    """Keep the rows whose number lies between two quantiles of the column.

    Parameters
    ----------
    column : str
        A column of numbers. Missing and infinite values are kept.
    low, high : float, default 0 and 1
        Shares of the rows, in [0, 1]. At most the share ``low`` is removed at the lower end, and
        at most ``1 - high`` at the upper end; the defaults remove nothing at their end.
    by : str or sequence of str, optional
        Columns whose values together make a group with quantiles of its own.

    Examples
    --------
    >>> import pyarrow as pa
    >>> delays = pa.table({"delay": [3, 1, 2, 900]})
    >>> prune(delays, [quantile("delay", high=0.6)], max_share=1)[0].tolist()
    [True, True, True, False]
    """
    return Quantile(column, low, high, tuple(names_of(by)))


def iqr(
    column: str, factor: float = 1.5, *, by: str | Sequence[str] | None = None
) -> InterquartileRange:
    """Keep the rows whose number is at most ``factor`` interquartile ranges beyond a quartile.

    Parameters
    ----------
    column : str
        A column of numbers. Missing and infinite values are kept.
    factor : float, default 1.5
        Tukey's choice, which removes 0.7 % of normally distributed values. A group whose
        quartiles are equal gives no scale, and keeps all its rows.
    by : str or sequence of str, optional
        Columns whose values together make a group with quartiles of its own.

    References
    ----------
    J. W. Tukey, "Exploratory Data Analysis", 1977.

    Examples
    --------
    >>> import pyarrow as pa
    >>> prune(pa.table({"delay": [3, 1, 2, 900]}), [iqr("delay")], max_share=1)[0].tolist()
    [True, True, True, False]
    """
    return InterquartileRange(column, factor, tuple(names_of(by)))


def mad(
    column: str, factor: float = 3.5, *, by: str | Sequence[str] | None = None
) -> MedianDeviation:
    """Keep the rows whose number is near the median, measured in median absolute deviations.

    Parameters
    ----------
    column : str
        A column of numbers. Missing and infinite values are kept.
    factor : float, default 3.5
        Number of deviations, each scaled by 1.4826 so that it equals the standard deviation where
        values are normally distributed; the default is Iglewicz and Hoaglin's. A group in which
        more than half of the values are equal gives no scale, and keeps all its rows.
    by : str or sequence of str, optional
        Columns whose values together make a group with a median of its own.

    References
    ----------
    B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers", 1993.

    Examples
    --------
    >>> import pyarrow as pa
    >>> prune(pa.table({"delay": [3, 1, 2, 900]}), [mad("delay")], max_share=1)[0].tolist()
    [True, True, True, False]
    """
    return MedianDeviation(column, factor, tuple(names_of(by)))


def around(
    event: str,
    *,
    by: str | Sequence[str] | None = None,
    min_length: int = 5,
    before: int = 1,
    after: int = 1,
    date: str | None = None,
) -> AroundEvent:
    """Remove the rows just before and just after long events.

    The Rossmann case: a shop that closes for a week sells out on the day before and sells unlike
    itself on the day after, and no column says why.

    Parameters
    ----------
    event : str
        The condition that makes a row part of an event, such as ``"Open == 0"``. The event's rows
        are not removed by this rule; rows for which the answer is unknown are no event.
    by : str or sequence of str, optional
        Columns whose values together make a group, such as ``"Store"``.
    min_length : int, default 5
        How many rows of a group, one after the other by date, an event has at least: more than
        any weekend with holidays next to it. Days that are not in the table do not count.
    before, after : int, default 1
        How many rows of the group to remove on either side.
    date : str, optional
        The column that orders the rows of a group; ties keep the table's order. By default the
        table's only date column; without one, rows are taken to be in order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"Open": [1, 1, 0, 0, 1, 1, 0, 1]})
    >>> prune(table, [around("Open == 0", min_length=2)], max_share=1)[0].tolist()
    [True, False, True, True, False, True, True, True]
    """
    return AroundEvent(event, tuple(names_of(by)), min_length, before, after, date)


def parse_rule(rule: AnyRule) -> Rule:
    """Return a rule from a rule, from a condition as text, or from what ``to_dict`` returned.

    Examples
    --------
    >>> parse_rule("Sales > 0")
    Predicate(condition='Sales > 0')
    >>> parse_rule({"rule": "quantile", "column": "Sales", "high": 0.99}).high
    0.99
    """
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, str):
        return Predicate(rule)
    if isinstance(rule, Mapping):
        return Rule.from_dict(rule)
    raise ParameterError(
        f"{rule!r} is no rule. Pass a condition such as 'Sales > 0', or what predicate, quantile, "
        f"iqr, mad or around return."
    )


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule did.

    Parameters
    ----------
    rule : Rule
        The rule.
    removed : int
        Rows that this rule removed and no rule before it had.
    share : float
        That number as a share of all rows.
    """

    rule: Rule
    removed: int
    share: float


@dataclass(frozen=True)
class PruningReport:
    """Which rule removed how many of the training rows.

    Parameters
    ----------
    rows : int
        Rows before pruning.
    outcomes : tuple of RuleOutcome
        One per rule, in the order of their application.

    Examples
    --------
    >>> import pyarrow as pa
    >>> _, report = prune(pa.table({"Sales": [0, 5, 7, 8]}), ["Sales > 0"], max_share=0.5)
    >>> print(report)
    kept 3 of 4 rows
           1 (25.0 %) removed by: keep where Sales > 0
    >>> PruningReport.from_dict(report.to_dict()) == report
    True
    """

    rows: int
    outcomes: tuple[RuleOutcome, ...]

    @property
    def removed(self) -> int:
        """Rows that were removed by any rule."""
        return sum(outcome.removed for outcome in self.outcomes)

    @property
    def kept(self) -> int:
        """Rows that are left."""
        return self.rows - self.removed

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        rules = [
            {
                "description": str(outcome.rule),
                "removed": outcome.removed,
                "share": outcome.share,
                "rule": outcome.rule.to_dict(),
            }
            for outcome in self.outcomes
        ]
        return {"rows": self.rows, "kept": self.kept, "rules": rules}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PruningReport":
        """Return the report that `to_dict` described."""
        outcomes = (
            RuleOutcome(Rule.from_dict(each["rule"]), each["removed"], each["share"])
            for each in values["rules"]
        )
        return cls(values["rows"], tuple(outcomes))

    def __str__(self) -> str:
        lines = [f"kept {self.kept:,} of {self.rows:,} rows"]
        for outcome in self.outcomes:
            count = f"{outcome.removed:>8,} ({outcome.share:.1%})".replace("%", " %")
            lines.append(f"{count} removed by: {outcome.rule}")
        return "\n".join(lines)


def prune(
    table: pa.Table,
    rules: AnyRule | Sequence[AnyRule],
    *,
    max_share: float = 0.10,
) -> tuple[npt.NDArray[np.bool_], PruningReport]:
    """Return which rows of a training table to keep, and which rule removed how many.

    Parameters
    ----------
    table : pyarrow.Table
        The training rows.
    rules : sequence of Rule, str or mapping
        The rules, in their order; see `parse_rule`. One rule may stand alone.
    max_share : float, default 0.10
        A rule that removes more than this share of all rows is suspicious, and warns.

    Returns
    -------
    kept : ndarray of bool, shape (rows,)
        True for the rows to keep.
    report : PruningReport
        For the model card.

    Raises
    ------
    DataError
        If no row is left.
    UnknownColumnError, ColumnTypeError
        If a rule names a column that is not there or has another type.

    Warns
    -----
    TabTextWarning
        For each rule that removes more than ``max_share`` of the rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"Sales": [0, 5, 6, 7, 8, 9999], "Open": [0, 1, 1, 1, 1, 1]})
    >>> kept, report = prune(table, ["Sales > 0", mad("Sales")], max_share=0.2)
    >>> kept.tolist()
    [False, True, True, True, True, False]
    >>> [outcome.removed for outcome in report.outcomes]
    [1, 1]
    """
    if isinstance(rules, Rule | str | Mapping):
        rules = [rules]
    rows = table.num_rows
    kept = np.ones(rows, np.bool_)
    outcomes: list[RuleOutcome] = []
    for rule in map(parse_rule, rules):
        removed = rule.removes(table, kept) & kept
        kept &= ~removed
        count = int(removed.sum())
        outcomes.append(RuleOutcome(rule, count, count / max(rows, 1)))
        if outcomes[-1].share > max_share:
            warnings.warn(
                f"the rule '{rule}' removes {count:,} of {rows:,} rows ({count / rows:.1%}), more "
                f"than {max_share:.0%}. Check the rule, or raise max_share if that is meant.",
                TabTextWarning,
                stacklevel=2,
            )
    report = PruningReport(rows, tuple(outcomes))
    if rows and not kept.any():
        raise DataError(f"the rules leave no row to train on:\n{report}\nLoosen the rules.")
    return kept, report
