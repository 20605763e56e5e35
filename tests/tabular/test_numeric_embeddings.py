"""Numeric embeddings: bins are sound, encodings equal slow references, both roads agree."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from torch import Tensor

from tabtext.errors import DataError, ParameterError
from tabtext.tabular import numeric_embeddings as module
from tabtext.tabular.numeric_embeddings import (
    PeriodicEmbeddings,
    PiecewiseLinearEmbeddings,
    PiecewiseLinearEncoding,
    quantile_bin_edges,
    tree_bin_edges,
)

EDGES = [np.array([-1.0, 0.5, 2.0, 2.5]), np.array([0.0, 1.0]), np.array([-3.0, 0.0, 4.0])]

finite_tables = numpy_strategies.arrays(
    np.float32,
    st.tuples(st.integers(1, 60), st.integers(1, 4)),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)


def encoded_slowly(edges: npt.NDArray[np.floating], value: float) -> list[float]:
    """The paper's formula, one bin at a time, with values outside moved to the nearest edge."""
    shares = []
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        if value <= left:
            shares.append(0.0)
        elif value >= right:
            shares.append(1.0)
        else:
            shares.append((value - left) / (right - left))
    return shares


def some_values(rows: int = 50) -> Tensor:
    """Values inside and outside the bins, and on every edge."""
    random = np.random.default_rng(0).uniform(-4, 5, size=(rows, 3))
    on_edges = [[edge] * 3 for edges in EDGES for edge in edges]
    return torch.as_tensor(np.vstack([random, on_edges]))


# --- bins -----------------------------------------------------------------------------


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


# --- piecewise linear -----------------------------------------------------------------


def test_the_encoding_equals_the_papers_formula_exactly() -> None:
    encoding = PiecewiseLinearEncoding(EDGES).double()
    values = some_values()

    encoded = encoding(values)

    expected = np.zeros((len(values), 3, 3))
    for row, column in np.ndindex(*values.shape):
        shares = encoded_slowly(EDGES[column], values[row, column].item())
        expected[row, column, : len(shares)] = shares
    np.testing.assert_array_equal(encoded.numpy(), expected)


def test_values_outside_the_bins_are_encoded_like_the_edges() -> None:
    encoding = PiecewiseLinearEncoding(EDGES)

    outside = encoding(torch.tensor([[-99.0, -99.0, -99.0], [99.0, 99.0, 99.0]]))
    edges = encoding(torch.tensor([[-1.0, 0.0, -3.0], [2.5, 1.0, 4.0]]))

    assert torch.equal(outside, edges)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernels_and_torch_agree(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    embeddings = PiecewiseLinearEmbeddings(EDGES, width=4).to(dtype)
    values = some_values().to(dtype)
    direction = torch.randn(len(values), 12, dtype=dtype)
    parameters = list(embeddings.parameters())

    by_kernels = embeddings(values)
    by_torch = embeddings(values.clone().requires_grad_())  # asks for what the kernels cannot give

    torch.testing.assert_close(by_kernels, by_torch)
    torch.testing.assert_close(
        torch.autograd.grad(by_kernels, parameters, direction),
        torch.autograd.grad(by_torch, parameters, direction),
        rtol=1e-5 if dtype == torch.float32 else 1e-12,
        atol=1e-5 if dtype == torch.float32 else 1e-12,
    )


def test_the_embedding_equals_a_linear_layer_over_the_encoding() -> None:
    torch.manual_seed(0)
    embeddings = PiecewiseLinearEmbeddings(EDGES, width=4).double()
    values = some_values()

    vectors = embeddings(values)

    for row in range(len(values)):
        for column, edges in enumerate(EDGES):
            shares = torch.tensor(encoded_slowly(edges, values[row, column].item())).double()
            weight = embeddings.weight[column, : len(shares)]
            expected = torch.relu(shares @ weight + embeddings.bias[column])
            got = vectors[row, 4 * column : 4 * column + 4]
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_gradcheck_passes_on_the_kernels_road() -> None:
    torch.manual_seed(0)
    embeddings = PiecewiseLinearEmbeddings(EDGES, width=2).double()
    values = some_values(8)

    def forward(weight: Tensor, bias: Tensor) -> Tensor:
        replaced = {"weight": weight, "bias": bias}
        return torch.func.functional_call(embeddings, replaced, (values,))

    inputs = tuple(
        parameter.detach().clone().requires_grad_()
        for parameter in (embeddings.weight, embeddings.bias)
    )
    assert torch.autograd.gradcheck(forward, inputs)


def test_padding_gets_no_gradient() -> None:
    embeddings = PiecewiseLinearEmbeddings(EDGES, width=4)

    embeddings(some_values().float()).sum().backward()

    assert embeddings.weight.grad is not None
    assert not embeddings.weight.grad[1, 1:].any()  # the indicator has one bin of three


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[1.0]], "column 0 must be at least two finite numbers"),
        ([[0.0, 1.0], [0.0, np.nan]], "column 1 must be at least two finite numbers"),
        ([[0.0, 1.0, 1.0]], "column 0 must increase strictly"),
        ([[0.0, 1.0, 1.0 + 1e-12]], "in single precision"),
        ([], "bin_edges is empty"),
    ],
)
def test_unsound_edges_are_refused(edges: list[list[float]], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        PiecewiseLinearEncoding(edges)


def test_values_of_a_wrong_shape_are_refused() -> None:
    for embeddings in (PiecewiseLinearEmbeddings(EDGES), PeriodicEmbeddings(3)):
        with pytest.raises(ParameterError, match=r"must have the shape \(batch_size, 3\)"):
            embeddings(torch.zeros(5, 2))


# --- both -----------------------------------------------------------------------------


def test_the_periodic_embedding_equals_its_formula() -> None:
    torch.manual_seed(0)
    embeddings = PeriodicEmbeddings(2, width=3, n_frequencies=5).double()
    values = torch.randn(7, 2, dtype=torch.float64)

    vectors = embeddings(values)

    for column in range(2):
        angles = 2 * torch.pi * embeddings.frequencies[column] * values[:, column : column + 1]
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)
        expected = torch.relu(waves @ embeddings.weight[column] + embeddings.bias[column])
        torch.testing.assert_close(vectors[:, 3 * column : 3 * column + 3], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_columns": 0}, "n_columns"),
        ({"n_columns": 1, "width": 0}, "width"),
        ({"n_columns": 1, "n_frequencies": 0}, "n_frequencies"),
        ({"n_columns": 1, "frequency_scale": 0.0}, "frequency_scale"),
    ],
)
def test_periodic_refuses_wrong_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        PeriodicEmbeddings(**arguments)


@pytest.mark.parametrize("kind", ["piecewise", "periodic"])
def test_compiled_bfloat16_and_autocast_forwards_agree(kind: str) -> None:
    torch.manual_seed(0)
    embeddings = PiecewiseLinearEmbeddings(EDGES) if kind == "piecewise" else PeriodicEmbeddings(3)
    values = some_values().float()
    expected = embeddings(values)

    compiled = torch.compile(embeddings, fullgraph=True, backend="eager")(values)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = embeddings(values)

    torch.testing.assert_close(compiled, expected)
    torch.testing.assert_close(under_autocast.float(), expected, rtol=0.05, atol=0.05)
