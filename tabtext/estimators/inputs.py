"""What comes through the door of ``fit``: features, targets and weights, checked once.

Whatever the caller gives (a frame with the target in it, a frame and a separate ``y``, arrays, a
file), one ``Sample`` comes out: a table that holds every column, the names of the targets in it,
and one weight per row or none.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tabtext.errors import ColumnTypeError, DataError, ParameterError
from tabtext.tables import as_table, is_array, require_columns, require_rows
from tabtext.training.targets import rows_with_target

__all__ = [
    "Sample",
    "combined",
    "drop_missing_targets",
    "multiplied",
    "read_labelled",
    "read_sample",
]


@dataclass(frozen=True)
class Sample:
    """Rows to learn from or to be judged on.

    Parameters
    ----------
    table : pyarrow.Table
        Features and targets, one row per example.
    targets : tuple of str
        The columns of ``table`` that are to be predicted.
    weight : ndarray of shape (rows,), dtype float32, or None
        How much each row counts; None means equally.
    weight_column : str or None
        The column of ``table`` that the weights came from, where they came from one.
    numbers : ndarray of intp, or None
        Which rows of what was given these are; None for all of them, in order.
    """

    table: pa.Table
    targets: tuple[str, ...]
    weight: NDArray[np.float32] | None = None
    weight_column: str | None = None
    numbers: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def target_table(self) -> pa.Table:
        """The target columns alone."""
        return self.table.select(list(self.targets))

    def take(self, rows: NDArray[np.intp]) -> "Sample":
        """The rows with these indices, in this order."""
        weight = None if self.weight is None else self.weight[rows]
        numbers = rows if self.numbers is None else self.numbers[rows]
        return replace(self, table=self.table.take(pa.array(rows)), weight=weight, numbers=numbers)

    def places_of(self, part: "Sample") -> NDArray[np.intp]:
        """Where rows stand that were taken from this sample, in its order."""
        places = np.arange(len(self))
        if part.numbers is None:
            return places
        own = places if self.numbers is None else self.numbers
        return np.searchsorted(own, part.numbers)

    def draw(self, n_rows: int, *, seed: int) -> "Sample":
        """At most so many rows, drawn at random, in their own order."""
        if len(self) <= n_rows:
            return self
        rows = np.random.default_rng(seed).permutation(len(self))[:n_rows]
        return self.take(np.sort(rows))

    def renamed(self, targets: Sequence[str]) -> "Sample":
        """The same rows with the targets called by these names, in the same order."""
        if list(targets) == list(self.targets):
            return self
        if len(targets) != len(self.targets):
            raise DataError(
                f"{len(self.targets)} target columns were given, and the model has {len(targets)}: "
                f"{', '.join(targets)}"
            )
        names = dict(zip(self.targets, targets, strict=True))
        # A column that has the name of a target would be taken for it.
        kept = [name for name in self.table.column_names if name in names or name not in targets]
        table = self.table.select(kept)
        table = table.rename_columns([names.get(name, name) for name in kept])
        return replace(self, table=table, targets=tuple(targets))

    def rows_that_count(self) -> "Sample":
        """The rows that weigh more than 0.

        Raises
        ------
        DataError
            If they are fewer than two, and others are left out.
        """
        if self.weight is None:
            return self
        counts = self.weight > 0
        if counts.sum() < min(2, len(self)):
            raise DataError(
                f"{counts.sum()} of {len(self)} training rows weigh more than 0; learning needs two"
            )
        return self.filter(counts)

    def filter(self, keep: NDArray[np.bool_]) -> "Sample":
        """The rows where ``keep`` is true."""
        if bool(keep.all()):
            return self
        weight = None if self.weight is None else self.weight[keep]
        numbers = np.flatnonzero(keep) if self.numbers is None else self.numbers[keep]
        table = self.table.filter(pa.array(keep))
        return replace(self, table=table, weight=weight, numbers=numbers)


def read_sample(
    data: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    sample_weight: Any = None,
    what: str = "X",
) -> Sample:
    """Bring features, targets and weights into one checked ``Sample``.

    Parameters
    ----------
    data : table of any kind, or path
        The features; with ``target``, the targets too.
    y : array, Series or frame, optional
        Targets, one row per row of ``data``.
    target : str or sequence of str, optional
        Names of the target columns in ``data``; give either this or ``y``.
    sample_weight : array, Series, or name of a column of ``data``, optional
        One finite weight >= 0 per row.
    what : str
        What the caller calls ``data``, for messages.

    Raises
    ------
    ParameterError
        If both or neither of ``y`` and ``target`` are given.
    UnknownColumnError
        If a target or weight column is not there.
    DataError
        If there are no rows, lengths differ, weights are unusable, or a feature is the target.
    """
    if (y is None) == (target is None):
        neither = "the model requires y to be passed, but the target y is None; "
        raise ParameterError(
            f"{neither if y is None else ''}give the target once: fit(X, y), or fit(data, "
            "target='column') when it is in the table"
        )
    table = as_table(data, what=what)
    require_rows(table, what=what)
    if target is not None:
        names = (target,) if isinstance(target, str) else tuple(target)
        if not names:
            raise ParameterError("target is an empty list; name at least one column")
        require_columns(table, names)
    else:
        table, names = _with_targets(table, y, what=what)
    if sample_weight is None:
        return Sample(table, names)
    column = sample_weight if isinstance(sample_weight, str) else None
    return Sample(table, names, _read_weight(table, sample_weight), column)


def drop_missing_targets(sample: Sample, missing_target: Literal["drop", "error"]) -> Sample:
    """Return the rows that have a value in every target column.

    Raises
    ------
    DataError
        If no row has one, or if some have none and ``missing_target`` is ``"error"``.
    """
    present = rows_with_target(sample.target_table)
    n_missing = len(present) - int(present.sum())
    names = ", ".join(map(repr, sample.targets))
    if n_missing == len(present):
        raise DataError(f"target {names} is missing in all {n_missing:,} rows")
    if n_missing and missing_target == "error":
        raise DataError(
            f"target {names} is missing in {n_missing:,} of {len(present):,} rows; drop them, or "
            "use missing_target='drop'"
        )
    return sample.filter(present)


def read_labelled(
    data: Any, y: Any, sample_weight: Any, *, targets: Sequence[str], features: Sequence[str]
) -> Sample:
    """Read rows for a fitted model to be judged on; those without a target are dropped.

    Parameters
    ----------
    data : table of any kind, or path
        The features, and the targets when ``y`` is None.
    y : array, Series, frame or None
        Targets; where given, columns of ``data`` with the names of targets are not looked at.
    sample_weight : array, column name or None
        How much each row counts.
    targets, features : sequence of str
        Columns of the fitted model.
    """
    if y is None:
        sample = read_sample(data, target=targets, sample_weight=sample_weight)
        return drop_missing_targets(sample, "drop")
    table = as_table(data, what="X")
    if isinstance(sample_weight, str):
        sample_weight = _read_weight(table, sample_weight)
    # Where none is known by its name (texts without one), the reader of the features decides.
    known = [name for name in features if name in table.column_names] or [
        name for name in table.column_names if name not in targets
    ]
    sample = read_sample(table.select(known), y, sample_weight=sample_weight)
    return drop_missing_targets(sample.renamed(targets), "drop")


def combined(
    of_rows: NDArray[np.float32] | None, of_classes: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """Return the weight of every row, by itself times by its class, None being 1.

    Raises
    ------
    ParameterError
        If no row weighs anything.
    """
    given = {"sample_weight": of_rows, "class_weight": of_classes}
    names = [name for name, weights in given.items() if weights is not None]
    product = multiplied(of_rows, of_classes)
    if product is not None and len(product) and not product.any():
        raise ParameterError(
            f"all training rows weigh 0 by {' times '.join(names)}, so there is nothing to learn "
            "from"
        )
    return product


def multiplied(
    one: NDArray[np.float32] | None, other: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """Return the product of two weights of every row, None being 1."""
    if one is None or other is None:
        return other if one is None else one
    return one * other


def _with_targets(table: pa.Table, y: Any, *, what: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Append ``y`` to the table under its own names, or under ``target``."""
    targets = _target_columns(y)
    for name, values in targets.items():
        if len(values) != table.num_rows:
            raise DataError(
                f"{what} has {table.num_rows} rows and y has {len(values)}; "
                "they must describe the same rows in the same order"
            )
        if name not in table.column_names:
            table = table.append_column(name, values)
        elif table.column(name).combine_chunks().equals(_single_chunk(values)):
            raise DataError(
                f"column {name!r} is both a feature and the target, so the model would only copy "
                f"it; drop it from {what}, or call fit({what}, target={name!r}) without y"
            )
        else:
            raise DataError(
                f"y is named {name!r} like a column of {what} with other values; rename one of them"
            )
    return table, tuple(targets)


def _target_columns(y: Any) -> Mapping[str, pa.ChunkedArray | pa.Array]:
    """``y`` as named Arrow columns: a Series by its name, a 1-D array as ``target``."""
    dimensions = getattr(y, "ndim", None)
    if dimensions is None and is_array(y) and not isinstance(y, list | tuple):
        y = y if _has_a_name(y) else np.asarray(y)
        dimensions = getattr(y, "ndim", None)
    if dimensions == 0 or isinstance(y, str | bytes):
        raise ColumnTypeError(f"y must hold one value per row, not {y!r}")
    if dimensions == 1 or isinstance(y, list | tuple | pa.Array | pa.ChunkedArray):
        first = y[0] if isinstance(y, list | tuple) and len(y) else None
        if not isinstance(first, list | tuple | np.ndarray):
            return _one_column(y)
        y = np.asarray(y)
    if isinstance(y, np.ndarray):
        if y.ndim != 2:
            raise ColumnTypeError(f"y must have one or two dimensions, not {y.ndim}")
        if y.shape[1] == 1:
            _warn_of_a_column_vector()
            return _one_column(y[:, 0])
        return {f"target_{index}": pa.array(y[:, index]) for index in range(y.shape[1])}
    if hasattr(y, "to_frame") and not hasattr(y, "columns"):  # a Series of pandas or polars
        return _one_column(y)
    targets = as_table(y, what="y")
    return {name: targets.column(name) for name in targets.column_names}


def _has_a_name(y: Any) -> bool:
    """Whether this is a column of Arrow or a Series, which ``_one_column`` reads as it is."""
    return isinstance(y, pa.Array | pa.ChunkedArray) or hasattr(y, "to_frame")


def _warn_of_a_column_vector() -> None:
    """Say that predictions will have one dimension, in the words of scikit-learn."""
    from sklearn.exceptions import DataConversionWarning

    warnings.warn(
        "A column-vector y was passed when a 1d array was expected; predictions have one "
        "dimension too. Change the shape of y, for example with y.ravel()",
        DataConversionWarning,
        stacklevel=2,
    )


def _one_column(y: Any) -> Mapping[str, pa.ChunkedArray | pa.Array]:
    """A 1-D ``y`` under its own name where it has one, else ``target``."""
    name = getattr(y, "name", None)
    label = name if isinstance(name, str) and name else "target"
    if isinstance(y, pa.Array | pa.ChunkedArray):
        return {label: as_table({label: y}, what="y").column(label)}
    if hasattr(y, "to_frame"):
        of_pandas = type(y).__module__.split(".")[0] == "pandas"  # a Series, or an Index
        frame = y.to_frame(name=label) if of_pandas else y.to_frame().rename({y.name: label})
        return {label: as_table(frame, what="y").column(label)}
    # By way of the table reader, which explains mixed types better than Arrow does.
    return {label: as_table({label: np.asarray(y)}, what="y").column(label)}


def _single_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _read_weight(table: pa.Table, given: Any) -> NDArray[np.float32]:
    """Weights as float32, from an array or from a named column of the table."""
    if isinstance(given, str):
        require_columns(table, [given])
        column = table.column(given)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise ColumnTypeError(f"weight column {given!r} is {column.type}; it must be numeric")
        values = np.asarray(pc.fill_null(pc.cast(column, pa.float64()), float("nan")))
    else:
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ColumnTypeError(f"sample_weight must hold numbers: {error}") from error
    if values.shape != (table.num_rows,):
        raise DataError(
            f"sample_weight has shape {values.shape}; one weight for each of the "
            f"{table.num_rows} rows is needed"
        )
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"sample_weight is {values[row]} at row {row} ({int(bad.sum())} such rows); "
            "weights must be finite and not negative"
        )
    if not values.any():
        raise DataError("all sample weights are zero, so there is nothing to learn from")
    return values.astype(np.float32)
