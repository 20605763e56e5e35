"""The columns that the encoders see: those of the schema, with dates replaced by their parts.

A table and a schema go in; one Arrow array per ``Feature`` comes out. Training and prediction both
come through here, so this is also where a column that changed its type since the fit is converted
or refused.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tabtext.errors import ColumnTypeError, DataError
from tabtext.tables import require_columns
from tabtext.tabular.dates import (
    DATE_PARTS,
    PARTS,
    DateParts,
    date_part_arrays,
    is_categorical_part,
)
from tabtext.tabular.schema import Role, Schema

__all__ = ["Feature", "features_of", "read_features", "set_apart"]


@dataclass(frozen=True)
class Feature:
    """One column as the encoders see it.

    Parameters
    ----------
    name : str
        Its name: that of the table's column, or ``"<date>_<part>"``.
    source : str
        The column of the table that it comes from.
    role : Role
        ``CATEGORICAL`` or ``CONTINUOUS``.
    part : str or None
        Which part of the date ``source`` it is, where it is one.
    """

    name: str
    source: str
    role: Role
    part: str | None = None


def features_of(schema: Schema, date_parts: DateParts = True) -> tuple[Feature, ...]:
    """List the features of a schema, in its order.

    Parameters
    ----------
    schema : Schema
        What each column is.
    date_parts : bool, "auto" or sequence of str
        Parts to take from dates: all that the type has (``"auto"``, too: a fit leaves out some of
        them later), none (dates are then ignored), or these.

    Raises
    ------
    DataError
        If a date part would have the name of another column that is in use.

    Examples
    --------
    >>> from tabtext.tabular.schema import infer_schema
    >>> table = pa.table({"day": pa.array([0, 1], pa.date32()), "Sales": [1.5, 2.5]})
    >>> [feature.name for feature in features_of(infer_schema(table), ["month", "elapsed"])]
    ['day_month', 'day_elapsed', 'Sales']
    """
    features: list[Feature] = []
    for column in schema.columns:
        if column.role in (Role.CATEGORICAL, Role.CONTINUOUS):
            features.append(Feature(column.name, column.name, column.role))
        elif column.role is Role.DATETIME:
            for part in _wanted_parts(column.dtype, date_parts):
                role = Role.CATEGORICAL if is_categorical_part(part) else Role.CONTINUOUS
                features.append(Feature(f"{column.name}_{part}", column.name, role, part))
    seen: dict[str, Feature] = {}
    for feature in features:
        if feature.name in seen:
            date = feature if feature.part is not None else seen[feature.name]
            raise DataError(
                f"the date column {date.source!r} would add {date.name!r}, which is a column "
                f"already; leave one of them out, for example with exclude=[{date.name!r}]"
            )
        seen[feature.name] = feature
    return tuple(features)


def read_features(
    table: pa.Table, features: Sequence[Feature], dtypes: Mapping[str, str] | None = None
) -> dict[str, pa.Array]:
    """Return one Arrow array per feature, in one chunk.

    Parameters
    ----------
    table : pyarrow.Table
        The rows; the order of its columns does not matter, further columns are ignored.
    features : sequence of Feature
        What to read.
    dtypes : mapping of str to str, optional
        Arrow type of each source column at the time of the fit. Dates are compared with it here;
        the other columns' encoders convert for themselves.

    Raises
    ------
    UnknownColumnError
        If a source column is not in the table.
    ColumnTypeError
        If a date column holds something else, or gained or lost its timezone.
    """
    require_columns(table, dict.fromkeys(feature.source for feature in features))
    parts: dict[str, list[str]] = {}
    for feature in features:
        if feature.part is not None:
            parts.setdefault(feature.source, []).append(feature.part)
    dates: dict[str, pa.Array] = {}
    for source, wanted in parts.items():
        values = table.column(source)
        if dtypes is not None:
            values = _as_fitted(source, values, dtypes[source])
        dates |= date_part_arrays(values, source, parts=wanted)
    return {
        feature.name: dates[feature.name]
        if feature.part is not None
        else _one_chunk(table.column(feature.source))
        for feature in features
    }


def set_apart(names: Sequence[str], taken: Collection[str]) -> list[str]:
    """Return the names of further columns, those that are taken with underscores behind them.

    Examples
    --------
    >>> set_apart(["x_0", "x_1"], taken={"x", "x_1"})
    ['x_0', 'x_1_']
    """
    apart = []
    for name in names:
        while name in taken:
            name += "_"
        apart.append(name)
    return apart


def _wanted_parts(dtype: str, date_parts: DateParts) -> Sequence[str]:
    """The parts to take from a column of this Arrow type."""
    available = PARTS if "timestamp" in dtype else DATE_PARTS
    if isinstance(date_parts, bool) or date_parts == "auto":
        return available if date_parts else ()
    for part in date_parts:
        is_categorical_part(part)  # raises for a name that is no part at all
    return [part for part in dict.fromkeys(date_parts) if part in available]


def _as_fitted(name: str, values: pa.ChunkedArray, dtype: str) -> pa.ChunkedArray:
    """Dates in the type that they had at the fit, where that loses nothing."""
    if pa.types.is_null(values.type):
        return values.cast(pa.timestamp("s"))
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        raise ColumnTypeError(
            f"column {name!r} holds {values.type} and held dates ({dtype}) at the fit; convert it, "
            f"for example with pandas.to_datetime(df[{name!r}])"
        )
    if pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(kind) and (kind.tz is not None) != ("tz=" in dtype):
        had = "had a" if "tz=" in dtype else "had no"
        raise ColumnTypeError(
            f"column {name!r} holds {kind} and {had} timezone at the fit ({dtype}); convert it, "
            "for example with .dt.tz_localize(...)"
        )
    return values


def _one_chunk(values: pa.ChunkedArray) -> pa.Array:
    """The column as one array; dictionaries of several chunks are made the same first."""
    if values.num_chunks == 1:
        return values.chunk(0)
    if pa.types.is_dictionary(values.type):
        values = values.unify_dictionaries()
    return values.combine_chunks()
