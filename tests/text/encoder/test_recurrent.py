"""One recurrent layer computes what torch's does; in training alone some weights are dropped."""

import copy
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.text.encoder.recurrent import Cell, Initialisation, RecurrentLayer

CELLS: tuple[Cell, ...] = get_args(Cell)


def a_layer(cell: Cell = "lstm", *, weight_drop: float = 0.0, seed: int = 0) -> RecurrentLayer:
    torch.manual_seed(seed)
    layer = RecurrentLayer(5, 8, cell=cell, weight_drop=weight_drop)
    with torch.no_grad():  # an IRNN's would be too simple
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def torchs(layer: RecurrentLayer) -> nn.RNNBase:
    """torch's own layer with the same weights."""
    classes: dict[str, Callable[[], nn.RNNBase]] = {
        "lstm": lambda: nn.LSTM(5, 8),
        "gru": lambda: nn.GRU(5, 8),
        "irnn": lambda: nn.RNN(5, 8, nonlinearity="relu"),
    }
    found = classes[layer.cell]()
    with torch.no_grad():
        for ours, theirs in zip(layer.parameters(), found.parameters(), strict=True):
            theirs.copy_(ours)
    return found


def a_sequence(*, length: int = 6, rows: int = 3) -> Tensor:
    return torch.randn(length, rows, 5, generator=torch.Generator().manual_seed(1))


def run(layer: RecurrentLayer, sequence: Tensor | None = None) -> Tensor:
    sequence = a_sequence() if sequence is None else sequence
    outputs, _ = layer(sequence, layer.initial_state(sequence.shape[1]))
    return outputs


# -------------------------------------------------------------------------------- equal to torch


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_state_and_gradients_are_torchs(
    cell: Cell, training: bool, dtype: torch.dtype
) -> None:
    ours = a_layer(cell).to(dtype).train(training)
    theirs = torchs(ours).to(dtype)
    sequence = a_sequence().to(dtype).requires_grad_()
    before = tuple(torch.randn(3, 8, dtype=dtype, requires_grad=True) for _ in range(ours.n_states))
    as_theirs = tuple(part.unsqueeze(0) for part in before)
    inputs = [sequence, *before]

    outputs, state = ours(sequence, before)
    found = torch.autograd.grad(
        outputs.square().sum() + sum(part.sum() for part in state), [*inputs, *ours.parameters()]
    )
    expected_outputs, after = theirs(sequence, as_theirs if cell == "lstm" else as_theirs[0])
    expected_state = [part[0] for part in (after if cell == "lstm" else (after,))]
    expected = torch.autograd.grad(
        expected_outputs.square().sum() + sum(part.sum() for part in expected_state),
        [*inputs, *theirs.parameters()],
    )

    assert torch.equal(outputs, expected_outputs)
    assert all(torch.equal(*pair) for pair in zip(state, expected_state, strict=True))
    for gradient, of_torch in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, of_torch, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_in_two_parts_gives_what_it_gives_in_one(cell: Cell) -> None:
    layer, sequence = a_layer(cell).eval(), a_sequence(length=9)

    first, state = layer(sequence[:4], layer.initial_state(3))
    second, last = layer(sequence[4:], state)

    whole, expected = layer(sequence, layer.initial_state(3))
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(last, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_states_in_any_memory_order_are_taken(cell: Cell) -> None:
    layer = a_layer(cell).eval()
    state = tuple(torch.randn(8, 3).t() for _ in range(layer.n_states))

    outputs, _ = layer(a_sequence(), state)

    expected, _ = layer(a_sequence(), tuple(part.contiguous() for part in state))
    assert torch.equal(outputs, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_with_dropped_weights_pass_gradcheck(cell: Cell) -> None:
    layer = RecurrentLayer(2, 3, cell=cell, weight_drop=0.5).double()
    sequence = torch.randn(3, 2, 2, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def forward(*weights: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same entries every time
        state = layer.initial_state(2)
        values = dict(zip(names, weights, strict=True))
        outputs, _ = torch.func.functional_call(layer, values, (sequence, state))
        assert isinstance(outputs, Tensor)
        return outputs

    weights = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())
    assert torch.autograd.gradcheck(forward, weights)


# -------------------------------------------------------------------------------- weight drop


@pytest.mark.parametrize("cell", CELLS)
def test_two_training_passes_drop_other_weights(cell: Cell) -> None:
    layer = a_layer(cell, weight_drop=0.5)

    assert not torch.equal(run(layer), run(layer))


@pytest.mark.parametrize("cell", CELLS)
def test_a_training_pass_uses_the_dropped_matrix(cell: Cell) -> None:
    layer = a_layer(cell, weight_drop=0.5)

    outputs = run(layer)

    assert layer._dropped.mask is not None
    mask = layer._dropped.mask
    identity = torch.eye(8) if cell == "irnn" else torch.zeros(1, 8)
    masked = copy.deepcopy(layer).eval()
    with torch.no_grad():
        masked.weight_hidden.sub_(identity).mul_(mask).add_(identity)
    torch.testing.assert_close(outputs, run(masked), rtol=1e-6, atol=1e-6)
    assert 0.2 < (mask == 0).double().mean().item() < 0.8


@pytest.mark.parametrize("cell", CELLS)
def test_evaluation_uses_the_raw_weights(cell: Cell) -> None:
    layer = a_layer(cell, weight_drop=0.5)
    run(layer)

    outputs = run(layer.eval())

    expected, _ = torchs(layer)(a_sequence())
    assert torch.equal(outputs, expected)


def test_training_leaves_the_raw_weights_alone() -> None:
    layer = a_layer(weight_drop=0.5)
    before = [parameter.clone() for parameter in layer.parameters()]

    run(layer).sum().backward()

    assert all(torch.equal(*pair) for pair in zip(layer.parameters(), before, strict=True))


def test_dropped_weights_get_no_gradient() -> None:
    layer = a_layer(weight_drop=0.5)

    run(layer).sum().backward()

    assert layer._dropped.mask is not None
    assert layer.weight_hidden.grad is not None
    assert torch.equal(layer.weight_hidden.grad == 0, layer._dropped.mask == 0)


def test_a_seed_repeats_the_dropped_weights() -> None:
    layer = a_layer(weight_drop=0.5)
    state = torch.get_rng_state()
    first = run(layer)

    torch.set_rng_state(state)

    assert torch.equal(run(layer), first)


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
        assert parameter.grad is not None
        assert gradient is not None
        assert torch.equal(parameter.grad, gradient)


def test_training_steps_take_no_new_memory() -> None:
    layer = a_layer(weight_drop=0.5)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    places = set()

    for _ in range(4):
        loss = run(layer).sum()
        loss.backward()
        optimizer.step()
        assert layer._dropped._block is not None
        places.add(layer._dropped._block.parts[0].data_ptr())

    assert len(places) == 1


# --------------------------------------------------------------------------------- fixed masks


def test_a_fixed_mask_is_the_same_in_all_passes_and_another_afterwards() -> None:
    layer = a_layer(weight_drop=0.5)

    with layer.fixed_mask():
        first, second = run(layer), run(layer)
    third = run(layer)
    with layer.fixed_mask():
        fourth = run(layer)

    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(first, fourth)


def test_chunks_under_a_fixed_mask_have_the_gradient_of_the_whole() -> None:
    layer, sequence = a_layer(weight_drop=0.5).double(), a_sequence(length=9).double()
    torch.manual_seed(3)
    with layer.fixed_mask():
        run(layer, sequence).sum().backward()
    expected = [parameter.grad for parameter in layer.parameters()]
    layer.zero_grad()

    torch.manual_seed(3)
    with layer.fixed_mask():
        first, state = layer(sequence[:4], layer.initial_state(3))
        second, _ = layer(sequence[4:], state)
    (first.sum() + second.sum()).backward()

    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=1e-12)


def test_gradients_may_begin_in_a_later_chunk() -> None:
    layer, sequence = a_layer(weight_drop=0.5), a_sequence(length=9)

    with layer.fixed_mask():
        with torch.no_grad():
            _, state = layer(sequence[:4], layer.initial_state(3))
        outputs, _ = layer(sequence[4:], state)
        outputs.sum().backward()

    assert layer.weight_hidden.grad is not None
    assert layer._dropped.mask is not None
    assert torch.equal(layer.weight_hidden.grad == 0, layer._dropped.mask == 0)


def test_evaluation_ignores_a_fixed_mask() -> None:
    layer = a_layer(weight_drop=0.5).eval()

    with layer.fixed_mask():
        outputs = run(layer)

    assert torch.equal(outputs, run(layer))


# ------------------------------------------------------------------------------ initialisation


@pytest.mark.parametrize("cell", CELLS)
def test_weights_start_uniform_within_the_papers_bound(cell: Cell) -> None:
    layer = RecurrentLayer(100, 64, cell=cell)

    drawn = [layer.weight_input]
    if cell != "irnn":
        drawn += [layer.weight_hidden, layer.bias_input, layer.bias_hidden]

    for weight in drawn:
        assert 0.95 / 8 < weight.abs().max().item() <= 1 / 8
        assert weight.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.15)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_orthogonal_matrices_are_so_gate_by_gate(cell: Cell) -> None:
    layer = RecurrentLayer(5, 16, cell=cell, recurrent_initialisation="orthogonal")

    gates = torch.split(layer.weight_hidden.detach(), 16)

    for gate in gates:
        torch.testing.assert_close(gate @ gate.t(), torch.eye(16), rtol=1e-5, atol=1e-5)
    assert not torch.equal(gates[0], gates[1])


@pytest.mark.parametrize(("cell", "n_gates"), [("lstm", 4), ("gru", 3), ("irnn", 1)])
def test_identities_are_so_gate_by_gate(cell: Cell, n_gates: int) -> None:
    layer = RecurrentLayer(5, 16, cell=cell, recurrent_initialisation="identity")

    assert torch.equal(layer.weight_hidden, torch.eye(16).repeat(n_gates, 1))


def test_an_irnn_starts_as_the_identity_without_biases() -> None:
    layer = RecurrentLayer(5, 16, cell="irnn")

    assert torch.equal(layer.weight_hidden, torch.eye(16))
    assert not layer.bias_input.any()
    assert not layer.bias_hidden.any()


def test_an_irnn_keeps_what_it_was_given_whatever_is_dropped() -> None:
    layer = RecurrentLayer(5, 16, cell="irnn", weight_drop=0.5)
    state = (torch.rand(3, 16),)

    _, (after,) = layer(torch.zeros(300, 3, 5), state)

    torch.testing.assert_close(after, state[0], rtol=1e-3, atol=1e-3)


def test_initialising_anew_draws_other_weights() -> None:
    layer = RecurrentLayer(5, 8)
    before = layer.weight_hidden.clone()

    layer.reset_parameters()

    assert not torch.equal(layer.weight_hidden, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_width": 0, "width": 3}, "widths must be at least 1"),
        ({"input_width": 3, "width": 0}, "widths must be at least 1"),
        ({"input_width": 3, "width": 3, "weight_drop": 1.0}, r"weight_drop must be in \[0, 1\)"),
        ({"input_width": 3, "width": 3, "cell": "rnn"}, "cell='rnn' is not one of 'lstm', 'gru'"),
        (
            {"input_width": 3, "width": 3, "recurrent_initialisation": "zero"},
            "recurrent_initialisation='zero' is not one of 'uniform'",
        ),
        (
            {"input_width": 3, "width": 3, "cell": "irnn", "recurrent_initialisation": "uniform"},
            "an IRNN starts as the identity",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        RecurrentLayer(**arguments)  # type: ignore[arg-type]  # wrong on purpose


# ------------------------------------------------------------------------- copies and precision


def test_the_state_dict_holds_four_weights_of_their_own() -> None:
    layer = a_layer(weight_drop=0.5)
    run(layer).sum().backward()

    state = layer.state_dict()

    assert list(state) == ["weight_input", "weight_hidden", "bias_input", "bias_hidden"]
    assert len({value.untyped_storage().data_ptr() for value in state.values()}) == 4
    assert not list(layer.buffers())


@pytest.mark.parametrize("training", [True, False])
def test_loaded_weights_count_at_once(training: bool) -> None:
    layer, other = a_layer(weight_drop=0.5), a_layer(weight_drop=0.5, seed=7)
    run(layer)

    layer.load_state_dict(other.state_dict())

    torch.manual_seed(3)
    found = run(layer.train(training))
    torch.manual_seed(3)
    assert torch.equal(found, run(other.train(training)))


def test_a_copy_is_independent() -> None:
    layer = a_layer(weight_drop=0.5)
    outputs = run(layer)

    other = copy.deepcopy(layer)
    run(other).sum().backward()
    outputs.sum().backward()

    assert other.weight_hidden.grad is not None
    assert layer.weight_hidden.grad is not None
    torch.manual_seed(3)
    of_copy = run(other)
    torch.manual_seed(3)
    assert torch.equal(of_copy, run(layer))


def test_a_layer_can_change_its_precision_between_passes() -> None:
    layer = a_layer(weight_drop=0.5)
    run(layer).sum().backward()

    layer.double()
    outputs = run(layer, a_sequence().double())

    assert outputs.dtype == torch.float64


@pytest.mark.parametrize("has_bfloat16", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_autocast_takes_what_the_machine_has(
    cell: Cell, training: bool, has_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("needs a CPU with bfloat16 products")
    monkeypatch.setattr("tabtext.text.encoder.recurrent._cpu_has_bfloat16", lambda: has_bfloat16)
    layer = a_layer(cell, weight_drop=0.5).train(training)
    torch.manual_seed(3)
    expected = run(layer)

    torch.manual_seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = layer(a_sequence().bfloat16().float(), layer.initial_state(3))
    outputs.float().sum().backward()

    reduced = has_bfloat16 and cell == "lstm"
    assert outputs.dtype == (torch.bfloat16 if reduced else torch.float32)
    assert {part.dtype for part in state} == {torch.float32}
    assert layer.weight_hidden.grad is not None
    assert layer.weight_hidden.grad.dtype == torch.float32
    torch.testing.assert_close(outputs.float(), expected, rtol=3e-2, atol=3e-2)


def test_frozen_weights_still_pass_gradients_on() -> None:
    layer = a_layer(weight_drop=0.5).requires_grad_(False)
    sequence = a_sequence().requires_grad_()

    run(layer, sequence).sum().backward()

    assert sequence.grad is not None
    assert bool(sequence.grad.any())


def test_gradients_are_at_hand_in_evaluation() -> None:
    layer = a_layer(weight_drop=0.5).eval()
    sequence = a_sequence().requires_grad_()

    run(layer, sequence).sum().backward()

    assert sequence.grad is not None
    assert bool(sequence.grad.any())


def test_the_initialisations_are_all_known() -> None:
    for name in get_args(Initialisation):
        assert RecurrentLayer(3, 4, recurrent_initialisation=name).recurrent_initialisation == name
