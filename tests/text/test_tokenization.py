"""Tokens equal those of the plain road: rules for texts, spaCy text by text, rules for words."""

import copy
import itertools
import pickle
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from hypothesis import example, given
from hypothesis import strategies as st

from tabtext.datasets import load_snippets
from tabtext.errors import ArtifactError, ColumnTypeError, DataError, ParameterError
from tabtext.text.rules import CHARACTER_MARK, TextRules, is_countable
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.tokenization import TokenizedTexts, WordTokenizer

ALL, NONE = TextRules(), TextRules.none()
RULES = {
    "all": ALL,
    "none": NONE,
    "white space kept": TextRules(spaces=False),
    "nothing repeated": TextRules(repeated_characters=False, repeated_words=False),
}


@cache
def plain_spacy(language: str) -> Any:
    return spacy.blank(language).tokenizer


@cache
def tokenizer_of(rules: TextRules, language: str = "en") -> WordTokenizer:
    return WordTokenizer(language, rules)


def plain_tokens(text: str | None, rules: TextRules, language: str = "en") -> list[str]:
    """The reference: one text, one step after the other."""
    words = [word.text for word in plain_spacy(language)(rules.clean(text or ""))]
    tokens: list[str] = []
    place = 0
    while place < len(words):
        word, end = words[place], place + 1
        if word == CHARACTER_MARK and rules.repeated_characters:
            end = place + 3
            tokens += [token for word in words[place:end] for token in rules.mark(word)]
        else:
            while end < len(words) and words[end] == word:
                end += 1
            if end - place >= 3 and rules.repeated_words and is_countable(word):
                tokens += ["xxwrep", str(end - place), *rules.mark(word)]
            else:
                tokens += [*rules.mark(word)] * (end - place)
        place = end
    return tokens


def assert_equal_to_plain(texts: list[str | None], rules: TextRules, language: str = "en") -> None:
    tokenized = tokenizer_of(rules, language).tokenize(texts)
    assert len(tokenized) == len(texts)
    for text, tokens in zip(texts, tokenized, strict=True):
        assert tokens == plain_tokens(text, rules, language), repr(text)


# -- equal to spaCy, text by text ----------------------------------------------------------------

PIECES = [
    *["word", "Word", "WORD", "I", "a", "it", "very", "2000", "10", "km", "é", "日本", "שלום", "x̂"],
    *["'", '"', "''", "’", ".", "...", "…", ",", "!", "?!", "-", "--", "—", "/", "#", "\\", "&"],  # noqa: RUF001
    *[":", ";", "(", ")", "=", "<", ">", "*", "_", "^", "8", "D", "o", "$", "€", "%", "+", "°"],
    *["'s", "n't", "e.g.", "U.S.", "a.m", "www.a.com", "a@b.org", "http://b.org/c?d=1", "😂", "❤️"],
    *["aaa", "!!!!", "😂😂😂", "very very very", "* * *", "no no no no", CHARACTER_MARK],
    *[" ", "  ", "\n", "\n\n", " \n", "\t", "\r\n", "\xa0", "\u2028", "\u3000", "\x1c", "\x85"],
    *["<br />", "<br /><br />", "<i>", "</p>", "&amp;", "&nbsp;", "&lt;", "\x00", "\u200b", "\x7f"],
    *[*SPECIAL_TOKENS, "XXBOS", "Xxmaj"],
]
pieces = st.sampled_from(PIECES) | st.sampled_from(sorted(plain_spacy("en").rules))
texts = st.lists(pieces | st.just(" ") | st.characters(exclude_categories=["Cs"]), max_size=15).map(
    "".join
)


@pytest.mark.parametrize("name", RULES)
@given(drawn=st.lists(texts, max_size=5))
@example(drawn=["", " ", "\n", " a", "a ", "a  b", "\ta\t"])
@example(drawn=["xxrep 3 a aaa a a a", "very very very very", "so so So", "* * * *"])
def test_any_text_has_the_tokens_of_the_plain_road(name: str, drawn: list[str]) -> None:
    assert_equal_to_plain(list(drawn), RULES[name])


@pytest.mark.parametrize("language", ["de", "es", "fr", "xx", "zh"])
@given(drawn=st.lists(texts, max_size=5))
def test_other_languages_have_theirs(language: str, drawn: list[str]) -> None:
    assert_equal_to_plain(list(drawn), ALL, language)


@pytest.mark.parametrize("name", ["all", "none"])
def test_special_cases_that_reach_into_the_next_chunk_are_met(name: str) -> None:
    ends = [*"':()-;=o", *map("".join, itertools.product("':()-;=o", repeat=2))]
    pairs = [f"{form[0]}{left} {right}{form[1]}" for form in ("  ", "x ", " x", "xx")
             for left, right in itertools.product(ends, ends)]  # fmt: skip
    spaced = [pair.strip() for pair in pairs]
    spacy_words = plain_spacy("en")

    def words_of(text: str) -> list[str]:
        return [word.text for word in spacy_words(text)]

    reaching = [t for t in spaced if words_of(t) != [w for c in t.split() for w in words_of(c)]]
    assert len(reaching) > 100
    assert_equal_to_plain([*reaching, *(f"so {text} so" for text in reaching)], RULES[name])


@pytest.mark.slow
def test_all_shipped_snippets_have_the_tokens_of_the_plain_road() -> None:
    snippets = load_snippets()["text"].tolist()
    assert len(snippets) == 23_703

    assert_equal_to_plain(snippets, ALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all", "none", "white space kept"])
def test_real_reviews_have_the_tokens_of_the_plain_road(larger_data: Path, name: str) -> None:
    reviews = pq.read_table(larger_data / "imdb" / "train.parquet", columns=["text"])["text"]
    drawn = np.random.default_rng(0).choice(len(reviews), 2000, replace=False)

    assert_equal_to_plain(reviews.take(drawn).to_pylist(), RULES[name])


# -- the tokens themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's NOT good!!!", ["xxmaj", "it", "'s", "xxup", "not", "good", "xxrep", "3", "!"]),
        ("soooo", ["s", "xxrep", "4", "o"]),
        ("NOOO", ["xxmaj", "n", "xxrep", "3", "xxmaj", "o"]),
        ("very very very good", ["xxwrep", "3", "very", "good"]),
        ("NO NO NO", ["xxwrep", "3", "xxup", "no"]),
        ("very very good", ["very", "very", "good"]),
        ("* * *", ["*", "*", "*"]),
        ("one<br /><br />two", ["one", "\n", "two"]),
        ("and/or #1", ["and", "/", "or", "#", "1"]),
        ("xxbos xxrep 3 a", ["xxunk", "xxunk", "3", "a"]),
        ("XXBOS-Xxpad", ["xxunk", "-", "xxunk"]),
        ("<unk>", ["xxunk"]),
    ],
)
def test_tokens_are_as_the_rules_say(text: str, tokens: list[str]) -> None:
    assert tokenizer_of(ALL).tokenize([text])[0] == tokens


@given(texts)
def test_a_text_cannot_write_control_tokens(text: str) -> None:
    forbidden = {"xxpad", "xxbos", "xxeos", "xxfld"}
    assert forbidden.isdisjoint(tokenizer_of(ALL).tokenize([text]).tokens)
    assert set(SPECIAL_TOKENS[1:]).isdisjoint(tokenizer_of(NONE).tokenize([text]).tokens)


def test_missing_and_empty_texts_have_no_tokens() -> None:
    tokenized = tokenizer_of(ALL).tokenize([None, "a", "", None, " \n "])

    assert list(tokenized) == [[], ["a"], [], [], []]


def test_no_texts_give_no_tokens() -> None:
    tokenized = tokenizer_of(ALL).tokenize([])

    assert (len(tokenized), tokenized.tokens, tokenized.offsets.tolist()) == (0, (), [0])


def test_codes_are_int32_and_offsets_int64() -> None:
    tokenized = tokenizer_of(ALL).tokenize(["b a b", "c"])

    assert tokenized.tokens == ("b", "a", "c")
    assert (tokenized.codes.dtype, tokenized.codes.tolist()) == (np.int32, [0, 1, 0, 2])
    assert (tokenized.offsets.dtype, tokenized.offsets.tolist()) == (np.int64, [0, 3, 4])


def test_what_was_tokenized_before_changes_nothing() -> None:
    fresh = WordTokenizer().tokenize(["to be or not to be"])
    used = WordTokenizer()
    used.tokenize(["not or be", "Something else!"])

    again = used.tokenize(["to be or not to be"])

    assert again.tokens == fresh.tokens
    assert again.codes.tolist() == fresh.codes.tolist()


def test_tables_that_are_full_are_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.text.words.engine._MAX_CHUNKS", 3)
    tokenizer = WordTokenizer()
    texts = ["one two three four five", "six seven"]
    for _ in range(2):
        assert list(tokenizer.tokenize(texts)) == [text.split() for text in texts]


def test_spacy_begins_anew_when_it_knows_too_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.text.words.spacy_words._MAX_VOCABULARY", 5)
    monkeypatch.setattr("tabtext.text.words.spacy_words._CHUNKS_AT_ONCE", 2)
    snippets = load_snippets()["text"].tolist()[:4]

    assert list(WordTokenizer().tokenize(snippets)) == [plain_tokens(t, ALL) for t in snippets]


def test_many_texts_go_through_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.text.words.engine._BATCH_BYTES", 2000)
    snippets = load_snippets()["text"].tolist()[:300]
    calls: list[tuple[int, int]] = []

    tokenized = WordTokenizer().tokenize(snippets, progress=lambda *call: calls.append(call))

    assert list(tokenized) == list(tokenizer_of(ALL).tokenize(snippets))
    assert len(calls) > 3
    assert calls == sorted(calls)
    assert calls[-1] == (300, 300)


def test_after_an_interruption_all_goes_on_as_before() -> None:
    tokenizer = WordTokenizer()

    def interrupt(n_done: int, n_texts: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenizer.tokenize(["one two three"], progress=interrupt)

    assert tokenizer.tokenize(["two four"])[0] == ["two", "four"]


@pytest.mark.slow
def test_several_processes_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.text.words.spacy_processes._WORTH_A_PROCESS", 500)
    snippets = load_snippets()["text"].tolist()[:2000]

    tokenized = WordTokenizer(n_processes=2).tokenize(snippets)

    alone = WordTokenizer().tokenize(snippets)
    assert tokenized.tokens == alone.tokens
    np.testing.assert_array_equal(tokenized.codes, alone.codes)


def test_threads_take_turns() -> None:
    tokenizer = WordTokenizer()
    snippets = load_snippets()["text"].tolist()[:400]
    parts = [snippets[start::4] for start in range(4)]
    results: dict[int, TokenizedTexts] = {}

    def work(number: int) -> None:
        results[number] = tokenizer.tokenize(parts[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number, part in enumerate(parts):
        assert list(results[number]) == list(tokenizer_of(ALL).tokenize(part))


# -- forms of input --------------------------------------------------------------------------------

SOME = ["A good film.", None, "", "Über 😂"]


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(SOME),
        pa.array(SOME, pa.large_string()),
        pa.array(SOME, pa.string_view()),
        pa.array(SOME).dictionary_encode(),
        pa.chunked_array([SOME[:1], SOME[1:]]),
        pa.chunked_array([pa.array(["out", *SOME, "out"]).slice(1, 4)]),
        tuple(SOME),
        np.array(SOME, object),
    ],
    ids=["string", "large", "view", "dictionary", "chunked", "sliced", "tuple", "numpy"],
)
def test_texts_may_come_in_several_forms(texts: Any) -> None:
    expected = [["xxmaj", "a", "good", "film", "."], [], [], ["xxmaj", "über", "😂"]]
    assert list(tokenizer_of(ALL).tokenize(texts)) == expected


def test_an_array_of_nulls_has_no_tokens() -> None:
    assert list(tokenizer_of(ALL).tokenize(pa.nulls(2))) == [[], []]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", 3], "row 1 is a int"),
        (["a", "b", float("nan")], "row 2 is a float"),
        ([b"a"], "row 0 is a bytes"),
        ("a text", "pass a list"),
        (pa.array([1, 2]), "int64"),
    ],
)
def test_what_is_no_text_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(ColumnTypeError, match=message):
        tokenizer_of(ALL).tokenize(texts)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    broken = pa.array([b"good", b"b\xff"]).view(pa.string())
    with pytest.raises(DataError, match="UTF-8"):
        tokenizer_of(ALL).tokenize(broken)


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert tokenizer_of(ALL).tokenize(["a \ud83d b"])[0] == ["a", "\ufffd", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["a", "word ", "!? ", "\n", "日本", ": ( ", "very ", "<br />"])
@pytest.mark.parametrize("rules", [ALL, NONE], ids=["all", "none"])
def test_a_megabyte_in_one_row_is_no_problem(piece: str, rules: TextRules) -> None:
    text = piece * (1_000_000 // len(piece.encode()))
    tokens = tokenizer_of(rules).tokenize(["before", text, "behind"])

    assert (tokens[0], tokens[2]) == (["before"], ["behind"])
    assert tokens[1] == plain_tokens(text, rules)


# -- the object ------------------------------------------------------------------------------------


def test_an_unknown_language_is_refused_when_it_is_used() -> None:
    tokenizer = WordTokenizer("klingon")
    with pytest.raises(ParameterError, match="klingon"):
        tokenizer.tokenize(["Qapla'"])


def test_a_language_that_needs_a_package_says_which() -> None:
    with pytest.raises(ParameterError, match=r"(?s)'ja'.*Sudachi"):
        WordTokenizer("ja").tokenize(["日本"])


def test_no_process_is_too_few() -> None:
    with pytest.raises(ParameterError, match="n_processes=0"):
        WordTokenizer(n_processes=0)


def test_a_tokenizer_comes_back_from_its_description() -> None:
    tokenizer = WordTokenizer("de", TextRules(lower=False))
    assert WordTokenizer.from_dict(tokenizer.to_dict()) == tokenizer


@pytest.mark.parametrize("description", [{}, {"language": "en"}, {"language": 3, "rules": {}}])
def test_a_damaged_description_is_refused(description: dict) -> None:
    with pytest.raises(ArtifactError, match="WordTokenizer"):
        WordTokenizer.from_dict(description)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_does_the_same(copied: Any) -> None:
    tokenizer = tokenizer_of(ALL)
    tokenizer.tokenize(["a"])

    other = copied(tokenizer)

    assert other == tokenizer
    assert other.tokenize(["Fine, again"])[0] == ["xxmaj", "fine", ",", "again"]


def test_a_row_is_found_from_the_end_too() -> None:
    tokenized = tokenizer_of(ALL).tokenize(["a", "b"])

    assert tokenized[-1] == ["b"]
    with pytest.raises(IndexError):
        tokenized[2]
