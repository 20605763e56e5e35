"""The language model: its softmax, what it carries from window to window, and that it learns."""

import copy
import json
import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tabtext.datasets import load_snippets
from tabtext.errors import ParameterError
from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import EncoderOptions, State
from tabtext.text.language_model import LanguageModelNetwork, LanguageModelTask, SoftmaxKind
from tabtext.text.perplexity import score_documents
from tabtext.text.special_tokens import BEGIN_ID, END_ID, PADDING_ID, UNKNOWN_ID
from tabtext.training.layer_groups import LayerGroups
from tabtext.training.optimizers import build_optimizer
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.trainer import Trainer

VOCABULARY = 30
SOFTMAXES: list[SoftmaxKind] = ["full", "adaptive"]
NO_REGULARISATION: dict[str, float] = {
    "dropout_scale": 0.0,
    "activation_regularisation": 0.0,
    "temporal_activation_regularisation": 0.0,
}


def new_network(softmax: SoftmaxKind = "full", **options: Any) -> LanguageModelNetwork:
    shape: dict[str, Any] = {"embedding_width": 8, "hidden_width": 10, "n_layers": 2}
    cutoffs = None if softmax == "full" else (12, 20)
    with seeded(0):
        network = LanguageModelNetwork(
            VOCABULARY, EncoderOptions(**{**shape, **options}), softmax=softmax, cutoffs=cutoffs
        )
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.4)
    return network


def new_task(
    n_streams: int = 4, softmax: SoftmaxKind = "full", **options: Any
) -> LanguageModelTask:
    return LanguageModelTask(new_network(softmax, **{**NO_REGULARISATION, **options}), n_streams)


def window(n_rows: int = 4, length: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Tokens and targets."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, VOCABULARY, (n_rows, length + 1), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def everywhere(value: bool, n_rows: int = 4) -> Tensor:
    return torch.full((n_rows,), value)


def loss_by_hand(
    network: LanguageModelNetwork, tokens: Tensor, targets: Tensor, state: State
) -> tuple[Tensor, State]:
    """The mean over all targets, by the probabilities of all tokens."""
    scores, state = network(tokens, state)
    return -scores.gather(2, targets[..., None]).mean(), state


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


# ------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_probabilities_of_what_follows_add_up_to_one(softmax: SoftmaxKind) -> None:
    network = new_network(softmax).eval()

    scores, _ = network(window()[0], network.encoder.initial_state(4))

    assert scores.shape == (4, 6, VOCABULARY)
    torch.testing.assert_close(scores.exp().sum(dim=-1), torch.ones(4, 6))


def test_the_softmax_shares_the_embedding_and_has_a_bias() -> None:
    network = new_network().eval()
    tokens, _ = window()

    scores, _ = network(tokens, network.encoder.initial_state(4))

    hidden = network.encoder(tokens, network.encoder.initial_state(4)).outputs
    logits = hidden @ network.encoder.embedding.weight.T + network.decoder.bias
    torch.testing.assert_close(scores, logits.log_softmax(dim=-1))


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_a_text_in_two_pieces_is_read_as_in_one(softmax: SoftmaxKind) -> None:
    network = new_network(softmax).eval()
    tokens, _ = window(length=9)

    whole, _ = network(tokens, network.encoder.initial_state(4))
    first, state = network(tokens[:, :4], network.encoder.initial_state(4))
    second, _ = network(tokens[:, 4:], state)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_a_network_is_built_anew_from_its_description_and_weights(softmax: SoftmaxKind) -> None:
    network = new_network(softmax, cell="gru").eval()
    config = json.loads(json.dumps(network.config()))
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    rebuilt = LanguageModelNetwork.from_config(config).eval()
    rebuilt.load_state_dict(weights)

    tokens, _ = window()
    expected, _ = network(tokens, network.encoder.initial_state(4))
    found, _ = rebuilt(tokens, rebuilt.encoder.initial_state(4))
    assert torch.equal(found, expected)
    assert rebuilt.config() == network.config()


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_no_tensor_is_saved_twice(softmax: SoftmaxKind) -> None:
    network = new_network(softmax)

    places = [tensor.data_ptr() for tensor in network.state_dict().values()]

    assert len(set(places)) == len(places)
    assert sum(t.numel() for t in network.state_dict().values()) == sum(
        p.numel() for p in network.parameters()
    )


def test_the_last_group_learns_with_the_embedding_that_it_shares() -> None:
    network = new_network()
    groups = LayerGroups(LanguageModelTask(network, 1))

    groups.freeze_to(-1)

    assert len(groups) == 4
    learning = [name for name, p in network.named_parameters() if p.requires_grad]
    assert learning == ["encoder.embedding.weight", "decoder.bias"]


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_the_embedding_has_the_rate_of_the_first_group(softmax: SoftmaxKind) -> None:
    network = new_network(softmax)

    optimizer = build_optimizer(network.layer_groups(), TrainingOptions())

    group_of = {
        id(parameter): group["layer_group"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert group_of[id(network.encoder.embedding.weight)] == 0
    assert {group_of[id(p)] for p in network.decoder.parameters()} == {3}
    assert len(group_of) == len(list(network.parameters()))


def test_a_copy_shares_nothing_with_the_original() -> None:
    network = new_network()

    copied = copy.deepcopy(network)

    with torch.no_grad():
        copied.encoder.embedding.weight.zero_()
    scores, _ = copied.eval()(window()[0], copied.encoder.initial_state(4))
    torch.testing.assert_close(
        scores[0, 0], copied.decoder.bias.detach().log_softmax(dim=0), rtol=1e-5, atol=1e-6
    )
    assert network.encoder.embedding.weight.abs().sum() > 0


def test_an_unknown_softmax_is_named_with_a_suggestion() -> None:
    wrong: Any = "adaptiv"

    with pytest.raises(ParameterError, match="did you mean 'adaptive'"):
        LanguageModelNetwork(VOCABULARY, EncoderOptions(), softmax=wrong)


def test_cutoffs_without_an_adaptive_softmax_are_refused() -> None:
    with pytest.raises(ParameterError, match="belong to softmax='adaptive'"):
        LanguageModelNetwork(VOCABULARY, EncoderOptions(), cutoffs=(10,))


# ------------------------------------------------------------------------- the task, in training


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_every_row_has_the_mean_loss_over_all_targets(softmax: SoftmaxKind) -> None:
    task = new_task(softmax=softmax).train()
    tokens, targets = window()

    losses = task(tokens, targets, torch.arange(4), everywhere(True))

    expected, _ = loss_by_hand(task.network, tokens, targets, task.network.encoder.initial_state(4))
    assert losses.shape == (4,)
    torch.testing.assert_close(losses, expected.expand(4), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_gradients_are_those_of_the_mean_loss(softmax: SoftmaxKind) -> None:
    task, other = new_task(softmax=softmax).train(), new_task(softmax=softmax).train()
    tokens, targets = window()

    task(tokens, targets, torch.arange(4), everywhere(True)).mean().backward()
    state = other.network.encoder.initial_state(4)
    loss_by_hand(other.network, tokens, targets, state)[0].backward()

    for mine, its in zip(gradients(task), gradients(other), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def test_targets_of_padding_do_not_count() -> None:
    task = new_task().train()
    tokens, targets = window()
    targets = targets.clone()
    targets[[0, 2], -1] = PADDING_ID

    losses = task(tokens, targets, torch.arange(4), everywhere(True))

    state = task.network.encoder.initial_state(4)
    scores, _ = task.network(tokens, state)
    chosen = -scores.gather(2, targets[..., None])[..., 0]
    torch.testing.assert_close(losses[0], chosen[targets != PADDING_ID].mean())


def test_a_window_goes_on_from_where_the_one_before_ended_without_its_gradient() -> None:
    task = new_task().train()
    first, second = window(seed=1), window(seed=2)

    task(*first, torch.arange(4), everywhere(True))
    losses = task(*second, torch.arange(4), everywhere(False))
    losses.mean().backward()

    other = new_task().train()
    _, state = other.network(first[0], other.network.encoder.initial_state(4))
    detached = tuple(tuple(tensor.detach() for tensor in layer) for layer in state)
    expected, _ = loss_by_hand(other.network, *second, detached)
    expected.backward()
    torch.testing.assert_close(losses[0], expected)
    for mine, its in zip(gradients(task), gradients(other), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def test_streams_that_begin_remember_nothing_and_the_others_do() -> None:
    task = new_task().train()
    task(*window(seed=1), torch.arange(4), everywhere(True))
    fresh = torch.tensor([True, False, True, False])

    before = task._remembered(torch.arange(4), fresh)

    for layer, carried in zip(before, task.carried_state(), strict=True):
        for tensor, kept in zip(layer, carried, strict=True):
            assert tensor[[0, 2]].abs().sum() == 0
            assert torch.equal(tensor[[1, 3]], kept[[1, 3]])
            assert kept.abs().min(dim=1).values.gt(0).all()


def test_a_batch_in_parts_remembers_what_a_whole_one_does() -> None:
    whole, in_parts = new_task().train(), new_task().train()
    rows = torch.arange(4)

    for seed, fresh in ((1, True), (2, False)):
        tokens, targets = window(seed=seed)
        whole(tokens, targets, rows, everywhere(fresh))
        for part in (slice(0, 3), slice(3, 4)):
            in_parts(tokens[part], targets[part], rows[part], everywhere(fresh)[part])

    for mine, its in zip(in_parts.carried_state(), whole.carried_state(), strict=True):
        for one, other in zip(mine, its, strict=True):
            torch.testing.assert_close(one, other)


def test_what_is_carried_can_be_taken_and_given_back() -> None:
    task, other = new_task().train(), new_task().train()
    rows, second = torch.arange(4), window(seed=2)
    task(*window(seed=1), rows, everywhere(True))
    taken = task.carried_state()
    kept = [[tensor.clone() for tensor in layer] for layer in taken]

    other.load_carried_state(taken)

    expected = task(*second, rows, everywhere(False))
    assert torch.equal(other(*second, rows, everywhere(False)), expected)
    for layer, before in zip(taken, kept, strict=True):
        for tensor, was in zip(layer, before, strict=True):
            assert torch.equal(tensor, was)


def test_before_the_first_window_nothing_is_carried() -> None:
    task = new_task()

    assert task.carried_state() == []
    task.load_carried_state([])

    assert task.carried_state() == []


def test_what_is_carried_holds_no_graph_and_is_no_part_of_the_weights() -> None:
    task = new_task().train()

    task(*window(), torch.arange(4), everywhere(True))

    assert not any(t.requires_grad for layer in task.carried_state() for t in layer)
    assert set(task.state_dict()) == {f"network.{name}" for name in task.network.state_dict()}


def test_evaluation_leaves_what_is_carried_alone() -> None:
    task = new_task().train()
    task(*window(seed=1), torch.arange(4), everywhere(True))
    before = [[tensor.clone() for tensor in layer] for layer in task.carried_state()]

    with torch.inference_mode():
        task.eval()(*window(n_rows=9, seed=2), torch.arange(9), everywhere(True, 9))

    for layer, kept in zip(task.carried_state(), before, strict=True):
        for tensor, was in zip(layer, kept, strict=True):
            assert torch.equal(tensor, was)


def test_no_streams_are_refused() -> None:
    with pytest.raises(ParameterError, match="n_streams=0 must be at least 1"):
        new_task(n_streams=0)


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_mixed_precision_carries_full_precision_and_is_close(softmax: SoftmaxKind) -> None:
    task, mixed = new_task(softmax=softmax).train(), new_task(softmax=softmax).train()
    rows = torch.arange(4)

    for seed, fresh in ((1, True), (2, False)):
        expected = task(*window(seed=seed), rows, everywhere(fresh))
        with torch.autocast("cpu", torch.bfloat16):
            losses = mixed(*window(seed=seed), rows, everywhere(fresh))
        losses.float().mean().backward()

        torch.testing.assert_close(losses.float(), expected, rtol=0.03, atol=0.03)
    assert {t.dtype for layer in mixed.carried_state() for t in layer} == {torch.float32}


# ---------------------------------------------------------------------------------------- learning


def identity(losses: Tensor, target: Tensor) -> Tensor:
    return losses


def snippets(n_texts: int, n_words: int) -> tuple[Documents, Documents, int]:
    """Training and validation documents of plain words, and the vocabulary's size."""
    raw = load_snippets("movies")["text"][:n_texts]
    texts = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in raw]
    counts = Counter(word for text in texts for word in text)
    frequent = [word for word, _ in counts.most_common(n_words)]
    ids = {word: number for number, word in enumerate(frequent, start=9)}
    documents = [
        [BEGIN_ID, *(ids.get(word, UNKNOWN_ID) for word in text), END_ID] for text in texts
    ]
    train = Documents.of([d for number, d in enumerate(documents) if number % 8])
    return train, Documents.of(documents[::8]), 9 + n_words


def unigram_perplexity(train: Documents, valid: Documents, size: int) -> float:
    """What is reached by knowing how frequent each word is, and nothing else."""
    counts = np.bincount(train.ids[train.ids != BEGIN_ID], minlength=size) + 1.0
    losses = -np.log(counts / counts.sum())
    return math.exp(losses[valid.ids[valid.ids != BEGIN_ID]].mean())


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_a_small_model_soon_knows_more_than_how_frequent_words_are(softmax: SoftmaxKind) -> None:
    train, valid, size = snippets(n_texts=2000, n_words=1000)
    options = EncoderOptions(embedding_width=48, hidden_width=48, n_layers=1, dropout_scale=0.2)
    with seeded(0):
        network = LanguageModelNetwork(
            size, options, softmax=softmax, cutoffs=None if softmax == "full" else (300,)
        )
        batches = StreamBatches(train, batch_size=16, bptt=30)
        trainer = Trainer(
            LanguageModelTask(network, batches.n_streams),
            identity,
            options=TrainingOptions(epochs=3, learning_rate=0.03),
        )
        history = trainer.fit(batches)

    perplexity = score_documents(network, valid).perplexity

    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    assert perplexity < 0.6 * unigram_perplexity(train, valid, size)


def test_a_window_half_as_long_takes_half_as_large_a_step() -> None:
    documents = Documents.of([[BEGIN_ID, *range(9, 28), END_ID]] * 20)
    batches = StreamBatches(documents, batch_size=1, bptt=40)
    trainer = Trainer(new_task(1), identity, options=TrainingOptions(epochs=1, schedule="constant"))

    history = trainer.fit(batches)

    lengths = batches.window_lengths(0, seed=0)
    assert history.step_learning_rates == pytest.approx((2e-3 * lengths / 40).tolist())
