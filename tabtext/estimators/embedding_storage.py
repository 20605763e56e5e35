"""A fitted ``EmbeddingTransformer`` as a directory.

transformer.json      its parameters
vectors.safetensors   a table for each categorical column
network/              the network that they were learned with, an artifact of its own
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tabtext import __version__
from tabtext.artifacts import Kind, read_tensors, whole_directory, write_tensors
from tabtext.errors import ArtifactError
from tabtext.estimators.storage import load
from tabtext.estimators.tabular import TabularClassifier, TabularRegressor
from tabtext.text.storage import read_json, write_json

__all__ = ["read_transformer", "write_transformer"]

_FORMAT_VERSION = 1
_CONFIG, _VECTORS, _NETWORK = "transformer.json", "vectors.safetensors", "network"
_PARAMETERS = {"has_estimator", "n_folds", "numbers", "random_state"}
_KIND = Kind(_CONFIG, frozenset({"format_version", "tabtext_version", "parameters"}))


def write_transformer(
    directory: Path,
    parameters: Mapping[str, Any],
    network: TabularClassifier | TabularRegressor,
    tables: Sequence[NDArray[np.float32]],
) -> None:
    """Write parameters, network and vectors; all of them or nothing.

    Parameters
    ----------
    directory : Path
        Where they will stand; an older transformer is replaced.
    parameters : mapping
        Those of the transformer, and ``"has_estimator"``: whether the network came from its
        parameter ``estimator``, which is saved with the network.
    network, tables
        ``estimator_`` and ``tables_`` of the transformer.

    Raises
    ------
    SaveError
        If writing fails, or if something else stands there.
    """
    config = {
        "format_version": _FORMAT_VERSION,
        "tabtext_version": __version__,
        "parameters": dict(parameters),
    }
    with whole_directory(directory, kind=_KIND) as temporary:
        write_json(temporary / _CONFIG, config)
        by_place = {str(place): torch.from_numpy(table) for place, table in enumerate(tables)}
        write_tensors(temporary / _VECTORS, by_place)
        network.save(temporary / _NETWORK)


def read_transformer(
    directory: Path,
) -> tuple[dict[str, Any], TabularClassifier | TabularRegressor, list[NDArray[np.float32]]]:
    """Read what ``write_transformer`` wrote; no code from the files is run.

    Raises
    ------
    MissingFileError
        If a file is not there.
    ArtifactError
        If a file is damaged, or of a newer format.
    """
    path = directory / _CONFIG
    config = read_json(path, "EmbeddingTransformer", newest=_FORMAT_VERSION)
    parameters = config.get("parameters")
    if not isinstance(parameters, dict) or parameters.keys() != _PARAMETERS:
        raise ArtifactError(f"{path} is damaged: its parameters are not those of a transformer")
    network = load(directory / _NETWORK)
    if not isinstance(network, TabularClassifier | TabularRegressor):
        raise ArtifactError(f"{directory / _NETWORK} holds no network for tables; restore a copy")
    by_place = read_tensors(directory / _VECTORS)
    tables = [by_place[place].numpy() for place in sorted(by_place, key=int)]
    if [len(table) for table in tables] != network.preprocessor_.cardinalities_:
        raise ArtifactError(
            f"{directory / _VECTORS} is of another transformer: it has vectors for other "
            "categories than the network; restore a copy"
        )
    return parameters, network, tables
