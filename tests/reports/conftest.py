"""Small models of real flights and sentences, and what stands in their reports."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabtext
from tabtext import TabularClassifier, TabularRegressor, TextClassifier
from tabtext.datasets import load_flights, load_snippets

QUICK = {"network": "mlp", "hidden": (32,), "epochs": 2, "verbose": 0, "batch_size": 256}
COLUMNS = [
    *("scheduled_departure", "carrier", "origin", "destination", "distance", "wind_speed"),
    *("dep_delay", "arr_delay"),
]


class Page:
    """A report as tests read it."""

    def __init__(self, path: Path) -> None:
        self.html = path.read_text(encoding="utf-8")
        self.titles = [unescape(title) for title in re.findall(r"<h2>(.*?)</h2>", self.html)]
        self.captions = [unescape(alt) for alt in re.findall(r'<img[^>]* alt="([^"]*)"', self.html)]
        pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", self.html)
        self.facts = {unescape(name): unescape(value) for name, value in pairs}
        # Not the pictures, whose megabytes of base64 hold any short word somewhere.
        self.text = unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.html, flags=re.DOTALL))


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """2,500 flights, of which some have no delay at arrival."""
    return load_flights("valid")[COLUMNS].sample(2500, random_state=0).reset_index(drop=True)


@pytest.fixture(scope="session")
def late(flights: pd.DataFrame) -> pd.DataFrame:
    """The same with a yes or no in place of the delay."""
    known = flights.dropna(subset="arr_delay")
    answers = np.where(known["arr_delay"] > 15, "late", "on time")
    return known.drop(columns="arr_delay").assign(arrival=answers)


@pytest.fixture(scope="session")
def regressor(flights: pd.DataFrame) -> TabularRegressor:
    model = TabularRegressor(**QUICK, prune=["arr_delay < 300"], date_parts=True)
    return model.fit(flights[:2000], target="arr_delay")


@pytest.fixture(scope="session")
def report_of_flights(
    regressor: TabularRegressor, flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """All that a report of flights can show, with its pictures, which take the time."""
    return tabtext.write_report(
        regressor, flights[2000:], tmp_path_factory.mktemp("flights") / "report.html",
        train=flights[:2000], unit="min", description="late flights", learning_rate_finder=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def classifier(late: pd.DataFrame) -> TabularClassifier:
    return TabularClassifier(**QUICK).fit(late[:2000], target="arrival")


@pytest.fixture(scope="session")
def sentences() -> pd.DataFrame:
    """Sentences about films, and whether they praise."""
    films = load_snippets("movies")[:500]
    sentiment = np.where(films["rating"] > 0, "praise", "blame")
    return pd.DataFrame({"text": films["text"], "sentiment": sentiment})


@pytest.fixture(scope="session")
def reader(sentences: pd.DataFrame) -> TextClassifier:
    model = TextClassifier(
        language_model=None, embedding_width=16, hidden_width=32, n_layers=1, epochs=1, verbose=0
    )
    return model.fit(sentences[:400], target="sentiment")
