"""Several processes at one study, and one that is killed."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest

ROOT = Path(__file__).parents[2]


def started(*arguments: object) -> "subprocess.Popen[str]":
    """A search that is ready to begin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tuning.search_run", *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        pytest.fail(process.communicate()[1])
    return process


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def numbers_of(process: "subprocess.Popen[str]") -> list[int]:
    """The trials of a search that ends well."""
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return [int(line) for line in printed.split()]


def states(file: Path) -> list[str]:
    study = optuna.load_study(study_name="tabtext", storage=f"sqlite:///{file}")
    return [trial.state.name for trial in study.get_trials()]


@pytest.mark.slow
def test_two_processes_share_the_trials_and_none_runs_twice(file: Path) -> None:
    one, two = started(file, 8, 60, -1), started(file, 8, 60, -1)
    go(one)
    go(two)

    of_one, of_two = numbers_of(one), numbers_of(two)

    assert sorted(of_one + of_two) == list(range(8))
    assert of_one
    assert of_two
    assert set(states(file)) <= {"COMPLETE", "PRUNED"}


@pytest.mark.slow
def test_a_killed_process_loses_its_trial_and_nothing_else(file: Path) -> None:
    killed, survivor = started(file, 4, 60, 1), started(file, 4, 4, -1)
    go(killed)
    assert killed.stdout is not None
    while killed.stdout.readline() != "1\n":
        pass
    killed.kill()
    killed.communicate()

    go(survivor)

    assert numbers_of(survivor) == [2, 3, 4]
    found = states(file)
    assert found[:2] == ["COMPLETE", "FAIL"]
    assert set(found[2:]) <= {"COMPLETE", "PRUNED"}
