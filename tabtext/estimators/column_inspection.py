"""What can be asked of estimators with columns, with or without texts among them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from tabtext.errors import DataError
from tabtext.estimators.folded_training import FoldedTraining
from tabtext.estimators.inputs import Sample
from tabtext.estimators.parameter_checks import require_whole
from tabtext.estimators.samples import Features
from tabtext.progress import showing
from tabtext.training.losses import weighted_mean

if TYPE_CHECKING:
    import pandas as pd

    from tabtext.tabular.outliers import PruningReport
    from tabtext.training.lr_finder import LearningRateCurve

__all__ = ["ColumnInspection"]


@dataclass(kw_only=True, eq=False, repr=False)
class ColumnInspection(FoldedTraining[Features], Generic[Features]):
    """Pruning, the search for a learning rate, and the importance of columns."""

    def find_learning_rate(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
    ) -> "LearningRateCurve":
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
        other: Self = clone(self)
        with other._while_fitting():
            other.check_parameters()
            with showing(self.verbose):
                rows = other._prepare(
                    X, y, target=target, sample_weight=sample_weight, validation=None
                )
                return other._sweep(rows)

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
        from tabtext.estimators.importance import permutation_importance

        require_whole("n_repeats", n_repeats, smallest=1)
        require_whole("max_rows", max_rows, smallest=1)
        require_whole("random_state", random_state, smallest=0)
        sample = self._encode(self._labelled(X, y, None).draw(max_rows, seed=random_state))
        codes = torch.from_numpy(sample.codes)
        row_loss = self._row_loss()

        def loss(features: Features) -> float:
            raw = self.target_.activate(self._raw_of(features))
            return float(weighted_mean(row_loss(raw, codes), None))

        with showing(self.verbose):
            return permutation_importance(
                loss,
                self._for_shuffling(sample.encoded),
                self._shuffled_names(),
                self._shuffled,
                n_repeats=n_repeats,
                random_state=random_state,
            )

    # -- in what tables with and without texts differ ----------------------------------------

    @abstractmethod
    def _shuffled_names(self) -> list[str]:
        """The input columns that can be shuffled."""

    @abstractmethod
    def _shuffled(self, features: Features, name: str, order: NDArray[np.intp]) -> Features:
        """The rows with all that stems from one column in another order."""

    def _for_shuffling(self, features: Features) -> Features:
        """The rows with what need not be computed anew for every shuffle."""
        return features

    # -- rows --------------------------------------------------------------------------------

    def _prune(self, sample: Sample) -> "tuple[Sample, PruningReport | None]":
        """Remove outliers from the training rows by the rules that were given."""
        from tabtext.tabular.outliers import prune

        rules = [self.prune] if isinstance(self.prune, str | Mapping) else list(self.prune)
        if not rules:
            return sample, None
        kept, report = prune(sample.table, rules)
        if report.kept < 2:
            raise DataError(f"pruning leaves {report.kept} training row, too few:\n{report}")
        return sample.filter(kept), report
