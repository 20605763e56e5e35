"""Language models that are trained in processes of their own: killed, resumed, and in pairs."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Processes, processes_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def training() -> Iterator[Processes]:
    with processes_of(Path(__file__).with_name("language_model_run.py")) as processes:
        yield processes


def test_a_run_killed_in_the_middle_of_epochs_ends_as_if_it_never_was(
    training: Processes, tmp_path: Path
) -> None:
    undisturbed = training.run()

    for step in (8, 45):
        killed = training.run("--checkpoints", tmp_path, "--at", step)
        assert killed.code == -signal.SIGKILL, killed.errors
        assert killed.told[-1] == f"step {step}"
    resumed = training.run("--checkpoints", tmp_path)

    assert 39 < int(resumed.told[0].split()[1]) <= 45  # it went on where its last checkpoint was
    assert resumed.result == undisturbed.result


def test_two_processes_learn_what_one_learns_from_twice_as_many_streams(
    training: Processes,
) -> None:
    alone = training.run("--dropout-scale", 0)
    pair = training.run_together(2, "--dropout-scale", 0)

    for ended in pair:
        for name in ("losses", "weights"):
            assert ended.result[name] == pytest.approx(alone.result[name], abs=1e-4), name
    assert pair[0].result["digest"] == pair[1].result["digest"]
    assert pair[0].result["carried"] != pair[1].result["carried"]
    losses = alone.result["losses"]
    assert losses[-1] < losses[0] - 0.3  # it did learn something


def test_two_killed_processes_find_what_each_of_them_carried(
    training: Processes, tmp_path: Path
) -> None:
    undisturbed = training.run_together(2)

    for ended in training.run_together(2, "--checkpoints", tmp_path, "--at", 55):
        assert ended.code == -signal.SIGKILL, ended.errors
    resumed = training.run_together(2, "--checkpoints", tmp_path)

    # They look for what is due in every 20th step, and 30 make an epoch.
    assert [ended.told[0] for ended in resumed] == ["step 41", "step 41"]
    assert [ended.result for ended in resumed] == [ended.result for ended in undisturbed]
