"""Files that are whole or absent, and JSON files that say what is wrong with them."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabtext.errors import ArtifactError, MissingFileError, SaveError

__all__ = ["read_json", "whole_file", "write_json"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; when the block ends, the file stands at ``path``.

    A process that is killed midway leaves ``path`` as it was, and at most a file
    ``.<name>.partial`` beside it, which the next attempt overwrites.

    Raises
    ------
    SaveError
        If writing fails; the temporary file is removed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with whole_file(path) as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> [file.name for file in path.parent.iterdir()]
    ['notes.txt']
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            # The disk must have the content before the name, or a power cut leaves an empty file.
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SaveError(
            f"{path} was not written: {error}; nothing half-written is left under its name"
        ) from error


def _sync_directory(directory: Path) -> None:
    """Wait until the disk has the names in a directory."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all; ``SaveError`` if that fails."""
    with whole_file(path) as temporary:
        text = json.dumps(content, ensure_ascii=False, indent=1)
        temporary.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def read_json(path: Path, what: str, *, newest: int = 1) -> dict[str, Any]:
    """Read a JSON object with a ``format_version``.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What the file holds, for messages.
    newest : int
        The highest format version that the caller can read.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ArtifactError
        If it is damaged, something else, or of a newer version.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; give the place where the {what} was saved")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format_version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(
            f"{path} is no {what} or is damaged ({error!r}); save it again or restore a copy"
        ) from error
    if version > newest:
        raise ArtifactError(
            f"{path} has format {version}, newer than this version of tabtext reads ({newest}). "
            "Upgrade with: pip install --upgrade tabtext"
        )
    return dict(content)
