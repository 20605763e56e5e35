"""``TabularClassifier`` and ``TabularRegressor``: from a table to a model in one call."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabtext.estimators.augmentation import Augmentation
from tabtext.estimators.calibrated_tasks import CalibratedClassification, IntervalRegression
from tabtext.estimators.tabular_base import TabularEstimator
from tabtext.tabular.encoding import Encoded

__all__ = ["TabularClassifier", "TabularRegressor"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularRegressor(TabularEstimator, IntervalRegression[Encoded]):
    """Predict one or several quantities from a table.

    Parameters
    ----------
    **parameters
        Those of ``tasks.RegressionTask``, ``tabular_parameters.TabularParameters`` and
        ``training_parameters.TrainingParameters``, all in ``tabtext.estimators``.

    Examples
    --------
    >>> from tabtext.datasets import load_flights
    >>> flights = load_flights("test").dropna(subset="arr_delay")
    >>> model = TabularRegressor(epochs=2, verbose=0)
    >>> model = model.fit(flights[:4000], target="arr_delay")
    >>> model.predict(flights[4000:4003]).shape
    (3,)
    >>> sorted(model.evaluate(flights[4000:6000]))
    ['mae', 'r2', 'rmse']
    >>> model.predict_interval(flights[4000:4003], coverage=0.9).shape
    (3, 2)
    """


@dataclass(kw_only=True, eq=False, repr=False)
class TabularClassifier(TabularEstimator, CalibratedClassification[Encoded]):
    """Predict one of several classes, or several yes-or-no labels, from a table.

    Parameters
    ----------
    **parameters
        Those of ``calibrated_tasks.CalibratedClassification``, ``tasks.ClassificationTask``,
        ``tabular_parameters.TabularParameters`` and
        ``training_parameters.TrainingParameters``, all in ``tabtext.estimators``.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, for the
    temperature.

    Examples
    --------
    >>> from tabtext.datasets import load_flights
    >>> flights = load_flights("test").dropna(subset="arr_delay")
    >>> late = flights.pop("arr_delay") > 15
    >>> model = TabularClassifier(epochs=2, verbose=0).fit(flights[:4000], late[:4000])
    >>> model.predict_proba(flights[4000:4003]).shape
    (3, 2)
    >>> model.score(flights[4000:6000], late[4000:6000]) > 0.8
    True
    """

    def predict_proba(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        augmentation: Augmentation | None = None,
    ) -> NDArray[np.float64]:
        """Return probabilities.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.
        augmentation : Augmentation, optional
            Predict several noisy copies of every row and take their mean.

        Returns
        -------
        ndarray of shape (rows, classes)
            In the order of ``classes_``, summing to 1; with several labels of shape
            ``(rows, labels)``, each the probability that the label holds.
        """
        raw = self._augmented(X, augmentation)
        return self.target_.outputs(raw)
