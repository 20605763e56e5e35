"""What validation rows say about a fitted model's probabilities, as its card tells it.

Raw outputs for rows that the network has not learned from, and what was true of them, flow in; a
target with a temperature, and an entry for the card, flow out.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tabtext.training.calibration import expected_calibration_error, fit_temperature
from tabtext.training.metrics import METRICS
from tabtext.training.targets import ClassificationTarget, MultilabelTarget

__all__ = ["FEWEST_ROWS", "NO_ROWS", "calibrated"]

FEWEST_ROWS = 50
"""Of fewer validation rows a temperature says more about their luck than about the network."""

NO_ROWS: dict[str, Any] = {"rows": 0, "left_out": "no validation rows"}
"""The card's entry of a fit without validation rows."""


def calibrated(
    target: ClassificationTarget | MultilabelTarget,
    raw: Tensor,
    truth: NDArray[Any],
    weight: NDArray[Any] | None,
    *,
    at_most: float = inf,
    left_out: str = "",
) -> tuple[ClassificationTarget | MultilabelTarget, dict[str, Any]]:
    """Return the target with the temperature that suits held-out rows, and what it brought.

    Parameters
    ----------
    target : ClassificationTarget or MultilabelTarget
        Of the fit.
    raw : Tensor, shape (rows, outputs)
        Raw outputs for rows that the network has not learned from.
    truth : ndarray
        ``target.truth`` of the rows.
    weight : ndarray of float, shape (rows,), or None
        How much each row counts.
    at_most : float
        Largest temperature to divide by.
    left_out : str
        Why no temperature is to be learned, but only measured, if that is so.

    Returns
    -------
    target : ClassificationTarget or MultilabelTarget
        With a temperature of 1 where none could be learned.
    entry : dict
        ``rows`` that weigh something, ``temperature``, ``log_loss`` and ``calibration_error``, and
        why a temperature was ``left_out``. Both measures are mappings of ``before`` and ``after``
        where there is a temperature.
    """
    counts = np.ones(len(truth), bool) if weight is None else weight > 0
    raw, truth = raw[counts].double(), truth[counts]
    weight = None if weight is None else weight[counts]
    n_rows = len(truth)
    if not left_out and n_rows < FEWEST_ROWS:
        left_out = f"fewer than {FEWEST_ROWS} validation rows that count"
    plain = replace(target, temperature=1.0)
    if left_out:
        return plain, {
            "rows": n_rows,
            "temperature": 1.0,
            **({} if not n_rows else _measures(plain.outputs(raw), truth, weight, plain.task)),
            "left_out": left_out,
        }
    temperature = min(fit_temperature(raw.numpy(), truth, weight), at_most)
    scaled = replace(target, temperature=temperature)
    before = _measures(plain.outputs(raw), truth, weight, target.task)
    after = _measures(scaled.outputs(raw), truth, weight, target.task)
    both = {name: {"before": before[name], "after": after[name]} for name in before}
    return scaled, {"rows": n_rows, "temperature": scaled.temperature, **both}


def _measures(
    outputs: NDArray[Any], truth: NDArray[Any], weight: NDArray[Any] | None, task: str
) -> dict[str, float]:
    log_loss: Callable[..., float] = next(m for m in METRICS[task] if m.name == "log_loss").function
    return {
        "log_loss": log_loss(truth, outputs, weight),
        "calibration_error": expected_calibration_error(truth, outputs, weight),
    }
