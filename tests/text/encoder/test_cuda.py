"""The encoder on a GPU: cuDNN reads its weights where they lie, whatever is dropped."""

import copy
import warnings
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from tabtext.dropout import fill_dropout_mask
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.text.encoder.recurrent import Cell, RecurrentLayer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    # Said by the thread of backward passes, when the first product of a process is its.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]

GPU = torch.device("cuda", 0)
CELLS: tuple[Cell, ...] = get_args(Cell)
N_WORDS, ROWS, LENGTH = 40, 8, 12


def a_layer(cell: Cell = "lstm", *, weight_drop: float = 0.0) -> RecurrentLayer:
    torch.manual_seed(0)
    return RecurrentLayer(24, 32, cell=cell, weight_drop=weight_drop).to(GPU)


def torchs(layer: RecurrentLayer) -> nn.RNNBase:
    classes: dict[str, Callable[[], nn.RNNBase]] = {
        "lstm": lambda: nn.LSTM(24, 32),
        "gru": lambda: nn.GRU(24, 32),
        "irnn": lambda: nn.RNN(24, 32, nonlinearity="relu"),
    }
    found = classes[layer.cell]().to(GPU)
    with torch.no_grad():
        for ours, theirs in zip(layer.parameters(), found.parameters(), strict=True):
            theirs.copy_(ours)
    return found


def a_sequence() -> Tensor:
    return torch.randn(LENGTH, ROWS, 24, generator=torch.Generator().manual_seed(1)).to(GPU)


def run(layer: RecurrentLayer) -> Tensor:
    outputs, _ = layer(a_sequence(), layer.initial_state(ROWS))
    return outputs


def an_encoder(**options: Any) -> AWDLSTM:
    torch.manual_seed(0)
    shape = {"embedding_width": 24, "hidden_width": 32, "n_layers": 3}
    return AWDLSTM(N_WORDS, EncoderOptions(**{**shape, **options})).to(GPU)


def some_tokens() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, N_WORDS, (ROWS, LENGTH), generator=generator).to(GPU)


@pytest.fixture(autouse=True)
def _in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare without the rounding of tf32, which cuDNN's layers use by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


# torch says of weights outside one block that they "are not part of single contiguous chunk of
# memory"; here, as everywhere in these tests, a warning is an error.


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("weight_drop", [0.0, 0.5])
@pytest.mark.parametrize("cell", CELLS)
def test_cudnn_finds_the_weights_in_one_block(
    cell: Cell, weight_drop: float, training: bool
) -> None:
    layer = a_layer(cell, weight_drop=weight_drop).train(training)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            run(layer).sum().backward()


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_and_gradients_are_torchs(cell: Cell) -> None:
    ours = a_layer(cell)
    theirs = torchs(ours)

    found, (expected, _) = run(ours), theirs(a_sequence())
    found.square().sum().backward()
    expected.square().sum().backward()

    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_a_training_pass_uses_the_dropped_matrix_and_masks_its_gradient(cell: Cell) -> None:
    layer = a_layer(cell, weight_drop=0.5)

    outputs = run(layer)
    outputs.sum().backward()

    assert layer._dropped.mask is not None
    mask = layer._dropped.mask
    identity = torch.eye(32, device=GPU) if cell == "irnn" else torch.zeros(1, 32, device=GPU)
    masked = copy.deepcopy(layer).eval()
    with torch.no_grad():
        masked.weight_hidden.sub_(identity).mul_(mask).add_(identity)
    torch.testing.assert_close(outputs, run(masked), rtol=1e-5, atol=1e-5)
    assert layer.weight_hidden.grad is not None
    assert not layer.weight_hidden.grad[mask == 0].any()


def test_two_training_passes_drop_other_weights_and_evaluation_none() -> None:
    layer = a_layer(weight_drop=0.5)

    assert not torch.equal(run(layer), run(layer))
    expected, _ = torchs(layer)(a_sequence())
    torch.testing.assert_close(run(layer.eval()), expected, rtol=1e-5, atol=1e-6)


def test_weights_that_changed_count_in_evaluation() -> None:
    layer = a_layer().eval()
    with torch.no_grad():
        run(layer)
        layer.weight_input.data.zero_()  # unseen by autograd, as what fused optimizers do

        found = run(layer)

    expected, _ = torchs(layer)(a_sequence())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_pass_before_the_backward_pass_changes_no_gradient() -> None:
    layer = a_layer(weight_drop=0.5)
    torch.manual_seed(3)
    run(layer).sum().backward()
    expected = [parameter.grad for parameter in layer.parameters()]
    layer.zero_grad()

    torch.manual_seed(3)
    first = run(layer)
    run(layer)
    first.sum().backward()

    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-5)


def test_training_steps_take_no_new_memory() -> None:
    encoder = an_encoder()
    optimizer = torch.optim.AdamW(encoder.parameters(), fused=True)
    taken = []

    for _ in range(6):
        output = encoder(some_tokens(), encoder.initial_state(ROWS))
        (output.outputs.sum() + encoder.extra_loss()).backward()
        optimizer.step()
        optimizer.zero_grad()
        del output
        taken.append(torch.cuda.memory_allocated())

    assert len(set(taken[2:])) == 1


@pytest.mark.parametrize("rate", [0.02, 0.5])
def test_the_stated_share_is_dropped(rate: float) -> None:
    n = 1_000_003

    mask = fill_dropout_mask(torch.empty(n, device=GPU), rate)

    share = (mask == 0).double().mean().item()
    assert abs(share - rate) < 4 * (rate * (1 - rate) / n) ** 0.5
    assert mask.double().mean().item() == pytest.approx(1.0, abs=0.01)


def test_masks_come_from_the_devices_generator() -> None:
    state = torch.cuda.get_rng_state(GPU)
    first = fill_dropout_mask(torch.empty(1000, device=GPU), 0.5)

    torch.cuda.set_rng_state(state, GPU)

    assert torch.equal(fill_dropout_mask(torch.empty(1000, device=GPU), 0.5), first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("cell", CELLS)
def test_autocast_computes_in_the_type_that_was_asked_for(cell: Cell, dtype: torch.dtype) -> None:
    encoder = an_encoder(cell=cell)
    torch.manual_seed(3)
    expected = encoder(some_tokens(), encoder.initial_state(ROWS)).raw

    torch.manual_seed(3)
    with torch.autocast("cuda", dtype=dtype):
        output = encoder(some_tokens(), encoder.initial_state(ROWS))
    (output.outputs.float().sum() + encoder.extra_loss()).backward()

    assert output.raw.dtype == dtype
    assert {part.dtype for layer in output.state for part in layer} == {torch.float32}
    torch.testing.assert_close(output.raw.float(), expected, rtol=5e-2, atol=5e-2)
    for parameter in encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32


def test_chunks_under_fixed_masks_have_the_gradients_of_the_whole() -> None:
    encoder, tokens = an_encoder().double(), some_tokens()
    found = []
    for lengths in ((LENGTH,), (5, LENGTH - 5)):
        torch.manual_seed(3)
        state, total = encoder.initial_state(ROWS), torch.zeros((), device=GPU)
        with encoder.fixed_masks(ROWS):
            for part in tokens.split(lengths, dim=1):
                output = encoder(part, state)
                state, total = output.state, total + output.outputs.square().sum()
        total.backward()
        found.append([parameter.grad for parameter in encoder.parameters()])
        encoder.zero_grad()

    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-10)


def test_gradients_are_at_hand_in_evaluation() -> None:
    layer = a_layer(weight_drop=0.5).eval()
    sequence = a_sequence().requires_grad_()

    outputs, _ = layer(sequence, layer.initial_state(ROWS))
    outputs.sum().backward()

    assert sequence.grad is not None
    assert bool(sequence.grad.any())


def test_the_gpu_computes_what_the_cpu_does_and_back() -> None:
    encoder = an_encoder().eval()
    on_gpu = encoder(some_tokens(), encoder.initial_state(ROWS)).outputs

    encoder.cpu()
    on_cpu = encoder(some_tokens().cpu(), encoder.initial_state(ROWS)).outputs
    encoder.to(GPU)
    again = encoder(some_tokens(), encoder.initial_state(ROWS)).outputs

    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(on_gpu, again, rtol=0, atol=0)


# torch says with a warning that the mode is a prototype.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_nothing_in_a_training_pass_waits_for_the_device() -> None:
    encoder, tokens = an_encoder(), some_tokens()
    output = encoder(tokens, encoder.initial_state(ROWS))
    output.outputs.sum().backward()

    torch.cuda.set_sync_debug_mode("error")
    try:
        output = encoder(tokens, encoder.initial_state(ROWS))
        (output.outputs.sum() + encoder.extra_loss()).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert output.outputs.is_cuda
