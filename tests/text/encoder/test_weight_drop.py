"""Dropped weights: one block of memory, one writing per draw, and never a wrong gradient."""

import copy
import gc
import pickle
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tabtext.dropout import fill_dropout_mask
from tabtext.text.encoder.weight_drop import DroppedWeights, Weights


def some_weights(*, width: int = 6, dtype: torch.dtype = torch.float32) -> Weights:
    torch.manual_seed(0)
    shapes = (4 * width, 5), (4 * width, width), (4 * width,), (4 * width,)
    first, second, third, fourth = (
        torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes
    )
    return first, second, third, fourth


def drawn_and_written(dropped: DroppedWeights, weights: Weights, *, rate: float = 0.5) -> Weights:
    dropped.draw(weights[1], rate)
    return dropped.write(weights, torch.float32, masked=True)


def total(weights: Weights) -> Tensor:
    return torch.stack([weight.square().sum() for weight in weights]).sum()


def gradients(weights: Weights) -> list[Tensor]:
    found = [weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    return [gradient for gradient in found if gradient is not None]


def kept_mask(dropped: DroppedWeights) -> Tensor:
    assert dropped.mask is not None
    return dropped.mask.clone()


# ------------------------------------------------------------------------------------- values


def test_only_the_hidden_to_hidden_matrix_is_dropped() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")

    written = drawn_and_written(dropped, weights)

    assert torch.equal(written[1], weights[1] * kept_mask(dropped))
    assert all(torch.equal(written[place], weights[place]) for place in (0, 2, 3))


def test_the_stated_share_of_it_is_dropped_anew_by_every_draw() -> None:
    weights, dropped = some_weights(width=100), DroppedWeights("LSTM")

    first = drawn_and_written(dropped, weights, rate=0.2)[1].detach().clone()
    second = drawn_and_written(dropped, weights, rate=0.2)[1]

    zeros, zeros_again = first == 0, second == 0
    assert zeros.double().mean().item() == pytest.approx(0.2, abs=4 * (0.16 / 40_000) ** 0.5)
    both = (zeros & zeros_again).double().mean().item()
    assert both == pytest.approx(0.04, abs=4 * (0.04 / 40_000) ** 0.5)


def test_without_a_mask_all_is_written_as_it_is() -> None:
    weights = some_weights()

    written = DroppedWeights("LSTM").write(weights, torch.float32, masked=False)

    assert all(torch.equal(*pair) for pair in zip(written, weights, strict=True))


def test_distances_to_the_identity_are_dropped_where_that_is_wanted() -> None:
    weights = torch.randn(6, 5), torch.randn(6, 6), torch.randn(6), torch.randn(6)
    dropped = DroppedWeights("RNN_RELU", towards_identity=True)

    written = drawn_and_written(dropped, weights)

    expected = (weights[1] - torch.eye(6)) * kept_mask(dropped) + torch.eye(6)
    torch.testing.assert_close(written[1], expected, rtol=1e-6, atol=1e-6)


def test_weights_are_written_in_the_type_that_is_asked_for() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)

    written = dropped.write(weights, torch.bfloat16, masked=True)
    total(written).backward()

    assert {weight.dtype for weight in written} == {torch.bfloat16}
    assert torch.equal(written[1], (weights[1] * kept_mask(dropped)).bfloat16())
    assert {gradient.dtype for gradient in gradients(weights)} == {torch.float32}


# ------------------------------------------------------------------------------------- memory


def test_all_weights_lie_in_one_block_in_their_order() -> None:
    written = drawn_and_written(DroppedWeights("LSTM"), some_weights())

    assert len({weight.untyped_storage().data_ptr() for weight in written}) == 1
    assert written[0].storage_offset() == 0
    for before, after in pairwise(written):
        assert after.storage_offset() == before.storage_offset() + before.numel()
    assert all(weight.is_contiguous() for weight in written)


def test_steps_take_no_new_memory() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    places = set()

    for _ in range(4):
        written = drawn_and_written(dropped, weights)
        loss = total(written)
        loss.backward()
        assert dropped.mask is not None
        places.add((written[0].data_ptr(), dropped.mask.data_ptr()))

    assert len(places) == 1


def test_passes_without_a_backward_pass_take_no_new_memory() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")

    places = {drawn_and_written(dropped, weights)[0].data_ptr() for _ in range(4)}

    assert len(places) == 1


def test_a_draw_before_the_backward_pass_leaves_the_first_passes_gradients_right() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    first = total(drawn_and_written(dropped, weights))
    first_mask = kept_mask(dropped)
    second = total(drawn_and_written(dropped, weights))
    second_mask = kept_mask(dropped)
    third = total(drawn_and_written(dropped, weights))

    found = []
    for loss in (second, first):
        loss.backward()
        found.append(gradients(weights)[1])
    third.backward()

    assert torch.equal(found[0], 2 * weights[1] * second_mask**2)
    assert torch.equal(found[1], 2 * weights[1] * first_mask**2)


def test_going_backward_twice_around_a_draw_is_refused() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    loss = drawn_and_written(dropped, weights)[1].sum()
    loss.backward(retain_graph=True)
    drawn_and_written(dropped, weights)

    with pytest.raises(RuntimeError, match="mask was drawn anew before this backward pass"):
        loss.backward()


def test_autograd_refuses_weights_that_were_overwritten() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    loss = total(drawn_and_written(dropped, weights))
    loss.backward(retain_graph=True)
    drawn_and_written(dropped, weights)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_graph_that_is_gone_keeps_nothing() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    loss = total(drawn_and_written(dropped, weights))
    place = drawn_and_written(dropped, weights)[0].data_ptr()

    del loss
    gc.collect()

    assert drawn_and_written(dropped, weights)[0].data_ptr() == place


# --------------------------------------------------------------------------- one writing per draw


def shared(dropped: DroppedWeights, weights: Weights) -> Weights:
    return dropped.write(weights, torch.float32, masked=True, shared=True)


def test_passes_of_one_draw_share_what_was_written_and_one_backward_pass() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)

    first, second = shared(dropped, weights), shared(dropped, weights)
    (total(first) + total(second)).backward()

    assert first is second
    assert torch.equal(gradients(weights)[1], 4 * weights[1] * kept_mask(dropped) ** 2)


def test_passes_of_one_draw_may_go_backward_one_by_one() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)

    for _ in range(2):
        total(shared(dropped, weights)).backward()

    assert torch.equal(gradients(weights)[1], 4 * weights[1] * kept_mask(dropped) ** 2)


def test_a_pass_without_gradients_may_come_first() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)
    with torch.no_grad():
        shared(dropped, weights)

    total(shared(dropped, weights)).backward()

    assert torch.equal(gradients(weights)[1], 2 * weights[1] * kept_mask(dropped) ** 2)


def test_a_pass_in_inference_mode_may_come_first() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    with torch.inference_mode():
        dropped.draw(weights[1], 0.5)
        shared(dropped, weights)

    total(shared(dropped, weights)).backward()
    expected = 2 * weights[1] * kept_mask(dropped) ** 2
    dropped.draw(weights[1], 0.5)

    assert torch.equal(gradients(weights)[1], expected)


@pytest.mark.parametrize("fused", [True, False])
def test_weights_that_an_optimizer_changed_are_written_again_under_the_same_mask(
    fused: bool,
) -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)
    total(shared(dropped, weights)).backward()
    torch.optim.AdamW(weights, lr=0.1, fused=fused).step()

    written = shared(dropped, weights)

    assert torch.equal(written[0], weights[0])
    assert torch.equal(written[1], weights[1] * kept_mask(dropped))


def test_a_draw_ends_the_sharing() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)
    before = shared(dropped, weights)[1].detach().clone()

    dropped.draw(weights[1], 0.5)

    assert not torch.equal(shared(dropped, weights)[1], before)


def test_a_pass_in_another_precision_shares_nothing() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)
    first = shared(dropped, weights)

    second = dropped.write(weights, torch.bfloat16, masked=True, shared=True)
    (total(first) + total(second).float()).backward()

    assert second[1].dtype == torch.bfloat16
    expected = 4 * weights[1] * kept_mask(dropped) ** 2
    torch.testing.assert_close(gradients(weights)[1], expected, rtol=1e-2, atol=1e-2)


# ----------------------------------------------------------------------------------- gradients


def test_the_gradient_is_masked_as_the_weights_are() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")

    torch.stack([weight.sum() for weight in drawn_and_written(dropped, weights)]).sum().backward()

    first, second, third, fourth = gradients(weights)
    assert torch.equal(second, kept_mask(dropped))
    assert all(bool((gradient == 1).all()) for gradient in (first, third, fourth))


def test_a_copy_in_training_passes_gradcheck() -> None:
    weights = some_weights(width=2, dtype=torch.float64)
    dropped = DroppedWeights("LSTM")
    dropped.draw(weights[1], 0.5)

    def forward(*weights: Tensor) -> Tensor:
        first, second, third, fourth = weights
        written = dropped.write((first, second, third, fourth), torch.float64, masked=True)
        return torch.cat([weight.flatten() for weight in written]) ** 2

    assert torch.autograd.gradcheck(forward, weights)


def test_frozen_weights_get_no_gradient() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    weights[1].requires_grad_(False)

    total(drawn_and_written(dropped, weights)).backward()

    assert weights[1].grad is None
    assert weights[0].grad is not None


def test_frozen_weights_that_were_overwritten_are_refused_too() -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    for weight in weights:
        weight.requires_grad_(False)
    inputs = torch.ones(3, 6, requires_grad=True)
    loss = (inputs @ drawn_and_written(dropped, weights)[1].t()).sum()
    drawn_and_written(dropped, weights)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# -------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_shares_no_memory(copied: object) -> None:
    weights, dropped = some_weights(), DroppedWeights("LSTM")
    written = drawn_and_written(dropped, weights)

    other = copied(dropped)  # type: ignore[operator]
    of_other = drawn_and_written(other, weights)

    assert of_other[0].data_ptr() != written[0].data_ptr()
    assert other.mode == "LSTM"


def test_masks_come_from_torchs_generator() -> None:
    weights, dropped = some_weights(width=8), DroppedWeights("LSTM")
    torch.manual_seed(5)
    expected = fill_dropout_mask(torch.empty(32, 8), 0.5)

    torch.manual_seed(5)
    dropped.draw(weights[1], 0.5)

    assert torch.equal(kept_mask(dropped), expected)
