"""What is proved about a pattern must hold for it."""

import re
from functools import cache

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.words.letters import ignores_letters

letters = st.text(st.characters(categories=["L"]) | st.sampled_from("kmgsSdlat"), min_size=1)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[0-9]",
        r"\.",
        r"a\.b",
        r"(?<=[0-9])km$",
        r"km(?=[0-9])",
        r"(?:a|b)'",
        r"(?:'|\d)+",
        r"\s+",
        r"[-;:]{2,}",
        r"(?=\.)",
    ],
)
def test_patterns_that_need_something_else_ignore_letters(pattern: str) -> None:
    assert ignores_letters(re.compile(pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        r"a",
        r"[a-z]",
        r"[.x]",
        r".",
        r"[^a]",
        r"\w",
        r"\S",
        r"\.?",
        r"\.*",
        r"'|k",
        r"(?!\.)",
        r"$",
        r"^",
        r"",
        r"(a)\1",
        r"[\u4e00-\u9fff]",
    ],
)
def test_patterns_that_may_find_letters_do_not(pattern: str) -> None:
    assert not ignores_letters(re.compile(pattern))


@pytest.mark.parametrize("pattern", [re.compile(r"\.", re.IGNORECASE), re.compile(r"(?i:\.)")])
def test_nothing_is_proved_where_case_is_ignored(pattern: re.Pattern[str]) -> None:
    assert not ignores_letters(pattern)


@cache
def patterns_of(language: str) -> list[re.Pattern[str]]:
    tokenizer = spacy.blank(language).tokenizer
    searches = [tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer]
    return [search.__self__ for search in searches]


@pytest.mark.parametrize("language", ["en", "de", "ru"])
def test_spacys_rules_for_words_are_proved_to_ignore_letters(language: str) -> None:
    assert all(map(ignores_letters, patterns_of(language)))


@pytest.mark.parametrize("language", ["en", "de", "ru"])
@given(string=letters)
def test_and_so_they_find_none(language: str, string: str) -> None:
    for pattern in patterns_of(language):
        assert pattern.search(string) is None
