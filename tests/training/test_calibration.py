"""Calibration error by hand, and temperatures by what they must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.errors import DataError
from tabtext.training.calibration import (
    LARGEST_TEMPERATURE,
    SMALLEST_TEMPERATURE,
    expected_calibration_error,
    fit_temperature,
    with_temperature,
)

GENERATOR = np.random.default_rng(0)


def logits(n_rows: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw outputs whose probabilities are true, and classes drawn by them."""
    generator = np.random.default_rng(seed)
    raw = generator.normal(0, 2, (n_rows, n_classes))
    shares = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    truth = (shares.cumsum(axis=1) < generator.random((n_rows, 1))).sum(axis=1)
    return raw, np.minimum(truth, n_classes - 1)


# -- calibration error -----------------------------------------------------------------------


def test_the_error_is_the_weighted_mean_over_bins() -> None:
    stated = np.array([0.1, 0.2, 0.3, 0.9])
    truth = np.array([0, 1, 0, 1])

    # Two bins of two rows: |0.15 - 0.5| and |0.6 - 0.5|.
    assert expected_calibration_error(truth, stated, n_bins=2) == pytest.approx(0.225)


def test_shares_that_come_true_have_no_error() -> None:
    stated = np.repeat([0.25, 0.5], 4)
    truth = np.array([1, 0, 0, 0, 1, 1, 0, 0])

    assert expected_calibration_error(truth, stated) == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_the_order_of_rows_does_not_matter(seed: int, n_bins: int) -> None:
    generator = np.random.default_rng(seed)
    stated = generator.random(50).round(1)  # rounded: ties
    truth, weight = generator.integers(0, 2, 50), generator.integers(0, 4, 50) + 1.0
    order = generator.permutation(50)

    one = expected_calibration_error(truth, stated, weight, n_bins)
    other = expected_calibration_error(truth[order], stated[order], weight[order], n_bins)

    assert one == pytest.approx(other, abs=1e-12)
    assert 0 <= one <= 1


def test_a_weight_of_two_is_a_row_given_twice() -> None:
    stated, truth = GENERATOR.random(40), GENERATOR.integers(0, 2, 40)
    weight = GENERATOR.integers(0, 3, 40)

    weighted = expected_calibration_error(truth, stated, weight)
    repeated = expected_calibration_error(np.repeat(truth, weight), np.repeat(stated, weight))

    assert weighted == pytest.approx(repeated)


def test_of_two_classes_the_second_counts_and_of_three_the_most_probable() -> None:
    truth, yes = GENERATOR.integers(0, 2, 60), GENERATOR.random(60)
    three = GENERATOR.dirichlet(np.ones(3), 60)

    two_columns = expected_calibration_error(truth, np.stack([1 - yes, yes], axis=1))
    top = expected_calibration_error(three.argmax(axis=1) == truth, three.max(axis=1))

    assert two_columns == expected_calibration_error(truth, yes)
    assert expected_calibration_error(truth, three) == top


def test_labels_count_alike() -> None:
    truth, stated = GENERATOR.integers(0, 2, (30, 2)), GENERATOR.random((30, 2))
    weight = GENERATOR.random(30)

    flat = expected_calibration_error(truth.ravel(), stated.ravel(), np.repeat(weight, 2))

    assert expected_calibration_error(truth, stated, weight) == pytest.approx(flat)


def test_without_weight_there_is_no_error_to_tell() -> None:
    assert np.isnan(expected_calibration_error(np.array([1]), np.array([0.5]), np.zeros(1)))
    assert np.isnan(expected_calibration_error(np.empty(0), np.empty(0)))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(3, 2\) and truth of shape \(2,\)"):
        expected_calibration_error(np.zeros(2), np.zeros((3, 2)))


# -- temperature -----------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_logits_that_are_too_large_by_a_factor_get_that_temperature(
    factor: float, n_classes: int
) -> None:
    raw, truth = logits(20_000, n_classes)

    assert fit_temperature(factor * raw, truth) == pytest.approx(factor, rel=0.03)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3))
def test_the_temperature_grows_as_the_logits_do(seed: int, factor: float) -> None:
    raw, truth = logits(60, 3, seed)

    expected = factor * fit_temperature(raw, truth)
    expected = np.clip(expected, SMALLEST_TEMPERATURE, LARGEST_TEMPERATURE)

    assert fit_temperature(factor * raw, truth) == pytest.approx(expected, rel=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_weights_count_relative_to_each_other_and_zeros_not_at_all(seed: int) -> None:
    raw, truth = logits(80, 3, seed)
    weight = np.random.default_rng(seed).integers(0, 3, 80) + np.eye(80)[0]

    found = fit_temperature(raw, truth, weight)

    assert fit_temperature(raw, truth, 7 * weight) == pytest.approx(found, rel=1e-4)
    some = weight > 0
    assert fit_temperature(raw[some], truth[some], weight[some]) == pytest.approx(found, rel=1e-4)


def test_labels_are_classes_of_yes_and_no() -> None:
    raw, truth = GENERATOR.normal(0, 3, (200, 2)), GENERATOR.integers(0, 2, (200, 2))
    classes = np.stack([np.zeros(400), raw.ravel()], axis=1)

    found = fit_temperature(raw, truth)

    assert found == pytest.approx(fit_temperature(classes, truth.ravel()), rel=1e-4)


@pytest.mark.parametrize("n_rows", [100, 10_000])
def test_rows_without_an_error_promise_no_more_than_one_in_so_many(n_rows: int) -> None:
    truth = np.arange(n_rows) % 2
    raw = np.where(np.eye(2)[truth] == 1, 3.0, -3.0)

    temperature = fit_temperature(raw, truth)

    wrong = 1 / (1 + np.exp(6.0 / temperature))
    assert wrong == pytest.approx(0.5 / (n_rows + 1), rel=0.01)


def test_temperatures_are_bounded() -> None:
    truth = np.arange(100) % 2
    tiny = np.where(np.eye(2)[truth] == 1, 1e-6, -1e-6)

    assert fit_temperature(tiny, truth) == pytest.approx(SMALLEST_TEMPERATURE, rel=1e-4)
    assert fit_temperature(-1e6 * tiny, truth) == pytest.approx(LARGEST_TEMPERATURE, rel=1e-4)


@pytest.mark.parametrize(
    ("raw", "weight"), [(np.array([[np.nan, 0.0]]), None), (np.zeros((1, 2)), np.zeros(1))]
)
def test_what_gives_no_temperature_is_refused(raw: np.ndarray, weight: np.ndarray | None) -> None:
    with pytest.raises(DataError, match="finite raw outputs"):
        fit_temperature(raw, np.array([1]), weight)


@given(st.floats(0.001, 0.999), st.floats(0.1, 10))
def test_one_over_the_temperature_takes_it_back(probability: float, temperature: float) -> None:
    once = with_temperature(np.array([probability]), temperature)

    assert with_temperature(once, 1 / temperature)[0] == pytest.approx(probability, abs=1e-6)
