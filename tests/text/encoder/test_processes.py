"""An encoder in several processes: their gradients are averaged, their dropouts are their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Processes, processes_of


@pytest.fixture(scope="module")
def runs() -> Iterator[Processes]:
    with processes_of(Path(__file__).with_name("encoder_run.py")) as processes:
        yield processes


@pytest.fixture(scope="module")
def pair(runs: Processes) -> list[dict[str, Any]]:
    return [ended.result for ended in runs.run_together(2, "plain", "dropped", "gru")]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(
    runs: Processes,
    pair: list[dict[str, Any]],
) -> None:
    expected = runs.run("plain").result["plain"]

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
