"""The encoder: torch's stack of LSTMs without dropout, and with it what the paper drops and how."""

import copy
import gc
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args
from weakref import ref

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tabtext.errors import ColumnTypeError, ParameterError
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions, State
from tabtext.text.encoder.recurrent import Cell

CELLS: tuple[Cell, ...] = get_args(Cell)
N_WORDS, ROWS, LENGTH = 40, 3, 7
NO_DROPOUT = {
    "embedding_dropout": 0.0,
    "input_dropout": 0.0,
    "weight_drop": 0.0,
    "hidden_dropout": 0.0,
    "output_dropout": 0.0,
}
NO_PENALTY = {"activation_regularisation": 0.0, "temporal_activation_regularisation": 0.0}


def an_encoder(*, n_layers: int = 3, seed: int = 0, **options: Any) -> AWDLSTM:
    torch.manual_seed(seed)
    shape = {"embedding_width": 6, "hidden_width": 10, "n_layers": n_layers}
    return AWDLSTM(N_WORDS, EncoderOptions(**{**shape, **options}))


def only(**options: Any) -> AWDLSTM:
    """An encoder with one kind of dropout."""
    return an_encoder(**{**NO_DROPOUT, **NO_PENALTY, **options})


def some_tokens(rows: int = ROWS, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, N_WORDS, (rows, length), generator=generator)


def outputs_of(encoder: AWDLSTM, tokens: Tensor | None = None, *, seed: int = 3) -> Tensor:
    tokens = some_tokens() if tokens is None else tokens
    torch.manual_seed(seed)
    return encoder(tokens, encoder.initial_state(len(tokens))).outputs


def gradients_of(module: nn.Module) -> list[Tensor]:
    found = [parameter.grad for parameter in module.parameters()]
    module.zero_grad()
    return [gradient for gradient in found if gradient is not None]


def extra(encoder: AWDLSTM) -> float:
    """The value of the extra loss."""
    return float(torch.as_tensor(encoder.extra_loss()).detach())


def detached(state: State) -> State:
    return tuple(tuple(part.detach() for part in layer) for layer in state)


@contextmanager
def inputs_of_layers(encoder: AWDLSTM) -> Iterator[list[Tensor]]:
    """Watch what goes into the layers ``(length, rows, width)``."""
    seen: list[Tensor] = []
    handles = [
        layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
        for layer in encoder.layers
    ]
    yield seen
    for handle in handles:
        handle.remove()


# --------------------------------------------------------------------- without dropout: plain torch


class Stack(nn.Module):
    """What the encoder is without its dropouts, by hand."""

    def __init__(self, encoder: AWDLSTM) -> None:
        super().__init__()
        classes = {"lstm": nn.LSTM, "gru": nn.GRU, "irnn": nn.RNN}
        widths, n_layers = (6, 10), len(encoder.layers)
        self.embedding = nn.Embedding(N_WORDS, 6)
        self.layers = nn.ModuleList()
        for number in range(n_layers):
            shape = widths[number > 0], widths[number < n_layers - 1]
            more = {"nonlinearity": "relu"} if encoder.options.cell == "irnn" else {}
            self.layers.append(classes[encoder.options.cell](*shape, batch_first=True, **more))
        with torch.no_grad():
            for ours, theirs in zip(encoder.parameters(), self.parameters(), strict=True):
                theirs.copy_(ours)

    def forward(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        sequence, state = self.embedding(tokens), []
        for layer in self.layers:
            sequence, after = layer(sequence)
            state += [part[0] for part in (after if isinstance(after, tuple) else (after,))]
        return sequence, state


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("training", [True, False])
def test_without_dropout_it_equals_a_stack_by_hand(
    cell: Cell, n_layers: int, training: bool
) -> None:
    encoder = only(cell=cell, n_layers=n_layers).train(training)
    stack, tokens = Stack(encoder), some_tokens()
    direction = torch.randn(ROWS, LENGTH, 6)

    output = encoder(tokens, encoder.initial_state(ROWS))
    parts = [part for layer in output.state for part in layer]
    ((output.outputs * direction).sum() + sum(part.sum() for part in parts)).backward()
    expected, expected_state = stack(tokens)
    ((expected * direction).sum() + sum(part.sum() for part in expected_state)).backward()

    close = {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(output.outputs, expected, **close)
    torch.testing.assert_close(output.raw, expected, **close)
    torch.testing.assert_close(parts, expected_state, **close)
    torch.testing.assert_close(gradients_of(encoder), gradients_of(stack), **close)


def test_evaluation_drops_nothing() -> None:
    encoder = an_encoder(output_dropout=0.5).eval()
    tokens = some_tokens()

    output = encoder(tokens, encoder.initial_state(ROWS))

    torch.testing.assert_close(output.outputs, Stack(encoder)(tokens)[0], rtol=1e-6, atol=1e-6)
    assert torch.equal(output.outputs, output.raw)


# ------------------------------------------------------------------------------------ stateless


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_in_pieces_gives_what_it_gives_in_one(cell: Cell) -> None:
    encoder, tokens = an_encoder(cell=cell).eval(), some_tokens(length=9)

    first = encoder(tokens[:, :4], encoder.initial_state(ROWS))
    second = encoder(tokens[:, 4:], first.state)

    whole = encoder(tokens, encoder.initial_state(ROWS))
    found = torch.cat([first.outputs, second.outputs], dim=1)
    torch.testing.assert_close(found, whole.outputs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(second.state, whole.state, rtol=1e-6, atol=1e-6)


def test_nothing_is_remembered_from_pass_to_pass() -> None:
    encoder = an_encoder().eval()
    before = outputs_of(encoder)

    outputs_of(encoder, some_tokens(length=30))

    assert torch.equal(outputs_of(encoder), before)


def test_a_row_does_not_depend_on_others() -> None:
    encoder, tokens = an_encoder().eval(), some_tokens()

    alone = torch.cat([outputs_of(encoder, row[None]) for row in tokens])

    torch.testing.assert_close(alone, outputs_of(encoder, tokens), rtol=1e-6, atol=1e-6)


def test_an_empty_batch_gives_an_empty_result() -> None:
    encoder = an_encoder().eval()

    output = encoder(some_tokens(rows=0), encoder.initial_state(0))

    assert output.outputs.shape == (0, LENGTH, 6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_tokens_of_every_integer_type_are_taken(dtype: torch.dtype) -> None:
    encoder = an_encoder()

    assert torch.equal(outputs_of(encoder, some_tokens().to(dtype)), outputs_of(encoder))


def test_vectors_lie_time_first_in_memory() -> None:
    encoder = an_encoder()

    output = encoder(some_tokens(), encoder.initial_state(ROWS))

    assert output.outputs.transpose(0, 1).is_contiguous()
    assert output.raw.transpose(0, 1).is_contiguous()


# ------------------------------------------------------------------------------ what is dropped


def test_words_are_dropped_wherever_they_occur() -> None:
    encoder = only(embedding_dropout=0.5)
    tokens = torch.arange(N_WORDS).repeat(2, 2)  # every word twice in each of two rows

    with inputs_of_layers(encoder) as seen:
        outputs_of(encoder, tokens)

    vectors = seen[0].transpose(0, 1).reshape(4, N_WORDS, 6)
    assert all(torch.equal(vectors[0], copy) for copy in vectors[1:])
    dropped = (vectors[0] == 0).all(dim=1)
    assert 5 < int(dropped.sum()) < 35
    assert torch.equal(vectors[0][~dropped], 2 * encoder.embedding.weight[~dropped])


def test_inputs_are_dropped_alike_at_all_steps_and_otherwise_in_each_row() -> None:
    encoder = only(input_dropout=0.5)

    with inputs_of_layers(encoder) as seen:
        outputs_of(encoder)

    ratio = seen[0] / encoder.embedding.weight[some_tokens().t()]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-6, atol=0)
    assert ratio[0].unique().round(decimals=5).tolist() == [0.0, 2.0]
    assert not torch.equal(ratio[0, 0], ratio[0, 1])


def test_hidden_dropout_acts_between_layers_and_output_dropout_behind_the_last() -> None:
    encoder = only(hidden_dropout=0.5)
    with inputs_of_layers(encoder) as seen:
        output = encoder(some_tokens(), encoder.initial_state(ROWS))

    zeros = [(sequence == 0) for sequence in seen]
    assert not zeros[0].any()
    for places in zeros[1:]:
        assert 0.2 < places.double().mean().item() < 0.8
        assert torch.equal(places, places[:1].expand_as(places))
    assert not torch.equal(zeros[1][0], zeros[2][0])
    assert torch.equal(output.outputs, output.raw)

    output = only(output_dropout=0.5)(some_tokens(), encoder.initial_state(ROWS))
    kept = output.outputs != 0
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert torch.equal(output.outputs, torch.where(kept, 2 * output.raw, 0.0))


def test_every_layer_drops_weights_of_its_own() -> None:
    encoder = only(weight_drop=0.5)

    outputs_of(encoder)

    masks = [layer._dropped.mask for layer in encoder.layers]
    assert [mask.shape for mask in masks] == [(40, 10), (40, 10), (24, 6)]
    assert not torch.equal(masks[0], masks[1])
    for mask in masks:
        assert mask.unique().tolist() == [0.0, 2.0]


@pytest.mark.parametrize("name", NO_DROPOUT)
def test_each_dropout_changes_from_pass_to_pass(name: str) -> None:
    encoder, state = only(**{name: 0.5}), only().initial_state(ROWS)

    first, second = (encoder(some_tokens(), state).outputs for _ in range(2))

    assert not torch.equal(first, second)


def test_one_scale_multiplies_all_rates() -> None:
    options = EncoderOptions(dropout_scale=0.5)

    assert options.rates() == {
        "embedding_dropout": 0.01,
        "input_dropout": 0.125,
        "weight_drop": 0.1,
        "hidden_dropout": 0.075,
        "output_dropout": 0.05,
    }
    assert AWDLSTM(9, options).layers[0].weight_drop == 0.1


def test_a_scale_of_zero_drops_nothing() -> None:
    encoder = an_encoder(dropout_scale=0.0)

    assert torch.equal(outputs_of(encoder, seed=3), outputs_of(encoder, seed=4))


def test_a_generators_state_repeats_a_pass() -> None:
    encoder = an_encoder()
    outputs_of(encoder)
    state = torch.get_rng_state()
    first = encoder(some_tokens(), encoder.initial_state(ROWS)).outputs

    torch.manual_seed(99)
    torch.set_rng_state(state)

    assert torch.equal(encoder(some_tokens(), encoder.initial_state(ROWS)).outputs, first)


# --------------------------------------------------------------------------------- fixed masks


@pytest.mark.parametrize("name", NO_DROPOUT)
def test_fixed_masks_are_the_same_in_all_passes_and_others_afterwards(name: str) -> None:
    encoder = only(**{name: 0.5})
    state = encoder.initial_state(ROWS)

    with encoder.fixed_masks(ROWS):
        first, second = (encoder(some_tokens(), state).outputs for _ in range(2))
    third = encoder(some_tokens(), state).outputs
    with encoder.fixed_masks(ROWS):
        fourth = encoder(some_tokens(), state).outputs

    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(first, fourth)


def test_chunks_under_fixed_masks_have_outputs_and_gradients_of_the_whole() -> None:
    encoder, tokens = an_encoder().double(), some_tokens(length=9)
    torch.manual_seed(3)
    with encoder.fixed_masks(ROWS):
        whole = encoder(tokens, encoder.initial_state(ROWS)).outputs
    whole.square().sum().backward()
    expected = gradients_of(encoder)

    torch.manual_seed(3)
    with encoder.fixed_masks(ROWS):
        first = encoder(tokens[:, :4], encoder.initial_state(ROWS))
        second = encoder(tokens[:, 4:], first.state)
    found = torch.cat([first.outputs, second.outputs], dim=1)
    found.square().sum().backward()

    torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients_of(encoder), expected, rtol=1e-10, atol=1e-12)


def test_fewer_rows_under_fixed_masks_are_the_first() -> None:
    encoder, tokens = an_encoder(), some_tokens()

    with encoder.fixed_masks(ROWS):
        whole = encoder(tokens, encoder.initial_state(ROWS)).outputs
        part = encoder(tokens[:2], encoder.initial_state(2)).outputs

    torch.testing.assert_close(part, whole[:2], rtol=1e-6, atol=1e-6)


def test_more_rows_than_masks_were_fixed_for_are_refused() -> None:
    encoder = an_encoder()

    message = "masks are fixed for 2 rows, however: n_rows=3"
    with encoder.fixed_masks(2), pytest.raises(ParameterError, match=message):
        outputs_of(encoder)


def test_masks_are_fixed_once_at_a_time_and_free_after_an_error() -> None:
    encoder = an_encoder()

    message = "masks are fixed already"
    with pytest.raises(ParameterError, match=message), encoder.fixed_masks(ROWS):  # noqa: SIM117
        with encoder.fixed_masks(ROWS):
            pass

    assert not torch.equal(outputs_of(encoder, seed=3), outputs_of(encoder, seed=4))


def test_evaluation_ignores_fixed_masks() -> None:
    encoder = an_encoder().eval()

    with encoder.fixed_masks(1):
        outputs = outputs_of(encoder)

    assert torch.equal(outputs, outputs_of(encoder))


# ---------------------------------------------------------------------- activation regularisation


def test_the_extra_loss_is_that_of_the_paper() -> None:
    encoder = an_encoder(output_dropout=0.5)

    output = encoder(some_tokens(), encoder.initial_state(ROWS))
    found = extra(encoder)

    changes = output.raw[:, 1:] - output.raw[:, :-1]
    expected = 2 * output.outputs.square().mean() + changes.square().mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)


def test_the_extra_loss_has_gradients() -> None:
    encoder = an_encoder()
    stacked = copy.deepcopy(encoder)

    outputs_of(encoder)
    encoder.extra_loss().backward()  # type: ignore[union-attr]  # it is a tensor
    torch.manual_seed(3)
    output = stacked(some_tokens(), stacked.initial_state(ROWS))
    changes = functional.mse_loss(output.raw[:, 1:], output.raw[:, :-1])
    (2 * output.outputs.square().mean() + changes).backward()

    torch.testing.assert_close(gradients_of(encoder), gradients_of(stacked), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("alpha", "beta"), [(3.0, 0.0), (0.0, 3.0)])
def test_either_weight_counts_alone(alpha: float, beta: float) -> None:
    encoder = only(activation_regularisation=alpha, temporal_activation_regularisation=beta)

    output = encoder(some_tokens(), encoder.initial_state(ROWS))

    changes = (output.raw[:, 1:] - output.raw[:, :-1]).square().mean()
    expected = alpha * output.outputs.square().mean() + beta * changes
    assert extra(encoder) == pytest.approx(expected.item(), rel=1e-5)


def test_the_extra_loss_is_given_once() -> None:
    encoder = an_encoder()
    outputs_of(encoder)
    encoder.extra_loss()

    assert encoder.extra_loss() == 0.0


def test_the_extra_loss_is_that_of_the_last_pass() -> None:
    encoder = an_encoder()
    outputs_of(encoder)
    expected = extra(encoder)

    outputs_of(encoder, some_tokens(length=20))
    outputs_of(encoder)

    assert extra(encoder) == expected


def test_under_fixed_masks_the_extra_loss_is_the_mean_over_all_passes_with_gradients() -> None:
    encoder, tokens = an_encoder(), some_tokens(length=12)
    outputs_of(encoder)

    with encoder.fixed_masks(ROWS):
        with torch.no_grad():
            state = encoder(tokens[:, :3], encoder.initial_state(ROWS)).state
        first = encoder(tokens[:, 3:5], state)
        second = encoder(tokens[:, 5:], first.state)

    together = torch.cat([first.outputs, second.outputs], dim=1)
    changes = [(part.raw[:, 1:] - part.raw[:, :-1]) for part in (first, second)]
    expected = 2 * together.square().mean() + torch.cat(changes, dim=1).square().mean()
    assert extra(encoder) == pytest.approx(expected.item(), rel=1e-5)


def test_one_step_has_no_change_to_punish() -> None:
    encoder = only(activation_regularisation=0.0, temporal_activation_regularisation=1.0)

    outputs_of(encoder, some_tokens(length=1))

    assert encoder.extra_loss() == 0.0


def test_there_is_no_extra_loss_in_evaluation_or_without_gradients_or_weights() -> None:
    encoder = an_encoder()
    with torch.no_grad():
        outputs_of(encoder)
    assert encoder.extra_loss() == 0.0

    outputs_of(encoder.eval())
    assert encoder.extra_loss() == 0.0

    unweighted = an_encoder(**NO_PENALTY)
    outputs_of(unweighted)
    assert unweighted.extra_loss() == 0.0


def test_nothing_of_a_pass_outlives_its_backward_pass() -> None:
    encoder = an_encoder()
    output = encoder(some_tokens(), encoder.initial_state(ROWS))
    (output.outputs.sum() + encoder.extra_loss()).backward()
    left = [ref(output.outputs), ref(output.raw), ref(output.state[0][0])]

    del output
    gc.collect()

    assert [found() for found in left] == [None, None, None]


# ------------------------------------------------------------------------------ shape and options


def test_the_last_layer_is_as_wide_as_the_word_vectors() -> None:
    widths = [(layer.input_width, layer.width) for layer in an_encoder().layers]

    assert widths == [(6, 10), (10, 10), (10, 6)]


def test_layer_groups_run_from_the_embedding_to_the_last_layer() -> None:
    encoder = an_encoder()

    assert encoder.layer_groups() == [encoder.embedding, *encoder.layers]


def test_word_vectors_start_within_the_papers_bound() -> None:
    weight = AWDLSTM(1000).embedding.weight

    assert 0.099 < weight.abs().max().item() <= 0.1
    assert weight.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)


def test_the_state_starts_with_zeros_of_each_layers_width() -> None:
    lstm, gru = an_encoder().initial_state(2), an_encoder(cell="gru").initial_state(2)

    assert [[part.shape for part in layer] for layer in lstm] == [
        [(2, 10), (2, 10)],
        [(2, 10), (2, 10)],
        [(2, 6), (2, 6)],
    ]
    assert [[part.shape for part in layer] for layer in gru] == [[(2, 10)], [(2, 10)], [(2, 6)]]
    assert not any(part.any() for layer in lstm for part in layer)


def test_options_survive_json() -> None:
    options = EncoderOptions(cell="gru", hidden_width=7, recurrent_initialisation="orthogonal")

    assert EncoderOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_an_encoder_is_built_again_from_its_config() -> None:
    encoder = an_encoder(cell="irnn").eval()

    again = AWDLSTM.from_config(json.loads(json.dumps(encoder.config()))).eval()
    again.load_state_dict(encoder.state_dict())

    assert again.options == encoder.options
    assert torch.equal(outputs_of(again), outputs_of(encoder))


def test_weights_fit_an_encoder_with_other_dropouts() -> None:
    encoder, other = an_encoder(), an_encoder(dropout_scale=0.3, weight_drop=0.5, seed=7)

    other.load_state_dict(encoder.state_dict())

    assert torch.equal(outputs_of(other.eval()), outputs_of(encoder.eval()))


def test_an_unknown_option_is_refused_by_name() -> None:
    values = {**EncoderOptions().to_dict(), "hidden_widht": 3}

    message = "'hidden_widht' is no option of an encoder; did you mean 'hidden_width'"
    with pytest.raises(ParameterError, match=message):
        EncoderOptions.from_dict(values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layers": 0}, "n_layers must be at least 1"),
        ({"embedding_width": 0}, "embedding_width must be at least 1"),
        ({"hidden_width": -1}, "hidden_width must be at least 1"),
        ({"input_dropout": 1.0}, r"input_dropout times dropout_scale must be in \[0, 1\)"),
        ({"weight_drop": -0.1}, r"weight_drop times dropout_scale must be in \[0, 1\)"),
        ({"dropout_scale": 4.0}, r"input_dropout .* in \[0, 1\), however: 0.25 times 4.0"),
        ({"dropout_scale": -1.0}, "dropout_scale must not be negative"),
        ({"dropout_scale": float("nan")}, "dropout_scale must not be negative"),
        ({"activation_regularisation": -2.0}, "activation_regularisation must not be negative"),
        ({"cell": "qrnn"}, "cell='qrnn' is not one of"),
        ({"recurrent_initialisation": "zeros"}, "recurrent_initialisation='zeros' is not one of"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        EncoderOptions(**options)


def test_a_vocabulary_needs_tokens() -> None:
    with pytest.raises(ParameterError, match="vocabulary_size must be at least 1, however: 0"):
        AWDLSTM(0)


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("token", [N_WORDS, -1, 10**6])
def test_a_token_outside_the_vocabulary_is_refused_with_its_place(token: int) -> None:
    tokens = some_tokens()
    tokens[2, 5] = token

    message = rf"token {token} \(row 2, place 5\) is outside the vocabulary of 40 tokens"
    with pytest.raises(ParameterError, match=message):
        outputs_of(an_encoder(), tokens)


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 4, 1)])
def test_tokens_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    encoder = an_encoder()

    with pytest.raises(ParameterError, match=r"tokens must have the shape \(rows, length\)"):
        encoder(torch.zeros(shape, dtype=torch.int64), encoder.initial_state(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_tokens_that_are_no_integers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ColumnTypeError, match="tokens must be integers"):
        outputs_of(an_encoder(), some_tokens().to(dtype))


@pytest.mark.parametrize("other", [{"cell": "gru"}, {"n_layers": 2}, {"hidden_width": 9}])
def test_another_encoders_state_is_refused(other: dict[str, Any]) -> None:
    state = an_encoder(**other).initial_state(ROWS)

    with pytest.raises(ParameterError, match=r"the state has the shapes .*initial_state\(3\)"):
        an_encoder()(some_tokens(), state)


def test_a_state_of_other_rows_is_refused() -> None:
    encoder = an_encoder()

    with pytest.raises(ParameterError, match=r"a batch of 3 rows needs .*initial_state\(3\)"):
        encoder(some_tokens(), encoder.initial_state(2))


# ------------------------------------------------------------------------- copies and precision


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_amid_a_pass_is_whole_and_independent(copied: Any) -> None:
    encoder = an_encoder()

    with encoder.fixed_masks(ROWS):
        loss = outputs_of(encoder).sum()
        other = copied(encoder)
        of_copy = outputs_of(other)
        assert other.extra_loss() != 0.0
    (loss + encoder.extra_loss()).backward()

    assert torch.equal(of_copy, outputs_of(encoder))
    assert all(gradient.any() for gradient in gradients_of(encoder))
    assert gradients_of(other) == []


def test_the_state_dict_holds_weights_alone() -> None:
    encoder = an_encoder(n_layers=1)
    outputs_of(encoder).sum().backward()

    assert list(encoder.state_dict()) == [
        "embedding.weight",
        "layers.0.weight_input",
        "layers.0.weight_hidden",
        "layers.0.bias_input",
        "layers.0.bias_hidden",
    ]


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_runs_and_gradients_stay_in_single_precision(cell: Cell) -> None:
    encoder = an_encoder(cell=cell)
    expected = outputs_of(encoder)
    encoder.extra_loss()

    torch.manual_seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = encoder(some_tokens(), encoder.initial_state(ROWS))
        again = encoder(some_tokens(), detached(output.state))
    total = output.outputs.float().sum() + again.outputs.float().sum() + encoder.extra_loss()
    total.backward()

    torch.testing.assert_close(output.outputs.float(), expected, rtol=3e-2, atol=3e-2)
    assert {gradient.dtype for gradient in gradients_of(encoder)} == {torch.float32}


def test_gradients_add_up_over_parts_of_a_batch() -> None:
    encoder, tokens = only(), some_tokens(rows=4)
    outputs_of(encoder, tokens).sum().backward()
    expected = gradients_of(encoder)

    for part in tokens.split(2):
        outputs_of(encoder, part).sum().backward()

    torch.testing.assert_close(gradients_of(encoder), expected, rtol=1e-5, atol=1e-6)


def test_two_passes_may_go_backward_in_any_order() -> None:
    encoder = an_encoder()
    expected = []
    for seed in (3, 4):
        outputs_of(encoder, seed=seed).sum().backward()
        expected.append(gradients_of(encoder))

    first, second = outputs_of(encoder, seed=3), outputs_of(encoder, seed=4)
    first.sum().backward()
    found = [gradients_of(encoder)]
    second.sum().backward()
    found.append(gradients_of(encoder))

    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("first_trained", [1, 2, 3])
def test_frozen_groups_get_no_gradient_and_the_others_the_same(first_trained: int) -> None:
    encoder = an_encoder()
    outputs_of(encoder).sum().backward()
    expected = gradients_of(encoder)
    groups = encoder.layer_groups()
    for group in groups[:first_trained]:
        group.requires_grad_(False)

    outputs_of(encoder).sum().backward()

    found = gradients_of(encoder)
    torch.testing.assert_close(found, expected[len(expected) - len(found) :], rtol=0, atol=0)
    assert len(found) == 4 * (len(groups) - first_trained)


@pytest.mark.slow
def test_an_exported_encoder_computes_the_same_for_any_number_of_rows() -> None:
    encoder = an_encoder().eval()

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, tokens: Tensor) -> Tensor:
            state = self.encoder.initial_state(tokens.shape[0])
            outputs: Tensor = self.encoder(tokens, state).outputs
            return outputs

    # torch's recurrent layers, its own included, can be exported for one length only.
    shapes = {"tokens": {0: torch.export.Dim("rows", min=2)}}
    exported = torch.export.export(
        Whole().eval(), (some_tokens(),), dynamic_shapes=shapes, strict=False
    )

    for rows in (2, 3, 8):
        tokens = some_tokens(rows=rows)
        found = exported.module()(tokens)
        torch.testing.assert_close(found, outputs_of(encoder, tokens), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
# torch says so when the compiler looks at tensors of a graph.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_model_leaves_the_encoder_as_it_is() -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = an_encoder()

        def forward(self, tokens: Tensor, state: State) -> Tensor:
            outputs: Tensor = self.encoder(tokens, state).outputs
            return 2 * outputs

    model = Doubled()
    found = []
    for network in (model, torch.compile(model, backend="eager")):
        torch.manual_seed(3)
        outputs = network(some_tokens(), model.encoder.initial_state(ROWS))
        (outputs.sum() + model.encoder.extra_loss()).backward()
        found.append((outputs, gradients_of(model)))

    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
