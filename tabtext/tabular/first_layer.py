"""A network's first linear layer over the embeddings of a table, without the embeddings.

``sum over columns of vector(code) @ weight`` is a sum of rows of tables that are made beforehand:
one for every column, or for several small columns together, for each combination of their codes.
What gets no table, numbers above all, is embedded and multiplied as ever.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular.models import TabularEncoder
from tabtext.tabular.numeric_embeddings import PiecewiseLinearEmbeddings

__all__ = ["FirstLayer"]

_MOST_BYTES = 1 << 26
"""Of a table: 16,000 categories at 1,024 units. A column with more is looked up and multiplied."""

_MOST_TOGETHER = 256
"""Rows of a table for several columns: few enough to stay in the processor's cache."""

_FEW_ROWS = 512
"""So many are not worth another thread."""


class FirstLayer(nn.Module):
    """Embeddings and the linear layer behind them, in evaluation, as one lookup and one product.

    **Shape**

    - Input: ``(rows, n_categorical)``, any integer dtype, and ``(rows, n_continuous)``, finite.
    - Output: ``(rows, units)``.

    Parameters
    ----------
    encoder : TabularEncoder
        Its embeddings are read now, and not looked at again.
    weight : Tensor of shape (encoder.width, units)
    bias : Tensor of shape (units,)
    """

    def __init__(self, encoder: TabularEncoder, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        if encoder.scales is not None:
            weight = encoder.scales(weight.t()).t()
        embeddings = encoder.categorical
        widths = [] if embeddings is None else embeddings.widths
        own = torch.split(weight, [*widths, len(weight) - sum(widths)])
        self.tables: _Tables | None = None
        self.others: list[tuple[int, Tensor]] = []
        multiplied = []
        if embeddings is not None:
            small: dict[int, Tensor] = {}
            for column, cardinality in enumerate(embeddings.cardinalities):
                vectors = embeddings.table(column).detach()
                if 4 * cardinality * weight.shape[1] <= _MOST_BYTES:
                    small[column] = vectors @ own[column]
                else:
                    self.others.append((column, vectors.clone()))
                    multiplied.append(own[column])
            self.tables = _Tables.of(small, bias) if small else None
        self.bias = bias
        self.numbers: Callable[[Tensor], Tensor] = encoder.numbers
        if isinstance(encoder.numeric, PiecewiseLinearEmbeddings):
            self.numbers = partial(encoder.numeric.between, encoder.numeric.knots().detach())
        self.weight = torch.cat([*multiplied, own[-1]]).contiguous()

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return the layer's units."""
        if self.tables is None:
            units = self.bias.repeat(len(categorical), 1)
        else:
            units = self.tables.units(categorical)
        if not len(self.weight):
            return units
        vectors = [table[categorical[:, column].long()] for column, table in self.others]
        numbers = self.numbers(continuous)
        features = torch.cat([*vectors, numbers], dim=1) if vectors else numbers
        return units.addmm_(features, self.weight)


@dataclass(frozen=True)
class _Tables:
    """Tables one behind the other, and which column counts how much for the place in which."""

    columns: NDArray[np.int64]
    cardinalities: NDArray[np.int64]
    table: NDArray[np.int64]
    stride: NDArray[np.int64]
    start: NDArray[np.int64]
    rows: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def of(cls, tables: dict[int, Tensor], bias: Tensor) -> "_Tables":
        """Put tables together, column -> ``(cardinality, units)``, small ones multiplied out."""
        columns = list(tables)
        table, stride = np.zeros(len(columns), np.int64), np.zeros(len(columns), np.int64)
        blocks: list[Tensor] = []
        for number, members in enumerate(_together([len(tables[c]) for c in columns])):
            block = bias.new_zeros(1, len(bias))
            for member in members:
                table[member], stride[member] = number, len(block)
                block = (tables[columns[member]].unsqueeze(1) + block).flatten(0, 1)
            blocks.append(block)
        sizes = [len(block) for block in blocks]
        return cls(
            np.array(columns),
            np.array([len(tables[column]) for column in columns]),
            table,
            stride,
            np.cumsum([0, *sizes[:-1]]),
            torch.cat(blocks).numpy(),
            bias.detach().numpy(),
        )

    def units(self, categorical: Tensor) -> Tensor:
        """Return ``(rows, units)``, with the bias."""
        codes = categorical.numpy()
        if len(self.columns) < codes.shape[1]:
            codes = codes[:, self.columns]
        # Not by torch.empty, whose type and place are what a caller may have set as the default.
        out = np.empty((len(codes), len(self.bias)), self.bias.dtype)
        n_threads = torch.get_num_threads() if len(codes) > _FEW_ROWS else 1
        if n_threads == 1:
            self._write(codes, out)
        else:
            shares = np.array_split(codes, n_threads), np.array_split(out, n_threads)
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(self._write, *shares))
        return torch.from_numpy(out)

    def _write(self, codes: NDArray[np.integer], out: NDArray[np.float32]) -> None:
        from tabtext.tabular.kernels.first_layer import add_table_rows

        bad = add_table_rows(
            codes,
            self.cardinalities,
            self.table,
            self.stride,
            self.start,
            self.rows,
            self.bias,
            out,
        )
        if bad >= 0:
            row, place = divmod(bad, codes.shape[1])
            raise ParameterError(
                f"categorical column {self.columns[place]} holds the code {codes[row, place]}; its "
                f"codes run from 0 to {self.cardinalities[place] - 1}. Encode the data with the "
                "preprocessor that the model was built for."
            )


def _together(cardinalities: Sequence[int]) -> list[list[int]]:
    """Which columns share a table, the smallest first, as long as all combinations are few."""
    groups: list[list[int]] = []
    for column in np.argsort(cardinalities, kind="stable").tolist():
        size = math.prod(cardinalities[member] for member in groups[-1]) if groups else math.inf
        if size * cardinalities[column] <= _MOST_TOGETHER:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups
