"""The part of a card that machines read: the front matter of a Hugging Face model card.

The format is that of https://huggingface.co/docs/hub/model-cards.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

__all__ = ["metadata_of"]

_KINDS = {
    "Tabular": ("tabular", ["tabular"]),
    "TabText": ("tabular", ["tabular", "text"]),
    "Text": ("text", ["text"]),
    "Language": ("text", ["text", "language-model"]),
}
"""How names of estimators begin -> what they read, and the tags that say so."""


def metadata_of(config: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Return library, pipeline, tags and results; the licence where the card has one.

    Parameters
    ----------
    config : mapping
        Of an artifact.
    name : str
        Of the model.

    Examples
    --------
    >>> config = {"estimator": "TextClassifier", "card": {"metrics": {"accuracy": 0.8}}}
    >>> found = metadata_of(config, name="movies")
    >>> found["pipeline_tag"], found["tags"], found["metrics"]
    ('text-classification', ['tabtext', 'text'], ['accuracy'])
    """
    card = config["card"]
    kind, tags = _kind_of(config["estimator"])
    pipeline = _pipeline(config["estimator"], kind)
    metrics = {
        key: value
        for key, value in card.get("metrics", {}).items()
        if isinstance(value, int | float) and isfinite(value)
    }
    found: dict[str, Any] = {}
    if card.get("license"):
        found["license"] = card["license"]
    if language := re.fullmatch(r"words \((\w+)\)", str(card.get("recipe", {}).get("tokenizer"))):
        found["language"] = language[1]
    found |= {"library_name": "tabtext", "pipeline_tag": pipeline, "tags": ["tabtext", *tags]}
    if metrics:
        found["metrics"] = list(metrics)
        found["model-index"] = [{"name": name, "results": [_result(pipeline, metrics)]}]
    return found


def _result(pipeline: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    return {
        "task": {"type": pipeline},
        "dataset": {"name": "validation rows", "type": "validation-rows"},
        "metrics": [{"type": metric, "value": value} for metric, value in metrics.items()],
    }


def _kind_of(estimator: str) -> tuple[str, list[str]]:
    return next((k for prefix, k in _KINDS.items() if estimator.startswith(prefix)), ("", []))


def _pipeline(estimator: str, kind: str) -> str:
    """The Hub's name of the task; it counts scores of texts among classifications."""
    if estimator == "LanguageModel":
        return "text-generation"
    if kind == "text":
        return "text-classification"
    return "tabular-regression" if estimator.endswith("Regressor") else "tabular-classification"
