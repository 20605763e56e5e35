"""Tokenized shards of a corpus, one Arrow file for each: whole or absent.

A shard's file has one column for each column of text, ``list<dictionary<string>>``: for every row
its tokens, and each distinct token spelled once. Its metadata holds a checksum of the texts, so
that a preparation that continues notices when a source has changed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabtext.errors import ArtifactError
from tabtext.text.storage import whole_file
from tabtext.text.tokenization import TokenizedTexts

__all__ = ["TokenizedShard", "checksum_of"]

_METADATA = b"tabtext"


@dataclass(frozen=True, eq=False)
class TokenizedShard:
    """The tokens of some rows.

    Parameters
    ----------
    columns : sequence of TokenizedTexts
        One for each column of text.
    n_missing : mapping of str to int
        For every column of text, how many texts were missing.
    checksum : str
        Of the texts, see ``checksum_of``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "shard.arrow"
    >>> texts = TokenizedTexts(("a", "b"), np.array([1, 1], np.int32), np.array([0, 2, 2]))
    >>> TokenizedShard([texts], {"text": 0}, "0123").write(path)
    >>> shard = TokenizedShard.read(path)
    >>> list(shard.columns[0]), shard.n_missing
    ([['b', 'b'], []], {'text': 0})
    """

    columns: Sequence[TokenizedTexts]
    n_missing: Mapping[str, int]
    checksum: str

    def __len__(self) -> int:
        return len(self.columns[0])

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; ``SaveError`` if that fails."""
        metadata = {"checksum": self.checksum, "n_missing": dict(self.n_missing)}
        table = pa.table(
            {
                name: _to_arrow(texts)
                for name, texts in zip(self.n_missing, self.columns, strict=True)
            }
        ).replace_schema_metadata({_METADATA: json.dumps(metadata)})
        with (
            whole_file(path) as temporary,
            pa.OSFile(str(temporary), "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)

    @classmethod
    def read(cls, path: Path) -> "TokenizedShard":
        """Map what ``write`` wrote; ``ArtifactError`` if it is damaged."""
        try:
            with pa.memory_map(str(path)) as file:
                table = pa.ipc.open_file(file).read_all()
            metadata = json.loads(table.schema.metadata[_METADATA])
            n_missing, checksum = metadata["n_missing"], str(metadata["checksum"])
            columns = [_from_arrow(table[name]) for name in n_missing]
        except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path} is damaged ({error}); delete it, and it will be made again"
            ) from error
        return cls(columns, n_missing, checksum)


def checksum_of(texts: pa.Table) -> str:
    """Return a text that other texts would not have, however they are laid out in memory.

    Examples
    --------
    >>> whole, parts = pa.chunked_array([["a", "b"]]), pa.chunked_array([["a"], ["b"]])
    >>> checksum_of(pa.table({"text": whole})) == checksum_of(pa.table({"text": parts}))
    True
    """
    found = hashlib.sha256()
    for name, column in zip(texts.column_names, texts.columns, strict=True):
        found.update(f"{name}:{len(column)}".encode())
        for chunk in column.chunks:
            # -1 for a missing text, whose bytes in the buffer are anyone's guess.
            lengths = pc.fill_null(pc.binary_length(chunk), -1)
            found.update(lengths.to_numpy(zero_copy_only=False).tobytes())
        for chunk in column.chunks:
            filled = pc.fill_null(chunk.cast(pa.large_string()), "")
            _, offsets, content = filled.buffers()
            bounds = np.frombuffer(offsets, np.int64)[filled.offset :][: len(filled) + 1]
            if content is not None:
                found.update(memoryview(content)[bounds[0] : bounds[-1]])
    return found.hexdigest()


def _to_arrow(texts: TokenizedTexts) -> pa.Array:
    """A column of token lists, with the tokens that occur and no others."""
    from tabtext.text.kernels.documents import count_codes

    counts = np.zeros(len(texts.tokens), np.int64)
    count_codes(texts.codes, counts)
    used = np.flatnonzero(counts)
    renumbered = np.zeros(len(counts), np.int32)
    renumbered[used] = np.arange(len(used), dtype=np.int32)
    tokens = pa.array([texts.tokens[code] for code in used.tolist()], pa.large_string())
    codes = pa.DictionaryArray.from_arrays(renumbered[texts.codes], tokens)
    return pa.LargeListArray.from_arrays(pa.array(texts.offsets), codes)


def _from_arrow(column: pa.ChunkedArray) -> TokenizedTexts:
    lists = column.combine_chunks()
    codes: npt.NDArray[np.int32] = lists.values.indices.to_numpy()
    tokens = tuple(lists.values.dictionary.to_pylist())
    return TokenizedTexts(tokens, codes, lists.offsets.to_numpy())
