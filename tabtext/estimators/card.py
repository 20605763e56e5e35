"""The card of a fitted model: what it was given, what was done, how well it does."""

from collections.abc import Mapping, Sequence, Sized
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from torch import nn

from tabtext.training.history import History
from tabtext.training.options import TrainingOptions

__all__ = ["missing_shares", "recipe", "row_counts", "training_card"]


def training_card(
    task: str,
    model: nn.Module,
    history: History,
    recipe: Mapping[str, Any],
    *,
    libraries: Sequence[str] = (),
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
    libraries : sequence of str
        Distributions that the result depends on beside those that all models use.
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
        "versions": _installed_versions(libraries),
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
    given: Sized,
    labelled: Sized,
    counting: Sized,
    unpruned: Sized,
    pruned: Sized,
    train: Sized,
    valid: Sized | None,
) -> dict[str, int]:
    """Return how many rows came, went and stayed on their way from the table to the network.

    Rows of weight 0 are told where there are some.

    Examples
    --------
    >>> row_counts(range(9), range(8), range(7), range(5), range(4), range(4), range(2))
    {'given': 9, 'target_missing': 1, 'pruned': 1, 'weightless': 1, 'train': 4, 'valid': 2}
    """
    weightless = len(labelled) - len(counting) + len(pruned) - len(train)
    return {
        "given": len(given),
        "target_missing": len(given) - len(labelled),
        "pruned": len(unpruned) - len(pruned),
        **({"weightless": weightless} if weightless else {}),
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


def _installed_versions(libraries: Sequence[str]) -> dict[str, str]:
    """The versions of the libraries that the result depends on."""
    from tabtext import __version__

    names = ("torch", "numpy", "pandas", "pyarrow", "scikit-learn", *libraries)
    return {"tabtext": __version__, **{name: version(name) for name in names}}


def _count_parameters(model: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
