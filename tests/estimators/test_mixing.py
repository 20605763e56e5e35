"""Weights by which models vote."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from tabtext.estimators.linear_members import LinearFitting
from tabtext.estimators.mixing import mixed, mixing_weights
from tabtext.estimators.samples import EncodedSample
from tabtext.text.documents import Documents
from tabtext.training.losses import make_loss
from tabtext.training.targets import ClassificationTarget

LOSS = make_loss("cross_entropy")
CODES = torch.arange(600) % 2


def noisy(strength: float, seed: int) -> torch.Tensor:
    """Logits with so much truth in them."""
    generator = torch.Generator().manual_seed(seed)
    signal = one_hot(CODES).double() * strength
    return signal + torch.randn(len(CODES), 2, generator=generator, dtype=torch.float64)


def test_the_mixture_is_no_worse_than_any_of_its_models() -> None:
    raws = [noisy(1.0, 0), noisy(2.0, 1), noisy(0.0, 2)]

    weights = mixing_weights(raws, CODES, LOSS)

    losses = [float(LOSS(raw, CODES).mean()) for raw in raws]
    assert float(LOSS(mixed(raws, weights), CODES).mean()) < min(losses)
    assert weights[1] > weights[0] > weights[2] >= 0


def test_weights_are_at_a_minimum() -> None:
    raws = [noisy(1.0, 0), noisy(1.5, 1)]

    def total(weights: list[float]) -> float:
        prior = sum((weight - 0.5) ** 2 for weight in weights)
        return float(LOSS(mixed(raws, weights), CODES).sum()) + 10 * prior

    found = mixing_weights(raws, CODES, LOSS)

    for place in range(2):
        for step in (-0.01, 0.01):
            moved = [w + step * (i == place) for i, w in enumerate(found)]
            assert total(moved) >= total(found) - 1e-6


def test_few_rows_move_the_weights_little() -> None:
    few = slice(0, 4)

    weights = mixing_weights([noisy(3.0, 0)[few], noisy(0.0, 1)[few]], CODES[few], LOSS)

    assert weights == pytest.approx([0.5, 0.5], abs=0.2)


def test_rows_count_by_their_weight() -> None:
    first_half = (torch.arange(600) < 300).double()
    good_there = noisy(2.0, 0) * first_half[:, None] + noisy(0.0, 1) * (1 - first_half)[:, None]
    raws = [good_there, noisy(0.5, 2)]

    plain = mixing_weights(raws, CODES, LOSS)
    weighted = mixing_weights(raws, CODES, LOSS, first_half)

    assert weighted[0] > plain[0]


@pytest.mark.parametrize("seed", range(5))
def test_even_classes_tell_nothing_against_models_that_have_not_seen_a_row(seed: int) -> None:
    codes = np.arange(20) % 2
    rows = EncodedSample(Documents.of([[5, 6]] * 20), codes, codes, None)  # all texts are alike
    target = ClassificationTarget("label", ("blame", "praise"))
    fitting = LinearFitting(target=target, longest=2, vocabulary_size=9, vectors=None)

    for raw in fitting.out_of_fold(rows, seed=seed):
        torch.testing.assert_close(raw, torch.zeros(20, 2), atol=1e-5, rtol=0)
