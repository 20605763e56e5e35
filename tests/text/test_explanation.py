"""What each token contributes: its gradient times itself, and what its absence changes."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tabtext.errors import ParameterError
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.text.explanation import token_contributions
from tabtext.text.special_tokens import UNKNOWN_ID

METHODS = ["gradient", "occlusion"]
DOCUMENT = [2, 9, 17, 9, 0, 21, 3]


def network_of(vocabulary_size: int = 30, **arguments: Any) -> TextClassifierNetwork:
    torch.manual_seed(0)
    encoder = AWDLSTM(vocabulary_size, EncoderOptions(embedding_width=6, hidden_width=8))
    given = {"head_norm": "layer", "chunk_length": 4, **arguments}
    network = TextClassifierNetwork(encoder, 3, **given).double()
    # Vectors as large as trained ones.
    nn.init.normal_(network.encoder.embedding.weight)
    return network


def raw_of(network: TextClassifierNetwork, ids: list[int], output: int) -> float:
    with torch.no_grad():
        raw = network.eval()(torch.tensor([ids]), torch.tensor([len(ids)]))
    return float(raw[0, output])


def test_occlusion_is_how_much_the_output_falls_without_the_token() -> None:
    network = network_of()

    found = token_contributions(network, DOCUMENT, 1, method="occlusion")

    whole = raw_of(network, DOCUMENT, 1)
    without = [
        raw_of(network, [*DOCUMENT[:place], UNKNOWN_ID, *DOCUMENT[place + 1 :]], 1)
        for place in range(len(DOCUMENT))
    ]
    np.testing.assert_allclose(found, whole - np.array(without), rtol=1e-5, atol=1e-7)
    assert found[4] == 0.0  # it was unknown before


def test_gradient_times_input_is_how_the_output_changes_as_the_vector_grows() -> None:
    network = network_of()

    found = token_contributions(network, [2, 9, 17, 21, 3], 1)

    step = 1e-5
    for place, token in enumerate([2, 9, 17, 21, 3]):
        values = []
        for factor in (1 + step, 1 - step):
            changed = copy.deepcopy(network)
            changed.encoder.embedding.weight.data[token] *= factor
            values.append(raw_of(changed, [2, 9, 17, 21, 3], 1))
        slope = (values[0] - values[1]) / (2 * step)
        assert found[place] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_a_word_that_comes_twice_has_a_contribution_at_each_place() -> None:
    network = network_of()

    found = token_contributions(network, DOCUMENT)

    # Both together are what the vector of the word does.
    step = 1e-5
    values = []
    for factor in (1 + step, 1 - step):
        changed = copy.deepcopy(network)
        changed.encoder.embedding.weight.data[9] *= factor
        values.append(raw_of(changed, DOCUMENT, 0))
    assert found[1] + found[3] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)
    assert found[1] != found[3]


def test_a_word_that_decides_contributes_most() -> None:
    """The network learns that word 9 means the first class, and word 10 the second."""
    torch.manual_seed(3)
    encoder = AWDLSTM(30, EncoderOptions(embedding_width=8, hidden_width=8, dropout_scale=0.0))
    network = TextClassifierNetwork(encoder, 2, head_norm="layer", head_widths=())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    target = torch.arange(64) % 2
    tokens = torch.randint(11, 30, (64, 8))
    tokens[torch.arange(64), torch.randint(0, 8, (64,))] = 9 + target
    for _ in range(30):
        optimizer.zero_grad()
        raw = network(tokens, torch.full((64,), 8))
        nn.functional.cross_entropy(raw, target).backward()
        optimizer.step()

    found = token_contributions(network, [2, 14, 9, 20, 3], 0, method="occlusion")
    against = token_contributions(network, [2, 14, 10, 20, 3], 0, method="occlusion")

    assert found.argmax() == 2
    assert against.argmin() == 2
    assert found[2] > 1 > -1 > against[2]


@pytest.mark.parametrize("method", METHODS)
def test_long_documents_are_explained_as_short_ones_are(
    method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a chunk is, and where training would let gradients end."""
    monkeypatch.setattr("tabtext.text.pooling._TOKENS_AT_ONCE", 8)
    ids = np.random.default_rng(0).integers(2, 30, 50)
    in_chunks = network_of(gradient_length=6)
    in_one_go = network_of(chunk_length=100, gradient_length=100)

    found = token_contributions(in_chunks, ids, 2, method=method, rows_at_once=7)

    expected = token_contributions(in_one_go, ids, 2, method=method)
    assert found.dtype == np.float32
    assert (found != 0).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_explaining_changes_nothing_in_the_network(method: Any) -> None:
    network = network_of().train()
    before = copy.deepcopy(network.state_dict())

    token_contributions(network, DOCUMENT, method=method)

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert network.encoder.embedding.weight.shape == (30, 6)
    assert network.encoder.vocabulary_size == 30


@pytest.mark.parametrize("method", METHODS)
def test_outputs_can_be_weighed_against_each_other(method: Any) -> None:
    network = network_of()
    first, second = (token_contributions(network, DOCUMENT, n, method=method) for n in (0, 2))

    found = token_contributions(network, DOCUMENT, [1.0, 0.0, -0.5], method=method)

    np.testing.assert_allclose(found, first - 0.5 * second, rtol=1e-5, atol=1e-9)


def test_gradients_can_be_had_where_a_caller_wants_none() -> None:
    network = network_of()
    expected = token_contributions(network, DOCUMENT)

    with torch.inference_mode():
        found = token_contributions(network, DOCUMENT)

    assert np.array_equal(found, expected)


def test_dropout_is_off() -> None:
    network = network_of().train()

    first, second = (token_contributions(network, DOCUMENT) for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.parametrize("method", METHODS)
def test_a_document_without_tokens_has_no_contributions(method: Any) -> None:
    assert token_contributions(network_of(), [], method=method).shape == (0,)


@pytest.mark.parametrize(
    ("ids", "arguments", "message"),
    [
        ([2, 30, 3], {}, "token 30 is not among the 30"),
        ([2, -1, 3], {}, "token -1 is not among"),
        ([2.5], {}, "whole numbers"),
        ([[2, 3]], {}, "one dimension"),
        ([2, 3], {"output": 3}, "output=3"),
        ([2, 3], {"output": -1}, "output=-1"),
        ([2, 3], {"output": [1.0, -1.0]}, "a finite weight for each"),
        ([2, 3], {"output": [1.0, 0.0, float("nan")]}, "a finite weight for each"),
        ([2, 3], {"method": "shap"}, "gradient, occlusion"),
        ([2, 3], {"rows_at_once": 0}, "rows_at_once=0"),
    ],
)
def test_impossible_arguments_are_refused(
    ids: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        token_contributions(network_of(), ids, **arguments)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("method", METHODS)
def test_on_a_gpu_contributions_are_those_of_the_processor(method: Any) -> None:
    network = network_of()
    expected = token_contributions(network, DOCUMENT, 1, method=method)

    found = token_contributions(copy.deepcopy(network).cuda(), DOCUMENT, 1, method=method)

    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
