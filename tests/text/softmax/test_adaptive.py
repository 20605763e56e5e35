"""Adaptive softmax: an exact model of its own, tied to the embedding, that scores little."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tabtext.errors import DataError, ParameterError
from tabtext.text.softmax import chunked
from tabtext.text.softmax.adaptive import AdaptiveSoftmax
from tabtext.text.special_tokens import PADDING_ID

N, WIDTH, WORDS = 60, 6, 40
CUTOFFS = (10, 17, 18)  # the second cluster is a single token


def softmax_with(cutoffs: tuple[int, ...] = CUTOFFS, *, seed: int = 0) -> AdaptiveSoftmax:
    """An adaptive softmax in double precision that has learned something."""
    softmax = AdaptiveSoftmax(WORDS, WIDTH, cutoffs).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in softmax.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return softmax


def problem(n: int = N, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, targets of which some are padding, and an embedding."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, WIDTH, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(WORDS, WIDTH, generator=generator, dtype=torch.float64, requires_grad=True)
    return hidden, torch.randint(WORDS, (n,), generator=generator), weight


def naive_loss(softmax: AdaptiveSoftmax, hidden: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """The mean loss by the formula, a target at a time."""
    losses = []
    begins = [0, *softmax.cutoffs]
    for state, target in zip(hidden, targets.tolist(), strict=True):
        if target == PADDING_ID:
            continue
        scores = weight @ state + softmax.bias
        entries = softmax.cluster_weight @ state + softmax.cluster_bias
        head = torch.cat([scores[: softmax.cutoffs[0]], entries])
        cluster = max(place for place, begin in enumerate(begins) if begin <= target)
        if cluster == 0:
            losses.append(head.logsumexp(0) - scores[target])
            continue
        begin, end = softmax.cutoffs[cluster - 1], [*softmax.cutoffs, WORDS][cluster]
        of_cluster = head.logsumexp(0) - entries[cluster - 1]
        losses.append(of_cluster + scores[begin:end].logsumexp(0) - scores[target])
    return torch.stack(losses).mean()


def test_probabilities_over_the_vocabulary_add_up_to_one() -> None:
    hidden, _, weight = problem()

    probabilities = softmax_with().log_probabilities(hidden, weight).exp()

    assert probabilities.shape == (N, WORDS)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(N, dtype=torch.float64))


def test_probabilities_have_the_shape_of_what_they_follow() -> None:
    hidden, _, weight = problem()

    scores = softmax_with().log_probabilities(hidden.view(4, 15, WIDTH), weight)

    assert scores.shape == (4, 15, WORDS)


@pytest.mark.parametrize("cutoffs", [(1,), (10,), CUTOFFS, (5, 10, 20, 39)])
def test_loss_and_gradients_are_those_of_the_formula(cutoffs: tuple[int, ...]) -> None:
    softmax = softmax_with(cutoffs)
    hidden, targets, weight = problem()
    learned = [hidden, weight, *softmax.parameters()]

    loss = softmax.loss(hidden, targets, weight)

    expected = naive_loss(softmax, hidden, targets, weight)
    torch.testing.assert_close(loss, expected)
    for mine, theirs in zip(
        torch.autograd.grad(loss, learned), torch.autograd.grad(expected, learned), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_gradients_are_the_slope_of_the_loss() -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem(8)

    assert torch.autograd.gradcheck(lambda h, w: softmax.loss(h, targets, w), (hidden, weight))


@settings(max_examples=30)
@given(
    cutoffs=st.sets(st.integers(1, WORDS - 1), min_size=1, max_size=5),
    n=st.integers(1, 20),
    seed=st.integers(0, 5),
)
def test_token_losses_are_the_negative_log_probabilities(
    cutoffs: set[int], n: int, seed: int
) -> None:
    softmax = softmax_with(tuple(sorted(cutoffs)), seed=seed)
    hidden, targets, weight = problem(n, seed=seed)

    losses = softmax.token_losses(hidden, targets, weight)

    scores = softmax.log_probabilities(hidden, weight)
    expected = -scores[torch.arange(n), targets].masked_fill(targets == PADDING_ID, 0.0)
    torch.testing.assert_close(losses, expected.detach())


def test_inference_mode_gives_the_same_losses() -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()

    with torch.inference_mode():
        losses = softmax.token_losses(hidden.clone(), targets.clone(), weight.clone())

    assert torch.equal(losses, softmax.token_losses(hidden, targets, weight))


def test_the_loss_is_the_mean_of_the_token_losses_that_count() -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()
    targets[:9] = PADDING_ID

    loss = softmax.loss(hidden, targets, weight)

    losses = softmax.token_losses(hidden, targets, weight)
    torch.testing.assert_close(loss, losses[targets != PADDING_ID].mean())


@pytest.mark.parametrize("ignore_index", [-100, 25])
def test_what_does_not_count_may_be_a_rare_token_or_none(ignore_index: int) -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()
    targets[:9] = ignore_index

    loss = softmax.loss(hidden, targets, weight, ignore_index=ignore_index)

    others = targets != ignore_index
    expected = softmax.loss(hidden[others], targets[others], weight, ignore_index=-1)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("n", [0, 5])
def test_nothing_that_counts_is_a_loss_of_zero_without_gradients(n: int) -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem(n)

    loss = softmax.loss(hidden, targets.fill_(PADDING_ID), weight)
    loss.backward()

    assert loss.item() == 0.0
    assert weight.grad is not None
    assert not weight.grad.any()


def test_a_cluster_that_is_not_due_gets_no_gradient() -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()

    softmax.loss(hidden, targets.remainder(10), weight).backward()

    assert weight.grad is not None
    assert weight.grad[:10].any(dim=1).all()
    assert not weight.grad[10:].any()


def test_in_the_beginning_zeros_make_all_tokens_equally_likely() -> None:
    softmax = AdaptiveSoftmax(WORDS, WIDTH, CUTOFFS)

    scores = softmax.log_probabilities(torch.zeros(1, WIDTH), torch.randn(WORDS, WIDTH))

    torch.testing.assert_close(scores.exp(), torch.full((1, WORDS), 1 / WORDS))


def test_full_and_adaptive_softmax_agree_where_the_clusters_are_told_the_truth() -> None:
    """With the logarithm of its tokens' sum for an entry, a cluster changes nothing."""
    softmax = softmax_with()
    hidden, _, weight = problem(1)
    scores = functional.linear(hidden, weight, softmax.bias)
    with torch.no_grad():
        softmax.cluster_weight.zero_()
        parts = torch.split(scores[0], softmax.sizes)[1:]
        softmax.cluster_bias.copy_(torch.stack([part.logsumexp(0) for part in parts]))

    adaptive = softmax.log_probabilities(hidden, weight)

    torch.testing.assert_close(adaptive, scores.log_softmax(dim=1))


def test_few_words_are_scored_where_targets_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax = AdaptiveSoftmax(3_000, 8, cutoffs=(100, 1_000))
    hidden, weight = torch.randn(50, 8), torch.randn(3_000, 8)
    targets = torch.arange(50)
    targets[0] = 500
    exponentiate, scored = chunked._exponentiate, []

    def count(logits: Tensor, *others: Tensor) -> None:
        scored.append(logits.numel())
        exponentiate(logits, *others)

    monkeypatch.setattr(chunked, "_exponentiate", count)

    softmax.loss(hidden, targets, weight)

    assert sum(scored) == 50 * 102 + 1 * 900


def test_autocast_changes_neither_types_nor_much_of_the_loss() -> None:
    softmax = softmax_with().float()
    hidden, targets, weight = problem()
    hidden, weight = hidden.detach().float(), weight.detach().float().requires_grad_()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = softmax.loss(hidden.bfloat16(), targets, weight)
    loss.backward()

    assert weight.grad is not None
    assert weight.grad.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(loss, softmax.loss(hidden, targets, weight), rtol=1e-2, atol=0)


def test_a_traced_network_gets_the_same_loss() -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()
    compiled = torch.compile(softmax.loss, backend="eager", fullgraph=True)

    loss = compiled(hidden, targets, weight)

    torch.testing.assert_close(loss, softmax.loss(hidden, targets, weight))


@pytest.mark.parametrize("frozen", ["hidden", "weight", "bias", "cluster_weight", "cluster_bias"])
def test_what_is_frozen_gets_no_gradient_and_the_others_theirs(frozen: str) -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()
    learned = {"hidden": hidden, "weight": weight, **dict(softmax.named_parameters())}
    naive_loss(softmax, hidden, targets, weight).backward()
    expected = {name: tensor.grad for name, tensor in learned.items()}
    for name, tensor in learned.items():
        tensor.grad = None
        tensor.requires_grad_(name != frozen)

    softmax.loss(hidden, targets, weight).backward()

    assert learned[frozen].grad is None
    for name in set(learned) - {frozen}:
        torch.testing.assert_close(learned[name].grad, expected[name])


def test_the_loss_is_the_same_on_several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()
    learned = [hidden, weight, *softmax.parameters()]
    alone = softmax.loss(hidden, targets, weight)
    monkeypatch.setattr(chunked, "_WORTH_A_CORE", 0)
    monkeypatch.setattr(chunked, "_NARROWEST_BAND", 3)
    before = torch.get_num_threads()
    torch.set_num_threads(3)

    try:
        together = softmax.loss(hidden, targets, weight)
    finally:
        torch.set_num_threads(before)

    torch.testing.assert_close(together, alone)
    for one, three in zip(
        torch.autograd.grad(alone, learned), torch.autograd.grad(together, learned), strict=True
    ):
        torch.testing.assert_close(three, one)


def test_a_copy_and_a_saved_state_give_the_same_losses() -> None:
    softmax = softmax_with()
    hidden, targets, weight = problem()
    expected = softmax.token_losses(hidden, targets, weight)
    restored = AdaptiveSoftmax(WORDS, WIDTH, CUTOFFS).double()

    restored.load_state_dict(softmax.state_dict())

    assert set(softmax.state_dict()) == {"bias", "cluster_weight", "cluster_bias"}
    for other in (copy.deepcopy(softmax), restored):
        assert torch.equal(other.token_losses(hidden, targets, weight), expected)


@pytest.mark.parametrize("size", [2, 3, 11, 5_000])
def test_without_cutoffs_there_are_those_of_zipfs_law(size: int) -> None:
    softmax = AdaptiveSoftmax(size, WIDTH)

    scores = softmax.log_probabilities(torch.randn(2, WIDTH), torch.randn(size, WIDTH))

    assert len(softmax.cutoffs) == min(3, size - 1)
    torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("cutoffs", [(), (0, 5), (5, 5), (9, 5), (5, WORDS)])
def test_cutoffs_outside_of_the_vocabulary_or_out_of_order_are_refused(
    cutoffs: tuple[int, ...],
) -> None:
    with pytest.raises(ParameterError, match="cutoffs must rise"):
        AdaptiveSoftmax(WORDS, WIDTH, cutoffs)


def test_a_target_outside_of_the_vocabulary_is_named() -> None:
    hidden, targets, weight = problem()
    targets[3] = WORDS

    with pytest.raises(DataError, match="target 40 of row 3"):
        softmax_with().loss(hidden, targets, weight)
