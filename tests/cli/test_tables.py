"""``tabtext fit``."""

import signal
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import tabtext
from tabtext.errors import SaveError
from tests.cli.conftest import FAST, run, run_well


def test_practices_of_training_are_options(tables: Path) -> None:
    out = tables / "practised"

    run_well(
        "fit", tables / "train.csv", "--target", "Sales", "--out", out, "--quiet", "--epochs", 3,
        "--no-report", "--schedule", "sgdr_doubling", "--averaging", "ema", "--max-time", "1h",
    )  # fmt: skip

    recipe = tabtext.load(out).card_["recipe"]
    assert recipe["schedule"] == "sgdr_doubling"
    assert recipe["averaging"] == "ema"
    assert not out.with_name("practised.checkpoints").exists()


def test_preset_and_folds_are_options(tables: Path) -> None:
    out = tables / "folded"

    run_well(
        "fit", tables / "train.csv", "--target", "Sales", "--out", out, "--quiet", "--epochs", 1,
        "--no-report", "--preset", "best", "--folds", 2,
    )  # fmt: skip

    model = tabtext.load(out)
    assert model.preset == "best"
    assert list(model.histories_) == ["fold 1", "fold 2"]


def test_an_interrupted_fit_prints_the_command_that_resumes_it(tables: Path) -> None:
    command = [
        sys.executable, "-m", "tabtext", "-v", "fit", str(tables / "train.csv"),
        "--target", "Sales", "--out", str(tables / "interrupted"),
        "--epochs", "2000", "--batch-size", "16",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while not lines[-1].startswith("epoch 3/"):
        lines.append(process.stderr.readline())

    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1]

    assert process.returncode == 128 + signal.SIGTERM
    assert "tabtext -v fit --resume" in message
    run_well(*command[3:], "--resume", "--max-time", "0.001s", "--quiet", "--no-report")
    history = tabtext.load(tables / "interrupted").history_
    assert history.stopped is not None
    assert len(history.epochs) >= 3  # a new run would have ended in its first
    assert not (tables / "interrupted.checkpoints").exists()


def test_the_task_is_judged_by_the_target(tables: Path) -> None:
    assert type(tabtext.load(tables / "Sales")).__name__ == "TabularRegressor"
    assert type(tabtext.load(tables / "State")).__name__ == "TabularClassifier"


def test_an_occupied_destination_is_refused_before_the_fit(tables: Path) -> None:
    started = perf_counter()
    done = run("fit", tables / "train.csv", "--target", "Sales", "--out", tables / "new.parquet")

    assert isinstance(done.exception, SaveError)
    assert "is a file; choose another place" in str(done.exception)
    assert perf_counter() - started < 2


def test_roles_rules_and_excluded_columns_reach_the_model(tables: Path) -> None:
    command = ["fit", tables / "train.csv", "--target", "Sales", "--out", tables / "options", *FAST]

    run_well(
        *command, "--role", "Promo=ignore", "--exclude", "Date", "--prune", "Sales > 8",
        "--valid", tables / "new.parquet", "--task", "regression", "--seed", "3",
    )  # fmt: skip

    model = tabtext.load(tables / "options")
    assert model.schema_.role("Promo") == "ignore"
    assert model.schema_.role("Date") == "ignore"
    assert model.card_["rows"]["pruned"] > 0
    assert model.card_["rows"]["valid"] == 80
    assert model.random_state == 3


def test_a_misspelt_target_is_named_before_any_work(tables: Path) -> None:
    done = run("fit", tables / "train.csv", "--target", "Sale", "--out", tables / "never")

    assert "did you mean 'Sales'" in str(done.exception)
    assert not (tables / "never").exists()
