"""Deep learning on tables and text: from a DataFrame to a saved model, with scikit-learn manners.

>>> import tabtext
>>> flights = tabtext.datasets.load_flights("train").sample(2000, random_state=0)
>>> model = tabtext.TabularRegressor(epochs=1, verbose=0)
>>> model = model.fit(flights.dropna(subset="arr_delay"), target="arr_delay")
>>> model.predict(flights.head(3)).shape
(3,)

What happens is logged under ``logging.getLogger("tabtext")``: at INFO the stages of a fit with
their figures (rows, columns and their roles, what was pruned, the result of every epoch, where a
model was saved), at DEBUG their details (each column, each checkpoint, all options of a training).
What deserves a look is a warning, ``tabtext.errors.TabTextWarning``, and no log record.

The names below load on first use, so that ``import tabtext`` costs nothing.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "EmbeddingTransformer",
    "LanguageModel",
    "TabTextClassifier",
    "TabTextRegressor",
    "TabularClassifier",
    "TabularPreprocessor",
    "TabularRegressor",
    "TextClassifier",
    "TextRegressor",
    "__version__",
    "datasets",
    "load",
    "tune",
    "write_report",
]

if TYPE_CHECKING:
    from tabtext import datasets
    from tabtext.estimators import (
        EmbeddingTransformer,
        LanguageModel,
        TabTextClassifier,
        TabTextRegressor,
        TabularClassifier,
        TabularRegressor,
        TextClassifier,
        TextRegressor,
        load,
    )
    from tabtext.reports import write_report
    from tabtext.tabular import TabularPreprocessor
    from tabtext.tuning import tune

# What is logged goes where the program that uses tabtext sends it, and nowhere by default.
logging.getLogger("tabtext").addHandler(logging.NullHandler())

_HOMES = {
    "EmbeddingTransformer": "tabtext.estimators",
    "LanguageModel": "tabtext.estimators",
    "TabTextClassifier": "tabtext.estimators",
    "TabTextRegressor": "tabtext.estimators",
    "TabularClassifier": "tabtext.estimators",
    "TabularPreprocessor": "tabtext.tabular",
    "TabularRegressor": "tabtext.estimators",
    "TextClassifier": "tabtext.estimators",
    "TextRegressor": "tabtext.estimators",
    "load": "tabtext.estimators",
    "tune": "tabtext.tuning",
    "write_report": "tabtext.reports",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    if name == "datasets":
        return import_module("tabtext.datasets")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tabtext' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
