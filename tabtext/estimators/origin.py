"""The language model that a classifier starts from: which one, what it must have and decides.

What the user gave and a classifier's parameters flow in; a fitted language model or None flows out,
or an error that says which parameter the language model contradicts.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tabtext.errors import ParameterError, TabTextWarning
from tabtext.estimators.corpora import contradictions, settings_of
from tabtext.estimators.language_model import LanguageModel
from tabtext.estimators.pretrained import pretrained_names
from tabtext.estimators.text_parameters import DIRECTIONS, SIZES, TextParameters
from tabtext.text.alignment import HALF_WAY
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.special_tokens import UNKNOWN_ID
from tabtext.text.word_vectors import word_vectors

__all__ = [
    "AUTO",
    "adapt_to",
    "require_no_contradiction",
    "starting_point",
    "warn_of_foreign_texts",
]

AUTO = "auto"
"""Start from ``_SHIPPED`` where the parameters allow it, and from random weights elsewhere."""

_SHIPPED = "english-small"
_FOREIGN = 0.3
"""Share of unknown words from which on texts are hardly in the language that the model has read. To
60,000 words of Wikipedia it is 2 to 9 % in English reviews, news and tweets, and 39 to 70 % in the
example sentences that spaCy has of eleven other European languages."""

_HALF_WAY_AGAIN = 100
"""For a language model that was adapted already, in fine-tuning, ``alignment.HALF_WAY``."""

_OF_TOKENS = ("tokens", "language", "rules", "max_vocabulary")
_OF_ENCODER = ("embedding_width", "hidden_width", "n_layers", "cell")


def starting_point(given: Any, parameters: TextParameters) -> LanguageModel | None:
    """Return the fitted language model that ``language_model=`` names, if any.

    Parameters
    ----------
    given : LanguageModel, str, Path or None
        A fitted model, the name of one that ships, a directory, or ``"auto"``.
    parameters : TextParameters
        The classifier's; ``"auto"`` is the model that ships unless they contradict it.

    Raises
    ------
    ParameterError
        If it is nothing of these, not fitted, or nothing is under the name.
    """
    if isinstance(given, str) and given == AUTO:
        return _automatic(parameters)
    origin = LanguageModel.from_pretrained(given) if isinstance(given, str | Path) else given
    if origin is not None:
        if not isinstance(origin, LanguageModel):
            raise ParameterError(
                f"language_model is a {type(origin).__name__}; give a fitted LanguageModel, the "
                "directory that its save() wrote, or the name of one that ships"
            )
        if not hasattr(origin, "card_"):
            raise ParameterError(
                "language_model is a LanguageModel that is not fitted; call its fit(texts) first, "
                "or leave the parameter out for the model that ships"
            )
    return origin


def _automatic(parameters: TextParameters) -> LanguageModel | None:
    known = parameters.direction in list(DIRECTIONS)  # what is none is told elsewhere
    if not known or _SHIPPED not in pretrained_names():
        return None
    origin = LanguageModel.from_pretrained(_SHIPPED)
    directions = DIRECTIONS[parameters.direction]
    fits = set(directions) <= set(origin.networks_) and not list(
        contradictions(parameters, _settings_of(origin))
    )
    return origin if fits else None


def warn_of_foreign_texts(documents: Documents, n_known: int) -> None:
    """Say so if many words of the texts are unknown to the model that ships.

    Parameters
    ----------
    documents : Documents
        The training texts.
    n_known : int
        Ids from here on are words that it has never read.
    """
    known = np.where(documents.ids < n_known, documents.ids, np.int32(UNKNOWN_ID))
    share = DocumentView(Documents(known, documents.offsets)).unknown_share()
    if share >= _FOREIGN:
        warnings.warn(
            f"{_SHIPPED}, which language_model='auto' starts from, has never read {share:.0%} of "
            "the words of these texts; are they no English? Then language_model=None may learn as "
            "well, and a LanguageModel fitted on texts of that language better",
            TabTextWarning,
            stacklevel=4,
        )


def adapt_to(
    encoders: Sequence[AWDLSTM],
    documents: Documents,
    origin: LanguageModel,
    *,
    seed: int,
) -> None:
    """Turn word vectors of encoders to how the texts of a fit use the words.

    What an encyclopedia tells of a word is not what it means in reviews: with 1,000 labels a linear
    model on the mean word vector of IMDb's reviews has accuracy 0.80 afterwards, before 0.74.

    Parameters
    ----------
    encoders : sequence of AWDLSTM
        The language model's, one for each direction, with words added to its vocabulary; changed
        in place. As they are of one width, the neighbours of words are counted once for all.
    documents : Documents
        The training texts.
    origin : LanguageModel
        The language model; if it takes nothing from counts, the encoders stay as they are.
    seed : int
        Of the word vectors.
    """
    if origin.initial_vectors != "counts":
        return
    size, width = encoders[0].embedding.weight.shape
    vectors = word_vectors(documents, size, width, seed=seed)
    shared = np.arange(size) < len(origin.preprocessor_.vocabulary_)
    counts = np.bincount(documents.ids, minlength=size)
    half_way = _HALF_WAY_AGAIN if origin.was_fine_tuned else HALF_WAY
    for encoder in encoders:
        encoder.adapt_word_vectors(vectors, shared, counts, half_way=half_way)


def require_no_contradiction(parameters: TextParameters, origin: LanguageModel) -> None:
    """Raise ``ParameterError`` for a parameter that was set, and is not the language model's.

    What has its default value follows the language model.
    """
    for name, value, of_model in contradictions(parameters, _settings_of(origin)):
        raise ParameterError(
            f"{name}={value!r}, however: the language model has {name}={of_model!r}, and its "
            "tokens and encoder are taken over. Leave the parameter out, or fit a language model "
            "with it"
        )


def _settings_of(origin: LanguageModel) -> dict[str, Any]:
    """The parameters that the language model decides, as it has them.

    What its corpus or its encoder tells counts more than its own parameters: those follow a corpus
    where they are at their defaults.
    """
    own = {name: getattr(origin, name) for name in _OF_TOKENS}
    learned = settings_of(origin.preprocessor_)
    # A classifier's table may call columns otherwise, and it adds words that it finds often enough.
    learned = {k: v for k, v in learned.items() if k not in ("text_columns", "min_frequency")}
    encoder = next(iter(origin.networks_.values())).encoder.options
    shape = {name: getattr(encoder, name) for name in _OF_ENCODER}
    return {**own, **learned, "size": _size_of(shape, origin.size), **shape}


def _size_of(shape: dict[str, Any], given: str) -> str:
    """The size that has this shape; else the one that was given and whose widths were changed."""
    names = (name for name, widths in SIZES.items() if widths.items() <= shape.items())
    return next(names, given)
