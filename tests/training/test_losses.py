"""Losses per row, and their weighted mean."""

import torch
from torch.nn import functional

from tabtext.training.losses import (
    LOSSES,
    absolute_error,
    binary_cross_entropy,
    cross_entropy,
    huber,
    squared_error,
    weighted_mean,
)


def test_every_loss_gives_one_value_per_row() -> None:
    raw = torch.randn(5, 3)
    targets = {"cross_entropy": torch.tensor([0, 1, 2, 0, 1])}

    for name, loss in LOSSES.items():
        assert loss(raw, targets.get(name, torch.rand(5, 3))).shape == (5,)


def test_means_over_rows_equal_torchs_own_losses() -> None:
    raw, target = torch.randn(6, 3), torch.rand(6, 3)
    classes = torch.tensor([0, 1, 2, 2, 1, 0])

    torch.testing.assert_close(
        cross_entropy(raw, classes).mean(), functional.cross_entropy(raw, classes)
    )
    torch.testing.assert_close(
        binary_cross_entropy(raw, target).mean(),
        functional.binary_cross_entropy_with_logits(raw, target),
    )
    torch.testing.assert_close(squared_error(raw, target).mean(), functional.mse_loss(raw, target))
    torch.testing.assert_close(absolute_error(raw, target).mean(), functional.l1_loss(raw, target))
    torch.testing.assert_close(huber(raw, target).mean(), functional.huber_loss(raw, target))


def test_a_weight_of_two_counts_like_the_row_twice() -> None:
    losses = torch.tensor([1.0, 5.0, 3.0])

    weighted = weighted_mean(losses, torch.tensor([1.0, 2.0, 0.0]))

    torch.testing.assert_close(weighted, torch.tensor([1.0, 5.0, 5.0]).mean())


def test_a_batch_without_any_weight_has_loss_zero_and_not_nan() -> None:
    assert weighted_mean(torch.tensor([1.0, 2.0]), torch.zeros(2)).item() == 0.0
