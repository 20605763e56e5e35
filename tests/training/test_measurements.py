"""What steps measured: read when it is at hand, and the same whenever it is read."""

from math import inf, nan

import pytest
import torch
from torch import Tensor

from tabtext.training.distributed import World
from tabtext.training.measurements import Measurements

STEPS = [(0.5, 2.0, 0.1), (0.25, 1.0, 0.2), (0.125, 4.0, 0.3)]


def measured(*, on_device: bool, read: bool = True) -> Measurements:
    """The steps above, as floats or as the tensors that a GPU computes."""
    found = Measurements(World())
    for loss, norm, rate in STEPS:
        if on_device:
            found.add(torch.tensor(loss), torch.tensor(norm), rate)
        else:
            found.add(loss, norm, rate)
    if read:
        found.read()
    return found


def noted(loss: float | Tensor) -> Measurements:
    found = Measurements(World())
    found.add(loss, loss, 0.1)
    return found


@pytest.mark.parametrize("on_device", [False, True])
def test_steps_are_read_as_numbers_in_their_order(on_device: bool) -> None:
    found = measured(on_device=on_device)

    assert list(zip(found.losses, found.norms, found.rates, strict=True)) == STEPS


@pytest.mark.parametrize("on_device", [False, True])
def test_reading_twice_counts_nothing_twice(on_device: bool) -> None:
    found = measured(on_device=on_device)
    found.add(torch.tensor(9.0) if on_device else 9.0, 8.0, 0.4)
    found.read()

    found.read()

    assert found.losses == [0.5, 0.25, 0.125, 9.0]


def test_reading_nothing_gives_nothing() -> None:
    found = Measurements(World())

    found.read()

    assert found.losses == found.norms == found.rates == []
    assert found.latest is None
    assert found.first_bad_step() is None


def test_the_latest_loss_is_the_newest_that_needs_no_waiting() -> None:
    assert measured(on_device=False, read=False).latest == 0.125
    assert measured(on_device=True, read=False).latest is None
    assert measured(on_device=True).latest == 0.125


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_the_first_bad_step_is_that_of_a_loss_or_of_a_norm(bad: float) -> None:
    found = Measurements(World())
    for loss, norm in ((1.0, 1.0), (1.0, bad), (bad, 1.0)):
        found.add(loss, norm, 0.1)
    found.read()

    assert found.first_bad_step() == 1
    assert found.first_bad_step(norms_too=False) == 2


def test_where_all_is_finite_no_step_is_bad() -> None:
    assert measured(on_device=False).first_bad_step() is None


@pytest.mark.parametrize("on_device", [False, True])
def test_an_epoch_goes_on_from_its_saved_state(on_device: bool) -> None:
    saved = measured(on_device=on_device, read=False).state()
    found = Measurements(World())

    found.load_state(saved)
    found.add(1.0, 1.0, 0.4)
    found.read()

    assert found.losses == [0.5, 0.25, 0.125, 1.0]
    assert found.rates == [0.1, 0.2, 0.3, 0.4]


def test_a_saved_state_does_not_change_with_later_steps() -> None:
    found = measured(on_device=False)
    saved = found.state()

    found.add(9.0, 9.0, 9.0)
    found.read()
    found.clear()

    assert saved == {
        "losses": [0.5, 0.25, 0.125],
        "norms": [2.0, 1.0, 4.0],
        "rates": [0.1, 0.2, 0.3],
    }


def test_a_new_epoch_begins_empty() -> None:
    found = measured(on_device=False)

    found.clear()

    assert found.losses == found.norms == found.rates == []


def test_a_loss_on_the_device_has_single_precision_and_one_at_hand_double() -> None:
    third = 1 / 3
    at_hand, on_device = noted(third), noted(torch.tensor(third))

    at_hand.read()
    on_device.read()

    assert at_hand.losses == [third]
    assert on_device.losses == [torch.tensor(third).item()]


def test_losses_of_several_processes_add_up_and_norms_are_common() -> None:
    class Pair(World):
        """This process and one that measured the same."""

        def sum(self, values: Tensor) -> Tensor:
            return values * 2

    found = Measurements(Pair(rank=0, size=2))
    found.add(0.5, 2.0, 0.1)

    found.read()

    assert (found.losses, found.norms, found.rates) == ([1.0], [2.0], [0.1])
