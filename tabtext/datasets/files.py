"""Find the files of a data set and read them: a folder's name in, plain DataFrames out.

Every loader says the same two things when something is absent: which file it looked for and
where, and what to do to get it or to name its folder.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tabtext.errors import FileFormatError, MissingFileError, UnknownColumnError, did_you_mean

__all__ = [
    "DATA_VARIABLE",
    "find_folder",
    "find_table",
    "find_tables",
    "read_frame",
    "shipped_file",
]

DATA_VARIABLE = "TABTEXT_DATA"

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_file(name: str, package: Path = _PACKAGE) -> Path:
    """Return the path of a file that ships with tabtext.

    A wheel holds it in ``tabtext/data``; in a checkout (an editable install) it lies in ``data``
    beside the package.
    """
    candidates = [package / "data" / name, package.parent / "data" / name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise MissingFileError(
        f"{name} ships with tabtext but is neither in {candidates[0].parent} nor in "
        f"{candidates[1].parent}. Reinstall tabtext; in a checkout, run python data/build.py"
    )


def find_folder(name: str, path: str | os.PathLike[str] | None, origin: str) -> Path:
    """Return the folder of a data set: ``path``, or ``name`` inside it or in ``$TABTEXT_DATA``.

    Parameters
    ----------
    name
        Name of the data set and of its folder, such as ``"adult"``.
    path
        Folder that the caller named: the set's own, or one that holds it under its name.
    origin
        Where the files come from, for the error.

    Raises
    ------
    MissingFileError
        When no folder was named, or the one that was does not exist.
    """
    remedy = (
        f"Pass the folder of its files, load_{name}(path), or set {DATA_VARIABLE} to a folder "
        f"that holds them in {name}/. {origin}"
    )
    if path is None:
        root = os.environ.get(DATA_VARIABLE)
        if not root:
            raise MissingFileError(
                f"{name}: no folder was given and {DATA_VARIABLE} is not set. {remedy}"
            )
        folder = Path(root) / name
    else:
        folder = Path(path)
        if (folder / name).is_dir():
            folder = folder / name
    if not folder.is_dir():
        raise MissingFileError(f"{name}: there is no folder {folder}. {remedy}")
    return folder


def find_tables(folder: Path, names: Sequence[str], origin: str) -> dict[str, Path]:
    """Return the path of each table: ``<name>.parquet`` in the folder, or else ``<name>.csv``.

    Raises
    ------
    MissingFileError
        When a table is in neither form; the message names all that lack, and what is there.
    """
    found = {
        name: folder / (name + suffix)
        for name in names
        for suffix in (".csv", ".parquet")  # the later one wins
        if (folder / (name + suffix)).is_file()
    }
    missing = [name for name in names if name not in found]
    if missing:
        present = sorted(p.name for p in folder.iterdir() if p.suffix in {".parquet", ".csv"})
        raise MissingFileError(
            f"{folder} lacks {', '.join(f'{name}.csv (or .parquet)' for name in missing)}; tables "
            f"there: {', '.join(present) or 'none'}. {origin}"
        )
    return found


def find_table(folder: Path, name: str, origin: str) -> Path:
    """Return the path of one table; see ``find_tables``."""
    return find_tables(folder, [name], origin)[name]


def read_frame(path: Path, dtypes: Mapping[str, pa.DataType] | None = None) -> pd.DataFrame:
    """Read a Parquet or CSV file, with dates as ``datetime64`` and text in sorted categories.

    Parameters
    ----------
    path
        The file; its suffix says what it is.
    dtypes
        Arrow types of the columns that must be there; other columns keep their own. A dictionary
        type gives a pandas category.

    Raises
    ------
    FileFormatError
        When the content is not what the suffix promises, or a column cannot be read as its type.
    UnknownColumnError
        When one of the columns of ``dtypes`` is absent.
    """
    wanted = dict(dtypes or {})
    try:
        table = _read_csv(path, wanted) if path.suffix == ".csv" else pq.read_table(path)
        for name, dtype in wanted.items():
            if name not in table.column_names:
                raise UnknownColumnError(
                    f"{path} has no column {name!r}{did_you_mean(name, table.column_names)}"
                )
            position = table.column_names.index(name)
            table = table.set_column(position, name, _convert(table[name], dtype))
    except pa.ArrowInvalid as error:
        raise FileFormatError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    for name in frame.select_dtypes("category").columns:
        categories = frame[name].cat.categories
        if not categories.is_monotonic_increasing:
            # The order of first appearance would differ between two files of the same rows.
            frame[name] = frame[name].cat.reorder_categories(categories.sort_values())
    return frame


def _read_csv(path: Path, dtypes: Mapping[str, pa.DataType]) -> pa.Table:
    column_types = {
        name: pa.string() if pa.types.is_dictionary(dtype) else dtype
        for name, dtype in dtypes.items()
    }
    options = pa.csv.ConvertOptions(column_types=column_types, strings_can_be_null=True)
    return pa.csv.read_csv(path, convert_options=options)


def _convert(column: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(dtype):
        return column.cast(dtype)
    if pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.string()).dictionary_encode()
