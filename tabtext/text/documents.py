"""Documents as ids: one flat array for all of them, in memory or mapped from a file.

25,000 reviews are 8 million ids. In one int32 array they take 32 MB; as a list per review they
would take gigabytes, and could be neither mapped from a file nor cut into batches by a compiled
loop.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tabtext.errors import ArtifactError, MissingFileError, ParameterError
from tabtext.text.storage import read_json, whole_file, write_json

__all__ = ["Documents", "offsets_of", "writing_documents"]

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

_FORMAT_VERSION = 1
_HEADER, _IDS, _OFFSETS = "documents.json", "ids.npy", "offsets.npy"
_CHECKED_AT_ONCE = 1 << 26  # bytes


@dataclass(frozen=True, eq=False, repr=False)
class Documents:
    """Documents end to end, each a run of ids.

    Parameters
    ----------
    ids : int32 array of shape (n_tokens,)
        The ids of all documents, C-contiguous; may be mapped from a file and read-only.
    offsets : int64 array of shape (n_documents + 1,)
        Document ``i`` is ``ids[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    ParameterError
        If an array has another dtype or shape, or the offsets do not rise from 0 to ``n_tokens``.

    Examples
    --------
    >>> documents = Documents.of([[2, 9, 10, 3], [2, 3]])
    >>> documents
    Documents(2 documents, 6 tokens)
    >>> documents[0].tolist(), documents.lengths.tolist()
    ([2, 9, 10, 3], [4, 2])
    >>> [document.tolist() for document in documents.reversed()]
    [[2, 10, 9, 3], [2, 3]]
    """

    ids: Ids
    offsets: Offsets

    def __post_init__(self) -> None:
        for name, dtype in (("ids", np.int32), ("offsets", np.int64)):
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
                raise ParameterError(
                    f"{name} must be a contiguous array of one dimension and dtype "
                    f"{np.dtype(dtype)}, however: {array.dtype=}, {array.shape=}"
                )
        offsets = self.offsets
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(self.ids):
            raise ParameterError(
                f"offsets must run from 0 to the number of ids, {len(self.ids)}, however: {offsets}"
            )
        if (falling := np.flatnonzero(offsets[1:] < offsets[:-1])).size:
            raise ParameterError(f"offsets fall behind document {falling[0]}")

    @classmethod
    def of(cls, documents: Iterable[Sequence[int] | npt.NDArray[np.integer[Any]]]) -> "Documents":
        """Return documents from one sequence of ids for each."""
        arrays = [np.asarray(document, np.int32) for document in documents]
        ids = np.concatenate(arrays) if arrays else np.empty(0, np.int32)
        return cls(ids, offsets_of(np.array([len(array) for array in arrays], np.int64)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        row = range(len(self))[index]
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[Ids]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"Documents({len(self):,} documents, {self.n_tokens:,} tokens)"

    @property
    def n_tokens(self) -> int:
        """Number of ids in all documents together."""
        return len(self.ids)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of ids in each document."""
        return np.diff(self.offsets)

    def take(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> "Documents":
        """Return some of the documents, in the order of ``rows``; a row may come repeatedly.

        Raises
        ------
        ParameterError
            If there is no such row.

        Examples
        --------
        >>> [d.tolist() for d in Documents.of([[2, 3], [2, 9, 3], [2, 8, 3]]).take([2, 0])]
        [[2, 8, 3], [2, 3]]
        """
        from tabtext.text.kernels.documents import gather_documents

        rows = np.asarray(rows, np.int64)
        if (bad := rows[(rows < 0) | (rows >= len(self))]).size:
            raise ParameterError(f"there is no document {bad[0]}: there are {len(self):,}")
        offsets = offsets_of(self.offsets[rows + 1] - self.offsets[rows])
        ids = np.empty(offsets[-1], np.int32)
        gather_documents(self.ids, self.offsets, rows, ids)
        return Documents(ids, offsets)

    def reversed(self) -> "Documents":
        """Return the documents as a model reads them that goes backwards.

        The ids of each document are turned round; xxbos stays first and xxeos last, where they
        are, because they begin and end the reading.
        """
        from tabtext.text.kernels.documents import reverse_documents

        ids = np.empty_like(self.ids, subok=False)
        reverse_documents(self.ids, self.offsets, ids)
        return Documents(ids, self.offsets)

    def fingerprint(self) -> str:
        """Return a text that other documents would not have."""
        checksum = 0
        for array in (self.offsets, self.ids):
            content = array.view(np.uint8)
            for start in range(0, len(content), _CHECKED_AT_ONCE):
                checksum = crc32(content[start : start + _CHECKED_AT_ONCE].data, checksum)
        return f"{len(self)} documents, {self.n_tokens} tokens, sum {checksum:08x}"

    # -- disk --------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> None:
        """Write the ids and offsets as ``.npy`` files, and a JSON header, into a directory.

        Raises
        ------
        SaveError
            If writing fails.
        """
        with writing_documents(directory, self.lengths) as write:
            write(self.ids)

    @classmethod
    def load(cls, directory: str | Path) -> "Documents":
        """Open what ``save`` wrote.

        The ids are mapped: the system reads what is used, and forgets it when memory is short.

        Parameters
        ----------
        directory : str or Path
            Where it is.

        Raises
        ------
        MissingFileError
            If a file is not there.
        ArtifactError
            If a file is damaged or truncated, or of a newer version.
        """
        directory = Path(directory)
        header = read_json(directory / _HEADER, "set of documents", newest=_FORMAT_VERSION)
        ids = _read_array(directory / _IDS, mapped=True)
        offsets = _read_array(directory / _OFFSETS, mapped=False)
        try:
            documents = cls(ids, offsets)
        except ParameterError as error:
            raise ArtifactError(f"the documents in {directory} are damaged: {error}") from error
        if (len(documents), documents.n_tokens) != (
            header.get("n_documents"),
            header.get("n_tokens"),
        ):
            raise ArtifactError(f"{directory / _HEADER} belongs to other documents: {documents}")
        return documents


@contextmanager
def writing_documents(
    directory: str | Path, lengths: npt.NDArray[np.int64]
) -> Iterator[Callable[[Ids], None]]:
    """Write documents that need not be in memory at once.

    Parameters
    ----------
    directory : str or Path
        Where to write. Documents that are there already are gone from now on.
    lengths : int64 array of shape (n_documents,)
        Number of ids of each document.

    Yields
    ------
    callable
        Appends some ids; a call may end inside a document. When the block ends, the documents are
        there; a process killed before leaves none.

    Raises
    ------
    SaveError
        If writing fails.
    ParameterError
        If more or fewer ids were given than the lengths say.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with writing_documents(folder, np.array([3, 2])) as write:
    ...     write(np.array([2, 9], np.int32))
    ...     write(np.array([3, 2, 3], np.int32))
    >>> Documents.load(folder)
    Documents(2 documents, 5 tokens)
    """
    directory = Path(directory)
    offsets = offsets_of(lengths)
    n_tokens, written = int(offsets[-1]), 0
    with whole_file(directory / _IDS) as temporary, temporary.open("wb") as file:
        (directory / _HEADER).unlink(missing_ok=True)
        # A plain file and no mapping: a mapping that meets a full disk kills the process.
        shape = {"descr": "<i4", "fortran_order": False, "shape": (n_tokens,)}
        np.lib.format.write_array_header_1_0(file, shape)

        def write(ids: Ids) -> None:
            nonlocal written
            file.write(np.ascontiguousarray(ids, "<i4").data)
            written += len(ids)

        yield write
        if written != n_tokens:
            raise ParameterError(f"{written} ids were written, but the lengths say {n_tokens}")
    with whole_file(directory / _OFFSETS) as temporary, temporary.open("wb") as file:
        np.save(file, offsets.astype("<i8", copy=False), allow_pickle=False)
    header = {"n_documents": len(lengths), "n_tokens": n_tokens}
    write_json(directory / _HEADER, {"format_version": _FORMAT_VERSION, **header})


def offsets_of(lengths: npt.NDArray[np.integer[Any]]) -> Offsets:
    """Return where each document begins, and where the last one ends.

    Examples
    --------
    >>> offsets_of(np.array([3, 0, 2])).tolist()
    [0, 3, 3, 5]
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _read_array(path: Path, *, mapped: bool) -> npt.NDArray[Any]:
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; the saved documents are incomplete")
    try:
        mode: Literal["r"] | None = "r" if mapped else None
        array: npt.NDArray[Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ArtifactError(
            f"{path} is damaged or truncated ({error}); prepare it again or restore a copy"
        ) from error
    return array
