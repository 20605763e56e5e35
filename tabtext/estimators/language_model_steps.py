"""The steps of a language model's fit: documents, networks, training, card."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tabtext.estimators.card import recipe, training_card
from tabtext.estimators.checkpoints import checkpoints_by_part
from tabtext.estimators.classifier_training import in_direction
from tabtext.estimators.corpora import (
    as_corpus,
    corpus_documents,
    require_same_settings,
    require_same_tokenizer,
)
from tabtext.estimators.defaults import (
    choose_fine_tuning_epochs,
    choose_language_model_epochs,
    choose_streams,
)
from tabtext.estimators.fine_tuning import (
    require_directions,
    require_same_network,
    require_same_tokens,
    shared_tokens,
    warn_of_few_shared,
)
from tabtext.estimators.language_model_training import LanguageModelRun, train_language_model
from tabtext.estimators.parameter_checks import require_choice, require_whole
from tabtext.estimators.saving import SavedEstimator
from tabtext.estimators.splitting import split_rows
from tabtext.estimators.text_card import (
    facts_of_origin,
    token_counts,
    tokenizer_library,
    tokenizer_name,
)
from tabtext.estimators.text_parameters import TextParameters
from tabtext.estimators.unfreezing import require_single_rate
from tabtext.text.corpus import Corpus
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.reading import read_texts, warn_of_several
from tabtext.text.softmax.adaptive import choose_cutoffs
from tabtext.text.transfer import VocabularyTransfer, transferred_network
from tabtext.text.vocabulary import Vocabulary
from tabtext.text.word_vectors import word_vectors
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.options import Phase, TrainingOptions
from tabtext.training.progress import ProgressBar
from tabtext.training.reproducibility import seeded

__all__ = ["LanguageModelSteps"]

AnyDocuments = Documents | DocumentView

_FINE_TUNING_RATIO = "text"
"""How much slower each earlier layer learns in fine-tuning: ULMFiT's 2.6."""


@dataclass(frozen=True)
class _Reading:
    """What a language model learns from: documents, and what made them from texts."""

    train: AnyDocuments
    valid: AnyDocuments | None
    preprocessor: TextPreprocessor
    n_given: int


@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModelSteps(SavedEstimator, TextParameters):
    """What ``fit`` and ``fine_tune`` of ``LanguageModel`` do.

    Parameters
    ----------
    softmax : {"full", "adaptive"}
        Score every word of the vocabulary for every token; or rare words only where one is due,
        which is several times faster for large vocabularies and a little less accurate.
    bptt : int
        Tokens through which gradients flow back; every batch varies around it.
    initial_vectors : {"counts", "random"}
        What word vectors training begins with: those of ``tabtext.text.word_vectors``, from counts
        of which words stand near which in the training texts, which ``fine_tune`` turns to the axes
        of the model's own (``tabtext.text.alignment``); or random numbers, and in ``fine_tune`` the
        model's own vectors as they are.
    learning_rate : float or tuple of float
        Peak of the schedule, as for all estimators; language models take a larger one.
    **parameters
        Those of ``text_parameters.TextParameters`` and ``training_parameters.TrainingParameters``.
    """

    softmax: Literal["full", "adaptive"] = "full"
    bptt: int = 70
    initial_vectors: Literal["counts", "random"] = "counts"
    # On film snippets, of 3e-3, 4e-3, 6e-3 and 8e-3 the middle ones. Classifiers keep the smaller
    # rate of all estimators: on IMDb 5e-3 was no better, and unsteady in the first epochs.
    learning_rate: float | tuple[float, ...] = 5e-3

    _smallest_batch = 1

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        require_choice("softmax", self.softmax, ("full", "adaptive"))
        require_choice("monitor", self.monitor, ("valid_loss", "perplexity"))
        require_whole("bptt", self.bptt, smallest=2)
        require_choice("initial_vectors", self.initial_vectors, ("counts", "random"))

    def _learn(
        self,
        data: Any,
        validation: Any,
        preprocessor: TextPreprocessor,
        origin: "LanguageModelSteps | None",
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        resume: bool,
    ) -> Self:
        started = perf_counter()
        reading = self._read(data, validation, preprocessor, origin)
        train, valid, preprocessor = reading.train, reading.valid, reading.preprocessor
        phases = () if origin is None else self._fine_tuning_phases(train.n_tokens)
        options = self.training_options(train.n_tokens, phases=phases)
        vectors = self._count_vectors(train, preprocessor.vocabulary_)
        n_streams = self.rows_per_batch(train.n_tokens)
        shown = [ProgressBar()] if self.verbose > 0 else []
        networks: dict[str, LanguageModelNetwork] = {}
        histories: dict[str, History] = {}
        places = checkpoints_by_part(checkpoints, self.directions(), resume=resume)
        for direction, place in places.items():
            network, transfer = self._start(direction, preprocessor, origin, vectors)
            if transfer is not None and not networks:  # both directions know the same words
                warn_of_few_shared(transfer, preprocessor.vocabulary_.tokens)
            run = LanguageModelRun(
                options=options,
                n_streams=n_streams,
                bptt=self.bptt,
                callbacks=[*callbacks, *shown],
                checkpoints=place,
                resume=resume,
                device=choose_device(self.device),
            )
            histories[direction] = train_language_model(
                network,
                in_direction(train, direction),
                None if valid is None else in_direction(valid, direction),
                run,
            )
            networks[direction] = network
        self.preprocessor_ = preprocessor
        self.networks_, self.histories_ = networks, histories
        self.card_ = self._new_card(options, n_streams, origin, reading)
        if transfer is not None:
            self.card_["tokens"]["of_fine_tuning"] = shared_tokens(transfer)
        self.card_["seconds"] = perf_counter() - started
        return self

    def _read(
        self,
        data: Any,
        validation: Any,
        preprocessor: TextPreprocessor,
        origin: "LanguageModelSteps | None",
    ) -> _Reading:
        """Take texts of any kind, or a corpus on disk."""
        corpus = as_corpus(data)
        if corpus is None:
            return self._read_texts(data, validation, preprocessor)
        self._check_corpus(corpus, origin)
        return self._read_corpus(corpus, validation)

    def _read_texts(self, data: Any, validation: Any, preprocessor: TextPreprocessor) -> _Reading:
        """Learn the vocabulary from the training texts."""
        table = read_texts(data, columns=self.text_columns)
        if self.text_columns is None:
            warn_of_several(table.column_names)
        parts = self._split(table.num_rows) if validation is None else None
        learned = table if parts is None else table.take(parts[0])
        train: AnyDocuments = preprocessor.fit_transform(learned)
        valid: AnyDocuments | None = None
        if parts is not None:
            valid = preprocessor.transform(table.take(parts[1]))
        elif validation is not None:
            valid = self._validation_documents(validation, preprocessor)
        return _Reading(train, valid, preprocessor, table.num_rows)

    def _read_corpus(self, corpus: Corpus, validation: Any) -> _Reading:
        """Choose among documents that stay on disk; their vocabulary is that of all of them."""
        documents, preprocessor = corpus.documents, corpus.preprocessor
        train, valid = DocumentView(documents), None
        if validation is not None:
            valid = self._validation_documents(validation, preprocessor)
        elif parts := self._split(len(documents)):
            train, valid = (DocumentView(documents, rows) for rows in parts)
        return _Reading(train, valid, preprocessor, len(documents))

    def _check_corpus(self, corpus: Corpus, origin: "LanguageModelSteps | None") -> None:
        """Raise unless a corpus suits the parameters, or the model to go on from."""
        if origin is None:
            require_same_settings(self, corpus)
        else:
            require_same_tokenizer(origin.preprocessor_, self.text_columns, corpus)

    def _validation_documents(self, data: Any, preprocessor: TextPreprocessor) -> AnyDocuments:
        corpus = as_corpus(data)
        if corpus is not None:
            return corpus_documents(corpus, preprocessor)
        return preprocessor.transform(read_texts(data, columns=preprocessor.columns_))

    def _split(self, n_rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Training and validation rows, unless none are to be set aside, or none can be."""
        if not self.validation_fraction or n_rows < 2:
            return None
        return split_rows(n_rows, self.validation_fraction, classes=None, seed=self.random_state)

    def _start(
        self,
        direction: str,
        preprocessor: TextPreprocessor,
        origin: "LanguageModelSteps | None",
        vectors: NDArray[np.float32] | None,
    ) -> tuple[LanguageModelNetwork, VocabularyTransfer | None]:
        """A new network; or one that goes on from the origin's, and how many words it knew.

        With vectors from counts, if there are any.
        """
        vocabulary = preprocessor.vocabulary_
        if origin is None:
            network = self._new_network(vocabulary)
            if vectors is not None:
                network.set_word_vectors(vectors)
            return network, None
        known = origin.networks_[direction]
        network, transfer = transferred_network(
            known,
            origin.preprocessor_.vocabulary_.tokens,
            vocabulary.tokens,
            options=replace(known.options, dropout_scale=self.dropout_scale),
        )
        if vectors is not None:
            network.encoder.adapt_word_vectors(vectors, transfer.shared, vocabulary.counts)
        return network, transfer

    def _require_continuation(self, origin: "LanguageModelSteps") -> None:
        """Raise unless these parameters suit the model to go on from."""
        require_directions(self.directions(), origin.networks_)
        for direction in self.directions():
            require_same_network(self, self.softmax, origin.networks_[direction])
        require_same_tokens(self, origin.preprocessor_)
        require_single_rate(
            self.learning_rate, what="fine-tuning", remedy=": fine_tune(learning_rate=...)"
        )

    def _new_network(self, vocabulary: Vocabulary) -> LanguageModelNetwork:
        cutoffs = choose_cutoffs(vocabulary.counts) if self.softmax == "adaptive" else None
        with seeded(self.random_state):
            return LanguageModelNetwork(
                len(vocabulary), self.encoder_options(), softmax=self.softmax, cutoffs=cutoffs
            )

    def _count_vectors(
        self, train: AnyDocuments, vocabulary: Vocabulary
    ) -> NDArray[np.float32] | None:
        """Word vectors to begin with, from counts of neighbours in the training texts, if any."""
        if self.initial_vectors != "counts":
            return None
        width = self.encoder_options().embedding_width
        return word_vectors(train, len(vocabulary), width, seed=self.random_state)

    def _fine_tuning_phases(self, n_tokens: int) -> tuple[Phase, ...]:
        """The softmax and the embedding alone for an epoch, then everything."""
        auto = self.epochs == "auto"
        epochs = choose_fine_tuning_epochs(n_tokens) if auto else int(self.epochs)
        if epochs < 2:
            return (Phase(epochs=1, freeze_to=0, group_ratio=_FINE_TUNING_RATIO),)
        return (
            Phase(epochs=1, freeze_to=-1),
            Phase(epochs=epochs - 1, freeze_to=0, group_ratio=_FINE_TUNING_RATIO),
        )

    def _auto_batch_size(self, n_rows: int) -> int:
        return choose_streams(n_rows, self.bptt)

    def _auto_epochs(self, n_rows: int) -> int:
        return choose_language_model_epochs(n_rows)

    def _training_defaults(self) -> dict[str, Any]:
        return {"betas": "ulmfit_scripts"}

    def _new_card(
        self,
        options: TrainingOptions,
        n_streams: int,
        origin: "LanguageModelSteps | None",
        reading: _Reading,
    ) -> dict[str, Any]:
        train, valid = reading.train, reading.valid
        direction = self.directions()[0]
        network = self.networks_[direction]
        settings = {
            **network.options.to_dict(),
            "directions": ", ".join(self.directions()),
            "tokenizer": tokenizer_name(self.preprocessor_.tokenizer_),
            "softmax": network.softmax,
            "bptt": self.bptt,
        }
        card = training_card(
            "language model",
            nn.ModuleList(self.networks_.values()),
            self.histories_[direction],
            recipe(options, settings, loss="cross_entropy", batch_size=n_streams),
            libraries=[tokenizer_library(self.preprocessor_.tokenizer_)],
        )
        if origin is not None:
            card["language_model"] = facts_of_origin(origin)
        tokens = token_counts(train, valid, len(self.preprocessor_.vocabulary_))
        before = 0 if origin is None else origin.card_["tokens"]["read"]
        history = self.histories_[direction]
        read = train.n_tokens * len(history.epochs)
        if history.stopped:  # within an epoch, perhaps
            read = min(read, len(history.step_losses) * n_streams * self.bptt)
        tokens["read"] = before + read
        rows = {
            "given": reading.n_given,
            "train": len(train),
            "valid": 0 if valid is None else len(valid),
        }
        return {**card, "rows": rows, "tokens": tokens}

    def place_model(self) -> None:
        """Move the networks to the device that the parameter ``device`` names."""
        for network in self.networks_.values():
            network.to(choose_device(self.device))
