"""Bins that a column gets by what they tell of targets that they have not seen."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.tabular.bin_choice import chosen_bin_edges
from tabtext.tabular.bins import quantile_bin_edges, tree_bin_edges

GENERATOR = np.random.default_rng(0)
ROWS = 3000
STEP = GENERATOR.normal(size=ROWS).astype(np.float32)
WAVE = GENERATOR.uniform(0, 60, ROWS).astype(np.float32)
NOISE = GENERATOR.normal(size=ROWS).astype(np.float32)
BOTH = np.stack([STEP, WAVE, NOISE], axis=1)
CHANCE = GENERATOR.random(ROWS)
CLASSES = (0.1 + 0.8 * (STEP > 1.0) > CHANCE).astype(np.int64)


def test_a_threshold_gets_a_tree_and_noise_gets_quantiles() -> None:
    chosen = chosen_bin_edges(BOTH, CLASSES, n_bins=16)

    tree = tree_bin_edges(BOTH, CLASSES, n_bins=16)
    quantiles = quantile_bin_edges(BOTH, n_bins=16)
    np.testing.assert_array_equal(chosen[0], tree[0])
    np.testing.assert_array_equal(chosen[2], quantiles[2])


@pytest.mark.parametrize("target", [CLASSES, CLASSES.astype(bool), CLASSES - 5, 7 * CLASSES])
def test_what_classes_are_called_does_not_matter(target: Any) -> None:
    for one, other in zip(
        chosen_bin_edges(BOTH, target, n_bins=16),
        chosen_bin_edges(BOTH, CLASSES, n_bins=16),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_two_quantities_are_judged_together() -> None:
    target = np.stack([np.sin(WAVE), (STEP > 1.0) * 3.0], axis=1)

    chosen = chosen_bin_edges(BOTH, target, n_bins=16)

    assert len(chosen) == 3
    np.testing.assert_array_equal(chosen[0], tree_bin_edges(BOTH, target, n_bins=16)[0])


def test_rows_of_no_weight_have_no_say() -> None:
    weight = (np.arange(ROWS) < 2000).astype(np.float32)
    other = CLASSES.copy()
    other[2000:] = 1 - other[2000:]

    for one, two in zip(
        chosen_bin_edges(BOTH, CLASSES, n_bins=16, weight=weight),
        chosen_bin_edges(BOTH, other, n_bins=16, weight=weight),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_the_unit_of_the_weights_does_not_matter() -> None:
    weight = GENERATOR.random(ROWS).astype(np.float32) + 0.5

    for one, other in zip(
        chosen_bin_edges(BOTH, CLASSES, n_bins=16, weight=weight),
        chosen_bin_edges(BOTH, CLASSES, n_bins=16, weight=weight / 4096),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_few_rows_get_quantiles() -> None:
    for one, other in zip(
        chosen_bin_edges(BOTH[:200], CLASSES[:200], n_bins=16),
        quantile_bin_edges(BOTH[:200], n_bins=16),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@given(seed=st.integers(0, 100), n_classes=st.integers(1, 5), n_rows=st.integers(250, 400))
@settings(deadline=None, max_examples=20)
def test_every_column_has_the_edges_of_one_or_the_other(
    seed: int, n_classes: int, n_rows: int
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.choice([0.0, 1.0, 2.5, 9.0], (n_rows, 2)).astype(np.float32)
    target = generator.integers(0, n_classes, n_rows)

    chosen = chosen_bin_edges(values, target, n_bins=8, seed=seed)
    again = chosen_bin_edges(values, target, n_bins=8, seed=seed)

    tree = tree_bin_edges(values, target, n_bins=8, seed=seed)
    quantiles = quantile_bin_edges(values, n_bins=8)
    for found, same, one, other in zip(chosen, again, tree, quantiles, strict=True):
        np.testing.assert_array_equal(found, same)
        assert np.array_equal(found, one) or np.array_equal(found, other)
