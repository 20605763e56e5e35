"""What estimators tell of their progress, to whom, and when they are silent."""

from pathlib import Path

import pandas as pd
import pytest

from tabtext.datasets import load_flights, load_snippets
from tabtext.estimators import LanguageModel, TabularRegressor, TextClassifier
from tabtext.progress import watching

TINY = {"epochs": 1, "embedding_width": 8, "hidden_width": 8}


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    flights = load_flights("valid").dropna(subset="arr_delay")
    return flights.sample(6000, random_state=0)


@pytest.fixture(scope="module")
def regressor(flights: pd.DataFrame) -> TabularRegressor:
    model = TabularRegressor(network="mlp", hidden=(8,), numeric_width=2, epochs=1, verbose=0)
    return model.fit(flights[:2000], target="arr_delay")


class Told:
    """What was told, step by step."""

    def __init__(self) -> None:
        self.steps: dict[str, list[tuple[int, int | None]]] = {}

    def __call__(self, what: str, done: int, total: int | None) -> None:
        self.steps.setdefault(what, []).append((done, total))


def test_a_fit_of_a_table_tells_of_preparing_of_bins_and_of_judging(
    flights: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabtext.tabular.prepared._FEW_ROWS", 100)
    told = Told()
    model = TabularRegressor(network="mlp", hidden=(8,), numeric_width=2, epochs=1, verbose=1)

    with watching(told):
        model.fit(flights, target="arr_delay")

    assert set(told.steps) == {"preparing the table", "choosing bins", "predicting"}
    for counts in told.steps.values():
        assert counts[-1][0] == counts[-1][1]


def test_many_rows_are_predicted_in_batches_that_tell(
    regressor: TabularRegressor, flights: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabtext.estimators.network.ROWS_PER_PREDICTION", 1000)
    told = Told()

    with watching(told):
        regressor.set_params(verbose=1).predict(flights)
        regressor.set_params(verbose=0).predict(flights)

    assert told.steps["predicting"] == [(number, 6) for number in range(1, 7)]


def test_permutation_importance_tells_its_columns_and_not_their_predictions(
    regressor: TabularRegressor, flights: pd.DataFrame
) -> None:
    told = Told()

    with watching(told):
        found = regressor.set_params(verbose=1).feature_importance(flights[:200], n_repeats=1)

    columns = told.steps["measuring permutation importance"]
    assert columns == [(number, len(found)) for number in range(1, len(found) + 1)]
    assert len(told.steps["predicting"]) == 1  # of the columns as they are, before all others


def test_texts_tell_of_tokens_words_voters_and_predictions() -> None:
    movies = load_snippets("movies")[:200]
    told = Told()
    language = LanguageModel(min_frequency=1, verbose=1, **TINY)
    model = TextClassifier(epochs=1, verbose=1)

    with watching(told):
        language.fit(movies["text"]).evaluate(movies["text"])
        model.set_params(language_model=language).fit(movies["text"], movies["rating"] > 0)
        model.predict(movies["text"])

    assert set(told.steps) == {
        "tokenizing", "counting words", "scoring texts", "fitting linear models", "predicting",
    }  # fmt: skip
    for counts in told.steps.values():
        assert counts[-1][0] == counts[-1][1]


def test_little_work_shows_nothing_but_its_epochs(
    flights: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = TabularRegressor(network="mlp", hidden=(8,), numeric_width=2, epochs=1, verbose=1)
    model.fit(flights[:500], target="arr_delay").predict(flights[:1])
    model.save(tmp_path / "model")

    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split("  ")[0] for line in printed.err.splitlines()] == ["epoch 1/1"]
