"""What the card of a text model says beyond that of any model: its tokens and who cut them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import Tokenizer, WordTokenizer

if TYPE_CHECKING:
    from tabtext.estimators.language_model_steps import LanguageModelSteps

__all__ = ["facts_of_origin", "token_counts", "tokenizer_library", "tokenizer_name"]


def token_counts(
    train: Documents | DocumentView, valid: Documents | DocumentView | None, n_vocabulary: int
) -> dict[str, Any]:
    """Return how many tokens a model has read, and what share of the words it does not know.

    Parameters
    ----------
    train, valid : Documents or DocumentView
        What it learned from, and what its best epoch was chosen by.
    n_vocabulary : int
        Distinct tokens that it knows.

    Examples
    --------
    >>> token_counts(Documents.of([[2, 10, 0, 3]]), None, 11)
    {'train': 4, 'valid': 0, 'vocabulary': 11, 'unknown': 0.5}
    """
    return {
        "train": train.n_tokens,
        "valid": 0 if valid is None else valid.n_tokens,
        "vocabulary": n_vocabulary,
        "unknown": DocumentView.of(train).unknown_share(),
    }


def facts_of_origin(origin: "LanguageModelSteps", given: Any = None) -> dict[str, Any]:
    """Return what a card should tell of the language model that a text model began from.

    Parameters
    ----------
    origin : LanguageModel
        Fitted.
    given : LanguageModel, name, path or None
        As the user named it, for one that has no name of its own.

    Returns
    -------
    dict
        Its name, how much it has read, whose texts these are and under which licence, where its own
        card says so; and the same of the language model that it began from itself.
    """
    card = origin.card_
    named = Path(given).name if isinstance(given, str | Path) else "a LanguageModel in memory"
    kept = ("corpus", "attribution", "license", "language_model")
    return {
        "name": card.get("name", named),
        "rows": card["rows"],
        "tokens_read": card["tokens"]["read"],
        "parameters": card["parameters"],
        **{key: card[key] for key in kept if card.get(key)},
    }


def tokenizer_name(tokenizer: Tokenizer) -> str:
    """Return what a tokenizer cuts texts into.

    Examples
    --------
    >>> tokenizer_name(WordTokenizer(language="de")), tokenizer_name(SubwordTokenizer(model="bpe"))
    ('words (de)', 'bpe')
    """
    if isinstance(tokenizer, WordTokenizer):
        return f"words ({tokenizer.language})"
    return tokenizer.model if isinstance(tokenizer, SubwordTokenizer) else type(tokenizer).__name__


def tokenizer_library(tokenizer: Tokenizer) -> str:
    """Return the distribution on which a tokenizer's tokens depend."""
    return "tokenizers" if isinstance(tokenizer, SubwordTokenizer) else "spacy"
