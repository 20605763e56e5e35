"""How estimators of tables with texts train.

The encoder is frozen first: it reads every text once, and the fused half of the network learns from
what it has read, as fast as a network for tables. Then, if asked for, the whole network learns.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from math import inf
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from tabtext.estimators import network, network_training
from tabtext.estimators.checkpoints import checkpoints_by_part
from tabtext.estimators.folded_training import TrainedNetwork, require_epochs
from tabtext.estimators.folds import Part
from tabtext.estimators.inputs import Sample
from tabtext.estimators.mixed_batches import TokenBatches, pooled_texts, row_tensors
from tabtext.estimators.mixed_parameters import MixedParameters
from tabtext.estimators.origin import adapt_to
from tabtext.estimators.samples import EncodedSample, PreparedRows
from tabtext.estimators.text_card import (
    facts_of_origin,
    token_counts,
    tokenizer_library,
    tokenizer_name,
)
from tabtext.estimators.text_columns import chosen_columns
from tabtext.mixed.fused import FusedEnsemble, FusedNetwork, TextColumns
from tabtext.mixed.network import MixedNetwork
from tabtext.mixed.preprocessing import (
    TEXT,
    MixedPreprocessor,
    learn_columns,
    mixed_schema,
    stacked_texts,
)
from tabtext.mixed.rows import MixedRows
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.models import TabularEncoder
from tabtext.tabular.schema import Role
from tabtext.text.documents import Documents, offsets_of
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.training.batches import Batches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.options import TrainingOptions, duration
from tabtext.training.reproducibility import seeded
from tabtext.training.trainer import Trainer

__all__ = ["MixedTraining"]

_ROWS_PER_READING = 4096
"""Rows whose texts are read at once in prediction: what is known of 4 texts each takes 42 MB."""


@dataclass(kw_only=True, eq=False, repr=False)
class MixedTraining(MixedParameters[MixedRows]):
    """From rows with texts to trained networks; ``TabTextEstimator`` does all else."""

    # -- rows --------------------------------------------------------------------------------

    def _learn_features(self, sample: Sample) -> MixedRows:
        named = None
        if self.text_columns is not None:
            named = chosen_columns(
                sample.table,
                self.text_columns,
                targets=sample.targets,
                weight_column=sample.weight_column,
            )
        self.schema_ = mixed_schema(
            sample.table,
            targets=sample.targets,
            weight=sample.weight_column,
            roles=self.roles,
            exclude=self.exclude,
            text_columns=named,
        )
        names = self.schema_.names(
            *(role for role in Role if role not in (Role.TARGET, Role.WEIGHT))
        )
        self.feature_names_in_ = np.asarray(names, dtype=object)
        columns = self.schema_.names(Role.TEXT)
        tabular = learn_columns(self.new_preprocessor(), sample.table, self.schema_)
        texts, missing = stacked_texts(sample.table, columns)
        text, documents = self._learn_texts(texts, [TEXT])
        self.preprocessor_ = MixedPreprocessor(tabular, text, tuple(columns), self.max_tokens)
        return self.preprocessor_.rows(tabular.encode(sample.table), documents, missing)

    def _features(self, data: Any) -> MixedRows:
        return self.preprocessor_.transform(self._as_rows(data))

    def _as_rows(self, data: Any) -> pa.Table:
        return self.preprocessor_.tabular.read(data, who=type(self).__name__)

    # -- what is learned from texts as they were read once -----------------------------------

    @contextmanager
    def _with_encoders(self) -> Iterator[None]:
        """Let go of what only a fit needs."""
        try:
            yield
        finally:
            if hasattr(self, "_encoders"):
                del self._encoders

    def _readied(self, rows: PreparedRows[MixedRows]) -> PreparedRows[MixedRows]:
        """Make the encoders and let them read all texts."""
        device = choose_device(self.device)
        vocabulary = self.preprocessor_.text.vocabulary_
        n_encoders = len(self.preprocessor_.text_columns) if self.own_encoders else 1
        with seeded(self.random_state, device):
            encoders = [self._new_encoder(vocabulary) for _ in range(n_encoders)]
        origin = self._language_model()
        if origin is not None:
            documents = laid_together(rows.train.encoded.texts)
            adapt_to(encoders, documents, origin, seed=self.random_state)
        self._encoders = [encoder.to(device).eval() for encoder in encoders]
        train = self._read(rows.train)
        return replace(
            rows,
            train=train,
            valid=None if rows.valid is None else self._read(rows.valid),
            judged=train if rows.judged is rows.train else self._read(rows.judged),
        )

    def _read(self, sample: EncodedSample[MixedRows]) -> EncodedSample[MixedRows]:
        pooled = pooled_texts(self._encoders, sample.encoded.texts)
        return replace(sample, encoded=sample.encoded.with_pooled(pooled))

    def _new_trainer(
        self,
        rows: PreparedRows[MixedRows],
        options: TrainingOptions,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
    ) -> tuple[Trainer, nn.Module]:
        model = self._new_fused(rows.train, options.seed).to(choose_device(self.device))
        trainer = network_training.new_trainer(
            model,
            self.target_,
            self._row_loss(),
            rows.valid,
            options=options,
            callbacks=callbacks,
            checkpoints=checkpoints,
            settings=self._settings_of_run(len(rows.train)),
        )
        return trainer, model

    def _new_fused(self, train: EncodedSample[MixedRows], seed: int) -> FusedNetwork:
        shape = self.network_options(len(train))
        columns = network_training.encoder_arguments(
            shape, self.preprocessor_.tabular, of_table(train), seed=seed
        )
        encoder = self._encoders[0]
        texts = TextColumns(
            len(self.preprocessor_.text_columns),
            4 * encoder.options.embedding_width,
            width=self.text_width,
            dropout=self.text_dropout,
        )
        trunk = {
            **shape.of_trunk(),
            "n_members": shape.n_members,
            "combine": network.combination_for(self.target_),
        }
        return FusedNetwork(TabularEncoder(**columns), texts, self.target_.n_outputs, trunk=trunk)

    def _batches(
        self, sample: EncodedSample[MixedRows], model: nn.Module, batch_size: int | None = None
    ) -> Batches:
        rows_at_once = network.ROWS_PER_PREDICTION if batch_size is None else batch_size
        inputs = row_tensors(sample.encoded)
        return network_training.batches_of(
            sample, inputs, model, rows_at_once, shuffle=batch_size is not None
        )

    def _raw_by(self, model: nn.Module, features: MixedRows) -> Tensor:
        return network.raw_outputs(model, row_tensors(features))

    def _options(self, rows: PreparedRows[MixedRows], *, seed: int) -> TrainingOptions:
        options = super()._options(rows, seed=seed)
        if options.max_time is None or not self.count_unfrozen_epochs():
            return options
        return replace(options, max_time=duration(options.max_time) / 2)  # the rest thaws

    # -- then all learns ---------------------------------------------------------------------

    def _train_network(
        self,
        part: Part,
        rows: PreparedRows[MixedRows],
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        *,
        resume: bool,
    ) -> TrainedNetwork:
        if not self.count_unfrozen_epochs():
            return super()._train_network(part, rows, callbacks, checkpoints, resume=resume)
        places = checkpoints_by_part(checkpoints, ["frozen", "unfrozen"], resume=resume)
        first = super()._train_network(part, rows, callbacks, places["frozen"], resume=resume)
        return self._unfrozen(first, rows, callbacks, places["unfrozen"], resume=resume)

    def _unfrozen(
        self,
        first: TrainedNetwork,
        rows: PreparedRows[MixedRows],
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        *,
        resume: bool,
    ) -> TrainedNetwork:
        """Let the encoders learn, too; keep what came of it if it is better."""
        device = choose_device(self.device)
        model = MixedNetwork(self._encoders, cast("FusedNetwork", first.model))
        before = deepcopy(model.state_dict())
        options = self._options_of_unfrozen(rows, model)
        with seeded(options.seed, device):
            trainer = network_training.new_trainer(
                model,
                self.target_,
                self._row_loss(),
                rows.valid,
                options=options,
                callbacks=callbacks,
                checkpoints=checkpoints,
                settings={**self._settings_of_run(len(rows.train)), "stage": "unfrozen"},
            )
            batch_size = self.rows_per_batch(len(rows.train))
            valid = None
            if rows.valid is not None:
                valid = TokenBatches(
                    rows.valid, batch_size=batch_size, shuffle=False, device=device
                )
            train = TokenBatches(rows.train, batch_size=batch_size, shuffle=True, device=device)
            history = trainer.fit(train, valid, resume=resume)
        require_epochs(history)
        histories = {**first.histories, "unfrozen": history}
        if rows.valid is None or best_of(history, options) < best_of(first.histories[""], options):
            return replace(first, histories=histories, kept="unfrozen")
        model.load_state_dict(before)
        return replace(first, histories=histories)

    def _options_of_unfrozen(
        self, rows: PreparedRows[MixedRows], model: MixedNetwork
    ) -> TrainingOptions:
        options = self._options(rows, seed=self.random_state)
        decay = options.weight_decay
        if isinstance(decay, tuple | list):  # of the other half's groups; the first is the texts'
            decay = (*[decay[0]] * model.n_encoder_groups, *decay)
        phases = self.unfrozen_phases(model.n_encoder_groups, len(model.layer_groups()))
        return replace(options, epochs=1, phases=phases, patience=None, weight_decay=decay)

    def _adopt(self, models: Sequence[nn.Module]) -> nn.Module:
        networks = cast("Sequence[FusedNetwork]", models)
        fused: FusedNetwork | FusedEnsemble = networks[0]
        if len(networks) > 1:
            fused = FusedEnsemble(networks, combine=network.combination_for(self.target_))
        self.model_ = MixedNetwork(self._encoders, fused).eval()
        return self.model_

    def _judge(
        self,
        rows: PreparedRows[MixedRows],
        parts: Sequence[Part],
        trained: Sequence[TrainedNetwork],
    ) -> None:
        text = self.preprocessor_.text
        valid = None if rows.valid is None else laid_together(rows.valid.encoded.texts)
        origin = self._language_model()
        if origin is not None:
            self.card_["language_model"] = facts_of_origin(origin, self.language_model)
        self.card_["tokens"] = token_counts(
            laid_together(rows.train.encoded.texts), valid, len(text.vocabulary_)
        )
        if trained[0].kept and rows.valid is not None:  # encoders that read otherwise now
            rows = replace(
                rows, valid=replace(rows.valid, encoded=rows.valid.encoded.with_pooled(None))
            )
        super()._judge(rows, parts, trained)

    # -- use ---------------------------------------------------------------------------------

    def _raw_of(self, features: MixedRows) -> Tensor:
        """Raw outputs for encoded rows: the network's, or the mean of its snapshots'."""
        if features.pooled is not None:
            return self._raw_of_read(features)
        starts = range(0, max(len(features), 1), _ROWS_PER_READING)
        parts = []
        for start in starts:
            stop = min(start + _ROWS_PER_READING, len(features))
            part = features.take(np.arange(start, stop))
            parts.append(self._raw_of_read(self._read_by_model(part)))
        return torch.cat(parts)

    def _read_by_model(self, features: MixedRows) -> MixedRows:
        """The rows with what the model's encoders have read of their texts."""
        if features.pooled is not None:
            return features
        encoders = [cast("AWDLSTM", encoder) for encoder in self.model_.encoders]
        return features.with_pooled(pooled_texts(encoders, features.texts))

    def _raw_of_read(self, features: MixedRows) -> Tensor:
        inputs = row_tensors(features)
        if not self.snapshots_:
            return network.raw_outputs(self.model_.fused, inputs)
        return self.target_.combine(
            [network.raw_outputs(self.model_.fused, inputs, weights) for weights in self.snapshots_]
        )

    # -- card --------------------------------------------------------------------------------

    def _recipe(self, options: TrainingOptions, n_rows: int) -> dict[str, Any]:
        epochs = self.count_unfrozen_epochs()
        return {
            **super()._recipe(options, n_rows),
            **self.mixed_settings(),
            **({"unfrozen_epochs": epochs, "unfreezing": self.unfreezing} if epochs else {}),
            "text_columns": list(self.preprocessor_.text_columns),
            "tokenizer": tokenizer_name(self.preprocessor_.text.tokenizer_),
        }

    def _libraries(self) -> Sequence[str]:
        return [tokenizer_library(self.preprocessor_.text.tokenizer_)]

    def _settings_of_run(self, n_rows: int) -> dict[str, Any]:
        return {**super()._settings_of_run(n_rows), **self.mixed_settings()}


def of_table(sample: EncodedSample[MixedRows]) -> EncodedSample[Encoded]:
    """Return the rows without their texts."""
    return EncodedSample(sample.encoded.tabular, sample.codes, sample.truth, sample.weight)


def laid_together(texts: Sequence[Documents]) -> Documents:
    """Return the documents of all columns as one set, column behind column.

    Examples
    --------
    >>> laid_together([Documents.of([[2, 3]]), Documents.of([[2, 9, 3]])])
    Documents(2 documents, 5 tokens)
    """
    lengths = np.concatenate([documents.lengths for documents in texts])
    ids = np.concatenate([documents.ids for documents in texts])
    return Documents(ids, offsets_of(lengths))


def best_of(history: History, options: TrainingOptions) -> float:
    """Return the monitor at the best epoch, lower being better; infinity without any."""
    best = history.epochs[history.best_epoch or 0]
    found = {**best.metrics, "valid_loss": best.valid_loss}[options.monitor]
    if found is None:
        return inf
    return -found if options.greater_is_better else found
