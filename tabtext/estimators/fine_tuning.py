"""What a language model that goes on from another one must have in common with it.

A network keeps its shape, and its texts their tokenizer. Checked before texts are read, because a
contradiction that shows after hours of work, or never, is worth nothing.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tabtext.errors import ParameterError, TabTextWarning
from tabtext.estimators.corpora import contradictions, settings_of
from tabtext.estimators.text_parameters import TextParameters
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.transfer import VocabularyTransfer

__all__ = [
    "require_directions",
    "require_same_network",
    "require_same_tokens",
    "shared_tokens",
    "warn_of_few_shared",
]

_FEW_SHARED = 0.2
"""Share of known words below which little of what was learned is of use; a list of film reviews and
one of tweets in the same language have more than half in common."""


def require_directions(wanted: Sequence[str], networks: Mapping[str, LanguageModelNetwork]) -> None:
    """Raise ``ParameterError`` unless there is a network for every direction.

    Examples
    --------
    >>> require_directions(["forward", "backward"], {"forward": None})
    Traceback (most recent call last):
    tabtext.errors.ParameterError: a backward network is wanted, and the language model has only ...
    """
    for direction in wanted:
        if direction not in networks:
            raise ParameterError(
                f"a {direction} network is wanted, and the language model has only a "
                f"{', '.join(networks)} one; choose direction={next(iter(networks))!r}, or fit the "
                "language model with direction='both'"
            )


def require_same_network(
    parameters: TextParameters, softmax: str, network: LanguageModelNetwork
) -> None:
    """Raise ``ParameterError`` for a parameter that says another shape than the network has."""
    wanted, known = parameters.encoder_options(), network.options
    shape = ("cell", "embedding_width", "hidden_width", "n_layers")
    pairs = {name: (getattr(wanted, name), getattr(known, name)) for name in shape}
    for name, (value, of_network) in {**pairs, "softmax": (softmax, network.softmax)}.items():
        if value != of_network:
            by_size = (
                "" if getattr(parameters, name) == value else f" (of size={parameters.size!r})"
            )
            raise ParameterError(
                f"{name}={value!r}{by_size}, however: the language model to go on from has "
                f"{name}={of_network!r}, and fine-tuning keeps its network. Leave the parameter as "
                "it was, or fit a new model"
            )


def require_same_tokens(parameters: TextParameters, preprocessor: TextPreprocessor) -> None:
    """Raise ``ParameterError`` for a parameter that was set and asks for another tokenizer."""
    known = settings_of(preprocessor)
    of_tokens: dict[str, Any] = {
        name: known[name] for name in ("tokens", "language", "rules") if name in known
    }
    for name, value, of_model in contradictions(parameters, of_tokens):
        raise ParameterError(
            f"{name}={value!r}, however: the texts of the language model to go on from were cut "
            f"with {name}={of_model!r}, and fine-tuning keeps its tokenizer. Leave the parameter "
            "as it was, or fit a new model"
        )


def shared_tokens(transfer: VocabularyTransfer) -> dict[str, int]:
    """Return how many tokens of a new vocabulary were known, for the card."""
    return {
        "shared": transfer.n_shared,
        "new": transfer.n_new,
        "dropped": transfer.n_dropped,
    }


def warn_of_few_shared(transfer: VocabularyTransfer, new_tokens: Collection[str]) -> None:
    """Say so if hardly a word of the new texts was known."""
    n_words = len(new_tokens) - len(SPECIAL_TOKENS)
    n_known = transfer.n_shared - len(SPECIAL_TOKENS)
    if n_known < _FEW_SHARED * n_words:
        warnings.warn(
            f"the language model knew only {n_known:,} of the {n_words:,} words of the new texts; "
            "are they of another language? A new model may learn as well",
            TabTextWarning,
            stacklevel=4,
        )
