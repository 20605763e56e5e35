"""What a preprocessor tells of a table: roles, texts, infinite values, gaps new since training."""

import logging
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import TabTextWarning
from tabtext.tabular.encoders import CategoricalEncoder, ContinuousEncoder
from tabtext.tabular.prepared import Prepared
from tabtext.tabular.schema import Role, Schema

__all__ = [
    "columns_with_new_gaps",
    "log_columns",
    "warn_of_gaps",
    "warn_of_infinite",
    "warn_of_text",
]

_log = logging.getLogger(__name__)


def columns_with_new_gaps(
    prepared: Prepared,
    gaps: NDArray[np.int64],
    categorical: Sequence[CategoricalEncoder],
    continuous: Sequence[ContinuousEncoder],
) -> list[str]:
    """Return the columns with missing values that had none in training.

    Parameters
    ----------
    prepared : Prepared
        The rows.
    gaps : ndarray of int64, shape (len(continuous), 2)
        How many values of each continuous column are missing, and how many infinite.
    categorical, continuous : sequence of encoders
        What training had.
    """
    labels = [
        encoder.name
        for encoder in categorical
        if prepared.categorical[encoder.name].n_missing and not encoder.with_gaps
    ]
    numbers = [
        encoder.name
        for encoder, n_missing in zip(continuous, gaps[:, 0].tolist(), strict=True)
        if n_missing and not encoder.with_gaps
    ]
    return labels + numbers


def warn_of_gaps(names: Sequence[str], *, filled: str) -> None:
    """Warn of missing values in these columns, if any, and say what fills them."""
    if names:
        _warn(
            f"missing values in columns that had none at the fit: {', '.join(map(repr, names))}; "
            f"categories count as unseen, numbers are filled ({filled})"
        )


def warn_of_infinite(counts: Mapping[str, int]) -> None:
    """Warn of columns with infinite values, if any; ``counts`` has how many each holds."""
    shown = ", ".join(f"{name!r} ({count:,})" for name, count in counts.items() if count)
    if shown:
        _warn(f"infinite values count as missing in these columns: {shown}")


def warn_of_text(schema: Schema) -> None:
    """Warn of columns of running text, which no tabular model reads."""
    if names := schema.names(Role.TEXT):
        _warn(
            f"columns of running text are left out of a tabular model: "
            f"{', '.join(map(repr, names))}; "
            "use roles={column: 'categorical'} to keep one as labels"
        )


def log_columns(schema: Schema) -> None:
    """Log how many columns have which role, and why each has its own."""
    counts = Counter(column.role.value for column in schema.columns)
    roles = ", ".join(f"{count} {role}" for role, count in counts.items())
    _log.info("%d columns: %s", len(schema.columns), roles)
    for column in schema.columns:
        _log.debug("%r is %s: %s", column.name, column.role.value, column.reason)


def _warn(message: str) -> None:
    warnings.warn(message, TabTextWarning, stacklevel=5)  # where the preprocessor was called
