"""Entity embeddings: every category of every column becomes a learned vector.

A batch of codes ``(rows, columns)`` goes in (0 missing, 1 unseen, 2... categories); the vectors of
all columns come out side by side. All tables live in ONE flat parameter: the lookup is one kernel
instead of one per column, and the optimizer walks over one tensor instead of over twenty.

There are two roads, equal bit for bit in what they return (``bench/embeddings.py`` compares them):

- *kernels* (numba), used on the CPU in single and double precision. They check every code on
  the way, which costs nothing measurable.
- *torch*, used everywhere else: other devices and dtypes, ``torch.compile``, ``torch.export``. Each
  element of the output is read from its position in the flat parameter in one gather. Codes are not
  checked here, because looking at them would make the host wait for the device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tabtext.dropout import Dropout
from tabtext.errors import ColumnTypeError, ParameterError

__all__ = ["EntityEmbeddings", "embedding_width", "kernels_can_run"]

UNSEEN, FIRST = 1, 2
"""The code of a category that did not occur in training, and the first code of one that did."""


def embedding_width(n_categories: int) -> int:
    """Return the width of an embedding by the usual rule, ``min(600, round(1.6 n^0.56))``.

    Parameters
    ----------
    n_categories
        Number of codes of the column, those for missing and unseen included.

    References
    ----------
    The fast.ai library's ``emb_sz_rule``, found by trial on many tables (Howard and Gugger,
    "fastai: A Layered API for Deep Learning", 2020).

    Examples
    --------
    >>> [embedding_width(n) for n in (4, 9, 1117, 1_000_000)]
    [3, 5, 81, 600]
    """
    if n_categories < 1:
        raise ParameterError(f"n_categories must be at least 1, however: {n_categories=}")
    return min(600, round(1.6 * math.pow(n_categories, 0.56)))


def kernels_can_run(weight: Tensor) -> bool:
    """Say whether the numba kernels may be used on this parameter: eager, on the CPU, real floats.

    Examples
    --------
    >>> kernels_can_run(torch.zeros(3)), kernels_can_run(torch.zeros(3, dtype=torch.bfloat16))
    (True, False)
    """
    if torch.compiler.is_compiling():
        return False
    return weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)


class EntityEmbeddings(nn.Module):
    """Look up the vectors of all categorical columns and lay them side by side.

    **Shape**

    - Input: ``(batch_size, n_columns)``, any integer dtype.
    - Output: ``(batch_size, sum(widths))``.

    The only entry of the state dict is ``weight``: the learned tables in the order of the columns,
    each row by row; ``table(column)`` gives one of them its shape back.

    Parameters
    ----------
    cardinalities
        Number of codes of each column, including code 0 (missing) and code 1 (unseen).
    widths
        Width of each column's vectors; None, as a whole or for one column, stands for
        ``embedding_width(cardinality)``.
    dropout
        Share of the output's elements set to zero in training. Default 0: on tables without
        high-cardinality columns it costs accuracy.
    unseen_rate
        Share of the known codes that each training batch replaces by 1 at random, so that the
        vector of unseen categories is trained as a blend of the known ones. Default 0.01: about
        what a small category gets, and too little to hurt the known ones.
    one_hot_up_to
        Columns with at most so many categories, missing and unseen not counted, get indicator
        vectors instead of learned ones, unless their width is given: 1 at the place of the code,
        those of missing and unseen included, and 0 elsewhere. Default 0: none.

    References
    ----------
    Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016.

    Examples
    --------
    >>> embeddings = EntityEmbeddings([5, 9], widths=[2, 3])
    >>> embeddings(torch.tensor([[2, 8], [0, 1], [4, 2]], dtype=torch.uint8)).shape
    torch.Size([3, 5])
    >>> embeddings.table(1).shape
    torch.Size([9, 3])
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        widths: Sequence[int | None] | None = None,
        *,
        dropout: float = 0.0,
        unseen_rate: float = 0.01,
        one_hot_up_to: int = 0,
    ) -> None:
        super().__init__()
        _check_cardinalities(cardinalities)
        _check_share("dropout", dropout)
        _check_share("unseen_rate", unseen_rate)
        self.cardinalities = [int(cardinality) for cardinality in cardinalities]
        self.one_hot = _one_hot_columns(self.cardinalities, widths, one_hot_up_to)
        self.widths = _complete_widths(self.cardinalities, widths, self.one_hot)
        self.dropout = Dropout(dropout)
        self.unseen_rate = unseen_rate
        self._layout = _Layout.of(self.cardinalities, self.widths, self.one_hot)
        indicators = [
            torch.eye(self.cardinalities[i]).flatten() for i in np.flatnonzero(self.one_hot)
        ]
        fixed = torch.cat(indicators) if indicators else torch.empty(0)
        self.weight = nn.Parameter(torch.empty(self._layout.size - len(fixed)))
        self.register_buffer("_indicators", fixed, persistent=False)
        for name, positions in self._layout.elements().items():
            self.register_buffer(name, torch.as_tensor(positions), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all tables from a normal distribution, deviation 0.01, cut at two deviations.

        That is fastai's choice: rare categories then start, and stay, close to having no effect.
        """
        nn.init.trunc_normal_(self.weight, std=0.01, a=-0.02, b=0.02)

    @property
    def width(self) -> int:
        """Width of the output: the sum of all columns' widths."""
        return sum(self.widths)

    def table(self, column: int) -> Tensor:
        """Return one column's table ``(cardinality, width)``, row = code.

        A learned table is a view of the weight; that of indicators is an identity matrix.
        """
        if not 0 <= column < len(self.widths):
            raise ParameterError(f"column must be in 0..{len(self.widths) - 1}, however: {column=}")
        shape = (self.cardinalities[column], self.widths[column])
        if self.one_hot[column]:
            return torch.eye(shape[0], dtype=self.weight.dtype, device=self.weight.device)
        start = int(self._layout.starts[column])
        return self.weight[start : start + math.prod(shape)].view(shape)

    def learned_widths(self) -> list[int | None]:
        """Return the width of each learned table, and None for columns of indicators."""
        pairs = zip(self.widths, self.one_hot, strict=True)
        return [None if one_hot else width for width, one_hot in pairs]

    def forward(self, codes: Tensor) -> Tensor:
        """Return the vectors of a batch of codes."""
        _check_codes(codes, len(self.cardinalities))
        codes = codes.to(torch.int64)
        if self.training and self.unseen_rate > 0:
            codes = _with_some_unseen(codes, self.unseen_rate)
        weight = self._all_tables()
        if kernels_can_run(weight):
            vectors = _lookup(weight, codes.contiguous(), self._layout)
        else:
            vectors = self._gather(weight, codes)
        dropped: Tensor = self.dropout(vectors)
        return dropped

    def _all_tables(self) -> Tensor:
        """The learned tables, and behind them those of indicators."""
        if not any(self.one_hot):
            return self.weight
        return torch.cat([self.weight, self.get_buffer("_indicators")])

    def _gather(self, weight: Tensor, codes: Tensor) -> Tensor:
        """Look up by torch alone: each output element is read from its place in the weight."""
        code_of_element = codes.index_select(1, self.get_buffer("_element_column"))
        places = torch.addcmul(
            self.get_buffer("_element_start"), code_of_element, self.get_buffer("_element_stride")
        )
        return weight.index_select(0, places.flatten()).view(places.shape)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the parameters."""
        return (
            f"cardinalities={self.cardinalities}, widths={self.widths}, "
            f"one_hot={self.one_hot}, unseen_rate={self.unseen_rate}"
        )


@dataclass(frozen=True)
class _Layout:
    """Where each column's table lies: in the flat parameter, or behind it if it is fixed."""

    cardinalities: npt.NDArray[np.int64]  # (columns,)
    widths: npt.NDArray[np.int64]  # (columns,)
    starts: npt.NDArray[np.int64]  # (columns,)
    size: int

    @classmethod
    def of(
        cls, cardinalities: Sequence[int], widths: Sequence[int], fixed: Sequence[bool]
    ) -> "_Layout":
        sizes = np.multiply(cardinalities, widths, dtype=np.int64)
        order = np.argsort(fixed, kind="stable")  # learned tables first, each in column order
        starts = np.empty_like(sizes)
        starts[order] = np.cumsum(sizes[order]) - sizes[order]
        return cls(
            cardinalities=np.asarray(cardinalities, np.int64),
            widths=np.asarray(widths, np.int64),
            starts=starts,
            size=int(sizes.sum()),
        )

    def elements(self) -> dict[str, npt.NDArray[np.int64]]:
        """For each element of an output row: its column, that column's start and row length.

        Element ``e`` of a row with codes ``k`` is ``weight[start[e] + k[column[e]] * stride[e]]``.
        """
        column = np.repeat(np.arange(len(self.widths)), self.widths)
        first = np.cumsum(self.widths) - self.widths
        within = np.arange(int(self.widths.sum())) - first[column]
        return {
            "_element_column": column,
            "_element_start": self.starts[column] + within,
            "_element_stride": self.widths[column],
        }


class _Lookup(torch.autograd.Function):
    """The kernels' road, forward and backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, codes: Tensor, layout: _Layout) -> Tensor:
        from tabtext.tabular.kernels.embedding import gather_tables  # numba: only once needed

        out = weight.new_empty((codes.shape[0], int(layout.widths.sum())))
        bad = gather_tables(
            weight.detach().numpy(),
            codes.numpy(),
            layout.starts,
            layout.cardinalities,
            layout.widths,
            out.numpy().reshape(-1),
        )
        if bad >= 0:
            row, column = divmod(bad, codes.shape[1])
            raise ParameterError(
                f"categorical column {column} holds the code {codes[row, column].item()} (row "
                f"{row} of the batch); its codes run from 0 to {layout.cardinalities[column] - 1}. "
                "Encode the data with the preprocessor that the model was built for."
            )
        ctx.save_for_backward(codes)
        ctx.layout = layout
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        from tabtext.tabular.kernels.embedding import scatter_tables

        (codes,) = ctx.saved_tensors
        layout: _Layout = ctx.layout
        out = gradient.new_zeros(layout.size)
        scatter_tables(
            gradient.contiguous().numpy().reshape(-1),
            codes.numpy(),
            layout.starts,
            layout.widths,
            out.numpy(),
        )
        return out, None, None


_lookup: Callable[[Tensor, Tensor, _Layout], Tensor] = _Lookup.apply  # torch leaves it untyped


def _with_some_unseen(codes: Tensor, rate: float) -> Tensor:
    """Replace each known code by ``UNSEEN`` with probability ``rate``, independently."""
    if codes.device.type != "cpu" or torch.compiler.is_compiling():
        chosen = torch.rand(codes.shape, device=codes.device) < rate
        return codes.masked_fill(chosen & (codes > UNSEEN), UNSEEN)
    # On the CPU one random number per code would take as long as the lookup. Throw a Poisson number
    # of darts instead: a code is hit at least once with probability `rate`, whatever else is hit.
    darts = torch.poisson(torch.tensor(-math.log1p(-rate) * codes.numel()))
    places = torch.randint(max(codes.numel(), 1), (int(darts),))
    codes = codes.clone(memory_format=torch.contiguous_format)
    flat = codes.view(-1)
    flat[places] = flat[places].clamp(max=UNSEEN)
    return codes


def _one_hot_columns(
    cardinalities: Sequence[int], widths: Sequence[int | None] | None, one_hot_up_to: int
) -> list[bool]:
    if one_hot_up_to < 0:
        raise ParameterError(f"one_hot_up_to must not be negative, however: {one_hot_up_to=}")
    given = [width is not None for width in widths or ()] or [False] * len(cardinalities)
    return [
        not has_width and 0 < cardinality - FIRST <= one_hot_up_to
        for cardinality, has_width in zip(cardinalities, given, strict=False)
    ]


def _complete_widths(
    cardinalities: Sequence[int], widths: Sequence[int | None] | None, one_hot: Sequence[bool]
) -> list[int]:
    if widths is None:
        widths = [None] * len(cardinalities)
    if len(widths) != len(cardinalities):
        raise ParameterError(
            f"widths must hold one entry per column, however: {len(widths)=}, {len(cardinalities)=}"
        )
    complete = [
        int(width) if width is not None else cardinality if fixed else embedding_width(cardinality)
        for cardinality, width, fixed in zip(cardinalities, widths, one_hot, strict=True)
    ]
    if any(width < 1 for width in complete):
        raise ParameterError(f"every width must be at least 1, however: {list(widths)}")
    return complete


def _check_cardinalities(cardinalities: Sequence[int]) -> None:
    if len(cardinalities) == 0:
        raise ParameterError("cardinalities is empty: there is no column to embed")
    if any(cardinality < 2 for cardinality in cardinalities):
        raise ParameterError(
            "every cardinality must be at least 2, because the codes for missing and unseen "
            f"count, however: {list(cardinalities)}"
        )


def _check_share(name: str, share: float) -> None:
    if not 0 <= share < 1:
        raise ParameterError(f"{name} must be in [0, 1), however: {name}={share}")


def _check_codes(codes: Tensor, n_columns: int) -> None:
    if codes.ndim != 2 or codes.shape[1] != n_columns:
        raise ParameterError(
            f"categorical must have the shape (batch_size, {n_columns}), "
            f"however: {tuple(codes.shape)}"
        )
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ColumnTypeError(f"categorical must hold integer codes, however: {codes.dtype=}")
