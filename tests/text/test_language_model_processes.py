"""Language models that are trained in processes of their own: killed, resumed, and in pairs."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("language_model_run.py")

pytestmark = pytest.mark.slow


@dataclass
class Ended:
    """How a process ended, and what it told."""

    code: int
    told: list[str]
    errors: str

    @property
    def result(self) -> dict[str, Any]:
        assert self.code == 0, self.errors
        found: dict[str, Any] = json.loads(self.told[-1])
        return found


def train_in_processes(size: int, *arguments: object) -> list[Ended]:
    """Train in so many processes that belong together."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(size),
    }
    with ExitStack() as stack:
        processes = []
        for rank in range(size):
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *map(str, arguments)],
                env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        outputs = [process.communicate(timeout=180) for process in processes]
    return [
        Ended(process.returncode, told.splitlines(), errors)
        for process, (told, errors) in zip(processes, outputs, strict=True)
    ]


def test_a_run_killed_in_the_middle_of_epochs_ends_as_if_it_never_was(tmp_path: Path) -> None:
    (undisturbed,) = train_in_processes(1)

    for step in (8, 45):
        (killed,) = train_in_processes(1, "--checkpoints", tmp_path, "--at", step)
        assert killed.code == -signal.SIGKILL, killed.errors
        assert killed.told[-1] == f"step {step}"
    (resumed,) = train_in_processes(1, "--checkpoints", tmp_path)

    assert 39 < int(resumed.told[0].split()[1]) <= 45  # it went on where its last checkpoint was
    assert resumed.result == undisturbed.result


def test_two_processes_learn_what_one_learns_from_twice_as_many_streams() -> None:
    (alone,) = train_in_processes(1, "--dropout-scale", 0)
    pair = train_in_processes(2, "--dropout-scale", 0)

    for ended in pair:
        for name in ("losses", "weights"):
            assert ended.result[name] == pytest.approx(alone.result[name], abs=1e-4), name
    assert pair[0].result["digest"] == pair[1].result["digest"]
    assert pair[0].result["carried"] != pair[1].result["carried"]
    losses = alone.result["losses"]
    assert losses[-1] < losses[0] - 0.3  # it did learn something


def test_two_killed_processes_find_what_each_of_them_carried(tmp_path: Path) -> None:
    undisturbed = train_in_processes(2)

    for ended in train_in_processes(2, "--checkpoints", tmp_path, "--at", 55):
        assert ended.code == -signal.SIGKILL, ended.errors
    resumed = train_in_processes(2, "--checkpoints", tmp_path)

    # They look for what is due in every 20th step, and 30 make an epoch.
    assert [ended.told[0] for ended in resumed] == ["step 41", "step 41"]
    assert [ended.result for ended in resumed] == [ended.result for ended in undisturbed]
