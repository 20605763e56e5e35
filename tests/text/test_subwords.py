"""Pieces of words: nothing is unknown, everything comes back."""

import copy
import json
import pickle
import sys
from functools import cache
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tabtext.datasets import load_snippets
from tabtext.errors import ArtifactError, DataError, ParameterError
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.subwords import SubwordTokenizer

Model = Literal["bpe", "unigram"]
MODELS: tuple[Model, ...] = ("bpe", "unigram")


@cache
def trained(model: Model) -> SubwordTokenizer:
    texts = load_snippets("tweets")["text"].tolist()
    # Special tokens spelled so often that they would be learned, were they not kept apart.
    texts += [" ".join(SPECIAL_TOKENS), "".join(SPECIAL_TOKENS)] * 300
    return SubwordTokenizer(model, 2000).trained_on(texts)


def restored(tokenizer: SubwordTokenizer, text: str) -> str:
    return tokenizer.restore(tokenizer.tokenize([text])[0])


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@given(text=st.text())
@example(text="映画は素晴らしい。")
@example(text="👍🏽 🏳️‍🌈 👨‍👩‍👧")
@example(text="مرحبا \u202e עברית")
@example(text="\x00\x1b[0m\r\n\t \u2028\ufeff")
@example(text="é e\u0301 ﬁ Ǆ")
@example(text="xxbos xxmaj xxxbos xxunkxxpad")
@example(text="  two  spaces  ")
def test_every_text_comes_back_as_it_was(model: Model, text: str) -> None:
    assert restored(trained(model), text) == text


@pytest.mark.parametrize("model", MODELS)
@given(text=st.lists(st.sampled_from([*SPECIAL_TOKENS, "xx", "x", " ", "a"])).map("".join))
def test_no_text_gives_a_special_token(model: Model, text: str) -> None:
    pieces = trained(model).tokenize([text])[0]

    assert not set(pieces).intersection(SPECIAL_TOKENS)
    assert trained(model).restore(pieces) == text


@pytest.mark.parametrize("model", MODELS)
def test_no_piece_is_a_special_token_or_comes_twice(model: Model) -> None:
    tokens = trained(model).tokens

    assert not set(tokens).intersection(SPECIAL_TOKENS)
    assert len(set(tokens)) == len(tokens) <= 2000
    assert "xxbos " in trained("bpe").tokens  # learned, and kept apart


def test_frequent_words_are_one_piece() -> None:
    pieces = trained("bpe").tokenize(["I love the day"])[0]

    assert pieces == ["I", "Ġlove", "Ġthe", "Ġday"]


@pytest.mark.parametrize(
    "texts",
    [
        ["a b", None, "", "映画"],
        pa.array(["a b", None, "", "映画"]),
        pa.chunked_array([["a b", None], [], ["", "映画"]], pa.large_string()),
    ],
)
def test_missing_and_empty_texts_have_no_tokens(texts: Any) -> None:
    tokens = trained("bpe").tokenize(texts)

    assert [len(text) > 0 for text in tokens] == [True, False, False, True]
    assert len(trained("bpe").tokenize([])) == 0


def test_texts_do_not_depend_on_each_other_and_progress_is_told() -> None:
    texts = load_snippets("tweets")["text"].tolist()
    told: list[tuple[int, int]] = []

    together = trained("bpe").tokenize(
        texts, progress=lambda done, total: told.append((done, total))
    )

    assert [together[row] for row in (0, 1999, 2000, 4199)] == [
        trained("bpe").tokenize([texts[row]])[0] for row in (0, 1999, 2000, 4199)
    ]
    assert told == [(2000, 4200), (4000, 4200), (4200, 4200)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("unit", ["word ", "映", "\n"])
def test_a_megabyte_in_one_text_comes_back(model: Model, unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))

    assert restored(trained(model), text) == text


def test_bytes_that_are_no_character_are_shown_as_such() -> None:
    pieces = trained("bpe").tokenize(["映"])[0]

    assert trained("bpe").restore(pieces[:1]) == "�"
    assert trained("bpe").restore(["xxunk"]) == "xxunk"
    assert trained("bpe").restore([]) == ""


# -- learning --------------------------------------------------------------------------------------


def test_learning_pairs_is_repeatable_and_reads_an_iterator_once() -> None:
    texts = load_snippets("tweets")["text"].tolist()[:500]

    first = SubwordTokenizer(vocabulary_size=400).trained_on(text for text in texts)
    second = SubwordTokenizer(vocabulary_size=400).trained_on([None, *texts, ""])

    assert first == second
    assert len(first.tokens) == 400


@pytest.mark.parametrize("model", MODELS)
def test_one_text_is_enough_to_leave_nothing_unknown(model: Model) -> None:
    tokenizer = SubwordTokenizer(model).trained_on(["a"])

    assert len(tokenizer.tokens) >= 256
    assert restored(tokenizer, "映画 b") == "映画 b"


@pytest.mark.parametrize("texts", [[], [None, ""]])
def test_without_texts_nothing_is_learned(texts: list[str | None]) -> None:
    with pytest.raises(DataError, match="no text to learn pieces of words from"):
        SubwordTokenizer().trained_on(texts)


def test_an_untrained_tokenizer_says_what_to_do() -> None:
    tokenizer = SubwordTokenizer()

    assert not tokenizer.is_trained
    with pytest.raises(ParameterError, match=r"trained_on\(texts\)"):
        tokenizer.tokenize(["a"])
    with pytest.raises(ParameterError, match=r"trained_on\(texts\)"):
        tokenizer.restore(["a"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "wordpiece"}, "model='wordpiece' is not one of bpe, unigram"),
        ({"vocabulary_size": 255}, "needs 256 pieces"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SubwordTokenizer(**parameters)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(ParameterError, match=r"pip install 'tabtext\[subwords\]'"):
        SubwordTokenizer().trained_on(["a"])


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_description_in_json_gives_the_same_tokenizer(model: Model) -> None:
    description = json.loads(json.dumps(trained(model).to_dict()))

    again = SubwordTokenizer.from_dict(description)

    text = "Unbelievably gooood 映画 👍"
    assert again.tokenize([text])[0] == trained(model).tokenize([text])[0]
    assert again.tokens == trained(model).tokens
    assert again.to_dict() == trained(model).to_dict()


def test_an_untrained_tokenizer_is_described_too() -> None:
    tokenizer = SubwordTokenizer("unigram", 300)

    assert SubwordTokenizer.from_dict(tokenizer.to_dict()) == tokenizer


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "wordpiece"},
        {"model": None},
        {"vocabulary_size": "many"},
        {"pipeline": {"model": {"type": "BPE"}}},
        {"pipeline": "[]"},
        {"pipeline": 3},
    ],
)
def test_a_damaged_description_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="SubwordTokenizer"):
        SubwordTokenizer.from_dict({**trained("bpe").to_dict(), **changes})


def test_a_description_with_too_few_pieces_is_refused() -> None:
    description = copy.deepcopy(trained("bpe").to_dict())
    description["pipeline"]["model"].update({"vocab": {"a": 0}, "merges": []})

    with pytest.raises(ArtifactError, match="only 1 pieces"):
        SubwordTokenizer.from_dict(description)


def test_copies_tokenize_alike() -> None:
    tokenizer = trained("bpe")

    for other in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert other == tokenizer
        assert other.tokenize(["good day"])[0] == tokenizer.tokenize(["good day"])[0]
