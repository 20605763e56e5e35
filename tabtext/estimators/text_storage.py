"""Fitted language models and text estimators as artifact directories.

config.json          parameters, target, shapes of the networks, histories, card, and what tells the
                     preprocessor from another model's
preprocessor/        tokenizer and vocabulary, JSON
weights.safetensors  the networks of all directions: forward/..., backward/...; the linear models
                     that vote with a classifier's: linear/...
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from tabtext.artifacts import read_weights, write_artifact
from tabtext.errors import ArtifactError
from tabtext.estimators.linear_storage import from_tensors, to_tensors
from tabtext.estimators.plain_values import plain
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.tokenizers import describe_tokenizer
from tabtext.text.unfilled import Unfilled
from tabtext.training.history import History
from tabtext.training.targets import target_from_dict

if TYPE_CHECKING:
    from tabtext.estimators.language_model import LanguageModel
    from tabtext.estimators.mixed_base import TabTextEstimator
    from tabtext.estimators.text_base import TextEstimator

__all__ = ["fill", "save", "saved_parameters"]

_PREPROCESSOR = "preprocessor"
_LINEAR = "linear"


def save(
    estimator: "LanguageModel | TextEstimator", directory: Path, *, packed: bool = False
) -> None:
    """Write a fitted text estimator; see ``SavedEstimator.save`` and ``LanguageModel.save``."""
    histories = {
        name: history.thinned() if packed else history
        for name, history in estimator.histories_.items()
    }
    config = {
        "estimator": type(estimator).__name__,
        "parameters": saved_parameters(estimator),
        "preprocessor": _fingerprint_of(estimator.preprocessor_),
        "networks": {name: network.config() for name, network in estimator.networks_.items()},
        "histories": {name: history.to_dict() for name, history in histories.items()},
        "card": estimator.card_,
        **_of_the_target(estimator),
    }
    weights = {
        f"{direction}/{name}": tensor
        for direction, network in estimator.networks_.items()
        for name, tensor in network.state_dict().items()
    }
    linear = to_tensors(getattr(estimator, "linear_", {}))
    weights |= {f"{_LINEAR}/{name}": tensor for name, tensor in linear.items()}
    with write_artifact(directory, plain(config), weights, packed=packed) as temporary:
        estimator.preprocessor_.save(temporary / _PREPROCESSOR)


def fill(
    estimator: "LanguageModel | TextEstimator", config: Mapping[str, Any], directory: Path
) -> None:
    """Give a new estimator what the fitted one had learned."""
    kinds: dict[str, type[LanguageModelNetwork | TextClassifierNetwork]] = {
        "LanguageModel": LanguageModelNetwork
    }
    kind = kinds.get(config["estimator"], TextClassifierNetwork)
    preprocessor = TextPreprocessor.load(directory / _PREPROCESSOR)
    _require_own(preprocessor, config["preprocessor"], directory)
    weights = read_weights(directory, config)
    _require_networks(config, weights)
    networks: dict[str, Any] = {}
    for direction, shape in config["networks"].items():
        with Unfilled():
            network = kind.from_config(shape)
        network.load_state_dict(_of_part(weights, direction), assign=True)
        networks[direction] = network.eval()
    estimator.preprocessor_ = preprocessor
    estimator.networks_ = networks
    estimator.histories_ = {
        name: History.from_dict(history) for name, history in config["histories"].items()
    }
    if "target" in config:
        estimator.target_ = target_from_dict(config["target"])
        estimator.target_names_ = list(config["target_names"])
        estimator.feature_names_in_ = np.asarray(config["feature_names"], dtype=object)
        estimator.linear_ = from_tensors(
            _of_part(weights, _LINEAR),
            vocabulary_size=len(preprocessor.vocabulary_),
            n_outputs=estimator.target_.n_outputs,
        )
        estimator.mixing_ = dict(config["mixing"])
        _require_votes(estimator.mixing_, ["network", *estimator.linear_])
        estimator.n_features_in_ = len(estimator.feature_names_in_)
        estimator.pruning_ = None
    estimator.card_ = dict(config["card"])
    estimator.place_model()


def _require_networks(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Refuse a model that has not exactly the networks that the fit made.

    The parameter ``direction`` does not tell which those are: it may be set for the next fit.
    """
    trained = config["card"]["recipe"]["directions"].split(", ")
    parts = {name.partition("/")[0] for name in weights} - {_LINEAR}
    for what, found in {
        "networks": config["networks"],
        "histories": config["histories"],
        "weights of networks": parts,
    }.items():
        if sorted(found) != sorted(trained):
            raise ArtifactError(
                f"{what} of the saved model are {', '.join(sorted(found)) or 'missing'}, however: "
                f"the card says {', '.join(trained)}; save the model again or restore a copy"
            )


def _require_votes(mixing: Mapping[str, Any], voters: Sequence[str]) -> None:
    """Refuse votes of others than the models that there are, and votes that are no numbers."""
    if list(mixing) != voters:
        raise ArtifactError(
            f"{', '.join(mixing)} are said to vote, however: the weights are those of "
            f"{', '.join(voters)}; save the classifier again or restore a copy"
        )
    for name, vote in mixing.items():
        is_number = isinstance(vote, float | int) and not isinstance(vote, bool)
        if not (is_number and 0 <= vote <= sys.float_info.max):  # which nan is not, either
            raise ArtifactError(
                f"the vote of {name!r} is {vote!r}, not a finite number of at least 0; save the "
                "classifier again or restore a copy"
            )


def saved_parameters(
    estimator: "LanguageModel | TextEstimator | TabTextEstimator",
) -> dict[str, Any]:
    """What was set; a language model's encoder is in the weights, its name or path stays."""
    parameters = dict(estimator.get_params(deep=False))
    origin = parameters.get("language_model")
    if origin is not None:
        parameters["language_model"] = str(origin) if isinstance(origin, str | Path) else None
    return parameters


def _of_the_target(estimator: "LanguageModel | TextEstimator") -> dict[str, Any]:
    if not hasattr(estimator, "target_"):
        return {}
    return {
        "target_names": estimator.target_names_,
        "target": estimator.target_.to_dict(),
        "feature_names": estimator.feature_names_in_.tolist(),
        "mixing": estimator.mixing_,
    }


def _of_part(weights: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }


def _fingerprint_of(preprocessor: TextPreprocessor) -> dict[str, Any]:
    """What tells the preprocessor of a model from that of any other, though it be of one size."""
    described = json.dumps(describe_tokenizer(preprocessor.tokenizer_), sort_keys=True)
    return {
        "vocabulary": preprocessor.vocabulary_.fingerprint(),
        "tokenizer": f"sha256 {hashlib.sha256(described.encode()).hexdigest()[:16]}",
        "columns": list(preprocessor.columns_),
    }


def _require_own(preprocessor: TextPreprocessor, saved: Mapping[str, Any], directory: Path) -> None:
    """Refuse a tokenizer or a vocabulary that is not the one the network was trained with."""
    for name, found in _fingerprint_of(preprocessor).items():
        if found != saved[name]:
            raise ArtifactError(
                f"{directory / _PREPROCESSOR} is of another model: its {name} is {found}, and the "
                f"network was trained with {saved[name]}; restore a copy"
            )
