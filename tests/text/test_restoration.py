"""Tokens back to text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.datasets import load_snippets
from tabtext.text.restoration import restore
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.tokenization import WordTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> WordTokenizer:
    return WordTokenizer()


@pytest.mark.parametrize(
    "text",
    [
        "It's a well-made film, isn't it?",
        "I don't know; they've seen (almost) nothing: 10/10, $5 or 50%!",
        'He said "yes, of course" and "no".',
        "The parents' house, the '70s, rock'n'roll...",
        "«Bien» and “good” and ‘fine’, she said—twice.",  # noqa: RUF001
        "Rocky III was GREAT!!!! Soooo good",
        "NATO in the U.S. at 5 p.m.",
        "very very very good",
        "One line\nand another",
        "gonna, gotta, cannot say dont",
        "Über 😂😂😂 naïve",
        "#tag and and/or C:\\dir",
        "wait... what?!",
        "[see below] {or} <3 :-)",
    ],
)
def test_ordinary_writing_comes_back_as_it_was(tokenizer: WordTokenizer, text: str) -> None:
    expected = text.replace("cannot", "can not")  # nothing tells them apart
    assert tokenizer.restore(tokenizer.tokenize([text])[0]) == expected


def test_nearly_all_snippets_come_back_nearly_as_they_were(tokenizer: WordTokenizer) -> None:
    snippets = load_snippets()["text"].tolist()[::10]
    tokenized = tokenizer.tokenize(snippets)

    equal = [
        tokenizer.restore(tokens).lower().split()
        == " ".join(tokenizer.rules.clean_document(text).split()).lower().split()
        for text, tokens in zip(snippets, tokenized, strict=True)
    ]

    assert sum(equal) / len(equal) > 0.6


def test_control_tokens_are_left_out_and_unknown_words_stay() -> None:
    tokens = ["xxbos", "xxmaj", "a", "xxunk", "film", "xxeos", "xxpad", "xxpad"]
    assert restore(tokens) == "A xxunk film"


def test_fields_begin_new_lines() -> None:
    tokens = ["xxbos", "xxfld", "1", "good", "xxfld", "2", "very", "good"]
    assert restore(tokens) == "good\nvery good"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["xxmaj"], ""),
        (["good", "xxup"], "good"),
        (["xxup", "xxmaj", "good"], "Good"),
        (["xxrep", "good"], "good"),
        (["xxwrep", "xxmaj", "good"], "Good"),
        (["xxrep", "3"], ""),
        (["xxrep", "99999999999", "!"], "99999999999!"),
        (["xxrep", "²", "!"], "²!"),
        (["xxfld"], ""),
        (["", "a"], "a"),
        ([], ""),
    ],
)
def test_marks_without_meaning_do_no_harm(tokens: list[str], text: str) -> None:
    assert restore(tokens) == text


def test_chinese_and_japanese_have_no_spaces_between_words() -> None:
    assert restore(["我", "爱", "电影", "。", "very", "much", "。"]) == "我爱电影。 very much。"
    assert restore(["映画", "は", "いい"]) == "映画はいい"


def test_marks_add_up() -> None:
    tokens = ["xxwrep", "3", "xxup", "no", "xxrep", "3", "xxmaj", "o"]
    assert restore(tokens) == "NO NO NOOOO"


tokens = st.sampled_from([*SPECIAL_TOKENS, "a", "B", "3", "'", '"', "''", "-", ".", "'s", "n't"])


@given(st.lists(tokens | st.text(max_size=3), max_size=20))
def test_any_tokens_give_some_text(drawn: list[str]) -> None:
    text = restore(drawn)
    assert {"xxbos", "xxeos", "xxpad", "xxmaj", "xxup"}.isdisjoint(text.split())


@given(st.lists(st.sampled_from(["a", "very", "Good", "film", "é"]), min_size=1, max_size=12))
def test_plain_words_come_back_with_single_spaces(words: list[str]) -> None:
    assert restore(words) == " ".join(words)
