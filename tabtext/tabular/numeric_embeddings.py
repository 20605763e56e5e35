"""Numeric embeddings: a continuous value becomes a vector, so that a network can bend at will.

A batch ``(rows, columns)`` of finite values goes in; one vector per column comes out, side by side.
Two kinds, both from Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in
Tabular Deep Learning" (2022):

- *piecewise linear*: the column's range is cut into bins, from quantiles or from a decision tree on
  the target; a value fills the bins to its left with 1, its own bin in part, the others with 0.
- *periodic*: sines and cosines of learned frequencies.

Each is followed by a linear layer of its own per column and a ReLU (the paper's "Q-LR", "T-LR" and
"PLR"). No step loops over columns in Python. ``tabtext.tabular.bins`` chooses the bins.
"""

from collections.abc import Callable, Sequence
from math import pi
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tabtext.errors import ParameterError
from tabtext.tabular.embeddings import kernels_can_run

__all__ = [
    "PeriodicEmbeddings",
    "PiecewiseLinearEmbeddings",
    "PiecewiseLinearEncoding",
]

Floats = npt.NDArray[np.floating[Any]]
Edges = npt.NDArray[np.float32]

# ======================================================================================
# Piecewise linear
# ======================================================================================


class PiecewiseLinearEncoding(nn.Module):
    """Encode each value by how far it fills the bins of its column; nothing is learned.

    In a bin from ``a`` to ``b`` the value ``x`` gives ``(x - a) / (b - a)``, cut to 0...1. The
    paper lets the first and the last bin run on beyond the training range; here values outside are
    encoded like the nearest edge, because a network's answer to an extrapolated input is a guess
    that grows without bound. Columns with fewer bins than others are padded with zeros.

    **Shape**

    - Input: ``(batch_size, n_columns)``.
    - Output: ``(batch_size, n_columns, largest number of bins)``.

    Parameters
    ----------
    bin_edges
        The edges of each column, strictly increasing, at least two.

    Examples
    --------
    >>> encoding = PiecewiseLinearEncoding([np.array([0, 1, 3]), np.array([0, 10])])
    >>> encoding(torch.tensor([[2.0, 5.0], [-7.0, 99.0]]))
    tensor([[[1.0000, 0.5000],
             [0.5000, 0.0000]],
    <BLANKLINE>
            [[0.0000, 0.0000],
             [1.0000, 0.0000]]])
    """

    edges: Tensor  # (columns, largest number of bins + 1); the last edge is repeated as padding

    def __init__(self, bin_edges: Sequence[npt.ArrayLike]) -> None:
        super().__init__()
        columns = [_check_edges(edges, column) for column, edges in enumerate(bin_edges)]
        if not columns:
            raise ParameterError("bin_edges is empty: there is no column to encode")
        self.bin_counts = [len(edges) - 1 for edges in columns]
        longest = max(self.bin_counts) + 1
        padded = [np.pad(edges, (0, longest - len(edges)), mode="edge") for edges in columns]
        self.register_buffer("edges", torch.as_tensor(np.stack(padded)))

    def forward(self, continuous: Tensor) -> Tensor:
        """Return the encoding of a batch of finite values."""
        _check_continuous(continuous, len(self.bin_counts))
        left, right = self.edges[:, :-1], self.edges[:, 1:]
        inside = right > left
        # A padded bin has no width. Dividing by 0 there and hiding the result would not do: the
        # gradient of the hidden branch is 0 / 0, and NaN * 0 is NaN.
        widths = torch.where(inside, right - left, 1)
        share = (continuous.to(left.dtype).unsqueeze(-1) - left) / widths
        return torch.where(inside, share.clamp(0, 1), 0)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the parameters."""
        return f"bin_counts={self.bin_counts}"


class PiecewiseLinearEmbeddings(nn.Module):
    r"""Encode each value piecewise linearly, then apply a linear layer per column and a ReLU.

    **Shape**

    - Input: ``(batch_size, n_columns)``.
    - Output: ``(batch_size, n_columns * width)``.

    The linear layer over the encoding of one value *is* a piecewise linear function of the value:
    between two edges it runs straight from one *knot* to the next, and the weight of a bin is the
    step between its knots::

            knot 1 ______ knot 2          knot 0 = bias
                  /      \                knot k = bias + weight[0] + ... + weight[k - 1]
          knot 0 /        \ knot 3

    So on the CPU the encoding is never written out: a numba kernel finds each value's bin and
    interpolates between its two knots, which costs ``width`` operations per value instead of
    ``bins * width``. Elsewhere (see ``tabtext.tabular.embeddings``), or when a gradient of the
    values themselves is asked for, torch multiplies the encoding by the weights. The two roads
    agree up to rounding.

    Parameters
    ----------
    bin_edges
        The edges of each column, strictly increasing, at least two; see ``quantile_bin_edges`` and
        ``tree_bin_edges``.
    width
        Width of each column's vector.

    Examples
    --------
    >>> from tabtext.tabular.bins import quantile_bin_edges
    >>> values = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    >>> embeddings = PiecewiseLinearEmbeddings(quantile_bin_edges(values), width=4)
    >>> embeddings(torch.as_tensor(values)).shape
    torch.Size([100, 12])
    """

    def __init__(self, bin_edges: Sequence[npt.ArrayLike], width: int = 8) -> None:
        super().__init__()
        _check_width(width)
        self.encoding = PiecewiseLinearEncoding(bin_edges)
        n_columns, n_edges = self.encoding.edges.shape
        self.weight = nn.Parameter(torch.empty(n_columns, n_edges - 1, width))
        self.bias = nn.Parameter(torch.empty(n_columns, width))
        self._bins = np.asarray(self.encoding.bin_counts, np.int64)
        self.reset_parameters()

    @property
    def width(self) -> int:
        """Width of the output: all columns together."""
        return self.bias.numel()

    def reset_parameters(self) -> None:
        """Draw weights and biases uniformly from +-1/sqrt(bins), as the paper's code does."""
        for column, n_bins in enumerate(self.encoding.bin_counts):
            bound = n_bins**-0.5
            nn.init.uniform_(self.weight[column], -bound, bound)
            nn.init.uniform_(self.bias[column], -bound, bound)

    def forward(self, continuous: Tensor) -> Tensor:
        """Return the vectors of a batch of finite values."""
        if kernels_can_run(self.weight) and not continuous.requires_grad:
            return self.between(self.knots(), continuous)
        encoded = self.encoding(continuous).to(self.weight.dtype)  # (batch, columns, bins)
        products = torch.bmm(encoded.transpose(0, 1), self.weight)  # (columns, batch, width)
        vectors = (products + self.bias.unsqueeze(1)).transpose(0, 1).flatten(1)
        return nn.functional.relu(vectors)

    def knots(self) -> Tensor:
        """Return what the linear layers say at every edge, ``(columns, edges, width)``."""
        return torch.cat([self.bias.unsqueeze(1), self.weight], dim=1).cumsum(dim=1)

    def between(self, knots: Tensor, continuous: Tensor) -> Tensor:
        """Return the vectors of a batch by the kernels' road, from knots that are known."""
        _check_continuous(continuous, len(self._bins))
        values = continuous.to(knots.dtype).contiguous()
        return nn.functional.relu(_interpolate(knots, values, self.encoding.edges, self._bins))


class _Interpolate(torch.autograd.Function):
    """The kernels' road, forward and backward."""

    @staticmethod
    def forward(
        ctx: Any, knots: Tensor, values: Tensor, edges: Tensor, bins: npt.NDArray[np.int64]
    ) -> Tensor:
        from tabtext.tabular.kernels.embedding import gather_knots  # numba: only once needed

        width = knots.shape[2]
        out = knots.new_empty((values.shape[0], values.shape[1] * width))
        positions = torch.empty(values.shape, dtype=torch.int64)
        fractions = torch.empty_like(values)
        gather_knots(
            values.numpy(),
            edges.numpy(),
            bins,
            knots.detach().numpy().reshape(-1),
            positions.numpy(),
            fractions.numpy(),
            out.numpy().reshape(-1),
        )
        ctx.save_for_backward(positions, fractions)
        ctx.knots_shape = knots.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        from tabtext.tabular.kernels.embedding import scatter_knots

        positions, fractions = ctx.saved_tensors
        out = gradient.new_zeros(ctx.knots_shape)
        scatter_knots(
            gradient.contiguous().numpy().reshape(-1),
            positions.numpy(),
            fractions.numpy(),
            ctx.knots_shape[2],
            out.numpy().reshape(-1),
        )
        return out, None, None, None


_interpolate: Callable[[Tensor, Tensor, Tensor, npt.NDArray[np.int64]], Tensor]
_interpolate = _Interpolate.apply  # torch leaves it untyped


# ======================================================================================
# Periodic
# ======================================================================================


class PeriodicEmbeddings(nn.Module):
    """Take sines and cosines of learned frequencies, then a linear layer per column and a ReLU.

    For a value ``x`` and the column's frequencies ``c``: ``ReLU(Linear([cos 2 pi c x, sin 2 pi c
    x]))``. Scale the values to about unit deviation before.

    **Shape**

    - Input: ``(batch_size, n_columns)``.
    - Output: ``(batch_size, n_columns * width)``.

    Parameters
    ----------
    n_columns
        Number of continuous columns.
    width
        Width of each column's vector.
    n_frequencies
        Frequencies per column.
    frequency_scale
        Deviation of the initial frequencies: the parameter that matters most. Larger values fit
        finer detail, and noise.

    Examples
    --------
    >>> PeriodicEmbeddings(3, width=4)(torch.zeros(5, 3)).shape
    torch.Size([5, 12])
    """

    def __init__(
        self,
        n_columns: int,
        width: int = 8,
        *,
        n_frequencies: int = 24,
        frequency_scale: float = 0.1,
    ) -> None:
        super().__init__()
        if n_columns < 1:
            raise ParameterError(f"n_columns must be at least 1, however: {n_columns=}")
        if n_frequencies < 1:
            raise ParameterError(f"n_frequencies must be at least 1, however: {n_frequencies=}")
        if not frequency_scale > 0:
            raise ParameterError(f"frequency_scale must be positive, however: {frequency_scale=}")
        _check_width(width)
        self.frequency_scale = frequency_scale
        self.frequencies = nn.Parameter(torch.empty(n_columns, n_frequencies))
        self.weight = nn.Parameter(torch.empty(n_columns, 2 * n_frequencies, width))
        self.bias = nn.Parameter(torch.empty(n_columns, width))
        self.reset_parameters()

    @property
    def width(self) -> int:
        """Width of the output: all columns together."""
        return self.bias.numel()

    def reset_parameters(self) -> None:
        """Draw frequencies from a normal cut at three deviations, the rest as in the paper."""
        scale = self.frequency_scale
        nn.init.trunc_normal_(self.frequencies, std=scale, a=-3 * scale, b=3 * scale)
        bound = self.weight.shape[1] ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, continuous: Tensor) -> Tensor:
        """Return the vectors of a batch of finite values."""
        _check_continuous(continuous, len(self.frequencies))
        angles = (2 * pi) * self.frequencies.unsqueeze(1) * continuous.t().unsqueeze(-1)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)  # (columns, batch, 2 frequencies)
        vectors = torch.baddbmm(self.bias.unsqueeze(1), waves, self.weight)
        return nn.functional.relu(vectors.transpose(0, 1).flatten(1))


# ======================================================================================
# Checks
# ======================================================================================


def _check_continuous(continuous: Tensor, n_columns: int) -> None:
    if continuous.ndim != 2 or continuous.shape[1] != n_columns:
        raise ParameterError(
            f"continuous must have the shape (batch_size, {n_columns}), "
            f"however: {tuple(continuous.shape)}"
        )


def _check_width(width: int) -> None:
    if width < 1:
        raise ParameterError(f"width must be at least 1, however: {width=}")


def _check_edges(edges: npt.ArrayLike, column: int) -> Edges:
    array = np.asarray(edges, np.float32)
    if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
        raise ParameterError(
            f"bin_edges of column {column} must be at least two finite numbers, however: {edges!r}"
        )
    if not (np.diff(array) > 0).all():
        raise ParameterError(
            f"bin_edges of column {column} must increase strictly in single precision, "
            f"however: {edges!r}"
        )
    return array
