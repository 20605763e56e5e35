"""How far stated probabilities are from what comes true, and what to multiply logits by.

Raw outputs and true classes of rows that a network has not learned from flow in; one temperature,
or one error, flows out.
"""

from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, logsumexp

from tabtext.errors import DataError

__all__ = [
    "LARGEST_TEMPERATURE",
    "SMALLEST_TEMPERATURE",
    "expected_calibration_error",
    "fit_temperature",
    "with_temperature",
]

SMALLEST_TEMPERATURE, LARGEST_TEMPERATURE = 0.05, 20.0
"""What lies beyond tells of raw outputs without any meaning, not of their scale."""


def expected_calibration_error(
    truth: NDArray[Any],
    probabilities: NDArray[Any],
    weight: NDArray[Any] | None = None,
    n_bins: int = 15,
) -> float:
    """Return how far probabilities are, in the mean, from the shares that come true.

    Rows are put into bins of equal weight by their probability; of each bin counts the distance
    between its mean probability and the share that came true. Rows of equal probability share a
    bin, so the order of the rows does not matter.

    It is no metric to choose a model by, and so not among ``METRICS``: who predicts the share of
    each class for every row has an error of 0, and log loss already punishes what it measures.

    Parameters
    ----------
    truth : ndarray of int or bool
        Class numbers ``(rows,)``; or what came true, in the shape of ``probabilities``.
    probabilities : ndarray of float
        Probabilities of classes ``(rows, classes)``: of two classes the second one's count, as in
        calibration plots, and of more the most probable one's. Or probabilities of yes ``(rows,)``,
        or of labels ``(rows, labels)``, all of which count alike.
    weight : ndarray of float, shape (rows,), optional
        How much each row counts.
    n_bins : int
        The largest number of bins. 15 is Guo et al.'s.

    Returns
    -------
    float
        In [0, 1]; NaN where no row weighs anything. Chance alone makes it larger than 0, the more
        so the fewer rows there are in a bin.

    Raises
    ------
    DataError
        If the shapes do not fit each other.

    References
    ----------
    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
    2015; Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, for the
    most probable class; Nguyen and O'Connor, "Posterior Calibration and Exploratory Analysis for
    Natural Language Processing Models", 2015, for bins of equal size.

    Examples
    --------
    >>> truth = np.array([0, 0, 1, 1])
    >>> probability = np.array([0.1, 0.1, 0.7, 0.7])
    >>> round(expected_calibration_error(truth, probability), 3)
    0.2
    >>> both = np.stack([1 - probability, probability], axis=1)
    >>> round(expected_calibration_error(truth, both), 3)
    0.2
    """
    stated, came_true = _claims(truth, probabilities)
    counts = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    counts = np.repeat(counts, stated.size // max(len(truth), 1))
    if not counts.sum() > 0:
        return float("nan")
    levels, level = np.unique(stated, return_inverse=True)
    mass = np.bincount(level, counts)
    surplus = np.bincount(level, counts * came_true) - levels * mass
    total = mass.sum()
    middles = np.cumsum(mass) - mass / 2
    bins = np.minimum((middles / total * n_bins).astype(np.int64), n_bins - 1)
    return float(np.abs(np.bincount(bins, surplus)).sum() / total)


def fit_temperature(
    raw: NDArray[np.float64], truth: NDArray[Any], weight: NDArray[Any] | None = None
) -> float:
    """Return the temperature by which to divide raw outputs, so that their log loss is lowest.

    The loss is convex in one over the temperature. Where the rows happen to be predicted without an
    error it would fall for ever; so one more row counts, of which every class is equally true: who
    saw n rows without an error does not promise less than about one in n.

    Parameters
    ----------
    raw : ndarray of float, shape (rows, classes) or (rows, labels)
        Raw outputs for rows that the network has not learned from.
    truth : ndarray
        Class numbers ``(rows,)``, or 0 and 1 for every label ``(rows, labels)``.
    weight : ndarray of float, shape (rows,), optional
        How much each row counts.

    Returns
    -------
    float
        In [0.05, 20]; above 1 for a network that promises too much.

    Raises
    ------
    DataError
        If no row weighs anything, or an output is not finite.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, for the
    temperature; Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to
    Regularized Likelihood Methods", 1999, for targets that are never quite 0 or 1.

    Examples
    --------
    Who says 98 % and is right in 3 of 4 cases has logits of nearly four times the size:

    >>> raw = np.array([[0.0, 4.0]] * 400)
    >>> round(fit_temperature(raw, np.array([1, 1, 1, 0] * 100)), 1)
    3.7
    """
    raw = np.asarray(raw, np.float64)
    counts = np.ones(len(raw)) if weight is None else np.asarray(weight, np.float64)
    if not np.isfinite(raw).all() or not counts.sum() > 0:
        raise DataError("a temperature needs finite raw outputs, and rows that weigh something")
    logits, targets = _as_classes(raw, truth)
    counts = np.repeat(counts, len(logits) // len(counts))
    n_effective = counts.sum() ** 2 / np.square(counts).sum()  # Kish's, 1965
    counts = counts / counts.sum()
    targets = (n_effective * targets + 1 / logits.shape[1]) / (n_effective + 1)
    # The part of the loss that is linear in one over the temperature; what is left is a logsumexp.
    agreement = float(counts @ (targets * logits).sum(axis=1))

    def loss(log_temperature: float) -> float:
        sharpness = exp(-log_temperature)
        return float(counts @ logsumexp(sharpness * logits, axis=1) - sharpness * agreement)

    bounds = (log(SMALLEST_TEMPERATURE), log(LARGEST_TEMPERATURE))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.clip(exp(best.x), SMALLEST_TEMPERATURE, LARGEST_TEMPERATURE))


def with_temperature(probability: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Return probabilities of yes with their logits divided by a temperature.

    One over the temperature of a model takes it back.

    Examples
    --------
    >>> with_temperature(np.array([0.5, 0.9, 1.0]), 2.0).round(3).tolist()
    [0.5, 0.75, 1.0]
    """
    return np.asarray(expit(logit(np.asarray(probability, np.float64)) / temperature))


def _claims(
    truth: NDArray[Any], probabilities: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every probability that counts, and whether it came true, both ``(claims,)``."""
    stated, came_true = np.asarray(probabilities, np.float64), np.asarray(truth)
    if stated.shape == came_true.shape:
        return stated.ravel(), came_true.astype(np.float64).ravel()
    if stated.ndim != 2 or came_true.shape != stated.shape[:1]:
        raise DataError(
            f"probabilities of shape {stated.shape} and truth of shape {came_true.shape}; give "
            "class numbers (rows,) for (rows, classes), or both in the same shape"
        )
    if stated.shape[1] == 2:
        return stated[:, 1], came_true.astype(np.float64)
    return stated.max(axis=1), (stated.argmax(axis=1) == came_true).astype(np.float64)


def _as_classes(
    raw: NDArray[np.float64], truth: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits ``(rows, classes)`` and shares of every class; a label is a row of two classes."""
    if truth.ndim == 1:
        return raw, np.eye(raw.shape[1])[truth.astype(np.int64)]
    yes = truth.astype(np.float64).ravel()
    logits = np.stack([np.zeros(raw.size), raw.ravel()], axis=1)
    return logits, np.stack([1 - yes, yes], axis=1)
