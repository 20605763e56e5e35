"""Statistics: they add up exactly, and tell what NumPy tells."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ArtifactError, ColumnTypeError, DataError, MissingFileError
from tabtext.tabular import statistics as module
from tabtext.tabular.arrays import Indexed
from tabtext.tabular.schema import Role, infer_schema
from tabtext.tabular.statistics import ColumnStatistics, TableStatistics

numbers = st.lists(st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, 7.0]), max_size=30)
CATEGORIES = {
    "text": (pa.string(), st.text(max_size=3)),
    "integers": (pa.int64(), st.integers(-(2**62), 2**62) | st.integers(0, 5)),
    "floats": (pa.float64(), st.floats(allow_infinity=False) | st.sampled_from([0.0, -0.0, 3.0])),
    "booleans": (pa.bool_(), st.booleans()),
    "dates": (pa.date32(), st.dates()),
}


def of_categories(values: list[Any], kind: pa.DataType) -> ColumnStatistics:
    return ColumnStatistics.of_categories(Indexed.of(pa.array(values, kind), "x"))


@given(first=numbers, second=numbers)
def test_statistics_of_numbers_add_up_exactly(first: list[float], second: list[float]) -> None:
    def of(values: list[float]) -> ColumnStatistics:
        return ColumnStatistics.of_numbers(np.array(values, np.float64))

    assert of(first) + of(second) == of(first + second)
    assert of(second) + of(first) == of(first + second)


@pytest.mark.parametrize("name", CATEGORIES)
@given(data=st.data())
def test_statistics_of_categories_add_up_exactly(name: str, data: st.DataObject) -> None:
    kind, values = CATEGORIES[name]
    lists = st.lists(st.none() | values, max_size=12)
    first, second, third = (data.draw(lists) for _ in range(3))

    whole = of_categories(first + second + third, kind)

    parts = [of_categories(part, kind) for part in (first, second, third)]
    assert parts[0] + parts[1] + parts[2] == whole
    assert parts[2] + (parts[0] + parts[1]) == whole


@given(first=numbers, second=numbers)
def test_rounded_statistics_add_up_exactly_too(first: list[float], second: list[float]) -> None:
    def of(values: list[float]) -> ColumnStatistics:
        return ColumnStatistics.of_numbers(np.array(values, np.float64))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY_VALUES", 5)
        merged, whole = of(first) + of(second), of(first + second)

    assert merged == whole
    assert whole.rounded == (len({v + 0.0 for v in first + second if np.isfinite(v)}) > 5)


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    share=st.floats(0, 1),
)
def test_means_and_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    found = ColumnStatistics.of_numbers(np.array(values))

    scale = max(1.0, np.abs(values).max())
    assert found.mean() == pytest.approx(np.mean(values), abs=1e-12 * scale)
    assert found.standard_deviation() == pytest.approx(np.std(values), abs=1e-7 * scale)
    assert found.quantile(share) == pytest.approx(np.quantile(values, share), abs=1e-9 * scale)


def test_huge_values_overflow_nothing() -> None:
    found = ColumnStatistics.of_numbers(np.array([1.7e308, -1.7e308, 1.7e308]))

    assert np.isfinite([found.mean(), found.standard_deviation(), found.quantile(0.3)]).all()


def test_gaps_and_infinities_are_counted_apart() -> None:
    found = ColumnStatistics.of_numbers(np.array([1.0, np.nan, np.inf, -np.inf, 1.0]))

    assert (found.n_missing, found.n_infinite, found.n_present) == (1, 2, 2)
    assert found.n_gaps == 3


def test_whole_floats_are_the_same_categories_as_integers() -> None:
    integers = of_categories([1, 2, 2], pa.int64())
    floats = of_categories([1.0, None, 2.0, 2.0], pa.float64())

    assert floats == of_categories([2, 1, None, 2], pa.int64())
    assert (integers + floats).counts.tolist() == [2, 4]


def test_parts_of_different_kinds_do_not_add_up() -> None:
    with pytest.raises(ColumnTypeError, match="one part of a column"):
        of_categories(["a"], pa.string()) + of_categories([1], pa.int64())


def example(n_rows: int = 200, seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "State": generator.choice(["HE", "BY", None], n_rows),
            "Store": generator.integers(0, 40, n_rows),
            "Sales": generator.normal(size=n_rows),
            "Open": generator.random(n_rows) < 0.5,
            "Date": np.datetime64("2015-01-30", "s") + generator.integers(0, 10**7, n_rows),
        }
    )
    frame.loc[::7, "Sales"] = np.nan
    return pa.Table.from_pandas(frame)


@given(cuts=st.lists(st.integers(0, 200), max_size=4))
def test_any_cut_of_a_table_adds_up_to_the_whole(cuts: list[int]) -> None:
    table = example()
    schema = infer_schema(table, roles={"State": Role.CATEGORICAL})
    bounds = [0, *sorted(cuts), 200]

    total = TableStatistics.of(table.slice(0, 0), schema)
    for start, end in itertools.pairwise(bounds):
        total = total + TableStatistics.of(table.slice(start, end - start), schema)

    assert total == TableStatistics.of(table, schema)


def test_statistics_survive_the_disk(tmp_path: Path) -> None:
    table = example()
    statistics = TableStatistics.of(table, infer_schema(table))

    statistics.save(tmp_path / "part.arrow")

    assert TableStatistics.load(tmp_path / "part.arrow") == statistics


@pytest.mark.parametrize("keep", [0, 100, 0.5, -8])
def test_a_damaged_file_is_an_artifact_error(tmp_path: Path, keep: float) -> None:
    table, path = example(), tmp_path / "part.arrow"
    TableStatistics.of(table, infer_schema(table)).save(path)
    content = path.read_bytes()

    path.write_bytes(content[: int(keep * len(content)) if keep == 0.5 else int(keep)])

    with pytest.raises(ArtifactError, match=r"part\.arrow"):
        TableStatistics.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.arrow"):
        TableStatistics.load(tmp_path / "none.arrow")


def test_statistics_of_other_columns_do_not_add_up() -> None:
    one, other = pa.table({"a": [1.5, 2.5]}), pa.table({"b": [1.5, 2.5]})

    with pytest.raises(DataError, match=r"\['a', 'b'\]"):
        TableStatistics.of(one, infer_schema(one)) + TableStatistics.of(other, infer_schema(other))
