"""Softmaxes on a GPU: nothing waits for it, results are the CPU's, and memory stays small."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tabtext.text.softmax.adaptive import AdaptiveSoftmax
from tabtext.text.softmax.cross_entropy import linear_cross_entropy, token_losses
from tabtext.text.special_tokens import PADDING_ID

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    # Said by the thread of backward passes, when the first product of a process is its.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]

N, WIDTH, WORDS = 300, 32, 2_000
MIB = 2**20

Problem = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def problem(device: str, n: int = N, words: int = WORDS) -> Problem:
    generator = torch.Generator().manual_seed(0)
    hidden, weight, bias = (
        torch.randn(shape, generator=generator).to(device).requires_grad_()
        for shape in ((n, WIDTH), (words, WIDTH), (words,))
    )
    return hidden, weight, bias, torch.randint(words, (n,), generator=generator).to(device)


def assert_the_cpu_agrees(loss: Callable[..., Tensor], **tolerances: float) -> None:
    """Compare loss and gradients of both devices."""
    results = []
    for device in ("cpu", "cuda"):
        *tensors, targets = problem(device)
        value = loss(*tensors, targets)
        results.append([value, *torch.autograd.grad(value, tensors)])
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu.cpu(), on_cpu, **tolerances)


@pytest.mark.parametrize("chunk_rows", [None, 64])
def test_loss_and_gradients_are_the_cpus(chunk_rows: int | None) -> None:
    assert_the_cpu_agrees(
        lambda *each: linear_cross_entropy(*each, chunk_rows=chunk_rows, products="fp32"),
        rtol=1e-4,
        atol=1e-6,
    )


def test_nobody_waits_for_the_gpu() -> None:
    *tensors, targets = problem("cuda")
    linear_cross_entropy(*tensors, targets).backward()  # libraries start

    torch.cuda.set_sync_debug_mode("error")
    try:
        linear_cross_entropy(*tensors, targets).backward()
        losses = token_losses(*tensors, targets)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert losses.shape == (N,)


def test_products_are_in_bfloat16_under_autocast() -> None:
    *tensors, targets = problem("cuda")

    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = linear_cross_entropy(*tensors, targets)

    assert loss.dtype == torch.float32
    assert torch.equal(loss, linear_cross_entropy(*tensors, targets, products="bf16"))
    exact = linear_cross_entropy(*tensors, targets, products="fp32")
    torch.testing.assert_close(loss, exact, rtol=1e-3, atol=0)


def test_half_precision_has_too_little_range_and_is_not_used() -> None:
    *tensors, targets = problem("cuda")

    with torch.autocast("cuda", dtype=torch.float16):
        loss = linear_cross_entropy(*tensors, targets)

    assert torch.equal(loss, linear_cross_entropy(*tensors, targets, products="fp32"))


def test_padding_does_not_count() -> None:
    hidden, weight, bias, targets = problem("cuda")
    targets[::3] = PADDING_ID
    counted = targets != PADDING_ID

    loss = linear_cross_entropy(hidden, weight, bias, targets)

    alone = linear_cross_entropy(hidden[counted], weight, bias, targets[counted])
    torch.testing.assert_close(loss, alone)


def test_memory_stays_far_below_that_of_the_logits() -> None:
    *tensors, targets = problem("cuda", n=8_192, words=30_000)
    logits = 8_192 * 30_000 * 4
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()

    linear_cross_entropy(*tensors, targets, products="fp32").backward()

    assert torch.cuda.max_memory_allocated() - before < logits / 2 < 512 * MIB


def test_adaptive_losses_and_gradients_are_the_cpus() -> None:
    def loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        softmax = AdaptiveSoftmax(WORDS, WIDTH, cutoffs=(200, 800)).to(hidden.device)
        value = softmax.loss(hidden, targets, weight, products="fp32")
        return value + 0 * bias.sum()

    assert_the_cpu_agrees(loss, rtol=1e-4, atol=1e-6)


def test_adaptive_token_losses_are_the_log_probabilities() -> None:
    hidden, weight, _, targets = problem("cuda")
    softmax = AdaptiveSoftmax(WORDS, WIDTH, cutoffs=(200, 800)).cuda()

    losses = softmax.token_losses(hidden, targets, weight)

    scores = softmax.log_probabilities(hidden, weight)
    expected = functional.nll_loss(scores, targets, ignore_index=PADDING_ID, reduction="none")
    torch.testing.assert_close(losses, expected.detach())
