"""Corpora larger than memory: prepared in shards, killed and continued, the same to the byte."""

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.datasets import load_snippets
from tabtext.errors import (
    ArtifactError,
    ColumnTypeError,
    DataError,
    MissingFileError,
    ParameterError,
    SaveError,
    TabTextWarning,
)
from tabtext.progress import watching
from tabtext.tables import write_table
from tabtext.text import corpus as module
from tabtext.text.corpus import Corpus, is_corpus, open_corpus, prepare_corpus
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import Tokenizer, WordTokenizer
from tabtext.text.vocabulary import TokenCounts, Vocabulary

SCRIPT = Path(__file__).with_name("corpus_run.py")
TEXTS = load_snippets("amazon")["text"].tolist()[:600]
PIECES = SubwordTokenizer(vocabulary_size=400).trained_on(TEXTS)
WORDS = WordTokenizer()


def preprocessor(**parameters: Any) -> TextPreprocessor:
    return TextPreprocessor(**{"tokenizer": PIECES, "min_freq": 2, **parameters})


def prepare(directory: Path, source: Any = TEXTS, **arguments: Any) -> Corpus:
    """Prepare a corpus in shards of a few texts."""
    return prepare_corpus(
        source, directory, **{"preprocessor": preprocessor(), "shard_bytes": 5000, **arguments}
    )


def contents(directory: Path) -> dict[str, bytes]:
    """All files of a directory, whose names and bytes must be the same."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


class CrashError(Exception):
    """What ends a preparation, as far as these tests go."""


# -- what comes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", [WORDS, PIECES], ids=["words", "pieces"])
@pytest.mark.parametrize("shard_bytes", [1000, 1 << 20])
def test_a_corpus_is_what_the_same_texts_are_in_memory(
    tmp_path: Path, tokenizer: Tokenizer, shard_bytes: int
) -> None:
    texts = TEXTS[:100]
    in_memory = preprocessor(tokenizer=tokenizer)
    documents = in_memory.fit_transform(texts)

    corpus = prepare(
        tmp_path,
        texts,
        preprocessor=preprocessor(tokenizer=tokenizer),
        shard_bytes=shard_bytes,
    )

    assert corpus.preprocessor.vocabulary_ == in_memory.vocabulary_
    assert corpus.documents.fingerprint() == documents.fingerprint()
    assert isinstance(corpus.documents.ids, np.memmap)
    assert corpus.preprocessor.text_of(corpus.documents[7]) == in_memory.text_of(documents[7])


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(0, 99), max_size=5), shard_bytes=st.integers(3000, 90_000))
def test_neither_batches_nor_shards_change_the_documents(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], shard_bytes: int
) -> None:
    rows = np.split(np.arange(len(TEXTS)), np.cumsum(sizes))
    batches = [[TEXTS[row] for row in part] for part in rows]

    corpus = prepare(tmp_path_factory.mktemp("corpus"), batches, shard_bytes=shard_bytes)

    assert corpus.documents.fingerprint() == preprocessor().fit_transform(TEXTS).fingerprint()


def test_nothing_but_the_corpus_is_left(tmp_path: Path) -> None:
    prepare(tmp_path / "corpus")

    assert list(contents(tmp_path / "corpus")) == [
        "corpus.json",
        "documents/documents.json",
        "documents/ids.npy",
        "documents/offsets.npy",
        "manifest.json",
        "preprocessor/preprocessor.json",
        "preprocessor/vocabulary.json",
    ]
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert manifest["source"] == {"batches": 1}
    assert manifest["min_freq"] == 2


def test_the_manifest_names_files_and_rules(tmp_path: Path) -> None:
    write_table(pa.table({"review": TEXTS, "stars": [5] * len(TEXTS)}), tmp_path / "in.parquet")

    prepare(
        tmp_path / "corpus",
        tmp_path / "in.parquet",
        preprocessor=preprocessor(tokenizer=WORDS, columns=["review"]),
    )

    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    size = (tmp_path / "in.parquet").stat().st_size
    assert manifest["source"] == {"files": [{"name": "in.parquet", "bytes": size}]}
    assert manifest["columns"] == ["review"]
    assert manifest["tokenizer"]["settings"]["rules"]["capitalised"] is True


def test_columns_and_gaps_are_those_of_the_whole(tmp_path: Path) -> None:
    batches = [{"a": ["x y", None], "b": ["z", "z"]}, {"a": [None, "x"], "b": ["", "y z"]}]
    given = preprocessor(tokenizer=WORDS, min_freq=1, columns=["a", "b"])

    with pytest.warns(TabTextWarning, match=r"missing texts count as empty: 2 in 'a' \(of 4 rows"):
        corpus = prepare(tmp_path, batches, preprocessor=given, shard_bytes=1)

    fitted = corpus.preprocessor
    assert (fitted.columns_, fitted.n_missing_, fitted.n_rows_) == (["a", "b"], 2, 4)
    assert fitted.vocabulary_.tokens_of(corpus.documents[1]) == [
        *("xxbos", "xxfld", "1", "xxfld", "2", "z", "xxeos")
    ]


def test_validation_texts_get_the_ids_of_the_training_texts(tmp_path: Path) -> None:
    train = prepare(tmp_path / "train", TEXTS[:300])

    valid = prepare(tmp_path / "valid", TEXTS[300:], preprocessor=train.preprocessor)

    assert valid.preprocessor.vocabulary_ == train.preprocessor.vocabulary_
    expected = train.preprocessor.transform(TEXTS[300:])
    assert valid.documents.fingerprint() == expected.fingerprint()


def test_a_given_vocabulary_is_kept(tmp_path: Path) -> None:
    vocabulary = Vocabulary.from_counts(TokenCounts({"the": 9, "phone": 8, ".": 7, "it": 3}))

    with pytest.warns(TabTextWarning, match="not in the given vocabulary"):
        corpus = prepare(
            tmp_path, preprocessor=preprocessor(tokenizer=WORDS, vocabulary=vocabulary)
        )

    assert corpus.preprocessor.vocabulary_ == vocabulary


def test_the_preprocessor_that_is_passed_stays_as_it_is(tmp_path: Path) -> None:
    given = preprocessor()

    prepare(tmp_path, preprocessor=given)

    assert not hasattr(given, "vocabulary_")


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []

    with watching(lambda *what: told.append(what)):
        prepare(tmp_path, [TEXTS[:200], TEXTS[200:]])

    done = [done for step, done, _ in told if step == "tokenizing"]
    assert done == sorted(done)
    assert told[len(done) - 1] == ("tokenizing", 2, 2)
    assert told[-1] == ("numbering", len(done), len(done))


# -- interrupted -----------------------------------------------------------------------------------


def stop_at(monkeypatch: pytest.MonkeyPatch, rename: int, *, after: bool) -> None:
    """Let the preparation end at a rename, the moment at which a file appears."""
    replace, seen = os.replace, 0

    def stopping(*paths: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == rename and not after:
            raise CrashError
        replace(*paths)
        if seen == rename:
            raise CrashError

    monkeypatch.setattr(os, "replace", stopping)


@pytest.mark.parametrize("after", [False, True])
def test_a_preparation_that_stopped_at_any_file_ends_as_if_it_never_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    prepare(tmp_path / "undisturbed", TEXTS[:150])
    expected = contents(tmp_path / "undisturbed")

    for rename in range(1, 100):
        directory = tmp_path / f"stopped-{rename}"
        with monkeypatch.context() as patch:
            stop_at(patch, rename, after=after)
            try:
                prepare(directory, TEXTS[:150])
            except CrashError:
                pass
            else:
                break
        prepare(directory, TEXTS[:150])
        assert contents(directory) == expected, f"stopped at rename {rename}"
    assert rename > 8  # some shards, vocabulary, preprocessor, documents, summary


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_gives_the_same_bytes(tmp_path: Path) -> None:
    assert run(str(tmp_path / "undisturbed")).returncode == 0

    codes = [
        run(str(tmp_path / "killed"), "--kill-at", str(event)).returncode
        for event in (3, 4, 6, 9, 14)
    ]
    assert run(str(tmp_path / "killed")).returncode == 0

    assert codes == [-signal.SIGKILL] * 5
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def test_only_what_was_not_tokenized_yet_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[list[str]]:
        yield TEXTS[:200]
        yield TEXTS[200:400]
        raise CrashError

    tokenized: list[int] = []
    tokenize = module.tokenize_columns
    monkeypatch.setattr(
        module,
        "tokenize_columns",
        lambda tokenizer, texts: tokenized.append(texts.num_rows) or tokenize(tokenizer, texts),
    )
    with pytest.raises(CrashError):
        prepare(tmp_path, broken())
    before = sum(tokenized)
    tokenized.clear()

    corpus = prepare(tmp_path, [TEXTS[:200], TEXTS[200:400], TEXTS[400:]])

    assert before > 300
    assert sum(tokenized) == len(TEXTS) - before
    assert len(corpus.documents) == len(TEXTS)


def test_a_complete_corpus_is_opened_and_not_prepared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(module, "tokenize_columns", None)

    assert prepare(tmp_path).documents.fingerprint() == first.documents.fingerprint()
    assert open_corpus(tmp_path).documents.fingerprint() == first.documents.fingerprint()
    assert contents(tmp_path) == before


def test_a_source_that_was_moved_is_the_same(tmp_path: Path) -> None:
    write_table(pa.table({"text": TEXTS}), tmp_path / "before.parquet")
    prepare(tmp_path / "corpus", tmp_path / "before.parquet")
    (tmp_path / "before.parquet").rename(tmp_path / "after.parquet")

    assert len(prepare(tmp_path / "corpus", tmp_path / "after.parquet").documents) == len(TEXTS)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    small, large = (run(str(tmp_path / number), "--batches", number) for number in ("5", "30"))

    # 5 MB more of text, and of ids.
    assert int(large.stdout) - int(small.stdout) < 5_000_000


def test_a_corpus_is_told_from_other_folders(tmp_path: Path) -> None:
    prepare(tmp_path / "complete")
    prepare(tmp_path / "begun")
    (tmp_path / "begun" / "corpus.json").unlink()
    for name, content in (("damaged", "{"), ("list", "[]"), ("other", '{"tokenizer": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(content)

    assert is_corpus(tmp_path / "complete")
    assert is_corpus(str(tmp_path / "begun"))
    for name in ("damaged", "list", "other", "missing", "complete/corpus.json"):
        assert not is_corpus(tmp_path / name)


# -- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preprocessor": preprocessor(min_freq=5)}, "begun with min_freq=2, not 5"),
        ({"preprocessor": preprocessor(max_size=99)}, "begun with max_size=60000, not 99"),
        ({"preprocessor": preprocessor(tokenizer=WORDS)}, "begun with tokenizer=.*sha256"),
        ({"preprocessor": preprocessor(columns=["text"])}, "begun with columns=None"),
        ({"shard_bytes": 6000}, "begun with shard_bytes=5000, not 6000"),
        ({"errors": "replace"}, "begun with errors='strict', not 'replace'"),
    ],
)
@pytest.mark.parametrize("complete", [False, True])
def test_other_settings_are_refused(
    tmp_path: Path, arguments: dict[str, Any], message: str, complete: bool
) -> None:
    prepare(tmp_path)
    if not complete:
        (tmp_path / "corpus.json").unlink()
    before = contents(tmp_path)

    with pytest.raises(ParameterError, match=f"{message}.*choose another directory"):
        prepare(tmp_path, **arguments)
    assert contents(tmp_path) == before


def stopped(directory: Path) -> None:
    """A corpus whose shards are all made, but nothing else."""

    def stop(*arguments: Any) -> None:
        raise CrashError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_number", stop)
        with pytest.raises(CrashError):
            prepare(directory)


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([*TEXTS[:-1], "another"], r"its shard \d+ holds other texts"),
        ([None, *TEXTS[1:]], "its shard 0 holds other texts"),
        (TEXTS[:100], r"its shard \d+ holds other texts|ends after \d+ shards"),
    ],
)
def test_a_source_that_has_changed_is_noticed(
    tmp_path: Path, texts: list[str | None], message: str, complete: bool
) -> None:
    if complete:
        prepare(tmp_path)
    else:
        stopped(tmp_path)

    with pytest.raises(DataError, match=f"source has changed since .*{message}"):
        prepare(tmp_path, texts)


def test_a_source_that_ends_early_is_noticed(tmp_path: Path) -> None:
    prepare(tmp_path, [TEXTS[:2], TEXTS[2:4]], shard_bytes=1)

    with pytest.raises(DataError, match="it ends after 2 shards"):
        prepare(tmp_path, [TEXTS[:2]], shard_bytes=1)
    with pytest.raises(DataError, match="its shard 4 holds other texts"):
        prepare(tmp_path, [TEXTS[:2], TEXTS[2:4], TEXTS[4:6]], shard_bytes=1)


def test_a_directory_with_other_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(SaveError, match=r"holds other files, such as notes\.txt"):
        prepare(tmp_path)
    with pytest.raises(SaveError, match="is a file"):
        prepare(tmp_path / "notes.txt")
    assert contents(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([], DataError, "there are no texts in the source"),
        (iter([]), DataError, "there are no texts in the source"),
        (["a", 7], ColumnTypeError, "row 1: 7 is a number"),
        ([["a"], [7]], ColumnTypeError, "row 0: 7 is a number"),
        ("a single text", ColumnTypeError, "is a single text"),
        ("none.txt", MissingFileError, "no such file"),
    ],
)
def test_what_is_no_corpus_leaves_nothing_behind(
    tmp_path: Path, source: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prepare(tmp_path / "corpus", source)
    assert not (tmp_path / "corpus").exists()


def test_a_corpus_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no token to learn from: 2 texts, of which 1 are missing"):
        prepare(tmp_path, ["", None])


def test_a_tokenizer_that_would_be_refused_at_the_end_is_refused_at_once(tmp_path: Path) -> None:
    class Own(WordTokenizer):
        """A tokenizer that no file could describe."""

    with pytest.raises(ParameterError, match="a Own cannot be saved"):
        prepare(tmp_path, preprocessor=preprocessor(tokenizer=Own()))
    with pytest.raises(ParameterError, match=r"trained_on\(\.\.\.\)"):
        prepare(tmp_path, preprocessor=preprocessor(tokenizer=SubwordTokenizer()))
    with pytest.raises(ParameterError, match="shard_bytes must be at least 1"):
        prepare(tmp_path, shard_bytes=0)
    with pytest.raises(ParameterError, match="errors='ignore'"):
        prepare(tmp_path, errors="ignore")
    assert contents(tmp_path) == {}


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    stopped(tmp_path)
    path = tmp_path / "shards" / "shard-00001.arrow"
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(ArtifactError, match=r"shard-00001\.arrow is damaged .* delete it"):
        prepare(tmp_path)
    path.unlink()
    assert len(prepare(tmp_path).documents) == len(TEXTS)


def test_there_is_no_corpus_where_none_was_prepared(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no corpus in"):
        open_corpus(tmp_path)
    stopped(tmp_path)
    with pytest.raises(MissingFileError, match="is not complete; call prepare_corpus again"):
        open_corpus(tmp_path)


def test_documents_of_another_corpus_are_noticed(tmp_path: Path) -> None:
    prepare(tmp_path / "first")
    prepare(tmp_path / "second", TEXTS[:100])
    (tmp_path / "first" / "documents").rename(tmp_path / "aside")
    (tmp_path / "second" / "documents").rename(tmp_path / "first" / "documents")

    with pytest.raises(ArtifactError, match="belongs to another corpus"):
        open_corpus(tmp_path / "first")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SaveError, match="was not written"):
        prepare(tmp_path / "file" / "corpus")


def test_no_warning_is_given_without_a_reason(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare(tmp_path)
