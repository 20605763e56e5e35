"""One row by its own road: what the road of tables makes of it, bit for bit, or not taken."""

import warnings
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tabtext.datasets import load_flights
from tabtext.errors import TabTextWarning
from tabtext.tabular import preprocessing
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.plain_rows import plain_row
from tabtext.tabular.preprocessing import TabularPreprocessor

Outcome = tuple[Any, ...]


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return load_flights("test").drop(columns="arr_delay")


@pytest.fixture(scope="module")
def of_flights(flights: pd.DataFrame) -> TabularPreprocessor:
    return TabularPreprocessor(scaling="robust").fit(flights[:8000])


def outcome(preprocessor: TabularPreprocessor, data: Any) -> Outcome:
    """Codes and numbers as bytes, or the error; and what was warned of."""
    preprocessor._warned_of_gaps.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            encoded: Encoded = preprocessor.encode(data)
        except Exception as error:
            return type(error), str(error)
    arrays = encoded.categorical, encoded.continuous
    return (
        *((a.dtype, a.shape, a.tobytes()) for a in arrays),
        [str(warning.message) for warning in caught],
    )


def by_tables(preprocessor: TabularPreprocessor, data: Any) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preprocessing, "plain_row", lambda data: None)
        return outcome(preprocessor, data)


def takes_its_own_road(preprocessor: TabularPreprocessor, data: Any) -> bool:
    row = plain_row(data)
    return row is not None and preprocessor._single_rows.encode(row, warned=()) is not None


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "mapping": lambda frame: frame.to_dict("records")[0],
    "rows": lambda frame: frame.to_dict("records"),
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "polars": pl.from_pandas,
    "batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_flights_not_seen_are_encoded_alike(
    flights: pd.DataFrame, of_flights: TabularPreprocessor, form: str
) -> None:
    n_short = 0
    for row in range(8000, 28000, 250):
        data = FORMS[form](flights[row : row + 1])
        assert outcome(of_flights, data) == by_tables(of_flights, data)
        n_short += takes_its_own_road(of_flights, data)
    assert n_short > 60  # of 80; the others have a gap in a column that had none


@pytest.fixture(scope="module")
def of_all_kinds() -> TabularPreprocessor:
    days = pd.date_range("2015-01-01", periods=40, freq="31h")
    table = {
        "text": ["a", "b", None, "ä"] * 10,
        "whole": [1, 2, 3, 7] * 10,
        "double": [0.5, 1.0, -0.0, 2.5] * 10,
        "flag": [True, False] * 20,
        "number": [*np.linspace(-3, 9, 39), None],
        "count": [*range(39), 0],
        "when": days,
    }
    roles = {"double": "categorical"}
    return TabularPreprocessor(roles=roles, scaling="quantile", min_count=2).fit(table)


PLAIN: dict[str, Any] = {
    "text": "a",
    "whole": 1,
    "double": 0.5,
    "flag": True,
    "number": 1.25,
    "count": 3,
    "when": datetime(2015, 2, 28, 23, 59, 59, 999_999),
}
ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 9),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 2.0**53, 1e300]),
    st.text(max_size=3),
    st.sampled_from(["a", "ä", "\ud800"]),
    st.datetimes(),
    st.dates(),
    st.sampled_from([pd.Timestamp("2015-03-31 12:00"), pd.NaT, b"a", np.float32(0.1), np.int8(3)]),
    st.sampled_from([pd.Timestamp("2015-03-31", tz="Europe/Berlin"), np.str_("b"), [1], 1j]),
    st.sampled_from([pd.NA, Decimal("NaN"), np.timedelta64(3, "ns"), np.datetime64("NaT")]),
    st.sampled_from([np.datetime64("2015-03-31T12:00", unit) for unit in ("m", "s", "ns")]),
)


@given(name=st.sampled_from(sorted(PLAIN)), value=ANY_VALUE)
@example(name="when", value=date(2016, 12, 31))
@example(name="when", value=datetime(1969, 12, 31, 23, 59, 59, 500_000))
@example(name="when", value=np.datetime64("2015-03-31T12:00", "m"))
@example(name="number", value=np.datetime64("1970-01-01", "ns"))
def test_any_value_of_a_mapping_has_the_outcome_that_it_has_in_a_table(
    of_all_kinds: TabularPreprocessor, name: str, value: Any
) -> None:
    data = PLAIN | {name: value}

    assert outcome(of_all_kinds, data) == by_tables(of_all_kinds, data)


@given(name=st.sampled_from(sorted(PLAIN)), value=ANY_VALUE)
@example(name="text", value=pd.NA)
@example(name="number", value=np.array([1.0, 2.0]))
def test_any_value_of_a_frame_has_the_outcome_that_it_has_in_a_table(
    of_all_kinds: TabularPreprocessor, name: str, value: Any
) -> None:
    data = pd.DataFrame([PLAIN])
    data[name] = pd.Series([value], dtype=object)  # as it is, whatever else it could be

    assert outcome(of_all_kinds, data) == by_tables(of_all_kinds, data)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_gap_of_a_nullable_type_has_the_outcome_that_it_has_in_a_table(
    of_all_kinds: TabularPreprocessor, name: str, backend: Literal["numpy_nullable", "pyarrow"]
) -> None:
    two_rows = pd.DataFrame([PLAIN, PLAIN]).convert_dtypes(dtype_backend=backend)
    two_rows.loc[0, name] = pd.NA

    assert outcome(of_all_kinds, two_rows[:1]) == by_tables(of_all_kinds, two_rows[:1])

    either = of_all_kinds.encode(two_rows[:1]), of_all_kinds.encode(two_rows)
    assert either[0].categorical.tobytes() == either[1].categorical[:1].tobytes()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([10**12], pa.timestamp("s")),  # the year 33658
        pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")),
        pl.Series([2**70], dtype=pl.Int128),
    ],
    ids=["date", "text", "number"],
)
def test_what_python_or_arrow_cannot_hold_takes_the_road_of_tables(
    of_all_kinds: TabularPreprocessor, column: Any
) -> None:
    table = pa.table({name: [value] for name, value in PLAIN.items()})
    data: Any = table.append_column("further", column) if isinstance(column, pa.Array) else None
    if data is None:
        data = pl.DataFrame([PLAIN]).with_columns(column.alias("further"))

    assert plain_row(data) is None
    assert outcome(of_all_kinds, data) == by_tables(of_all_kinds, data)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    "kind",
    [
        *(pa.null(), pa.string(), pa.large_string(), pa.int8(), pa.float32(), pa.bool_()),
        *(pa.date32(), pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.binary()),
        *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int8(), pa.int64())),
        *(pa.decimal128(5, 2), pa.list_(pa.int8())),
    ],
    ids=str,
)
def test_a_gap_of_any_type_has_the_outcome_that_it_has_in_a_table(
    of_all_kinds: TabularPreprocessor, name: str, kind: pa.DataType
) -> None:
    table = pa.table({key: [value] for key, value in PLAIN.items()})
    place = table.column_names.index(name)
    table = table.set_column(place, name, pa.array([None], kind))
    frame = table.to_pandas()

    for data in (table, frame):
        assert outcome(of_all_kinds, data) == by_tables(of_all_kinds, data)


def test_what_is_plain_takes_the_short_road_and_what_is_not_the_other(
    of_all_kinds: TabularPreprocessor,
) -> None:
    assert takes_its_own_road(of_all_kinds, PLAIN)
    assert takes_its_own_road(of_all_kinds, PLAIN | {"text": None, "number": float("nan")})
    assert takes_its_own_road(of_all_kinds, PLAIN | {"text": "never seen", "further": 1})
    assert not takes_its_own_road(of_all_kinds, PLAIN | {"number": float("inf")})  # warns
    assert not takes_its_own_road(of_all_kinds, PLAIN | {"count": "3"})  # is refused
    assert not takes_its_own_road(of_all_kinds, PLAIN | {"further": object()})  # is refused


def test_a_gap_that_was_warned_of_takes_the_short_road_from_then_on(
    of_all_kinds: TabularPreprocessor,
) -> None:
    of_all_kinds._warned_of_gaps.clear()
    with pytest.warns(TabTextWarning, match="'count'"):
        first = of_all_kinds.encode(PLAIN | {"count": None})

    again = of_all_kinds.encode(PLAIN | {"count": None})

    assert again.continuous.tobytes() == first.continuous.tobytes()
    of_all_kinds._warned_of_gaps.clear()


@pytest.mark.parametrize("left_out", ["text", "when"])
def test_a_column_that_is_not_there_is_named(
    of_all_kinds: TabularPreprocessor, left_out: str
) -> None:
    data = {name: value for name, value in PLAIN.items() if name != left_out}

    assert outcome(of_all_kinds, data) == by_tables(of_all_kinds, data)
    assert left_out in str(outcome(of_all_kinds, data)[1])
