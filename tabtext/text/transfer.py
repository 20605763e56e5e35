"""A language model for another vocabulary: words that both know keep what was learned of them.

The weights of a network and two lists of tokens flow in; weights for the new list flow out. Nothing
but the entries with a row for every token changes: the embedding, which is the softmax's matrix
too, and the softmax's bias.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tabtext.errors import ArtifactError, ParameterError
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.softmax.adaptive import AdaptiveSoftmax

__all__ = ["PER_TOKEN", "VocabularyTransfer", "transfer_vocabulary", "transferred_network"]

PER_TOKEN = ("encoder.embedding.weight", "decoder.bias")
"""The entries of a language model's state that have a row for every token."""


@dataclass(frozen=True, eq=False)
class VocabularyTransfer:
    """Weights for another vocabulary, and how much of it was known.

    Parameters
    ----------
    state : dict of str to Tensor
        The new weights.
    shared : bool array of shape (new tokens,)
        Which tokens of the new vocabulary the old one has.
    n_shared, n_new, n_dropped : int
        Tokens that both vocabularies have, that only the new one has, and only the old one.
    """

    state: dict[str, Tensor]
    shared: npt.NDArray[np.bool_]
    n_shared: int
    n_new: int
    n_dropped: int


def transfer_vocabulary(
    state: Mapping[str, Tensor],
    old_tokens: Sequence[str],
    new_tokens: Sequence[str],
    *,
    per_token: Collection[str] = PER_TOKEN,
) -> VocabularyTransfer:
    """Return the weights of a language model for another vocabulary.

    Shared tokens keep their rows, wherever they stand in the new list; new ones start at the mean
    of all old rows, from where no direction is nearer than any other.

    Parameters
    ----------
    state : mapping of str to Tensor
        A ``state_dict``; it stays as it is.
    old_tokens, new_tokens : sequence of str
        The vocabularies, in the order of their ids.
    per_token : collection of str
        Entries with a row for every token; those that the state lacks are passed over, as an
        encoder without a softmax does.

    Returns
    -------
    VocabularyTransfer

    Raises
    ------
    ArtifactError
        If the old vocabulary does not fit the weights.
    ParameterError
        If a token comes twice, or the state has no entry with a row for every token.

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text Classification";
    the mean is that of its scripts.

    Examples
    --------
    >>> state = {"encoder.embedding.weight": torch.tensor([[1.0], [3.0], [8.0]])}
    >>> transfer = transfer_vocabulary(state, ["a", "b", "c"], ["c", "new", "a"])
    >>> transfer.state["encoder.embedding.weight"].tolist()
    [[8.0], [4.0], [1.0]]
    >>> transfer.n_shared, transfer.n_new, transfer.n_dropped
    (2, 1, 1)
    """
    places = _places(old_tokens, "old")
    _places(new_tokens, "new")
    present = [name for name in per_token if name in state]
    if not present:
        raise ParameterError(
            f"these weights have none of {', '.join(per_token)}; say in per_token which entries "
            "have a row for every token"
        )
    sources = torch.tensor([places.get(token, -1) for token in new_tokens], dtype=torch.int64)
    known = sources >= 0
    moved = {name: tensor.clone() for name, tensor in state.items() if name not in present}
    for name in present:
        moved[name] = _moved_rows(state[name], sources, known, n_old=len(places), name=name)
    n_shared = int(known.sum())
    return VocabularyTransfer(
        {name: moved[name] for name in state},
        shared=known.numpy(),
        n_shared=n_shared,
        n_new=len(new_tokens) - n_shared,
        n_dropped=len(old_tokens) - n_shared,
    )


def transferred_network(
    network: LanguageModelNetwork,
    old_tokens: Sequence[str],
    new_tokens: Sequence[str],
    *,
    options: EncoderOptions | None = None,
) -> tuple[LanguageModelNetwork, VocabularyTransfer]:
    """Return a network like another one, with its knowledge, for another vocabulary.

    The clusters of an adaptive softmax are as many as before, keep their vectors, and begin at the
    same shares of the vocabulary.

    Parameters
    ----------
    network : LanguageModelNetwork
        Stays as it is.
    old_tokens, new_tokens : sequence of str
        The vocabularies, in the order of their ids.
    options : EncoderOptions, optional
        The encoder's; default: the network's. Of the same shape, with other dropouts perhaps.

    Raises
    ------
    ArtifactError, ParameterError
        As ``transfer_vocabulary`` does, or if the options are of another shape.

    Examples
    --------
    >>> shape = EncoderOptions(embedding_width=4, hidden_width=4, n_layers=1)
    >>> network = LanguageModelNetwork(3, shape)
    >>> other, transfer = transferred_network(network, ["a", "b", "c"], ["c", "d", "a", "e"])
    >>> torch.equal(other.encoder.embedding.weight[2], network.encoder.embedding.weight[0])
    True
    >>> transfer.n_new
    2
    """
    transfer = transfer_vocabulary(network.state_dict(), old_tokens, new_tokens)
    cutoffs = None
    if isinstance(network.decoder, AdaptiveSoftmax):
        cutoffs = _at_the_same_shares(network.decoder.cutoffs, len(old_tokens), len(new_tokens))
    with torch.random.fork_rng(devices=[]):  # nothing of what it begins with is kept
        other = LanguageModelNetwork(
            len(new_tokens),
            network.options if options is None else options,
            softmax=network.softmax,
            cutoffs=cutoffs,
        )
    for name, tensor in other.state_dict().items():
        if tensor.shape != transfer.state[name].shape:
            raise ParameterError(
                f"{name!r} would have the shape {tuple(tensor.shape)}, and what was learned "
                f"{tuple(transfer.state[name].shape)}; give options of the same shape"
            )
    other.load_state_dict(transfer.state)
    return other.to(network.encoder.embedding.weight.device), transfer


def _moved_rows(rows: Tensor, sources: Tensor, known: Tensor, *, n_old: int, name: str) -> Tensor:
    if len(rows) != n_old:
        raise ArtifactError(
            f"the vocabulary has {n_old:,} tokens, and {name!r} of the weights {len(rows):,} rows; "
            "they belong to different models"
        )
    rows = rows.detach()
    sources, known = sources.to(rows.device), known.to(rows.device)
    moved = rows.double().mean(dim=0).to(rows.dtype).expand(len(sources), *rows.shape[1:]).clone()
    moved[known] = rows[sources[known]]
    return moved


def _at_the_same_shares(cutoffs: Sequence[int], n_old: int, n_new: int) -> list[int]:
    """Cutoffs for a vocabulary of another size, with a token at least between any two."""
    moved: list[int] = []
    for place, cutoff in enumerate(cutoffs):
        lowest = moved[-1] + 1 if moved else 1
        highest = n_new - len(cutoffs) + place
        moved.append(max(lowest, min(round(cutoff * n_new / n_old), highest)))
    return moved


def _places(tokens: Sequence[str], which: str) -> dict[str, int]:
    places = {token: place for place, token in enumerate(tokens)}
    if len(places) != len(tokens):
        twice = next(token for place, token in enumerate(tokens) if places[token] != place)
        raise ParameterError(f"token {twice!r} comes twice in the {which} vocabulary")
    return places
