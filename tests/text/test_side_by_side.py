"""Tasks side by side: each has a core, all end, and what goes wrong is said."""

import os
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from tabtext.text import side_by_side as module
from tabtext.text.side_by_side import side_by_side


def test_all_tasks_run_at_the_same_time() -> None:
    all_here = threading.Barrier(4, timeout=30)

    side_by_side([all_here.wait] * 4)

    assert not all_here.broken


def test_a_single_task_runs_in_the_callers_thread() -> None:
    seen: list[int] = []

    side_by_side([lambda: seen.append(threading.get_ident())])

    assert seen == [threading.get_ident()]


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let torch use three cores, and start threads anew."""
    monkeypatch.setattr(module, "_pool", module._Pool())
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_cores")
def test_every_task_has_one_core_and_the_caller_keeps_its_own() -> None:
    seen: list[int] = []

    side_by_side([lambda: seen.append(torch.get_num_threads())] * 5)

    assert seen == [1] * 5
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_cores")
def test_threads_to_come_have_as_many_cores_as_ever() -> None:
    side_by_side([lambda: None] * 2)
    seen: list[int] = []

    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()

    assert seen == [3]


def test_what_goes_wrong_is_raised_when_all_have_ended() -> None:
    ended: list[bool] = []

    def fail() -> None:
        raise ValueError("no")

    def end_late() -> None:
        time.sleep(0.05)
        ended.append(True)

    with pytest.raises(ValueError, match="no"):
        side_by_side([fail, end_late])

    assert ended


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    side_by_side([lambda: None] * 2)

    child = os.fork()
    if child == 0:
        side_by_side([lambda: None] * 2)
        os._exit(0)

    deadline = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
            pytest.fail("the forked process waits for threads that it does not have")
        time.sleep(0.01)
