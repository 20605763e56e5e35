"""Several networks for one estimator: one for every fold of the rows, or for every seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabtext.errors import DataError
from tabtext.estimators.samples import Features, PreparedRows

__all__ = ["Part", "out_of_fold", "parts_of", "rows_of"]


@dataclass(frozen=True)
class Part:
    """What one network of a fit learns from.

    Parameters
    ----------
    name : str
        ``""`` for a lone network, else such as ``"fold 1"``.
    seed : int
        Of initial weights and batches; differs from part to part.
    held_out : ndarray of intp or None
        Which of the judged rows this network is judged by, and does not learn from; None where
        ``fit`` was given its validation rows, or has none.
    """

    name: str
    seed: int
    held_out: NDArray[np.intp] | None = None


def parts_of(
    rows: PreparedRows[Features], n_parts: int, *, stratify: bool, seed: int
) -> list[Part]:
    """Return what each of several networks learns from.

    Parameters
    ----------
    rows : PreparedRows
        All rows of the fit. Where it has validation rows, every network sees all training rows, and
        only seeds differ; else every row is held out from one network.
    n_parts : int
        Number of networks.
    stratify : bool
        Whether the codes are classes, whose shares all folds keep.
    seed : int
        Seed of the folds, and of the first network.

    Raises
    ------
    DataError
        If there are fewer than two rows for every fold, or rows of a fold weigh nothing.
    """
    if n_parts == 1:
        return [Part("", seed)]
    seeds = [(seed + number) % 2**32 for number in range(n_parts)]
    if rows.valid is not None:
        return [Part(f"seed {s}", s) for s in seeds]
    folds = _held_out(rows, n_parts, stratify=stratify, seed=seed)
    return [
        Part(f"fold {number}", s, fold)
        for number, (fold, s) in enumerate(zip(folds, seeds, strict=True), start=1)
    ]


def rows_of(part: Part, rows: PreparedRows[Features]) -> PreparedRows[Features]:
    """Return the rows for one network: those of its fold validate, the others teach."""
    if part.held_out is None:
        return rows
    others = np.flatnonzero(~np.isin(rows.kept, part.held_out))
    return replace(rows, train=rows.train.take(others), valid=rows.judged.take(part.held_out))


def out_of_fold(raws: Sequence[Tensor], parts: Sequence[Part]) -> Tensor:
    """Return raw outputs for all judged rows, each by the network that did not learn from it.

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

    codes = rows.judged.codes
    if len(rows.train) < 2 * n_folds:
        raise DataError(
            f"{len(rows.train)} training rows are too few for n_folds={n_folds}: every fold needs "
            f"two{'' if rows.judged.weight is None else ' that weigh more than 0'}"
        )
    everyone = np.arange(len(codes))
    if stratify and np.unique(codes, return_counts=True)[1].min() >= n_folds:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed)
    folds = [fold for _, fold in splitter.split(everyone, codes if stratify else None)]
    for fold in folds:
        _require_weight(rows, fold, n_folds)
    return folds


def _require_weight(rows: PreparedRows[Features], fold: NDArray[np.intp], n_folds: int) -> None:
    others = ~np.isin(rows.kept, fold)
    judging, teaching = rows.judged.weight, rows.train.weight
    weighs = judging is None or judging[fold].any()
    if not (weighs and others.sum() >= 2 and (teaching is None or teaching[others].any())):
        raise DataError(
            f"n_folds={n_folds} leaves a fold, or what is learned beside it, without rows that "
            "count: too few rows weigh more than 0. Use fewer folds, or give validation rows"
        )
