"""Masks have the rates that they promise, and come from torch's generator; the layer uses them."""

import pytest
import torch
from torch import Tensor

from tabtext.dropout import Dropout, dropout_mask, fill_dropout_mask
from tabtext.errors import ParameterError

LEVELS = 65_536


def a_mask(*shape: int, rate: float, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(seed)
    return fill_dropout_mask(torch.empty(shape, dtype=dtype), rate)


def deviation(rate: float, n: int) -> float:
    """Standard deviation of the share of drops among so many."""
    return float((rate * (1 - rate) / n) ** 0.5)


# -------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.1, 0.25, 0.5, 0.65, 0.97])
def test_the_stated_share_is_dropped(rate: float) -> None:
    n = 1_000_003

    share = (a_mask(n, rate=rate) == 0).double().mean().item()

    assert abs(share - rate) < 4 * deviation(rate, n)


@pytest.mark.parametrize("rate", [0.02, 0.25, 0.3, 0.5, 0.9])
def test_what_is_kept_makes_up_for_what_is_dropped(rate: float) -> None:
    mask = a_mask(100_000, rate=rate, dtype=torch.float64)

    realised = round(rate * LEVELS) / LEVELS
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - realised)], rel=1e-15)
    assert realised == pytest.approx(rate, abs=0.5 / LEVELS)


def test_a_rate_of_zero_keeps_everything() -> None:
    assert a_mask(50_000, rate=0.0).unique().tolist() == [1.0]


def test_the_largest_rate_leaves_something() -> None:
    mask = a_mask(2_000_000, rate=1 - 1e-12)

    assert mask.unique().tolist() == [0.0, float(LEVELS)]


def test_every_place_of_a_random_word_has_the_same_chances() -> None:
    mask = a_mask(100_000, 4, rate=0.3)  # four elements come from one 64-bit number

    shares = (mask == 0).double().mean(dim=0)

    assert bool(((shares - 0.3).abs() < 4 * deviation(0.3, 100_000)).all())


def test_elements_are_independent_of_their_neighbours() -> None:
    n = 400_000
    dropped = (a_mask(n, rate=0.3) == 0).double()

    for distance in (1, 2, 3, 4, 2**17):  # the last: the same place of the next piece
        both = (dropped[:-distance] * dropped[distance:]).mean().item()
        assert abs(both - 0.09) < 4 * deviation(0.09, n - distance), distance


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 2**17 - 1, 2**17 + 1])
def test_masks_of_any_length_are_filled(n: int) -> None:
    mask = fill_dropout_mask(torch.full((n,), 7.0), 0.5)

    assert set(mask.tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_masks_have_any_floating_type(dtype: torch.dtype) -> None:
    mask = a_mask(1000, rate=0.5, dtype=dtype)

    assert mask.dtype == dtype
    assert mask.unique().tolist() == [0.0, 2.0]


def test_a_seed_repeats_a_mask() -> None:
    assert torch.equal(a_mask(1000, rate=0.2, seed=3), a_mask(1000, rate=0.2, seed=3))
    assert not torch.equal(a_mask(1000, rate=0.2, seed=3), a_mask(1000, rate=0.2, seed=4))


def test_the_generators_state_goes_on_where_it_was() -> None:
    a_mask(1001, rate=0.2)
    state = torch.get_rng_state()
    expected = [fill_dropout_mask(torch.empty(n), 0.2) for n in (1, 999, 200_000)]

    torch.manual_seed(99)
    torch.set_rng_state(state)

    found = [fill_dropout_mask(torch.empty(n), 0.2) for n in (1, 999, 200_000)]
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_the_number_of_threads_changes_no_mask() -> None:
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = a_mask(500_000, rate=0.2)
        torch.set_num_threads(2)
        together = a_mask(500_000, rate=0.2)
    finally:
        torch.set_num_threads(n_threads)

    assert torch.equal(alone, together)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_rates_out_of_range_are_refused(rate: float) -> None:
    with pytest.raises(ParameterError, match=r"must be in \[0, 1\), however: rate="):
        fill_dropout_mask(torch.empty(3), rate)


def test_a_new_mask_is_made_only_where_something_is_dropped() -> None:
    like = torch.empty(0, dtype=torch.float64)

    mask = dropout_mask((3, 5), 0.5, like=like)

    assert dropout_mask((3, 5), 0.0, like=like) is None
    assert mask is not None
    assert (mask.shape, mask.dtype) == ((3, 5), torch.float64)


# -------------------------------------------------------------------------------------- layer


def test_the_layer_multiplies_features_and_gradients_by_one_mask() -> None:
    dropout = Dropout(0.4)
    features = torch.randn(50, 7, dtype=torch.float64, requires_grad=True)

    torch.manual_seed(3)
    dropped = dropout(features)
    dropped.sum().backward()

    mask = a_mask(50, 7, rate=0.4, seed=3, dtype=torch.float64)
    assert torch.equal(dropped, features * mask)
    assert features.grad is not None
    assert torch.equal(features.grad, mask)


def test_the_layer_does_nothing_in_evaluation_or_without_a_rate() -> None:
    features = torch.randn(5, 3)
    state = torch.get_rng_state()

    assert Dropout(0.5).eval()(features) is features
    assert Dropout(0.0)(features) is features
    assert torch.equal(torch.get_rng_state(), state)


def test_a_factor_lowers_the_rate() -> None:
    dropout = Dropout(0.5)
    dropout.factor = 0.5

    share = (dropout(torch.ones(200_000)) == 0).double().mean().item()

    assert abs(share - 0.25) < 4 * deviation(0.25, 200_000)


def test_the_layer_takes_features_in_any_memory_order() -> None:
    features = torch.ones(40, 30).t()

    assert set(Dropout(0.5)(features).unique().tolist()) == {0.0, 2.0}


def test_the_compiled_layer_drops_as_much() -> None:
    compiled = torch.compile(Dropout(0.25), fullgraph=True, backend="eager")

    share = (compiled(torch.ones(200_000)) == 0).double().mean().item()

    assert abs(share - 0.25) < 4 * deviation(0.25, 200_000)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_the_layer_refuses_rates_out_of_range(rate: float) -> None:
    with pytest.raises(ParameterError, match=r"must be in \[0, 1\), however: rate="):
        Dropout(rate)
