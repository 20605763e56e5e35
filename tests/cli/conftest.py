"""The command line as a user types it, and a folder with data and models."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from tabtext.cli import app
from tabtext.datasets import load_snippets
from tests.estimators.conftest import shops

FAST = ("--epochs", "1", "--quiet", "--no-report")


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_well(*arguments: object) -> Result:
    """Run a command that has to succeed."""
    done = run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tables, and a model of each kind."""
    folder = tmp_path_factory.mktemp("tables")
    shops(300).to_csv(folder / "train.csv", index=False)
    shops(80, seed=1).to_parquet(folder / "new.parquet")
    for target in ("Sales", "State"):
        run_well("fit", folder / "train.csv", "--target", target, "--out", folder / target, *FAST)
    return folder


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sentences in every kind of file, a language model and a classifier."""
    folder = tmp_path_factory.mktemp("texts")
    movies = load_snippets("movies")[:240]
    frame = pd.DataFrame(
        {"text": movies["text"], "label": np.where(movies["rating"] > 0, "pos", "neg")}
    )
    frame.to_csv(folder / "reviews.csv", index=False)
    frame.to_parquet(folder / "reviews.parquet")
    frame.to_json(folder / "reviews.jsonl", orient="records", lines=True)
    for row, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True)):
        place = folder / "reviews" / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row:03}.txt").write_text(text)
    products = load_snippets("amazon")[["text"]][:240]
    products.to_csv(folder / "products.csv", index=False)
    run_well("lm", "train", folder / "products.csv", "--out", folder / "lm", *FAST)
    run_well(
        "sentiment", "fit", folder / "reviews.csv", "--target", "label", "--out", folder / "model",
        "--language-model", folder / "lm", *FAST,
    )  # fmt: skip
    return folder
