"""Tasks side by side: each has a core, all end, and what goes wrong is said."""

import os
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from tabtext.text.softmax import side_by_side as module
from tabtext.text.softmax.side_by_side import on_one_core, side_by_side


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
    monkeypatch.setattr(module, "_helper", module._Helper())
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


@pytest.mark.usefixtures("three_cores")
def test_a_thread_has_one_helper_with_one_core() -> None:
    seen = [on_one_core(lambda: (threading.get_ident(), torch.get_num_threads())) for _ in "ab"]

    assert seen[0] == seen[1]
    assert seen[0][0] != threading.get_ident()
    assert seen[0][1] == 1
    assert torch.get_num_threads() == 3


def test_a_helper_may_share_out_tasks() -> None:
    seen: list[int] = []

    on_one_core(lambda: side_by_side([lambda: seen.append(torch.get_num_threads())] * 3))

    assert seen == [1] * 3


def test_what_goes_wrong_in_a_helper_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        on_one_core(lambda: 1 / 0)


def test_a_helper_ends_with_the_thread_that_it_helps() -> None:
    helpers: list[threading.Thread] = []
    thread = threading.Thread(target=lambda: helpers.append(on_one_core(threading.current_thread)))
    thread.start()
    thread.join()

    helpers[0].join(timeout=30)

    assert not helpers[0].is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    on_one_core(lambda: side_by_side([lambda: None] * 2))

    child = os.fork()
    if child == 0:
        on_one_core(lambda: side_by_side([lambda: None] * 2))
        os._exit(0)

    deadline = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
            pytest.fail("the forked process waits for threads that it does not have")
        time.sleep(0.01)
