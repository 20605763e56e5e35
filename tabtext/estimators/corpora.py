"""A prepared corpus at the door of a language model: told from texts, and compared with the model.

What the user gave flows in; a ``Corpus`` whose tokens are those of the model flows out, or an error
that says which setting differs. A corpus was tokenized before the model was there, so the model
takes tokenizer and vocabulary from it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tabtext.errors import ParameterError
from tabtext.estimators.text_columns import asked_columns
from tabtext.estimators.text_parameters import TextParameters
from tabtext.text.corpus import Corpus, is_corpus, open_corpus
from tabtext.text.document_view import DocumentView
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import WordTokenizer

__all__ = [
    "as_corpus",
    "contradictions",
    "corpus_documents",
    "require_same_settings",
    "require_same_tokenizer",
    "settings_of",
]


def as_corpus(data: Any) -> Corpus | None:
    """Return the corpus that this is, or whose directory this is; None for texts of any kind.

    Raises
    ------
    MissingFileError
        If the corpus in the directory is not complete.
    ArtifactError
        If it is damaged.

    Examples
    --------
    >>> as_corpus(["A good film."]) is None
    True
    """
    if isinstance(data, Corpus):
        return data
    if isinstance(data, str | os.PathLike) and is_corpus(data):
        return open_corpus(Path(data))
    return None


def corpus_documents(corpus: Corpus, preprocessor: TextPreprocessor) -> DocumentView:
    """Return the documents of a corpus for a model that has a vocabulary already.

    Raises
    ------
    ParameterError
        If the corpus has other tokens or numbers them otherwise.
    """
    remedy = (
        "Prepare it with the model's own: prepare_corpus(..., preprocessor=model.preprocessor_), "
        "or preprocessor=corpus.preprocessor of the corpus that the model learns from; in the "
        "shell: tabtext lm prepare --vocabulary-of"
    )
    _require_same_tokenizer(corpus, preprocessor, remedy)
    theirs, ours = corpus.preprocessor.vocabulary_, preprocessor.vocabulary_
    if theirs.tokens != ours.tokens:
        raise ParameterError(
            f"the corpus in {corpus.directory} has another vocabulary ({len(theirs):,} tokens) "
            f"than the model ({len(ours):,}), and its ids mean other words. {remedy}"
        )
    return DocumentView(corpus.documents)


def require_same_settings(parameters: TextParameters, corpus: Corpus) -> None:
    """Raise ``ParameterError`` for a parameter that was set, and differs from the corpus'.

    What has its default value follows the corpus.
    """
    known = settings_of(corpus.preprocessor)
    _require_same_columns(parameters.text_columns, known.pop("text_columns"), corpus)
    for name, value, of_corpus in contradictions(parameters, known):
        raise _contradiction(name, value, of_corpus, corpus)


def require_same_tokenizer(
    preprocessor: TextPreprocessor, text_columns: Sequence[str] | None, corpus: Corpus
) -> None:
    """Raise ``ParameterError`` if a model cannot go on from its own tokens on a corpus."""
    remedy = (
        "Prepare it with the model's: prepare_corpus(..., "
        "preprocessor=TextPreprocessor(tokenizer=model.preprocessor_.tokenizer_)); in the shell: "
        "tabtext lm prepare --tokenizer-of"
    )
    _require_same_tokenizer(corpus, preprocessor, remedy)
    _require_same_columns(text_columns, corpus.preprocessor.columns_, corpus)


def settings_of(preprocessor: TextPreprocessor) -> dict[str, Any]:
    """Return the parameters of an estimator that would learn such a preprocessor.

    A parameter without meaning for its tokenizer, such as the language of sub-words, is left out.

    Examples
    --------
    >>> settings_of(TextPreprocessor(min_freq=1).fit(["A good film."]))["min_frequency"]
    1
    """
    tokenizer = preprocessor.tokenizer_
    settings: dict[str, Any] = {"text_columns": preprocessor.columns_}
    if isinstance(tokenizer, SubwordTokenizer):
        return {
            **settings,
            "tokens": tokenizer.model,
            "max_vocabulary": tokenizer.vocabulary_size,
        }
    if isinstance(tokenizer, WordTokenizer):
        settings |= {"tokens": "words", "language": tokenizer.language, "rules": tokenizer.rules}
    return {
        **settings,
        "max_vocabulary": preprocessor.max_size,
        "min_frequency": preprocessor.min_freq,
    }


def contradictions(
    parameters: TextParameters, known: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Give the name, value and known value of every parameter that was set to something else.

    What has its default value follows what is known.

    Examples
    --------
    >>> list(contradictions(TextParameters(language="de"), {"language": "en", "tokens": "bpe"}))
    [('language', 'de', 'en')]
    """
    defaults = {field.name: field.default for field in fields(TextParameters)}
    for name, of_other in known.items():
        value = getattr(parameters, name)
        if value not in (defaults[name], of_other):
            yield name, value, of_other


def _require_same_columns(text_columns: Any, of_corpus: Sequence[str], corpus: Corpus) -> None:
    asked = asked_columns(text_columns)
    if asked is not None and asked != list(of_corpus):
        raise _contradiction("text_columns", asked, list(of_corpus), corpus)


def _contradiction(name: str, value: Any, of_corpus: Any, corpus: Corpus) -> ParameterError:
    return ParameterError(
        f"{name}={value!r}, however: the corpus in {corpus.directory} was prepared with "
        f"{name}={of_corpus!r}. Leave the parameter out, or prepare another corpus with it"
    )


def _require_same_tokenizer(corpus: Corpus, preprocessor: TextPreprocessor, remedy: str) -> None:
    theirs, ours = _described(corpus.preprocessor), _described(preprocessor)
    for name in theirs | ours:
        if theirs.get(name) != ours.get(name):
            raise ParameterError(
                f"the corpus in {corpus.directory} was cut into tokens otherwise than the model's "
                f"texts: {name}={theirs.get(name)!r}, not {ours.get(name)!r}. {remedy}"
            )


def _described(preprocessor: TextPreprocessor) -> dict[str, Any]:
    """What decides about tokens, flat, and short enough for a message."""
    tokenizer = preprocessor.tokenizer_
    described = {"tokenizer": type(tokenizer).__name__, **tokenizer.to_dict()}
    rules = described.pop("rules", {})
    if "pipeline" in described:
        learned = json.dumps(described.pop("pipeline"), sort_keys=True)
        described["pieces"] = hashlib.sha256(learned.encode()).hexdigest()[:12]
    return {**described, **rules}
