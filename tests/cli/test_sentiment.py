"""``tabtext sentiment``: fit, predict, explain; and what all models share, for models of texts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabtext
from tabtext.errors import ParameterError, SaveError, UnknownColumnError
from tests.cli.conftest import FAST, run, run_well


def test_the_task_is_judged_by_the_target(texts: Path) -> None:
    frame = pd.read_csv(texts / "reviews.csv").assign(stars=np.linspace(-4, 4, 240))
    frame.to_parquet(texts / "stars.parquet")
    command = ["sentiment", "fit", texts / "stars.parquet", "--out", texts / "stars", *FAST]

    done = run_well(*command, "--target", "stars", "--text-column", "text")

    assert "task: regression" in done.stderr
    assert type(tabtext.load(texts / "stars")).__name__ == "TextRegressor"
    assert type(tabtext.load(texts / "model")).__name__ == "TextClassifier"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_predictions_are_those_of_the_library(texts: Path, suffix: str) -> None:
    out = texts / f"predicted.{suffix}"

    run_well(
        "sentiment", "predict", texts / "model", texts / "reviews.jsonl", "--out", out,
        "--probabilities",
    )  # fmt: skip

    read = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    expected = tabtext.load(texts / "model").predict_proba(pd.read_csv(texts / "reviews.csv"))
    assert list(read) == ["label", "probability_neg", "probability_pos"]
    np.testing.assert_allclose(read.iloc[:, 1:], expected, atol=1e-6)


def test_a_folder_of_classes_needs_no_target(texts: Path) -> None:
    run_well("sentiment", "fit", texts / "reviews", "--out", texts / "of_folder", *FAST)

    model = tabtext.load(texts / "of_folder")
    assert list(model.classes_) == ["neg", "pos"]
    assert model.feature_names_in_.tolist() == ["text"]


def test_predictions_for_a_folder_name_its_files(texts: Path) -> None:
    out = texts / "of_files.csv"

    run_well("predict", texts / "model", texts / "reviews", "--out", out)

    read = pd.read_csv(out)
    assert list(read) == ["file", "label"]
    assert len(read) == 240
    assert read["file"].str.endswith(".txt").all()


def test_evaluate_prints_metrics_as_json(texts: Path) -> None:
    done = run_well("evaluate", texts / "model", texts / "reviews.jsonl", "--json")

    expected = tabtext.load(texts / "model").evaluate(pd.read_csv(texts / "reviews.csv"))
    assert json.loads(done.stdout) == pytest.approx(expected)


def test_inspect_prints_the_card(texts: Path) -> None:
    printed = run_well("inspect", texts / "model").stdout

    for part in ("TextClassifier for label", "text", "vocabulary", "accuracy", "learning rate"):
        assert part in printed


def test_options_reach_the_model(texts: Path) -> None:
    run_well(
        "sentiment", "fit", texts / "reviews.parquet", "--target", "label", "--out",
        texts / "options", *FAST, "--task", "classification", "--valid", texts / "reviews.csv",
        "--balanced", "--direction", "both", "--size", "small", "--tokens", "words",
        "--language", "en", "--dropout-scale", 0.5, "--batch-size", 32, "--learning-rate", 0.003,
        "--max-time", "1h", "--seed", 3,
    )  # fmt: skip

    model = tabtext.load(texts / "options")
    assert list(model.networks_) == ["forward", "backward"]
    assert model.card_["rows"]["valid"] == 240
    chosen = ("class_weight", "dropout_scale", "batch_size", "learning_rate", "random_state")
    assert [model.get_params()[name] for name in chosen] == ["balanced", 0.5, 32, 0.003, 3]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["reviews.csv"], ParameterError, "name the column to predict with --target"),
        (["reviews.csv", "--target", "labl"], UnknownColumnError, "did you mean 'label'"),
        (["reviews/pos"], ParameterError, "texts without classes"),
        (
            ["reviews.csv", "--target", "label", "--language-model", "lm", "--size", "small"],
            ParameterError,
            "--size cannot be chosen with --language-model",
        ),
        (
            ["reviews.csv", "--target", "label", "--task", "regression", "--balanced"],
            ParameterError,
            "--balanced is for classes",
        ),
    ],
)
def test_wrong_arguments_are_told_before_any_work(
    texts: Path,
    arguments: list[str],
    error: type[Exception],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(texts)

    done = run("sentiment", "fit", *arguments, "--out", "never")

    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert not (texts / "never").exists()


def test_an_occupied_destination_is_refused_before_the_fit(texts: Path) -> None:
    done = run(
        "sentiment", "fit", texts / "reviews.csv", "--target", "label",
        "--out", texts / "reviews.parquet",
    )  # fmt: skip

    assert isinstance(done.exception, SaveError)


def test_rows_without_a_label_are_counted_and_said(texts: Path) -> None:
    frame = pd.read_csv(texts / "reviews.csv")
    frame.loc[:6, "label"] = None
    frame.to_csv(texts / "unlabelled.csv", index=False)

    done = run_well(
        "sentiment", "fit", texts / "unlabelled.csv", "--target", "label",
        "--out", texts / "unlabelled", *FAST,
    )  # fmt: skip

    assert "7 rows without label were left out" in done.stderr


def test_explain_shows_the_prediction_and_every_word(texts: Path) -> None:
    text = "A charming cast, but qwzx and DULL."

    printed = run_well("sentiment", "explain", texts / "model", text).stdout

    expected = tabtext.load(texts / "model").explain(text)
    assert printed.startswith(f"{expected.output}: {expected.predicted:.3f}\n")
    assert text in printed
    assert f"speaks for {expected.output}" in printed


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_explain_prints_json(texts: Path, method: str) -> None:
    options = ["--occlusion"] if method == "occlusion" else []

    done = run_well(
        "sentiment", "explain", texts / "model", "A joy.", "--output", "neg", "--json", *options
    )

    told = json.loads(done.stdout)
    expected = tabtext.load(texts / "model").explain("A joy.", output="neg", method=method)
    assert told["output"] == "neg"
    assert told["tokens"] == list(expected.tokens)
    np.testing.assert_allclose(told["contributions"], expected.contributions, atol=1e-5)


def test_markup_in_a_text_is_text(texts: Path) -> None:
    printed = run_well("sentiment", "explain", texts / "model", "[red]bad[/red] film").stdout

    assert "[red]" in printed.replace(" ", "")


def test_a_language_model_explains_no_prediction(texts: Path) -> None:
    done = run("sentiment", "explain", texts / "lm", "A joy.")

    assert "words are explained for text classifiers" in str(done.exception)


@pytest.mark.parametrize(("named", "is_pretrained"), [("auto", True), ("none", False)])
def test_the_model_that_ships_is_the_start_unless_refused(
    texts: Path, named: str, is_pretrained: bool
) -> None:
    run_well(
        "sentiment", "fit", texts / "reviews.csv", "--target", "label", "--out", texts / named,
        "--language-model", named, *FAST,
    )  # fmt: skip

    card = tabtext.load(texts / named).card_
    assert ("language_model" in card) is is_pretrained
