"""Which chunks a special case can join."""

import itertools

from tabtext.text.words.special_cases import SpecialCaseLinks


def are_linked(links: SpecialCaseLinks, left: str, right: str) -> bool:
    return bool(links.linked[links.last_class(left), links.first_class(right)])


def test_neighbours_in_a_pattern_are_linked() -> None:
    links = SpecialCaseLinks({":-)": [":", "-", ")"]}, {":-)": [":-)"]})

    linked = {pair for pair in itertools.product(":-)x", repeat=2) if are_linked(links, *pair)}

    assert linked == {(":", "-"), ("-", ")")}


def test_what_a_case_was_replaced_with_is_linked_like_what_it_was() -> None:
    patterns = {"((": ["(", "("], "(x": ["(", "x"]}
    replacements = {"((": ["(("], "(x": ["(x"]}

    links = SpecialCaseLinks(patterns, replacements)

    assert are_linked(links, "((", "(")
    assert are_linked(links, "((", "x")
    assert are_linked(links, "(", "(x")
    assert not are_linked(links, "(x", "(")


def test_a_pattern_of_one_token_links_nothing() -> None:
    links = SpecialCaseLinks({" ": [" "]}, {" ": [" "]})

    assert links.linked.shape == (1, 1)
    assert not links.linked.any()
    assert not links.has_spaces


def test_white_space_within_a_pattern_is_told() -> None:
    assert SpecialCaseLinks({"a\nb": ["a", "\n", "b"]}, {"a\nb": ["a\nb"]}).has_spaces
