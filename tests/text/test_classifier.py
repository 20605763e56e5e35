"""The classifier network: pooling, chunks, gradients through the last part, independent rows."""

import copy
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions, EncoderOutput
from tabtext.text.pooling import ConcatPooling
from tabtext.text.special_tokens import BEGIN_ID, END_ID, PADDING_ID
from tabtext.training.layer_groups import LayerGroups

NO_DROPOUT: dict[str, Any] = {"dropout_scale": 0.0}
NO_EXTRA_LOSS: dict[str, Any] = {
    "activation_regularisation": 0.0,
    "temporal_activation_regularisation": 0.0,
}
VOCABULARY_SIZE = 300
LENGTHS = [60, 41, 40, 28, 27, 26, 21, 20, 14, 8, 7, 5, 2, 0]


def network_of(
    n_outputs: int = 2, *, options: dict[str, Any] | None = None, **arguments: Any
) -> TextClassifierNetwork:
    """A small network in double precision, with statistics as if it had been trained."""
    torch.manual_seed(0)
    encoder = AWDLSTM(
        VOCABULARY_SIZE, EncoderOptions(embedding_width=6, hidden_width=8, **(options or {}))
    )
    given = {"chunk_length": 7, "gradient_length": 20, **arguments}
    network = TextClassifierNetwork(encoder, n_outputs, **given).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def documents_of(lengths: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(2, VOCABULARY_SIZE, (n,), generator=generator) for n in lengths]


def batch_of(documents: list[Tensor], *, extra: int = 0) -> tuple[Tensor, Tensor]:
    """Documents side by side, with some columns of padding more than the longest needs."""
    longest = max(len(document) for document in documents) + extra
    tokens = torch.full((len(documents), longest), PADDING_ID)
    for row, document in zip(tokens, documents, strict=True):
        row[: len(document)] = document
    return tokens, torch.tensor([len(document) for document in documents])


def pooled_by_hand(outputs: Tensor, words: Tensor, length: int) -> Tensor:
    """Last, largest, mean of one document's outputs ``(length, width)``, and of its words."""
    if length == 0:
        return outputs.new_zeros(4 * outputs.shape[1])
    kept = outputs[:length]
    means = kept.mean(dim=0), words[:length].mean(dim=0)
    return torch.cat([kept[-1], kept.max(dim=0).values, *means])


@contextmanager
def watched(network: TextClassifierNetwork) -> Iterator[list[tuple[int, int, bool]]]:
    """Rows, tokens and whether with gradients, of every pass through the encoder."""
    passes: list[tuple[int, int, bool]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: EncoderOutput) -> None:
        passes.append((*inputs[0].shape, output.outputs.requires_grad))

    handle = network.encoder.register_forward_hook(note)
    try:
        yield passes
    finally:
        handle.remove()


# ----------------------------------------------------------------------------------------- pooling


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_pooling_is_last_largest_and_mean_of_the_text_alone(lengths: list[int]) -> None:
    generator = torch.Generator().manual_seed(sum(lengths))
    outputs = torch.randn(len(lengths), 6, 3, dtype=torch.float64, generator=generator)
    for row, length in zip(outputs, lengths, strict=True):
        row[length:] = 1e6

    words = outputs.flip(2)

    pooled = ConcatPooling()(outputs, words, torch.tensor(lengths))

    rows = zip(outputs, words, lengths, strict=True)
    expected = torch.stack([pooled_by_hand(*row) for row in rows])
    torch.testing.assert_close(pooled, expected, rtol=1e-14, atol=1e-14)


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5), chunk_length=st.integers(1, 13)
)
def test_pooling_chunk_by_chunk_is_pooling_at_once(lengths: list[int], chunk_length: int) -> None:
    generator = torch.Generator().manual_seed(sum(lengths))
    outputs = torch.randn(len(lengths), 12, 3, dtype=torch.float64, generator=generator)
    words, left = outputs.flip(2), torch.tensor(lengths)
    pooling = ConcatPooling()

    pooled = pooling.start(len(lengths), 3, like=outputs)
    for begin in range(0, 12, chunk_length):
        chunk = slice(begin, begin + chunk_length)
        pooled = pooling.add(pooled, outputs[:, chunk], words[:, chunk], left - begin)

    whole = pooling(outputs, words, left)
    torch.testing.assert_close(pooling.finish(pooled, left), whole, rtol=1e-14, atol=1e-14)


# ------------------------------------------------------------------------ a row is itself, whatever


def test_a_document_gets_the_same_alone_and_among_others_and_with_more_padding() -> None:
    network, documents = network_of(), documents_of(LENGTHS)

    with torch.no_grad():
        alone = torch.cat([network(*batch_of([document])) for document in documents])
        together = network(*batch_of(documents))
        padded = network(*batch_of(documents, extra=33))

    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(padded, alone, rtol=0, atol=1e-12)


def test_in_single_precision_a_document_gets_the_same_alone_and_among_others() -> None:
    network, documents = network_of().float(), documents_of(LENGTHS)

    with torch.no_grad():
        alone = torch.cat([network(*batch_of([document])) for document in documents])
        together = network(*batch_of(documents))

    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("empty", [[BEGIN_ID, END_ID], []])
def test_an_empty_document_gets_the_same_alone_and_among_others(empty: list[int]) -> None:
    network = network_of()
    document = torch.tensor(empty, dtype=torch.long)

    with torch.no_grad():
        alone = network(*batch_of([document]))
        together = network(*batch_of([document, *documents_of([9, 30]), document]))

    assert alone.isfinite().all()
    torch.testing.assert_close(together[[0, 3]], alone.expand(2, -1), rtol=0, atol=1e-12)


def test_what_stands_behind_the_text_does_not_matter() -> None:
    network = network_of()
    tokens, lengths = batch_of(documents_of([9, 4]), extra=3)
    others = tokens.where(torch.arange(12) < lengths[:, None], 17)

    with torch.no_grad():
        assert torch.equal(network(others, lengths), network(tokens, lengths))


def test_outputs_come_in_the_order_of_the_rows() -> None:
    network, documents = network_of(), documents_of(LENGTHS)
    order = [5, 0, 13, 7, 2, 9, 1, 3, 12, 4, 6, 8, 10, 11]

    with torch.no_grad():
        falling = network(*batch_of(documents))
        mixed = network(*batch_of([documents[row] for row in order]))

    torch.testing.assert_close(mixed, falling[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk_length", [1, 20, 1000])
def test_the_length_of_chunks_does_not_matter(chunk_length: int) -> None:
    network, other = network_of(), network_of(chunk_length=chunk_length)
    batch = batch_of(documents_of(LENGTHS))

    with torch.no_grad():
        torch.testing.assert_close(other(*batch), network(*batch), rtol=0, atol=1e-12)


def test_a_length_beyond_the_tokens_means_all_of_them() -> None:
    network = network_of()
    tokens, lengths = batch_of(documents_of([9, 9]))

    with torch.no_grad():
        assert torch.equal(network(tokens, lengths + 5), network(tokens, lengths))


def test_a_batch_without_documents_has_no_outputs() -> None:
    tokens = torch.zeros(0, 4, dtype=torch.long)

    assert network_of()(tokens, torch.zeros(0, dtype=torch.long)).shape == (0, 2)


def test_documents_that_have_ended_are_not_read_on() -> None:
    network = network_of()

    with watched(network) as passes, torch.no_grad():
        network(*batch_of(documents_of([16, 9, 7, 3])))

    assert [shape[:2] for shape in passes] == [(4, 7), (2, 7), (1, 2)]


# ---------------------------------------------------------------------------------------- gradients


def gradients_of(network: TextClassifierNetwork, loss: Tensor) -> dict[str, Tensor]:
    named = dict(network.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for (name, parameter), gradient in zip(named.items(), found, strict=True)
    }


def test_gradients_of_short_documents_are_those_of_reading_in_one_go() -> None:
    network = network_of(options=NO_DROPOUT, head_norm="layer").train()
    network.head.eval()
    tokens, lengths = batch_of(documents_of([20, 13, 2]))

    found = gradients_of(network, network(tokens, lengths).square().sum())

    encoder = network.encoder
    encoded = encoder(tokens, encoder.initial_state(3))
    rows = zip(encoded.outputs, encoded.words, lengths.tolist(), strict=True)
    pooled = [pooled_by_hand(*row) for row in rows]
    expected = gradients_of(network, network.head(torch.stack(pooled)).square().sum())
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12)


def positions_with_gradients(network: TextClassifierNetwork, lengths: list[int]) -> list[list[int]]:
    """Of every document the positions whose word vector gets a gradient."""
    starts = [sum(lengths[:row]) + 2 for row in range(len(lengths))]
    documents = [torch.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
    loss = network(*batch_of(documents)).square().sum()
    learns = gradients_of(network, loss)["encoder.embedding.weight"].abs().sum(dim=1) > 0
    return [learns[d].nonzero()[:, 0].tolist() for d in documents]


def test_gradients_flow_through_the_last_part_of_each_document() -> None:
    network = network_of(options=NO_DROPOUT, head_norm="layer").train()
    lengths = [70, 41, 27, 26, 20, 5]

    found = positions_with_gradients(network, lengths)

    # At least 20 tokens; whole chunks of 7 are left out.
    assert found == [
        list(range(49, 70)),
        list(range(21, 41)),
        list(range(7, 27)),
        list(range(26)),
        list(range(20)),
        list(range(5)),
    ]


def test_in_evaluation_gradients_flow_through_whole_documents() -> None:
    network = network_of(head_norm="layer")

    assert positions_with_gradients(network, [60, 30]) == [list(range(60)), list(range(30))]


def test_early_parts_count_in_the_outputs_of_training() -> None:
    network = network_of(options=NO_DROPOUT, pooling_dropout=0.0, head_dropout=0.0)
    network.head.eval()
    batch = batch_of(documents_of(LENGTHS))
    expected = network(*batch)

    network.encoder.train()
    network.training = True

    torch.testing.assert_close(network(*batch), expected, rtol=0, atol=1e-12)


def test_a_documents_gradient_does_not_depend_on_longer_ones_beside_it() -> None:
    network = network_of(
        options=NO_DROPOUT, head_norm="layer", pooling_dropout=0.0, head_dropout=0.0
    ).train()
    short, long = documents_of([30, 90])

    alone = gradients_of(network, network(*batch_of([short])).square().sum())
    beside = gradients_of(network, network(*batch_of([long, short]))[1].square().sum())

    for name, gradient in alone.items():
        torch.testing.assert_close(beside[name], gradient, rtol=1e-9, atol=1e-12)


def test_memory_is_bounded_however_long_documents_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.text.pooling._TOKENS_AT_ONCE", 28)
    network = network_of().train()

    with watched(network) as passes:
        network(*batch_of(documents_of([200, 130, 60, 4])))

    with_gradients = sum(rows * length for rows, length, graded in passes if graded)
    assert with_gradients <= 4 * (20 + 7)
    assert max(rows * length for rows, length, _ in passes) <= 28
    # 180, 105 and 35 tokens without gradients; then all rows with them.
    assert sum(length for _, length, graded in passes if not graded) == 175


def test_few_documents_are_read_at_once_and_many_in_chunks() -> None:
    network = network_of(chunk_length=144)
    document = torch.ones(300, dtype=torch.long)

    with watched(network) as passes, torch.no_grad():
        network(*batch_of([document]))
        network(*batch_of([document] * 64))

    assert [shape[:2] for shape in passes] == [(1, 300), (64, 144), (64, 144), (64, 12)]


def test_a_frozen_encoder_keeps_no_graph() -> None:
    network = network_of().train()
    LayerGroups(network).freeze_to(-1)

    with watched(network) as passes:
        outputs = network(*batch_of(documents_of([9, 30])))

    assert outputs.requires_grad
    assert not any(graded for _, _, graded in passes)


# --------------------------------------------------------------------------- dropout, extra losses


def test_masks_stay_the_same_over_the_chunks_of_a_document() -> None:
    in_chunks = network_of(head_norm="layer").train()
    in_one_go = network_of(head_norm="layer", chunk_length=100, gradient_length=100).train()
    batch = batch_of(documents_of([60, 33, 9]))

    torch.manual_seed(7)
    outputs = in_chunks(*batch)
    torch.manual_seed(7)
    expected = in_one_go(*batch)

    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)


def test_masks_differ_from_batch_to_batch() -> None:
    network = network_of(head_norm="layer").train()
    batch = batch_of(documents_of([16, 9]))

    assert not torch.equal(network(*batch), network(*batch))


def test_activation_regularisation_counts_all_chunks_with_gradients() -> None:
    options = {**NO_DROPOUT, "temporal_activation_regularisation": 0.0}
    network = network_of(options=options).train()
    tokens, lengths = batch_of(documents_of([14, 7]))
    with torch.no_grad():
        outputs = network.encoder(tokens, network.encoder.initial_state(2)).outputs

    network(tokens, lengths)

    read = torch.cat([outputs[0], outputs[1, :7]])
    torch.testing.assert_close(
        network.encoder.extra_loss(),
        2.0 * read.square().mean(),
        rtol=1e-5,
        atol=0,
        check_dtype=False,
    )


# -------------------------------------------------------------------------------- groups, artifacts


def test_layer_groups_run_from_the_embedding_to_the_head() -> None:
    network = network_of()

    groups = network.layer_groups()

    assert groups[0] is network.encoder.embedding
    assert groups[-1] is network.head
    assert len(groups) == 4
    assert len(LayerGroups(network)) == 4  # which refuses parameters that are in no group


@pytest.mark.parametrize("head_norm", ["batch", "layer"])
def test_a_network_comes_back_from_its_config_and_weights(head_norm: str) -> None:
    network = network_of(3, head_norm=head_norm, head_widths=(5, 4))
    batch = batch_of(documents_of([16, 9]))

    config = json.loads(json.dumps(network.config()))
    same = TextClassifierNetwork.from_config(config).double()
    same.load_state_dict(network.state_dict())

    assert same.config() == network.config()
    assert torch.equal(same.eval()(*batch), network(*batch))


def test_a_copy_gives_the_same() -> None:
    network = network_of()
    batch = batch_of(documents_of([16, 9]))

    assert torch.equal(copy.deepcopy(network)(*batch), network(*batch))


def test_the_head_has_the_widths_that_were_asked_for() -> None:
    network = network_of(3, head_widths=(5, 4))

    linear = [module for module in network.head if isinstance(module, nn.Linear)]

    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        (24, 5),
        (5, 4),
        (4, 3),
    ]
    assert network.n_outputs == 3
    assert network.vocabulary_size == VOCABULARY_SIZE


def test_a_head_without_hidden_layers_is_linear() -> None:
    network = network_of(head_widths=())

    assert [type(module).__name__ for module in network.head] == [
        "BatchNorm1d",
        "Dropout",
        "Linear",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_outputs": 0}, "n_outputs=0"),
        ({"head_widths": (0,)}, "widths must be at least 1"),
        ({"head_norm": "group"}, "one of batch, layer"),
        ({"chunk_length": 0}, "chunk_length=0"),
        ({"gradient_length": 0}, "gradient_length=0"),
        ({"head_dropout": 1.0}, r"in \[0, 1\)"),
        ({"pooling_dropout": -0.1}, r"in \[0, 1\)"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        network_of(**arguments)


# ------------------------------------------------------------------------------------------- export


def test_a_traced_network_gives_the_same_for_batches_of_other_sizes() -> None:
    network = network_of().float()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every number that it takes as fixed
        traced = torch.jit.trace(network, batch_of(documents_of([12, 7, 5])), check_trace=False)

    for lengths in ([9], [30, 4], LENGTHS):
        batch = batch_of(documents_of(lengths))
        torch.testing.assert_close(traced(*batch), network(*batch), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_an_exported_network_gives_the_same_for_other_numbers_of_rows() -> None:
    network = network_of().float()
    rows = torch.export.Dim("rows")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own deprecated parts
        exported = torch.export.export(
            network,
            batch_of(documents_of([12, 7, 5])),
            dynamic_shapes={"tokens": {0: rows}, "lengths": {0: rows}},
        ).module()

    for lengths in ([12], [12, 4, 1, 0]):
        batch = batch_of(documents_of(lengths))
        torch.testing.assert_close(exported(*batch), network(*batch), rtol=0, atol=1e-6)


# ---------------------------------------------------------------------------------------------- GPU


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_outputs_and_gradients_are_those_of_the_processor() -> None:
    network = network_of(options=NO_DROPOUT, head_norm="layer").train()
    network.head.eval()
    tokens, lengths = batch_of(documents_of(LENGTHS))
    there = copy.deepcopy(network).cuda()

    outputs = there(tokens.cuda(), lengths)

    expected = network(tokens, lengths)
    torch.testing.assert_close(outputs.cpu(), expected, rtol=0, atol=1e-9)
    gradients = gradients_of(there, outputs.square().sum())
    for name, gradient in gradients_of(network, expected.square().sum()).items():
        torch.testing.assert_close(gradients[name].cpu(), gradient, rtol=1e-6, atol=1e-9)
