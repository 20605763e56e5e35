"""What the tabular estimators share beyond the common road: columns, pruning, embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import DataError, ParameterError
from tabtext.estimators import network
from tabtext.estimators.augmentation import Augmentation
from tabtext.estimators.importance import permutation_importance
from tabtext.estimators.inputs import Sample
from tabtext.estimators.tabular_training import TabularTraining
from tabtext.progress import showing
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.outliers import PruningReport, prune
from tabtext.training.devices import choose_device
from tabtext.training.losses import weighted_mean
from tabtext.training.lr_finder import LearningRateCurve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabularEstimator"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularEstimator(TabularTraining):
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
        given, by the network that did not learn from it; NaN for rows that none learned from
        (without a target, or pruned).
    calibration_pairs_ : CalibrationPairs or None
        Predictions and truth of validation rows, for a regressor's ``predict_interval``.
    """

    def find_learning_rate(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
    ) -> LearningRateCurve:
        """Try rising learning rates on the network that ``fit`` would train.

        The estimator is not changed; a ``fit`` that follows is the same as without.

        Parameters
        ----------
        X, y, target, sample_weight
            As for ``fit``.

        Returns
        -------
        LearningRateCurve
            ``curve.steep`` is the rate to start with; ``tabtext.plots.plot_learning_rate_curve``
            draws ``curve.rates``, ``curve.losses`` and ``curve.suggestions``.
        """
        self.check_parameters()
        other: Self = clone(self)
        with showing(self.verbose):
            rows = other._prepare(X, y, target=target, sample_weight=sample_weight, validation=None)
            return other._sweep(rows)

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

    def feature_importance(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        n_repeats: int = 3,
        max_rows: int = 20_000,
        random_state: int = 0,
    ) -> "pd.DataFrame":
        """Measure how much the loss rises when one column is shuffled.

        Parameters
        ----------
        X : table of any kind, or path
            Rows that the model was not trained on; with the target columns when ``y`` is None.
        y : array, Series or DataFrame, optional
            Targets.
        n_repeats : int
            Shuffles per column.
        max_rows : int
            At most so many rows are used, drawn at random.
        random_state : int
            Seed of the draw and the shuffles.

        Returns
        -------
        DataFrame
            Indexed by ``feature``, most important first: ``importance`` (mean rise of the loss)
            and ``standard_deviation`` over the repeats.
        """
        if n_repeats < 1 or max_rows < 1:
            raise ParameterError(f"n_repeats={n_repeats}, max_rows={max_rows}: both at least 1")
        sample = self._encode(self._labelled(X, y, None).draw(max_rows, seed=random_state))
        codes = torch.from_numpy(sample.codes)
        row_loss = self._row_loss()

        def loss(encoded: Encoded) -> float:
            raw = self.target_.activate(self._raw_of(encoded))
            return float(weighted_mean(row_loss(raw, codes), None))

        with showing(self.verbose):
            return permutation_importance(
                loss,
                sample.encoded,
                self.preprocessor_.positions(),
                n_repeats=n_repeats,
                random_state=random_state,
            )

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
        return network.embedding_vectors(self.model_, self.preprocessor_, column)

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
        if not self.snapshots_:
            return network.raw_outputs(self.model_, features)
        return self.target_.combine(
            [network.raw_outputs(self.model_, features, weights) for weights in self.snapshots_]
        )

    # -- rows --------------------------------------------------------------------------------

    def _prune(self, sample: Sample) -> tuple[Sample, PruningReport | None]:
        """Remove outliers from the training rows by the rules that were given."""
        rules = [self.prune] if isinstance(self.prune, str) else list(self.prune)
        if not rules:
            return sample, None
        kept, report = prune(sample.table, rules)
        if report.kept < 2:
            raise DataError(f"pruning leaves {report.kept} training row, too few:\n{report}")
        return sample.filter(kept), report
