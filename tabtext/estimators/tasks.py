"""Classification and regression: what depends on the target alone, not on what the rows are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Generic, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from tabtext.errors import DataError, ParameterError
from tabtext.estimators.inputs import Sample
from tabtext.estimators.parameter_checks import require_bool, require_choice, require_share
from tabtext.estimators.samples import Features
from tabtext.estimators.supervised import SupervisedEstimator
from tabtext.training.targets import (
    ClassificationTarget,
    ClassWeight,
    MultilabelTarget,
    RegressionTarget,
    Target,
    Transform,
)

__all__ = ["ClassificationTask", "RegressionTask"]

_REGRESSION_LOSSES = {
    "mse": "squared_error",
    "mae": "absolute_error",
    "huber": "huber",
    "quantile": "pinball",
}


@dataclass(kw_only=True, eq=False, repr=False)
class RegressionTask(RegressorMixin, SupervisedEstimator[Features], Generic[Features]):
    """Predict one or several quantities.

    Parameters
    ----------
    target_transform : {"none", "standard", "log", "log1p"}
        What the network predicts: the quantity, scaled; or its logarithm, scaled, for errors that
        should count relative to the value. Predictions are transformed back.
    y_range : pair of float, optional
        Bounds that predictions stay inside of, by a scaled sigmoid.
    clip_predictions : bool
        Cut predictions to the span of the targets that ``fit`` was given (pruned ones too), as
        boosted trees do by their nature: a row unlike all others then gets no prediction beyond
        all others. Set it to False where the target is known to leave that span.
    loss : {"mse", "mae", "huber", "quantile"}
        Squared, absolute, squared near zero and absolute beyond, or the pinball loss, with which
        predictions are the conditional ``quantile`` of the target.
    quantile : float
        For ``loss="quantile"``.
    """

    target_transform: Transform = "standard"
    y_range: tuple[float, float] | None = None
    clip_predictions: bool = True
    loss: Literal["mse", "mae", "huber", "quantile"] = "mse"
    quantile: float = 0.5

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict_table(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        probabilities: bool = False,
    ) -> pa.Table:
        """Return predictions as an Arrow table with the names of the targets.

        Raises
        ------
        ParameterError
            If probabilities are asked for.
        """
        if probabilities:
            raise ParameterError("a regressor predicts quantities and has no probabilities")
        return self._table_of(self._raw(X))

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        require_choice("loss", self.loss, tuple(_REGRESSION_LOSSES))
        require_choice("target_transform", self.target_transform, get_args(Transform))
        require_bool("clip_predictions", self.clip_predictions)
        if not (isinstance(self.quantile, Real) and 0 < self.quantile < 1):
            raise ParameterError(f"quantile={self.quantile!r} must be a number in (0, 1)")
        if self.y_range is not None and not _are_numbers(self.y_range, 2):
            raise ParameterError(
                f"y_range={self.y_range!r} must be a pair of numbers, the lower first, or None"
            )

    def _fit_target(self, sample: Sample, train_sample: Sample) -> Target:
        targets = replace(sample, table=sample.target_table)  # no other column has to be filtered
        return RegressionTarget.fit(
            train_sample.target_table,
            transform=self.target_transform,
            y_range=self.y_range,
            # Of all rows that count: pruned outliers taught nothing, but such values occur.
            span=targets.rows_that_count().table if self.clip_predictions else None,
        )

    def _loss_name(self) -> str:
        return _REGRESSION_LOSSES[self.loss]

    def _loss_settings(self) -> dict[str, float]:
        return {"quantile": self.quantile}


@dataclass(kw_only=True, eq=False, repr=False)
class ClassificationTask(ClassifierMixin, SupervisedEstimator[Features], Generic[Features]):
    """Predict one of several classes, or several yes-or-no labels.

    With one target column, its distinct values are the classes. With several, each is a label that
    may hold or not, and must be boolean or 0/1.

    Parameters
    ----------
    label_smoothing : float
        Share of every target that is spread over all classes, so that no logit has to grow without
        bound; for a single target column.
    class_weight : "balanced", mapping of class to weight, or None
        How much rows of each class count in training, times their sample weight. ``"balanced"``
        gives rare classes the same total weight as frequent ones. Metrics of validation rows are
        those of the sample weights alone.

    Attributes
    ----------
    classes_ : ndarray, or list of ndarray for several labels
        The classes, in the order of the columns of ``predict_proba``.
    """

    label_smoothing: float = 0.0
    class_weight: ClassWeight = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def classes_(self) -> Any:
        """The classes, in the order of the columns of ``predict_proba``."""
        # An AttributeError before the fit, as scikit-learn expects of learned attributes.
        target = self.target_
        if isinstance(target, ClassificationTarget):
            return np.asarray(target.classes)
        return [np.array([0, 1]) for _ in self.target_names_]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803 - scikit-learn's name
        """Return probabilities.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.

        Returns
        -------
        ndarray of shape (rows, classes)
            In the order of ``classes_``, summing to 1; with several labels of shape
            ``(rows, labels)``, each the probability that the label holds.
        """
        raw = self._raw(X)
        return self.target_.outputs(raw)

    def predict_table(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        probabilities: bool = False,
    ) -> pa.Table:
        """Return predictions as an Arrow table.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.
        probabilities : bool
            Add a column ``probability_<class>`` for every class or label.
        """
        raw = self._raw(X)
        table = self._table_of(raw)
        if probabilities:
            outputs = self.target_.outputs(raw)
            several = isinstance(self.target_, MultilabelTarget)
            labels = self.target_names_ if several else self.classes_.tolist()
            for index, label in enumerate(labels):
                table = table.append_column(f"probability_{label}", pa.array(outputs[:, index]))
        return table

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        require_share("label_smoothing", self.label_smoothing, remedy="; 0.1 is usual, 0 is none")
        weights = self.class_weight
        if isinstance(weights, Mapping):
            if not _are_numbers(tuple(weights.values()), len(weights)):
                raise ParameterError(f"class_weight={weights!r}: weights must be numbers")
        elif weights is not None and not isinstance(weights, str):
            raise ParameterError(
                f"class_weight={weights!r}; use 'balanced', a mapping of class to weight, or None"
            )

    def _fit_target(self, sample: Sample, train_sample: Sample) -> Target:
        del train_sample
        if len(sample.targets) > 1:
            return MultilabelTarget.fit(sample.target_table)
        return ClassificationTarget.fit(sample.target_table)

    def _loss_name(self) -> str:
        return self.target_.loss

    def _loss_settings(self) -> dict[str, float]:
        return {"label_smoothing": self.label_smoothing}

    def _classes_of(self, sample: Sample) -> NDArray[np.int64] | None:
        if len(sample.targets) > 1:
            return None
        target = ClassificationTarget.fit(sample.target_table)
        codes = target.encode(sample.target_table)
        _require_weighty_classes(target, codes, sample)
        return codes

    def _row_weights(
        self, codes: NDArray[Any], *, counted: NDArray[Any] | None = None
    ) -> NDArray[np.float32] | None:
        if isinstance(self.target_, ClassificationTarget):
            return self.target_.row_weights(codes, self.class_weight, counted=counted)
        if self.class_weight is not None:
            raise ParameterError("class_weight needs a single target column, not several labels")
        return None


def _are_numbers(values: Any, count: int) -> bool:
    """Whether this is a sequence of so many numbers."""
    is_sequence = isinstance(values, Sequence | np.ndarray) and len(values) == count
    return is_sequence and all(isinstance(value, Real) for value in values)


def _require_weighty_classes(
    target: ClassificationTarget, codes: NDArray[np.int64], sample: Sample
) -> None:
    """Raise ``DataError`` if all rows but those of one class weigh nothing."""
    if sample.weight is None:
        return
    counting = np.unique(codes[sample.weight > 0])
    if len(counting) == 1:
        raise DataError(
            f"target {target.name!r} is {target.classes[counting[0]]!r} in every row that weighs "
            "more than 0, one class; two classes are needed"
        )
