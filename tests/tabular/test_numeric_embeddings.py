"""Numeric embeddings: bins are sound, encodings equal slow references, both roads agree."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.tabular.numeric_embeddings import (
    PeriodicEmbeddings,
    PiecewiseLinearEmbeddings,
    PiecewiseLinearEncoding,
)

EDGES = [np.array([-1.0, 0.5, 2.0, 2.5]), np.array([0.0, 1.0]), np.array([-3.0, 0.0, 4.0])]


def encoded_slowly(edges: npt.NDArray[np.floating], value: float) -> list[float]:
    """The paper's formula, one bin at a time, with values outside moved to the nearest edge."""
    shares = []
    for left, right in itertools.pairwise(edges):
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


def test_the_gradient_of_the_values_is_the_slope_of_their_bin() -> None:
    embeddings = PiecewiseLinearEmbeddings(EDGES, width=1)
    values = torch.tensor([[0.0, 0.5, 1.0], [9.0, -1.0, -1.5]], requires_grad=True)

    encoded = embeddings.encoding(values)
    encoded.sum().backward()

    # One over the width of the bin that the value lies in; outside of all bins nothing changes.
    assert values.grad is not None
    torch.testing.assert_close(values.grad, torch.tensor([[1 / 1.5, 1, 1 / 4], [0, 0, 1 / 3]]))


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
