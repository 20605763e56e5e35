"""The parts of the demo; end_to_end/test_wheel.py runs it as a whole."""

import numpy as np
import pytest

from tabtext.demo.movies import compared, read_sentences


def test_no_sentence_about_films_is_on_two_sides() -> None:
    sentences = read_sentences(None)

    parts = [set(part["text"]) for part in (sentences.train, sentences.valid, sentences.test)]

    together = set().union(*parts)
    assert len(together) == sum(map(len, parts))
    assert len(parts[2]) > 2000


def test_fewer_rows_leave_validation_and_test_as_they_are() -> None:
    whole, part = read_sentences(None), read_sentences(1000)

    assert len(part.train) == 1000
    assert part.valid.equals(whole.valid)
    assert part.test.equals(whole.test)


def test_a_difference_within_two_standard_errors_is_called_chance() -> None:
    ours, theirs = np.zeros(100, bool), np.zeros(100, bool)
    ours[:3], theirs[2:4] = True, True

    assert "cannot tell from chance" in compared(ours, theirs)


@pytest.mark.parametrize("who_wins", ["tabtext", "TF-IDF + logistic regression"])
def test_who_is_ahead_is_said(who_wins: str) -> None:
    better, worse = np.ones(100, bool), np.arange(100) < 80
    pair = (better, worse) if who_wins == "tabtext" else (worse, better)

    assert compared(*pair).startswith(f"{who_wins} is ahead of ")
    assert "by 20.0 points" in compared(*pair)
