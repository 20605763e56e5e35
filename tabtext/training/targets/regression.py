"""Targets that are quantities, with transforms and their inverse."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import DataError, ParameterError
from tabtext.training.targets.columns import read_numbers

__all__ = ["RegressionTarget", "Transform"]

Transform = Literal["none", "standard", "log", "log1p"]


@dataclass(frozen=True)
class RegressionTarget:
    """One or several quantities per row.

    Parameters
    ----------
    columns : tuple of str
        The target columns.
    transform : {"none", "standard", "log", "log1p"}
        What the network predicts: the quantity as it is; with mean 0 and deviation 1; or its
        logarithm (of itself, or of one more), again with mean 0 and deviation 1. With a logarithm
        errors are relative, and predictions are nearer to the median than to the mean.
    y_range : pair of float or None
        Predictions stay inside these bounds, by a scaled sigmoid.
    center, scale : tuple of float
        Mean and deviation of each column, after the logarithm.
    lowest, highest : tuple of float
        Predictions of each column are cut to this span; empty where they are not.

    Examples
    --------
    >>> table = pa.table({"Sales": [10.0, 1000.0]})
    >>> target = RegressionTarget.fit(table, transform="log")
    >>> target.encode(table).ravel().tolist()
    [-1.0, 1.0]
    >>> target.decode(torch.tensor([[0.0]]))
    array([100.])
    """

    columns: tuple[str, ...]
    transform: Transform = "standard"
    y_range: tuple[float, float] | None = None
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()
    task = "regression"
    loss = "squared_error"

    @classmethod
    def fit(
        cls,
        table: pa.Table,
        *,
        transform: Transform = "standard",
        y_range: tuple[float, float] | None = None,
        span: pa.Table | None = None,
    ) -> Self:
        """Learn mean and deviation from the training rows.

        Parameters
        ----------
        table : pyarrow.Table
            The target columns of the training rows.
        transform, y_range
            As above.
        span : pyarrow.Table, optional
            Rows whose lowest and highest targets predictions are cut to.

        Raises
        ------
        DataError
            If there is no value, one is infinite, too small for the logarithm, or outside
            ``y_range``.
        ColumnTypeError
            If a column holds no numbers.
        ParameterError
            If ``transform`` or ``y_range`` is wrong.
        """
        if transform not in ("none", "standard", "log", "log1p"):
            raise ParameterError(
                f"target_transform={transform!r} is not one of none, standard, log, log1p"
            )
        columns = tuple(table.column_names)
        zeros, ones = (0.0,) * len(columns), (1.0,) * len(columns)
        target = cls(columns, transform, _checked_range(y_range, transform), zeros, ones)
        values = target._transformed(target.truth(table), table)
        if span is not None:
            lowest, highest = _span(target, span)
            target = replace(target, lowest=lowest, highest=highest)
        if transform == "none":
            return target
        deviation = values.std(axis=0)
        # A constant target is legitimate: the network then learns the constant.
        scale = np.where(deviation > 0, deviation, 1.0)
        center = values.mean(axis=0)
        return replace(target, center=tuple(center.tolist()), scale=tuple(scale.tolist()))

    @property
    def names(self) -> list[str]:
        """The target columns."""
        return list(self.columns)

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one per column."""
        return len(self.columns)

    def truth(self, table: pa.Table) -> NDArray[np.float64]:
        """The quantities as they are, ``(rows, columns)``."""
        values = np.stack([read_numbers(table, name) for name in self.columns], axis=1)
        self._require(np.isfinite(values), values, "must be finite")
        return values

    def encode(self, table: pa.Table) -> NDArray[np.float32]:
        """What the network should say, ``(rows, columns)``."""
        values = self._transformed(self.truth(table), table)
        scaled = (values - np.array(self.center)) / np.array(self.scale)
        return np.asarray(scaled, np.float32)

    def activate(self, raw: Tensor) -> Tensor:
        """What the loss compares with encoded targets: raw outputs, or a scaled sigmoid of them."""
        if self.y_range is None:
            return raw
        start, width = _bounds(self, raw.dtype, raw.device)
        return start + width * raw.sigmoid()

    def combine(self, raws: Sequence[Tensor]) -> Tensor:
        """Mean of several predictions' raw outputs: after a logarithm, a geometric mean."""
        return torch.stack([raw.double() for raw in raws]).mean(dim=0)

    def predicted(self, raw: Tensor) -> Tensor:
        """What ``outputs`` returns, as a tensor of float64: for who exports it with a network."""
        scale, center = _doubles(self.scale), _doubles(self.center)
        values = self.activate(raw.double()) * scale + center
        if self.transform == "log":
            values = values.exp()
        elif self.transform == "log1p":
            values = values.expm1()
        if self.lowest:
            values = values.maximum(_doubles(self.lowest)).minimum(_doubles(self.highest))
        return values if self.y_range is None else values.clamp(*self.y_range)

    def outputs(self, raw: Tensor) -> NDArray[np.float64]:
        """Quantities in the user's units ``(rows, columns)``."""
        return self.predicted(raw).numpy()

    def decode(self, raw: Tensor) -> NDArray[np.float64]:
        """Quantities in the user's units: ``(rows,)`` for one column, else ``(rows, columns)``."""
        values = self.outputs(raw)
        return values[:, 0] if len(self.columns) == 1 else values

    def forward(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of quantities, or what else the network learns of them, before scaling."""
        if self.transform == "log":
            return np.log(values)
        return np.log1p(values) if self.transform == "log1p" else values

    def inverse(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantities whose ``forward`` the values are."""
        if self.transform == "log":
            return np.exp(values)
        return np.expm1(values) if self.transform == "log1p" else values

    def to_dict(self) -> dict[str, Any]:
        """Return the target as values that JSON can hold."""
        return {"task": self.task, **asdict(self)}

    def _transformed(self, values: NDArray[np.float64], table: pa.Table) -> NDArray[np.float64]:
        if not table.num_rows:
            raise DataError(f"target {self.columns[0]!r} has no value; there is nothing to learn")
        if self.transform == "log":
            self._require(values > 0, values, "must be greater than 0 for target_transform='log'")
        if self.transform == "log1p":
            self._require(values > -1, values, "must be greater than -1 for 'log1p'")
        if self.y_range is not None:
            low, high = self.y_range
            self._require((values >= low) & (values <= high), values, f"leaves y_range {low, high}")
        return self.forward(values)

    def _require(self, fine: NDArray[np.bool_], values: NDArray[np.float64], rule: str) -> None:
        if not fine.all():
            row, column = np.argwhere(~fine)[0]
            raise DataError(
                f"target {self.columns[column]!r} is {values[row, column]} in row {row} "
                f"({int((~fine).sum())} such values) and {rule}"
            )


def _span(target: RegressionTarget, table: pa.Table) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lowest and highest finite value of each target column."""
    columns = [read_numbers(table, name) for name in target.columns]
    finite = [column[np.isfinite(column)] for column in columns]
    return (
        tuple(float(column.min()) for column in finite),
        tuple(float(column.max()) for column in finite),
    )


def _doubles(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@lru_cache(maxsize=32)  # a copy to a GPU in every step would wait for it
def _bounds(
    target: RegressionTarget, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Lower end and width of ``y_range`` as the network sees it, for every column."""
    low, high = (
        (target.forward(np.array([bound])) - np.array(target.center)) / np.array(target.scale)
        for bound in target.y_range or ()
    )
    return (
        torch.as_tensor(low, dtype=dtype, device=device),
        torch.as_tensor(high - low, dtype=dtype, device=device),
    )


def _checked_range(
    y_range: Sequence[float] | None, transform: Transform
) -> tuple[float, float] | None:
    if y_range is None:
        return None
    low, high = (float(bound) for bound in y_range)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ParameterError(f"y_range={y_range}: two finite numbers, the lower first")
    if (transform == "log" and low <= 0) or (transform == "log1p" and low <= -1):
        raise ParameterError(f"y_range={y_range} has no {transform} at its lower end")
    return low, high
