"""The card of a fitted model: what it was given, what was done, how well it does."""

from collections.abc import Mapping, Sized
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import nn

from tabtext.text.documents import Documents
from tabtext.text.special_tokens import UNKNOWN_ID
from tabtext.training.history import History
from tabtext.training.options import TrainingOptions

__all__ = ["missing_shares", "recipe", "row_counts", "token_counts", "training_card"]


def training_card(
    task: str, model: nn.Module, history: History, recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the part of the card that training knows: recipe, result, versions.

    Parameters
    ----------
    task : str
        Regression, classification or multilabel.
    model : nn.Module
        The trained network.
    history : History
        Of its training.
    recipe : mapping
        What ``recipe`` returns.
    """
    best_epoch = history.best_epoch or 0
    best = history.epochs[best_epoch]
    loss = {} if best.valid_loss is None else {"loss": best.valid_loss}
    return {
        "task": task,
        "parameters": _count_parameters(model),
        "device": str(next(model.parameters()).device),
        "recipe": {**recipe, "best_epoch": best_epoch + 1},
        "metrics": {**best.metrics, **loss},
        "versions": _installed_versions(),
    }


def recipe(
    training: TrainingOptions, network: Mapping[str, Any], *, loss: str, batch_size: int
) -> dict[str, Any]:
    """Return all settings that shaped the training, without those that had nothing to act on."""
    chosen = {
        name: value
        for name, value in training.to_dict().items()
        # What is off, and the lengths of cycles that the schedule has not.
        if not (value is None or value is False or value == [])
        and (not name.startswith("cycle_") or training.has_restarts)
    }
    return {**chosen, "loss": loss, "batch_size": batch_size, **network}


def row_counts(
    given: Sized, labelled: Sized, unpruned: Sized, train: Sized, valid: Sized | None
) -> dict[str, int]:
    """Return how many rows came, went and stayed on their way from the table to the network."""
    return {
        "given": len(given),
        "target_missing": len(given) - len(labelled),
        "pruned": len(unpruned) - len(train),
        "train": len(train),
        "valid": 0 if valid is None else len(valid),
    }


def missing_shares(table: pa.Table) -> dict[str, float]:
    """Return the share of missing values of every column that has some.

    Examples
    --------
    >>> missing_shares(pa.table({"State": ["HE", None], "Sales": [1.0, 2.0]}))
    {'State': 0.5}
    """
    shares = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        n_missing = column.null_count
        if pa.types.is_floating(column.type):
            n_missing += pc.sum(pc.is_nan(column)).as_py() or 0
        if n_missing:
            shares[name] = n_missing / table.num_rows
    return shares


def token_counts(train: Documents, valid: Documents | None, n_vocabulary: int) -> dict[str, Any]:
    """Return how many tokens a model of texts has read, and how many of them it knows.

    Parameters
    ----------
    train, valid : Documents
        What it learned from, and what its best epoch was chosen by.
    n_vocabulary : int
        Distinct tokens that it knows.

    Examples
    --------
    >>> token_counts(Documents.of([[2, 10, 0, 3]]), None, 11)
    {'train': 4, 'valid': 0, 'vocabulary': 11, 'unknown': 0.25}
    """
    return {
        "train": train.n_tokens,
        "valid": 0 if valid is None else valid.n_tokens,
        "vocabulary": n_vocabulary,
        "unknown": float(np.mean(train.ids == UNKNOWN_ID)) if train.n_tokens else 0.0,
    }


def _installed_versions() -> dict[str, str]:
    """The versions of the libraries that the result depends on."""
    from tabtext import __version__

    names = ("torch", "numpy", "pandas", "pyarrow", "scikit-learn")
    return {"tabtext": __version__, **{name: version(name) for name in names}}


def _count_parameters(model: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
