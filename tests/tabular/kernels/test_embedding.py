"""The embedding kernels against the plain Python that their docstrings give, exactly."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.tabular.kernels import embedding

FLOATS = (np.float32, np.float64)


@st.composite
def lookups(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Draw tables of several shapes, flat in one weight, and codes into them."""
    shapes = draw(
        st.lists(st.tuples(st.integers(2, 9), st.integers(1, 12)), min_size=1, max_size=5)
    )
    cardinalities, widths = np.array(shapes, np.int64).T.copy()
    sizes = cardinalities * widths
    rows = draw(st.integers(0, 12))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from(FLOATS))
    return {
        "weight": random.normal(size=sizes.sum()).astype(dtype),
        "codes": random.integers(0, cardinalities, size=(rows, len(shapes))),
        "starts": np.cumsum(sizes) - sizes,
        "cardinalities": cardinalities,
        "widths": widths,
        "gradient": random.normal(size=rows * widths.sum()).astype(dtype),
    }


def tables_of(drawn: dict[str, np.ndarray], weight: np.ndarray) -> list[np.ndarray]:
    """Return each column's table as a view of the flat weight."""
    shapes = zip(drawn["cardinalities"], drawn["widths"], strict=True)
    return [
        weight[start : start + cardinality * width].reshape(cardinality, width)
        for start, (cardinality, width) in zip(drawn["starts"], shapes, strict=True)
    ]


@given(lookups())
def test_a_lookup_copies_each_codes_vector(drawn: dict[str, np.ndarray]) -> None:
    out = np.empty_like(drawn["gradient"])
    names = ("weight", "codes", "starts", "cardinalities", "widths")

    bad = embedding.gather_tables(*(drawn[name] for name in names), out)

    tables = tables_of(drawn, drawn["weight"])
    expected = [
        value
        for row in drawn["codes"]
        for table, code in zip(tables, row, strict=True)
        for value in table[code]
    ]
    assert bad == -1
    assert out.tolist() == expected


@given(lookups())
def test_its_gradient_is_added_in_the_order_of_the_rows(drawn: dict[str, np.ndarray]) -> None:
    out = np.zeros_like(drawn["weight"])
    names = ("gradient", "codes", "starts", "widths")

    embedding.scatter_tables(*(drawn[name] for name in names), out)

    expected = np.zeros_like(drawn["weight"])
    tables = tables_of(drawn, expected)
    parts = np.split(drawn["gradient"], np.cumsum(np.tile(drawn["widths"], len(drawn["codes"]))))
    for place, code in enumerate(drawn["codes"].flatten()):
        tables[place % len(tables)][code] += parts[place]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("code", "place"), [(-1, 3), (4, 3), (2**40, 3)])
def test_the_first_code_out_of_range_is_found(code: int, place: int) -> None:
    codes = np.array([[1, 2], [0, code], [99, 99]])
    cardinalities, widths = np.array([2, 4]), np.array([1, 1])
    weight, out = np.zeros(6), np.empty(6)

    bad = embedding.gather_tables(weight, codes, np.array([0, 2]), cardinalities, widths, out)

    assert bad == place


@st.composite
def interpolations(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Draw edges (padded with the last one), knots and values in and around the bins."""
    bins = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)), np.int64)
    random = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from(FLOATS))
    width, rows = draw(st.integers(1, 9)), draw(st.integers(0, 12))
    edges = np.sort(random.permuted(np.tile(np.arange(-8, 8), (len(bins), 1)), axis=1))
    edges = edges[:, : bins.max() + 1].astype(dtype)
    for column, count in enumerate(bins):
        edges[column, count + 1 :] = edges[column, count]
    values = random.uniform(-10, 10, size=(rows, len(bins)))
    on_an_edge = random.random(values.shape) < 0.3
    return {
        "values": np.where(on_an_edge, values.round(), values).astype(dtype),
        "edges": edges,
        "bins": bins,
        "knots": random.normal(size=(len(bins), edges.shape[1], width)).astype(dtype),
        "gradient": random.normal(size=(rows, len(bins), width)).astype(dtype),
    }


def place_of(edges: np.ndarray, n_bins: int, value: np.floating) -> tuple[int, np.floating]:
    """Return the bin of a value and how far it fills it."""
    pairs = itertools.pairwise(edges[: n_bins + 1])
    bin_ = max((k for k, (left, _) in enumerate(pairs) if left <= value), default=0)
    fraction = (value - edges[bin_]) / (edges[bin_ + 1] - edges[bin_])
    return bin_, min(max(fraction, edges.dtype.type(0)), edges.dtype.type(1))


@given(interpolations())
def test_values_are_interpolated_between_their_knots(drawn: dict[str, np.ndarray]) -> None:
    values, edges, knots = drawn["values"], drawn["edges"], drawn["knots"]
    positions, fractions = np.empty(values.shape, np.int64), np.empty_like(values)
    out = np.empty_like(drawn["gradient"])

    embedding.gather_knots(
        values, edges, drawn["bins"], knots.ravel(), positions, fractions, out.reshape(-1)
    )

    for row, column in np.ndindex(*values.shape):
        bin_, fraction = place_of(edges[column], drawn["bins"][column], values[row, column])
        left, right = knots[column, bin_], knots[column, bin_ + 1]
        assert fractions[row, column] == fraction
        assert positions[row, column] == (column * edges.shape[1] + bin_) * knots.shape[2]
        np.testing.assert_array_equal(out[row, column], left + fraction * (right - left))


@given(interpolations())
def test_their_gradient_goes_to_both_knots_by_share(drawn: dict[str, np.ndarray]) -> None:
    values, edges, knots = drawn["values"], drawn["edges"], drawn["knots"]
    positions, fractions = np.empty(values.shape, np.int64), np.empty_like(values)
    expected = np.zeros_like(knots)
    for row, column in np.ndindex(*values.shape):
        bin_, fraction = place_of(edges[column], drawn["bins"][column], values[row, column])
        positions[row, column] = (column * edges.shape[1] + bin_) * knots.shape[2]
        fractions[row, column] = fraction
        change = fraction * drawn["gradient"][row, column]
        expected[column, bin_] += drawn["gradient"][row, column] - change
        expected[column, bin_ + 1] += change
    out = np.zeros_like(knots)

    embedding.scatter_knots(
        drawn["gradient"].ravel(), positions, fractions, knots.shape[2], out.reshape(-1)
    )

    np.testing.assert_array_equal(out, expected)
