"""Seeds and devices."""

import pytest
import torch

from tabtext.errors import ParameterError
from tabtext.training.devices import choose_device
from tabtext.training.reproducibility import seeded


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)

    torch.manual_seed(5)
    with seeded(0):
        torch.rand(100)

    assert torch.equal(torch.rand(3), expected)


def test_the_state_is_restored_after_an_error() -> None:
    before = torch.get_rng_state()

    def fail() -> None:
        with seeded(0):
            torch.rand(1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert torch.equal(torch.get_rng_state(), before)


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"

    assert choose_device("auto").type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ParameterError, match=name):
        choose_device(name)


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, n_gpus: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_of_a_machine_takes_a_gpu_of_its_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, 4)

    chosen = []
    for rank in range(4):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        chosen.append(choose_device(name))

    assert chosen == [torch.device("cuda", rank) for rank in range(4)]


def test_a_gpu_that_is_named_by_number_is_taken_in_every_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_gpus(monkeypatch, 4)
    monkeypatch.setenv("LOCAL_RANK", "2")

    assert choose_device("cuda:1") == torch.device("cuda", 1)


def test_processes_without_a_gpu_share_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 0)
    monkeypatch.setenv("LOCAL_RANK", "2")

    assert choose_device("auto") == torch.device("cpu")


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    monkeypatch.setenv("LOCAL_RANK", "2")

    with pytest.raises(ParameterError, match="device='cuda:2', but torch sees 2 CUDA devices"):
        choose_device("auto")
