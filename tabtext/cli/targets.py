"""Which task a target column sets."""

from typing import TYPE_CHECKING

from tabtext.cli.options import Task

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["guess_task"]


def guess_task(table: "pa.Table", targets: list[str]) -> Task:
    """Return classification for text, categories, booleans and few distinct whole numbers.

    Parameters
    ----------
    table : pyarrow.Table
        Holds the targets.
    targets : list of str
        Their columns.

    Examples
    --------
    >>> import pyarrow as pa
    >>> guess_task(pa.table({"stars": [1, 5, 3]}), ["stars"])
    <Task.CLASSIFICATION: 'classification'>
    >>> guess_task(pa.table({"price": [1.0, 5.0, 3.0]}), ["price"])
    <Task.REGRESSION: 'regression'>
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    few = 20  # beyond this many levels whole numbers are far more often counts than classes
    for name in targets:
        column = table.column(name)
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return Task.REGRESSION
        if pa.types.is_integer(column.type) and pc.count_distinct(column).as_py() > few:
            return Task.REGRESSION
    return Task.CLASSIFICATION
