"""Which tokenizers can be saved: their descriptions, for files, and the tokenizers from these."""

from collections.abc import Mapping
from typing import Any

from tabtext.errors import ArtifactError, ParameterError
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import Tokenizer, WordTokenizer

__all__ = ["describe_tokenizer", "tokenizer_of"]

_KINDS: dict[str, type[WordTokenizer] | type[SubwordTokenizer]] = {
    "words": WordTokenizer,
    "subwords": SubwordTokenizer,
}


def describe_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return a description that JSON can hold.

    Raises
    ------
    ParameterError
        If this is no tokenizer of tabtext, so that a file could not say how to rebuild it.

    Examples
    --------
    >>> describe_tokenizer(SubwordTokenizer("unigram"))["kind"]
    'subwords'
    """
    for kind, known in _KINDS.items():
        if type(tokenizer) is known:
            return {"kind": kind, "settings": tokenizer.to_dict()}
    raise ParameterError(
        f"a {type(tokenizer).__name__} cannot be saved; only tokenizers of tabtext can: "
        f"{', '.join(known.__name__ for known in _KINDS.values())}"
    )


def tokenizer_of(description: Mapping[str, Any]) -> WordTokenizer | SubwordTokenizer:
    """Return the tokenizer that ``describe_tokenizer`` described.

    Raises
    ------
    ArtifactError
        If the description is damaged.

    Examples
    --------
    >>> tokenizer_of(describe_tokenizer(SubwordTokenizer("unigram", 8000))).vocabulary_size
    8000
    """
    try:
        known, settings = _KINDS[description["kind"]], dict(description["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"the description of a tokenizer is damaged: {error!r}") from error
    return known.from_dict(settings)
