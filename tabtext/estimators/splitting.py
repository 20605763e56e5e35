"""Training rows and validation rows: those that were given, or a share drawn at random."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError, ParameterError
from tabtext.estimators.inputs import Sample, drop_missing_targets, read_sample
from tabtext.tables import as_table

__all__ = ["require_weight", "split_rows", "split_sample"]


def split_sample(
    sample: Sample,
    validation: Any,
    *,
    fraction: float,
    classes: NDArray[np.int64] | None,
    missing_target: Literal["drop", "error"],
    seed: int,
) -> tuple[Sample, Sample | None]:
    """Return training rows and validation rows: those that were given, or a random share.

    Parameters
    ----------
    sample : Sample
        What ``fit`` was given, each row with a target.
    validation : table with the targets, pair ``(X, y)``, or None
        Rows to choose the best epoch by.
    fraction : float
        Share that is drawn when ``validation`` is None; 0 for none.
    classes : ndarray of int64, or None
        Class of each row, whose shares the draw keeps.
    missing_target : {"drop", "error"}
        What to do with validation rows without a target.
    seed : int
        Seed of the draw.

    Raises
    ------
    DataError
        If fewer than two rows are left to train on.
    """
    drawn = validation is None and fraction > 0
    needed = 3 if drawn else 2
    if len(sample) < needed:
        raise DataError(
            f"{len(sample)} rows with a target; at least {needed} are needed, 2 to train on"
            + (" and 1 to validate" if drawn else "")
            + f" (n_samples={len(sample)})"
        )
    if validation is not None:
        return sample, drop_missing_targets(_read_validation(validation, sample), missing_target)
    if not drawn:
        return sample, None
    train, valid = split_rows(len(sample), fraction, classes=classes, seed=seed)
    return sample.take(train), sample.take(valid)


def require_weight(valid: Sample | None) -> None:
    """Raise ``DataError`` if there are validation rows, and none of them weighs anything."""
    if valid is not None and valid.weight is not None and not valid.weight.any():
        raise DataError(
            f"all {len(valid)} validation rows weigh 0, so that no epoch can be chosen by them; "
            "give others with validation=..., or none with validation_fraction=0"
        )


def split_rows(
    n_rows: int, fraction: float, *, classes: NDArray[np.int64] | None, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split row numbers at random into training and validation rows, each in ascending order.

    Parameters
    ----------
    n_rows : int
        How many rows there are.
    fraction : float
        Share of validation rows, in (0, 1); rounded up, so at least one row.
    classes : ndarray of int64 of shape (n_rows,), or None
        Class of each row; every class with at least two rows keeps its share in both parts, as
        nearly as whole rows allow.
    seed : int
        Seed of the shuffle.

    Examples
    --------
    >>> train, valid = split_rows(10, 0.2, classes=None, seed=0)
    >>> len(train), len(valid)
    (8, 2)
    """
    from sklearn.model_selection import train_test_split

    stratify = classes
    if classes is not None:
        _, counts = np.unique(classes, return_counts=True)
        enough = counts.min() >= 2 and np.ceil(fraction * n_rows) >= len(counts)
        stratify = classes if enough and n_rows * (1 - fraction) >= len(counts) else None
    train, valid = train_test_split(
        np.arange(n_rows), test_size=fraction, random_state=seed, stratify=stratify
    )
    return np.sort(train), np.sort(valid)


def _read_validation(validation: Any, sample: Sample) -> Sample:
    """Read a pair ``(X, y)``, or one table that holds the targets too."""
    what = "validation"
    if isinstance(validation, tuple):
        if len(validation) != 2:
            raise ParameterError(
                f"validation has {len(validation)} parts; give a table or the pair (X, y)"
            )
        features, y = validation
        return read_sample(features, y, what=what).renamed(sample.targets)
    table = as_table(validation, what=what)
    weight = sample.weight_column
    return read_sample(table, target=list(sample.targets), sample_weight=weight, what=what)
