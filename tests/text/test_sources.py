"""Sources larger than memory: whatever the form, the same texts in shards of a bounded size."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import (
    ColumnTypeError,
    DataError,
    FileFormatError,
    MissingFileError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.tables import write_table
from tabtext.text import sources
from tabtext.text.sources import TextSource

pytestmark = pytest.mark.filterwarnings("ignore:columns that hold no text are left out")

TEXTS = [f"text {number}: {'é👍, ' * (number % 7)}" for number in range(500)]


@pytest.fixture(autouse=True)
def _read_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PART_BYTES", 300)


def all_of(source: TextSource, n_bytes: int = 1000) -> list[Any]:
    """All rows, a value for one column and a dict for several."""
    tables = [shard.texts for shard in source.shards(n_bytes)]
    rows = pa.concat_tables(tables).to_pylist() if tables else []
    return [next(iter(row.values())) if len(row) == 1 else row for row in rows]


def write_csv(path: Path) -> Path:
    write_table(pa.table({"text": TEXTS, "n": range(500)}), path / "texts.csv")
    return path / "texts.csv"


def write_parquet(path: Path) -> Path:
    write_table(pa.table({"n": range(500), "text": TEXTS}), path / "texts.parquet")
    return path / "texts.parquet"


def write_jsonl(path: Path) -> Path:
    lines = [json.dumps({"text": text, "n": n}) for n, text in enumerate(TEXTS)]
    (path / "texts.jsonl").write_text("\n".join(lines))
    return path / "texts.jsonl"


def write_txt(path: Path) -> Path:
    (path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return path / "texts.txt"


def write_folder(path: Path) -> Path:
    (path / "texts").mkdir()
    for number, text in enumerate(TEXTS):
        (path / "texts" / f"{number:03}.txt").write_text(text, encoding="utf-8")
    return path / "texts"


WRITERS = [write_csv, write_parquet, write_jsonl, write_txt, write_folder]


@pytest.mark.parametrize("write", WRITERS)
def test_every_kind_of_file_gives_its_texts_in_order_and_in_shards(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    source = TextSource(write(tmp_path), columns=["text"])

    shards = list(source.shards(n_bytes=2000))

    assert [text for shard in shards for text in shard.texts["text"].to_pylist()] == TEXTS
    sizes = [sum(map(len, map(str.encode, s.texts["text"].to_pylist()))) for s in shards]
    assert all(2000 <= size < 3000 for size in sizes[:-1])
    done = [shard.done for shard in shards]
    assert done == sorted(done)
    assert done[-1] == source.total


@pytest.mark.parametrize(
    "data",
    [
        TEXTS,
        np.array(TEXTS),
        pd.Series(TEXTS),
        pl.Series(TEXTS),
        pa.array(TEXTS),
        {"text": TEXTS},
        pd.DataFrame({"text": TEXTS}),
    ],
    ids=lambda data: type(data).__name__,
)
def test_texts_in_memory_are_cut_into_shards_too(data: Any) -> None:
    shards = list(TextSource(data).shards(n_bytes=2000))

    assert all_of(TextSource(data)) == TEXTS
    assert len(shards) > 5


def test_batches_of_any_kind_and_size_are_put_together() -> None:
    def batches() -> Iterator[Any]:
        yield TEXTS[:1]
        yield []
        yield pa.array(TEXTS[1:3])
        yield {"text": TEXTS[3:400]}
        yield (text for text in TEXTS[400:])

    assert all_of(TextSource(batches())) == TEXTS


@given(sizes=st.lists(st.integers(0, 40), max_size=6), n_bytes=st.integers(1, 3000))
def test_shards_hold_all_texts_whatever_the_sizes(sizes: list[int], n_bytes: int) -> None:
    ends = np.cumsum([0, *sizes]).tolist()
    batches = [TEXTS[start:end] for start, end in pairwise(ends)]

    assert all_of(TextSource(iter(batches)), n_bytes) == TEXTS[: ends[-1]]


def test_files_and_folders_follow_each_other(tmp_path: Path) -> None:
    paths = [write_txt(tmp_path), str(write_csv(tmp_path)), write_folder(tmp_path)]

    source = TextSource(paths, columns=["text"])

    assert all_of(source) == TEXTS * 3
    names = [entry["name"] for entry in source.description()["files"]]
    assert names == ["texts.txt", "texts.csv", "texts"]


def test_a_folder_of_tables_is_read_file_by_file(tmp_path: Path) -> None:
    for number in (2, 1):
        write_table(pa.table({"text": [f"part {number}"]}), tmp_path / f"part-{number}.parquet")

    assert all_of(TextSource(tmp_path)) == ["part 1", "part 2"]


def test_several_columns_are_read_side_by_side(tmp_path: Path) -> None:
    write_table(
        pa.table({"a": ["x", None], "n": [1, 2], "b": ["y", "z"]}), tmp_path / "two.parquet"
    )

    assert all_of(TextSource(tmp_path / "two.parquet", columns=["b", "a"])) == [
        {"b": "y", "a": "x"},
        {"b": "z", "a": None},
    ]


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_jsonl])
def test_columns_of_strings_are_found(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    assert all_of(TextSource(write(tmp_path))) == TEXTS


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_columns_that_nobody_chose_are_said(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d{suffix}"
    frame = pd.DataFrame({"text": ["a"], "label": ["b"], "n": [1]})
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)

    with pytest.warns(TabTextWarning) as said:
        assert all_of(TextSource([path, path])) == [{"text": "a", "label": "b"}] * 2

    left_out, read = (str(warning.message) for warning in said)
    assert left_out.startswith("columns that hold no text are left out: 'n'")
    assert read.startswith("2 columns of text are read: 'text', 'label'")


def test_files_beside_tables_are_left_aside_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    (tmp_path / "b.txt").write_text("bad\n")

    with pytest.warns(TabTextWarning, match="1 files below .* are left aside; 1 are read"):
        assert all_of(TextSource(tmp_path)) == ["good"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dup.csv").write_text("text,text\ngood,bad\n")

    with pytest.raises(DataError, match=r"dup\.csv has 2 columns called 'text'"):
        all_of(TextSource(tmp_path / "dup.csv"))


def test_batches_that_hold_more_than_texts_are_warned_of() -> None:
    with pytest.warns(TabTextWarning, match="left out: 'n'"):
        assert all_of(TextSource([{"text": ["a"], "n": [1]}] * 2)) == ["a", "a"]


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_jsonl])
def test_a_column_that_a_file_lacks_is_named_with_the_file(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)

    with pytest.raises(UnknownColumnError, match=f"'txt' is not in .*{path.name}; did you mean"):
        all_of(TextSource(path, columns=["txt"]))


def test_a_field_that_some_lines_leave_out_is_missing_there(tmp_path: Path) -> None:
    lines = ['{"text": "a", "n": 1}'] + ['{"n": 1}'] * 100 + ['{"text": "b"}']
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))

    assert all_of(TextSource(tmp_path / "texts.jsonl")) == ["a", *[None] * 100, "b"]


@pytest.mark.parametrize("write", [write_csv, write_txt])
def test_the_position_of_what_is_no_utf8_counts_from_the_start_of_the_file(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    position = content.index(b"text 400")
    path.write_bytes(content[:position] + b"\xff" + content[position + 1 :])

    with pytest.raises(FileFormatError, match=f"{path.name} .* 0xff at position {position}"):
        all_of(TextSource(path, columns=["text"]))
    replaced = all_of(TextSource(path, columns=["text"], errors="replace"))
    assert replaced == [text if n != 400 else f"�{text[1:]}" for n, text in enumerate(TEXTS)]


def test_lines_longer_than_what_is_read_at_once_stay_whole(tmp_path: Path) -> None:
    texts = ["a" * 5000, "", "é" * 700, "end"]
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")

    assert all_of(TextSource(tmp_path / "texts.txt")) == texts


def test_csv_texts_may_span_blocks(tmp_path: Path) -> None:
    texts = ['a "quoted"\nline, ' * 5] * 50
    write_table(pa.table({"text": texts}), tmp_path / "texts.csv")

    assert all_of(TextSource(tmp_path / "texts.csv")) == texts


def test_an_empty_source_has_no_shards(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").touch()

    for data in (tmp_path / "texts.txt", [], iter([]), [[]], {"text": pa.array([], pa.string())}):
        assert all_of(TextSource(data)) == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("a single text", ColumnTypeError),
        ("none.csv", MissingFileError),
        (Path("none.csv"), MissingFileError),
        ([Path("none.csv")], MissingFileError),
        (Path("texts.docx"), FileFormatError),
        (3, ColumnTypeError),
        (None, ColumnTypeError),
    ],
)
def test_what_is_no_source_is_refused_at_once(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        TextSource(data)


def test_a_batch_with_something_else_than_texts_is_refused() -> None:
    with pytest.raises(ColumnTypeError, match="row 1: 7 is a number"):
        all_of(TextSource([["a"], ["b", 7]]))


def test_the_size_is_told_where_it_is_known(tmp_path: Path) -> None:
    path = write_txt(tmp_path)

    assert TextSource(path).total == path.stat().st_size
    assert TextSource([["a"], ["b"]]).total == 2
    assert TextSource(iter([["a"]])).total is None
