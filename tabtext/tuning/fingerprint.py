"""What a study was made with, so that it is not continued with anything else."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from tabtext.errors import ParameterError
from tabtext.estimators.inputs import Sample
from tabtext.estimators.plain_values import plain
from tabtext.estimators.training_parameters import TrainingParameters

__all__ = ["fingerprint", "require_same"]

_ROWS = 1000
_NO_MATTER = ("verbose", "device")  # they change no score

_NAMES = {
    "estimator": "estimator",
    "targets": "target",
    "columns": "columns",
    "rows": "number of rows",
    "values": "values of the table",
    "weights": "sample weights",
    "validation": "validation rows",
}


def fingerprint(
    estimator: TrainingParameters, sample: Sample, valid: Sample | None
) -> dict[str, Any]:
    """Return what decides the scores of a search, as values that JSON can hold.

    Parameters
    ----------
    estimator : TrainingParameters
        Whose class and parameters count.
    sample : Sample
        All rows that the search was given.
    valid : Sample or None
        The validation rows, where they were given.
    """
    parameters = plain(estimator.get_params(deep=False))
    found = {
        "estimator": type(estimator).__name__,
        "targets": list(sample.targets),
        "columns": {field.name: str(field.type) for field in sample.table.schema},
        "rows": len(sample),
        "values": _digest(sample.table),
        "weights": None if sample.weight is None else sha256(sample.weight.tobytes()).hexdigest(),
        "validation": None if valid is None else [len(valid), _digest(valid.table)],
        "parameters": {name: v for name, v in parameters.items() if name not in _NO_MATTER},
    }
    # As it comes back from the study.
    plain_values: dict[str, Any] = json.loads(json.dumps(found))
    return plain_values


def require_same(earlier: Mapping[str, Any], now: Mapping[str, Any], study: str) -> None:
    """Raise ``ParameterError`` unless a study was made with the same data and estimator.

    Parameters
    ----------
    earlier, now : mapping
        What ``fingerprint`` returned.
    study : str
        The file, for the message.
    """
    remedy = "take another file for this search, or give what the study was made with"
    for key, name in _NAMES.items():
        if earlier[key] != now[key]:
            raise ParameterError(
                f"the study {study} was made with another {name}{_difference(earlier, now, key)}; "
                f"{remedy}"
            )
    # A parameter that a later version added is none that the study could have had.
    for name, value in earlier["parameters"].items():
        if name in now["parameters"] and now["parameters"][name] != value:
            raise ParameterError(
                f"the study {study} was made with {name}={value!r}, and the estimator has "
                f"{name}={now['parameters'][name]!r} now; {remedy}"
            )


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any], key: str) -> str:
    """The two values where they can be read, and the first column that differs."""
    if key == "columns":
        names = [*earlier[key], *(name for name in now[key] if name not in earlier[key])]
        name = next((n for n in names if earlier[key].get(n) != now[key].get(n)), None)
        if name is None:
            return " (the same ones in another order)"
        was, is_now = (of[key].get(name, "not there") for of in (earlier, now))
        return f" ({name!r} was {was}, and is {is_now})"
    if key in ("values", "weights", "validation"):
        return ""
    was, is_now = (_words(of[key]) for of in (earlier, now))
    return f" ({was}, now {is_now})"


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _digest(table: pa.Table) -> str:
    """A checksum of rows all over the table, as values and not as Arrow happens to hold them."""
    chosen = np.unique(np.linspace(0, table.num_rows - 1, _ROWS).astype(np.int64))
    rows = table.take(pa.array(chosen)).to_pylist()
    return sha256(json.dumps(rows, default=str).encode()).hexdigest()
