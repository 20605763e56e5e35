"""How estimators with columns of numbers and categories train: one network, or one for every fold.

What rows are made of, which network reads them and how it is asked are hooks that the children
fill: ``TabularTraining`` for tables, ``MixedTraining`` for tables that hold texts.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tabtext.errors import DataError
from tabtext.estimators.card import recipe, training_card
from tabtext.estimators.inputs import Sample
from tabtext.estimators.samples import EncodedSample, Features, PreparedRows
from tabtext.estimators.supervised import SupervisedEstimator
from tabtext.estimators.tabular_parameters import TabularParameters
from tabtext.training.conformal import CalibrationPairs
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.metrics import METRICS, measure
from tabtext.training.options import TrainingOptions, duration

if TYPE_CHECKING:
    from tabtext.estimators.folds import Part
    from tabtext.training.batches import Batches
    from tabtext.training.callbacks import Callback
    from tabtext.training.checkpoint import Checkpoints
    from tabtext.training.lr_finder import LearningRateCurve
    from tabtext.training.trainer import Trainer

__all__ = ["FoldedTraining", "TrainedNetwork"]


@dataclass(frozen=True)
class TrainedNetwork:
    """One of the networks of a fit.

    Parameters
    ----------
    model : nn.Module
        With the weights of its best epoch.
    histories : mapping of str to History
        Of its stages, ``""`` being the first, or the only one.
    snapshots : list of dict of str to Tensor
        Weights at the ends of cycles.
    recipe : dict
        What shaped the training.
    raw : Tensor or None
        Outputs for the fold that this network did not learn from.
    kept : str
        The stage that the weights come from.
    """

    model: nn.Module
    histories: Mapping[str, History]
    snapshots: list[dict[str, Tensor]]
    recipe: dict[str, Any]
    raw: Tensor | None
    kept: str = field(default="")


@dataclass(kw_only=True, eq=False, repr=False)
class FoldedTraining(TabularParameters, SupervisedEstimator[Features], Generic[Features]):
    """From encoded rows to trained networks."""

    @property
    def history_(self) -> History:
        """The history of the first network's training."""
        return next(iter(self.histories_.values()))

    # -- in what tables with and without texts differ ----------------------------------------

    @abstractmethod
    def _as_rows(self, data: Any) -> pa.Table:
        """Rows for the fitted model; an array must have as many columns as at the fit."""

    @abstractmethod
    def _new_trainer(
        self,
        rows: PreparedRows[Features],
        options: TrainingOptions,
        callbacks: "Sequence[Callback]",
        checkpoints: "Checkpoints | None",
    ) -> "tuple[Trainer, nn.Module]":
        """What trains a new network, and that network on its device; call with torch seeded."""

    @abstractmethod
    def _batches(
        self, sample: EncodedSample[Features], model: nn.Module, batch_size: int | None = None
    ) -> "Batches":
        """Rows as the network reads them: shuffled with a batch size, else to validate on."""

    @abstractmethod
    def _raw_by(self, model: nn.Module, features: Features) -> Tensor:
        """Raw outputs of one of the networks on the CPU."""

    @abstractmethod
    def _adopt(self, models: Sequence[nn.Module]) -> nn.Module:
        """Make the estimator's ``model_`` of the networks of all parts, and return it."""

    def _recipe(self, options: TrainingOptions, n_rows: int) -> dict[str, Any]:
        """What shaped the training of a network."""
        settings = self.network_options(n_rows).in_use()
        batch_size = self.rows_per_batch(n_rows)
        return recipe(options, settings, loss=self._loss_name(), batch_size=batch_size)

    def _libraries(self) -> Sequence[str]:
        """Distributions that the result depends on beside those that all models use."""
        return ()

    def _readied(self, rows: PreparedRows[Features]) -> PreparedRows[Features]:
        """The rows with what all networks of the fit need of them."""
        return rows

    def _labelled(self, data: Any, y: Any, sample_weight: Any) -> Sample:
        check_is_fitted(self, "card_")
        return super()._labelled(self._as_rows(data), y, sample_weight)

    # -- training ----------------------------------------------------------------------------

    def _deals_folds(self) -> bool:
        return self.count_networks() > 1

    def _train(
        self,
        rows: PreparedRows[Features],
        *,
        callbacks: "Sequence[Callback]",
        checkpoints: "Checkpoints | None",
        resume: bool,
    ) -> None:
        """Build and train the network, or one for every fold; note the recipe on the card."""
        from tabtext.estimators.checkpoints import checkpoints_by_part
        from tabtext.estimators.folds import parts_of, rows_of

        is_classes = self.target_.task == "classification"
        n_parts, seed = self.count_networks(), self.random_state
        parts = parts_of(rows, n_parts, stratify=is_classes, seed=seed)
        places = checkpoints_by_part(checkpoints, [part.name for part in parts], resume=resume)
        rows = self._readied(rows)
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
        part: "Part",
        rows: PreparedRows[Features],
        callbacks: "Sequence[Callback]",
        checkpoints: "Checkpoints | None",
        *,
        resume: bool,
    ) -> TrainedNetwork:
        """Build one network and train it."""
        from tabtext.training.reproducibility import seeded

        options = self._options(rows, seed=part.seed)
        with seeded(part.seed, choose_device(self.device)):
            trainer, model = self._new_trainer(rows, options, callbacks, checkpoints)
            valid = None if rows.valid is None else self._batches(rows.valid, model)
            batch_size = self.rows_per_batch(len(rows.train))
            history = trainer.fit(
                self._batches(rows.train, model, batch_size), valid, resume=resume
            )
        require_epochs(history)
        raw = None
        if part.held_out is not None and rows.valid is not None:
            raw = self._raw_by(model, rows.valid.encoded)
        settings = self._recipe(options, len(rows.train))
        return TrainedNetwork(model, {"": history}, trainer.snapshots, settings, raw)

    def _keep(self, parts: "Sequence[Part]", trained: Sequence[TrainedNetwork]) -> None:
        """Make the networks the estimator's model, and begin the card."""
        model = self._adopt([one.model for one in trained])
        self.snapshots_: list[dict[str, Tensor]] = trained[0].snapshots
        self.histories_: dict[str, History] = {
            " ".join(filter(None, (part.name, stage))): history
            for part, one in zip(parts, trained, strict=True)
            for stage, history in one.histories.items()
        }
        first = trained[0]
        kept = first.histories[first.kept]
        self.card_ = training_card(
            self.target_.task, model, kept, first.recipe, libraries=self._libraries()
        )
        if len(parts) > 1:
            epochs = [(one.histories[one.kept].best_epoch or 0) + 1 for one in trained]
            self.card_["recipe"] |= {
                "n_networks": len(parts),
                "seed": [part.seed for part in parts],
                "best_epoch": epochs,
            }

    def _judge(
        self,
        rows: PreparedRows[Features],
        parts: "Sequence[Part]",
        trained: Sequence[TrainedNetwork],
    ) -> None:
        """Note what the model is worth on rows that it, or its networks, did not learn from."""
        from tabtext.estimators.folds import out_of_fold
        from tabtext.estimators.uncertainty import NO_ROWS

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

    def _sweep(self, rows: PreparedRows[Features]) -> "LearningRateCurve":
        """Build the network that ``fit`` would train, and raise its rate from step to step."""
        from tabtext.training.lr_finder import find_learning_rate
        from tabtext.training.reproducibility import seeded

        rows = self._readied(rows)
        options = self._options(rows, seed=self.random_state)
        with seeded(options.seed, choose_device(self.device)):
            trainer, model = self._new_trainer(rows, options, (), None)
            batch_size = self.rows_per_batch(len(rows.train))
            return find_learning_rate(trainer, self._batches(rows.train, model, batch_size))

    def _options(self, rows: PreparedRows[Features], *, seed: int) -> TrainingOptions:
        """How one of the networks is trained."""
        options = self.training_options(len(rows.train), METRICS[self.target_.task])
        limit = options.max_time
        if limit is not None:
            limit = duration(limit) / self.count_networks()
        return replace(options, seed=seed, max_time=limit)

    def _settings_of_run(self, n_rows: int) -> dict[str, Any]:
        """What a checkpoint must have been trained with, beside the trainer's own options."""
        return {
            "loss": self._loss_name(),
            **self._loss_settings(),
            **self.target_.to_dict(),
            **self.network_options(n_rows).in_use(),
        }


def require_epochs(history: History) -> None:
    """Raise ``DataError`` if training was stopped before anything was learned."""
    if not history.epochs:
        raise DataError(f"training was stopped before its first epoch: {history.stopped}")


def _announce(callbacks: "Sequence[Callback]", title: str) -> None:
    """Say on progress bars which of several networks is trained."""
    from tabtext.training.progress import ProgressBar

    for callback in callbacks:
        if isinstance(callback, ProgressBar):
            callback.title = title


def _for_all_rows(outputs: NDArray[Any], rows: PreparedRows[Any]) -> NDArray[np.float64]:
    """Outputs of judged rows at the places of these rows in what ``fit`` was given; else NaN."""
    numbers = slice(None) if rows.numbers is None else rows.numbers
    everyone = np.full((rows.counts["given"], *outputs.shape[1:]), np.nan)
    everyone[numbers] = outputs
    return everyone
