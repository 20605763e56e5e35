"""Several processes that train one model: the same run as one process with all of the rows."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch

from tabtext.errors import DataError
from tabtext.training.checkpoint_files import read_checkpoint
from tabtext.training.distributed import World, first_process_only, is_first_process, join_world
from tests.processes import SECONDS, Processes, free_port, processes_of

SCRIPT = Path(__file__).with_name("distributed_run.py")
INTERRUPTED = 75

COMPARED = ("plain", "weighted", "micro", "phases")
SHARED = (
    *COMPARED,
    "norm",
    "norm_averaged",
    "nan",
    "budget",
    "one_stops",
    "one_stops_after_an_epoch",
    "watched",
    "occupied",
    "foreign",
    "blind",
    "single",
    "meetings",
    "long_unsaved",
)


@contextmanager
def killed_at_the_end(processes: "list[subprocess.Popen[str]]") -> Iterator[None]:
    """Leave no process behind that waits for another."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of this module keep their files."""
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def runs() -> Iterator[Processes]:
    with processes_of(SCRIPT) as processes:
        yield processes


@pytest.fixture(scope="module")
def alone(directory: Path, runs: Processes) -> dict[str, Any]:
    """What one process gives, with batches twice as large."""
    return runs.run_together(1, directory, *COMPARED, "single")[0].result


@pytest.fixture(scope="module")
def pair(directory: Path, runs: Processes, alone: dict[str, Any]) -> list[dict[str, Any]]:
    """What two processes give."""
    return [ended.result for ended in runs.run_together(2, directory, *SHARED)]


# ---------------------------------------------------------------------------- the same as alone


@pytest.mark.slow
@pytest.mark.parametrize("scenario", COMPARED)
def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(
    scenario: str, alone: dict[str, Any], pair: list[dict[str, Any]]
) -> None:
    expected = alone[scenario]

    for results in pair:
        found = results[scenario]
        for name in ("losses", "norms", "rates", "valid", "mse", "weights"):
            assert found[name] == pytest.approx(expected[name], abs=1e-5, rel=1e-5), name
        assert found["best_epoch"] == expected["best_epoch"]
    assert expected["losses"][0] > 1.2 * expected["losses"][-1]  # it did learn something


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [*COMPARED, "norm", "norm_averaged", "long_unsaved"])
def test_all_processes_end_with_the_same_model_bit_for_bit(
    scenario: str, pair: list[dict[str, Any]]
) -> None:
    first, second = (results[scenario] for results in pair)

    assert first["digest"] == second["digest"]
    for name in ("losses", "norms", "rates", "valid", "mse", "best_epoch"):
        assert first[name] == second[name]


@pytest.mark.slow
def test_the_validation_loss_is_that_of_the_model_that_all_processes_have(
    pair: list[dict[str, Any]],
) -> None:
    # The metric is computed from all rows' outputs at once, the loss from every process' sums.
    for scenario in ("norm", "norm_averaged"):
        assert pair[0][scenario]["valid"] == pytest.approx(pair[0][scenario]["mse"], rel=1e-5)


@pytest.mark.slow
def test_weights_of_rows_make_a_difference(alone: dict[str, Any]) -> None:
    assert alone["weighted"]["weights"] != pytest.approx(alone["plain"]["weights"], abs=1e-4)
    assert alone["micro"]["weights"] == pytest.approx(alone["weighted"]["weights"], abs=1e-5)


@pytest.mark.slow
def test_frozen_groups_thaw_in_their_phases(pair: list[dict[str, Any]]) -> None:
    for results in pair:
        frozen, still_frozen, thawed = results["phases"]["first_weights"]

        assert frozen == still_frozen != thawed


@pytest.mark.slow
def test_dropout_differs_from_process_to_process(pair: list[dict[str, Any]]) -> None:
    assert pair[0]["norm"]["drawn"] != pair[1]["norm"]["drawn"]


# ------------------------------------------------------------------------------ ending together


@pytest.mark.slow
def test_a_bad_row_of_one_process_ends_training_in_all_and_is_named_by_all(
    pair: list[dict[str, Any]],
) -> None:
    for results in pair:
        found = results["nan"]

        assert found["error"] == "DivergenceError"
        assert "epoch 1, step 3" in found["message"]
        assert "First tensor that is not finite: input 0, row 0" in found["message"]
        assert all(isfinite(weight) for weight in found["weights"])
    assert pair[0]["nan"]["digest"] == pair[1]["nan"]["digest"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "steps", "reason"),
    [
        ("budget", None, "max_time=0.5 is over"),
        ("one_stops", 20, "enough"),  # wanted at step 7, agreed on at the next meeting
        ("one_stops_after_an_epoch", 6, "enough"),
    ],
)
def test_processes_end_early_together(
    scenario: str, steps: int | None, reason: str, pair: list[dict[str, Any]]
) -> None:
    first, second = (results[scenario] for results in pair)

    assert first["stopped"] == second["stopped"] == reason
    assert len(first["losses"]) == len(second["losses"])
    assert steps in (None, len(first["losses"]))
    assert first["digest"] == second["digest"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "error", "message"),
    [
        ("occupied", "SaveError", "no checkpoints can be kept in"),
        ("foreign", "DataError", "process 1 has other rows"),
        ("blind", "SaveError", "not every process sees the same checkpoints"),
        ("single", "ParameterError", "processes: 1 then, 2 now"),
    ],
)
def test_what_is_wrong_in_one_process_is_refused_in_all(
    scenario: str, error: str, message: str, pair: list[dict[str, Any]]
) -> None:
    for results in pair:
        assert results[scenario]["error"] == error
        assert message in results[scenario]["message"]


# ---------------------------------------------------------------------------------- checkpoints


@pytest.mark.slow
def test_only_the_first_process_writes_and_tells_the_callbacks_that_write(
    directory: Path, pair: list[dict[str, Any]]
) -> None:
    state = read_checkpoint(directory / "watched" / "step-00000018")
    (told_first, all_first, digest), resumed_first = pair[0]["watched"]["found"]
    (told_second, all_second, _), resumed_second = pair[1]["watched"]["found"]

    assert (told_first, told_second) == (18, 0)
    assert (all_first, all_second) == (180, 180)
    own = ["BestWeights 1", "TrainingLog 1"]  # of every trainer
    assert list(state["callbacks"]) == [*own, "StepsOfTheFirst 1", "Steps 1"]
    # Resumed, every callback has its own state again, though the processes have not the same ones.
    assert resumed_first == [18, 180, digest]
    assert resumed_second == [0, 180, digest]


@pytest.mark.slow
def test_signals_and_kills_of_all_processes_leave_a_run_that_ends_as_if_nothing_had_been(
    directory: Path, runs: Processes, pair: list[dict[str, Any]]
) -> None:
    place = directory / "long"

    # Each hears the signal twice, as from a terminal and from torchrun: still one request.
    for ended in runs.run_together(
        2, directory, "long", "--signal", "TERM", "--at", 33, "--times", 2
    ):
        assert ended.code == INTERRUPTED, ended.errors
        # Step 40 is where they next ask each other.
        assert "(SIGTERM) in epoch 2; a checkpoint of step 40 is in" in ended.errors
        assert "Resume with: once more" in ended.errors
    assert sorted(path.name for path in place.iterdir())[-1] == "step-00000040"
    for ended in runs.run_together(2, directory, "long", "--signal", "KILL", "--at", 71):
        assert ended.code == -signal.SIGKILL, ended.errors
    whole = [read_checkpoint(path) for path in place.glob("step-*")]
    assert {state["run"]["epoch"] * 25 + state["run"]["step_in_epoch"] for state in whole} > {50}
    resumed = runs.run_together(2, directory, "long")

    for rank, ended in enumerate(resumed):
        assert ended.result["long"] == pair[rank]["long_unsaved"]
    first_step = int(resumed[0].told[0].split()[1])
    assert 51 <= first_step <= 61


@pytest.mark.slow
def test_ctrl_c_under_torchrun_leaves_a_checkpoint(
    tmp_path: Path,
) -> None:
    command = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, *command, f"--master-port={free_port()}", SCRIPT, tmp_path, "endless"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to the whole group
    )
    assert process.stdout is not None
    with killed_at_the_end([process]):
        while process.stdout.readline().strip() != "step 33":
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)

    assert "training was interrupted (SIGINT)" in errors
    newest = sorted(tmp_path.glob("endless/step-*"))[-1]
    assert f"a checkpoint of step {int(newest.name[5:])} is in" in errors
    assert read_checkpoint(newest)["run"]["step_in_epoch"] in (0, 5, 10, 15, 20)


# ----------------------------------------------------------------------------------- meetings


@pytest.mark.slow
def test_processes_exchange_what_they_have(pair: list[dict[str, Any]]) -> None:
    first, second = (results["meetings"] for results in pair)

    assert first["world"] == [0, 2, True, False]
    assert second["world"] == [1, 2, False, False]
    for name, value in {
        "shared": [[0.0, 0.0], 0],
        "sum": [2.0, 1.0],
        "first": 0.5,
        "gathered": ["from 0", "from 1"],
    }.items():
        assert first[name] == second[name] == value
    # Counts, as batch norm has them, have no mean.
    assert [first["averaged"], second["averaged"]] == [[[0.5, 0.5], 0], [[0.5, 0.5], 1]]


@pytest.mark.slow
def test_work_of_the_first_process_is_done_once(pair: list[dict[str, Any]]) -> None:
    assert [results["meetings"]["done"] for results in pair] == [[0], []]
    assert [results["meetings"]["is_first_process"] for results in pair] == [True, False]


@pytest.mark.slow
def test_an_error_in_one_process_is_raised_in_all(pair: list[dict[str, Any]]) -> None:
    for rank, results in enumerate(pair):
        fine, second_fails, first_fails, only_first = results["meetings"]["together"]

        assert fine == f"returned {rank}"
        assert second_fails == "DataError('no rows')"
        assert "KeyError('x')" in first_fails
        assert only_first == "DataError('full')"


# ------------------------------------------------------------------------------- a world of one


def test_one_process_is_alone_and_the_first() -> None:
    world = join_world(torch.device("cpu"))

    assert world == World(0, 1)
    assert world.is_alone
    assert world.is_first
    assert is_first_process()


def test_alone_nothing_is_exchanged() -> None:
    world, tensors = World(), [torch.ones(2)]

    world.share_(tensors)
    world.average_(tensors)
    world.wait()

    assert tensors[0].tolist() == [1.0, 1.0]
    assert world.sum(torch.ones(1)).tolist() == [1.0]
    assert (world.first(2.5), world.gather("x")) == (2.5, ["x"])


def test_alone_work_is_done_and_its_errors_are_raised_as_they_are() -> None:
    done: list[str] = []

    def fails() -> None:
        raise DataError("no rows")

    first_process_only(lambda: done.append("first"))

    assert World().together(lambda: 7) == 7
    assert done == ["first"]
    with pytest.raises(DataError, match="no rows"):
        World().together(fails)
    with pytest.raises(DataError, match="no rows"):
        first_process_only(fails)


@pytest.mark.parametrize(
    ("environment", "is_first"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, False),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({"RANK": "1", "WORLD_SIZE": "1"}, True),  # whoever set it, there is no other process
        ({"RANK": "1"}, True),
        ({"WORLD_SIZE": "2"}, True),
        ({}, True),
    ],
)
def test_torchruns_environment_tells_who_writes(
    environment: dict[str, str], is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert is_first_process() is is_first
