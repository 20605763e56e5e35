"""Generated texts: drawn as the model says, within the bounds asked for, and searched for."""

import math
from collections import Counter
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.generation import Continuation, beam_search, sample
from tabtext.text.language_model import LanguageModelNetwork, SoftmaxKind
from tabtext.text.special_tokens import BEGIN_ID, END_ID, PADDING_ID, UNKNOWN_ID
from tabtext.training.reproducibility import seeded

VOCABULARY = 14
PROMPT = [BEGIN_ID, 9, 10]
NEVER = {UNKNOWN_ID, PADDING_ID, BEGIN_ID, END_ID}
SOFTMAXES: list[SoftmaxKind] = ["full", "adaptive"]


def new_network(
    *, std: float = 0.7, softmax: SoftmaxKind = "full", favoured: int | None = None
) -> LanguageModelNetwork:
    """A network with opinions, and perhaps a favourite; all dropouts on."""
    options = EncoderOptions(embedding_width=6, hidden_width=8, n_layers=2)
    cutoffs = None if softmax == "full" else (10,)
    with seeded(0):
        network = LanguageModelNetwork(VOCABULARY, options, softmax=softmax, cutoffs=cutoffs)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=std)
    if favoured is not None:
        with torch.no_grad():
            network.decoder.bias[favoured] = 50.0
    return network


@torch.no_grad()
def scores_after(network: LanguageModelNetwork, ids: list[int]) -> Tensor:
    """Log-probabilities of what may follow, from the beginning and all at once."""
    network.eval()
    scores, _ = network(torch.tensor([ids]), network.encoder.initial_state(1))
    following = scores[0, -1].double()
    following[END_ID] = torch.logaddexp(following[END_ID], following[BEGIN_ID])
    following[[UNKNOWN_ID, PADDING_ID, BEGIN_ID]] = -torch.inf
    return following


def log_probability(network: LanguageModelNetwork, text: Continuation, prompt: list[int]) -> float:
    ids, total = list(prompt), 0.0
    for token in [*text.ids, *([END_ID] if text.finished else [])]:
        total += float(scores_after(network, ids)[token])
        ids.append(token)
    return total


def seeded_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_model_says(temperature: float) -> None:
    network, n_texts = new_network(), 20_000

    texts = sample(
        network,
        PROMPT,
        n_tokens=1,
        n_texts=n_texts,
        temperature=temperature,
        generator=seeded_generator(),
    )

    drawn = Counter(END_ID if text.finished else text.ids[0] for text in texts)
    expected = (scores_after(network, PROMPT) / temperature).softmax(dim=0)
    for token, share in enumerate(expected.tolist()):
        deviation = math.sqrt(share * (1 - share) / n_texts)
        assert drawn[token] / n_texts == pytest.approx(share, abs=4.5 * deviation + 1e-9)


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_a_drawn_text_is_as_likely_as_reading_it_anew_says(softmax: SoftmaxKind) -> None:
    network = new_network(softmax=softmax)

    texts = sample(network, PROMPT, n_tokens=12, n_texts=20, generator=seeded_generator())

    assert len({text.ids for text in texts}) > 10
    assert any(text.finished for text in texts)
    for text in texts:
        expected = log_probability(network, text, PROMPT)
        assert text.log_probability == pytest.approx(expected, rel=1e-5)


def test_what_nobody_writes_is_never_drawn() -> None:
    for favoured in (UNKNOWN_ID, PADDING_ID):
        network = new_network(favoured=favoured)

        texts = sample(network, PROMPT, n_tokens=30, n_texts=50, generator=seeded_generator())

        assert not NEVER & {token for text in texts for token in text.ids}


@pytest.mark.parametrize("end", [END_ID, BEGIN_ID])
def test_a_text_ends_with_its_end_and_where_another_begins(end: int) -> None:
    texts = sample(new_network(favoured=end), PROMPT, n_tokens=30, n_texts=3)

    assert [text.ids for text in texts] == [(), (), ()]
    assert all(text.finished for text in texts)


def test_a_text_that_does_not_end_has_as_many_tokens_as_it_may() -> None:
    texts = sample(new_network(favoured=11), PROMPT, n_tokens=7, n_texts=2)

    assert [text.ids for text in texts] == [(11,) * 7] * 2
    assert not any(text.finished for text in texts)


def test_the_same_generator_state_gives_the_same_texts() -> None:
    network = new_network()

    def texts(seed: int) -> list[Continuation]:
        return sample(network, PROMPT, n_tokens=9, n_texts=5, generator=seeded_generator(seed))

    assert texts(3) == texts(3)
    assert texts(3) != texts(4)


def test_with_a_generator_of_its_own_torchs_is_not_used() -> None:
    before = torch.get_rng_state()

    sample(new_network(), PROMPT, n_tokens=5, generator=seeded_generator())

    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_torchs_seed_decides() -> None:
    network = new_network()
    texts = []
    for _ in range(2):
        torch.manual_seed(5)
        texts.append(sample(network, PROMPT, n_tokens=9))

    assert texts[0] == texts[1]


def test_only_the_likeliest_k_tokens_are_drawn() -> None:
    network = new_network()
    likeliest = scores_after(network, PROMPT).topk(3).indices.tolist()

    texts = sample(network, PROMPT, n_tokens=1, n_texts=500, top_k=3, generator=seeded_generator())

    assert {END_ID if text.finished else text.ids[0] for text in texts} == set(likeliest)


@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.8, 1.0])
@pytest.mark.parametrize("n_sorted", [2, 1024])
def test_only_the_smallest_set_of_so_much_probability_is_drawn(
    n_sorted: int, top_p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabtext.text.generation._USUALLY_ENOUGH", n_sorted)
    network = new_network()
    shares, order = scores_after(network, PROMPT).softmax(dim=0).sort(descending=True)
    nucleus: set[int] = set()
    covered = 0.0
    for share, token in zip(shares.tolist(), order.tolist(), strict=True):
        if covered < top_p and share > 0:
            nucleus.add(token)
        covered += share

    texts = sample(
        network,
        PROMPT,
        n_tokens=1,
        n_texts=20_000,
        top_p=top_p,
        generator=seeded_generator(),
    )

    assert {END_ID if text.finished else text.ids[0] for text in texts} == nucleus


def test_cold_texts_and_the_likeliest_token_alone_are_the_same() -> None:
    network = new_network()

    cold = sample(network, PROMPT, n_tokens=8, temperature=1e-4)
    first = sample(network, PROMPT, n_tokens=8, top_k=1)
    smallest_nucleus = sample(network, PROMPT, n_tokens=8, top_p=1e-9)
    one_beam = beam_search(network, PROMPT, n_tokens=8, n_beams=1, no_repeat=None)

    assert cold[0].ids == first[0].ids == smallest_nucleus[0].ids == one_beam[0].ids


@pytest.mark.parametrize("temperature", [1e-300, 1e-40, 1e300])
def test_the_coldest_and_the_hottest_texts_have_tokens_of_the_vocabulary(
    temperature: float,
) -> None:
    texts = sample(
        new_network(),
        PROMPT,
        n_tokens=20,
        n_texts=5,
        temperature=temperature,
        top_k=5,
        top_p=0.9,
        generator=seeded_generator(),
    )

    assert all(0 <= token < VOCABULARY for text in texts for token in text.ids)
    assert (len({text.ids for text in texts}) == 1) == (temperature < 1)


def test_without_a_prompt_a_document_begins() -> None:
    network = new_network()

    assert sample(network, [], n_tokens=4, top_k=1) == sample(
        network, [BEGIN_ID], n_tokens=4, top_k=1
    )


def test_a_prompt_longer_than_is_read_at_once_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = new_network()
    prompt = [BEGIN_ID, *[9, 10, 11, 12] * 5]
    (whole,) = sample(network, prompt, n_tokens=5, top_k=1)

    monkeypatch.setattr("tabtext.text.generation._TOKENS_AT_ONCE", 4)
    (in_pieces,) = sample(network, prompt, n_tokens=5, top_k=1)

    assert in_pieces.ids == whole.ids
    assert in_pieces.log_probability == pytest.approx(whole.log_probability, rel=1e-5)


def test_the_network_comes_back_in_its_mode_and_without_gradients() -> None:
    network = new_network().train()

    sample(network, PROMPT, n_tokens=3)
    beam_search(network, PROMPT, n_tokens=3)

    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())


# ------------------------------------------------------------------------------------- repetitions


@pytest.mark.parametrize("length", [1, 2, 3])
def test_no_sequence_of_tokens_comes_twice(length: int) -> None:
    network = new_network(favoured=11)

    for text in beam_search(network, PROMPT, n_tokens=40, n_texts=5, no_repeat=length):
        ids = [*PROMPT, *text.ids]
        sequences = [tuple(ids[at : at + length]) for at in range(len(ids) - length + 1)]
        assert len(set(sequences)) == len(sequences)


def test_a_text_in_which_every_word_would_be_a_repetition_ends() -> None:
    (text,) = beam_search(new_network(), PROMPT, n_tokens=40, no_repeat=1)

    assert text.finished
    assert len(text.ids) <= VOCABULARY - len(NEVER | set(PROMPT))


# ------------------------------------------------------------------------------------- beam search


def all_texts(network: LanguageModelNetwork, n_tokens: int) -> list[tuple[float, Continuation]]:
    """Every text that there is, with its probability, by reading each anew."""
    words = [token for token in range(VOCABULARY) if token not in NEVER]
    known: dict[tuple[int, ...], Tensor] = {}
    found = []
    for length in range(n_tokens + 1):
        for ids in product(words, repeat=length):
            total = 0.0
            for place in range(length):
                total += float(known[ids[:place]][ids[place]])
            if length == n_tokens:
                found.append((total, Continuation(ids, total, finished=False)))
                continue
            known[ids] = scores_after(network, [*PROMPT, *ids])
            total += float(known[ids][END_ID])
            found.append((total, Continuation(ids, total, finished=True)))
    return found


def test_beams_enough_for_all_texts_find_the_best_ones() -> None:
    network = new_network(std=1.2)

    found = beam_search(network, PROMPT, n_tokens=2, n_beams=200, n_texts=10, no_repeat=None)

    def rank(entry: tuple[float, Continuation]) -> float:
        total, text = entry
        return total / (len(text.ids) + text.finished)

    expected = sorted(all_texts(network, 2), key=rank, reverse=True)[:10]
    assert [text.ids for text in found] == [text.ids for _, text in expected]
    assert [text.finished for text in found] == [text.finished for _, text in expected]
    for text, (total, _) in zip(found, expected, strict=True):
        assert text.log_probability == pytest.approx(total, rel=1e-5)


def test_more_beams_find_nothing_worse() -> None:
    network = new_network(std=1.0)

    def mean_log_probability(n_beams: int) -> float:
        best, *_ = beam_search(network, PROMPT, n_tokens=6, n_beams=n_beams, no_repeat=None)
        return best.log_probability / (len(best.ids) + best.finished)

    best = [mean_log_probability(n_beams) for n_beams in (1, 4, 64)]

    assert best[0] <= best[1] + 1e-6
    assert best[1] <= best[2] + 1e-6


def test_texts_come_best_first_and_none_twice() -> None:
    texts = beam_search(new_network(), PROMPT, n_tokens=6, n_beams=8, n_texts=8)

    ranks = [t.log_probability / (len(t.ids) + t.finished) for t in texts]
    assert len({(text.ids, text.finished) for text in texts}) == 8
    assert all(one >= other for one, other in pairwise(ranks))
    assert not NEVER & {token for text in texts for token in text.ids}


def test_the_search_takes_no_chances() -> None:
    random = torch.get_rng_state()

    first, second = (beam_search(new_network(), PROMPT, n_tokens=6) for _ in range(2))

    assert first == second
    assert torch.equal(torch.get_rng_state(), random)


# ------------------------------------------------------------------------------------------ refusal


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_tokens": 0}, "n_tokens=0 must be a whole number of at least 1"),
        ({"n_texts": 0}, "n_texts=0 must be a whole number"),
        ({"top_k": 0}, "top_k=0 must be a whole number"),
        ({"top_k": 2.5}, "top_k=2.5 must be a whole number"),
        ({"n_tokens": "5"}, "n_tokens='5' must be a whole number"),
        ({"n_texts": None}, "n_texts=None must be a whole number"),
        ({"temperature": math.inf}, r"temperature=inf.*above 0"),
        ({"temperature": "hot"}, r"temperature='hot'.*above 0"),
        ({"temperature": 0.0}, r"temperature=0.0.*above 0"),
        ({"temperature": math.nan}, r"temperature=nan.*above 0"),
        ({"top_p": 0.0}, r"top_p=0.0.*above 0 and at most 1"),
        ({"top_p": 1.5}, r"top_p=1.5.*above 0 and at most 1"),
    ],
)
def test_samples_outside_of_their_bounds_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        sample(new_network(), PROMPT, **{"n_tokens": 3, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [{"n_beams": 0}, {"n_beams": 2, "n_texts": 3}, {"no_repeat": 0}],
)
def test_searches_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        beam_search(new_network(), PROMPT, n_tokens=3, **wrong)


@pytest.mark.parametrize("token", [-1, VOCABULARY])
def test_an_id_of_another_vocabulary_is_refused_with_its_place(token: int) -> None:
    with pytest.raises(ParameterError, match=f"id {token} at place 1 .* of 14 tokens"):
        sample(new_network(), [BEGIN_ID, token], n_tokens=3)
