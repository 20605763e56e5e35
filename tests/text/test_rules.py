"""The rules, one by one and together."""

import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ArtifactError
from tabtext.text.rules import CHARACTER_MARK, TextRules, is_countable
from tabtext.text.special_tokens import SPECIAL_TOKENS

RULES = TextRules()
MARK = CHARACTER_MARK

texts = st.lists(
    st.sampled_from(["a", "A", "aaa", "!!!", "/", "//", "###", "\\", " ", "\n", "\t", "111", MARK])
    | st.characters(),
    max_size=12,
).map("".join)


def only(**rules: bool) -> TextRules:
    """Rules that are off but for these."""
    return TextRules(**(TextRules.none().to_dict() | rules))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("one<br />two", "one\ntwo"),
        ("one<BR>two<br/>three</p>four", "one\ntwo\nthree\nfour"),
        ("an <i>old</i> <a href='x'>film</a>", "an old film"),
        ('<font size="2">small</font>', "small"),
        ("a <unk> word", "a  xxunk  word"),
        ("1 < 2 and 3 > 2, <3, <bread>", "1 < 2 and 3 > 2, <3, <bread>"),
    ],
)
def test_leftovers_of_html_go(text: str, cleaned: str) -> None:
    assert only(html=True).clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("R&amp;B", "R&B"), ("it&#39;s", "it's"), ("a&nbsp;b", "a\xa0b"), ("Q & A", "Q & A")],
)
def test_entities_become_characters(text: str, cleaned: str) -> None:
    assert only(entities=True).clean(text) == cleaned


def test_a_tag_that_was_written_as_entities_is_text() -> None:
    assert RULES.clean("&lt;b&gt;") == "<b>"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("soooo good!!!!", f"s {MARK} 4 o good {MARK} 4 !"),
        ("aaabbb", f"{MARK} 3 a {MARK} 3 b"),
        ("no! good", "no! good"),
        ("in 2000 and 1,000,000", "in 2000 and 1,000,000"),
        ("a   b", "a   b"),
        ("😂😂😂", f"{MARK} 3 😂"),
    ],
)
def test_repeated_characters_are_counted(text: str, cleaned: str) -> None:
    assert only(repeated_characters=True).clean(text) == cleaned


def test_the_mark_of_repeated_characters_cannot_be_written() -> None:
    assert RULES.clean(f"{MARK} 3 a") == "\ufffd 3 a"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("and/or", "and / or"), ("#tag", "# tag"), ("a / b", "a / b"), ("//", "/ /"), ("\\n", "\\ n")],
)
def test_separators_stand_alone(text: str, cleaned: str) -> None:
    assert only(separators=True).clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a  b ", "a b"),
        ("a\n\n\nb", "a\nb"),
        ("a \r\n\t b", "a\nb"),
        ("a\xa0\u3000b", "a b"),
        ("\n\n", ""),
    ],
)
def test_white_space_becomes_one_space_or_one_line_break(text: str, cleaned: str) -> None:
    assert only(spaces=True).clean(text) == cleaned


@given(texts)
def test_rules_within_pieces_do_the_same_piece_by_piece(text: str) -> None:
    pieces = re.findall(r"\S+|\s+", text)
    by_piece = [piece if piece.isspace() else RULES.clean_pieces(piece) for piece in pieces]
    assert RULES.clean_pieces(text) == "".join(by_piece)


@given(texts)
def test_rules_within_pieces_put_no_space_beside_white_space(text: str) -> None:
    for piece in text.split():
        cleaned = RULES.clean_pieces(piece)
        assert re.split(" ", cleaned) == cleaned.split()


@given(texts)
def test_without_rules_a_text_stays_as_it_is(text: str) -> None:
    assert TextRules.none().clean(text) == text


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("good", ("good",)),
        ("Good", ("xxmaj", "good")),
        ("GOOD", ("xxup", "good")),
        ("McDonald", ("xxmaj", "mcdonald")),
        ("iPhone", ("iphone",)),
        ("I", ("xxmaj", "i")),
        ("N'T", ("xxup", "n't")),
        ("U.S.", ("xxup", "u.s.")),
        ("3D", ("3d",)),
        ("'S", ("'s",)),
        ("ÉCOLE", ("xxup", "école")),
        ("日本", ("日本",)),
        ("...", ("...",)),
        (MARK, ("xxrep",)),
    ],
)
def test_capitals_are_told_by_marks(word: str, tokens: tuple[str, ...]) -> None:
    assert RULES.mark(word) == tokens


@pytest.mark.parametrize("rules", [RULES, TextRules.none()], ids=["all", "none"])
@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_special_token_that_a_text_spells_is_unknown(token: str, rules: TextRules) -> None:
    assert rules.mark(token) == rules.mark(token.upper()) == ("xxunk",)


def test_marks_can_be_switched_off_one_by_one() -> None:
    words = ["NO", "No", "no"]
    assert [only(upper=True).mark(word) for word in words] == [("xxup", "no"), ("No",), ("no",)]
    assert [only(capitalised=True).mark(word) for word in words] == [
        ("NO",),
        ("xxmaj", "no"),
        ("no",),
    ]
    assert [only(lower=True).mark(word) for word in words] == [("no",), ("no",), ("no",)]


def test_repetitions_are_counted_of_words_only() -> None:
    assert [is_countable(word) for word in ["no", "3", "é", "'s", "*", "\n", MARK]] == [
        *[True] * 4,
        *[False] * 3,
    ]


@pytest.mark.parametrize("rules", [RULES, TextRules.none(), only(html=True)])
def test_rules_come_back_from_their_description(rules: TextRules) -> None:
    assert TextRules.from_dict(rules.to_dict()) == rules


def test_all_rules_can_be_switched() -> None:
    assert set(RULES.to_dict().values()) == {True}
    assert set(TextRules.none().to_dict().values()) == {False}
    assert list(RULES.to_dict()) == [field.name for field in fields(TextRules)]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"lower": "yes"}, "lower='yes'"), ({"stem": True}, "'stem'"), ({"html": None}, "html=None")],
)
def test_a_damaged_description_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        TextRules.from_dict(RULES.to_dict() | change)


def test_a_description_with_a_rule_missing_is_refused() -> None:
    description = RULES.to_dict()
    del description["spaces"]
    with pytest.raises(ArtifactError, match="'spaces'"):
        TextRules.from_dict(description)
