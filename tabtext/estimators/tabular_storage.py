"""Fitted tabular estimators as artifact directories."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from tabtext.artifacts import read_tensors, read_weights, write_artifact, write_tensors
from tabtext.estimators.plain_values import plain
from tabtext.tabular.ensembles import NETWORKS, NetworkEnsemble
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.training.conformal import CalibrationPairs
from tabtext.training.history import History
from tabtext.training.targets import target_from_dict

if TYPE_CHECKING:
    from tabtext.estimators.folded_training import FoldedTraining
    from tabtext.estimators.tabular_base import TabularEstimator
    from tabtext.tabular.outliers import PruningReport

__all__ = ["PREPROCESSOR", "fill", "fill_learned", "learned", "save", "write_further"]

_MODELS = {**NETWORKS, "ensemble": NetworkEnsemble}
PREPROCESSOR = "preprocessor"
_SNAPSHOTS = "snapshots.safetensors"
_CALIBRATION = "calibration.safetensors"


def save(estimator: "TabularEstimator", directory: Path) -> None:
    """Write a fitted estimator; see ``SupervisedEstimator.save``."""
    config = {
        **learned(estimator),
        "schema": estimator.schema_.to_dict(),
        # By the model: the parameter may have been set for the next fit.
        "network": next(name for name, kind in _MODELS.items() if type(estimator.model_) is kind),
        "model": estimator.model_.config(),
    }
    weights = estimator.model_.state_dict()
    with write_artifact(directory, plain(config), weights) as temporary:
        estimator.preprocessor_.save(temporary / PREPROCESSOR)
        write_further(estimator, temporary)


def fill(estimator: "TabularEstimator", config: Mapping[str, Any], directory: Path) -> None:
    """Give a new estimator what the fitted one had learned."""
    weights = read_weights(directory, config)
    estimator.preprocessor_ = TabularPreprocessor.load(directory / PREPROCESSOR)
    estimator.schema_ = estimator.preprocessor_.schema_
    fill_learned(estimator, config, directory)
    before: dict[str, Any] = {}
    if "network" not in config:  # from when there was one network, and nothing was clipped
        before |= {"network": "mlp", "clip_predictions": False}
    if "calibration" not in config["parameters"]:  # from before there was a temperature
        before["calibration"] = None
    known = estimator.get_params(deep=False)
    estimator.set_params(**{name: value for name, value in before.items() if name in known})
    model = _MODELS[config.get("network", "mlp")].from_config(config["model"])
    model.load_state_dict(weights)
    estimator.model_ = model.eval()
    estimator.place_model()


def learned(estimator: "FoldedTraining[Any]") -> dict[str, Any]:
    """Return what any estimator with columns has learned, but for preprocessor and network."""
    return {
        "estimator": type(estimator).__name__,
        "parameters": estimator.get_params(deep=False),
        "target_names": estimator.target_names_,
        "target": estimator.target_.to_dict(),
        "feature_names": estimator.feature_names_in_.tolist(),
        "histories": {name: h.to_dict() for name, h in estimator.histories_.items()},
        "card": estimator.card_,
    }


def write_further(estimator: "FoldedTraining[Any]", directory: Path) -> None:
    """Write snapshots and calibration, if there are any, into a directory."""
    if estimator.snapshots_:
        write_tensors(directory / _SNAPSHOTS, _numbered(estimator.snapshots_))
    if estimator.calibration_pairs_ is not None:
        write_tensors(directory / _CALIBRATION, estimator.calibration_pairs_.to_tensors())


def fill_learned(
    estimator: "FoldedTraining[Any]", config: Mapping[str, Any], directory: Path
) -> None:
    """Give a new estimator what ``learned`` and ``write_further`` have of the fitted one."""
    estimator.target_ = target_from_dict(config["target"])
    estimator.target_names_ = list(config["target_names"])
    estimator.feature_names_in_ = np.asarray(config["feature_names"], dtype=object)
    estimator.n_features_in_ = len(estimator.feature_names_in_)
    # One history, from when there was one network.
    histories = config["histories"] if "histories" in config else {"": config["history"]}
    estimator.histories_ = {name: History.from_dict(h) for name, h in histories.items()}
    estimator.card_ = dict(config["card"])
    pruning = config["card"]["pruning"]
    estimator.pruning_ = None if pruning is None else _pruning_report(pruning)
    snapshots = directory / _SNAPSHOTS
    estimator.snapshots_ = _by_number(read_tensors(snapshots)) if snapshots.exists() else []
    estimator.calibration_pairs_ = _calibration_pairs(directory, estimator.target_.n_outputs)


def _pruning_report(saved: Mapping[str, Any]) -> "PruningReport":
    from tabtext.tabular.outliers import PruningReport  # which is for fitting, else

    return PruningReport.from_dict(saved)


def _calibration_pairs(directory: Path, n_targets: int) -> CalibrationPairs | None:
    """What a regressor's intervals are taken from; None where it was saved without."""
    path = directory / _CALIBRATION
    if not path.exists():
        return None
    return CalibrationPairs.from_tensors(read_tensors(path), n_targets=n_targets)


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
