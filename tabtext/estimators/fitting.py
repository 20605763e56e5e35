"""The steps of ``fit``, in their order: rows, target, preprocessing, network, training."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
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
from tabtext.training.losses import Loss, make_loss
from tabtext.training.lr_finder import LearningRateCurve, find_learning_rate
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.targets import Target
from tabtext.training.trainer import Trainer

__all__ = ["FittingSteps", "PreparedRows", "resolve_checkpoints"]


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
    def _loss_settings(self) -> dict[str, float]:
        """The parameters of ``make_loss``."""

    def _row_loss(self) -> Loss:
        """The loss of every row."""
        return make_loss(self._loss_name(), **self._loss_settings())

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
            trainer, model = self._new_trainer(rows, options, callbacks, checkpoints)
            batches = network.batches_of(rows.train, model, batch_size, shuffle=True)
            valid = None
            if rows.valid is not None:
                valid = network.batches_of(rows.valid, model, network.ROWS_PER_PREDICTION)
            history = trainer.fit(batches, valid, resume=resume)
        if not history.epochs:
            raise DataError(f"training was stopped before its first epoch: {history.stopped}")
        # All at once, so that a training that fails leaves no half of a model behind.
        self.model_: EntityEmbeddingMLP = model
        self.history_: History = history
        self.snapshots_: list[dict[str, Tensor]] = trainer.snapshots
        self.card_ = training_card(
            self.target_.task, model, history, self._recipe(options, batch_size)
        )

    def _recipe(self, options: TrainingOptions, batch_size: int) -> dict[str, Any]:
        return recipe(
            options, self.network_options(), loss=self._loss_name(), batch_size=batch_size
        )

    def _sweep(self, rows: PreparedRows) -> LearningRateCurve:
        """Build the network that ``fit`` would train, and raise its rate from step to step."""
        options = self._options(rows)
        batch_size = self.rows_per_batch(len(rows.train.encoded))
        with seeded(self.random_state, choose_device(self.device)):
            trainer, model = self._new_trainer(rows, options, (), None)
            batches = network.batches_of(rows.train, model, batch_size, shuffle=True)
            return find_learning_rate(trainer, batches)

    def _options(self, rows: PreparedRows) -> TrainingOptions:
        return self.training_options(len(rows.train.encoded), self.target_.task)

    def _new_trainer(
        self,
        rows: PreparedRows,
        options: TrainingOptions,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
    ) -> tuple[Trainer, EntityEmbeddingMLP]:
        """What trains a new network, and that network on its device; call with torch seeded."""
        model = network.build_model(
            self.network_options(),
            self.preprocessor_,
            rows.train,
            self.target_.n_outputs,
            seed=self.random_state,
        )
        model = model.to(choose_device(self.device))
        # What a checkpoint must have been trained with, beside the trainer's own options.
        settings = {
            "loss": self._loss_name(),
            **self._loss_settings(),
            **self.target_.to_dict(),
            **asdict(self.network_options()),
        }
        trainer = network.new_trainer(
            model,
            self.target_,
            self._row_loss(),
            rows.valid,
            options=options,
            callbacks=callbacks,
            checkpoints=checkpoints,
            settings=settings,
        )
        return trainer, model


def resolve_checkpoints(
    place: str | Path | Checkpoints | None, resume: bool | str | Path
) -> tuple[Checkpoints | None, bool]:
    """Return where checkpoints go and whether to go on from them, from the arguments of ``fit``.

    Raises
    ------
    ParameterError
        If they contradict each other, or are no places.

    Examples
    --------
    >>> checkpoints, resume = resolve_checkpoints(None, "runs/sales.checkpoints")
    >>> checkpoints.directory.name, resume
    ('sales.checkpoints', True)
    """
    if not isinstance(resume, bool | str | Path):
        raise ParameterError(f"resume={resume!r} is neither True, False nor a directory")
    if not isinstance(resume, bool):
        if place is not None:
            raise ParameterError(
                f"checkpoints={str(place)!r} and resume={str(resume)!r} both name a directory; "
                "give it once: resume=DIRECTORY, or checkpoints=DIRECTORY and resume=True"
            )
        place, resume = resume, True
    if place is None and resume:
        raise ParameterError("resume=True needs checkpoints=DIRECTORY, where the run kept its own")
    if place is None or isinstance(place, Checkpoints):
        return place, resume
    if not isinstance(place, str | Path) or not str(place):
        raise ParameterError(f"checkpoints={place!r} is no directory")
    return Checkpoints(place), resume
