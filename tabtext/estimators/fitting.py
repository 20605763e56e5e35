"""The steps of ``fit``, in their order: rows, target, preprocessing, network, training."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import DataError, ParameterError
from tabtext.estimators import network
from tabtext.estimators.card import missing_shares, recipe, row_counts, training_card
from tabtext.estimators.inputs import (
    Sample,
    combined,
    drop_missing_targets,
    read_sample,
    split_sample,
)
from tabtext.estimators.network import EncodedSample
from tabtext.estimators.parameters import TabularParameters
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.models import EntityEmbeddingMLP
from tabtext.tabular.outliers import PruningReport, prune
from tabtext.tabular.schema import Role
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.losses import Loss
from tabtext.training.lr_finder import LearningRateCurve, find_learning_rate
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.targets import Target
from tabtext.training.trainer import Trainer

__all__ = ["FittingSteps", "PreparedRows", "checkpoints_in"]


@dataclass(frozen=True)
class PreparedRows:
    """Encoded rows for the network, and what became of the others.

    Parameters
    ----------
    train : EncodedSample
        Rows to learn from.
    valid : EncodedSample or None
        Rows to choose the best epoch by.
    counts : dict of str to int
        How many rows came, went and stayed.
    missing : dict of str to float
        Share of missing values per column.
    """

    train: EncodedSample
    valid: EncodedSample | None
    counts: dict[str, int]
    missing: dict[str, float]


@dataclass(kw_only=True, eq=False, repr=False)
class FittingSteps(TabularParameters, ABC):
    """What ``fit`` and ``find_learning_rate`` do, and in what the estimators differ."""

    # -- in what the estimators differ -------------------------------------------------------

    @abstractmethod
    def _fit_target(self, sample: Sample, train_sample: Sample) -> Target:
        """Learn what the targets are, from all rows or from the training rows."""

    @abstractmethod
    def _loss_name(self) -> str:
        """The loss, one of ``tabtext.training.losses.LOSSES``."""

    @abstractmethod
    def _row_loss(self) -> Loss:
        """The loss of every row, with its parameters."""

    def _row_weights(self, codes: NDArray[Any]) -> NDArray[np.float32] | None:
        """Weights of training rows that come on top of the caller's."""
        del codes
        return None

    def _classes_of(self, sample: Sample) -> NDArray[np.int64] | None:
        """Class of each row, by which a random split is stratified."""
        del sample
        return None

    # -- rows --------------------------------------------------------------------------------

    def _prepare(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any,
        *,
        target: str | Sequence[str] | None,
        sample_weight: Any,
        validation: Any,
    ) -> PreparedRows:
        """Read and check the input, set validation rows aside, prune, learn the preprocessing."""
        given = read_sample(X, y, target=target, sample_weight=sample_weight)
        sample = drop_missing_targets(given, self.missing_target)
        self.target_names_ = list(sample.targets)
        rows, valid_sample = split_sample(
            sample,
            validation,
            fraction=self.validation_fraction,
            classes=self._classes_of(sample),
            missing_target=self.missing_target,
            seed=self.random_state,
        )
        train_sample, self.pruning_ = self._prune(rows)
        self.target_ = self._fit_target(sample, train_sample)
        self.preprocessor_ = self.new_preprocessor()
        encoded = self.preprocessor_.fit_transform(
            train_sample.table, targets=sample.targets, weight=sample.weight_column
        )
        self._remember_columns()
        train = self._encode(train_sample, encoded)
        return PreparedRows(
            train=replace(train, weight=combined(train.weight, self._row_weights(train.codes))),
            valid=None if valid_sample is None else self._encode(valid_sample),
            counts=row_counts(given, sample, rows, train_sample, valid_sample),
            missing=missing_shares(train_sample.table.select(list(self.feature_names_in_))),
        )

    def _prune(self, sample: Sample) -> tuple[Sample, PruningReport | None]:
        """Remove outliers from the training rows by the rules that were given."""
        rules = [self.prune] if isinstance(self.prune, str) else list(self.prune)
        if not rules:
            return sample, None
        kept, report = prune(sample.table, rules)
        if report.kept < 2:
            raise DataError(f"pruning leaves {report.kept} training row, too few:\n{report}")
        return sample.filter(kept), report

    def _remember_columns(self) -> None:
        self.schema_ = self.preprocessor_.schema_
        names = self.schema_.names(
            *(role for role in Role if role not in (Role.TARGET, Role.WEIGHT))
        )
        self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = len(names)

    def _encode(self, sample: Sample, encoded: Encoded | None = None) -> EncodedSample:
        """Rows as the network reads them."""
        if encoded is None:
            encoded = self.preprocessor_.transform(sample.table)
        table = sample.target_table
        codes = self.target_.encode(table)
        return EncodedSample(encoded, codes, self.target_.truth(table), sample.weight)

    # -- network -----------------------------------------------------------------------------

    def _train(
        self,
        rows: PreparedRows,
        *,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        resume: bool,
    ) -> None:
        """Build and train the network; note the recipe on the card."""
        options = self._options(rows)
        batch_size = self.rows_per_batch(len(rows.train.encoded))
        with seeded(self.random_state, choose_device(self.device)):
            trainer = self._new_trainer(rows, options, callbacks, checkpoints)
            batches = network.batches_of(rows.train, trainer.model, batch_size, shuffle=True)
            valid = None
            if rows.valid is not None:
                valid = network.batches_of(rows.valid, trainer.model, network.ROWS_PER_PREDICTION)
            self.history_: History = trainer.fit(batches, valid, resume=resume)
        self.snapshots_: list[dict[str, Tensor]] = trainer.snapshots
        self.card_ = training_card(
            self.target_.task,
            self.model_,
            self.history_,
            recipe(options, self.network_options(), loss=self._loss_name(), batch_size=batch_size),
        )

    def _sweep(self, rows: PreparedRows) -> LearningRateCurve:
        """Build the network that ``fit`` would train, and raise its rate from step to step."""
        options = self._options(rows)
        batch_size = self.rows_per_batch(len(rows.train.encoded))
        with seeded(self.random_state, choose_device(self.device)):
            trainer = self._new_trainer(rows, options, (), None)
            batches = network.batches_of(rows.train, trainer.model, batch_size, shuffle=True)
            return find_learning_rate(trainer, batches)

    def _options(self, rows: PreparedRows) -> TrainingOptions:
        return self.training_options(len(rows.train.encoded), self.target_.task)

    def _new_trainer(
        self,
        rows: PreparedRows,
        options: TrainingOptions,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
    ) -> Trainer:
        """A new network on its device, and what trains it; call with torch seeded."""
        model = network.build_model(
            self.network_options(),
            self.preprocessor_,
            rows.train,
            self.target_.n_outputs,
            seed=self.random_state,
        )
        self.model_: EntityEmbeddingMLP = model.to(choose_device(self.device))
        return network.new_trainer(
            self.model_,
            self.target_,
            self._row_loss(),
            rows.valid,
            options=options,
            callbacks=callbacks,
            checkpoints=checkpoints,
        )


def checkpoints_in(
    place: str | Path | Checkpoints | None, resume: bool | str | Path
) -> tuple[Checkpoints | None, bool]:
    """Return where checkpoints go and whether to go on from them, from the arguments of ``fit``.

    Examples
    --------
    >>> checkpoints, resume = checkpoints_in(None, "runs/sales.checkpoints")
    >>> checkpoints.directory.name, resume
    ('sales.checkpoints', True)
    """
    if not isinstance(resume, bool):
        place, resume = resume if place is None else place, True
    if place is None and resume:
        raise ParameterError("resume=True needs checkpoints=DIRECTORY, where the run kept its own")
    if place is None or isinstance(place, Checkpoints):
        return place, resume
    return Checkpoints(place), resume
