"""``tabtext tune``."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tabtext
from tabtext import tuning
from tabtext.errors import ParameterError, SaveError
from tests.cli.conftest import run, run_well

SHORT = ("--epochs", "1", "--quiet")


def test_the_best_model_is_saved_and_the_trials_are_shown(tables: Path) -> None:
    out = tables / "tuned"

    done = run_well(
        "tune", tables / "train.csv", "--target", "Sales", "--trials", 3, "--out", out, *SHORT,
        "--valid", tables / "new.parquet", "--monitor", "rmse", "--exclude", "Date", "--seed", 5,
        "--prune", "Sales > 8", "--role", "Promo=ignore", "--averaging", "swa",
    )  # fmt: skip

    assert "best of 3 trials: 3 complete" in done.stdout
    assert "0 (own)" in done.stdout
    assert "learning_rate" in done.stdout
    model = tabtext.load(out)
    assert (model.monitor, model.random_state, model.averaging) == ("rmse", 5, "swa")
    assert model.card_["rows"]["valid"] == 80
    assert model.card_["rows"]["pruned"] > 0
    assert model.schema_.role("Date") == model.schema_.role("Promo") == "ignore"


def test_the_same_command_goes_on_with_a_study_and_tells_it_as_json(tables: Path) -> None:
    command = [
        "tune", tables / "train.csv", "--target", "State", "--study", tables / "study.db",
        "--json", *SHORT,
    ]  # fmt: skip
    run_well(*command, "--trials", 1)

    done = run_well(*command, "--trials", 2, "--out", tables / "from-study")

    found = json.loads(done.stdout)
    assert found["monitor"] == "valid_loss"
    assert [row["trial"] for row in found["trials"]] == [0, 1]
    assert found["best_score"] == min(row["score"] for row in found["trials"])
    model = tabtext.load(tables / "from-study")
    assert model.card_["metrics"]["loss"] == found["best_score"]
    again = json.loads(run_well(*command, "--trials", 2).stdout)
    assert again == found


def test_another_target_is_no_continuation(tables: Path) -> None:
    command = ["tune", tables / "train.csv", "--study", tables / "other.db", "--trials", 1, *SHORT]
    run_well(*command, "--target", "Sales")

    done = run(*command, "--target", "Distance")

    assert isinstance(done.exception, ParameterError)
    assert "was made with another target (Sales, now Distance)" in str(done.exception)


def test_an_occupied_destination_is_refused_before_the_search(tables: Path) -> None:
    done = run("tune", tables / "train.csv", "--target", "Sales", "--out", tables / "new.parquet")

    assert isinstance(done.exception, SaveError)


def test_a_search_that_others_end_leaves_the_model_to_them(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting(trials: tuning.search.Trials) -> object:
        yield from plain(trials)
        trials.waited = True

    plain = tuning.search.Trials.__iter__
    monkeypatch.setattr(tuning.search.Trials, "__iter__", waiting)

    done = run_well(
        "tune", tables / "train.csv", "--target", "Sales", "--trials", 1, *SHORT,
        "--out", tables / "not-here",
    )  # fmt: skip

    assert "another process ended the search" in done.stderr
    assert not (tables / "not-here").exists()


def test_a_preset_of_several_networks_is_refused_before_the_table_is_read(tmp_path: Path) -> None:
    done = run("tune", tmp_path / "nowhere.csv", "--target", "Sales", "--preset", "best")

    assert isinstance(done.exception, ParameterError)
    assert "a trial fits one network" in str(done.exception)


@pytest.mark.slow
def test_ctrl_c_keeps_the_trials_that_ended(tables: Path) -> None:
    study = tables / "interrupted.db"
    command = [
        sys.executable, "-m", "tabtext", "tune", str(tables / "train.csv"), "--target", "Sales",
        "--study", str(study), "--trials", "1000", "--epochs", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("trial 1:"):
        pass

    process.send_signal(signal.SIGINT)
    message = process.communicate()[1]

    assert process.returncode == 130
    assert f"interrupted; {study} keeps the trials that ended" in message
    command[command.index("1000")] = "2"
    done = run_well(*command[3:], "--json")
    assert sum(row["state"] == "complete" for row in json.loads(done.stdout)["trials"]) >= 2


def test_without_a_study_ctrl_c_says_what_is_lost(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "tune", interrupted)

    done = run("tune", tables / "train.csv", "--target", "Sales")

    assert done.exit_code == 130
    assert "--study FILE keeps them" in done.stderr
