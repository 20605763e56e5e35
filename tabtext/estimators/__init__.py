"""scikit-learn's manners over schema, preprocessing, model, trainer and artifact."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tabtext.estimators.augmentation import Augmentation
from tabtext.estimators.storage import load
from tabtext.estimators.tabular import TabularClassifier, TabularRegressor

if TYPE_CHECKING:
    from tabtext.estimators.embedding_transformer import EmbeddingTransformer
    from tabtext.estimators.language_model import LanguageModel
    from tabtext.estimators.mixed import TabTextClassifier, TabTextRegressor
    from tabtext.estimators.text import TextClassifier, TextRegressor

__all__ = [
    "Augmentation",
    "EmbeddingTransformer",
    "LanguageModel",
    "TabTextClassifier",
    "TabTextRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "TextClassifier",
    "TextRegressor",
    "load",
]

_HOMES = {
    "EmbeddingTransformer": "tabtext.estimators.embedding_transformer",
    "LanguageModel": "tabtext.estimators.language_model",
    "TabTextClassifier": "tabtext.estimators.mixed",
    "TabTextRegressor": "tabtext.estimators.mixed",
    "TextClassifier": "tabtext.estimators.text",
    "TextRegressor": "tabtext.estimators.text",
}


def __getattr__(name: str) -> Any:
    """Import the estimators that read texts on their first use: tables need nothing of theirs."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
