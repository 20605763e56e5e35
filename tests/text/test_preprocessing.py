"""From texts to documents of ids and back."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tabtext.datasets import load_snippets
from tabtext.errors import (
    ArtifactError,
    ColumnTypeError,
    DataError,
    MissingFileError,
    ParameterError,
    SaveError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.progress import watching
from tabtext.text.documents import Documents
from tabtext.text.numbering import count_tokens, number_documents
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import TokenizedTexts, WordTokenizer
from tabtext.text.vocabulary import TokenCounts, Vocabulary

WORDS = WordTokenizer()
"""One for all tests: the first text that it cuts costs a second."""


class SpacesTokenizer:
    """Cuts at spaces; what the preprocessor does with tokens is easy to see."""

    def tokenize(
        self, texts: Any, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenizedTexts:
        lists = [(text or "").split() for text in getattr(texts, "to_pylist", lambda: texts)()]
        distinct = list(dict.fromkeys(token for tokens in lists for token in tokens))
        codes = [distinct.index(token) for tokens in lists for token in tokens]
        if progress is not None:
            progress(len(lists), len(lists))
        offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
        return TokenizedTexts(tuple(distinct), np.array(codes, np.int32), offsets)

    def restore(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)

    def to_dict(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "SpacesTokenizer":
        return cls()


def preprocessor(**parameters: Any) -> TextPreprocessor:
    return TextPreprocessor(**{"tokenizer": SpacesTokenizer(), "min_freq": 1, **parameters})


def tokens_of(fitted: TextPreprocessor, documents: Documents) -> list[str]:
    return [" ".join(fitted.vocabulary_.tokens_of(document)) for document in documents]


texts_of_words = st.lists(
    st.none() | st.lists(st.sampled_from(["a", "b", "c", "é", "👍"]), max_size=5).map(" ".join),
    min_size=1,
    max_size=6,
)


# -- documents -------------------------------------------------------------------------------------


def test_a_document_begins_and_ends_with_its_marks() -> None:
    fitted = preprocessor().fit(["good film", "bad"])

    documents = fitted.transform(["bad film", "good"])

    assert tokens_of(fitted, documents) == ["xxbos bad film xxeos", "xxbos good xxeos"]


def test_several_columns_are_numbered_fields_of_one_document() -> None:
    fitted = preprocessor()

    documents = fitted.fit_transform({"title": ["A", "B"], "body": ["x y", ""]})

    assert tokens_of(fitted, documents) == [
        "xxbos xxfld 1 A xxfld 2 x y xxeos",
        "xxbos xxfld 1 B xxfld 2 xxeos",
    ]
    assert fitted.columns_ == ["title", "body"]


def test_empty_and_missing_texts_are_empty_documents() -> None:
    fitted = preprocessor().fit(["a"])

    with pytest.warns(TabTextWarning):
        documents = fitted.transform(["", None, "  "])

    assert tokens_of(fitted, documents) == ["xxbos xxeos"] * 3


def test_unknown_words_alone_are_unknown_tokens() -> None:
    fitted = preprocessor().fit(["a"])

    assert tokens_of(fitted, fitted.transform(["never seen"])) == ["xxbos xxunk xxunk xxeos"]


@given(texts=texts_of_words)
def test_fitting_and_transforming_at_once_is_the_same_as_one_after_the_other(
    texts: list[str | None],
) -> None:
    texts = [*texts, "a b"]
    first, second = preprocessor(), preprocessor()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabTextWarning)
        at_once = first.fit_transform(texts)
        after = second.fit(texts).transform(texts)

    assert first.vocabulary_ == second.vocabulary_
    assert at_once.fingerprint() == after.fingerprint()


@given(first=texts_of_words, second=texts_of_words)
def test_counts_of_parts_give_the_vocabulary_of_the_whole(
    first: list[str | None], second: list[str | None]
) -> None:
    tokenizer = SpacesTokenizer()
    texts = [*first, *second, "a b a b"]
    parts = [first, second, ["a b a b"]]
    missing = {"text": texts.count(None)}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabTextWarning)
        whole = preprocessor(min_freq=2, max_size=11).fit(texts)
        counts = TokenCounts.total(count_tokens([tokenizer.tokenize(part)]) for part in parts)
        added = preprocessor(min_freq=2, max_size=11).fit_counts(
            counts, n_rows=len(texts), n_missing=missing
        )

    assert added.vocabulary_ == whole.vocabulary_
    assert (added.n_rows_, added.n_missing_) == (whole.n_rows_, whole.n_missing_)


def test_the_counts_of_the_vocabulary_add_up_to_the_length_of_the_documents() -> None:
    fitted = preprocessor(min_freq=2)

    documents = fitted.fit_transform({"a": ["x x y", "x"], "b": ["y z", "z z"]})

    numbers = np.bincount(documents.ids, minlength=len(fitted.vocabulary_))
    assert fitted.vocabulary_.counts.tolist() == numbers.tolist()


def test_the_numbers_of_fields_are_known_however_few_texts_there_are() -> None:
    fitted = preprocessor(min_freq=3).fit({"a": ["x"], "b": ["x x"]})

    assert fitted.vocabulary_.tokens[len(SPECIAL_TOKENS) :] == ("x", "1", "2")


def test_columns_of_different_length_are_no_documents() -> None:
    texts = [SpacesTokenizer().tokenize(["a"]), SpacesTokenizer().tokenize(["a", "b"])]

    with pytest.raises(DataError, match=r"differ in length: \[1, 2\]"):
        number_documents(texts, preprocessor().fit(["a"]).vocabulary_)


# -- words -----------------------------------------------------------------------------------------


def test_words_are_the_default_and_their_rules_hold() -> None:
    fitted = TextPreprocessor(min_freq=1)

    documents = fitted.fit_transform(["GREAT film<br />!!!!!", "xxbos Great"])

    tokens = tokens_of(fitted, documents)
    assert tokens[0].startswith("xxbos xxup great film")
    assert "xxrep 5 !" in tokens[0]
    assert tokens[1] == "xxbos xxunk xxmaj great xxeos"  # spelled by a user, it marks nothing


def test_words_are_shown_as_a_person_would_write_them() -> None:
    text = "It isn't GOOD, but fun... Go and see it!!!!"
    fitted = TextPreprocessor(tokenizer=WORDS, min_freq=1)

    documents = fitted.fit_transform([text])

    assert fitted.text_of(documents[0]) == text


# -- pieces ----------------------------------------------------------------------------------------


def test_pieces_are_learned_from_the_texts_of_the_fit_and_all_known() -> None:
    texts = load_snippets("tweets")["text"].tolist()[:500]
    given = SubwordTokenizer(vocabulary_size=500)
    fitted = TextPreprocessor(tokenizer=given, max_size=10, min_freq=99)

    documents = fitted.fit_transform(texts)

    assert not given.is_trained
    assert set(fitted.vocabulary_.tokens) == {*SPECIAL_TOKENS, *fitted.tokenizer_.tokens}
    assert [fitted.text_of(document) for document in documents] == texts
    assert fitted.text_of(fitted.transform(["映画 👍"])[0]) == "映画 👍"


def test_pieces_that_were_learned_before_are_kept() -> None:
    tokenizer = SubwordTokenizer(vocabulary_size=300).trained_on(["low lower lowest"])

    fitted = TextPreprocessor(tokenizer=tokenizer).fit(["something else"])

    assert fitted.tokenizer_ is tokenizer


def test_pieces_of_several_columns_are_learned_together() -> None:
    fitted = TextPreprocessor(tokenizer=SubwordTokenizer(vocabulary_size=300))

    documents = fitted.fit_transform({"a": ["abab"] * 9, "b": ["cdcd"] * 9})

    assert tokens_of(fitted, documents)[0] == "xxbos xxfld 1 abab xxfld 2 cdcd xxeos"


# -- reading back ----------------------------------------------------------------------------------


def test_marks_padding_and_numbers_of_fields_are_not_shown() -> None:
    fitted = preprocessor().fit({"a": ["x 1 y"], "b": ["z"]})
    document = fitted.transform({"a": ["x 1"], "b": ["z"]})[0]

    assert fitted.text_of([*document.tolist(), 1, 1]) == "x 1\nz"
    assert fitted.text_of(document[3:5]) == "x 1"
    assert fitted.text_of([]) == ""


def test_an_id_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match="id 99 is not in the vocabulary"):
        preprocessor().fit(["a"]).text_of([99])


# -- a vocabulary that is given --------------------------------------------------------------------


def test_a_given_vocabulary_is_kept() -> None:
    vocabulary = Vocabulary.from_counts(TokenCounts({"film": 9, "good": 4}))
    fitted = preprocessor(vocabulary=vocabulary)

    documents = fitted.fit_transform(["good film", "good thing"])

    assert fitted.vocabulary_ is vocabulary
    assert tokens_of(fitted, documents) == ["xxbos good film xxeos", "xxbos good xxunk xxeos"]


def test_a_vocabulary_that_knows_few_of_the_words_is_warned_of() -> None:
    vocabulary = Vocabulary.from_counts(TokenCounts({"film": 9}))

    with pytest.warns(TabTextWarning, match="67% of the tokens are not in the given vocabulary"):
        preprocessor(vocabulary=vocabulary).fit(["ein guter film"])


def test_a_vocabulary_of_other_pieces_is_refused() -> None:
    tokenizer = SubwordTokenizer().trained_on(["low lower lowest"])
    vocabulary = Vocabulary.from_counts(TokenCounts({"film": 9}))

    with pytest.raises(ParameterError, match=r"of another tokenizer: it lacks 26\d of the 26\d"):
        TextPreprocessor(tokenizer=tokenizer, vocabulary=vocabulary).fit(["low"])


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [[], pd.DataFrame({"text": pd.Series([], dtype="str")})])
def test_an_empty_corpus_is_refused(data: Any) -> None:
    with pytest.raises(DataError, match="there are no texts to learn from"):
        preprocessor(columns=["text"]).fit(data)


def test_a_corpus_of_empty_texts_is_refused() -> None:
    with pytest.raises(DataError, match="no token to learn from: 3 texts, of which 1 are missing"):
        preprocessor().fit(["", None, " "])


def test_a_failed_fit_costs_no_fitted_vocabulary() -> None:
    fitted = preprocessor().fit(["a"])
    vocabulary = fitted.vocabulary_

    with pytest.raises(DataError):
        fitted.fit([""])

    assert fitted.vocabulary_ is vocabulary


def test_missing_texts_are_counted_and_said() -> None:
    fitted = preprocessor()

    with pytest.warns(TabTextWarning, match=r"count as empty: 2 in 'a', 1 in 'b' \(of 3 rows\)"):
        fitted.fit(pd.DataFrame({"a": ["x", None, np.nan], "b": ["x", "y", None]}))

    assert fitted.n_missing_ == 3


def test_gaps_are_counted_at_every_call_whatever_the_training_had() -> None:
    with pytest.warns(TabTextWarning, match="1 in 'text'"):
        fitted = preprocessor().fit(["a", None])

    for _ in range(2):
        with pytest.warns(TabTextWarning, match=r"100 in 'text' \(of 101 rows\)") as said:
            assert len(fitted.transform([*[None] * 100, "a"])) == 101
        assert len(said) == 1


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("a single text", ColumnTypeError, "is a single text"),
        ([3], ColumnTypeError, "row 0: 3 is a number"),
        ({"body": ["a"]}, UnknownColumnError, "column 'text' is not in the data"),
    ],
)
def test_what_is_no_text_is_refused(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        preprocessor().fit(["a"]).transform(data)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_size": 5}, "needs room for 9 tokens"),
        ({"min_freq": 0}, "least frequency of a token is 1"),
    ],
)
def test_wrong_limits_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        preprocessor(**parameters).fit(["a"])


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200_000,
        "\x00\x1b[0m\u2028",
        "مرحبا \u202e עברית",
        "映画は素晴らしい。",
        "👨‍👩‍👧 🏳️‍🌈",
        "\ufeff",
    ],
    ids=["megabyte", "control", "right-to-left", "cjk", "emoji", "mark"],
)
@pytest.mark.parametrize(
    "tokenizer", [WORDS, SubwordTokenizer(vocabulary_size=300)], ids=["words", "pieces"]
)
def test_texts_of_every_script_and_size_become_documents(text: str, tokenizer: Any) -> None:
    fitted = TextPreprocessor(tokenizer=tokenizer, min_freq=1)

    documents = fitted.fit_transform([text, "a film"])

    assert len(documents) == 2
    assert 0 not in documents.ids
    assert documents.lengths[0] > 2


def test_before_the_fit_nothing_can_be_asked() -> None:
    for ask in (
        lambda p: p.transform(["a"]),
        lambda p: p.text_of([2]),
        lambda p: p.save("nowhere"),
    ):
        with pytest.raises(NotFittedError):
            ask(preprocessor())


def test_progress_counts_the_texts_of_all_columns() -> None:
    told: list[tuple[int, int | None]] = []

    with watching(lambda _, done, total: told.append((done, total))):
        preprocessor().fit({"a": ["x", "y"], "b": ["x", "y"]})

    assert told == [(2, 4), (4, 4)]


def test_parameters_are_those_of_an_estimator() -> None:
    copy = clone(preprocessor(max_size=50, columns=["a"]))

    assert (copy.max_size, copy.columns) == (50, ["a"])
    assert copy.set_params(min_freq=7).min_freq == 7


# -- disk ------------------------------------------------------------------------------------------


def saved(directory: Path, tokenizer: Any = WORDS) -> TextPreprocessor:
    texts = load_snippets("amazon")["text"].tolist()[:100]
    fitted = TextPreprocessor(tokenizer=tokenizer, max_size=500, min_freq=2)
    fitted.fit({"title": texts, "body": texts[::-1]}).save(directory)
    return fitted


@pytest.mark.parametrize(
    "tokenizer", [WORDS, SubwordTokenizer("unigram", 400)], ids=["words", "pieces"]
)
def test_a_saved_preprocessor_does_the_same(tmp_path: Path, tokenizer: Any) -> None:
    fitted = saved(tmp_path, tokenizer)
    texts = {"body": ["Works GREAT!!!", "映画"], "title": ["", "phone"]}

    loaded = TextPreprocessor.load(tmp_path)

    assert loaded.vocabulary_ == fitted.vocabulary_
    assert (loaded.columns_, loaded.n_rows_, loaded.n_missing_) == (["title", "body"], 100, 0)
    documents = loaded.transform(texts)
    assert documents.fingerprint() == fitted.transform(texts).fingerprint()
    assert loaded.text_of(documents[0]) == fitted.text_of(documents[0])


def test_saving_what_was_loaded_writes_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path / "first")
    TextPreprocessor.load(tmp_path / "first").save(tmp_path / "second")

    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["preprocessor.json", "vocabulary.json"]
    for name in names:
        first, second = ((tmp_path / place / name).read_bytes() for place in ("first", "second"))
        assert first == second


def test_a_given_vocabulary_is_given_again_after_loading(tmp_path: Path) -> None:
    vocabulary = Vocabulary.from_counts(TokenCounts({"film": 9, "good": 4}))
    TextPreprocessor(tokenizer=WORDS, vocabulary=vocabulary).fit(["good film"]).save(tmp_path)

    assert TextPreprocessor.load(tmp_path).fit(["good film", "a film"]).vocabulary_ == vocabulary


def test_a_vocabulary_of_another_preprocessor_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    Vocabulary.from_counts(TokenCounts({"film": 9})).save(tmp_path / "vocabulary.json")

    with pytest.raises(ArtifactError, match="not the vocabulary that was saved with this"):
        TextPreprocessor.load(tmp_path)


@pytest.mark.parametrize("name", ["preprocessor.json", "vocabulary.json"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    content = (tmp_path / name).read_bytes()

    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=name):
        TextPreprocessor.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        TextPreprocessor.load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": None},
        {"max_size": "large"},
        {"tokenizer": None},
        {"tokenizer": {"kind": "characters", "settings": {}}},
        {"tokenizer": {"kind": "subwords", "settings": {"model": "bpe"}}},
        {"tokenizer": {"kind": "words", "settings": {}}},
        {"format_version": 2},
    ],
)
def test_a_damaged_description_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    saved(tmp_path)
    path = tmp_path / "preprocessor.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    with pytest.raises(ArtifactError, match=r"preprocessor\.json"):
        TextPreprocessor.load(tmp_path)


def test_a_tokenizer_that_files_could_not_describe_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="a SpacesTokenizer cannot be saved"):
        preprocessor().fit(["a"]).save(tmp_path / "preprocessor")
    assert not (tmp_path / "preprocessor").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SaveError, match="was not written"):
        saved(tmp_path / "file")


def test_arrow_columns_are_taken_as_they_are() -> None:
    fitted = preprocessor()

    documents = fitted.fit_transform(pa.chunked_array([["a b"], ["c"]], pa.large_string()))

    assert tokens_of(fitted, documents) == ["xxbos a b xxeos", "xxbos c xxeos"]


# -- coverage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [["text"], ["title", "text"]])
def test_a_vocabulary_without_a_word_is_refused(columns: list[str]) -> None:
    texts = {name: ["a good film", "another one"] for name in columns}

    with pytest.raises(DataError, match=r"no word to learn: all .* Lower min_frequency"):
        TextPreprocessor(min_freq=50).fit(texts)
    with pytest.raises(DataError, match=r"no room in the vocabulary.*raise max_vocabulary"):
        TextPreprocessor(min_freq=1, max_size=9 + 2 * (len(columns) > 1)).fit(texts)


def test_words_that_are_mostly_unknown_are_said() -> None:
    texts = ["the same", "the other", "the third", "the fourth thing"]

    with pytest.warns(TabTextWarning, match="56% of the words are unknown .* which has 1"):
        TextPreprocessor(min_freq=3).fit(texts)
    TextPreprocessor(min_freq=1).fit(texts)
