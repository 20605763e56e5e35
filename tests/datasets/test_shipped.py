"""The data that ships: what it holds is what its page says."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from tabtext.datasets import load_flights, load_snippets
from tabtext.datasets.files import shipped_file
from tabtext.errors import MissingFileError, ParameterError


@pytest.mark.parametrize("name", ["flights.parquet", "snippets.parquet"])
def test_the_files_are_those_that_the_page_describes(name: str) -> None:
    path = shipped_file(name)
    page = (path.parent / "README.md").read_text(encoding="utf-8")

    assert hashlib.sha256(path.read_bytes()).hexdigest() in page


def test_flights_are_split_by_time_without_a_gap_or_an_overlap() -> None:
    train, valid, test = (load_flights(part) for part in ("train", "valid", "test"))

    assert len(train) + len(valid) + len(test) == len(load_flights()) == 336_776
    assert train["scheduled_departure"].max() < valid["scheduled_departure"].min()
    assert valid["scheduled_departure"].max() < test["scheduled_departure"].min()
    assert valid["scheduled_departure"].dt.month.unique().tolist() == [11]


def test_flights_have_the_gaps_and_categories_of_the_source() -> None:
    flights = load_flights()

    assert flights["dep_delay"].isna().sum() == 8255
    assert flights["arr_delay"].isna().sum() == 9430
    assert flights["tail_number"].nunique() == 4043
    assert isinstance(flights["destination"].dtype, pd.CategoricalDtype)
    assert flights.loc[flights["dep_delay"].isna(), "arr_delay"].isna().all()


def test_snippets_have_the_published_counts() -> None:
    counts = load_snippets()["source"].value_counts().to_dict()

    assert counts == {"movies": 10_605, "amazon": 3_708, "nyt": 5_190, "tweets": 4_200}
    assert load_snippets("amazon")["rating"].between(-4, 4).all()
    assert load_snippets()["text"].str.len().min() > 0


def test_a_split_that_does_not_exist_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ParameterError, match="did you mean 'train'"):
        load_flights("trian")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ParameterError, match="did you mean 'tweets'"):
        load_snippets("tweet")  # type: ignore[arg-type]  # the mistake under test


def test_an_installation_without_its_data_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"flights\.parquet.*Reinstall tabtext"):
        shipped_file("flights.parquet", tmp_path / "tabtext")
