"""Pruning: what each rule removes, what it leaves alone, and what the report says."""

import datetime
import json
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    ParameterError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.tabular.outliers import (
    PruningReport,
    Rule,
    around,
    iqr,
    mad,
    parse_rule,
    predicate,
    prune,
    quantile,
)

RULES = [
    predicate("Sales > 0"),
    quantile("Sales", 0.01, 0.99, by=["Store", "State"]),
    quantile("Sales", high=0.9),
    iqr("Sales", 3.0, by="Store"),
    mad("Sales"),
    around("Open == 0", by="Store", min_length=3, before=2, after=0, date="Date"),
]


def kept(table: pa.Table, *rules: Rule | str) -> list[bool]:
    """Return the mask of the rows to keep, without a word about large shares."""
    return prune(table, rules, max_share=1)[0].tolist()


def removed_values(values: list, rule: Rule) -> list:
    table = pa.table({"x": values})
    mask = prune(table, rule, max_share=1)[0]
    return [value for value, keep in zip(values, mask, strict=True) if not keep]


def test_a_predicate_keeps_the_rows_where_it_holds() -> None:
    table = pa.table({"Sales": [0, 5, -1, 7], "Open": [1, 1, 1, 0]})

    assert kept(table, predicate("Sales > 0 and Open == 1")) == [False, True, False, False]


def test_text_is_short_for_a_predicate() -> None:
    table = pa.table({"Sales": [0, 5]})

    assert kept(table, "Sales > 0") == kept(table, predicate("Sales > 0")) == [False, True]


def test_a_predicate_keeps_rows_that_a_missing_value_leaves_unknown() -> None:
    table = pa.table({"Sales": [0.0, None, float("nan"), 2.0]})

    assert kept(table, "Sales > 0") == [False, True, True, True]
    assert kept(table, "Sales > 0 and Sales is not None") == [False, False, False, True]


def test_quantiles_remove_both_ends() -> None:
    values = list(range(101))

    assert removed_values(values, quantile("x", 0.02, 0.97)) == [0, 1, 98, 99, 100]


def test_quantiles_of_small_groups_do_not_remove_their_extremes() -> None:
    table = pa.table({"x": [1, 2, 9, 5], "g": ["a", "a", "a", "b"]})

    assert kept(table, quantile("x", 0.1, 0.9, by="g")) == [True] * 4


numbers = st.lists(st.none() | st.integers(-50, 50), min_size=1, max_size=60)


@given(
    numbers, st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.4]), st.sampled_from([1.0, 0.99, 0.75, 0.6])
)
def test_quantiles_never_remove_more_than_the_share(
    values: list[int | None], low: float, high: float
) -> None:
    removed = removed_values(values, quantile("x", low, high))

    known = [value for value in values if value is not None]
    assert None not in removed
    if removed:
        middle = np.median(known)
        assert sum(value < middle for value in removed) <= low * len(known) + 1e-9
        assert sum(value > middle for value in removed) <= (1 - high) * len(known) + 1e-9


@given(numbers, st.sampled_from([0.5, 1.5, 3.0]))
def test_iqr_equals_pandas(values: list[int | None], factor: float) -> None:
    removed = removed_values(values, iqr("x", factor))

    known = pd.Series([value for value in values if value is not None], dtype="float64")
    first, third = known.quantile(0.25), known.quantile(0.75)
    reach = factor * (third - first)
    outside = (known < first - reach) | (known > third + reach)
    assert removed == (known[outside].tolist() if third > first else [])


@given(numbers, st.sampled_from([1.0, 3.5]))
def test_mad_equals_pandas(values: list[int | None], factor: float) -> None:
    removed = removed_values(values, mad("x", factor))

    known = pd.Series([value for value in values if value is not None], dtype="float64")
    distance = (known - known.median()).abs()
    deviation = distance.median()
    outside = distance > factor * 1.4826 * deviation
    assert removed == (known[outside].tolist() if deviation > 0 else [])


@pytest.mark.parametrize(
    "rule",
    [
        lambda by: quantile("x", 0.1, 0.9, by=by),
        lambda by: iqr("x", by=by),
        lambda by: mad("x", by=by),
    ],
)
@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from("abc"), st.none() | st.integers(-30, 30)),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=30)
def test_per_group_is_the_same_as_each_group_alone(
    rule: Callable[[str | None], Rule], rows: list[tuple]
) -> None:
    table = pa.table(
        {
            "g": pa.array([g for g, _ in rows], pa.string()),
            "x": pa.array([x for _, x in rows], pa.int64()),
        }
    )

    together = np.array(kept(table, rule("g")))

    group = np.array([g for g, _ in rows], dtype=object)
    for name in set(group) - {None}:
        alone = kept(table.filter(pa.array(group == name)), rule(None))
        assert together[group == name].tolist() == alone
    # Nobody knows what a row without a group should be compared with.
    assert together[group == np.array(None)].all()


@pytest.mark.parametrize("rule", [quantile("x", 0.2, 0.8), iqr("x"), mad("x")], ids=str)
def test_missing_and_infinite_values_are_never_removed(rule: Rule) -> None:
    odd = [None, float("nan"), float("inf"), float("-inf")]
    values = [*odd, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 900.0]

    assert removed_values(values, rule)[-1] == 900.0
    assert kept(pa.table({"x": values}), rule)[:4] == [True] * 4


@pytest.mark.parametrize("rule", [iqr("x"), mad("x")], ids=str)
def test_equal_values_give_no_scale_to_remove_others_by(rule: Rule) -> None:
    assert removed_values([5] * 20 + [6], rule) == []


def test_bounds_come_from_the_rows_that_earlier_rules_kept() -> None:
    table = pa.table({"Sales": [0] * 50 + [100, 101, 102, 103, 104, 400]})

    assert kept(table, "Sales > 0", iqr("Sales"))[-6:] == [True] * 5 + [False]
    assert kept(table, iqr("Sales"))[-6:] == [True] * 6  # mostly closed shops: no scale at all


def shop(
    store: int, opened: str, first_day: datetime.date = datetime.date(2015, 7, 1)
) -> pd.DataFrame:
    """Return the days of a shop; a digit per day, 1 where it is open."""
    dates = pd.date_range(first_day, periods=len(opened))
    return pd.DataFrame({"Store": store, "Date": dates, "Open": [int(digit) for digit in opened]})


def removed_days(frame: pd.DataFrame, rule: Rule) -> list[tuple[int, int]]:
    """Return (store, day of the month) of each removed row, sorted."""
    mask = prune(pa.Table.from_pandas(frame, preserve_index=False), rule, max_share=1)[0]
    gone = frame[~mask]
    return sorted(zip(gone["Store"].tolist(), gone["Date"].dt.day.tolist(), strict=True))


def test_around_removes_the_open_days_beside_a_long_closed_period() -> None:
    #                              day 1   5   10
    frame = pd.concat([shop(1, "1111000001111"), shop(2, "1110111000011")])
    rule = around("Open == 0", by="Store", min_length=5, before=1, after=1)

    # Shop 1 is closed for five days, 5 to 9; shop 2 for one and for four, which is too short.
    assert removed_days(frame, rule) == [(1, 4), (1, 10)]


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        (0, 0, []),
        (2, 0, [3, 4]),
        (0, 2, [8, 9]),
        (1, 3, [4, 8, 9, 10]),
        (99, 99, [1, 2, 3, 4, 8, 9, 10]),
    ],
)
def test_around_removes_as_many_days_on_either_side_as_asked(
    before: int, after: int, days: list[int]
) -> None:
    rule = around("Open == 0", by="Store", min_length=3, before=before, after=after)

    assert removed_days(shop(1, "1111000111"), rule) == [(1, day) for day in days]


def test_around_never_removes_the_event_itself() -> None:
    rule = around("Open == 0", by="Store", min_length=3, before=3, after=3)

    # Two long closed periods with one open day between, and a short one within reach.
    assert removed_days(shop(1, "10100010001"), rule) == [(1, 1), (1, 3), (1, 7), (1, 11)]


def test_around_does_not_reach_into_another_group() -> None:
    frame = pd.concat([shop(1, "1100000"), shop(2, "0000011")])
    rule = around("Open == 0", by="Store", min_length=5)

    assert removed_days(frame, rule) == [(1, 2), (2, 6)]


def test_a_run_of_events_ends_with_its_group() -> None:
    frame = pd.concat([shop(1, "11000"), shop(2, "00011")])
    rule = around("Open == 0", by="Store", min_length=5)

    assert removed_days(frame, rule) == []


@given(st.permutations(range(13)))
@settings(max_examples=20)
def test_around_finds_neighbours_by_date_in_any_order_of_the_rows(order: list[int]) -> None:
    frame = shop(1, "1111000001111").iloc[order]

    assert removed_days(frame, around("Open == 0", by="Store")) == [(1, 4), (1, 10)]


def test_around_without_a_date_takes_the_rows_as_they_come() -> None:
    table = pa.table({"Open": [1, 1, 0, 0, 1, 1]})

    assert kept(table, around("Open == 0", min_length=2)) == [True, False, True, True, False, True]


def test_around_asks_which_of_two_dates_orders_the_rows() -> None:
    table = pa.Table.from_pandas(shop(1, "100000").assign(Delivered=pd.Timestamp("2015-01-01")))

    with pytest.raises(ParameterError, match=r"several date columns .*date='Date'"):
        kept(table, around("Open == 0", by="Store"))
    assert kept(table, around("Open == 0", by="Store", date="Date")) == [False] + [True] * 5


def test_around_counts_hours_of_one_day_in_their_order() -> None:
    hours = pd.to_datetime([f"2015-07-01 {hour}:00" for hour in (4, 1, 3, 2)])
    table = pa.table({"when": pa.array(hours), "down": [1, 0, 1, 0]})

    assert kept(table, around("down == 1", min_length=2)) == [True, True, True, False]


def test_rows_without_a_date_or_a_group_are_nobody_s_neighbours() -> None:
    frame = shop(1, "11000001").astype({"Store": "Int64"})
    frame.loc[1, "Store"] = pd.NA
    frame.loc[7, "Date"] = pd.NaT

    mask = kept(pa.Table.from_pandas(frame), around("Open == 0", by="Store"))

    assert mask == [False] + [True] * 7


def test_an_earlier_rule_does_not_hide_the_events_of_around() -> None:
    table = pa.table({"Open": [1, 0, 0, 0, 0, 0, 1, 1]})

    mask = kept(table, "Open == 1", around("Open == 0"))

    assert mask == [False] * 7 + [True]


def test_each_row_is_counted_for_the_first_rule_that_removes_it() -> None:
    table = pa.table({"a": [0, 1, 2, 3], "b": [0, 0, 0, 9]})

    _, report = prune(table, ["a > 0", "b > 0", "a < 9"], max_share=1)

    assert [(outcome.removed, outcome.share) for outcome in report.outcomes] == [
        (1, 0.25),
        (2, 0.5),
        (0, 0.0),
    ]
    assert (report.rows, report.removed, report.kept) == (4, 3, 1)


def test_a_rule_that_removes_more_than_the_share_warns() -> None:
    table = pa.table({"Sales": [0] * 11 + [1] * 89})

    with pytest.warns(
        TabTextWarning, match=r"'keep where Sales > 0' removes 11 of 100 rows \(11.0%\)"
    ):
        prune(table, "Sales > 0")


def test_a_rule_within_the_share_does_not_warn() -> None:
    table = pa.table({"Sales": [0] * 10 + [1] * 90})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prune(table, "Sales > 0")
        prune(pa.table({"Sales": [0, 1]}), "Sales > 0", max_share=0.5)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_survives_json(rule: Rule) -> None:
    assert parse_rule(json.loads(json.dumps(rule.to_dict()))) == rule


def test_a_report_survives_json() -> None:
    frame = pd.concat([shop(store, "1100000110111") for store in range(3)])
    table = pa.Table.from_pandas(frame.assign(Sales=range(39), State="HE"), preserve_index=False)
    _, report = prune(table, RULES, max_share=1)

    again = PruningReport.from_dict(json.loads(json.dumps(report.to_dict())))

    assert again == report
    assert str(again) == str(report)


def test_a_report_names_every_rule_with_its_count() -> None:
    _, report = prune(pa.table({"x": [*range(19), 900]}), ["x >= 0", mad("x")])

    assert str(report).split("\n") == [
        "kept 19 of 20 rows",
        "       0 (0.0 %) removed by: keep where x >= 0",
        "       1 (5.0 %) removed by: x within 3.5 MAD of its median",
    ]


def test_a_rule_may_be_a_mapping_alone_or_in_a_list() -> None:
    table = pa.table({"x": [0, 1], "g": ["a", "b"]})
    rule = {"rule": "predicate", "condition": "x > 0"}

    assert prune(table, rule, max_share=1)[0].tolist() == [False, True]
    assert prune(table, [rule], max_share=1)[0].tolist() == [False, True]


def test_a_mapping_may_name_its_group_as_one_text() -> None:
    rule = parse_rule({"rule": "iqr", "column": "Sales", "by": "Store"})

    assert rule == iqr("Sales", by="Store")


def test_rules_that_leave_no_row_are_an_error_with_the_report() -> None:
    with pytest.raises(DataError, match=r"no row to train on:(.|\n)*2 \(100.0 %\).*Sales > 9"):
        prune(pa.table({"Sales": [0, 5]}), "Sales > 9", max_share=1)


def test_no_rules_keep_everything() -> None:
    mask, report = prune(pa.table({"Sales": [0, 5]}), [])

    assert mask.tolist() == [True, True]
    assert report == PruningReport(2, ())


def test_a_table_without_rows_has_nothing_to_remove() -> None:
    table = pa.table(
        {
            "Store": [1],
            "Sales": [1],
            "Open": [1],
            "State": ["HE"],
            "Date": [datetime.date(2015, 7, 1)],
        }
    )

    mask, report = prune(table.slice(0, 0), RULES)

    assert mask.tolist() == []
    assert report.removed == 0


def test_the_mask_is_a_new_array_of_booleans() -> None:
    table = pa.table({"Sales": [0, 5]})

    first, second = (prune(table, "Sales > 0", max_share=1)[0] for _ in range(2))

    assert first.dtype == np.bool_
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize(
    "rule",
    [predicate("Sals > 0"), quantile("Sals", 0.1), iqr("Sals"), mad("Sals"), around("Sals == 0")],
    ids=str,
)
def test_an_unknown_column_is_named_with_the_likely_one(rule: Rule) -> None:
    with pytest.raises(UnknownColumnError, match=r"'Sals' is not in the table.*'Sales'"):
        prune(pa.table({"Sales": [1]}), rule)


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(UnknownColumnError, match="'Stroe'"):
        prune(pa.table({"Sales": [1], "Store": [1]}), iqr("Sales", by="Stroe"))


@pytest.mark.parametrize("rule", [quantile("kind", 0.1), iqr("kind"), mad("kind")], ids=str)
def test_text_has_no_quantiles(rule: Rule) -> None:
    with pytest.raises(ColumnTypeError, match="'kind' holds string, but numbers are needed"):
        prune(pa.table({"kind": ["a"]}), rule)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: predicate("import os"), "A condition may use"),
        (lambda: around("Open =="), "A condition may use"),
        (lambda: quantile("x", 0.9, 0.1), "0 <= low < high <= 1"),
        (lambda: quantile("x", high=99), "0 <= low < high <= 1"),
        (lambda: iqr("x", 0), "factor"),
        (lambda: mad("x", float("nan")), "factor"),
        (lambda: around("Open == 0", min_length=0), "min_length=0"),
        (lambda: around("Open == 0", before=-1), "before=-1"),
        (lambda: parse_rule(3), "3 is no rule"),
        (lambda: parse_rule({"rule": "quantil"}), "did you mean 'quantile'"),
        (lambda: parse_rule({"column": "x"}), "None is no rule"),
        (lambda: parse_rule({"rule": "iqr", "colunm": "x"}), "does not describe a rule"),
        (
            lambda: parse_rule({"rule": "iqr", "column": "x", "factor": "a"}),
            "does not describe a rule",
        ),
    ],
)
def test_a_rule_is_checked_when_it_is_made(make: Callable[[], Rule], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()
