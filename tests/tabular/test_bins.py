"""Bins of continuous columns, from quantiles and from trees."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tabtext.errors import DataError, ParameterError
from tabtext.tabular import bins as module
from tabtext.tabular.bins import quantile_bin_edges, tree_bin_edges

finite_tables = numpy_strategies.arrays(
    np.float32,
    st.tuples(st.integers(1, 60), st.integers(1, 4)),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)


@given(continuous=finite_tables, n_bins=st.integers(1, 20))
def test_quantile_edges_increase_strictly_and_span_the_data(
    continuous: npt.NDArray[np.float32], n_bins: int
) -> None:
    for column, edges in zip(continuous.T, quantile_bin_edges(continuous, n_bins), strict=True):
        assert edges.dtype == np.float32
        assert 2 <= len(edges) <= n_bins + 1
        assert (np.diff(edges) > 0).all()
        assert edges[0] == column.min()
        assert edges[-1] >= column.max()


@settings(deadline=None)
@given(continuous=finite_tables, n_bins=st.integers(1, 20), classes=st.booleans())
def test_tree_edges_increase_strictly_and_span_the_data(
    continuous: npt.NDArray[np.float32], n_bins: int, classes: bool
) -> None:
    target = np.arange(len(continuous)) % 3
    given_target = target if classes else target.astype(np.float64)
    found = tree_bin_edges(continuous, given_target, n_bins=n_bins, min_rows_per_leaf=2)

    for column, edges in zip(continuous.T, found, strict=True):
        assert edges.dtype == np.float32
        assert 2 <= len(edges) <= n_bins + 1
        assert (np.diff(edges) > 0).all()
        assert edges[0] == column.min()
        assert edges[-1] >= column.max()


@pytest.mark.parametrize("kind", ["quantile", "tree"])
def test_indicators_and_constants_get_one_bin(kind: str) -> None:
    indicator = np.arange(400) % 2
    continuous = np.column_stack([indicator, np.full(400, 3.0), np.full(400, -1e10)])

    if kind == "quantile":
        found = quantile_bin_edges(continuous)
    else:
        found = tree_bin_edges(continuous, indicator)

    assert [edges.tolist() for edges in found] == [[0, 1], [3, 6], [-1e10, 0]]


def test_a_column_of_few_values_gets_them_as_quantile_edges() -> None:
    column = np.repeat([1.0, 2.0, 5.0, 9.0], [97, 1, 1, 1])

    assert quantile_bin_edges(column[:, None], n_bins=8)[0].tolist() == [1, 2, 5, 9]


def test_a_tree_finds_the_thresholds_that_quantiles_miss() -> None:
    random = np.random.default_rng(0)
    column = np.where(np.arange(10_000) < 9_000, 0, random.uniform(1, 1000, 10_000))
    target = (column > 712.0).astype(np.int64)

    by_tree = tree_bin_edges(column[:, None], target, n_bins=4)[0]
    by_quantile = quantile_bin_edges(column[:, None], n_bins=4)[0]

    assert np.abs(by_tree - 712).min() < 3
    assert np.abs(by_quantile - 712).min() > 100


def test_leaves_keep_their_smallest_size() -> None:
    column = np.arange(1000.0)
    target = np.sin(column / 20)

    edges = tree_bin_edges(column[:, None], target, n_bins=100, min_rows_per_leaf=50)[0]

    counts, _ = np.histogram(column, edges)
    assert counts.min() >= 50


def test_a_tree_takes_several_outputs_and_weights() -> None:
    column = np.arange(400.0)
    target = np.column_stack([column > 100, column > 300]).astype(np.float64)
    weight = np.where(column < 200, 1.0, 0.0)

    plain = tree_bin_edges(column[:, None], target, n_bins=3)[0]
    weighted = tree_bin_edges(column[:, None], target, n_bins=2, weight=weight)[0]

    assert plain.tolist() == [0, 100.5, 300.5, 399]
    assert weighted.tolist() == [0, 100.5, 399]


def test_large_data_is_cut_from_a_sample_but_spans_all_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_TREE_ROWS", 500)
    column = np.arange(20_000.0)
    target = column > 12_000

    first = tree_bin_edges(column[:, None], target, seed=1)[0]
    second = tree_bin_edges(column[:, None], target, seed=1)[0]

    assert first.tolist() == second.tolist()
    assert (first[0], first[-1]) == (0, 19_999)
    assert abs(first[1] - 12_000) < 400


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    continuous = np.zeros((10, 2))
    continuous[3, 1] = bad

    with pytest.raises(DataError, match="continuous column 1 holds values that are not finite"):
        quantile_bin_edges(continuous)


def test_bins_refuse_wrong_arguments() -> None:
    with pytest.raises(ParameterError, match="at least one row"):
        quantile_bin_edges(np.zeros((0, 2)))
    with pytest.raises(ParameterError, match="n_bins must be at least 1"):
        quantile_bin_edges(np.zeros((3, 2)), n_bins=0)
    with pytest.raises(ParameterError, match="one entry, or one row of outputs, per row"):
        tree_bin_edges(np.zeros((3, 2)), np.zeros(4))


@pytest.mark.parametrize("kind", ["quantile", "tree"])
def test_outliers_have_bins_of_their_own(kind: str) -> None:
    column = np.r_[np.linspace(0, 10, 1000), 60.0, -1e6]
    target = column > 5

    if kind == "quantile":
        edges = quantile_bin_edges(column[:, None], n_bins=5)[0]
    else:
        edges = tree_bin_edges(column[:, None], target, n_bins=5)[0]

    assert (edges[0], edges[-1]) == (-1e6, 60)
    assert -0.1 < edges[1] < 0.2
    assert 9.8 < edges[-2] < 10.1


def test_a_rare_value_of_an_indicator_is_no_outlier() -> None:
    indicator = np.arange(1000) == 500

    for found in (
        quantile_bin_edges(indicator[:, None]),
        tree_bin_edges(indicator[:, None], indicator),
    ):
        assert found[0].tolist() == [0, 1]
