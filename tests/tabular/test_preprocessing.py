"""The preprocessor as a whole."""

import itertools
import json
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from tabtext.errors import (
    ArtifactError,
    ColumnTypeError,
    DataError,
    MissingFileError,
    ParameterError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.tabular import Encoded, Role, TableStatistics, TabularPreprocessor, infer_schema


def example(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "State": generator.choice(["HE", "BY", "NW"], n_rows),
            "Store": generator.integers(0, 8, n_rows),
            "Distance": generator.exponential(size=n_rows).astype("float32"),
            "Sales": generator.normal(size=n_rows),
            "Open": generator.random(n_rows) < 0.5,
            "Date": np.datetime64("2015-01-30", "s") + generator.integers(0, 10**7, n_rows),
        }
    )
    frame.loc[::7, "Sales"] = np.nan
    frame.loc[::11, "State"] = None
    return frame


def assert_equal(first: Encoded, second: Encoded) -> None:
    np.testing.assert_array_equal(first.categorical, second.categorical)
    np.testing.assert_array_equal(first.continuous, second.continuous)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return example()


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> TabularPreprocessor:
    return TabularPreprocessor(date_parts=True).fit(frame)


def test_fitting_and_encoding_at_once_gives_the_same(frame: pd.DataFrame) -> None:
    preprocessor = TabularPreprocessor()

    assert_equal(preprocessor.fit_encode(frame), preprocessor.encode(frame))


@given(cut=st.integers(0, 300))
def test_fitting_in_parts_gives_the_same_as_fitting_the_whole(cut: int) -> None:
    table = pa.Table.from_pandas(example())
    schema = infer_schema(table)
    parts = [table.slice(0, cut), table.slice(cut)]

    merged = TableStatistics.of(parts[0], schema) + TableStatistics.of(parts[1], schema)
    in_parts = TabularPreprocessor().fit_statistics(schema, merged)
    whole = TabularPreprocessor().fit(table)

    assert in_parts.categorical_encoders_ == whole.categorical_encoders_
    assert in_parts.continuous_encoders_ == whole.continuous_encoders_
    assert_equal(in_parts.encode(table), whole.encode(table))


def test_transform_puts_codes_and_numbers_side_by_side(frame: pd.DataFrame) -> None:
    preprocessor = TabularPreprocessor()

    matrix = preprocessor.fit_transform(frame)

    encoded, n_codes = preprocessor.encode(frame), len(preprocessor.categorical_names_)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, preprocessor.transform(frame))
    np.testing.assert_array_equal(matrix[:, :n_codes], encoded.categorical)
    np.testing.assert_array_equal(matrix[:, n_codes:], encoded.continuous)


@pytest.mark.parametrize(
    ("container", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_transform_gives_frames_with_the_names_of_columns(
    frame: pd.DataFrame, container: Any, kind: type
) -> None:
    preprocessor = TabularPreprocessor(date_parts=True).set_output(transform=container)

    matrix = preprocessor.fit_transform(frame)

    assert isinstance(matrix, kind)
    assert list(matrix.columns) == preprocessor.get_feature_names_out().tolist()
    assert {"State", "Sales_missing", "Date_month"} <= set(matrix.columns)


def test_matrices_are_contiguous_and_as_small_as_they_can_be(frame: pd.DataFrame) -> None:
    encoded = TabularPreprocessor(date_parts=False).fit_encode(frame)
    many = TabularPreprocessor(roles={"Store": "categorical"}).fit_encode(
        pd.DataFrame({"Store": np.arange(600) % 300, "x": np.arange(600) / 7})
    )

    assert encoded.categorical.dtype == np.uint8
    assert many.categorical.dtype == np.int16
    for matrix in (encoded.categorical, encoded.continuous):
        assert matrix.flags.c_contiguous
        assert len(matrix) == len(encoded) == 300
    assert encoded.continuous.dtype == np.float32


def test_columns_are_found_by_name(fitted: TabularPreprocessor, frame: pd.DataFrame) -> None:
    shuffled = frame[sorted(frame, reverse=True)].assign(extra=1)

    assert_equal(fitted.encode(shuffled), fitted.encode(frame))


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame.astype({"State": "object"}),
        lambda frame: frame.astype({"State": "category"}),
        lambda frame: frame.astype({"State": "string"}),
        lambda frame: frame.astype({"Store": "float64", "Sales": "Float64"}),
        lambda frame: frame.set_index("Store", drop=False),
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda frame: pa.concat_tables(
            [pa.Table.from_pandas(frame[:100]), pa.Table.from_pandas(frame[100:])]
        ),
        lambda frame: pa.Table.from_pandas(
            pd.concat([frame[:7], frame]).astype({"State": "category"})
        ).slice(7),
        lambda frame: duckdb.sql("select * from frame"),
        lambda frame: {name: frame[name] for name in frame},
    ],
    ids=[
        "object", "category", "string", "nullable", "index", "polars", "arrow", "chunks",
        "slice", "duckdb", "mapping",
    ],
)  # fmt: skip
def test_every_kind_of_table_gives_the_same(
    fitted: TabularPreprocessor, frame: pd.DataFrame, convert: Any
) -> None:
    assert_equal(fitted.encode(convert(frame)), fitted.encode(frame))


def test_chunks_with_different_dictionaries_are_one_column() -> None:
    chunks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()]
    table = pa.table({"x": pa.chunked_array(chunks)})

    encoded = TabularPreprocessor().fit_encode(table)

    assert encoded.categorical[:, 0].tolist() == [2, 3, 3, 4]


def test_a_missing_column_is_named(fitted: TabularPreprocessor, frame: pd.DataFrame) -> None:
    with pytest.raises(UnknownColumnError, match=r"'Store'.*did you mean 'Stor'"):
        fitted.encode(frame.rename(columns={"Store": "Stor"}))


def test_gaps_that_training_had_not_are_warned_about_once(frame: pd.DataFrame) -> None:
    preprocessor = TabularPreprocessor().fit(frame)
    later = frame.copy()
    later.loc[0, "Distance"] = np.nan
    later["Open"] = later["Open"].astype(object)
    later.loc[0, "Open"] = None

    with pytest.warns(TabTextWarning, match="'Open', 'Distance'") as caught:
        encoded, _ = preprocessor.encode(later), preprocessor.encode(later)

    assert len(caught) == 1
    assert np.isfinite(encoded.continuous).all()


def test_infinite_values_are_missing_and_counted(frame: pd.DataFrame) -> None:
    spoiled = frame.copy()
    spoiled.loc[:2, "Distance"] = [np.inf, -np.inf, 1.0]

    with pytest.warns(TabTextWarning, match=r"'Distance' \(2\)"):
        preprocessor = TabularPreprocessor().fit(spoiled)

    assert "Distance_missing" in preprocessor.continuous_names_


def test_running_text_is_left_out_with_a_warning() -> None:
    prose = [f"the {n} quick brown foxes jump over {n} lazy dogs" for n in range(30)]

    with pytest.warns(TabTextWarning, match="'review'"):
        preprocessor = TabularPreprocessor().fit({"review": prose, "x": np.arange(30) / 7})

    assert list(preprocessor.positions()) == ["x"]


def test_indicators_can_be_left_out(frame: pd.DataFrame) -> None:
    with_them = TabularPreprocessor().fit(frame).continuous_names_
    without = TabularPreprocessor(missing_indicators=False).fit(frame).continuous_names_

    assert "Sales_missing" in with_them
    assert "Distance_missing" not in with_them
    assert without == [name for name in with_them if name != "Sales_missing"]


def test_date_parts_can_be_chosen(frame: pd.DataFrame) -> None:
    chosen = TabularPreprocessor(date_parts=["month", "hour"]).fit(frame)
    none = TabularPreprocessor(date_parts=False).fit(frame)

    assert [n for n in chosen.categorical_names_ if "Date" in n] == ["Date_month", "Date_hour"]
    assert "Date" not in none.positions()


def test_parts_are_used_where_rows_are_enough_for_their_values() -> None:
    few, many = (TabularPreprocessor().fit(example(n_rows)) for n_rows in (1000, 11_000))

    def parts(fitted: TabularPreprocessor) -> list[str]:
        return [feature.part for feature in fitted.features_ if feature.part]

    assert parts(few) == ["month", "day_of_week", "elapsed"]
    assert "day" in parts(many)
    assert "day_of_year" not in parts(many)  # 117 days, 94 rows for each
    assert "hour" in parts(many)
    assert "is_quarter_start" in parts(many)


def test_chosen_parts_are_the_same_after_loading_and_for_rows_of_another_time(
    tmp_path: Path,
) -> None:
    rows = example(900)
    fitted = TabularPreprocessor().fit(rows)
    fitted.save(tmp_path)
    later = rows.assign(Date=rows["Date"] + pd.Timedelta(days=200))

    loaded = TabularPreprocessor.load(tmp_path)

    assert loaded.features_ == fitted.features_
    assert_equal(loaded.encode(later), fitted.encode(later))


def test_parts_that_never_change_are_dropped(fitted: TabularPreprocessor) -> None:
    names = fitted.categorical_names_

    assert "Date_month" in names
    assert "Date_year" not in names  # all in 2015
    assert "Date_is_year_end" not in names


def test_a_timezone_gained_or_lost_is_refused(
    fitted: TabularPreprocessor, frame: pd.DataFrame
) -> None:
    aware = frame.assign(Date=frame["Date"].dt.tz_localize("Europe/Berlin"))
    with pytest.raises(ColumnTypeError, match="had no timezone at the fit"):
        fitted.encode(aware)
    with pytest.raises(ColumnTypeError, match="had a timezone at the fit"):
        TabularPreprocessor().fit(aware).encode(frame)


def test_dates_of_another_resolution_are_the_same(
    fitted: TabularPreprocessor, frame: pd.DataFrame
) -> None:
    nanoseconds = frame.assign(Date=frame["Date"].astype("datetime64[ns]"))

    assert_equal(fitted.encode(nanoseconds), fitted.encode(frame))


def test_a_part_that_is_a_column_already_is_pointed_out(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"'Date' would add 'Date_month'.*exclude"):
        TabularPreprocessor().fit(frame.assign(Date_month=np.arange(300) % 12))


def test_an_indicator_may_share_its_name_with_a_column(frame: pd.DataFrame) -> None:
    both = frame.assign(Sales_missing=np.arange(300) / 3)

    preprocessor = TabularPreprocessor()

    encoded = preprocessor.fit_encode(both)

    assert (
        encoded.continuous.shape[1]
        == TabularPreprocessor().fit(frame).encode(frame).continuous.shape[1] + 1
    )
    names = preprocessor.get_feature_names_out().tolist()
    assert len(set(names)) == len(names)
    assert {"Sales_missing", "Sales_missing_"} <= set(names)


def test_positions_cover_both_matrices_once(fitted: TabularPreprocessor) -> None:
    positions = fitted.positions()

    categorical = [p for group, _ in positions.values() for p in group]
    continuous = [p for _, group in positions.values() for p in group]
    assert sorted(categorical) == list(range(len(fitted.categorical_names_)))
    assert sorted(continuous) == list(range(len(fitted.continuous_names_)))
    sales = [fitted.continuous_names_[p] for p in positions["Sales"][1]]
    assert sales == ["Sales", "Sales_missing"]
    assert len(positions["Date"][0]) > 3


def test_categories_are_listed_by_column(fitted: TabularPreprocessor) -> None:
    assert fitted.categories("State") == ["BY", "HE", "NW"]
    assert fitted.categories("Store") == list(range(8))
    with pytest.raises(ParameterError, match="did you mean 'State'"):
        fitted.categories("Stat")


def test_targets_and_weights_are_no_features(frame: pd.DataFrame) -> None:
    preprocessor = TabularPreprocessor().fit(frame, targets=["Sales"], weight="Distance")

    assert {"Sales", "Distance"}.isdisjoint(preprocessor.feature_names_in_)
    assert preprocessor.schema_.names(Role.TARGET, Role.WEIGHT) == ["Distance", "Sales"]


def test_one_row_and_no_row_can_be_encoded(
    fitted: TabularPreprocessor, frame: pd.DataFrame
) -> None:
    whole = fitted.encode(frame)

    one, none = fitted.encode(frame.head(1)), fitted.encode(frame.head(0))

    assert_equal(one, whole.take(np.array([0])))
    assert none.categorical.shape == (0, whole.categorical.shape[1])


def test_long_tables_are_encoded_in_ranges_like_short_ones(fitted: TabularPreprocessor) -> None:
    long = example(40_000, seed=3)

    whole = fitted.encode(long)

    for start in (0, 16_380, 39_000):
        part = fitted.encode(long.iloc[start : start + 50])
        assert_equal(part, whole.take(np.arange(start, min(start + 50, 40_000))))


@pytest.mark.parametrize(
    "parameters",
    [
        {"missing": missing, "scaling": scaling}
        for missing, scaling in itertools.product(
            ["median", "mean", "constant", "signal"], ["standard", "robust", "quantile", "none"]
        )
    ]
    + [
        {"roles": {"Store": "continuous"}, "exclude": ["Open"], "min_count": 50},
        {"date_parts": ["month"], "missing_indicators": False, "fill_value": -1.0},
    ],
    ids=str,
)
def test_a_saved_preprocessor_encodes_the_same(
    frame: pd.DataFrame, tmp_path: Path, parameters: dict[str, Any]
) -> None:
    preprocessor = TabularPreprocessor(**parameters).fit(frame)

    preprocessor.save(tmp_path)
    loaded = TabularPreprocessor.load(tmp_path)

    assert_equal(loaded.encode(frame), preprocessor.encode(frame))
    assert loaded.schema_ == preprocessor.schema_
    assert loaded.n_rows_ == 300
    again = clone(loaded).fit(frame)
    assert_equal(again.encode(frame), preprocessor.encode(frame))


@pytest.mark.parametrize("name", ["preprocessor.json", "categories.arrow"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "removed"])
def test_damaged_files_are_refused(
    fitted: TabularPreprocessor, tmp_path: Path, name: str, damage: str
) -> None:
    fitted.save(tmp_path)
    path = tmp_path / name
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 300 if damage == "truncated" else 0])

    with pytest.raises((ArtifactError, MissingFileError), match=tmp_path.name):
        TabularPreprocessor.load(tmp_path)


@pytest.mark.parametrize("key", ["parameters", "schema", "features", "n_rows", "continuous"])
def test_a_part_of_the_wrong_kind_is_refused(
    fitted: TabularPreprocessor, tmp_path: Path, key: str
) -> None:
    fitted.save(tmp_path)
    path = tmp_path / "preprocessor.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: {"odd": ["thing"]}}))

    with pytest.raises(ArtifactError, match="damaged"):
        TabularPreprocessor.load(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"missing": "medain"},
        {"scaling": "minmax"},
        {"min_count": 0},
        {"fill_value": float("nan")},
        {"fill_value": "0"},
        {"date_parts": ["moth"]},
        {"date_parts": 1},
        {"exclude": "Sales"},
        {"roles": ["Sales"]},
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(frame: pd.DataFrame, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        TabularPreprocessor(**wrong).fit(frame)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="0 rows"):
        TabularPreprocessor().fit(example().head(0))
    with pytest.warns(TabTextWarning), pytest.raises(DataError, match="no column is left"):
        TabularPreprocessor().fit({"same": [1, 1, 1]})


def test_two_threads_may_transform_at_once(
    fitted: TabularPreprocessor, frame: pd.DataFrame
) -> None:
    results: list[Encoded] = []
    threads = [
        threading.Thread(target=lambda: results.append(fitted.encode(frame))) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 4
    for result in results:
        assert_equal(result, fitted.encode(frame))


@pytest.mark.slow
def test_a_million_rows_take_seconds() -> None:
    n_rows, generator = 1_000_000, np.random.default_rng(0)
    columns = {f"c{k}": generator.integers(0, 30 + k, n_rows) for k in range(22)}
    columns |= {f"x{k}": generator.normal(size=n_rows) for k in range(16)}
    frame = pd.DataFrame(columns)
    preprocessor = TabularPreprocessor(roles={f"c{k}": "categorical" for k in range(22)})

    started = perf_counter()
    encoded = preprocessor.fit_encode(frame)

    assert encoded.categorical.shape == (n_rows, 22)
    assert perf_counter() - started < 30  # 0.5 s is usual; test machines are slow and busy
