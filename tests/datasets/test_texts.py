"""Larger public sets of texts: from files of any layout, and counts as published where they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tabtext.datasets import Reviews, load_imdb, load_sst5, load_wikitext2
from tabtext.errors import FileFormatError, MissingFileError
from tabtext.tables import write_table


@pytest.mark.parametrize("load", [load_imdb, load_sst5, load_wikitext2])
def test_a_folder_that_is_not_there_is_named(load: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="none"):
        load(tmp_path / "none")


@pytest.mark.parametrize("load", [load_imdb, load_sst5, load_wikitext2])
def test_files_that_are_not_there_are_named(load: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"lacks (train|wiki\.train)"):
        load(tmp_path)


def write_archive(folder: Path) -> None:
    texts = {
        "train/pos/0_9.txt": "A joy.",
        "train/neg/3_1.txt": "A bore.",
        "train/unsup/0_0.txt": "So so.",
        "train/unsup/1_0.txt": "Known from the test.",
        "test/pos/0_10.txt": "Known from the test.",
        "test/neg/0_2.txt": "Dull.<br />Long.",
        "train/urls_pos.txt": "no review",
        "train/labeledBow.feat": "no text",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def write_tables(folder: Path) -> None:
    parts: dict[str, list[tuple[str, int, int, int]]] = {
        "train": [("A bore.", 0, 1, 3), ("A joy.", 1, 9, 0)],
        "test": [("Dull.<br />Long.", 0, 2, 0), ("Known from the test.", 1, 10, 0)],
        "unsup": [("So so.", -1, 0, 0), ("Known from the test.", -1, 0, 1)],
    }
    types = {"text": pa.string(), "label": pa.int8(), "rating": pa.int8(), "id": pa.int32()}
    for name, rows in parts.items():
        columns = zip(types.items(), zip(*rows, strict=True), strict=True)
        table = pa.table({column: pa.array(values, dtype) for (column, dtype), values in columns})
        write_table(table, folder / f"{name}.parquet")


def test_the_archive_and_tables_give_the_same_reviews(tmp_path: Path) -> None:
    write_archive(tmp_path / "archive")
    write_tables(tmp_path / "tables")

    first, second = load_imdb(tmp_path / "archive"), load_imdb(tmp_path / "tables")

    for part in ("train", "test", "unsupervised"):
        pd.testing.assert_frame_equal(getattr(first, part), getattr(second, part))
    assert first.train[["text", "label", "rating"]].to_numpy().tolist() == [
        ["A bore.", 0, 1],
        ["A joy.", 1, 9],
    ]


@pytest.mark.parametrize("write", [write_archive, write_tables])
def test_no_language_model_reads_what_it_is_tested_on_unless_asked_to(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path)

    strict, whole = load_imdb(tmp_path), load_imdb(tmp_path, keep_test_texts=True)

    assert strict.unsupervised["text"].tolist() == ["So so."]
    assert (strict.n_left_out, whole.n_left_out) == (1, 0)
    assert whole.unsupervised["text"].tolist() == ["So so.", "Known from the test."]
    assert list(whole.unsupervised) == ["text", "id"]


def test_streams_share_their_tokens_and_end_lines(tmp_path: Path) -> None:
    lines = {"train": " \n = A = \n b <unk> b \n", "valid": " b c \n", "test": " A \n"}
    for part, text in lines.items():
        path = tmp_path / f"wiki.{part}.tokens"
        if part == "train":
            with pa.output_stream(f"{path}.zst", compression="zstd") as file:
                file.write(text.encode())
        else:
            path.write_text(text)

    streams = load_wikitext2(tmp_path)

    assert streams.tokens == ("<eos>", "=", "A", "b", "<unk>", "c")
    train, valid, test = streams
    assert streams.words(train) == ["<eos>", "=", "A", "=", "<eos>", "b", "<unk>", "b", "<eos>"]
    assert streams.words(valid) == ["b", "c", "<eos>"]
    assert streams.words(test) == ["A", "<eos>"]


def test_a_damaged_stream_is_named(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"wiki.{part}.tokens.zst").write_bytes(b"no zstd")

    with pytest.raises(FileFormatError, match=r"wiki\.train\.tokens\.zst cannot be read"):
        load_wikitext2(tmp_path)


@pytest.mark.slow
def test_imdb_has_the_published_counts(larger_data: Path) -> None:
    reviews = load_imdb(larger_data)

    assert isinstance(reviews, Reviews)
    assert reviews.train["label"].value_counts().to_dict() == {0: 12_500, 1: 12_500}
    assert reviews.test["label"].value_counts().to_dict() == {0: 12_500, 1: 12_500}
    assert len(reviews.unsupervised) == 50_000 - reviews.n_left_out == 49_730
    assert not set(reviews.unsupervised["text"]).intersection(reviews.test["text"])


@pytest.mark.slow
def test_sst5_has_the_published_counts(larger_data: Path) -> None:
    splits = load_sst5(larger_data)

    assert [len(part) for part in splits] == [8544, 1101, 2210]
    assert all(sorted(part["label"].unique()) == [0, 1, 2, 3, 4] for part in splits)


@pytest.mark.slow
def test_wikitext2_has_the_published_counts(larger_data: Path) -> None:
    streams = load_wikitext2(larger_data)

    assert [len(part) for part in streams] == [2_088_628, 217_646, 245_569]
    assert len(streams.tokens) == 33_278
    assert set(streams.valid.tolist()) <= set(streams.train.tolist())
