"""Counts that add up, and vocabularies built from them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ArtifactError, DataError, MissingFileError, ParameterError
from tabtext.text.special_tokens import SPECIAL_TOKENS, UNKNOWN_ID
from tabtext.text.tokenization import TokenizedTexts
from tabtext.text.vocabulary import TokenCounts, Vocabulary

words = st.sampled_from(["a", "b", "c", "d", "xxmaj", "xxunk", "été", "映画", "👍"])
texts_of_words = st.lists(st.lists(words, max_size=6), max_size=6)
counts_of_words = st.dictionaries(words, st.integers(0, 9)).map(TokenCounts)
N_SPECIAL = len(SPECIAL_TOKENS)


def tokenized(texts: list[list[str]]) -> TokenizedTexts:
    distinct = sorted({token for text in texts for token in text})
    codes = [distinct.index(token) for text in texts for token in text]
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return TokenizedTexts(tuple(distinct), np.array(codes, np.int32), offsets)


# -- counts ----------------------------------------------------------------------------------------


@given(first=texts_of_words, second=texts_of_words)
def test_counts_of_parts_add_up_to_the_counts_of_the_whole(
    first: list[list[str]], second: list[list[str]]
) -> None:
    whole = TokenCounts.of(tokenized(first + second))

    assert TokenCounts.of(tokenized(first)) + TokenCounts.of(tokenized(second)) == whole
    assert dict(whole) == {
        token: sum(text.count(token) for text in first + second)
        for token in {token for text in first + second for token in text}
    }


@given(parts=st.lists(counts_of_words, max_size=4))
def test_adding_changes_no_summand_and_knows_no_order(parts: list[TokenCounts]) -> None:
    before = [dict(part) for part in parts]

    assert TokenCounts.total(parts) == TokenCounts.total(reversed(parts))
    assert [dict(part) for part in parts] == before


def test_tokens_that_do_not_occur_count_zero_and_are_not_listed() -> None:
    texts = TokenizedTexts(("seen", "unseen"), np.zeros(2, np.int32), np.array([0, 2]))

    counts = TokenCounts.of(texts)

    assert dict(counts) == {"seen": 2}
    assert (counts["unseen"], "unseen" in counts, len(counts)) == (0, False, 1)


# -- building --------------------------------------------------------------------------------------


def test_special_tokens_come_first_then_the_frequent_ones_then_by_spelling() -> None:
    counts = TokenCounts({"rare": 2, "b": 5, "a": 5, "often": 9, "xxmaj": 7})

    vocabulary = Vocabulary.from_counts(counts, min_freq=1)

    assert vocabulary.tokens == (*SPECIAL_TOKENS, "often", "a", "b", "rare")
    assert vocabulary.counts[N_SPECIAL:].tolist() == [9, 5, 5, 2]
    assert vocabulary.counts[SPECIAL_TOKENS.index("xxmaj")] == 7


def test_rare_tokens_are_unknown_by_default() -> None:
    vocabulary = Vocabulary.from_counts(TokenCounts({"three": 3, "two": 2}))

    assert "three" in vocabulary
    assert "two" not in vocabulary


@given(counts=counts_of_words, room=st.integers(0, 5), min_freq=st.integers(1, 5))
def test_limits_are_kept_and_no_frequent_token_is_left_out_for_a_rarer_one(
    counts: TokenCounts, room: int, min_freq: int
) -> None:
    vocabulary = Vocabulary.from_counts(counts, max_size=N_SPECIAL + room, min_freq=min_freq)

    ordinary = set(vocabulary.tokens[N_SPECIAL:])
    left_out = {token for token in counts if token not in ordinary.union(SPECIAL_TOKENS)}
    assert len(ordinary) <= room
    assert all(counts[token] >= min_freq for token in ordinary)
    fewest = min((counts[token] for token in ordinary), default=0)
    if len(ordinary) < room:
        assert all(counts[token] < min_freq for token in left_out)
    elif room:
        assert all(counts[token] <= fewest for token in left_out)


@given(counts=counts_of_words, max_size=st.integers(N_SPECIAL, N_SPECIAL + 5))
def test_counts_add_up_to_the_length_of_the_texts(counts: TokenCounts, max_size: int) -> None:
    vocabulary = Vocabulary.from_counts(counts, max_size=max_size, min_freq=2)

    assert vocabulary.counts.sum() == sum(counts.values())


def test_required_tokens_are_in_however_rare() -> None:
    counts = TokenCounts({"often": 9, "seldom": 5, "1": 1})

    vocabulary = Vocabulary.from_counts(
        counts, max_size=N_SPECIAL + 3, min_freq=3, required=["1", "2"]
    )

    assert vocabulary.tokens[N_SPECIAL:] == ("often", "1", "2")
    assert vocabulary.counts[N_SPECIAL:].tolist() == [9, 1, 0]
    assert vocabulary.counts[UNKNOWN_ID] == 5


def test_tokens_that_are_given_are_all_in() -> None:
    vocabulary = Vocabulary.from_tokens(["z", "y", "x"], TokenCounts({"y": 2, "other": 1}))

    assert vocabulary.tokens[N_SPECIAL:] == ("y", "x", "z")
    assert vocabulary.counts[[UNKNOWN_ID, N_SPECIAL]].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_size": 8}, "needs room for 9 tokens"),
        ({"max_size": 9, "required": ["1"]}, "needs room for 10 tokens"),
        ({"min_freq": 0}, "least frequency of a token is 1"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Vocabulary.from_counts(TokenCounts({"a": 9}), **parameters)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((), "begins with nothing"),
        (SPECIAL_TOKENS[::-1], "begins with xxunk .* however: it begins with xxmaj"),
        (("the", *SPECIAL_TOKENS), "it begins with the xxunk"),
        ((*SPECIAL_TOKENS, "a", "b", "a"), "'a' comes twice"),
        ((*SPECIAL_TOKENS, "xxbos"), "'xxbos' comes twice"),
        ((*SPECIAL_TOKENS, 3), "3 is not"),
    ],
)
def test_tokens_that_are_no_vocabulary_are_refused(tokens: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Vocabulary(tokens, np.zeros(len(tokens), np.int64))


def test_a_count_for_each_token_is_needed() -> None:
    with pytest.raises(ParameterError, match="one int64 count for each of its 9 tokens"):
        Vocabulary(SPECIAL_TOKENS, np.zeros(8, np.int64))


# -- looking up ------------------------------------------------------------------------------------


@given(counts=counts_of_words)
def test_ids_and_tokens_are_each_others_inverse(counts: TokenCounts) -> None:
    vocabulary = Vocabulary.from_counts(counts, min_freq=1)

    ids = vocabulary.ids(vocabulary.tokens)

    assert ids.dtype == np.int32
    assert ids.tolist() == list(range(len(vocabulary)))
    assert vocabulary.tokens_of(ids) == list(vocabulary.tokens)


def test_tokens_that_are_not_in_are_unknown() -> None:
    vocabulary = Vocabulary.from_counts(TokenCounts({"a": 3}))

    assert vocabulary.ids(["b", "a", "A", ""]).tolist() == [0, 9, 0, 0]
    assert vocabulary.tokens_of([0]) == ["xxunk"]
    assert vocabulary.ids([]).tolist() == []


@pytest.mark.parametrize("number", [-1, 10])
def test_an_id_that_is_not_in_is_named(number: int) -> None:
    with pytest.raises(DataError, match=f"id {number} is not in the vocabulary of 10 tokens"):
        Vocabulary.from_counts(TokenCounts({"a": 3})).tokens_of([9, number])


def test_fingerprints_tell_vocabularies_apart() -> None:
    def fingerprint(counts: dict[str, int]) -> str:
        return Vocabulary.from_counts(TokenCounts(counts), min_freq=1).fingerprint()

    assert fingerprint({"a": 2, "b": 1}) == fingerprint({"a": 4, "b": 3})
    assert fingerprint({"a": 2, "b": 1}) != fingerprint({"a": 1, "b": 2})
    assert fingerprint({"ab": 1}) != fingerprint({"a": 1, "b": 1})


# -- disk ------------------------------------------------------------------------------------------


@given(counts=counts_of_words)
def test_a_saved_vocabulary_comes_back(
    tmp_path_factory: pytest.TempPathFactory, counts: TokenCounts
) -> None:
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.json"
    vocabulary = Vocabulary.from_counts(counts, min_freq=1)
    vocabulary.save(path)

    assert Vocabulary.load(path) == vocabulary


def test_tokens_of_any_characters_come_back(tmp_path: Path) -> None:
    tokens = ["\u2028", "\x00", '"', "\\", "\u202e", "\r\n", "🏳️‍🌈", "\ufeff"]
    vocabulary = Vocabulary.from_counts(TokenCounts(dict.fromkeys(tokens, 3)))
    vocabulary.save(tmp_path / "vocabulary.json")

    assert Vocabulary.load(tmp_path / "vocabulary.json").tokens == vocabulary.tokens


def save_changed(path: Path, **changes: Any) -> None:
    """A vocabulary file of which some entries are others."""
    Vocabulary.from_counts(TokenCounts({"a": 5, "b": 3})).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": ["the", "a"]}, "begins with xxunk"),
        ({"tokens": [*SPECIAL_TOKENS, "a", "a"]}, "'a' comes twice"),
        ({"tokens": [*SPECIAL_TOKENS, "a", 7]}, "7 is not"),
        ({"tokens": [*SPECIAL_TOKENS, "a"]}, "one int64 count for each of its 10 tokens"),
        ({"tokens": "xxunk"}, "its tokens are no list"),
        ({"counts": None}, "vocabulary"),
        ({"counts": ["many"] * 11}, "vocabulary"),
        ({"counts": [-1] * 11}, "a count is negative: -1"),
        ({"counts": [2**80] * 11}, "vocabulary"),
        ({"format_version": None}, "no vocabulary or is damaged"),
        ({"format_version": 2}, "format 2, newer"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_named_with_what_is_wrong(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "vocabulary.json"
    save_changed(path, **changes)

    with pytest.raises(ArtifactError, match=rf"vocabulary\.json.*{message}"):
        Vocabulary.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=r"vocabulary\.json is no vocabulary or is damaged"):
        Vocabulary.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"vocabulary\.json is missing"):
        Vocabulary.load(tmp_path / "vocabulary.json")
