"""What a report says about models of texts."""

import re

import numpy as np

from tabtext.estimators.explanation import Explanation
from tabtext.reports.text_sections import errors_section, most_confident_errors
from tabtext.text.restoration import restore


def explanation(contributions: list[float]) -> Explanation:
    tokens = ("xxbos", "xxmaj", "a", "joy", "xxeos")
    values = np.array(contributions, np.float32)
    return Explanation(tokens, values, output="praise", predicted=0.9, restore=restore)


def test_the_surest_errors_come_first() -> None:
    probabilities = np.array([[0.1, 0.9], [0.3, 0.7], [0.95, 0.05], [0.2, 0.8], [0.6, 0.4]])
    truth = np.array([0, 0, 0, 1, 1])

    assert most_confident_errors(truth, probabilities).tolist() == [0, 1, 4]
    assert most_confident_errors(truth, probabilities, 1).tolist() == [0]


def test_a_model_without_errors_has_none() -> None:
    assert most_confident_errors(np.array([1]), np.array([[0.1, 0.9]])).size == 0


def test_errors_are_shown_with_coloured_words_and_accuracy_over_length() -> None:
    errors = [("Taken for praise.", explanation([0, 0, 0.1, 2, 0]))]
    lengths, is_right = np.array([5, 9, 12, 30]), np.array([False, True, True, True])

    section = errors_section("Errors", errors, lengths=lengths, is_right=is_right, text=["Why."])

    (excerpt,) = section.excerpts
    assert excerpt.caption == "Taken for praise."
    assert re.search(r"<span[^>]*>joy</span>", excerpt.html)
    assert "speaks for praise" in excerpt.html
    assert section.pictures[0].axes.get_xlabel() == "tokens"
    assert section.text == ["Why."]
