"""Fitted estimators to artifact directories, and back: which module knows which class."""

import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabtext.artifacts import read_config
from tabtext.errors import ArtifactError, TabTextError
from tabtext.estimators.plain_values import given_parameters

if TYPE_CHECKING:
    from tabtext.estimators.saving import SavedEstimator

__all__ = ["load", "save"]

_log = logging.getLogger(__name__)

_HOMES = {
    "TabularClassifier": ("tabtext.estimators.tabular", "tabtext.estimators.tabular_storage"),
    "TabularRegressor": ("tabtext.estimators.tabular", "tabtext.estimators.tabular_storage"),
    "TabTextClassifier": ("tabtext.estimators.mixed", "tabtext.estimators.mixed_storage"),
    "TabTextRegressor": ("tabtext.estimators.mixed", "tabtext.estimators.mixed_storage"),
    "LanguageModel": ("tabtext.estimators.language_model", "tabtext.estimators.text_storage"),
    "TextClassifier": ("tabtext.estimators.text", "tabtext.estimators.text_storage"),
    "TextRegressor": ("tabtext.estimators.text", "tabtext.estimators.text_storage"),
}
"""Class -> where it is defined, and the module whose ``save`` and ``fill`` know its artifacts."""


def save(estimator: "SavedEstimator", directory: Path) -> None:
    """Write a fitted estimator; see ``SupervisedEstimator.save``."""
    _, storage = _home_of(type(estimator).__name__)
    import_module(storage).save(estimator, directory)


def load(directory: str | Path) -> Any:
    """Read a model that any estimator of tabtext saved. No code from the directory is run.

    Parameters
    ----------
    directory : str or Path
        What ``save`` wrote.

    Returns
    -------
    TabularClassifier, TabularRegressor, TabTextClassifier, TabTextRegressor, TextClassifier,
    TextRegressor or LanguageModel
        The fitted estimator, on the CPU or on the GPU as its ``device`` says.

    Raises
    ------
    MissingFileError
        If there is no model.
    ArtifactError
        If the model is damaged, or written by a newer version.

    Examples
    --------
    >>> from tabtext.estimators.pretrained import model_directory
    >>> load(model_directory("english-small")).card_["corpus"]
    'English Wikipedia'
    """
    directory = Path(directory)
    config = read_config(directory)
    try:
        home, storage = _home_of(config["estimator"])
        kind = getattr(import_module(home), config["estimator"])
        estimator = kind(**given_parameters(config["parameters"]))
        import_module(storage).fill(estimator, config, directory)
    except TabTextError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise ArtifactError(
            f"the model in {directory} is damaged ({error!r}); save it again or restore a copy"
        ) from error
    _log.info("loaded %s: %s", config["estimator"], directory)
    return estimator


def _home_of(name: str) -> tuple[str, str]:
    """Where a class of the fixed list is defined, and the module of its artifacts."""
    if name not in _HOMES:
        raise ArtifactError(
            f"the model is a {name!r}, which this version of tabtext does not know; "
            f"it knows {', '.join(_HOMES)}"
        )
    return _HOMES[name]
