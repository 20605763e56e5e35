"""Cross-entropy in chunks: the plain one's loss and gradients, whatever the chunks and tiles."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from tabtext.errors import ColumnTypeError, DataError, ParameterError
from tabtext.text.softmax import chunked, cross_entropy
from tabtext.text.softmax.cross_entropy import linear_cross_entropy, token_losses
from tabtext.text.special_tokens import PADDING_ID

N, WIDTH, WORDS = 37, 8, 101
CPU = torch.device("cpu")
PRODUCTS: tuple[cross_entropy.Products, ...] = ("fp32", "bf16")

Problem = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(params=[1, 3])
def narrow_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even a small vocabulary into many tiles, and into bands for one core and for three."""
    monkeypatch.setattr(chunked, "_NARROWEST_TILE", 16)
    monkeypatch.setattr(chunked, "_TILE", 16)
    monkeypatch.setattr(chunked, "_NARROWEST_BAND", 10)
    monkeypatch.setattr(chunked, "_WORTH_A_CORE", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def problem(
    n: int = N, words: int = WORDS, *, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Problem:
    """Hidden states, weight, bias, all asking for gradients; and targets, some of them padding."""
    generator = torch.Generator().manual_seed(seed)
    hidden, weight, bias = (
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in ((n, WIDTH), (words, WIDTH), (words,))
    )
    return hidden, weight, bias, torch.randint(words, (n,), generator=generator)


def plain(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    logits = functional.linear(hidden, weight, bias)
    return functional.cross_entropy(logits, targets, ignore_index=PADDING_ID)


def gradients(loss: Tensor, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, tensors, retain_graph=True)


def assert_same_loss_and_gradients(
    got: Tensor, expected: Tensor, tensors: tuple[Tensor, ...], **tolerances: float
) -> None:
    torch.testing.assert_close(got, expected, **tolerances)
    mine_and_theirs = gradients(got, tensors), gradients(expected, tensors)
    for mine, theirs in zip(*mine_and_theirs, strict=True):
        torch.testing.assert_close(mine, theirs, **tolerances)


# --- the value, and its gradients -----------------------------------------------------------


@pytest.mark.parametrize("chunk_rows", [None, 1, 10, 1000])
def test_loss_and_gradients_are_the_plain_ones_up_to_rounding(chunk_rows: int | None) -> None:
    *tensors, targets = problem()

    loss = linear_cross_entropy(*tensors, targets, chunk_rows=chunk_rows, products="fp32")

    assert_same_loss_and_gradients(loss, plain(*tensors, targets), tuple(tensors))


@pytest.mark.usefixtures("narrow_tiles")
@pytest.mark.parametrize("chunk_rows", [None, 1, 10])
def test_they_are_the_plain_ones_tile_by_tile(chunk_rows: int | None) -> None:
    *tensors, targets = problem()

    loss = linear_cross_entropy(*tensors, targets, chunk_rows=chunk_rows, products="fp32")

    assert_same_loss_and_gradients(loss, plain(*tensors, targets), tuple(tensors))


@given(
    n=st.integers(0, 20),
    words=st.integers(2, 60),
    chunk_rows=st.none() | st.integers(1, 25),
    tile=st.integers(1, 70),
)
def test_double_precision_is_exact_for_all_sizes(
    n: int, words: int, chunk_rows: int | None, tile: int
) -> None:
    *tensors, targets = problem(n, words, dtype=torch.float64)
    logits = functional.linear(*tensors)
    expected = functional.cross_entropy(
        logits, targets, ignore_index=PADDING_ID, reduction="sum"
    ) / max(int((targets != PADDING_ID).sum()), 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked, "_cut_into_tiles", lambda rows, words, device: cut(words, tile))
        loss = linear_cross_entropy(*tensors, targets, chunk_rows=chunk_rows)

    assert loss.dtype == torch.float64
    assert_same_loss_and_gradients(loss, expected, tuple(tensors), rtol=1e-10, atol=1e-12)


def cut(words: int, tile: int) -> list[slice]:
    return [slice(begin, min(begin + tile, words)) for begin in range(0, words, tile)]


@pytest.mark.usefixtures("narrow_tiles")
def test_gradients_are_the_slope_of_the_loss() -> None:
    *tensors, targets = problem(5, 40, dtype=torch.float64)

    assert torch.autograd.gradcheck(lambda *each: linear_cross_entropy(*each, targets), tensors)


@pytest.mark.usefixtures("narrow_tiles")
@pytest.mark.parametrize("word", [0, 30, 70, 100])
def test_a_logit_far_above_all_others_does_not_overflow(word: int) -> None:
    hidden, weight, bias, targets = problem()
    with torch.no_grad():
        bias[word] = 500.0  # exp(500) is infinite
    tensors = hidden, weight, bias

    loss = linear_cross_entropy(*tensors, targets, products="fp32")

    assert loss.isfinite()
    assert_same_loss_and_gradients(loss, plain(*tensors, targets), tensors)


@pytest.mark.usefixtures("narrow_tiles")
@pytest.mark.parametrize("n_words", [20, 40, 100])  # more than a tile, than a band, all but one
def test_words_that_are_ruled_out_do_no_harm(n_words: int) -> None:
    hidden, weight, bias, targets = problem()
    with torch.no_grad():
        bias[:n_words] = -torch.inf
    targets = targets.clamp(min=n_words)
    tensors = hidden, weight, bias

    loss = linear_cross_entropy(*tensors, targets, products="fp32")

    assert_same_loss_and_gradients(loss, plain(*tensors, targets), tensors)


def test_a_hidden_state_that_is_not_a_number_is_not_hidden() -> None:
    hidden, weight, bias, targets = problem()

    loss = linear_cross_entropy(hidden * torch.nan, weight, bias, targets)

    assert loss.isnan()


@pytest.mark.usefixtures("narrow_tiles")
@pytest.mark.parametrize("products", PRODUCTS)
def test_without_kernels_torch_gives_the_same(
    products: cross_entropy.Products, monkeypatch: pytest.MonkeyPatch
) -> None:
    *tensors, targets = problem()
    by_kernels = linear_cross_entropy(*tensors, targets, products=products)

    monkeypatch.setattr(chunked, "_kernels_can_run", lambda logits, bias: False)
    by_torch = linear_cross_entropy(*tensors, targets, products=products)

    close = {"rtol": 1e-5, "atol": 1e-6} if products == "fp32" else {"rtol": 5e-3, "atol": 1e-3}
    assert_same_loss_and_gradients(by_torch, by_kernels, tuple(tensors), **close)


def test_the_gradient_is_scaled_by_what_follows_the_loss() -> None:
    *tensors, targets = problem()
    loss = linear_cross_entropy(*tensors, targets)

    once, threefold = loss, linear_cross_entropy(*tensors, targets) * 3

    for one, three in zip(gradients(once, tensors), gradients(threefold, tensors), strict=True):
        torch.testing.assert_close(3 * one, three)


def test_a_kept_graph_gives_the_same_gradients_again() -> None:
    *tensors, targets = problem()
    loss = linear_cross_entropy(*tensors, targets) * 2

    first = torch.autograd.grad(loss, tensors, retain_graph=True)

    assert all(map(torch.equal, first, torch.autograd.grad(loss, tensors)))


# --- products in bfloat16 -------------------------------------------------------------------


@pytest.mark.usefixtures("narrow_tiles")
def test_products_in_bfloat16_change_the_loss_by_less_than_a_ten_thousandth() -> None:
    *tensors, targets = problem(2000, 300)

    loss = linear_cross_entropy(*tensors, targets, products="bf16")

    torch.testing.assert_close(loss, plain(*tensors, targets), rtol=1e-4, atol=0)


@pytest.mark.usefixtures("narrow_tiles")
def test_their_gradients_are_as_close_as_bfloat16_is() -> None:
    *tensors, targets = problem(200, 300)

    rough = gradients(linear_cross_entropy(*tensors, targets, products="bf16"), tensors)

    for got, expected in zip(rough, gradients(plain(*tensors, targets), tensors), strict=True):
        assert got.dtype == torch.float32
        assert (got - expected).norm() < 2**-7 * expected.norm()


@pytest.mark.parametrize("fast", [True, False])
def test_the_cpu_decides_about_products_that_are_left_open(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "_cpu_multiplies_bf16", lambda: fast)
    *tensors, targets = problem()

    left_open = linear_cross_entropy(*tensors, targets)

    chosen: cross_entropy.Products = "bf16" if fast else "fp32"
    assert torch.equal(left_open, linear_cross_entropy(*tensors, targets, products=chosen))


@pytest.mark.parametrize("products", PRODUCTS)
def test_double_precision_stays_double(products: cross_entropy.Products) -> None:
    *tensors, targets = problem(dtype=torch.float64)

    loss = linear_cross_entropy(*tensors, targets, products=products)

    torch.testing.assert_close(loss, plain(*tensors, targets), rtol=1e-13, atol=0)


def test_under_autocast_gradients_have_the_types_of_what_they_belong_to() -> None:
    hidden, weight, bias, targets = problem()
    half = hidden.detach().bfloat16().requires_grad_()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(half, weight, bias, targets)
    loss.backward()

    assert loss.dtype == torch.float32
    assert half.grad is not None
    assert weight.grad is not None
    assert (half.grad.dtype, weight.grad.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(loss, plain(half.float(), weight, bias, targets), rtol=1e-3, atol=0)


# --- rows that do not count -----------------------------------------------------------------


def test_padding_does_not_count() -> None:
    hidden, weight, bias, targets = problem()
    targets[::3] = PADDING_ID
    counted = targets != PADDING_ID

    loss = linear_cross_entropy(hidden, weight, bias, targets, products="fp32")

    torch.testing.assert_close(loss, plain(hidden[counted], weight, bias, targets[counted]))
    (gradient,) = torch.autograd.grad(loss, hidden)
    assert not gradient[~counted].any()
    assert gradient[counted].any(dim=1).all()


@pytest.mark.parametrize("ignore_index", [-100, 5])
def test_what_does_not_count_can_be_chosen(ignore_index: int) -> None:
    *tensors, targets = problem()
    targets[4:9] = ignore_index

    loss = linear_cross_entropy(*tensors, targets, ignore_index=ignore_index, products="fp32")

    logits = functional.linear(*tensors)
    expected = functional.cross_entropy(logits, targets, ignore_index=ignore_index)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("n", [0, 5])
def test_nothing_that_counts_is_a_loss_of_zero_without_gradients(n: int) -> None:
    *tensors, targets = problem(n)
    targets.fill_(PADDING_ID)

    loss = linear_cross_entropy(*tensors, targets)

    assert loss.item() == 0.0
    assert not any(gradient.any() for gradient in gradients(loss, tensors))


# --- how it is used -------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_is_frozen_gets_no_gradient_and_the_others_theirs(frozen: int) -> None:
    *tensors, targets = problem()
    expected = gradients(plain(*tensors, targets), tensors)
    tensors[frozen].requires_grad_(False)

    linear_cross_entropy(*tensors, targets, products="fp32").backward()

    for place, tensor in enumerate(tensors):
        if place == frozen:
            assert tensor.grad is None
        else:
            torch.testing.assert_close(tensor.grad, expected[place])


def test_without_gradients_the_loss_is_the_same() -> None:
    *tensors, targets = problem()

    with torch.no_grad():
        loss = linear_cross_entropy(*tensors, targets)

    assert not loss.requires_grad
    assert torch.equal(loss, linear_cross_entropy(*tensors, targets).detach())


@pytest.mark.usefixtures("narrow_tiles")
def test_the_same_inputs_give_the_same_bits() -> None:
    *tensors, targets = problem()
    first, second = (linear_cross_entropy(*tensors, targets, chunk_rows=10) for _ in range(2))

    assert torch.equal(first, second)
    assert all(map(torch.equal, gradients(first, tensors), gradients(second, tensors)))


@pytest.mark.usefixtures("narrow_tiles")
def test_inference_mode_gives_the_same_losses() -> None:
    *tensors, targets = problem()
    expected = token_losses(*tensors, targets)

    with torch.inference_mode():
        losses = token_losses(*(tensor.clone() for tensor in tensors), targets.clone())

    assert torch.equal(losses, expected)


def test_training_goes_on_after_inference_mode_in_the_same_thread() -> None:
    def work() -> None:  # a thread of its own has no memory yet that it could use again
        *tensors, targets = problem()
        with torch.inference_mode():
            linear_cross_entropy(*tensors, targets)
        linear_cross_entropy(*tensors, targets).backward()
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done


def test_a_tied_weight_gets_both_gradients() -> None:
    _, weight, bias, targets = problem()
    tokens = torch.arange(N)

    hidden = functional.embedding(tokens, weight)
    loss = linear_cross_entropy(hidden, weight, bias, targets, products="fp32")

    assert_same_loss_and_gradients(loss, plain(hidden, weight, bias, targets), (weight,))


def test_inputs_may_lie_in_memory_as_they_like() -> None:
    hidden, weight, bias, targets = problem()
    turned = hidden.detach().t().contiguous().t().requires_grad_()
    spread = weight.detach().repeat_interleave(2, dim=0)[::2].requires_grad_()

    loss = linear_cross_entropy(turned, spread, bias, targets.repeat_interleave(2)[::2])

    assert not turned.is_contiguous()
    assert not spread.is_contiguous()
    expected = linear_cross_entropy(hidden, weight, bias, targets)
    assert torch.equal(loss, expected)
    assert torch.equal(gradients(loss, (spread,))[0], gradients(expected, (weight,))[0])


def test_short_integers_are_targets_too() -> None:
    *tensors, targets = problem()

    loss = linear_cross_entropy(*tensors, targets.to(torch.int32))

    assert torch.equal(loss, linear_cross_entropy(*tensors, targets))


def test_a_later_step_does_not_change_the_gradients_of_an_earlier_one() -> None:
    *tensors, targets = problem()
    loss = linear_cross_entropy(*tensors, targets)
    *others, other_targets = problem(seed=1)
    linear_cross_entropy(*others, other_targets).backward()

    late = gradients(loss, tensors)

    early = gradients(linear_cross_entropy(*tensors, targets), tensors)
    assert all(map(torch.equal, late, early))


def test_threads_do_not_disturb_each_other() -> None:
    problems = [problem(200, 300, seed=seed) for seed in range(4)]
    alone = [linear_cross_entropy(*each).detach() for each in problems]
    together: dict[int, list[Tensor]] = {place: [] for place in range(4)}

    def work(place: int) -> None:
        for _ in range(20):
            together[place].append(linear_cross_entropy(*problems[place]).detach())

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for place, losses in together.items():
        assert len(losses) == 20
        assert all(torch.equal(loss, alone[place]) for loss in losses)


def test_a_traced_network_gets_the_plain_loss() -> None:
    *tensors, targets = problem()
    compiled = torch.compile(linear_cross_entropy, backend="eager", fullgraph=True)

    loss = compiled(*tensors, targets)

    assert_same_loss_and_gradients(loss, plain(*tensors, targets), tuple(tensors))


def test_it_trains_under_distributed_data_parallel() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            _, weight, bias, _ = problem()
            self.embedding = nn.Embedding(WORDS, WIDTH, _weight=weight.detach())
            self.bias = nn.Parameter(bias.detach())

        def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
            hidden = self.embedding(tokens)
            return linear_cross_entropy(hidden, self.embedding.weight, self.bias, targets)

    tokens, targets = torch.arange(N), problem()[-1]
    alone, module = Tied(), Tied()
    alone(tokens, targets).backward()
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    try:
        nn.parallel.DistributedDataParallel(module)(tokens, targets).backward()
    finally:
        torch.distributed.destroy_process_group()

    for got, expected in zip(module.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad)


# --- memory ---------------------------------------------------------------------------------


class LargestOutput(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that an operation returns."""

    n_elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = result if isinstance(result, (tuple, list)) else [result]
        sizes = [tensor.numel() for tensor in tensors if isinstance(tensor, Tensor)]
        self.n_elements = max([self.n_elements, *sizes])
        return result


@pytest.mark.parametrize("products", PRODUCTS)
def test_nothing_is_as_large_as_the_logits(products: cross_entropy.Products) -> None:
    *tensors, targets = problem(400, 500)

    with LargestOutput() as largest:
        linear_cross_entropy(*tensors, targets, chunk_rows=40, products=products).backward()

    assert largest.n_elements <= 40 * 500


@pytest.mark.parametrize("loss", [linear_cross_entropy, token_losses])
def test_without_gradients_a_tile_is_all_that_is_kept(
    loss: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked, "_NARROWEST_TILE", 16)
    monkeypatch.setattr(chunked, "_TILE", 16)
    monkeypatch.setattr(chunked, "_scratch", chunked._Scratch())
    *tensors, targets = problem(400, 500)

    with torch.no_grad(), LargestOutput() as largest:
        loss(*tensors, targets)

    assert largest.n_elements <= 400 * 16


def test_memory_is_used_again_in_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "_scratch", chunked._Scratch())
    *tensors, targets = problem()
    places = []

    for _ in range(2):
        linear_cross_entropy(*tensors, targets, products="fp32")
        memory = chunked._scratch.take("band 0", N * WORDS, torch.float32, CPU)
        places.append(memory.data_ptr())

    assert places[0] == places[1]


# --- losses of single tokens ----------------------------------------------------------------


@pytest.mark.usefixtures("narrow_tiles")
def test_token_losses_are_those_of_every_row() -> None:
    *tensors, targets = problem()

    losses = token_losses(*tensors, targets)

    logits = functional.linear(*tensors)
    expected = functional.cross_entropy(logits, targets, ignore_index=PADDING_ID, reduction="none")
    torch.testing.assert_close(losses, expected.detach())
    assert not losses.requires_grad


def test_token_losses_of_padding_are_zero() -> None:
    *tensors, targets = problem()
    targets[3] = PADDING_ID

    losses = token_losses(*tensors, targets)

    assert losses[3] == 0.0
    assert (losses[targets != PADDING_ID] > 0).all()


def test_token_losses_are_in_full_precision_whatever_autocast_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_entropy, "_cpu_multiplies_bf16", lambda: True)
    *tensors, targets = problem()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = token_losses(*tensors, targets)

    assert torch.equal(losses, token_losses(*tensors, targets))


# --- wrong arguments ------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-3, WORDS])
def test_a_target_outside_of_the_vocabulary_is_named(wrong: int) -> None:
    *tensors, targets = problem()
    targets[7] = wrong

    for function in (linear_cross_entropy, token_losses):
        with pytest.raises(DataError, match=f"target {wrong} of row 7 .* 0 to {WORDS - 1}"):
            function(*tensors, targets)


def test_shapes_that_do_not_fit_are_printed() -> None:
    hidden, weight, bias, targets = problem()

    with pytest.raises(ParameterError, match=r"tuple\(weight.shape\)=\(101, 7\)"):
        linear_cross_entropy(hidden, weight[:, 1:], bias, targets)


def test_targets_that_are_no_integers_are_refused() -> None:
    *tensors, targets = problem()

    with pytest.raises(ColumnTypeError, match="targets must be integers"):
        linear_cross_entropy(*tensors, targets.float())


def test_a_misspelt_precision_is_corrected() -> None:
    *tensors, targets = problem()

    with pytest.raises(ParameterError, match="did you mean 'bf16'"):
        linear_cross_entropy(*tensors, targets, products="bf61")  # type: ignore[arg-type]


def test_a_chunk_has_a_row_at_least() -> None:
    *tensors, targets = problem()

    with pytest.raises(ParameterError, match="chunk_rows=0 must be at least 1"):
        linear_cross_entropy(*tensors, targets, chunk_rows=0)
