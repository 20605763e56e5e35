"""Losses per row, their weighted mean, and what a model that minimizes them learns."""

import pickle

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tabtext.errors import ParameterError
from tabtext.training.losses import (
    LOSSES,
    Loss,
    absolute_error,
    binary_cross_entropy,
    cross_entropy,
    huber,
    make_loss,
    mean_over_members,
    pinball,
    smoothed_cross_entropy,
    squared_error,
    weighted_mean,
)


def trained(start: Tensor, target: Tensor, loss: Loss, *, steps: int = 400) -> Tensor:
    """Raw outputs, the same for every row, after so many steps down the mean loss."""
    raw = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.001, total_iters=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(loss(raw.expand(len(target), -1), target).mean())
        optimizer.step()
        schedule.step()
    return raw.detach()


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


def test_smoothing_is_torchs() -> None:
    raw, classes = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 0])

    for smoothing in (0.0, 0.1, 0.9):
        torch.testing.assert_close(
            smoothed_cross_entropy(raw, classes, smoothing=smoothing),
            functional.cross_entropy(raw, classes, reduction="none", label_smoothing=smoothing),
        )


def test_smoothing_is_cross_entropy_against_a_mixture_with_the_uniform() -> None:
    raw, classes = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 0])
    mixture = 0.8 * functional.one_hot(classes, 4) + 0.2 / 4

    losses = smoothed_cross_entropy(raw, classes, smoothing=0.2)

    torch.testing.assert_close(losses, -(mixture * raw.log_softmax(dim=1)).sum(dim=1))


def test_smoothing_keeps_logits_bounded_where_plain_cross_entropy_lets_them_grow() -> None:
    always_the_first = torch.zeros(8, dtype=torch.int64)
    start = torch.zeros(1, 4)

    smoothed = trained(start, always_the_first, make_loss("cross_entropy", label_smoothing=0.1))
    longer = trained(smoothed, always_the_first, make_loss("cross_entropy", label_smoothing=0.1))
    plain = trained(start, always_the_first, cross_entropy)
    plain_longer = trained(plain, always_the_first, cross_entropy)

    # The right class gets 1 - 0.1 + 0.1 / 4, and no more however long the training.
    torch.testing.assert_close(smoothed.softmax(dim=1)[0, 0], torch.tensor(0.925))
    torch.testing.assert_close(longer.softmax(dim=1)[0, 0], torch.tensor(0.925))
    assert smoothed.max() + 1 < plain.max() < plain_longer.max() - 1


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_a_constant_fitted_by_pinball_is_the_quantile(quantile: float) -> None:
    torch.manual_seed(0)
    target = torch.empty(1001, 1).exponential_()  # skewed, so that median and mean differ

    fitted = trained(torch.zeros(1, 1), target, make_loss("pinball", quantile=quantile))

    torch.testing.assert_close(fitted[0, 0], target.quantile(quantile), atol=0.02, rtol=0)


def test_the_pinball_loss_of_the_median_is_half_of_the_absolute_error() -> None:
    raw, target = torch.randn(5, 3), torch.randn(5, 3)

    torch.testing.assert_close(pinball(raw, target), absolute_error(raw, target) / 2)


def test_too_low_costs_nine_times_as_much_as_too_high_for_the_quantile_nine_tenths() -> None:
    losses = pinball(torch.tensor([[0.0], [2.0]]), torch.ones(2, 1), quantile=0.9)

    torch.testing.assert_close(losses, torch.tensor([0.9, 0.1]))


def test_pinball_is_averaged_over_the_outputs_of_a_row() -> None:
    losses = pinball(torch.zeros(1, 2), torch.tensor([[4.0, -4.0]]), quantile=0.75)

    torch.testing.assert_close(losses, torch.tensor([2.0]))


def test_names_make_the_losses_themselves() -> None:
    raw, target = torch.randn(5, 3), torch.randn(5, 3)

    for name in LOSSES.keys() - {"pinball"}:
        assert make_loss(name) is LOSSES[name]
    torch.testing.assert_close(make_loss("pinball")(raw, target), LOSSES["pinball"](raw, target))


def test_losses_with_a_parameter_can_be_pickled() -> None:
    raw, classes = torch.randn(3, 2), torch.tensor([0, 1, 1])
    loss = make_loss("cross_entropy", label_smoothing=0.1)

    torch.testing.assert_close(pickle.loads(pickle.dumps(loss))(raw, classes), loss(raw, classes))


def test_an_unknown_loss_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"'pinbal' is not one of .*mean 'pinball'"):
        make_loss("pinbal")


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_out_of_its_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ParameterError, match="outside of"):
        make_loss("cross_entropy", label_smoothing=smoothing)
    with pytest.raises(ParameterError, match="outside of"):
        smoothed_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), smoothing=smoothing)


@pytest.mark.parametrize("quantile", [0.0, 1.0, 90.0, float("nan")])
def test_a_quantile_out_of_its_range_is_refused(quantile: float) -> None:
    with pytest.raises(ParameterError, match="outside of"):
        make_loss("pinball", quantile=quantile)
    with pytest.raises(ParameterError, match="outside of"):
        pinball(torch.zeros(1, 1), torch.zeros(1, 1), quantile=quantile)


def test_a_parameter_that_the_loss_would_ignore_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"label_smoothing=0\.1 needs loss='cross_entropy'"):
        make_loss("binary_cross_entropy", label_smoothing=0.1)
    with pytest.raises(ParameterError, match=r"quantile=0\.9 needs loss='pinball'"):
        make_loss("huber", quantile=0.9)


# --- ensembles ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_the_loss_of_an_ensemble_is_the_mean_of_its_members_losses(name: str) -> None:
    torch.manual_seed(0)
    raw = torch.randn(7, 4, 3)
    target = torch.randint(3, (7,)) if name == "cross_entropy" else torch.rand(7, 3)
    loss = make_loss(name)

    losses = mean_over_members(loss)(raw, target)

    of_each = torch.stack([loss(raw[:, member], target) for member in range(4)])
    torch.testing.assert_close(losses, of_each.mean(dim=0))
    alone = mean_over_members(loss)(raw[:, 0], target)
    torch.testing.assert_close(alone, of_each[0], rtol=0, atol=0)
