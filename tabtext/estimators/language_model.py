"""``LanguageModel``: learn to predict the next word, from scratch or from another model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tabtext.errors import ParameterError
from tabtext.estimators.card import recipe, token_counts, training_card
from tabtext.estimators.checkpoints import checkpoints_for, resolve_checkpoints
from tabtext.estimators.classifier_training import in_direction
from tabtext.estimators.defaults import choose_language_model_epochs, choose_streams
from tabtext.estimators.inputs import split_rows
from tabtext.estimators.language_model_training import LanguageModelRun, train_language_model
from tabtext.estimators.saving import SavedEstimator
from tabtext.estimators.text_inputs import columns_of_fit, tokens_of_row
from tabtext.estimators.text_parameters import TextParameters
from tabtext.text.adaptive_softmax import choose_cutoffs
from tabtext.text.awd_lstm import AWDLSTM
from tabtext.text.documents import Documents
from tabtext.text.generation import beam_search, sample
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.perplexity import score_documents
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.reading import read_texts
from tabtext.text.special_tokens import UNKNOWN_ID
from tabtext.text.transfer import transferred_network
from tabtext.text.vocabulary import Vocabulary
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.options import Phase, TrainingOptions
from tabtext.training.progress import ProgressBar
from tabtext.training.reproducibility import seeded

__all__ = ["LanguageModel"]

_FINE_TUNING_RATIO = "text"
"""How much slower each earlier layer learns in fine-tuning: ULMFiT's 2.6."""


@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModel(SavedEstimator, TextParameters):
    """A model of the next token: AWD-LSTM, with the softmax tied to the embedding.

    Fitted on many texts it knows a language, ``fine_tune`` acquaints it with those of a task, and
    ``TextClassifier(language_model=...)`` starts from what it has learned.

    Parameters
    ----------
    softmax : {"full", "adaptive"}
        Score every word of the vocabulary for every token; or rare words only where one is due,
        which is several times faster for large vocabularies and a little less accurate.
    bptt : int
        Tokens through which gradients flow back; every batch varies around it.
    **parameters
        Those of ``text_parameters.TextParameters`` and ``training_parameters.TrainingParameters``.

    Attributes
    ----------
    preprocessor_ : TextPreprocessor
        Tokenizer and vocabulary.
    networks_ : dict of str to LanguageModelNetwork
        One network for each direction.
    histories_ : dict of str to History
        Losses and perplexities of every epoch, for each direction.
    card_ : dict
        What was given, done and reached.

    References
    ----------
    Merity, S., Keskar, N. S. and Socher, R. (2018), "Regularizing and Optimizing LSTM Language
    Models".
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text Classification".

    Examples
    --------
    >>> from tabtext.datasets import load_snippets
    >>> texts = load_snippets("amazon")["text"]
    >>> model = LanguageModel(epochs=1, embedding_width=16, hidden_width=32, verbose=0)
    >>> model = model.fit(texts[:2000])
    >>> model.perplexity(texts[2000:2100]) < len(model.preprocessor_.vocabulary_)
    True
    >>> len(model.generate("The battery", n_tokens=5, n_texts=2))
    2
    """

    softmax: Literal["full", "adaptive"] = "full"
    bptt: int = 70
    _smallest_batch = 1

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        if self.softmax not in ("full", "adaptive"):
            raise ParameterError(f"softmax={self.softmax!r} is neither 'full' nor 'adaptive'")
        if not isinstance(self.bptt, int) or self.bptt < 2:
            raise ParameterError(f"bptt={self.bptt!r} must be a whole number of at least 2")

    # -- fit ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        validation: Any = None,
        callbacks: Sequence[Callback] = (),
        checkpoints: str | Path | Checkpoints | None = None,
        resume: bool | str | Path = False,
    ) -> Self:
        """Learn a vocabulary and a language model from texts.

        Parameters
        ----------
        X : sequence of str, Series, array, table with text columns, or path
            The texts; see ``tabtext.text.reading.read_texts``.
        y : None
            Not used; for scikit-learn's pipelines.
        validation : as X, optional
            Texts to choose the best epoch by; default: a random ``validation_fraction`` of ``X``.
        callbacks, checkpoints, resume
            As for ``TextClassifier.fit``.

        Returns
        -------
        Self
            The fitted model.

        Raises
        ------
        DataError
            If there are no texts, or not a single word in them.
        ColumnTypeError
            If something else than texts is given.
        """
        del y
        self.check_parameters()
        place, go_on = resolve_checkpoints(checkpoints, resume)
        self._forget_fit()
        preprocessor = self.new_preprocessor()
        return self._learn(X, validation, preprocessor, None, callbacks, place, go_on)

    def fine_tune(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        epochs: int | Literal["auto"] | None = None,
        learning_rate: float | tuple[float, ...] | None = None,
        max_time: float | str | None = None,
        verbose: int | None = None,
        validation: Any = None,
        callbacks: Sequence[Callback] = (),
        checkpoints: str | Path | Checkpoints | None = None,
        resume: bool | str | Path = False,
    ) -> "LanguageModel":
        """Return a model that goes on from this one on other texts; this one stays as it is.

        The vocabulary is that of the new texts: words that both know keep their vectors, new ones
        start at the mean of all. The softmax and the embedding learn alone for the first epoch,
        then everything, earlier layers more slowly.

        Parameters
        ----------
        X : as for ``fit``
            The texts of the task.
        epochs, learning_rate, max_time, verbose
            Parameters of the new model; default: those of this one.
        validation, callbacks, checkpoints, resume
            As for ``fit``.

        References
        ----------
        Howard and Ruder (2018), section 3.2.
        """
        check_is_fitted(self, "card_")
        given = {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "max_time": max_time,
            "verbose": verbose,
        }
        tuned: LanguageModel = clone(self).set_params(
            **{name: value for name, value in given.items() if value is not None}
        )
        tuned.check_parameters()
        place, go_on = resolve_checkpoints(checkpoints, resume)
        preprocessor = TextPreprocessor(
            tokenizer=self.preprocessor_.tokenizer_,
            max_size=self.max_vocabulary,
            min_freq=self.min_frequency,
        )
        return tuned._learn(X, validation, preprocessor, self, callbacks, place, go_on)

    def _learn(
        self,
        data: Any,
        validation: Any,
        preprocessor: TextPreprocessor,
        origin: "LanguageModel | None",
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        resume: bool,
    ) -> Self:
        started = perf_counter()
        table = read_texts(data, columns=self.text_columns)
        train, valid = self._documents(table, validation, preprocessor)
        phases = () if origin is None else self._fine_tuning_phases(train.n_tokens)
        options = self.training_options(train.n_tokens, phases=phases)
        n_streams = self.rows_per_batch(train.n_tokens)
        shown = [ProgressBar()] if self.verbose > 0 else []
        networks: dict[str, LanguageModelNetwork] = {}
        histories: dict[str, History] = {}
        for direction in self.directions():
            network = self._start(direction, preprocessor, origin)
            run = LanguageModelRun(
                options=options,
                n_streams=n_streams,
                bptt=self.bptt,
                callbacks=[*callbacks, *shown],
                checkpoints=checkpoints_for(direction, checkpoints, self.directions()),
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
        self.card_ = self._new_card(options, n_streams, origin, train, valid, table.num_rows)
        self.card_["seconds"] = perf_counter() - started
        return self

    def _documents(
        self, table: Any, validation: Any, preprocessor: TextPreprocessor
    ) -> tuple[Documents, Documents | None]:
        """Training and validation documents; the vocabulary is learned from the former."""
        if validation is not None:
            train = preprocessor.fit_transform(table)
            return train, preprocessor.transform(read_texts(validation, columns=self.text_columns))
        if not self.validation_fraction or table.num_rows < 2:
            return preprocessor.fit_transform(table), None
        rows, held_out = split_rows(
            table.num_rows, self.validation_fraction, classes=None, seed=self.random_state
        )
        train = preprocessor.fit_transform(table.take(rows))
        return train, preprocessor.transform(table.take(held_out))

    def _start(
        self, direction: str, preprocessor: TextPreprocessor, origin: "LanguageModel | None"
    ) -> LanguageModelNetwork:
        """A new network, or one that goes on from the origin's."""
        vocabulary = preprocessor.vocabulary_
        if origin is None:
            return self._new_network(vocabulary)
        if direction not in origin.networks_:
            raise ParameterError(
                f"direction={self.direction!r} needs a {direction} network, and the language model "
                f"has {', '.join(origin.networks_)} only; fit it with direction='both'"
            )
        known = origin.networks_[direction]
        network, _ = transferred_network(
            known,
            origin.preprocessor_.vocabulary_.tokens,
            vocabulary.tokens,
            options=replace(known.options, dropout_scale=self.dropout_scale),
        )
        return network

    def _new_network(self, vocabulary: Vocabulary) -> LanguageModelNetwork:
        cutoffs = choose_cutoffs(vocabulary.counts) if self.softmax == "adaptive" else None
        with seeded(self.random_state):
            return LanguageModelNetwork(
                len(vocabulary), self.encoder_options(), softmax=self.softmax, cutoffs=cutoffs
            )

    def _fine_tuning_phases(self, n_tokens: int) -> tuple[Phase, ...]:
        """The softmax and the embedding alone for an epoch, then everything."""
        epochs = self._auto_epochs(n_tokens) if self.epochs == "auto" else int(self.epochs)
        if epochs < 2:
            return (Phase(epochs=1, freeze_to=0, group_ratio=_FINE_TUNING_RATIO),)
        return (
            Phase(epochs=1, freeze_to=-1),
            Phase(epochs=epochs - 1, freeze_to=0, group_ratio=_FINE_TUNING_RATIO),
        )

    def encoder(self, direction: str, *, dropout_scale: float | None = None) -> AWDLSTM:
        """Return a copy of a network's encoder, for a model of another task.

        Parameters
        ----------
        direction : {"forward", "backward"}
            Which network's.
        dropout_scale : float, optional
            What the encoder's dropout rates are multiplied by from now on.

        Raises
        ------
        ParameterError
            If there is no network of this direction.
        """
        check_is_fitted(self, "card_")
        if direction not in self.networks_:
            raise ParameterError(
                f"a {direction} encoder is wanted, and the language model has only a "
                f"{', '.join(self.networks_)} one; fit it with direction='both'"
            )
        trained = self.networks_[direction].encoder
        options = trained.options
        if dropout_scale is not None:
            options = replace(options, dropout_scale=dropout_scale)
        encoder = AWDLSTM(trained.vocabulary_size, options)
        encoder.load_state_dict(trained.state_dict())
        return encoder

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
        origin: "LanguageModel | None",
        train: Documents,
        valid: Documents | None,
        n_given: int,
    ) -> dict[str, Any]:
        direction = self.directions()[0]
        settings = {
            **self.encoder_options().to_dict(),
            "directions": ", ".join(self.directions()),
            "softmax": self.softmax,
            "bptt": self.bptt,
            "fine_tuned_from": None if origin is None else origin.card_["rows"],
        }
        card = training_card(
            "language model",
            nn.ModuleList(self.networks_.values()),
            self.histories_[direction],
            recipe(options, settings, loss="cross_entropy", batch_size=n_streams),
        )
        tokens = token_counts(train, valid, len(self.preprocessor_.vocabulary_))
        rows = {
            "given": n_given,
            "train": len(train),
            "valid": 0 if valid is None else len(valid),
        }
        return {**card, "rows": rows, "tokens": tokens}

    # -- use ---------------------------------------------------------------------------------

    @property
    def history_(self) -> History:
        """The history of the first direction's training."""
        return next(iter(self.histories_.values()))

    def perplexity(self, X: Any, *, direction: str | None = None) -> float:  # noqa: N803
        """Return how many equally likely tokens the model is undecided between, on the average.

        Every token of every text is scored exactly once, given all tokens of its text before it;
        the result does not depend on how texts are batched. Unknown words count as ``xxunk``.

        Parameters
        ----------
        X : as for ``fit``
            The texts.
        direction : {"forward", "backward"}, optional
            The network; default: the first.

        Raises
        ------
        DataError
            If there is no token to score.
        """
        check_is_fitted(self, "card_")
        name = next(iter(self.networks_)) if direction is None else direction
        if name not in self.networks_:
            raise ParameterError(f"{direction=}, and the model has {', '.join(self.networks_)}")
        documents = self._documents_of(X)
        return score_documents(self.networks_[name], in_direction(documents, name)).perplexity

    def evaluate(self, X: Any) -> dict[str, float]:  # noqa: N803 - scikit-learn's name
        """Return the perplexity of every direction, and on how many tokens it was measured.

        Perplexities compare only between models that know the same words: one that knows few
        foresees ``xxunk``, and finds it easy. So the share of those is given, too.

        Parameters
        ----------
        X : as for ``fit``
            The texts.

        Returns
        -------
        dict of str to float
            ``perplexity``, or ``perplexity_forward`` and ``perplexity_backward`` where there are
            both, then ``tokens`` and the share ``unknown``.

        Raises
        ------
        DataError
            If there is no token to score.
        """
        check_is_fitted(self, "card_")
        documents = self._documents_of(X)
        scores = {
            name: score_documents(network, in_direction(documents, name))
            for name, network in self.networks_.items()
        }
        several = len(scores) > 1
        return {
            **{
                f"perplexity_{name}" if several else "perplexity": score.perplexity
                for name, score in scores.items()
            },
            "tokens": float(next(iter(scores.values())).n_tokens),
            "unknown": float(np.mean(documents.ids == UNKNOWN_ID)),
        }

    def _documents_of(self, data: Any) -> Documents:
        """Encode texts by the vocabulary of the fit."""
        return self.preprocessor_.transform(columns_of_fit(data, self.preprocessor_.columns_))

    def generate(
        self,
        prompt: str = "",
        *,
        n_tokens: int = 50,
        n_texts: int = 1,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = 0.95,
        n_beams: int | None = None,
        random_state: int | None = None,
    ) -> list[str]:
        """Continue a text.

        Parameters
        ----------
        prompt : str
            How the texts begin.
        n_tokens : int
            Longest continuation; it ends earlier where the model ends the text.
        n_texts : int
            How many continuations.
        temperature : float
            Below 1 likelier words become likelier still, above 1 all become more alike.
        top_k : int, optional
            Draw from so many of the likeliest tokens only.
        top_p : float, optional
            Draw from the likeliest tokens that have this probability together (nucleus sampling).
        n_beams : int, optional
            Do not draw, but search for the likeliest text with so many beams.
        random_state : int, optional
            Seed of the draws; default: that of the model.

        Returns
        -------
        list of str
            Prompt and continuation, ``xxmaj``, ``xxrep`` and the like turned into what they stand
            for; with beams, likeliest first.

        Raises
        ------
        ParameterError
            If the model only reads backward, or a number is out of range.

        References
        ----------
        Holtzman, A. et al. (2020), "The Curious Case of Neural Text Degeneration".
        """
        check_is_fitted(self, "card_")
        if "forward" not in self.networks_:
            raise ParameterError(
                "this language model reads backward only and cannot continue texts"
            )
        network = self.networks_["forward"]
        prompts = columns_of_fit([prompt], self.preprocessor_.columns_)
        start = self.preprocessor_.transform(prompts)[0][:-1].tolist()  # without xxeos
        if n_beams is not None:
            found = beam_search(network, start, n_tokens=n_tokens, n_beams=max(n_beams, n_texts))[
                :n_texts
            ]
        else:
            seed = self.random_state if random_state is None else random_state
            found = sample(
                network,
                start,
                n_tokens=n_tokens,
                n_continuations=n_texts,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                generator=torch.Generator().manual_seed(seed),
            )
        # The prompt as it was written: its unknown words are known to the reader.
        written = tokens_of_row(self.preprocessor_, prompts)[:-1]
        tokens_of = self.preprocessor_.vocabulary_.tokens_of
        return [self.preprocessor_.restore([*written, *tokens_of(text.ids)]) for text in found]

    def place_model(self) -> None:
        """Move the networks to the device that the parameter ``device`` names."""
        for network in self.networks_.values():
            network.to(choose_device(self.device))
