"""Fitted estimators to artifact directories, and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from tabtext.artifacts import (
    read_config,
    read_tensors,
    read_weights,
    write_artifact,
    write_tensors,
)
from tabtext.errors import ArtifactError, TabTextError
from tabtext.tabular.models import EntityEmbeddingMLP
from tabtext.tabular.outliers import PruningReport
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.training.history import History
from tabtext.training.options import Phase
from tabtext.training.schedules import LostSchedule
from tabtext.training.targets import target_from_dict

if TYPE_CHECKING:
    from tabtext.estimators.base import TabularEstimator

__all__ = ["load", "save"]

_PREPROCESSOR = "preprocessor"
_SNAPSHOTS = "snapshots.safetensors"
_OWN_SCHEDULE = "own_schedule"


def save(estimator: "TabularEstimator", directory: Path) -> None:
    """Write a fitted estimator; see ``TabularEstimator.save``."""
    config = {
        "estimator": type(estimator).__name__,
        "parameters": estimator.get_params(deep=False),
        "target_names": estimator.target_names_,
        "target": estimator.target_.to_dict(),
        "feature_names": estimator.feature_names_in_.tolist(),
        "schema": estimator.schema_.to_dict(),
        "model": estimator.model_.config(),
        "history": estimator.history_.to_dict(),
        "card": estimator.card_,
    }
    weights = estimator.model_.state_dict()
    with write_artifact(directory, _plain(config), weights) as temporary:
        estimator.preprocessor_.save(temporary / _PREPROCESSOR)
        if estimator.snapshots_:
            write_tensors(temporary / _SNAPSHOTS, _numbered(estimator.snapshots_))


def load(directory: str | Path) -> "TabularEstimator":
    """Read a model that any estimator of tabtext saved. No code from the directory is run.

    Parameters
    ----------
    directory : str or Path
        What ``save`` wrote.

    Returns
    -------
    TabularClassifier or TabularRegressor
        The fitted estimator, on the CPU or on the GPU as its ``device`` says.

    Raises
    ------
    MissingFileError
        If there is no model.
    ArtifactError
        If the model is damaged, or written by a newer version.
    """
    directory = Path(directory)
    config = read_config(directory)
    weights = read_weights(directory)
    preprocessor = TabularPreprocessor.load(directory / _PREPROCESSOR)
    try:
        estimator = _new_estimator(config)
        estimator.target_ = target_from_dict(config["target"])
        estimator.target_names_ = list(config["target_names"])
        estimator.preprocessor_ = preprocessor
        estimator.schema_ = preprocessor.schema_
        estimator.feature_names_in_ = np.asarray(config["feature_names"], dtype=object)
        estimator.n_features_in_ = len(estimator.feature_names_in_)
        estimator.history_ = History.from_dict(config["history"])
        estimator.card_ = dict(config["card"])
        pruning = config["card"]["pruning"]
        estimator.pruning_ = None if pruning is None else PruningReport.from_dict(pruning)
        snapshots = directory / _SNAPSHOTS
        estimator.snapshots_ = _by_number(read_tensors(snapshots)) if snapshots.exists() else []
        model = EntityEmbeddingMLP.from_config(config["model"])
        model.load_state_dict(weights)
        estimator.model_ = model.eval()
        estimator.place_model()
    except TabTextError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ArtifactError(
            f"the model in {directory} is damaged ({error!r}); save it again or restore a copy"
        ) from error
    return estimator


def _new_estimator(config: Mapping[str, Any]) -> "TabularEstimator":
    """An unfitted estimator of the class that was saved, one of a fixed list."""
    from tabtext.estimators.tabular import TabularClassifier, TabularRegressor

    classes = {known.__name__: known for known in (TabularClassifier, TabularRegressor)}
    name = config["estimator"]
    if name not in classes:
        raise ArtifactError(
            f"the model is a {name!r}, which this version of tabtext does not know; "
            f"it knows {', '.join(classes)}"
        )
    given: dict[str, Any] = _with_tuples(config["parameters"])
    training = given.get("training")
    if training and "phases" in training:
        training["phases"] = tuple(Phase(**phase) for phase in training["phases"])
    return classes[name](**given)


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


def _numbered(snapshots: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """All snapshots' tensors in one mapping: ``3/head.weight``."""
    return {
        f"{number}/{name}": tensor
        for number, weights in enumerate(snapshots)
        for name, tensor in weights.items()
    }


def _by_number(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, rest = name.partition("/")
        found.setdefault(int(number), {})[rest] = tensor
    return [found[number] for number in sorted(found)]


def _plain(value: Any) -> Any:
    """What JSON can hold: numbers that are no number become null, rules and paths their form."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(entry) for entry in value]
    if hasattr(value, "to_dict"):  # a pruning rule
        return _plain(value.to_dict())
    if isinstance(value, Phase):
        return _plain(asdict(value))
    if callable(value):  # a schedule of the user's own; its code is not saved
        return {_OWN_SCHEDULE: getattr(value, "__name__", type(value).__name__)}
    return value
