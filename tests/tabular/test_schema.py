"""Schema inference: each documented rule, and what overrides it."""

import datetime
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabtext.errors import (
    ArtifactError,
    ColumnTypeError,
    ParameterError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.tables import as_table
from tabtext.tabular.schema import FEW_INTEGERS, Role, Schema, infer_schema

DAY = datetime.date(2015, 1, 1)
PROSE = [f"this is the review number {n} and it goes on and on" for n in range(40)]


def role_of(values: Any, **options: Any) -> Role:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabTextWarning)
        return infer_schema(pa.table({"x": values}), **options).role("x")


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ([1.5, 2.5, 1.5], Role.CONTINUOUS),
        ([1.0, 2.0, 1.0], Role.CONTINUOUS),
        ([1, 2, 1], Role.CATEGORICAL),
        (list(range(FEW_INTEGERS)) * 2, Role.CATEGORICAL),
        (list(range(FEW_INTEGERS + 1)) * 2, Role.CONTINUOUS),
        (list(range(100)), Role.CONTINUOUS),
        (["a", "b", "a"], Role.CATEGORICAL),
        (pa.array(["a", "b", "a"]).dictionary_encode(), Role.CATEGORICAL),
        ([True, False, True], Role.CATEGORICAL),
        ([DAY, DAY + datetime.timedelta(1)], Role.DATETIME),
        ([datetime.datetime(2015, 1, 1, n) for n in range(3)], Role.DATETIME),
        (PROSE, Role.TEXT),
        (["a", "b"] * 20, Role.CATEGORICAL),
        ([f"id{n}" for n in range(40)], Role.IGNORE),
        ([f"id{n}" for n in range(5)], Role.CATEGORICAL),
        ([None, None], Role.IGNORE),
        (pa.nulls(3, pa.float64()), Role.IGNORE),
        ([7, 7, 7], Role.IGNORE),
        (["a", None, "a"], Role.CATEGORICAL),
        ([1.5, None, 1.5], Role.CONTINUOUS),
    ],
    ids=str,
)
def test_the_rules(values: Any, role: Role) -> None:
    assert role_of(values) is role


def test_columns_without_information_are_named_in_one_warning() -> None:
    table = pa.table({"same": [1, 1], "none": pa.nulls(2), "x": [1.5, 2.5]})

    with pytest.warns(TabTextWarning, match="'same', 'none'") as caught:
        infer_schema(table)

    assert len(caught) == 1


def test_few_rows_with_different_numbers_are_no_identifiers(
    recwarn: pytest.WarningsRecorder,
) -> None:
    table = pa.table({"number": pa.array(range(32))})

    assert infer_schema(table).role("number") is Role.CONTINUOUS
    assert not recwarn.list


def test_columns_like_identifiers_are_pointed_out() -> None:
    table = pa.table({"number": range(50), "name": [f"n{k}" for k in range(50)]})

    with pytest.warns(TabTextWarning) as caught:
        infer_schema(table)

    messages = " ".join(str(warning.message) for warning in caught)
    assert "different in every row: 'name'" in messages
    assert "identifiers: 'number'" in messages


def test_an_override_wins_over_every_rule() -> None:
    assert role_of([1.5, 2.5], roles={"x": "categorical"}) is Role.CATEGORICAL
    assert role_of([1, 2], roles={"x": Role.CONTINUOUS}) is Role.CONTINUOUS
    assert role_of([1, 2], exclude=["x"]) is Role.IGNORE
    assert role_of([1, 2], targets=["x"]) is Role.TARGET
    assert role_of([1, 2], weight="x") is Role.WEIGHT
    assert role_of([f"id{n}" for n in range(40)], roles={"x": "categorical"}) is Role.CATEGORICAL


def test_the_reason_is_kept() -> None:
    schema = infer_schema(pa.table({"x": ["a", "b"], "y": [1, 2]}), roles={"y": "ignore"})

    assert [column.reason for column in schema.columns] == ["text labels", "given"]


@pytest.mark.parametrize(
    ("roles", "message"),
    [({"x": "category"}, "did you mean 'categorical'"), ({"x": "number"}, "is no role")],
)
def test_an_unknown_role_is_refused(roles: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        role_of([1, 2], roles=roles)


@pytest.mark.parametrize("option", ["roles", "exclude", "targets", "weight"])
def test_a_name_that_is_no_column_is_refused(option: str) -> None:
    given: Any = {"roles": {"y": "ignore"}, "exclude": ["y"], "targets": ["y"], "weight": "y"}

    with pytest.raises(UnknownColumnError, match="'y'"):
        role_of([1, 2], **{option: given[option]})


@pytest.mark.parametrize(
    ("values", "role"),
    [(["a", "b"], "continuous"), ([1, 2], "datetime"), ([1.5, 2.5], "text"), ([[1], [2]], None)],
)
def test_a_role_that_does_not_fit_the_type_is_refused(values: Any, role: str | None) -> None:
    with pytest.raises(ColumnTypeError, match="column 'x' holds"):
        role_of(values, roles=None if role is None else {"x": role})


@pytest.mark.parametrize(
    "values", [pa.array([1, 2], pa.time32("s")), pa.array([1, 2], pa.duration("s"))]
)
def test_times_of_day_and_durations_ask_for_a_conversion(values: pa.Array) -> None:
    with pytest.raises(ColumnTypeError, match=r"exclude=\['x'\]"):
        role_of(values)


def test_a_schema_survives_json_and_refuses_damage() -> None:
    schema = infer_schema(pa.table({"x": ["a", "b"], "y": [1.5, 2.5]}))

    assert Schema.from_dict(schema.to_dict()) == schema
    with pytest.raises(ArtifactError, match="schema is damaged"):
        Schema.from_dict({"columns": [{"name": "x", "role": "odd"}]})


def test_the_table_is_left_as_it_was() -> None:
    table = pa.table({"x": np.arange(10) % 3})
    before = pa.table({"x": np.arange(10) % 3})

    infer_schema(table)

    assert table.equals(before)


def test_chunks_do_not_change_the_role() -> None:
    whole = pa.table({"x": ["a", "b", "a", "c"]})
    chunks = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 0), whole.slice(1)])

    assert infer_schema(chunks) == infer_schema(whole)


@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2020", periods=4, freq="D"),
        pd.Categorical(pd.cut([1.0, 2.0, 3.0, 4.0], 2)),
        pd.to_timedelta([1, 2, 3, 4], unit="h"),
    ],
)
def test_a_column_without_a_role_is_named_and_can_be_excluded(values: Any) -> None:
    table = as_table(pd.DataFrame({"span": values, "x": [1.0, 2.0, 4.0, 8.0]}))

    with pytest.raises(ColumnTypeError, match=r"column 'span' holds .*exclude=\['span'\]"):
        infer_schema(table)

    assert infer_schema(table, exclude=["span"]).role("span") is Role.IGNORE
