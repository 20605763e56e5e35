"""How the tabular estimators train: one network, or one for every fold of the rows."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import DataError
from tabtext.estimators import network
from tabtext.estimators.card import recipe, training_card
from tabtext.estimators.checkpoints import checkpoints_by_part
from tabtext.estimators.folds import Part, out_of_fold, parts_of, rows_of
from tabtext.estimators.inputs import Sample
from tabtext.estimators.samples import EncodedSample, PreparedRows
from tabtext.estimators.supervised import SupervisedEstimator
from tabtext.estimators.tabular_parameters import TabularParameters
from tabtext.estimators.uncertainty import NO_ROWS
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.tabular.preprocessing import reads_any_table
from tabtext.training.batches import Batches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.conformal import CalibrationPairs
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.lr_finder import LearningRateCurve, find_learning_rate
from tabtext.training.metrics import METRICS, measure
from tabtext.training.options import TrainingOptions, duration
from tabtext.training.progress import ProgressBar
from tabtext.training.reproducibility import seeded
from tabtext.training.trainer import Trainer

__all__ = ["TabularTraining"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularTraining(TabularParameters, SupervisedEstimator[Encoded]):
    """From encoded rows to trained networks; ``TabularEstimator`` does all else."""

    def __sklearn_tags__(self) -> Any:
        return reads_any_table(super().__sklearn_tags__())

    def _learn_features(self, sample: Sample) -> Encoded:
        self.preprocessor_ = self.new_preprocessor()
        encoded = self.preprocessor_.fit_encode(
            sample.table, targets=sample.targets, weight=sample.weight_column
        )
        self.schema_ = self.preprocessor_.schema_
        self.feature_names_in_ = self.preprocessor_.feature_names_in_
        return encoded

    def _features(self, data: Any) -> Encoded:
        return self.preprocessor_.encode(self._as_rows(data))

    def _labelled(self, data: Any, y: Any, sample_weight: Any) -> Sample:
        check_is_fitted(self, "card_")
        return super()._labelled(self._as_rows(data), y, sample_weight)

    def _as_rows(self, data: Any) -> pa.Table:
        """Rows for the fitted model; an array must have the columns of the fit."""
        return self.preprocessor_.read(data, who=type(self).__name__)

    @property
    def history_(self) -> History:
        """The history of the first network's training."""
        return next(iter(self.histories_.values()))

    @abstractmethod
    def _learn_from_validation(
        self,
        raw: Tensor,
        valid: EncodedSample[Encoded],
        *,
        train_codes: NDArray[Any],
        of_folds: bool,
    ) -> None:
        """Learn how far predictions can be trusted, and note it on the card.

        Parameters
        ----------
        raw : Tensor, shape (rows, outputs)
            Raw outputs for rows that were not learned from.
        valid : EncodedSample
            What was true of these rows and how much each counts; features are not looked at.
        train_codes : ndarray
            Targets of the training rows.
        of_folds : bool
            Whether the raw outputs are those of single networks, and not of the final model.
        """

    def _deals_folds(self) -> bool:
        return self.count_networks() > 1

    def _train(
        self,
        rows: PreparedRows[Encoded],
        *,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        resume: bool,
    ) -> None:
        """Build and train the network, or one for every fold; note the recipe on the card."""
        is_classes = self.target_.task == "classification"
        n_parts, seed = self.count_networks(), self.random_state
        parts = parts_of(rows, n_parts, stratify=is_classes, seed=seed)
        places = checkpoints_by_part(checkpoints, [part.name for part in parts], resume=resume)
        trained = []
        for number, part in enumerate(parts, start=1):
            _announce(callbacks, f"network {number}/{n_parts}" if n_parts > 1 else "")
            own = rows_of(part, rows)
            trained.append(
                self._train_network(part, own, callbacks, places[part.name], resume=resume)
            )
        # All at once, so that a training that fails leaves no half of a model behind.
        self._keep(parts, trained)
        self._judge(rows, parts, trained)

    def _train_network(
        self,
        part: Part,
        rows: PreparedRows[Encoded],
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        *,
        resume: bool,
    ) -> "_TrainedNetwork":
        """Build one network and train it."""
        options = self._options(rows, seed=part.seed)
        with seeded(part.seed, choose_device(self.device)):
            trainer, model = self._new_trainer(rows, options, callbacks, checkpoints)
            valid = None
            if rows.valid is not None:
                valid = network.batches_of(rows.valid, model, network.ROWS_PER_PREDICTION)
            history = trainer.fit(self._batches(rows, model), valid, resume=resume)
        if not history.epochs:
            raise DataError(f"training was stopped before its first epoch: {history.stopped}")
        raw = None
        if part.held_out is not None and rows.valid is not None:
            raw = network.raw_outputs(model, rows.valid.encoded)
        settings = self._recipe(options, len(rows.train))
        return _TrainedNetwork(model, history, trainer.snapshots, settings, raw)

    def _keep(self, parts: Sequence[Part], trained: Sequence["_TrainedNetwork"]) -> None:
        """Make the networks the estimator's model, and begin the card."""
        models = [one.model for one in trained]
        self.model_: network.TabularNetwork | NetworkEnsemble = models[0]
        if len(models) > 1:
            how = network.combination_for(self.target_)
            self.model_ = NetworkEnsemble(models, combine=how).eval()
        self.snapshots_: list[dict[str, Tensor]] = trained[0].snapshots
        self.histories_: dict[str, History] = {
            part.name: one.history for part, one in zip(parts, trained, strict=True)
        }
        task, settings = self.target_.task, trained[0].recipe
        self.card_ = training_card(task, self.model_, self.history_, settings)
        if len(parts) > 1:
            epochs = [(history.best_epoch or 0) + 1 for history in self.histories_.values()]
            self.card_["recipe"] |= {
                "n_networks": len(parts),
                "seed": [part.seed for part in parts],
                "best_epoch": epochs,
            }

    def _judge(
        self,
        rows: PreparedRows[Encoded],
        parts: Sequence[Part],
        trained: Sequence["_TrainedNetwork"],
    ) -> None:
        """Note what the model is worth on rows that it, or its networks, did not learn from."""
        self.calibration_pairs_: CalibrationPairs | None = None
        self.card_["calibration"] = dict(NO_ROWS)
        of_folds = parts[0].held_out is not None
        if of_folds:
            judged = rows.judged
            raw = out_of_fold([one.raw for one in trained if one.raw is not None], parts)
        elif rows.valid is not None:
            judged, raw = rows.valid, self._raw_of(rows.valid.encoded)
        else:
            return
        if len(parts) > 1:
            outputs, task = self.target_.outputs(raw), self.target_.task
            self.card_["metrics"] = measure(task, judged.truth, outputs, judged.weight)
        self._learn_from_validation(raw, judged, train_codes=rows.train.codes, of_folds=of_folds)
        if of_folds:
            is_regression = self.target_.task == "regression"
            predicted = self.target_.decode(raw) if is_regression else self.target_.outputs(raw)
            self.out_of_fold_predictions_ = _for_all_rows(predicted, rows)

    def _recipe(self, options: TrainingOptions, n_rows: int) -> dict[str, Any]:
        settings = self.network_options(n_rows).in_use()
        batch_size = self.rows_per_batch(n_rows)
        return recipe(options, settings, loss=self._loss_name(), batch_size=batch_size)

    def _sweep(self, rows: PreparedRows[Encoded]) -> LearningRateCurve:
        """Build the network that ``fit`` would train, and raise its rate from step to step."""
        options = self._options(rows, seed=self.random_state)
        with seeded(options.seed, choose_device(self.device)):
            trainer, model = self._new_trainer(rows, options, (), None)
            return find_learning_rate(trainer, self._batches(rows, model))

    def _batches(self, rows: PreparedRows[Encoded], model: network.TabularNetwork) -> Batches:
        """The training rows, shuffled."""
        batch_size = self.rows_per_batch(len(rows.train))
        return network.batches_of(rows.train, model, batch_size, shuffle=True)

    def _options(self, rows: PreparedRows[Encoded], *, seed: int) -> TrainingOptions:
        """How one of the networks is trained."""
        options = self.training_options(len(rows.train), METRICS[self.target_.task])
        limit = options.max_time
        if limit is not None:
            limit = duration(limit) / self.count_networks()
        return replace(options, seed=seed, max_time=limit)

    def _new_trainer(
        self,
        rows: PreparedRows[Encoded],
        options: TrainingOptions,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
    ) -> tuple[Trainer, network.TabularNetwork]:
        """What trains a new network, and that network on its device; call with torch seeded."""
        shape = self.network_options(len(rows.train))
        model = network.build_model(
            shape, self.preprocessor_, rows.train, self.target_, seed=options.seed
        )
        model = model.to(choose_device(self.device))
        # What a checkpoint must have been trained with, beside the trainer's own options.
        settings = {
            "loss": self._loss_name(),
            **self._loss_settings(),
            **self.target_.to_dict(),
            **shape.in_use(),
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


@dataclass(frozen=True)
class _TrainedNetwork:
    model: network.TabularNetwork
    history: History
    snapshots: list[dict[str, Tensor]]
    recipe: dict[str, Any]
    raw: Tensor | None
    """Outputs for the fold that this network did not learn from."""


def _announce(callbacks: Sequence[Callback], title: str) -> None:
    """Say on progress bars which of several networks is trained."""
    for callback in callbacks:
        if isinstance(callback, ProgressBar):
            callback.title = title


def _for_all_rows(outputs: NDArray[Any], rows: PreparedRows[Encoded]) -> NDArray[np.float64]:
    """Outputs of judged rows at the places of these rows in what ``fit`` was given; else NaN."""
    numbers = slice(None) if rows.numbers is None else rows.numbers
    everyone = np.full((rows.counts["given"], *outputs.shape[1:]), np.nan)
    everyone[numbers] = outputs
    return everyone
