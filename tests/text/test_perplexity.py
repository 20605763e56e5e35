"""Scoring: every token once, each document for itself, whatever the batches."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tabtext.errors import DataError
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.language_model import LanguageModelNetwork, LanguageModelTask, SoftmaxKind
from tabtext.text.perplexity import (
    Scores,
    evaluating,
    padded_documents,
    row_losses,
    score_documents,
)
from tabtext.text.special_tokens import BEGIN_ID, END_ID, PADDING_ID
from tabtext.training.reproducibility import seeded

VOCABULARY = 40
SOFTMAXES: list[SoftmaxKind] = ["full", "adaptive"]


def new_network(softmax: SoftmaxKind = "full") -> LanguageModelNetwork:
    """A network that is sure of more than a fresh one would be; all dropouts on."""
    options = EncoderOptions(embedding_width=8, hidden_width=12, n_layers=2)
    cutoffs = None if softmax == "full" else (15, 25)
    with seeded(0):
        network = LanguageModelNetwork(VOCABULARY, options, softmax=softmax, cutoffs=cutoffs)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.6)
    return network


def some_documents(n_documents: int = 30, longest: int = 50) -> Documents:
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, longest, n_documents)
    words = [generator.integers(9, VOCABULARY, length) for length in lengths]
    return Documents.of([[BEGIN_ID, *text, END_ID] for text in words])


def by_hand(network: LanguageModelNetwork, ids: list[int]) -> float:
    """One document alone, a token at a time."""
    network.eval()
    state = network.encoder.initial_state(1)
    total = 0.0
    with torch.no_grad():
        for token, following in itertools.pairwise(ids):
            scores, state = network(torch.tensor([[token]]), state)
            total -= float(scores[0, 0, following])
    return total


# ----------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_the_loss_of_a_document_is_that_of_its_tokens_one_by_one(softmax: SoftmaxKind) -> None:
    network = new_network(softmax)
    documents = some_documents(8)

    scores = score_documents(network, documents)

    expected = [by_hand(network, document.tolist()) for document in documents]
    np.testing.assert_allclose(scores.losses, expected, rtol=2e-6)
    assert scores.counts.tolist() == (documents.lengths - 1).tolist()
    assert scores.perplexity == pytest.approx(
        math.exp(sum(expected) / (documents.n_tokens - len(documents))), rel=1e-6
    )


@pytest.mark.parametrize("tokens_at_once", [1, 60, 200, 10**6])
@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_perplexity_does_not_depend_on_the_batches(
    softmax: SoftmaxKind, tokens_at_once: int
) -> None:
    network, documents = new_network(softmax), some_documents()

    scores = score_documents(network, documents, tokens_at_once=tokens_at_once)

    expected = score_documents(network, documents)
    np.testing.assert_allclose(scores.losses, expected.losses, rtol=1e-6)
    assert scores.counts.tolist() == expected.counts.tolist()
    assert scores.perplexity == pytest.approx(expected.perplexity, rel=1e-6)


def test_a_document_longer_than_goes_through_at_once_is_scored_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, documents = new_network(), some_documents(longest=300)
    whole = score_documents(network, documents)

    monkeypatch.setattr("tabtext.text.perplexity._POSITIONS_AT_ONCE", 64)
    in_pieces = score_documents(network, documents)

    np.testing.assert_allclose(in_pieces.losses, whole.losses, rtol=1e-6)


def test_the_order_of_documents_is_that_of_their_losses() -> None:
    network, documents = new_network(), some_documents()
    order = np.random.default_rng(1).permutation(len(documents))

    moved = score_documents(network, documents.take(order))

    np.testing.assert_allclose(moved.losses, score_documents(network, documents).losses[order])


def test_documents_without_anything_to_predict_count_nothing() -> None:
    network = new_network()
    full = [BEGIN_ID, 9, 10, END_ID]

    scores = score_documents(network, Documents.of([[], full, [BEGIN_ID]]))

    assert scores.counts.tolist() == [0, 3, 0]
    assert scores.losses[[0, 2]].tolist() == [0.0, 0.0]
    assert scores.losses[1] == pytest.approx(by_hand(network, full), rel=1e-6)


def test_nothing_to_predict_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="hold no token that could be predicted"):
        score_documents(new_network(), Documents.of([[], [BEGIN_ID]]))


def test_unknown_words_are_scored_like_others() -> None:
    scores = score_documents(new_network(), Documents.of([[BEGIN_ID, 0, 9, END_ID]]))

    assert scores.counts.tolist() == [3]


def test_scoring_neither_changes_the_network_nor_draws_random_numbers() -> None:
    network = new_network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()

    first = score_documents(network, some_documents())
    second = score_documents(network, some_documents())

    assert first.losses.tolist() == second.losses.tolist()
    assert network.training
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_uniform_guess_has_the_perplexity_of_the_vocabulary() -> None:
    scores = Scores(np.full(3, 5 * math.log(7.0)), np.full(3, 5))

    assert scores.perplexity == pytest.approx(7.0)
    assert scores.loss == pytest.approx(math.log(7.0))


# ------------------------------------------------------------------------------------- its parts


def test_padding_is_not_scored_wherever_it_is() -> None:
    network = new_network().eval()
    tokens = torch.tensor([[2, 9, 10, 11], [2, 9, 1, 1]])
    targets = torch.tensor([[9, 10, 11, 3], [9, 3, 1, 1]])

    sums, counts = row_losses(network, tokens, targets)

    assert sums.dtype == torch.float64
    assert counts.tolist() == [4, 2]
    expected = [by_hand(network, [2, 9, 10, 11, 3]), by_hand(network, [2, 9, 3])]
    np.testing.assert_allclose(sums.numpy(), expected, rtol=2e-6)


def test_the_task_in_evaluation_gives_the_mean_of_each_document() -> None:
    network, documents = new_network(), some_documents(6)
    task = LanguageModelTask(network, n_streams=2).eval()
    (rows, tokens), *others = padded_documents(documents, tokens_at_once=10**6)
    assert not others

    losses = task(tokens[:, :-1], tokens[:, 1:], torch.arange(6), torch.zeros(6, dtype=torch.bool))

    scores = score_documents(network, documents)
    np.testing.assert_allclose(losses.numpy(), (scores.losses / scores.counts)[rows], rtol=1e-6)


@given(
    lengths=st.lists(st.integers(0, 30), max_size=20),
    tokens_at_once=st.integers(1, 200),
)
def test_batches_hold_every_document_once_within_the_limit(
    lengths: list[int], tokens_at_once: int
) -> None:
    documents = Documents.of([range(100 * n, 100 * n + length) for n, length in enumerate(lengths)])

    batches = list(padded_documents(documents, tokens_at_once=tokens_at_once))

    seen = [int(row) for rows, _ in batches for row in rows]
    assert sorted(seen) == [row for row, length in enumerate(lengths) if length > 1]
    for rows, tokens in batches:
        assert tokens.shape[0] == 1 or tokens.numel() <= tokens_at_once
        for row, ids in zip(rows, tokens.tolist(), strict=True):
            document = documents[int(row)].tolist()
            assert ids == document + [PADDING_ID] * (len(ids) - len(document))
            assert len(ids) >= len(document)


def test_the_mode_comes_back_when_something_fails() -> None:
    network = nn.Dropout().train()

    def fail() -> None:
        with evaluating(network):
            assert not network.training
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()

    assert network.training
