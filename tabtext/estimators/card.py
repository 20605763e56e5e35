"""The card of a fitted model: what it was given, what was done, how well it does."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from torch import nn

__all__ = ["count_parameters", "installed_versions", "missing_shares"]


def missing_shares(table: pa.Table) -> dict[str, float]:
    """Return the share of missing values of every column that has some.

    Examples
    --------
    >>> missing_shares(pa.table({"State": ["HE", None], "Sales": [1.0, 2.0]}))
    {'State': 0.5}
    """
    shares = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        n_missing = column.null_count
        if pa.types.is_floating(column.type):
            n_missing += pc.sum(pc.is_nan(column)).as_py() or 0
        if n_missing:
            shares[name] = n_missing / table.num_rows
    return shares


def installed_versions() -> Mapping[str, Any]:
    """Return the versions of the libraries that the result depends on."""
    from tabtext import __version__

    names = ("torch", "numpy", "pandas", "pyarrow", "scikit-learn")
    return {"tabtext": __version__, **{name: version(name) for name in names}}


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers training adjusts.

    Examples
    --------
    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
