"""``tabtext fit`` on tables that hold texts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabtext
from tabtext.errors import ParameterError
from tabtext.tables import read_table
from tests.cli.conftest import run, run_well
from tests.estimators.test_mixed import films

SMALL = ("--epochs", 1, "--quiet", "--language-model", "none", "--preset", "fast")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with texts, and the model that the command made of it."""
    folder = tmp_path_factory.mktemp("mixed")
    films(120).to_csv(folder / "films.csv", index=False)
    done = run_well(
        "fit", folder / "films.csv", "--target", "rating", "--out", folder / "model", *SMALL
    )
    (folder / "said.txt").write_text(done.output)
    return folder


def test_columns_of_text_make_it_a_model_of_both_and_the_message_says_so(folder: Path) -> None:
    assert type(tabtext.load(folder / "model")).__name__ == "TabTextRegressor"
    said = (folder / "said.txt").read_text()
    assert "columns of text: review, second" in said
    assert "--ignore-text leaves them out" in said


def test_the_model_predicts_evaluates_and_tells_of_itself(folder: Path) -> None:
    run_well("predict", folder / "model", folder / "films.csv", "--out", folder / "out.csv")

    assert list(pd.read_csv(folder / "out.csv")) == ["rating"]
    judged = run_well("evaluate", folder / "model", folder / "films.csv", "--json")
    assert set(json.loads(judged.stdout)) == {"rmse", "mae", "r2"}
    card = run_well("inspect", folder / "model").output
    assert "TabTextRegressor" in card
    assert "text that reads like prose" in card


def test_texts_are_left_out_on_request(folder: Path) -> None:
    run_well(
        "fit", folder / "films.csv", "--target", "rating", "--out", folder / "table",
        "--epochs", 1, "--quiet", "--ignore-text",
    )  # fmt: skip

    model = tabtext.load(folder / "table")
    assert type(model).__name__ == "TabularRegressor"
    assert set(model.preprocessor_.positions()) == {"cinema", "words", "evening", "day"}


def test_a_role_decides_too(folder: Path) -> None:
    run_well(
        "fit", folder / "films.csv", "--target", "rating", "--out", folder / "roles", *SMALL,
        "--role", "cinema=text", "--role", "review=ignore", "--role", "second=ignore",
    )  # fmt: skip

    assert tabtext.load(folder / "roles").preprocessor_.text_columns == ("cinema",)


def test_a_language_model_without_texts_is_refused(folder: Path) -> None:
    done = run(
        "fit", folder / "films.csv", "--target", "rating", "--out", folder / "refused",
        "--ignore-text", "--language-model", "english-small",
    )  # fmt: skip

    assert isinstance(done.exception, ParameterError)
    assert "name one with --role COLUMN=text" in str(done.exception)


def test_the_words_of_a_row_are_explained(folder: Path) -> None:
    model, rows = folder / "model", read_table(folder / "films.csv")
    row = 1

    printed = run_well("explain", model, folder / "films.csv", "--row", row)
    found = run_well("explain", model, folder / "films.csv", "--row", row, "--json", "--occlusion")

    expected = tabtext.load(model).explain(rows.slice(row, 1), method="occlusion")
    assert printed.stdout.startswith(f"review, rating: {expected['review'].predicted:.3f}")
    assert "second, rating:" in printed.stdout
    told = json.loads(found.stdout)
    assert list(told) == ["review", "second"]
    assert tuple(told["second"]["tokens"]) == expected["second"].tokens
    np.testing.assert_allclose(
        told["second"]["contributions"], expected["second"].contributions, atol=1e-5
    )


def test_a_missing_text_is_said_to_be_missing(folder: Path, tmp_path: Path) -> None:
    films(3).assign(review=None).to_parquet(tmp_path / "new.parquet")

    printed = run_well("explain", folder / "model", tmp_path / "new.parquet").stdout

    assert printed.splitlines()[1] == "(missing)"


def test_rows_that_cannot_be_explained_are_refused(folder: Path, tables: Path) -> None:
    beyond = run("explain", folder / "model", folder / "films.csv", "--row", 120)
    without = run("explain", tables / "Sales", tables / "new.parquet")
    as_text = run("sentiment", "explain", folder / "model", "A fine film.")

    assert "has 120 rows, the first being 0" in str(beyond.exception)
    assert "holds a TabularRegressor; rows are explained for models of" in str(without.exception)
    assert "by tabtext explain for rows of tables" in str(as_text.exception)


def test_folds_share_an_encoder_that_does_not_learn(folder: Path) -> None:
    command = (
        "fit", folder / "films.csv", "--target", "rating", "--out", folder / "folds", *SMALL,
        "--folds", 2,
    )  # fmt: skip

    refused = run(*command)
    run_well(*command, "--unfrozen-epochs", 0)

    assert "set unfrozen_epochs=0" in str(refused.exception)
    assert len(tabtext.load(folder / "folds").model_.encoders) == 1
