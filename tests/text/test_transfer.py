"""Vocabulary transfer: shared words keep what was learned of them, new ones start at the mean."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tabtext.errors import ArtifactError, ParameterError
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.text.language_model import LanguageModelNetwork, SoftmaxKind
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.transfer import PER_TOKEN, transfer_vocabulary, transferred_network
from tabtext.training.reproducibility import seeded

OPTIONS = EncoderOptions(embedding_width=6, hidden_width=8, n_layers=2)
OLD = [*SPECIAL_TOKENS, "the", "film", "was", "good", "bad", "of"]
NEW = [*SPECIAL_TOKENS, "of", "plot", "the", "good", "thin", "twist", "and"]
SOFTMAXES: list[SoftmaxKind] = ["full", "adaptive"]
CUTOFFS: dict[SoftmaxKind, tuple[int, ...] | None] = {"full": None, "adaptive": (11, 13)}


def new_network(softmax: SoftmaxKind = "full") -> LanguageModelNetwork:
    with seeded(0):
        network = LanguageModelNetwork(len(OLD), OPTIONS, softmax=softmax, cutoffs=CUTOFFS[softmax])
        for parameter in network.parameters():
            nn.init.normal_(parameter)
    return network


@pytest.mark.parametrize("name", PER_TOKEN)
def test_shared_words_keep_their_rows_and_new_ones_get_the_mean(name: str) -> None:
    state = new_network().state_dict()

    transfer = transfer_vocabulary(state, OLD, NEW)

    rows = transfer.state[name]
    assert len(rows) == len(NEW)
    for place, token in enumerate(NEW):
        if token in OLD:
            assert torch.equal(rows[place], state[name][OLD.index(token)])
        else:
            torch.testing.assert_close(rows[place], state[name].mean(dim=0))


def test_words_are_counted() -> None:
    transfer = transfer_vocabulary(new_network().state_dict(), OLD, NEW)

    assert (transfer.n_shared, transfer.n_new, transfer.n_dropped) == (12, 4, 3)


def test_everything_else_is_a_copy_and_the_old_state_stays_as_it_was() -> None:
    network = new_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    transfer = transfer_vocabulary(network.state_dict(), OLD, NEW)
    for tensor in transfer.state.values():
        tensor.zero_()

    assert list(transfer.state) == list(before)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_same_vocabulary_gives_the_same_weights() -> None:
    state = new_network().state_dict()

    transfer = transfer_vocabulary(state, OLD, OLD)

    assert all(torch.equal(transfer.state[name], tensor) for name, tensor in state.items())
    assert (transfer.n_new, transfer.n_dropped) == (0, 0)


@given(st.permutations(OLD), st.permutations(OLD))
def test_there_and_back_is_where_it_began(first: list[str], second: list[str]) -> None:
    rows = torch.arange(2.0 * len(OLD)).view(-1, 2)
    state = {"encoder.embedding.weight": rows}

    there = transfer_vocabulary(state, first, second)
    back = transfer_vocabulary(there.state, second, first)

    assert torch.equal(back.state["encoder.embedding.weight"], rows)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_keep_their_dtype(dtype: torch.dtype) -> None:
    state = {"encoder.embedding.weight": torch.ones(len(OLD), 3, dtype=dtype)}

    assert transfer_vocabulary(state, OLD, NEW).state["encoder.embedding.weight"].dtype == dtype


def test_an_encoder_alone_can_be_given_another_vocabulary_too() -> None:
    encoder = AWDLSTM(len(OLD), OPTIONS)

    transfer = transfer_vocabulary(encoder.state_dict(), OLD, NEW, per_token=["embedding.weight"])

    AWDLSTM(len(NEW), OPTIONS).load_state_dict(transfer.state)
    assert transfer.n_shared == 12


# ------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_among_shared_words_the_new_network_foresees_the_same(softmax: SoftmaxKind) -> None:
    """As the old one does, given that a shared word follows: both know no more of the others."""
    network = new_network(softmax).eval()
    shuffled = [*SPECIAL_TOKENS, *sorted(OLD[len(SPECIAL_TOKENS) :])]
    text = ["xxbos", "the", "film", "was", "of"]

    def foreseen(model: LanguageModelNetwork, tokens: list[str]) -> Tensor:
        ids = torch.tensor([[tokens.index(token) for token in text]])
        scores, _ = model(ids, model.encoder.initial_state(1))
        return scores[0, :, [tokens.index(token) for token in OLD]]

    other, _ = transferred_network(network, OLD, shuffled)

    expected = foreseen(network, OLD)
    found = foreseen(other.eval(), shuffled)
    if softmax == "full":
        torch.testing.assert_close(found, expected)
    else:  # classes hold other words now
        torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(len(text)))


@pytest.mark.parametrize(
    ("n_words", "cutoffs"), [(21, (22, 26)), (6, (11, 13)), (0, (7, 8)), (-6, (1, 2))]
)
def test_clusters_keep_their_vectors_and_their_shares_of_the_vocabulary(
    n_words: int, cutoffs: tuple[int, int]
) -> None:
    network = new_network("adaptive")
    tokens = [*SPECIAL_TOKENS, *map(str, range(n_words))][: 9 + n_words]

    other, _ = transferred_network(network, OLD, tokens)

    assert other.config()["cutoffs"] == list(cutoffs)
    for name in ("decoder.cluster_weight", "decoder.cluster_bias"):
        assert torch.equal(other.state_dict()[name], network.state_dict()[name])


def test_dropouts_may_change_and_the_shape_may_not() -> None:
    network = new_network()
    calmer = EncoderOptions(**{**OPTIONS.to_dict(), "dropout_scale": 0.5})
    wider = EncoderOptions(**{**OPTIONS.to_dict(), "hidden_width": 9})

    other, _ = transferred_network(network, OLD, NEW, options=calmer)

    assert other.options == calmer
    with pytest.raises(ParameterError, match="options of the same shape"):
        transferred_network(network, OLD, NEW, options=wider)


def test_the_transfer_uses_no_random_numbers() -> None:
    network = new_network()
    random = torch.get_rng_state()

    first, _ = transferred_network(network, OLD, NEW)
    second, _ = transferred_network(network, OLD, NEW)

    assert torch.equal(torch.get_rng_state(), random)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


# ------------------------------------------------------------------------------------------ refusal


def test_a_vocabulary_that_does_not_fit_the_weights_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"has 14 tokens, and .*weight' of the weights 15 rows"):
        transfer_vocabulary(new_network().state_dict(), OLD[:-1], NEW)


@pytest.mark.parametrize(
    ("old", "new", "which"), [([*OLD, "the"], NEW, "old"), (OLD, [*NEW, "the"], "new")]
)
def test_a_token_that_comes_twice_is_named(old: list[str], new: list[str], which: str) -> None:
    with pytest.raises(ParameterError, match=f"'the' comes twice in the {which} vocabulary"):
        transfer_vocabulary(new_network().state_dict(), old, new)


def test_weights_without_words_are_refused() -> None:
    state: dict[str, Any] = {"layer.weight": torch.ones(3, 3)}

    with pytest.raises(ParameterError, match=r"have none of encoder\.embedding\.weight"):
        transfer_vocabulary(state, OLD, NEW)
