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
