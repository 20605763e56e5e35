"""The demo on a few rows: what it prints, writes and leaves usable."""

from pathlib import Path

import numpy as np
import pytest

import tabtext
from tabtext import datasets
from tabtext.demo import run_demo
from tabtext.demo.movies import compared, read_sentences


@pytest.mark.slow
def test_the_demo_prints_baselines_and_writes_models_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_demo(tmp_path / "demo", rows=3000)

    printed = capsys.readouterr().out
    for part in (
        *("predict the mean", "predict the majority", "HistGradientBoosting"),
        *("TF-IDF + logistic regression", "tabtext", "standard errors"),
    ):
        assert part in printed
    html = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert html.count("<img") >= 18
    assert html.count("Taken for ") == 6  # errors, with the words that led to them
    assert "keep where arr_delay &lt; 600" in html
    assert "tabtext inspect" in printed

    december = datasets.load_flights("test").dropna(subset="dep_delay")
    delay = tabtext.load(tmp_path / "demo" / "arrival_delay")
    late = tabtext.load(tmp_path / "demo" / "late")
    assert delay.evaluate(december)["r2"] > 0.5
    assert "arr_delay" not in late.feature_names_in_
    for model in (delay, late):
        assert model.card_["rows"]["given"] == 3000
        assert model.card_["rows"]["target_missing"] > 0  # cancelled flights: dropped and counted
    truth = december["arr_delay"].dropna() > 15
    known = december.loc[truth.index]
    assert late.evaluate(known, truth.rename("late"))["roc_auc"] > 0.8

    movies = tabtext.load(tmp_path / "demo" / "movies")
    assert movies.card_["rows"]["given"] == 3000
    assert movies.evaluate(read_sentences(None).test)["accuracy"] > 0.6
    assert movies.explain("A masterpiece.").output in ("praise", "blame")
    assert movies.card_["language_model"]["rows"]["train"] > 10_000  # the one that ships


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
