"""Columns of a table in the forms that the kernels read, made in parallel."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tabtext.progress import track
from tabtext.tabular.arrays import Indexed, as_floats
from tabtext.tabular.columns import Feature, read_features
from tabtext.tabular.schema import Role

__all__ = ["Prepared", "in_parallel", "prepare"]

_FEW_ROWS = 16_384

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Prepared:
    """Columns in the forms that the kernels read, by the name of their feature."""

    categorical: Mapping[str, Indexed]
    continuous: Mapping[str, NDArray[np.floating[Any]]]
    n_rows: int


def prepare(
    table: pa.Table, features: Sequence[Feature], dtypes: Mapping[str, str] | None = None
) -> Prepared:
    """Bring the features of a table into the forms that the kernels read.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    features : sequence of Feature
        What to read from them.
    dtypes : mapping of str to str, optional
        Arrow type of each column at the fit, where there was one.

    Raises
    ------
    UnknownColumnError, ColumnTypeError
        If a column is not there, or has an unusable type.
    """
    arrays = read_features(table, features, dtypes)
    categorical = [f.name for f in features if f.role is Role.CATEGORICAL]
    continuous = [f.name for f in features if f.role is Role.CONTINUOUS]
    indexed = in_parallel(lambda name: Indexed.of(arrays[name], name), categorical, table.num_rows)
    floats = in_parallel(lambda name: as_floats(arrays[name], name), continuous, table.num_rows)
    return Prepared(
        dict(zip(categorical, indexed, strict=True)),
        dict(zip(continuous, floats, strict=True)),
        table.num_rows,
    )


def in_parallel(
    function: Callable[[Item], Result], items: Collection[Item], n_rows: int
) -> list[Result]:
    """Apply a function that releases the GIL to all items; a small table is not worth threads."""
    if n_rows <= _FEW_ROWS:
        return [function(item) for item in items]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(function, items)
        return list(track(done, "preparing the table", total=len(items)))
