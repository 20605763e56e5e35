"""Fitted estimators for tables with texts as artifact directories.

config.json          parameters, target, schema, shape of the network, histories, card
preprocessor/        tabular/ as that of the tabular estimators, text/ tokenizer and vocabulary
weights.safetensors  the network: encoders.*, fused.*
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabtext.artifacts import read_weights, write_artifact
from tabtext.errors import ArtifactError
from tabtext.estimators.plain_values import plain
from tabtext.estimators.tabular_storage import (
    PREPROCESSOR,
    fill_learned,
    learned,
    write_further,
)
from tabtext.estimators.text_storage import saved_parameters
from tabtext.mixed.network import MixedNetwork
from tabtext.mixed.preprocessing import MixedPreprocessor
from tabtext.text.unfilled import Unfilled

if TYPE_CHECKING:
    from tabtext.estimators.mixed_base import TabTextEstimator

__all__ = ["fill", "save"]


def save(estimator: "TabTextEstimator", directory: Path) -> None:
    """Write a fitted estimator; see ``SavedEstimator.save``."""
    config = {
        **learned(estimator),
        "parameters": saved_parameters(estimator),
        "schema": estimator.schema_.to_dict(),
        "model": estimator.model_.config(),
        "vocabulary": estimator.preprocessor_.text.vocabulary_.fingerprint(),
        "max_tokens": estimator.preprocessor_.max_tokens,
    }
    weights = estimator.model_.state_dict()
    with write_artifact(directory, plain(config), weights) as temporary:
        estimator.preprocessor_.save(temporary / PREPROCESSOR)
        write_further(estimator, temporary)


def fill(estimator: "TabTextEstimator", config: Mapping[str, Any], directory: Path) -> None:
    """Give a new estimator what the fitted one had learned."""
    place = directory / PREPROCESSOR
    preprocessor = MixedPreprocessor.load(place, max_tokens=int(config["max_tokens"]))
    found = preprocessor.text.vocabulary_.fingerprint()
    if found != config["vocabulary"]:
        raise ArtifactError(
            f"{place} is of another model: its vocabulary is {found}, and the network was trained "
            f"with {config['vocabulary']}; restore a copy"
        )
    weights = read_weights(directory, config)
    fill_learned(estimator, config, directory)
    estimator.preprocessor_ = preprocessor
    estimator.schema_ = preprocessor.tabular.schema_
    with Unfilled():
        model = MixedNetwork.from_config(config["model"])
    model.load_state_dict(weights)
    estimator.model_ = model.eval()
    estimator.place_model()
