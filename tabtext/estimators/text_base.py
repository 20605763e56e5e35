"""What the text estimators share beyond the common road: tokens, encoders, unfreezing."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tabtext.estimators.card import recipe, training_card
from tabtext.estimators.checkpoints import checkpoints_by_part
from tabtext.estimators.classifier_training import (
    ClassifierRun,
    train_classifier,
)
from tabtext.estimators.defaults import choose_documents, choose_text_epochs
from tabtext.estimators.explanation import Explanation, contributions_to, output_number
from tabtext.estimators.inputs import Sample, multiplied
from tabtext.estimators.language_model import LanguageModel
from tabtext.estimators.language_model_start import LanguageModelStart
from tabtext.estimators.linear_members import LinearFitting
from tabtext.estimators.origin import adapt_to
from tabtext.estimators.parameter_checks import (
    require_choice,
    require_share,
    require_whole,
    require_widths,
)
from tabtext.estimators.samples import PreparedRows
from tabtext.estimators.supervised import SupervisedEstimator
from tabtext.estimators.text_card import (
    facts_of_origin,
    token_counts,
    tokenizer_library,
    tokenizer_name,
)
from tabtext.estimators.text_columns import chosen_columns, under_the_asked_name
from tabtext.estimators.text_inputs import (
    as_text_table,
    columns_of_fit,
    is_table,
    single_row,
    tokens_of_row,
)
from tabtext.estimators.unfreezing import require_single_rate, unfreezing_phases
from tabtext.estimators.voting import Voters
from tabtext.text.classifier import HeadNorm, TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.text.explanation import ContributionMethod
from tabtext.text.pooling import GRADIENT_LENGTH
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.metrics import METRICS, measure
from tabtext.training.options import Phase
from tabtext.training.reproducibility import seeded

__all__ = ["TextEstimator"]


@dataclass(kw_only=True, eq=False, repr=False)
class TextEstimator(SupervisedEstimator[Documents], LanguageModelStart):
    """What both text estimators do; use ``TextClassifier`` or ``TextRegressor``.

    Parameters
    ----------
    unfreezing : {"joint", "gradual"}
        Train everything from the start, or the head first and one layer group more in every phase,
        earlier groups at smaller rates. With the small encoders of this library gradual unfreezing
        lost in every trial: from ``english-small`` after a third of its training, 6,340 film
        sentences were told apart with accuracy 0.78 by joint training and 0.71 by gradual.
    head_widths : sequence of int
        Widths of the hidden layers between pooling and output.
    head_dropout : float
        Share of each hidden layer's outputs set to zero in training.
    head_norm : {"batch", "layer"}
        What normalises the inputs of the head's layers.
    gradient_length : int
        Tokens at the end of a text through which gradients flow; earlier ones are read without.
    **parameters
        Those of ``language_model_start.LanguageModelStart``, ``text_parameters.TextParameters``
        and ``training_parameters.TrainingParameters``.

    Attributes
    ----------
    preprocessor_ : TextPreprocessor
        Tokenizer and vocabulary.
    networks_ : dict of str to TextClassifierNetwork
        One network for each direction; together they are the mean of their probabilities.
    histories_ : dict of str to History
        Losses and metrics of every epoch, for each direction.
    linear_ : dict of str to linear models
        The linear models that vote with the network; empty for quantities.
    mixing_ : dict of str to float
        How much the raw outputs of the network and of each linear model count in their sum.
    """

    unfreezing: Literal["joint", "gradual"] = "joint"
    head_widths: Sequence[int] = (50,)
    head_dropout: float = 0.1
    head_norm: HeadNorm = "batch"
    gradient_length: int = GRADIENT_LENGTH

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False  # of numbers, which is what the tag means
        tags.input_tags.string = True
        return tags

    # -- rows --------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        require_choice("unfreezing", self.unfreezing, ("joint", "gradual"))
        require_choice("monitor", self.monitor, ("valid_loss", *self._metric_names()))
        require_choice("head_norm", self.head_norm, get_args(HeadNorm))
        require_widths("head_widths", self.head_widths)
        require_share("head_dropout", self.head_dropout)
        require_whole("gradient_length", self.gradient_length, smallest=1)
        if self.unfreezing == "gradual":
            require_single_rate(self.learning_rate)

    def _metric_names(self) -> list[str]:
        """What is measured on validation rows; several labels have the metrics of classes."""
        task = "classification" if isinstance(self, ClassifierMixin) else "regression"
        return [metric.name for metric in METRICS[task]]

    def _as_input(self, data: Any) -> Any:
        table = as_text_table(data)
        return table if is_table(data) else under_the_asked_name(table, self.text_columns)

    def _learn_features(self, sample: Sample) -> Documents:
        columns = chosen_columns(
            sample.table,
            self.text_columns,
            targets=sample.targets,
            weight_column=sample.weight_column,
        )
        self.feature_names_in_ = np.asarray(columns, dtype=object)
        table = sample.table.select(columns)
        self.preprocessor_, documents = self._learn_texts(table, columns)
        return documents

    def _features(self, data: Any) -> Documents:
        return self.preprocessor_.transform(self._text_table(data))

    def _text_table(self, data: Any) -> pa.Table:
        """The columns of the fit, in their order."""
        return columns_of_fit(data, self.feature_names_in_.tolist())

    def _while_fitting(self) -> AbstractContextManager[None]:
        return self._holding_language_model()

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
        directions = self.directions()
        options = self.training_options(
            len(rows.train), METRICS[self.target_.task], phases=self._phases(rows)
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
        places = checkpoints_by_part(checkpoints, directions, resume=resume)
        networks = {direction: self._new_network(direction) for direction in directions}
        vectors: NDArray[np.float32] | None = None
        if origin is not None:
            encoders = [network.encoder for network in networks.values()]
            documents, seed = rows.train.encoded, self.random_state
            adapt_to(encoders, documents, origin, seed=seed)
            vectors = encoders[0].word_vectors()
        histories: dict[str, History] = {}
        for direction, network in networks.items():
            place = places[direction]
            histories[direction] = train_classifier(network, rows, direction, run, place)
        voters = Voters.learned(
            networks,
            self._linear_fitting(vectors),
            self._voting_rows(rows),
            self.target_,
            self._row_loss(),
            seed=self.random_state,
        )
        # All at once, so that a training that fails leaves no half of a model behind.
        self.networks_, self.histories_ = networks, histories
        self.linear_, self.mixing_ = voters.linear, dict(voters.mixing)
        self.card_ = self._new_card(rows, origin, run)

    def _voting_rows(self, rows: PreparedRows[Documents]) -> PreparedRows[Documents]:
        """The rows that the votes are learned from: all weigh what training rows of a class do.

        The validation rows of metrics keep the caller's weights.
        """
        if rows.valid is None:
            return rows
        of_classes = self._row_weights(rows.valid.codes, counted=rows.train.codes)
        weight = multiplied(rows.valid.weight, of_classes)
        return replace(rows, valid=replace(rows.valid, weight=weight))

    def _new_card(
        self, rows: PreparedRows[Documents], origin: LanguageModel | None, run: ClassifierRun
    ) -> dict[str, Any]:
        directions = self.directions()
        shape = self.networks_[directions[0]].config()
        encoder = shape.pop("encoder")
        settings = {
            **encoder["options"],
            **shape,
            "directions": ", ".join(directions),
            "tokenizer": tokenizer_name(self.preprocessor_.tokenizer_),
            "votes": ", ".join(f"{name} {vote:.2f}" for name, vote in self.mixing_.items()),
        }
        card = training_card(
            self.target_.task,
            nn.ModuleList(self.networks_.values()),
            self.histories_[directions[0]],
            recipe(run.options, settings, loss=self._loss_name(), batch_size=run.batch_size),
            libraries=[tokenizer_library(self.preprocessor_.tokenizer_)],
        )
        valid = None if rows.valid is None else rows.valid.encoded
        if origin is not None:
            card["language_model"] = facts_of_origin(origin, self.language_model)
        card["tokens"] = token_counts(
            rows.train.encoded, valid, len(self.preprocessor_.vocabulary_)
        )
        if (len(directions) > 1 or self.linear_) and rows.valid is not None:
            valid_rows, task = rows.valid, self.target_.task
            outputs = self.target_.outputs(self._raw_of(valid_rows.encoded))
            card["metrics"] = measure(task, valid_rows.truth, outputs, valid_rows.weight)
        return card

    def _linear_fitting(self, vectors: NDArray[np.float32] | None) -> LinearFitting | None:
        """How the linear models that vote with the network are fitted; none for quantities.

        The vectors are those of the language model's words, before the network learned.
        """
        del vectors
        return None

    def _new_network(self, direction: str) -> TextClassifierNetwork:
        """A network with a new head, on the language model's encoder or a fresh one."""
        with seeded(self.random_state):
            encoder = self._new_encoder(self.preprocessor_.vocabulary_, direction)
            return TextClassifierNetwork(
                encoder,
                self.target_.n_outputs,
                head_widths=tuple(self.head_widths),
                head_dropout=self.head_dropout,
                head_norm=self.head_norm,
                gradient_length=self.gradient_length,
            )

    def _phases(self, rows: PreparedRows[Documents]) -> tuple[Phase, ...]:
        """The recipe: head first and then the rest, or everything from the start."""
        if self.unfreezing == "joint":
            return ()
        epochs = self._auto_epochs(len(rows.train)) if self.epochs == "auto" else int(self.epochs)
        n_groups = len(self._new_network(self.directions()[0]).layer_groups())
        return unfreezing_phases(epochs, n_groups, self.learning_rate)

    def _auto_batch_size(self, n_rows: int) -> int:
        return choose_documents(n_rows)

    def _auto_epochs(self, n_rows: int) -> int:
        return choose_text_epochs(n_rows, pretrained=self._language_model() is not None)

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
        table = self._text_table(single_row(text))
        document = self.preprocessor_.transform(table)
        predicted = self.target_.outputs(self._raw_of(document))[0]
        number, name = output_number(self.target_, output, predicted)
        voters = self._voters()
        return Explanation(
            tokens=tokens_of_row(self.preprocessor_, table),
            contributions=contributions_to(number, voters, document, self.target_, method),
            output=name,
            predicted=float(predicted[number]),
            restore=self.preprocessor_.restore,
        )

    def _raw_of(self, features: Documents) -> Tensor:
        return self._voters().raw(features, self.target_)

    def _voters(self) -> Voters:
        return Voters(self.networks_, self.linear_, self.mixing_)

    def _export(self, directory: Path) -> None:
        from tabtext.export.text import export_text_model

        voters = self._voters()
        export_text_model(
            directory,
            estimator=type(self).__name__,
            networks=voters.networks,
            linear=voters.linear,
            votes=voters.heard,
            target=self.target_,
            preprocessor=self.preprocessor_,
        )

    def place_model(self) -> None:
        """Move the networks to the device that the parameter ``device`` names."""
        for network in self.networks_.values():
            network.to(choose_device(self.device))
