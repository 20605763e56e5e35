"""Networks that get their weights from elsewhere draw none."""

import pytest
import torch

from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.unfilled import Unfilled

OPTIONS = EncoderOptions(embedding_width=8, hidden_width=12)


@pytest.mark.parametrize("cell", ["lstm", "gru", "irnn"])
@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_loaded_weights_are_all_that_counts(cell: str, softmax: str) -> None:
    options = EncoderOptions(embedding_width=8, hidden_width=12, cell=cell)
    network = LanguageModelNetwork(40, options, softmax=softmax).eval()

    with Unfilled():
        other = LanguageModelNetwork.from_config(network.config())
    other.load_state_dict(network.state_dict(), assign=True)

    tokens = torch.tensor([[2, 9, 10]])
    state = network.encoder.initial_state(1)
    assert torch.equal(other.eval()(tokens, state)[0], network(tokens, state)[0])
    assert all(parameter.requires_grad for parameter in other.parameters())


def test_no_random_number_is_drawn() -> None:
    before = torch.get_rng_state()

    with Unfilled():
        AWDLSTM(40, OPTIONS)

    assert torch.equal(torch.get_rng_state(), before)


def test_afterwards_networks_are_filled_again() -> None:
    with Unfilled():
        pass

    assert AWDLSTM(40, OPTIONS).embedding.weight.std() > 0.01
