"""Texts that a language model makes up: by chance, within bounds, or the likeliest it can find.

The ids of a beginning flow in; continuations of it, as ids, flow out. All continuations go through
the network as one batch, a token at a time, each from the state in which the token before left it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.text.encoder.awd_lstm import State
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.perplexity import evaluating
from tabtext.text.special_tokens import BEGIN_ID, END_ID, PADDING_ID, UNKNOWN_ID

__all__ = ["Continuation", "beam_search", "sample"]

_TOKENS_AT_ONCE = 1024
_USUALLY_ENOUGH = 1024
_MAY_BE_NONE = ("top_k", "no_repeat")


@dataclass(frozen=True)
class Continuation:
    """How a text may go on.

    Parameters
    ----------
    ids : tuple of int
        The new tokens, without those of the beginning and without the end.
    log_probability : float
        Logarithm of how likely the model holds the new tokens to be, the end included.
    finished : bool
        Whether the text came to its end within the tokens that it might have.
    """

    ids: tuple[int, ...]
    log_probability: float
    finished: bool


@torch.no_grad()
def sample(
    network: LanguageModelNetwork,
    prompt: Sequence[int],
    *,
    n_tokens: int,
    n_texts: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> list[Continuation]:
    """Return continuations whose tokens are drawn as likely as the model holds them to be.

    ``xxunk`` and ``xxpad``, which nobody would write, are never drawn.

    Parameters
    ----------
    network : LanguageModelNetwork
        Used in evaluation mode, where it is; its mode is afterwards as it was.
    prompt : sequence of int
        Ids of the beginning, ``xxbos`` first; without any, a document begins.
    n_tokens : int
        Largest number of new tokens.
    n_texts : int
        How many to draw.
    temperature : float
        Log-probabilities are divided by it: below 1 likely tokens become likelier, near 0 nothing
        else is drawn, above 1 chance has more say.
    top_k : int, optional
        Only so many of the likeliest tokens may be drawn.
    top_p : float, optional
        Only the likeliest tokens that together have this probability may be drawn. Unlike
        ``top_k`` it leaves much choice where much could follow, and none where one token must.
    generator : torch.Generator, optional
        Source of chance, for texts that can be repeated.

    Raises
    ------
    ParameterError
        If a number is outside of what it may be, or an id of the prompt is not in the vocabulary.

    References
    ----------
    Fan, A., Lewis, M. and Dauphin, Y. (2018), "Hierarchical Neural Story Generation" (top-k).
    Holtzman, A. et al. (2020), "The Curious Case of Neural Text Degeneration" (top-p, the nucleus).

    Examples
    --------
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> options = EncoderOptions(embedding_width=4, hidden_width=4, n_layers=1)
    >>> network = LanguageModelNetwork(11, options)
    >>> generator = torch.Generator().manual_seed(0)
    >>> texts = sample(network, [2, 9], n_tokens=5, n_texts=2, generator=generator)
    >>> len(texts), max(len(text.ids) for text in texts) <= 5
    (2, True)
    """
    _require_counts(n_tokens=n_tokens, n_texts=n_texts, top_k=top_k)
    _require_shares(temperature, top_p)
    given = _checked(prompt, network)
    texts = [_Text(given) for _ in range(n_texts)]
    with evaluating(network):
        scores, state = _read(network, given)
        scores, state = scores.expand(n_texts, -1), _rows(state, [0] * n_texts)
        for number in range(n_tokens):
            allowed = _tempered(_likeliest(scores, top_k), temperature)
            drawn = _draw(_nucleus(allowed, top_p), generator)
            gains = scores.gather(1, drawn[:, None])[:, 0]
            for row, (token, gain) in enumerate(zip(drawn.tolist(), gains.tolist(), strict=True)):
                texts[row] = texts[row].with_token(token, gain)
            if number == n_tokens - 1 or all(text.finished for text in texts):
                break
            scores, state = _step(network, drawn, state)
    return [text.continuation(len(given)) for text in texts]


@torch.no_grad()
def beam_search(
    network: LanguageModelNetwork,
    prompt: Sequence[int],
    *,
    n_tokens: int,
    n_beams: int = 5,
    n_texts: int = 1,
    no_repeat: int | None = 3,
) -> list[Continuation]:
    """Return the likeliest continuations that can be found, the best first.

    At every token the ``n_beams`` likeliest beginnings are followed. What has come to its end, and
    what has all its tokens, is ranked by the mean log-probability of its tokens, because the sum
    would favour the shortest; the search is over when none that is under way could still come
    before those that are wanted.

    Parameters
    ----------
    network, prompt, n_tokens
        As for ``sample``.
    n_beams : int
        How many to follow; with 1 the likeliest token is taken every time.
    n_texts : int
        How many to return, no more than ``n_beams``.
    no_repeat : int or None
        No sequence of so many tokens comes twice in a text, the beginning included; 3 by default,
        because the likeliest texts go round in circles.

    Raises
    ------
    ParameterError
        As ``sample`` does.

    References
    ----------
    Wu, Y. et al. (2016), "Google's Neural Machine Translation System", section 7 (length).
    Paulus, R., Xiong, C. and Socher, R. (2018), "A Deep Reinforced Model for Abstractive
    Summarization", section 2.5 (no sequence twice).

    Examples
    --------
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> options = EncoderOptions(embedding_width=4, hidden_width=4, n_layers=1)
    >>> network = LanguageModelNetwork(11, options)
    >>> first, second = beam_search(network, [2, 9], n_tokens=4, n_texts=2)
    >>> first.ids != second.ids
    True
    """
    _require_counts(n_tokens=n_tokens, n_beams=n_beams, n_texts=n_texts, no_repeat=no_repeat)
    if n_texts > n_beams:
        raise ParameterError(
            f"{n_texts=}, {n_beams=}: a search returns no more texts than it has beams; give more "
            "beams, or ask for fewer texts"
        )
    given = _checked(prompt, network)

    def rank(text: _Text) -> float:
        length = len(text.ids) - len(given) + text.finished
        return text.log_probability / length

    finished: list[_Text] = []
    alive = [_Text(given)]
    with evaluating(network):
        scores, state = _read(network, given)
        for number in range(n_tokens):
            allowed = _without_repetitions(scores, alive, no_repeat)
            ended, alive, sources = _best_steps(alive, allowed, n_beams)
            finished = sorted([*finished, *ended], key=rank, reverse=True)[:n_texts]
            if number == n_tokens - 1 or not alive:
                break
            # Whatever follows, a sum of log-probabilities falls, and no text gets longer than this.
            bound = alive[0].log_probability / n_tokens
            if len(finished) == n_texts and rank(finished[-1]) >= bound:
                break
            last = torch.tensor([text.ids[-1] for text in alive], device=scores.device)
            scores, state = _step(network, last, _rows(state, sources))
    best = sorted([*finished, *alive], key=rank, reverse=True)[:n_texts]
    return [text.continuation(len(given)) for text in best]


@dataclass(frozen=True)
class _Text:
    """A text as far as it goes."""

    ids: tuple[int, ...]
    log_probability: float = 0.0
    finished: bool = False

    def with_token(self, token: int, gain: float) -> "_Text":
        """The text with a token more, or at its end."""
        if self.finished:
            return self
        if token == END_ID:
            return _Text(self.ids, self.log_probability + gain, finished=True)
        return _Text((*self.ids, token), self.log_probability + gain)

    def continuation(self, n_given: int) -> Continuation:
        """What is new in it."""
        return Continuation(self.ids[n_given:], self.log_probability, self.finished)


# ---------------------------------------------------------------------------- through the network


def _read(network: LanguageModelNetwork, ids: Sequence[int]) -> tuple[Tensor, State]:
    """Scores ``(1, vocabulary)`` of what follows a beginning, and the state behind it."""
    device = next(network.parameters()).device
    state = network.encoder.initial_state(1)
    for part in torch.split(torch.tensor([ids], device=device), _TOKENS_AT_ONCE, dim=1):
        output = network.encoder(part, state)
        state = output.state
    return _scores(network, output.outputs[:, -1]), state


def _step(network: LanguageModelNetwork, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    """Scores ``(rows, vocabulary)`` of what follows a token more in every row."""
    output = network.encoder(tokens[:, None], state)
    return _scores(network, output.outputs[:, -1]), output.state


def _scores(network: LanguageModelNetwork, hidden: Tensor) -> Tensor:
    """Log-probabilities of all tokens that may follow; ``xxeos`` stands for the end of the text."""
    scores = network.log_probabilities(hidden)
    # Where the next document begins, this one is over.
    scores[:, END_ID] = torch.logaddexp(scores[:, END_ID], scores[:, BEGIN_ID])
    scores[:, [UNKNOWN_ID, PADDING_ID, BEGIN_ID]] = -inf
    return scores


def _rows(state: State, rows: Sequence[int]) -> State:
    """The states of some rows, which may come repeatedly."""
    return tuple(tuple(tensor[list(rows)] for tensor in layer) for layer in state)


# ------------------------------------------------------------------------------ which token follows


def _without_repetitions(scores: Tensor, texts: Sequence[_Text], no_repeat: int | None) -> Tensor:
    """Rule out every token that would end a sequence that its text has already."""
    if no_repeat is None:
        return scores
    scores = scores.clone()
    for row, text in enumerate(texts):
        ids = text.ids
        n_before = no_repeat - 1
        last = ids[len(ids) - n_before :]
        ends = range(n_before, len(ids))
        repeated = [ids[end] for end in ends if ids[end - n_before : end] == last]
        scores[row, repeated] = -inf
    return scores


def _tempered(scores: Tensor, temperature: float) -> Tensor:
    """Divide by the temperature, where the likeliest token stays at 0 however cold it is."""
    scores = scores.double()
    return (scores - scores.amax(dim=1, keepdim=True)) / temperature


def _likeliest(scores: Tensor, top_k: int | None) -> Tensor:
    if top_k is None or top_k >= scores.shape[1]:
        return scores
    bounds = scores.topk(top_k, dim=1).values[:, -1:]
    return scores.masked_fill(scores < bounds, -inf)


def _nucleus(scores: Tensor, top_p: float | None) -> Tensor:
    """Rule out every token before which the likelier ones have the probability ``top_p``."""
    if top_p is None:
        return scores
    shares = scores.double().softmax(dim=1)
    for n_sorted in (_USUALLY_ENOUGH, scores.shape[1]):  # to sort all takes six times as long
        falling, order = shares.topk(min(n_sorted, scores.shape[1]), dim=1)
        if bool((falling.sum(dim=1) >= top_p).all()):
            break
    beyond = falling.cumsum(dim=1) - falling >= top_p
    beyond[:, 0] = False
    ruled_out = torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, beyond)
    return scores.masked_fill(ruled_out, -inf)


def _draw(scores: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw a token for every row, by a number from the generator, on whatever device it is."""
    heights = scores.double().softmax(dim=1).cumsum(dim=1)
    device = torch.device("cpu") if generator is None else generator.device
    share = torch.rand(len(scores), 1, generator=generator, dtype=torch.float64, device=device)
    # The last height may be a little below 1, and only a token of no probability has no step of
    # its own, so that nothing beyond the share is ruled out.
    wanted = share.to(heights.device) * heights[:, -1:] * (1 - 1e-12)
    return torch.searchsorted(heights, wanted, right=True)[:, 0]


def _best_steps(
    texts: Sequence[_Text], scores: Tensor, n_beams: int
) -> tuple[list[_Text], list[_Text], list[int]]:
    """The likeliest texts with a token more: those at their end, the others, and their sources."""
    before = torch.tensor([text.log_probability for text in texts], dtype=torch.float64)
    sums = (before[:, None] + scores.cpu().double()).flatten()
    # Only one step of each text ends it, so that among twice as many enough go on.
    values, places = sums.topk(min(2 * n_beams, len(sums)))
    ended: list[_Text] = []
    alive: list[_Text] = []
    sources: list[int] = []
    for value, place in zip(values.tolist(), places.tolist(), strict=True):
        source, token = divmod(place, scores.shape[1])
        if value == -inf or len(alive) == n_beams:
            break
        text = texts[source].with_token(token, value - texts[source].log_probability)
        if text.finished:
            ended.append(text)
        else:
            alive.append(text)
            sources.append(source)
    return ended, alive, sources


# ------------------------------------------------------------------------------------ what is given


def _checked(prompt: Sequence[int], network: LanguageModelNetwork) -> tuple[int, ...]:
    """The ids of the beginning, at least that of a document."""
    ids = tuple(int(token) for token in prompt) or (BEGIN_ID,)
    size = network.vocabulary_size
    for place, token in enumerate(ids):
        if not 0 <= token < size:
            raise ParameterError(
                f"id {token} at place {place} of the prompt is not in the vocabulary of {size} "
                "tokens; use the ids of the model's own vocabulary"
            )
    return ids


def _require_counts(**counts: Any) -> None:
    for name, count in counts.items():
        if count is None and name in _MAY_BE_NONE:
            continue
        if not isinstance(count, Integral) or isinstance(count, bool) or int(count) < 1:
            raise ParameterError(f"{name}={count!r} must be a whole number of at least 1")


def _require_shares(temperature: Any, top_p: Any) -> None:
    if not isinstance(temperature, Real) or not 0 < float(temperature) < inf:
        raise ParameterError(
            f"{temperature=} must be a number above 0 (top_k=1 draws nothing but the likeliest "
            "token)"
        )
    if top_p is not None and not (isinstance(top_p, Real) and 0 < float(top_p) <= 1):
        raise ParameterError(f"{top_p=} must be a probability above 0 and at most 1, or None")
