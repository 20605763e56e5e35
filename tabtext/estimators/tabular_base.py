"""What the tabular estimators share beyond the common road: columns, pruning, embeddings."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import ParameterError, TabTextWarning
from tabtext.estimators import network
from tabtext.estimators.augmentation import Augmentation
from tabtext.estimators.column_inspection import ColumnInspection
from tabtext.estimators.inputs import Sample, combined, drop_missing_targets
from tabtext.estimators.tabular_training import TabularTraining
from tabtext.progress import showing
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.training.devices import choose_device
from tabtext.training.metrics import METRICS
from tabtext.training.options import Phase

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabularEstimator"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularEstimator(TabularTraining, ColumnInspection[Encoded]):
    """What both tabular estimators do; use ``TabularClassifier`` or ``TabularRegressor``.

    Attributes
    ----------
    schema_ : Schema
        What each column is.
    preprocessor_ : TabularPreprocessor
        How columns become numbers.
    model_ : TabM, EntityEmbeddingMLP or NetworkEnsemble
        The network, or those of all folds; with the weights of the best epoch.
    snapshots_ : list of dict of str to Tensor
        Weights at the end of every cycle, with ``snapshots=True``; predictions combine all of them,
        and neither the best epoch nor an average of the weights counts.
    history_ : History
        Losses and metrics of every epoch; ``history_.to_frame()`` is a DataFrame. Of several
        networks it is that of the first; ``histories_`` has them all, by name. Probabilities in
        them are those before a temperature.
    out_of_fold_predictions_ : ndarray of shape (rows, classes), (rows,) or (rows, targets)
        With folds only, and not saved: probabilities, or quantities, for every row that ``fit`` was
        given, by the network that did not learn from it; NaN for rows without a target. Rows that
        were pruned, or weigh nothing, have a prediction like all others.
    calibration_pairs_ : CalibrationPairs or None
        Predictions and truth of validation rows, for a regressor's ``predict_interval``.
    """

    # -- use ---------------------------------------------------------------------------------

    def predict(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        augmentation: Augmentation | None = None,
    ) -> NDArray[Any]:
        """Predict labels or quantities, in the units of the target.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.
        augmentation : Augmentation, optional
            Predict several noisy copies of every row and take their mean.

        Returns
        -------
        ndarray of shape (rows,), or (rows, targets) for several targets

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If a column is not there, or has another type than at the fit.
        """
        raw = self._augmented(X, augmentation)
        return self.target_.decode(raw)

    def embeddings(self, column: str) -> "pd.DataFrame":
        """Return the learned vectors of a categorical column's values.

        Parameters
        ----------
        column : str
            A categorical column, or a part of a date such as ``"Date_month"``.

        Returns
        -------
        DataFrame
            One row per category, the first two being ``"(missing)"`` and ``"(unseen)"``; one
            column per dimension.

        Raises
        ------
        ParameterError
            If this is no categorical column.
        """
        check_is_fitted(self, "card_")
        return network.embedding_vectors(self.model_.encoder, self.preprocessor_, column)

    def relearn_tables(self, sample: Sample) -> list[NDArray[np.float32]]:
        """Learn embeddings anew from rows alone, with the network's layers as they are.

        They begin with the initial weights of the fit, and take as many epochs as its best one did.
        The estimator is not changed.

        Parameters
        ----------
        sample : Sample
            What to learn from; rows without a target are left out, and so are those that ``prune``
            removes or that weigh nothing.

        Returns
        -------
        list of ndarray of float32, shape (cardinality, width)
            A table for each of ``preprocessor_.categorical_names_``, row = code.

        Raises
        ------
        ParameterError
            If the estimator has several networks, or phases of its own.
        """
        from tabtext.estimators.fold_tables import relearned_tables

        check_is_fitted(self, "card_")
        if isinstance(self.model_, NetworkEnsemble) or "phases" in (self.training or {}):
            raise ParameterError(
                "embeddings cannot be learned anew by an estimator with n_folds above 1, "
                "preset='best' or training={'phases': ...}; leave these out"
            )
        with warnings.catch_warnings():  # the fit has said that a rule removes many
            warnings.simplefilter("ignore", TabTextWarning)
            kept, _ = self._prune(drop_missing_targets(sample, "drop"))
        rows = self._encode(kept.rows_that_count())
        rows = replace(rows, weight=combined(rows.weight, self._row_weights(rows.codes)))
        epochs = (self.history_.best_epoch or 0) + 1
        recipe = (Phase(epochs=epochs, freeze_to=1),)
        return relearned_tables(
            self.model_,
            rows,
            target=self.target_,
            row_loss=self._row_loss(),
            options=self.training_options(len(rows), METRICS[self.target_.task], recipe),
            batch_size=self.rows_per_batch(len(rows)),
        )

    def _export(self, directory: Path) -> None:
        from tabtext.export.tabular import export_table_model

        export_table_model(
            directory,
            estimator=type(self).__name__,
            model=self.model_,
            snapshots=self.snapshots_,
            target=self.target_,
            preprocessor=self.preprocessor_,
        )

    def place_model(self) -> None:
        """Move the network to the device that the parameter ``device`` names."""
        self.model_.to(choose_device(self.device))

    def _augmented(self, data: Any, augmentation: Augmentation | None) -> Tensor:
        """Raw outputs, or their mean over noisy copies of every row."""
        if augmentation is None:
            return self._raw(data)
        check_is_fitted(self, "card_")
        with showing(self.verbose):
            copies = augmentation.copies_of(self._features(data), self.preprocessor_.is_number())
            return self.target_.combine([self._raw_of(copy) for copy in copies])

    def _raw_of(self, features: Encoded) -> Tensor:
        """Raw outputs for encoded rows: the network's, or the mean of its snapshots'."""
        inputs = network.input_tensors(features)
        if not self.snapshots_:
            return network.raw_outputs(self.model_, inputs)
        return self.target_.combine(
            [network.raw_outputs(self.model_, inputs, weights) for weights in self.snapshots_]
        )

    def _shuffled_names(self) -> list[str]:
        return list(self.preprocessor_.positions())

    def _shuffled(self, features: Encoded, name: str, order: NDArray[np.intp]) -> Encoded:
        from tabtext.estimators.importance import shuffle_table

        return shuffle_table(features, *self.preprocessor_.positions()[name], order)
