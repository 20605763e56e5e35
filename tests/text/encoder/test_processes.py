"""An encoder in several processes: their gradients are averaged, their dropouts are their own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("encoder_run.py")
SECONDS = 180


def launch(size: int, *scenarios: str) -> list[dict[str, Any]]:
    """What the processes gave, started as torchrun would."""
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
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), *scenarios],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        outputs = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(told.splitlines()[-1]) for told, _ in outputs]


@pytest.fixture(scope="module")
def pair() -> list[dict[str, Any]]:
    return launch(2, "plain", "dropped", "gru")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(
    pair: list[dict[str, Any]],
) -> None:
    expected = launch(1, "plain")[0]["plain"]

    for results in pair:
        for name in ("losses", "weights"):
            assert results["plain"][name] == pytest.approx(expected[name], abs=1e-4, rel=1e-4), name
    assert expected["losses"][0] > 1.2 * expected["losses"][-1]  # it did learn something


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["dropped", "gru"])
def test_processes_drop_other_weights_and_keep_the_same(
    scenario: str, pair: list[dict[str, Any]]
) -> None:
    first, second = (results[scenario] for results in pair)

    assert first["digest"] == second["digest"]
    assert first["random"] != second["random"]
