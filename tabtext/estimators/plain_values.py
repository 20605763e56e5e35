"""Parameters as values that JSON can hold, and back."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from tabtext.text.rules import TextRules
from tabtext.training.options import Phase
from tabtext.training.schedules import LostSchedule

__all__ = ["given_parameters", "plain"]

_OWN_SCHEDULE = "own_schedule"


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are no number become null, rules their form.

    Examples
    --------
    >>> plain({"widths": (np.int64(2), 3), "loss": float("nan")})
    {'widths': [2, 3], 'loss': None}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry) for entry in value]
    if hasattr(value, "to_dict"):  # a pruning rule
        return plain(value.to_dict())
    if isinstance(value, Phase):
        return plain(asdict(value))
    if callable(value):  # a schedule of the user's own; its code is not saved
        return {_OWN_SCHEDULE: getattr(value, "__name__", type(value).__name__)}
    return value


def given_parameters(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's parameters from what ``plain`` made of them.

    Examples
    --------
    >>> given_parameters({"hidden": [64, 32], "training": {"betas": [0.8, 0.99]}})
    {'hidden': (64, 32), 'training': {'betas': (0.8, 0.99)}}
    """
    given = _with_tuples(saved)
    training = given.get("training")
    if training and "phases" in training:
        training["phases"] = tuple(Phase(**phase) for phase in training["phases"])
    if isinstance(given.get("rules"), Mapping):
        given["rules"] = TextRules.from_dict(given["rules"])
    return given


def _with_tuples(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples, and what was a sequence is one again."""
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        if isinstance(value, list):
            entries = (_with_tuples(e) if isinstance(e, Mapping) else e for e in value)
            found[key] = tuple(entries)
        elif isinstance(value, Mapping) and _OWN_SCHEDULE in value:
            found[key] = LostSchedule(value[_OWN_SCHEDULE])
        else:
            found[key] = _with_tuples(value) if isinstance(value, Mapping) else value
    return found
