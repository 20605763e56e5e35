"""Rows that hold arrays of several types, in one Arrow IPC file.

Statistics and categories are lists of values whose type differs from column to column (strings,
whole numbers, floats, booleans). A file holds one row per column, and its values in the one of
``values_string``, ``values_int64``, ``values_double`` and ``values_bool`` that has their type; the
others are null. Reading executes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tabtext.errors import ArtifactError, MissingFileError, SaveError

__all__ = ["read_rows", "write_rows"]

_KINDS = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
_HEADER = b"tabtext"


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> None:
    """Write rows with a field ``values`` (an Arrow array), and a JSON header.

    Raises
    ------
    SaveError
        If writing fails.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rows.arrow"
    >>> write_rows(path, [{"name": "State", "values": pa.array(["BY", "HE"])}], {"n_rows": 2})
    >>> rows, header = read_rows(path)
    >>> rows[0]["name"], rows[0]["values"].to_pylist(), header
    ('State', ['BY', 'HE'], {'n_rows': 2})
    """
    fields = [name for name in (rows[0] if rows else {}) if name != "values"]
    columns = {field: pa.array([row[field] for row in rows]) for field in fields}
    for label, kind in _KINDS.items():
        lists = [row["values"] if row["values"].type == kind else None for row in rows]
        columns[f"values_{label}"] = _list_array(lists, kind)
    table = pa.table(columns).replace_schema_metadata({_HEADER: json.dumps(dict(header))})
    try:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    except OSError as error:
        raise SaveError(f"{path} was not written: {error}") from error


def read_rows(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Read what ``write_rows`` wrote.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ArtifactError
        If it is damaged, or something else.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} is missing")
    try:
        # Read into memory, not mapped: the arrays outlive the file.
        with pa.ipc.open_file(pa.py_buffer(path.read_bytes())) as reader:
            table = reader.read_all().combine_chunks()
        table.validate(full=True)
        header = json.loads(table.schema.metadata[_HEADER])
        rows = [_read_row(table, index) for index in range(table.num_rows)]
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path} is damaged ({error}); save the model again or restore a copy"
        ) from error
    return rows, dict(header)


def _list_array(lists: Sequence[pa.Array | None], kind: pa.DataType) -> pa.ListArray:
    """One list per row, null where there is none."""
    present = [values for values in lists if values is not None]
    flat = pa.concat_arrays(present) if present else pa.array([], kind)
    offsets, position = [], 0
    for values in lists:
        offsets.append(None if values is None else position)
        position += 0 if values is None else len(values)
    return pa.ListArray.from_arrays(pa.array([*offsets, position], pa.int32()), flat)


def _read_row(table: pa.Table, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in table.column_names:
        value = table.column(name)[index]
        if not name.startswith("values_"):
            row[name] = value.values.to_numpy() if hasattr(value, "values") else value.as_py()
        elif value.is_valid:
            row["values"] = value.values
    return row
