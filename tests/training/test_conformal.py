"""Conformal intervals: order statistics by hand, and coverage by simulation."""

from collections import Counter
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.errors import ArtifactError, DataError, ParameterError
from tabtext.training.conformal import (
    CalibrationPairs,
    _group_starts,
    conformal_bounds,
)


def pairs_of(errors: np.ndarray, predicted: np.ndarray | None = None) -> CalibrationPairs:
    """Pairs of one target with these errors."""
    known = np.zeros(len(errors)) if predicted is None else predicted
    return CalibrationPairs(known[:, None], (known + errors)[:, None])


def bounds_of(pairs: CalibrationPairs, coverage: float, predicted: float = 0.0) -> list[float]:
    return conformal_bounds(np.array([[predicted]]), pairs, coverage)[0, 0].tolist()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(19, 80), st.sampled_from([0.5, 0.8, 0.9]))
def test_few_rows_are_one_group_whose_order_statistics_are_the_bounds(
    seed: int, n_rows: int, coverage: float
) -> None:
    errors = np.random.default_rng(seed).normal(size=n_rows).round(1)  # rounded: ties
    place = ceil(round((n_rows + 1) * (1 + coverage) / 2, 9))
    ordered = np.sort(errors)

    assert bounds_of(pairs_of(errors), coverage) == [ordered[n_rows - place], ordered[place - 1]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equal_weights_are_no_weights(seed: int) -> None:
    generator = np.random.default_rng(seed)
    predicted, errors = generator.normal(size=(2, 300))
    plain = pairs_of(errors, predicted)
    weighted = CalibrationPairs(plain.predicted, plain.truth, np.full(300, 0.3))
    new = generator.normal(size=(20, 1))

    for coverage in (0.5, 0.8, 0.9):
        np.testing.assert_array_equal(
            conformal_bounds(new, weighted, coverage), conformal_bounds(new, plain, coverage)
        )


def test_heavy_rows_pull_the_bounds() -> None:
    errors = np.arange(1.0, 101.0)
    plain = pairs_of(errors)
    heavy = CalibrationPairs(plain.predicted, plain.truth, np.where(errors > 50, 1.0, 0.1))

    # Weights of 55 and a new row's 0.55: 95 % are the 50 heavy rows and 28 light ones, 50 to 23.
    assert bounds_of(heavy, 0.9)[0] == 23.0
    assert bounds_of(plain, 0.9)[0] == 5.0


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.85), st.floats(0.01, 0.1))
def test_more_coverage_needs_wider_intervals_within_the_same_groups(
    seed: int, coverage: float, more: float
) -> None:
    errors = np.random.default_rng(seed).normal(size=60)

    narrow, wide = (bounds_of(pairs_of(errors), share) for share in (coverage, coverage + more))

    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@pytest.mark.parametrize("coverage", [0.5, 0.9])
@pytest.mark.parametrize("n_rows", [19, 39, 60])
def test_intervals_hold_new_rows_as_often_as_asked(coverage: float, n_rows: int) -> None:
    generator = np.random.default_rng(0)
    n_trials, held = 4000, 0
    for _ in range(n_trials):
        errors = generator.exponential(size=n_rows + 1)  # skewed
        low, high = bounds_of(pairs_of(errors[:-1]), coverage)
        held += low <= errors[-1] <= high

    # Lei et al.: at least as asked, and with two bounds at most two ranks more.
    margin = 3 * np.sqrt(coverage * (1 - coverage) / n_trials)
    assert coverage - margin <= held / n_trials <= coverage + 2 / (n_rows + 1) + margin


def test_intervals_hold_as_often_as_asked_where_errors_grow_with_the_prediction() -> None:
    generator = np.random.default_rng(1)
    predicted = generator.uniform(1, 10, 24_000)
    errors = generator.normal(size=24_000) * predicted
    pairs = pairs_of(errors[:4000], predicted[:4000])

    bounds = conformal_bounds(predicted[4000:, None], pairs, 0.9)[:, 0]

    truth = (predicted + errors)[4000:]
    held = (truth >= bounds[:, 0]) & (truth <= bounds[:, 1])
    assert held.mean() == pytest.approx(0.9, abs=0.015)
    for low in (1, 4, 7):
        some = (predicted[4000:] >= low) & (predicted[4000:] < low + 3)
        assert held[some].mean() == pytest.approx(0.9, abs=0.03)
    width = bounds[:, 1] - bounds[:, 0]
    assert width[predicted[4000:] > 9].mean() > 4 * width[predicted[4000:] < 2].mean()


@settings(deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=300),
    st.integers(1, 40),
)
def test_groups_have_enough_rows_and_equal_predictions_share_one(
    values: list[int], smallest: int
) -> None:
    known = np.array(values, float)

    starts = _group_starts(known, smallest)

    sizes = Counter(np.searchsorted(starts, known, side="right").tolist())
    assert len(starts) <= 19
    assert len(sizes) == len(starts) + 1  # none is empty
    assert all(size >= min(smallest, len(known)) for size in sizes.values())


def test_each_target_has_intervals_of_its_own() -> None:
    errors = np.random.default_rng(0).normal(size=(50, 2)) * [1.0, 100.0]
    pairs = CalibrationPairs(np.zeros((50, 2)), errors)

    both = conformal_bounds(np.zeros((3, 2)), pairs, 0.8)

    assert both.shape == (3, 2, 2)
    for target in range(2):
        assert both[0, target].tolist() == bounds_of(pairs_of(errors[:, target]), 0.8)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 90, float("nan"), "0.9", None])
def test_a_coverage_that_is_no_share_is_refused(coverage: object) -> None:
    with pytest.raises(ParameterError, match="between 0 and 1"):
        conformal_bounds(np.zeros((1, 1)), pairs_of(np.zeros(50)), coverage)  # type: ignore[arg-type]


def test_too_few_rows_say_what_they_allow() -> None:
    enough, too_few = pairs_of(np.arange(19.0)), pairs_of(np.arange(18.0))

    assert bounds_of(enough, 0.9) == [0.0, 18.0]
    with pytest.raises(DataError, match=r"at least 19 .* has 18; ask for at most 0\.89, or fit"):
        bounds_of(too_few, 0.9)
    assert bounds_of(too_few, 0.89) == [0.0, 17.0]
    with pytest.raises(DataError, match="has 0; fit with more"):
        bounds_of(pairs_of(np.empty(0)), 0.9)


def test_of_many_rows_some_are_drawn_by_the_seed_and_those_without_weight_are_not() -> None:
    values = np.arange(1000.0)[:, None]
    weight = np.where(np.arange(1000) < 500, 0.0, 2.0).astype(np.float32)

    one, same, other = (
        CalibrationPairs.draw(values, values + 1, weight, seed=seed, max_rows=100)
        for seed in (0, 0, 1)
    )

    assert len(one) == 100
    assert one.predicted.min() >= 500
    np.testing.assert_array_equal(one.predicted, same.predicted)
    np.testing.assert_array_equal(one.truth, one.predicted + 1)
    assert (one.predicted != other.predicted).any()
    assert len(CalibrationPairs.draw(values, values, None, seed=0)) == 1000


@pytest.mark.parametrize("weight", [None, np.ones(5)])
def test_pairs_come_back_from_tensors(weight: np.ndarray | None) -> None:
    pairs = CalibrationPairs(np.arange(10.0).reshape(5, 2), np.ones((5, 2)), weight)

    again = CalibrationPairs.from_tensors(pairs.to_tensors(), n_targets=2)

    np.testing.assert_array_equal(again.predicted, pairs.predicted)
    np.testing.assert_array_equal(again.truth, pairs.truth)
    assert (again.weight is None) == (weight is None)


PAIR = torch.ones(3, 1, dtype=torch.float64)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"predicted": PAIR},
        {"predicted": PAIR, "truth": PAIR[:2]},
        {"predicted": PAIR, "truth": PAIR.float()},
        {"predicted": PAIR, "truth": PAIR * torch.nan},
        {"predicted": PAIR, "truth": PAIR, "weight": PAIR},
        {"predicted": PAIR, "truth": PAIR, "weight": PAIR[:, 0] * 0},
        {"predicted": PAIR, "truth": PAIR, "more": PAIR},
        {"predicted": torch.ones(3, 2).double(), "truth": torch.ones(3, 2).double()},
    ],
)
def test_damaged_tensors_are_refused(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ArtifactError, match="calibration rows of the saved model are damaged"):
        CalibrationPairs.from_tensors(tensors, n_targets=1)
