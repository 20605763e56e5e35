"""What a report says about the columns of a table: role, gaps, what they hold."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabtext import plots
from tabtext.errors import DataError
from tabtext.model_card import type_name
from tabtext.reports.calendar import local_times
from tabtext.reports.elements import Picture, Section, Table
from tabtext.reports.levels import most_frequent
from tabtext.tabular.schema import Column, Role, Schema

if TYPE_CHECKING:
    from tabtext.estimators import TabularClassifier, TabularRegressor

__all__ = ["columns_section", "distributions_section"]

_MOST_PICTURES = 12
_N_LEVELS = 8


def columns_section(
    model: "TabularRegressor | TabularClassifier",
    title: str = "Columns",
    *,
    table: pa.Table | None = None,
) -> Section:
    """What each column was taken for and why, and what it holds.

    Parameters
    ----------
    model : fitted estimator with a schema
        Whose columns these are; gaps are those of its training rows.
    title : str
        The heading.
    table : pyarrow.Table, optional
        Rows that are described too.
    """
    missing = model.card_.get("missing", {})
    head = ["column", "role", "type", "missing"]
    if table is not None:
        head += ["values", "for example"]
    rows = []
    for column in model.schema_.columns:
        share = missing.get(column.name, 0.0)
        known = column.role not in (Role.TARGET, Role.WEIGHT) or share
        cells = [
            column.name,
            column.role.value,
            type_name(column.dtype),
            f"{share:.1%}" if known else None,
        ]
        if table is not None:
            cells += _content(column, table)
        rows.append([*cells, column.reason])
    caption = "Missing: share of the training rows without a value"
    return Section(title, tables=[Table([*head, "why this role"], rows, caption, scrolls=True)])


def distributions_section(
    schema: Schema, table: pa.Table, columns: Sequence[str], *, what: str
) -> Section | None:
    """A small picture of what each of the first few columns holds, the target before them.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    table : pyarrow.Table
        The rows.
    columns : sequence of str
        In the order in which they are wanted.
    what : str
        Which rows these are, in words.
    """
    roles = (Role.CATEGORICAL, Role.CONTINUOUS, Role.DATETIME)
    wanted = [
        *schema.names(Role.TARGET),
        *(name for name in columns if schema.role(name) in roles),
    ]
    wanted = [name for name in wanted if name in table.column_names]
    shown = wanted[:_MOST_PICTURES]
    pictures = []
    for name in shown:
        axes = _distribution(name, schema.role(name), table.column(name))
        if axes is not None:
            pictures.append(Picture(f"Distribution of {name}", axes, "small"))
    if not pictures:
        return None
    text = f"{table.num_rows:,} {what}."
    if len(wanted) > len(shown):
        text += f" Of {len(wanted)} columns these are the target and the most important ones."
    return Section("What the columns hold", [text], pictures=pictures)


def _distribution(name: str, role: Role, values: pa.ChunkedArray) -> Any:
    """The picture for one column; None where it has no value."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    try:
        if role is Role.DATETIME:
            return plots.plot_distribution(local_times(values), label=name)
        if role is Role.CONTINUOUS or (
            role is Role.TARGET and _is_number(kind) and _is_varied(values)
        ):
            numbers = pc.cast(values, pa.float64(), safe=False)
            return plots.plot_distribution(numbers.to_numpy(zero_copy_only=False), label=name)
    except DataError:
        return None
    levels = most_frequent(values, _N_LEVELS)
    return plots.plot_levels(
        list(levels.names), levels.counts, label=name, n_others=levels.n_others
    )


def _is_varied(values: pa.ChunkedArray) -> bool:
    """Whether a target's numbers are quantities rather than few classes."""
    return len(pc.unique(values)) > _N_LEVELS


def _content(column: Column, table: pa.Table) -> list[Any]:
    """How many values a column has, and some of them."""
    if column.name not in table.column_names:
        return [None, None]
    values = table.column(column.name)
    if pa.types.is_nested(values.type) and not pa.types.is_dictionary(values.type):
        return [None, None]
    levels = most_frequent(values.drop_null(), 3)
    return [levels.n_distinct, _example(column, values, levels.names)]


def _example(column: Column, values: pa.ChunkedArray, frequent: Sequence[str]) -> str:
    """The span of quantities and dates, the most frequent categories, the beginning of a text."""
    if values.null_count == len(values):
        return "-"
    if column.role is Role.DATETIME:
        times = local_times(values)
        return f"{np.nanmin(times).astype('M8[D]')} to {np.nanmax(times).astype('M8[D]')}"
    kind = values.type
    if _is_number(kind) and column.role is not Role.CATEGORICAL:
        low, high = (float(bound) for bound in pc.min_max(values).as_py().values())
        return f"{low:,.4g} to {high:,.4g}"
    texts = [text if len(text) <= 24 else f"{text[:23]}…" for text in frequent]
    return ", ".join(texts)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
