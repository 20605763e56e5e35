"""Regression and classification that know from validation rows how far they can be trusted."""

from dataclasses import dataclass
from math import inf
from typing import Any, Generic, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import DataError
from tabtext.estimators.inputs import multiplied
from tabtext.estimators.parameter_checks import require_choice
from tabtext.estimators.samples import EncodedSample, Features
from tabtext.estimators.tasks import ClassificationTask, RegressionTask
from tabtext.training.conformal import CalibrationPairs, conformal_bounds, require_coverage
from tabtext.training.targets import RegressionTarget

__all__ = ["CalibratedClassification", "IntervalRegression"]


@dataclass(kw_only=True, eq=False, repr=False)
class IntervalRegression(RegressionTask[Features], Generic[Features]):
    """Quantities with intervals; see ``RegressionTask`` for the parameters.

    Attributes
    ----------
    calibration_pairs_ : CalibrationPairs or None
        Predictions and truth of validation rows, for ``predict_interval``.
    """

    def predict_interval(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        coverage: float = 0.9,
    ) -> NDArray[np.float64]:
        """Predict intervals that hold the true quantity for a share ``coverage`` of the rows.

        They are made of the errors on the validation rows, those of large predictions apart from
        those of small ones, and assume nothing about how errors are distributed; on the scale of
        ``target_transform``, so that after a logarithm they are wider above than below. They hold
        for new rows that come from where the validation rows came from, in the mean over rows with
        predictions of about the same size, not for each row or every column's value by itself. The
        validation rows also chose the best epoch, which makes their errors a little small.

        With ``loss="quantile"`` the interval holds the same share of the truth, and need not lie
        around the predicted quantile evenly, or at all. Bounds stay inside ``y_range``, but may
        leave the span that ``clip_predictions`` keeps predictions in.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.
        coverage : float
            Share of rows whose truth is to lie inside, between 0 and 1. What is left over lies
            half below and half above.

        Returns
        -------
        ndarray of float64, shape (rows, 2), or (rows, targets, 2) for several targets
            Lower and upper bounds in the units of the target, for each target by itself.

        Raises
        ------
        ParameterError
            If ``coverage`` is not between 0 and 1.
        DataError
            If the model was fitted without validation rows, or with too few for this coverage: 19
            for 0.9, 199 for 0.99.
        UnknownColumnError, ColumnTypeError
            If a column is not there, or has another type than at the fit.

        References
        ----------
        Lei et al., "Distribution-Free Predictive Inference for Regression", 2018; Boström and
        Johansson, "Mondrian Conformal Regressors", 2020.
        """
        raw = self._raw(X)  # first, because before the fit it says so
        return self._intervals_of(raw, coverage)

    def predict_table(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> pa.Table:
        """Return predictions as an Arrow table with the names of the targets.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.
        probabilities : bool
            Not for regressors.
        interval : float, optional
            Add ``<target>_lower`` and ``<target>_upper`` after each target: the intervals of
            ``predict_interval`` with this coverage.

        Raises
        ------
        ParameterError
            If probabilities are asked for, or ``interval`` is not between 0 and 1.
        DataError
            As ``predict_interval``.
        """
        if interval is None or probabilities:
            return super().predict_table(X, probabilities=probabilities)
        raw = self._raw(X)
        table, names = self._table_of(raw), self.target_names_
        bounds = self._intervals_of(raw, interval).reshape(len(raw), len(names), 2)
        for index, name in reversed(list(enumerate(names))):
            for place, side in ((1, "upper"), (0, "lower")):
                column = pa.array(bounds[:, index, place])
                table = table.add_column(index + 1, f"{name}_{side}", column)
        return table

    def _intervals_of(self, raw: Tensor, coverage: float) -> NDArray[np.float64]:
        """Intervals for raw outputs, in the units of the target."""
        target, pairs = self.target_, self.calibration_pairs_
        require_coverage(coverage)
        if pairs is None or not isinstance(target, RegressionTarget):
            raise DataError(
                "this model has no validation rows to take intervals from: it was fitted without "
                "any, or saved by an older version of tabtext. Fit it with validation rows, by "
                "validation=... or validation_fraction=0.1"
            )
        predicted = target.forward(target.outputs(raw))
        bounds = conformal_bounds(predicted, pairs.on_scale(target.forward), coverage)
        bounds = target.inverse(bounds)
        if target.y_range is not None:
            bounds = np.clip(bounds, *target.y_range)
        return bounds[:, 0] if len(target.columns) == 1 else bounds

    def _learn_from_validation(
        self,
        raw: Tensor,
        valid: EncodedSample[Features],
        *,
        train_codes: NDArray[Any],
        of_folds: bool,
    ) -> None:
        """Keep predictions and truth, for intervals.

        Errors of the networks of single folds are larger than those of all together, so that the
        intervals of an ensemble are rather too wide than too narrow.
        """
        del train_codes, of_folds
        pairs = CalibrationPairs.draw(
            self.target_.outputs(raw), valid.truth, valid.weight, seed=self.random_state
        )
        self.calibration_pairs_: CalibrationPairs | None = pairs
        self.card_["calibration"] = {"rows": len(pairs)}


@dataclass(kw_only=True, eq=False, repr=False)
class CalibratedClassification(ClassificationTask[Features], Generic[Features]):
    """Classes or labels with a temperature; see ``ClassificationTask`` for further parameters.

    Parameters
    ----------
    calibration : "temperature" or None
        Divide raw outputs by a temperature, learned after training from the validation rows, so
        that probabilities are neither too bold nor too timid there. It changes no prediction, and
        no order of rows by the probability of one of two classes. With fewer than 50 validation
        rows it stays 1, with folds it is 1 at most; the card says what it brought to the rows that
        it was learned from. Metrics of the history are those before it.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, for the
    temperature.
    """

    calibration: Literal["temperature"] | None = "temperature"

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        if self.calibration is not None:
            require_choice("calibration", self.calibration, ("temperature",))

    def _learn_from_validation(
        self,
        raw: Tensor,
        valid: EncodedSample[Features],
        *,
        train_codes: NDArray[Any],
        of_folds: bool,
    ) -> None:
        """Learn the temperature, from rows that weigh what they would weigh in training.

        Weights of classes are meant to move probabilities, and a temperature that did not know them
        would take that for a fault.
        """
        from tabtext.estimators.uncertainty import calibrated

        if isinstance(self.target_, RegressionTarget):  # not reachable: classifiers have none
            return
        left_out = "" if self.calibration == "temperature" else "calibration=None"
        weight = multiplied(valid.weight, self._row_weights(valid.codes, counted=train_codes))
        self.target_, self.card_["calibration"] = calibrated(
            self.target_,
            raw,
            valid.truth,
            weight,
            # The mean of several networks is softer than each. What is too timid of one is more so
            # of all; what is too bold of one need not be of all.
            at_most=1.0 if of_folds else inf,
            left_out=left_out,
        )

    def _metrics_of(
        self, truth: NDArray[Any], outputs: NDArray[Any], weight: NDArray[np.float32] | None
    ) -> dict[str, float]:
        from tabtext.training.calibration import expected_calibration_error

        error = expected_calibration_error(truth, outputs, weight)
        return {**super()._metrics_of(truth, outputs, weight), "calibration_error": error}
