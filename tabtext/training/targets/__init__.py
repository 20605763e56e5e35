"""Targets: from the user's columns to what a loss compares, and from raw outputs back.

A fitted target is frozen, knows its task, and goes to disk as JSON. In: a table of the target
columns alone. Out: arrays for the loss (``encode``) and for metrics (``truth``, ``outputs``), and
predictions in the user's units and labels (``decode``).
"""

from collections.abc import Mapping
from math import inf
from typing import Any

from tabtext.errors import ArtifactError
from tabtext.training.targets.classification import (
    ClassificationTarget,
    ClassWeight,
    MultilabelTarget,
)
from tabtext.training.targets.columns import rows_with_target
from tabtext.training.targets.regression import RegressionTarget, Transform

__all__ = [
    "ClassWeight",
    "ClassificationTarget",
    "MultilabelTarget",
    "RegressionTarget",
    "Target",
    "Transform",
    "rows_with_target",
    "target_from_dict",
]

Target = ClassificationTarget | MultilabelTarget | RegressionTarget


def target_from_dict(values: Mapping[str, Any]) -> Target:
    """Return the target that its ``to_dict`` described.

    Raises
    ------
    ArtifactError
        If the description is damaged.
    """
    given = dict(values)
    try:
        task = given.pop("task")
        if task in ("classification", "multilabel"):
            temperature = _temperature(given.get("temperature", 1.0))  # from before there was one
            if task == "classification":
                return ClassificationTarget(given["name"], tuple(given["classes"]), temperature)
            return MultilabelTarget(tuple(given["labels"]), temperature)
        lists = {key: tuple(given[key]) for key in ("columns", "center", "scale")}
        lists |= {key: tuple(given.get(key, ())) for key in ("lowest", "highest")}
        bounds = None if given["y_range"] is None else tuple(given["y_range"])
        return RegressionTarget(**{**given, **lists, "y_range": bounds})
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"the saved target is damaged: {error!r}") from error


def _temperature(saved: Any) -> float:
    if not isinstance(saved, int | float) or not 0 < saved < inf:
        raise ArtifactError(f"the saved target is damaged: its temperature is {saved!r}")
    return float(saved)
