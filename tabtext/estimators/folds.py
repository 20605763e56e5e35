"""Several networks for one estimator: one for every fold of the rows, or for every seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import DataError
from tabtext.estimators.samples import Features, PreparedRows

__all__ = ["Part", "out_of_fold", "parts_of"]


@dataclass(frozen=True)
class Part(Generic[Features]):
    """What one network of a fit learns from.

    Parameters
    ----------
    name : str
        ``""`` for a lone network, else such as ``"fold 1"``.
    rows : PreparedRows
        Rows to learn from and to choose the best epoch by.
    held_out : ndarray of intp or None
        Which of the fit's training rows are the validation rows of this part; None where ``fit``
        was given its validation rows, or has none.
    seed : int
        Of initial weights and batches; differs from part to part.
    """

    name: str
    rows: PreparedRows[Features]
    held_out: NDArray[np.intp] | None
    seed: int


def parts_of(
    rows: PreparedRows[Features], n_parts: int, *, stratify: bool, seed: int
) -> list[Part[Features]]:
    """Return what each of several networks learns from.

    Parameters
    ----------
    rows : PreparedRows
        All rows of the fit. Where it has validation rows, every network sees all training rows, and
        only seeds differ; else every training row is in the validation rows of one network.
    n_parts : int
        Number of networks.
    stratify : bool
        Whether the codes are classes, whose shares all folds keep.
    seed : int
        Seed of the folds, and of the first network.

    Raises
    ------
    DataError
        If there are fewer than two rows for every fold.
    """
    if n_parts == 1:
        return [Part("", rows, None, seed)]
    seeds = [(seed + number) % 2**32 for number in range(n_parts)]
    if rows.valid is not None:
        return [Part(f"seed {s}", rows, None, s) for s in seeds]
    folds = _held_out(rows, n_parts, stratify=stratify, seed=seed)
    return [
        Part(f"fold {number}", _without(rows, fold), fold, s)
        for number, (fold, s) in enumerate(zip(folds, seeds, strict=True), start=1)
    ]


def out_of_fold(raws: Sequence[Tensor], parts: Sequence[Part[Features]]) -> Tensor:
    """Return raw outputs for all training rows, each by the network that did not learn from it.

    Parameters
    ----------
    raws : sequence of Tensor
        Raw outputs of every part's network for its validation rows.
    parts : sequence of Part
        Folds.
    """
    held_out = [part.held_out for part in parts if part.held_out is not None]
    order = np.argsort(np.concatenate(held_out))
    return torch.cat(list(raws))[torch.from_numpy(order)]


def _held_out(
    rows: PreparedRows[Features], n_folds: int, *, stratify: bool, seed: int
) -> list[NDArray[np.intp]]:
    """Numbers of each fold's rows, ascending; every class is spread evenly where that can be."""
    from sklearn.model_selection import KFold, StratifiedKFold

    codes = rows.train.codes
    if len(codes) < 2 * n_folds:
        raise DataError(
            f"{len(codes)} training rows are too few for n_folds={n_folds}: every fold needs two"
        )
    everyone = np.arange(len(codes))
    if stratify and np.unique(codes, return_counts=True)[1].min() >= n_folds:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed)
    return [held_out for _, held_out in splitter.split(everyone, codes if stratify else None)]


def _without(rows: PreparedRows[Features], fold: NDArray[np.intp]) -> PreparedRows[Features]:
    """The rows with those of the fold set aside for validation."""
    others = np.setdiff1d(np.arange(len(rows.train)), fold, assume_unique=True)
    judged = replace(rows.train, weight=rows.given_weight)  # metrics know no weights of classes
    return replace(rows, train=rows.train.take(others), valid=judged.take(fold))
