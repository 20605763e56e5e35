"""Logistic regressions of several outputs, for the linear models of texts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

__all__ = ["fit_logistic", "fit_outputs"]

Floats = npt.NDArray[np.float32]

_MOST_ITERATIONS = 300


def fit_outputs(
    targets: npt.NDArray[np.floating[Any]],
    exclusive: bool,
    fit_one: Callable[[npt.NDArray[np.bool_]], tuple[Floats, float]],
) -> tuple[Floats, Floats]:
    """Coefficients ``(features, n_outputs)`` and intercepts of every output.

    Of two that exclude each other only the second is fitted: half of what was found speaks for it,
    half against the first.
    """
    holds = targets > 0.5
    if exclusive and holds.shape[1] == 2:
        found, intercept = fit_one(holds[:, 1])
        sides = np.array([-0.5, 0.5], np.float32)
        return found[:, None] * sides, intercept * sides
    fits = [fit_one(column) for column in holds.T]
    return np.stack([f[0] for f in fits], axis=1), np.array([f[1] for f in fits], np.float32)


def fit_logistic(
    features: Any,
    holds: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.floating[Any]] | None,
    inverse_penalty: float,
) -> tuple[Floats, float]:
    """Coefficients and intercept; where all or none hold, the intercept alone tells that."""
    if weight is not None and not weight.any():
        return np.zeros(features.shape[1], np.float32), 0.0
    share = float(np.average(holds, weights=weight))
    if not features.shape[1] or not 0 < share < 1:
        bounded = min(max(share, 1 / (len(holds) + 2)), 1 - 1 / (len(holds) + 2))
        return np.zeros(features.shape[1], np.float32), float(np.log(bounded / (1 - bounded)))
    model = LogisticRegression(C=inverse_penalty, max_iter=_MOST_ITERATIONS)
    model.fit(features, holds, sample_weight=weight)
    return np.asarray(model.coef_[0], np.float32), float(model.intercept_[0])
