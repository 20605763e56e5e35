"""A language model that a classifier starts from: what it must have, and what it decides.

A classifier's parameters and a fitted language model flow in; nothing flows out, or an error that
says which parameter the language model contradicts.
"""

from typing import TYPE_CHECKING, Any

from tabtext.errors import ParameterError
from tabtext.estimators.corpora import contradictions, settings_of
from tabtext.estimators.text_parameters import SIZES, TextParameters

if TYPE_CHECKING:
    from tabtext.estimators.language_model import LanguageModel

__all__ = ["require_no_contradiction"]

_OF_TOKENS = ("tokens", "language", "rules", "max_vocabulary", "min_frequency")
_OF_ENCODER = ("embedding_width", "hidden_width", "n_layers", "cell")


def require_no_contradiction(parameters: TextParameters, origin: "LanguageModel") -> None:
    """Raise ``ParameterError`` for a parameter that was set, and is not the language model's.

    What has its default value follows the language model.
    """
    for name, value, of_model in contradictions(parameters, _settings_of(origin)):
        raise ParameterError(
            f"{name}={value!r}, however: the language model has {name}={of_model!r}, and its "
            "tokens and encoder are taken over. Leave the parameter out, or fit a language model "
            "with it"
        )


def _settings_of(origin: "LanguageModel") -> dict[str, Any]:
    """The parameters that the language model decides, as it has them.

    What its corpus or its encoder tells counts more than its own parameters: those follow a corpus
    where they are at their defaults.
    """
    own = {name: getattr(origin, name) for name in _OF_TOKENS}
    learned = settings_of(origin.preprocessor_)
    del learned["text_columns"]  # a classifier's table may call them otherwise
    encoder = next(iter(origin.networks_.values())).encoder.options
    shape = {name: getattr(encoder, name) for name in _OF_ENCODER}
    return {**own, **learned, "size": _size_of(shape, origin.size), **shape}


def _size_of(shape: dict[str, Any], given: str) -> str:
    """The size that has this shape; else the one that was given and whose widths were changed."""
    names = (name for name, widths in SIZES.items() if widths.items() <= shape.items())
    return next(names, given)
