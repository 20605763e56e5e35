"""Files and folders of texts: CSV, Parquet, JSONL, a text per line, a text per file.

A file is read as UTF-8. What is no UTF-8 is named with its file and the position of the byte, and
refused or replaced, but never dropped.
"""

import codecs
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabtext.errors import (
    DataError,
    FileFormatError,
    MissingFileError,
    ParameterError,
    TabTextWarning,
)
from tabtext.tables import read_table

__all__ = [
    "FILE",
    "LABEL",
    "SUFFIXES",
    "TEXT",
    "Undecodable",
    "check_undecodable",
    "csv_layout",
    "csv_types",
    "decoded",
    "lines_of",
    "parse_json_lines",
    "read_labelled_folder",
    "read_text_file",
    "require_distinct_columns",
    "text_files_in",
    "warn_of_files_left_aside",
    "warn_of_unlabelled",
]

Undecodable = Literal["strict", "replace"]

TEXT, LABEL, FILE = "text", "label", "file"
"""Columns of a table that was read from a folder of text files."""
UNLABELLED = "unsup"
"""Folder beside those of the classes whose texts have no label, as in the reviews of IMDb."""
_STRING = pa.large_string()
SUFFIXES = (".csv", ".parquet", ".jsonl", ".txt")


def read_text_file(
    path: str | os.PathLike[str], *, columns: Sequence[str] = (), errors: Undecodable = "strict"
) -> pa.Table:
    r"""Read a file or folder with texts, all of its columns.

    Parameters
    ----------
    path : str or Path
        ``.csv`` (values may contain line breaks in quotes; empty fields and ``NA``, ``NaN``,
        ``null`` without quotes are missing), ``.parquet``, ``.jsonl`` (a JSON object per line),
        ``.txt`` (a text per line, an empty line being an empty text), or a folder of ``.txt`` files
        (see ``read_labelled_folder``).
    columns : sequence of str
        Columns to read as text even where they look like numbers or dates.
    errors : {"strict", "replace"}
        Whether bytes that are no UTF-8 are refused, or replaced by U+FFFD.

    Returns
    -------
    pyarrow.Table
        The columns of the file; ``text`` of a ``.txt`` file.

    Raises
    ------
    MissingFileError
        If there is no such file or folder.
    FileFormatError
        If the suffix is another one, or the content is not what it says.
    DataError
        If two columns have the same name.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "reviews.jsonl"
    >>> _ = path.write_text('{"text": "good", "stars": 5}\n{"text": "bad", "stars": 1}\n')
    >>> read_text_file(path).to_pydict()
    {'text': ['good', 'bad'], 'stars': [5, 1]}
    """
    path = Path(path)
    check_undecodable(errors)
    if path.is_dir():
        return read_labelled_folder(path, errors=errors)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileFormatError(f"{path}: texts are read from {', '.join(SUFFIXES)} files or folders")
    if not path.is_file():
        raise MissingFileError(f"no such file: {path}")
    if suffix == ".parquet":
        return read_table(path)
    content = decoded(path.read_bytes(), path, errors=errors)
    if suffix == ".txt":
        return pa.table({TEXT: lines_of(content)})
    if suffix == ".jsonl":
        return parse_json_lines(content, path, columns)
    return _parse_csv(content, path, columns)


def read_labelled_folder(
    path: str | os.PathLike[str], *, errors: Undecodable = "strict"
) -> pa.Table:
    """Read a folder of text files, whose subfolders, if it has some, are classes.

    Parameters
    ----------
    path : str or Path
        A folder of ``.txt`` files, or of folders of such files, like ``pos`` and ``neg``. Other
        files and those in deeper folders are left aside with a warning, and what begins with a dot
        without one. Texts in a folder ``unsup`` have no label: classifiers leave them out, and
        language models learn from them.
    errors : {"strict", "replace"}
        Whether bytes that are no UTF-8 are refused, or replaced by U+FFFD.

    Returns
    -------
    pyarrow.Table
        ``text`` (large_string), ``label`` (the name of the subfolder, null for ``unsup``; only
        where there are some)
        and ``file`` (path within the folder), sorted by label and name of the file, so that the
        order is the same on every machine.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    FileFormatError
        If there is no text file in it or in one of its subfolders, there are both text files and
        folders of them, or a file is no UTF-8.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for label, text in [("pos", "A joy."), ("neg", "A bore.")]:
    ...     (folder / label).mkdir()
    ...     _ = (folder / label / "0.txt").write_text(text)
    >>> read_labelled_folder(folder).to_pydict()
    {'text': ['A bore.', 'A joy.'], 'label': ['neg', 'pos'], 'file': ['neg/0.txt', 'pos/0.txt']}
    """
    path = Path(path)
    files, labels = text_files_in(path)
    warn_of_files_left_aside(path, files)
    texts = [bytes(decoded(file.read_bytes(), file, errors=errors)) for file in files]
    columns = {TEXT: pa.array(texts, pa.large_binary()).cast(pa.large_string())}
    if labels:
        columns[LABEL] = pa.array(labels, pa.string())
    columns[FILE] = pa.array([file.relative_to(path).as_posix() for file in files], pa.string())
    return pa.table(columns)


def text_files_in(path: Path) -> tuple[list[Path], list[str | None]]:
    """Return the text files of a folder in a fixed order, and the label of each if there are any.

    What lies in ``unsup`` has none.

    Raises what ``read_labelled_folder`` does.
    """
    if not path.is_dir():
        raise MissingFileError(f"no such folder: {path}")
    files = _sorted_files(path)
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    by_label = {folder.name: _sorted_files(folder) for folder in folders}
    if files and any(by_label.values()):
        raise FileFormatError(
            f"{path} holds text files and folders of text files; are the folders classes? Move "
            "the files elsewhere, or name a folder of files"
        )
    if files:
        return files, []
    if empty := [name for name, found in by_label.items() if not found]:
        raise FileFormatError(f"{path / empty[0]} holds no .txt files; remove or fill it")
    if not by_label:
        raise FileFormatError(f"{path} holds no .txt files, nor folders of them")
    files = [file for found in by_label.values() for file in found]
    labels = {name: None if name == UNLABELLED else name for name in by_label}
    return files, [labels[name] for name, found in by_label.items() for _ in found]


def warn_of_files_left_aside(path: Path, read: Sequence[Path]) -> None:
    """Say how many files below a folder are not among those that are read."""
    n_below = 0
    for _, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        n_below += sum(not name.startswith(".") for name in names)
    if n_below > len(read):
        warnings.warn(
            f"{n_below - len(read):,} files below {path} are left aside; {len(read):,} are read: "
            "those of one kind in the folder, or .txt files in it or in the folders of its classes",
            TabTextWarning,
            stacklevel=3,
        )


def warn_of_unlabelled(path: Path, table: pa.Table) -> None:
    """Say how many texts of a folder of classes have no label, to who wants to learn from those."""
    n_unlabelled = table[LABEL].null_count if LABEL in table.column_names else 0
    if n_unlabelled:
        warnings.warn(
            f"{n_unlabelled:,} texts in {path / UNLABELLED} have no label; a classifier does not "
            f"learn from them. Rename the folder if {UNLABELLED!r} is a class",
            TabTextWarning,
            stacklevel=3,
        )


def require_distinct_columns(names: Sequence[str], path: Path) -> None:
    """Raise ``DataError`` if two columns of a file have the same name."""
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(
                f"{path} has {count} columns called {name!r}; rename or drop all but one"
            )


def check_undecodable(errors: str) -> None:
    """Raise ``ParameterError`` unless this is a way to treat bytes that are no UTF-8."""
    if errors not in ("strict", "replace"):
        raise ParameterError(f"errors={errors!r} is not one of strict, replace")


# -- bytes to texts --------------------------------------------------------------------------------


def decoded(
    content: bytes, path: Path, *, start: int = 0, errors: Undecodable = "strict"
) -> pa.Buffer:
    """Return content that is UTF-8, without a byte order mark.

    Parameters
    ----------
    content : bytes
        A file, or a part of it that begins and ends between two characters.
    path : Path
        The file, for messages.
    start : int
        Where in the file the part begins.
    errors : {"strict", "replace"}
        Whether other bytes are refused, or replaced by U+FFFD.

    Raises
    ------
    FileFormatError
        If the content is no UTF-8, with the position of the first wrong byte.
    """
    if start == 0 and content.startswith(codecs.BOM_UTF8):
        content, start = content[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
    buffer = pa.py_buffer(content)
    try:
        _text_array(np.array([0, len(content)]), buffer).validate(full=True)
    except pa.ArrowInvalid:
        return pa.py_buffer(_decode(content, path, start, errors).encode())
    return buffer


def lines_of(content: pa.Buffer) -> pa.Array:
    r"""Return the lines of a text, without their ends.

    Examples
    --------
    >>> lines_of(pa.py_buffer(b"one\r\n\ntwo")).to_pylist()
    ['one', '', 'two']
    """
    import pyarrow.compute as pc

    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n")) + 1
    # The last line may lack its end. Lines are taken as they lie in the file, then lose their ends.
    bounds = np.unique([0, *ends, content.size])
    return pc.ascii_rtrim(_text_array(bounds, content), characters="\r\n")


def parse_json_lines(content: pa.Buffer, path: Path, columns: Sequence[str] = ()) -> pa.Table:
    """Return JSON objects, one per line, as a table; ``FileFormatError`` if they are none."""
    import pyarrow.json

    try:
        table = pyarrow.json.read_json(pa.BufferReader(content))
        # Texts that look like dates: read again as they are.
        dates = [
            f.name for f in table.schema if f.name in columns and pa.types.is_timestamp(f.type)
        ]
        if dates:
            schema = pa.schema([(name, pa.large_string()) for name in dates])
            options = pyarrow.json.ParseOptions(explicit_schema=schema)
            table = pyarrow.json.read_json(pa.BufferReader(content), parse_options=options)
    except pa.ArrowInvalid as error:
        raise FileFormatError(
            f"{path} is not readable as JSONL, one JSON object per line: {error}"
        ) from error
    return table


def _parse_csv(content: pa.Buffer, path: Path, columns: Sequence[str]) -> pa.Table:
    import pyarrow.csv

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            parse_options=csv_layout(),
            convert_options=csv_types(columns),
        )
    except pa.ArrowInvalid as error:
        raise FileFormatError(f"{path} is not a readable CSV file: {error}") from error
    require_distinct_columns(table.column_names, path)
    return table


def csv_layout() -> Any:
    """Return how CSV files are cut into rows: line breaks within quotes belong to a text."""
    import pyarrow.csv

    return pyarrow.csv.ParseOptions(newlines_in_values=True)


def csv_types(columns: Sequence[str], dtype: pa.DataType = _STRING) -> Any:
    """Return how CSV values are understood: ``NA`` is missing, ``"NA"`` and ``""`` are texts."""
    import pyarrow.csv

    return pyarrow.csv.ConvertOptions(
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types=dict.fromkeys(columns, dtype),
    )


def _decode(content: bytes, path: Path, start: int, errors: Undecodable) -> str:
    try:
        return content.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path} is not UTF-8: byte {content[error.start]:#04x} at position "
            f"{start + error.start}. Convert it, for example: iconv -f latin1 -t utf-8; or read it "
            "with read_text_file(path, errors='replace') of tabtext.text.files, which puts U+FFFD "
            "in place of such bytes, and pass the table (lm prepare: --replace)"
        ) from error


def _text_array(bounds: npt.NDArray[np.int64], content: pa.Buffer) -> pa.Array:
    """Texts that lie end to end in a buffer, without a copy."""
    return pa.LargeStringArray.from_buffers(
        len(bounds) - 1, pa.py_buffer(bounds.astype(np.int64)), content
    )


def _sorted_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".txt" and path.is_file() and not path.name.startswith(".")
    )
