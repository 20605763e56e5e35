"""What the text estimators share beyond the common road: tokens, encoders, unfreezing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tabtext.errors import DataError, ParameterError
from tabtext.estimators.card import recipe, training_card
from tabtext.estimators.checkpoints import checkpoints_for
from tabtext.estimators.classifier_training import (
    ClassifierRun,
    in_direction,
    predict_documents,
    train_classifier,
)
from tabtext.estimators.defaults import choose_documents, choose_text_epochs
from tabtext.estimators.explanation import Explanation, contributions_to, output_number
from tabtext.estimators.inputs import Sample
from tabtext.estimators.language_model import LanguageModel
from tabtext.estimators.samples import PreparedRows
from tabtext.estimators.supervised import SupervisedEstimator
from tabtext.estimators.text_card import token_counts, tokenizer_library, tokenizer_name
from tabtext.estimators.text_inputs import as_text_table, columns_of_fit, tokens_of_row
from tabtext.estimators.text_parameters import DIRECTIONS, TextParameters
from tabtext.text.classifier import HeadNorm, TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.explanation import ContributionMethod
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.reading import is_text
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.metrics import METRICS
from tabtext.training.options import Phase, gradual_unfreezing
from tabtext.training.reproducibility import seeded

__all__ = ["TextEstimator"]


_WELL_READ = 20_000_000
"""Tokens, over all epochs, from which on an encoder is worth protecting. After 1 million, film
snippets were told apart with accuracy 0.78 by joint training at one rate for all layers, and 0.59
where each earlier layer learned 2.6 times more slowly."""


@dataclass(kw_only=True, eq=False, repr=False)
class TextEstimator(SupervisedEstimator[Documents], TextParameters):
    """What both text estimators do; use ``TextClassifier`` or ``TextRegressor``.

    Parameters
    ----------
    language_model : LanguageModel or path, optional
        Fitted language model whose tokenizer, vocabulary and encoder are taken over; of the
        parameters of ``TextParameters`` only ``text_columns``, ``direction`` and ``dropout_scale``
        count then. Without one the encoder starts from random weights.
    unfreezing : {"auto", "gradual", "joint"}
        Train the head first and thaw one layer group more in every phase, or everything from the
        start. ``"auto"`` is gradual where the language model has read 20 million tokens or more: an
        encoder that knows little has to learn with the head, and hardly does at the small rates
        that protect what a better one knows.
    head_widths : sequence of int
        Widths of the hidden layers between pooling and output.
    head_dropout : float
        Share of each hidden layer's outputs set to zero in training.
    head_norm : {"batch", "layer"}
        What normalises the inputs of the head's layers.
    gradient_length : int
        Tokens at the end of a text through which gradients flow; earlier ones are read without.
    **parameters
        Those of ``text_parameters.TextParameters`` and ``training_parameters.TrainingParameters``.

    Attributes
    ----------
    preprocessor_ : TextPreprocessor
        Tokenizer and vocabulary.
    networks_ : dict of str to TextClassifierNetwork
        One network for each direction; predictions are the mean of their probabilities.
    histories_ : dict of str to History
        Losses and metrics of every epoch, for each direction.
    """

    language_model: LanguageModel | str | Path | None = None
    unfreezing: Literal["auto", "gradual", "joint"] = "auto"
    head_widths: Sequence[int] = (50,)
    head_dropout: float = 0.1
    head_norm: HeadNorm = "batch"
    gradient_length: int = 1400

    def __sklearn_clone__(self) -> Self:
        """A clone keeps the fitted language model, which is data and no part of this fit."""
        parameters = {
            name: value if name == "language_model" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        return type(self)(**parameters)

    # -- rows --------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        if self.unfreezing not in ("auto", "gradual", "joint"):
            raise ParameterError(
                f"unfreezing={self.unfreezing!r} is not one of auto, gradual, joint"
            )

    def _as_input(self, data: Any) -> Any:
        return as_text_table(data)

    def _learn_features(self, sample: Sample) -> Documents:
        origin = self._language_model()
        known = [*sample.targets, *([sample.weight_column] if sample.weight_column else [])]
        columns = self._chosen_columns(sample.table, known)
        self.feature_names_in_ = np.asarray(columns, dtype=object)
        table = sample.table.select(columns)
        if origin is None:
            self.preprocessor_ = self.new_preprocessor()
            return self.preprocessor_.fit_transform(table)
        self.preprocessor_ = TextPreprocessor(
            tokenizer=origin.preprocessor_.tokenizer_,
            vocabulary=origin.preprocessor_.vocabulary_,
            columns=columns,
        )
        return self.preprocessor_.fit_transform(table)

    def _features(self, data: Any) -> Documents:
        return self.preprocessor_.transform(self._text_table(data))

    def _text_table(self, data: Any) -> pa.Table:
        """The columns of the fit, in their order."""
        return columns_of_fit(data, self.feature_names_in_.tolist())

    def _chosen_columns(self, table: pa.Table, known: Sequence[str]) -> list[str]:
        """The columns that are read: those that were named, or all texts that are no target."""
        if self.text_columns is not None:
            return list(self.text_columns)
        texts = [
            name
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
            if name not in known and is_text(kind)
        ]
        if not texts:
            raise DataError(
                f"none of the columns {', '.join(table.column_names)} holds text to read; name it "
                "with text_columns=[...]"
            )
        return texts

    def _language_model(self) -> LanguageModel | None:
        """The fitted language model to start from."""
        origin = self.language_model
        if isinstance(origin, str | Path):
            origin = LanguageModel.load(origin)
        if origin is not None:
            if not isinstance(origin, LanguageModel):
                raise ParameterError(
                    f"language_model is a {type(origin).__name__}; give a fitted LanguageModel or "
                    "the directory that its save() wrote"
                )
            check_is_fitted(origin, "card_")
        return origin

    # -- network -----------------------------------------------------------------------------

    def _train(
        self,
        rows: PreparedRows[Documents],
        *,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        resume: bool,
    ) -> None:
        origin = self._language_model()
        directions = DIRECTIONS[self.direction]
        options = self.training_options(
            len(rows.train), METRICS[self.target_.task], phases=self._phases(rows, origin)
        )
        run = ClassifierRun(
            options=options,
            batch_size=self.rows_per_batch(len(rows.train)),
            device=choose_device(self.device),
            target=self.target_,
            row_loss=self._row_loss(),
            settings={"loss": self._loss_name(), **self._loss_settings(), **self.target_.to_dict()},
            callbacks=callbacks,
            resume=resume,
        )
        networks: dict[str, TextClassifierNetwork] = {}
        histories: dict[str, History] = {}
        for direction in directions:
            network = self._new_network(origin, direction)
            place = checkpoints_for(direction, checkpoints, directions)
            histories[direction] = train_classifier(network, rows, direction, run, place)
            networks[direction] = network
        # All at once, so that a training that fails leaves no half of a model behind.
        self.networks_, self.histories_ = networks, histories
        shape = networks[directions[0]].config()
        encoder = shape.pop("encoder")
        settings = {
            **encoder["options"],
            **shape,
            "directions": ", ".join(directions),
            "tokenizer": tokenizer_name(self.preprocessor_.tokenizer_),
            "language_model": None if origin is None else origin.card_["rows"],
        }
        self.card_ = training_card(
            self.target_.task,
            nn.ModuleList(networks.values()),
            histories[directions[0]],
            recipe(options, settings, loss=self._loss_name(), batch_size=run.batch_size),
            libraries=[tokenizer_library(self.preprocessor_.tokenizer_)],
        )
        valid = None if rows.valid is None else rows.valid.encoded
        self.card_["tokens"] = token_counts(
            rows.train.encoded, valid, len(self.preprocessor_.vocabulary_)
        )
        if len(directions) > 1 and rows.valid is not None:
            outputs = self.target_.outputs(self._raw_of(rows.valid.encoded))
            self.card_["metrics"] = {
                m.name: m.function(rows.valid.truth, outputs, rows.valid.weight)
                for m in METRICS[self.target_.task]
            }

    def _new_network(self, origin: LanguageModel | None, direction: str) -> TextClassifierNetwork:
        """A network with a new head, on the language model's encoder or a fresh one."""
        with seeded(self.random_state):
            if origin is None:
                encoder = AWDLSTM(len(self.preprocessor_.vocabulary_), self.encoder_options())
            else:
                encoder = origin.encoder(direction, dropout_scale=self.dropout_scale)
            return TextClassifierNetwork(
                encoder,
                self.target_.n_outputs,
                head_widths=tuple(self.head_widths),
                head_dropout=self.head_dropout,
                head_norm=self.head_norm,
                gradient_length=self.gradient_length,
            )

    def _phases(
        self, rows: PreparedRows[Documents], origin: LanguageModel | None
    ) -> tuple[Phase, ...]:
        """The recipe: head first and then the rest, or everything from the start."""
        epochs = self._auto_epochs(len(rows.train)) if self.epochs == "auto" else int(self.epochs)
        unfreezing = self.unfreezing
        if unfreezing == "auto":
            well_read = origin is not None and origin.card_["tokens"]["read"] >= _WELL_READ
            unfreezing = "gradual" if well_read else "joint"
        if unfreezing == "joint":
            return ()
        n_groups = len(self._new_network(origin, DIRECTIONS[self.direction][0]).layer_groups())
        return unfreezing_phases(epochs, n_groups, self.learning_rate)

    def _auto_batch_size(self, n_rows: int) -> int:
        return choose_documents(n_rows)

    def _auto_epochs(self, n_rows: int) -> int:
        return choose_text_epochs(n_rows)

    # -- use ---------------------------------------------------------------------------------

    def explain(
        self,
        text: str | Mapping[str, str | None],
        *,
        output: Any = None,
        method: ContributionMethod = "gradient",
    ) -> Explanation:
        """Return how much each token of a text speaks for a class, a label or a quantity.

        Parameters
        ----------
        text : str, or mapping of column to str
            One text; a mapping where the model reads several columns.
        output : class, label or target, optional
            What is explained; default: what is predicted, or the first of several quantities.
        method : {"gradient", "occlusion"}
            See ``tabtext.text.explanation.token_contributions``: the gradient for every token at
            once, or one prediction without each of them.

        Raises
        ------
        ParameterError
            If there is no such output or method.
        ColumnTypeError, UnknownColumnError
            If this is no text, or lacks a column.
        """
        check_is_fitted(self, "card_")
        given = [text] if isinstance(text, str) else {k: [v] for k, v in dict(text).items()}
        table = self._text_table(given)
        document = self.preprocessor_.transform(table)
        predicted = self.target_.outputs(self._raw_of(document))[0]
        number, name = output_number(self.target_, output, predicted)
        return Explanation(
            tokens=tokens_of_row(self.preprocessor_, table),
            contributions=contributions_to(number, self.networks_, document, self.target_, method),
            output=name,
            predicted=float(predicted[number]),
            restore=self.preprocessor_.restore,
        )

    def _raw_of(self, features: Documents) -> Tensor:
        """Raw outputs for documents; of two directions, those of their mean probability."""
        raws = [
            predict_documents(network, in_direction(features, direction))
            for direction, network in self.networks_.items()
        ]
        return raws[0] if len(raws) == 1 else self.target_.combine(raws)

    def place_model(self) -> None:
        """Move the networks to the device that the parameter ``device`` names."""
        for network in self.networks_.values():
            network.to(choose_device(self.device))


def unfreezing_phases(
    epochs: int, n_groups: int, learning_rate: float | tuple[float, ...]
) -> tuple[Phase, ...]:
    """Return the recipe of ULMFiT for so many epochs in all.

    One epoch for the head, one more with every group that thaws, and what is left for the whole
    network; with fewer epochs than groups the input side thaws in one go.

    Parameters
    ----------
    epochs : int
        In all phases together.
    n_groups : int
        Layer groups of the network.
    learning_rate : float or tuple of float
        What the head would learn at if everything learned from the start. Alone it takes four times
        that, and half as much with every group that thaws.

    Examples
    --------
    >>> [(p.epochs, p.freeze_to) for p in unfreezing_phases(6, 4, 0.02)]
    [(1, 3), (1, 2), (1, 1), (3, 0)]
    >>> [(p.epochs, p.freeze_to) for p in unfreezing_phases(2, 4, 0.02)]
    [(1, 3), (1, 0)]
    """
    if not isinstance(learning_rate, int | float):
        raise ParameterError(
            f"{learning_rate=} names several rates; gradual unfreezing takes one, the head's, and "
            "gives earlier groups less. Use unfreezing='joint' for rates of your own"
        )
    n_partial = min(epochs, n_groups) - 1
    phases = gradual_unfreezing(
        n_groups, learning_rate=4 * learning_rate, final_epochs=max(epochs - n_partial, 1)
    )
    last = replace(phases[-1], learning_rate=4 * learning_rate / 2**n_partial)
    return (*phases[:n_partial], last)
