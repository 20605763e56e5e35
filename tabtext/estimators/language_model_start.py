"""Estimators that may start from a fitted language model: which one, and what is taken from it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
from sklearn.base import clone

from tabtext.estimators.fine_tuning import require_directions
from tabtext.estimators.language_model import LanguageModel
from tabtext.estimators.origin import (
    AUTO,
    require_no_contradiction,
    starting_point,
    warn_of_foreign_texts,
)
from tabtext.estimators.text_parameters import TextParameters
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.vocabulary import Vocabulary

__all__ = ["LanguageModelStart"]


@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModelStart(TextParameters):
    """What estimators share that read texts with an encoder, be it a language model's or not.

    Parameters
    ----------
    language_model : LanguageModel, name, path, "auto" or None
        Fitted language model, one that ships with tabtext (``LanguageModel.from_pretrained``) or
        the directory of one, whose tokenizer, vocabulary and encoder are taken over; of the
        parameters of ``TextParameters`` only ``text_columns``, ``direction``, ``dropout_scale``
        and, for words that it lacks, ``min_frequency`` count then; others must be the language
        model's, or at their defaults. Its word vectors are turned to how the training texts use
        the words, unless its ``initial_vectors`` is ``"random"``. With None the encoder starts from
        random weights.
        ``"auto"`` is ``"english-small"``, or None if a parameter asks for another language,
        tokenizer, vocabulary, encoder or direction than it has. A saved classifier keeps the name
        or path that was given, and of a model in memory nothing: once loaded it has None here, so
        that fitting it, or a clone of it, starts from random weights unless
        ``set_params(language_model=...)`` says otherwise.
    **parameters
        Those of ``text_parameters.TextParameters`` and ``training_parameters.TrainingParameters``.
    """

    language_model: LanguageModel | str | Path | None = AUTO

    def __sklearn_clone__(self) -> Self:
        """A clone keeps the fitted language model, which is data and no part of this fit."""
        parameters = {
            name: value if name == "language_model" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        return type(self)(**parameters)

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        origin = self._language_model()
        if origin is not None:
            require_directions(self.directions(), origin.networks_)
            require_no_contradiction(self, origin)

    @contextmanager
    def _holding_language_model(self) -> Iterator[None]:
        """Load the language model once for all steps, and let go of it."""
        self._origin = self._language_model()
        try:
            yield
        finally:
            del self._origin

    def _language_model(self) -> LanguageModel | None:
        """The fitted language model to start from."""
        if hasattr(self, "_origin"):  # in a fit
            return self._origin
        return starting_point(self.language_model, self)

    def _learn_texts(
        self, table: pa.Table, columns: Sequence[str]
    ) -> tuple[TextPreprocessor, Documents]:
        """Learn the words of training texts beside those of the language model; encode them."""
        origin = self._language_model()
        if origin is None:
            preprocessor = self.new_text_preprocessor()
        else:
            preprocessor = TextPreprocessor(
                tokenizer=origin.preprocessor_.tokenizer_,
                vocabulary=origin.preprocessor_.vocabulary_,
                extend=True,
                min_freq=self.min_frequency,
                columns=columns,
            )
        documents = preprocessor.fit_transform(table)
        if origin is not None and self.language_model == AUTO:  # which nobody chose
            warn_of_foreign_texts(documents, len(origin.preprocessor_.vocabulary_))
        return preprocessor, documents

    def _new_encoder(self, vocabulary: Vocabulary, direction: str = "forward") -> AWDLSTM:
        """The language model's encoder for a vocabulary, or a fresh one; call with torch seeded."""
        origin = self._language_model()
        if origin is None:
            return AWDLSTM(len(vocabulary), self.encoder_options())
        return origin.encoder(direction, dropout_scale=self.dropout_scale, vocabulary=vocabulary)
