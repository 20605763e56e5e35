"""Shards of tokens in Arrow files, and checksums of texts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ArtifactError
from tabtext.text.shards import TokenizedShard, checksum_of
from tabtext.text.tokenization import TokenizedTexts

words = st.text(min_size=1, max_size=3)
texts_of_words = st.lists(st.lists(words, max_size=4), min_size=1, max_size=4)


def tokenized(texts: list[list[str]]) -> TokenizedTexts:
    """With a token that does not occur, as a tokenizer of pieces gives thousands."""
    distinct = ["never", *sorted({token for text in texts for token in text} - {"never"})]
    codes = [distinct.index(token) for text in texts for token in text]
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return TokenizedTexts(tuple(distinct), np.array(codes, np.int32), offsets)


@given(texts=texts_of_words, other=st.booleans())
def test_a_shard_comes_back_with_the_tokens_that_occur(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]], other: bool
) -> None:
    path = tmp_path_factory.mktemp("shard") / "shard.arrow"
    columns = [tokenized(texts), tokenized(texts[::-1])][: 1 + other]
    n_missing = dict.fromkeys(["a", "b"][: 1 + other], 1)
    TokenizedShard(columns, n_missing, "0123").write(path)

    shard = TokenizedShard.read(path)

    assert [list(column) for column in shard.columns] == [list(column) for column in columns]
    assert set(shard.columns[0].tokens) == {token for text in texts for token in text}
    assert (shard.n_missing, shard.checksum, len(shard)) == (n_missing, "0123", len(texts))


@given(texts=st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=6), data=st.data())
def test_checksums_do_not_depend_on_how_texts_lie_in_memory(
    texts: list[str | None], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(texts)))
    whole = pa.chunked_array([texts], pa.large_string())
    longer = pa.chunked_array([["x", *texts, "y"]], pa.large_string())
    parts = pa.chunked_array([texts[:cut], texts[cut:]], pa.large_string())

    checksums = {
        checksum_of(pa.table({"text": column}))
        for column in (whole, parts, longer.slice(1, len(texts)))
    }

    assert len(checksums) == 1


def test_checksums_tell_texts_apart() -> None:
    columns = [["ab", "c"], ["a", "bc"], ["ab", ""], ["ab", None], ["ab"], ["c", "ab"], ["ab", "d"]]
    tables = [pa.table({"text": pa.array(c, pa.large_string())}) for c in columns]
    tables += [tables[0].rename_columns(["body"]), tables[0].append_column("b", tables[0]["text"])]

    assert len({checksum_of(table) for table in tables}) == len(tables)


@pytest.mark.parametrize("n_bytes", [0, 10, 400, -30])
def test_a_damaged_shard_is_named(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "shard.arrow"
    TokenizedShard([tokenized([["a", "b"]])], {"text": 0}, "0123").write(path)
    path.write_bytes(path.read_bytes()[:n_bytes])

    with pytest.raises(ArtifactError, match=r"shard\.arrow is damaged"):
        TokenizedShard.read(path)


def test_another_arrow_file_is_no_shard(tmp_path: Path) -> None:
    path = tmp_path / "shard.arrow"
    table = pa.table({"text": ["a"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)

    with pytest.raises(ArtifactError, match=r"shard\.arrow is damaged"):
        TokenizedShard.read(path)
