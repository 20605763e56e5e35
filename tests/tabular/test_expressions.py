"""Conditions as text: what they mean, and what they refuse."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ColumnTypeError, ParameterError, UnknownColumnError
from tabtext.tabular.expressions import Expression


def table() -> pa.Table:
    days = [datetime.date(2015, 7, 31), datetime.date(2015, 6, 18), None]
    return pa.table(
        {
            "n": [0, 5, None],
            "x": [1.5, float("nan"), -2.0],
            "small": pa.array([200, 3, None], pa.uint8()),
            "open": [True, False, None],
            "kind": ["a", "b", None],
            "state": pa.array(["HE", None, "BY"]).dictionary_encode(),
            "day": days,
            "Open Today": [1, 0, 1],
        }
    )


def holds(condition: str, data: pa.Table | None = None) -> list[bool | None]:
    return Expression(condition).evaluate(table() if data is None else data).to_pylist()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("n < 5", [True, False, None]),
        ("n <= 5", [True, True, None]),
        ("n > 0", [False, True, None]),
        ("n >= 0", [True, True, None]),
        ("n == 5", [False, True, None]),
        ("n != 5", [True, False, None]),
        ("x > 0", [True, None, False]),
        ("0 < n", [False, True, None]),
        ("-1 < n < 5", [True, False, None]),
        ("1 < 2 < n", [False, True, None]),
        ("n + 1 == 6", [False, True, None]),
        ("n - 1 == 4", [False, True, None]),
        ("n * 2 == 10", [False, True, None]),
        ("n / 2 == 2.5", [False, True, None]),
        ("-n == -5", [False, True, None]),
        ("+n == 5", [False, True, None]),
        ("n / 0 > 1", [None, True, None]),  # 0 / 0 is unknown, 5 / 0 is infinite
        ("n in [5, 6]", [False, True, None]),
        ("n not in [5, 6]", [True, False, None]),
        ("n in (0, 1)", [True, False, None]),
        ("n in {0, 1}", [True, False, None]),
        ("n is None", [False, False, True]),
        ("n is not None", [True, True, False]),
        ("x is None", [False, True, False]),
        ("n + x is None", [False, True, True]),
        ("n", [False, True, None]),
        ("not n", [True, False, None]),
        ("open", [True, False, None]),
        ("not open", [False, True, None]),
        ("open == True", [True, False, None]),
        ("kind == 'a'", [True, False, None]),
        ('kind == "a"', [True, False, None]),
        ("'a' < kind", [False, True, None]),
        ("kind in ['a', 'c']", [True, False, None]),
        ("kind == state", [False, None, None]),
        ("state == 'BY'", [False, None, True]),
        ("`Open Today` == 1", [True, False, True]),
        ("`n` == 5 and `Open Today` == 0", [False, True, False]),
    ],
)
def test_each_form_of_the_grammar_means_what_it_says(
    condition: str, expected: list[bool | None]
) -> None:
    assert holds(condition) == expected


@pytest.mark.parametrize(
    ("condition", "same"),
    [
        ("n > 0 or n < 0 and open", "n > 0 or (n < 0 and open)"),
        ("not n > 3 and open", "(not (n > 3)) and open"),
        ("n + 2 * 3 == 6", "(n + (2 * 3)) == 6"),
        ("n - 1 - 1 == -2", "((n - 1) - 1) == (-2)"),
        ("-n + 5 == 0", "((-n) + 5) == 0"),
        ("not n in [5]", "n not in [5]"),
    ],
)
def test_operators_bind_as_in_python(condition: str, same: str) -> None:
    assert holds(condition) == holds(same)


@pytest.mark.parametrize(
    ("left", "right"), [(a, b) for a in (True, False, None) for b in (True, False, None)]
)
def test_unknown_follows_the_logic_of_sql(left: bool | None, right: bool | None) -> None:
    data = pa.table({"a": pa.array([left], pa.bool_()), "b": pa.array([right], pa.bool_())})
    # Kleene: what holds whatever the unknown turns out to be.
    ways = [(a, b) for a in _ways(left) for b in _ways(right)]
    both, either = {a and b for a, b in ways}, {a or b for a, b in ways}

    assert holds("a and b", data) == [both.pop() if len(both) == 1 else None]
    assert holds("a or b", data) == [either.pop() if len(either) == 1 else None]


def _ways(value: bool | None) -> list[bool]:
    return [True, False] if value is None else [value]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("day < '2015-06-19'", [False, True, None]),
        ("'2015-06-18' == day", [False, True, None]),
        ("day in ['2015-07-31']", [True, False, None]),
        ("'2015-07-01' <= day <= '2015-07-31'", [True, False, None]),
    ],
)
@pytest.mark.parametrize("dtype", [pa.date32(), pa.date64(), pa.timestamp("ns"), pa.timestamp("s")])
def test_text_beside_a_date_is_read_as_a_date(
    condition: str, expected: list[bool | None], dtype: pa.DataType
) -> None:
    data = pa.table({"day": table().column("day").cast(dtype)})

    assert holds(condition, data) == expected


def test_text_beside_a_date_with_a_timezone_is_local_time() -> None:
    midnight = pd.to_datetime(["2015-07-01 00:00", "2015-06-30 23:59"]).tz_localize("Europe/Berlin")
    data = pa.table({"when": pa.array(midnight)})

    assert holds("when >= '2015-07-01'", data) == [True, False]


def test_a_date_compares_with_a_timestamp() -> None:
    data = pa.table(
        {"day": table().column("day"), "when": pa.array([datetime.datetime(2015, 7, 1)] * 3)}
    )

    assert holds("day < when", data) == [False, True, None]


@pytest.mark.parametrize(
    "dtype", [pa.uint8(), pa.uint64(), pa.int8(), pa.float32(), pa.decimal128(21, 1)]
)
def test_numbers_of_every_type_have_negatives(dtype: pa.DataType) -> None:
    data = pa.table({"n": pa.array([0, 3, 127]).cast(dtype)})

    assert holds("-n < 0", data) == [False, True, True]


def test_the_smallest_number_of_a_type_has_a_negative() -> None:
    data = pa.table({"n": pa.array([-128], pa.int8())})

    assert holds("-n == 128", data) == [True]


def test_numbers_beyond_every_type_still_compare() -> None:
    assert holds(f"n < 0x{'F' * 2000}") == [True, True, None]
    assert holds(f"n > -0x{'F' * 2000}") == [True, True, None]
    assert holds("n < 1e999") == [True, True, None]
    assert holds(f"n < {2**63}") == [True, True, None]


def test_large_integers_compare_exactly() -> None:
    data = pa.table({"n": [2**53, 2**53 + 1]})

    assert holds(f"n == {2**53 + 1}", data) == [False, True]


@pytest.mark.parametrize("dtype", [pa.string(), pa.large_string(), pa.string_view()])
def test_every_kind_of_text_compares(dtype: pa.DataType) -> None:
    data = pa.table({"kind": pa.array(["a", "b", None], dtype)})

    assert holds("kind == 'a'", data) == [True, False, None]


def test_a_column_without_any_value_makes_everything_unknown() -> None:
    data = pa.table({"void": pa.nulls(2)})

    assert holds("void > 0", data) == [None, None]
    assert holds("void == 'a'", data) == [None, None]
    assert holds("void + 1 > 0", data) == [None, None]
    assert holds("void", data) == [None, None]
    assert holds("void is None", data) == [True, True]


def test_a_table_without_rows_gives_no_answers() -> None:
    assert holds("n > 0 and kind in ['a'] or not open", table().slice(0, 0)) == []


def test_quotes_protect_backticks_and_comment_signs() -> None:
    data = pa.table({"kind": ["`n`", "# 1"]})

    assert holds("kind == '`n`'", data) == [True, False]
    assert holds("kind == '# 1'", data) == [False, True]


def test_a_name_in_backticks_may_be_anything() -> None:
    names = ["and", "1st", "is it 'open'?", "größe", "a.b[0]"]
    data = pa.table({name: [position] for position, name in enumerate(names)})

    for position, name in enumerate(names):
        assert holds(f"`{name}` == {position} and `and` == 0", data) == [True]


def test_a_condition_may_span_lines() -> None:
    assert holds("n == 5 and\n(\r\n`Open Today`\n== 0)") == [False, True, False]


def test_columns_are_listed_in_the_order_of_their_appearance() -> None:
    condition = Expression("x > n and (`Open Today` or n is None)")

    assert condition.columns == ("x", "n", "Open Today")


# Comparisons, and / or / not of them, over two integer columns and one of floats.
numbers = st.integers(-5, 5).map(str) | st.sampled_from(["0.5", "-1.25", "1e1"])
values = st.recursive(
    st.sampled_from(["a", "b", "c"]) | numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda v: f"({v[0]} {v[1]} {v[2]})"
    ),
    max_leaves=3,
)
comparisons = st.tuples(
    st.sampled_from(["a", "b", "c"]), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), values
).map(" ".join)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        inner.map(lambda c: f"not ({c})")
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda c: f"({c[0]} {c[1]} {c[2]})"
        )
    ),
    max_leaves=4,
)


@given(conditions)
def test_conditions_over_numbers_equal_pandas(condition: str) -> None:
    frame = pd.DataFrame(
        {
            "a": np.tile([-2, 0, 1, 5], 4),
            "b": np.repeat([-5, 0, 2, 3], 4),
            "c": np.tile([0.5, -1.25, 10, 0, 3], 4)[:16],
        }
    )

    expected = frame.eval(condition, engine="python")

    assert holds(condition, pa.Table.from_pandas(frame)) == expected.tolist()


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('true') == 0",
        "open('x')",
        "n.real > 0",
        "n.__class__ == 0",
        "().__class__",
        "n[0] > 0",
        "(lambda: n)() > 0",
        "[n for n in [1]] == 1",
        "{n: 1} == 1",
        "(n := 3) > 1",
        "f'{n}' == 'a'",
        "b'a' == kind",
        "1j < n",
        "... == n",
        "n if open else x",
        "n ** 9 ** 9 > 0",
        "n % 2 == 0",
        "n // 2 == 0",
        "n << 99 > 0",
        "n @ x > 0",
        "n & 1",
        "n | 1",
        "~n > 0",
        "n in kind",
        "n in [n]",
        "n in []",
        "n in range(3)",
        "n is 5",
        "n == None",
        "None is n",
        "n in [1] in [True]",
        "await n",
        "yield n",
        "*n",
        "n > 0; open",
        "n = 0",
        "import os",
        "n > 0 # and open",
        "[n > 0]",
        "(n > 0) > 0",
        "(n > 0) + 1 > 0",
        "n + 1",
        "-n",
        "not n + 1",
        "'a'",
        "True",
        "1 < 2",
        "1 < 2 and n > 0",
        "",
        "   ",
        "n >",
        "(n > 0",
        "`n > 0",
        "n > 0\0",
        "n <> 0",
    ],
)
def test_everything_else_is_refused(condition: str) -> None:
    with pytest.raises(ParameterError, match="A condition"):
        Expression(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 300 + "n" + ")" * 300,
        "not " * 2_000 + "n",
        "-" * 5_000 + "n > 0",
        "+".join(["n"] * 3_000) + " > 0",
        "n > 0 or " * 2_000 + "n < 0",
        "n > " + "1" * 5_000,
    ],
    ids=["brackets", "nots", "signs", "sum", "length", "digits"],
)
def test_a_condition_that_would_exhaust_python_is_refused(condition: str) -> None:
    with pytest.raises(ParameterError):
        Expression(condition)


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        condition = Expression(text)
    except ParameterError:
        return
    assert all(isinstance(column, str) for column in condition.columns)


@pytest.mark.parametrize(
    ("condition", "place", "what"),
    [
        ("n > 0 and n ** 2 > 0", "n ** 2", "this is not allowed"),
        ("`Open Today` > 0 and open(1)", "open(1)", "this is not allowed"),
        ("größe > 0 and n.real > 0", "n.real", "this is not allowed"),
        ("n > 0 and x == None", "None", "write 'is None'"),
        ("n in kind", "kind", "needs a list of constants"),
        ("n in [1, x]", "x", "only constants"),
        ("n > 0 and 1 < 2", "1 < 2", "name a column"),
        ("n > 0 and x + 1", "x + 1", "compare it with something"),
        ("n > 0 # open", "#", "comments are not allowed"),
    ],
)
def test_a_refusal_points_at_the_place(condition: str, place: str, what: str) -> None:
    with pytest.raises(ParameterError, match=what) as caught:
        Expression(condition)

    _, shown, marks, *_ = str(caught.value).split("\n")
    assert shown.strip() == condition
    assert shown[marks.index("^") : marks.rindex("^") + 1] == place


def test_a_text_that_is_no_date_is_pointed_at() -> None:
    with pytest.raises(ParameterError, match=r"no date(.|\n)*\^\^\^\^\^\^"):
        holds("day < 'soon'")


def test_an_unknown_column_is_named_with_the_likely_one() -> None:
    with pytest.raises(UnknownColumnError, match=r"'kinds' is not in the table .* 'kind'"):
        holds("kinds == 'a'")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("n > 'a'", r"column 'n' holds a number \(int64\), but 'a' is a text"),
        ("kind > 1", r"column 'kind' holds a text \(string\), but 1 is a number"),
        ("kind in ['a', 1]", "column 'kind' holds a text"),
        ("kind", "neither true nor false. Compare it"),
        ("kind + 'a' == 'ab'", "cannot be calculated with"),
        ("day > 0", "column 'day' holds a date"),
        ("day < kind", "column 'day' holds a date .* column 'kind' holds a text"),
        ("-kind == 1", "cannot be calculated with"),
    ],
)
def test_types_that_do_not_fit_are_named(condition: str, message: str) -> None:
    with pytest.raises(ColumnTypeError, match=message):
        holds(condition)


def test_a_type_that_no_condition_can_use_is_named() -> None:
    with pytest.raises(ColumnTypeError, match=r"column 'l' holds list<.*>, which a condition"):
        holds("l == 1", pa.table({"l": [[1]]}))


def test_dates_with_and_without_a_timezone_do_not_compare() -> None:
    naive = pa.array([datetime.datetime(2015, 7, 1)], pa.timestamp("s"))
    data = pa.table({"naive": naive, "aware": naive.cast(pa.timestamp("s", "UTC"))})

    with pytest.raises(ColumnTypeError, match="column 'naive' holds a date"):
        holds("naive < aware", data)
