"""Sources of texts that need not fit into memory: files, folders or batches in, shards out.

A shard is a table of a bounded size. The same source gives the same shards whenever it is read,
which is what makes an interrupted preparation continue as if nothing had happened.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabtext.errors import (
    ColumnTypeError,
    FileFormatError,
    MissingFileError,
    UnknownColumnError,
    did_you_mean,
)
from tabtext.text.files import (
    SUFFIXES,
    Undecodable,
    csv_layout,
    csv_types,
    decoded,
    lines_of,
    parse_json_lines,
    require_distinct_columns,
    text_files_in,
    warn_of_files_left_aside,
)
from tabtext.text.reading import (
    is_missing,
    is_text,
    read_texts,
    refuse_single_text,
    warn_of_columns_left_out,
    warn_of_several,
)

__all__ = ["Shard", "TextSource"]

Columns = Sequence[str] | None
Parts = Iterator[tuple[Any, float]]
"""Texts without a name, or a table; and the share of the file that is read."""

_PART_BYTES = 4 << 20
"""What is read at once: small beside a shard, so that shards are of one size."""
_TABLES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Shard:
    """Some of the texts of a source.

    Parameters
    ----------
    texts : pyarrow.Table
        ``large_string`` columns.
    done : int
        How much of the source ends with this shard, in the unit of ``TextSource.total``.
    """

    texts: pa.Table
    done: int


class TextSource:
    """Texts that are read in shards.

    Parameters
    ----------
    data : path, sequence of paths, texts or table of any kind, or iterable of these
        A CSV, Parquet, JSONL or .txt file, a folder of .txt files (a text per file) or of the other
        kinds, several of all these; or texts in memory; or batches of texts, such as a generator
        gives.
    columns : sequence of str, optional
        The columns of text. Default: the columns of strings in what comes first.
    errors : {"strict", "replace"}
        Whether bytes that are no UTF-8 are refused, or replaced by U+FFFD.

    Raises
    ------
    MissingFileError, FileFormatError
        If a file is not there or of another kind.

    Examples
    --------
    >>> source = TextSource(["good", "bad"] for _ in range(3))
    >>> [shard.texts.num_rows for shard in source.shards(n_bytes=10)]
    [4, 2]
    """

    def __init__(
        self,
        data: Any,
        *,
        columns: Columns = None,
        errors: Undecodable = "strict",
    ) -> None:
        self._columns, self._errors = columns, errors
        self._files = _files_of(data)
        self._sizes = [_size_of(path) for path in self._files]
        self._batches: Iterable[Any] = [data] if _is_in_memory(data) else data
        if not isinstance(self._batches, Iterable) and not self._files:
            raise ColumnTypeError(
                f"a {type(data).__name__} is no source of texts; give a path or paths, texts, a "
                "table, or an iterable of batches of texts"
            )

    @property
    def total(self) -> int | None:
        """Size of the source: bytes of the files, or number of batches, or None if unknown."""
        if self._files:
            return sum(self._sizes)
        return len(self._batches) if isinstance(self._batches, Sized) else None

    def description(self) -> dict[str, Any]:
        """Return what tells this source from others before it is read: names and sizes of files."""
        if not self._files:
            return {"batches": self.total}
        sizes = zip(self._files, self._sizes, strict=True)
        return {"files": [{"name": path.name, "bytes": size} for path, size in sizes]}

    def shards(self, n_bytes: int) -> Iterator[Shard]:
        """Yield the texts in their order, in shards of about ``n_bytes`` bytes of text.

        Raises
        ------
        FileFormatError, DataError, ColumnTypeError, UnknownColumnError
            If a file or a batch holds something else than texts.
        """
        waiting: list[pa.Table] = []
        size = done = 0
        for texts, now in self._parts(min(n_bytes, _PART_BYTES)):
            waiting.append(texts)
            size, done = size + _n_bytes(texts), now
            if size >= n_bytes:
                yield Shard(pa.concat_tables(waiting), done)
                waiting, size = [], 0
        if waiting:
            yield Shard(pa.concat_tables(waiting), done)

    def _parts(self, n_bytes: int) -> Iterator[tuple[pa.Table, int]]:
        """Tables of text columns, of a few megabytes at most, and how much is done after each."""
        self._chosen = self._columns
        for part, done in self._read():
            texts = read_texts(part, columns=self._chosen, errors=self._errors)
            if self._chosen is None:
                warn_of_several(texts.column_names)
            self._chosen = texts.column_names  # those of the first part hold for all
            for piece in _cut(texts, n_bytes):
                yield piece, done

    def _read(self) -> Iterator[tuple[Any, int]]:
        """What ``read_texts`` takes, and how much is done after it."""
        if not self._files:
            for number, batch in enumerate(self._batches, start=1):
                yield batch, number
        before = 0
        for path, size in zip(self._files, self._sizes, strict=True):
            read = _READERS["" if path.is_dir() else path.suffix.lower()]
            try:
                for part, share in read(path, self._chosen, self._errors):
                    yield part, before + round(share * size)
            except pa.ArrowInvalid as error:
                raise FileFormatError(f"{path} is not readable: {error}") from error
            before += size


# -- what is a source ------------------------------------------------------------------------------


def _files_of(data: Any) -> list[Path]:
    """The files that a source consists of; a folder of text files counts as one."""
    if isinstance(data, str | bytes):
        refuse_single_text(data)
    if isinstance(data, list | tuple) and data and all(map(_is_path, data)):
        return [path for entry in data for path in _files_of(Path(entry))]
    if not isinstance(data, str | os.PathLike):
        return []
    path = Path(data)
    if path.is_dir():
        entries = sorted(p for p in path.iterdir() if not p.name.startswith("."))
        tables = [p for p in entries if p.is_file() and p.suffix.lower() in _TABLES]
        warn_of_files_left_aside(path, tables or text_files_in(path)[0])
        return tables or [path]
    if path.suffix.lower() not in SUFFIXES:
        raise FileFormatError(f"{path}: texts are read from {', '.join(SUFFIXES)} files or folders")
    if not path.is_file():
        raise MissingFileError(f"no such file: {path}")
    return [path]


def _is_path(entry: Any) -> bool:
    return isinstance(entry, os.PathLike) or (isinstance(entry, str) and os.path.exists(entry))


def _is_in_memory(data: Any) -> bool:
    """Whether these are the texts themselves, and not batches of texts."""
    if isinstance(data, list | tuple):
        first = next((entry for entry in data if not is_missing(entry)), None)
        return first is None or isinstance(first, str | bytes)
    tables = (Mapping, np.ndarray, pa.Array, pa.ChunkedArray, pa.Table, pa.RecordBatch)
    pandas = type(data).__module__.split(".")[0] == "pandas"
    return pandas or isinstance(data, tables) or hasattr(data, "__arrow_c_stream__")


def _size_of(path: Path) -> int:
    files = text_files_in(path)[0] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _n_bytes(texts: pa.Table) -> int:
    """Bytes of text, which unlike Arrow's ``nbytes`` do not depend on how they are laid out."""
    return sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in texts.columns)


def _cut(texts: pa.Table, n_bytes: int) -> Iterator[pa.Table]:
    """Cut what someone read in one piece."""
    n_pieces = max(_n_bytes(texts) // n_bytes, 1)
    n_rows = max(-(-texts.num_rows // n_pieces), 1)
    for start in range(0, texts.num_rows, n_rows):
        yield texts.slice(start, n_rows)


# -- files, part by part ---------------------------------------------------------------------------


def _read_folder(path: Path, _columns: Columns, errors: Undecodable) -> Parts:
    files, _ = text_files_in(path)
    texts: list[bytes] = []
    size = 0
    for number, file in enumerate(files, start=1):
        texts.append(bytes(decoded(file.read_bytes(), file, errors=errors)))
        size += len(texts[-1])
        if size >= _PART_BYTES or number == len(files):
            yield texts, number / len(files)
            texts, size = [], 0


def _read_lines(path: Path, _columns: Columns, errors: Undecodable) -> Parts:
    for block, share in _blocks(path, errors):
        yield lines_of(block), share


def _read_json_lines(path: Path, columns: Columns, errors: Undecodable) -> Parts:
    names: list[str] = []
    for block, share in _blocks(path, errors):
        table = parse_json_lines(block, path, columns or ())
        if table.num_rows == 0:
            continue  # nothing but empty lines
        if not names:
            names = _chosen(table.schema, columns, path)
        for name in names:
            if name not in table.column_names:  # a field that a whole block leaves out
                table = table.append_column(name, pa.nulls(table.num_rows))
        yield table.select(names), share


def _read_csv(path: Path, columns: Columns, errors: Undecodable) -> Parts:
    import pyarrow.csv

    if errors == "strict":
        for _ in _blocks(path, errors):  # a look at every byte, which finds what is no UTF-8
            pass
    reading = pyarrow.csv.ReadOptions(block_size=_PART_BYTES)
    with pyarrow.csv.open_csv(path, reading, csv_layout()) as reader:
        names = _chosen(reader.schema, columns, path)
    # As bytes, because Arrow refuses what is no UTF-8 without saying where.
    types = csv_types(names, pa.large_binary())
    types.include_columns = names
    with pyarrow.csv.open_csv(path, reading, csv_layout(), types) as reader:
        done, total = 0, path.stat().st_size
        for batch in reader:
            done += batch.nbytes
            yield pa.Table.from_batches([batch]), min(done / total, 1.0)


def _read_parquet(path: Path, columns: Columns, _errors: Undecodable) -> Parts:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        names = _chosen(file.schema_arrow, columns, path)
        n_rows = file.metadata.num_rows
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        n_bytes = sum(group.total_byte_size for group in groups)
        at_once = max(n_rows * _PART_BYTES // max(n_bytes, 1), 1)
        done = 0
        for batch in file.iter_batches(batch_size=at_once, columns=names):
            done += batch.num_rows
            yield pa.Table.from_batches([batch]), done / n_rows


_READERS: dict[str, Callable[[Path, Columns, Undecodable], Parts]] = {
    "": _read_folder,
    ".txt": _read_lines,
    ".jsonl": _read_json_lines,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def _blocks(path: Path, errors: Undecodable) -> Iterator[tuple[pa.Buffer, float]]:
    """Whole lines of a file, a few megabytes at once, and the share of it that ends with them."""
    total = path.stat().st_size
    with path.open("rb") as file:
        start, waiting = 0, []
        while chunk := file.read(_PART_BYTES):
            cut = chunk.rfind(b"\n") + 1
            waiting.append(chunk[:cut] if cut else chunk)
            if cut:
                content = b"".join(waiting)
                yield decoded(content, path, start=start, errors=errors), file.tell() / total
                start, waiting = start + len(content), [chunk[cut:]]
        if rest := b"".join(waiting):
            yield decoded(rest, path, start=start, errors=errors), 1.0


def _chosen(schema: pa.Schema, columns: Columns, path: Path) -> list[str]:
    """The columns to read: those asked for, or all that hold strings."""
    require_distinct_columns(schema.names, path)
    if columns is None:
        names = [field.name for field in schema if is_text(field.type)]
        if names:
            warn_of_columns_left_out([name for name in schema.names if name not in names])
        return names or list(schema.names)
    for name in columns:
        if name not in schema.names:
            raise UnknownColumnError(
                f"column {name!r} is not in {path}{did_you_mean(name, schema.names)}. "
                f"Its columns: {', '.join(map(repr, schema.names))}"
            )
    return list(columns)
