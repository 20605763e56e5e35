"""The tables of ``tabular_accuracy.py``: canonical splits, and what each is judged by.

``export`` writes the parts of a data set as Parquet files, so that peers can read them in
environments without tabtext.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

Metric = Literal["auc", "log_loss", "rmse"]

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Table:
    """What is known of a data set without its rows."""

    target: str
    metric: Metric
    load: Callable[[], tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]

    @property
    def is_regression(self) -> bool:
        """Whether the target is a quantity."""
        return self.metric == "rmse"


def _public(name: str):
    """A loader of tabtext's; California's districts, Adult's people ..."""

    def load():
        from tabtext import datasets

        return tuple(getattr(datasets, f"load_{name}")())

    return load


def _diamonds():
    """Diamonds with the logarithm of their price."""
    return tuple(part.assign(price=np.log(part["price"])) for part in _public("diamonds")())


def _lightgbm_example(kind: str):
    """One of LightGBM's examples; a fifth of its training rows validates."""

    def load():
        from tabtext.datasets.splits import shuffled_split

        folder = Path(os.environ["TABTEXT_DATA"]) / "lightgbm_examples"
        rows = pd.read_parquet(folder / f"{kind}_train.parquet")
        train, valid, _ = shuffled_split(len(rows), shares=(0.8, 0.2, 0.0))
        test = pd.read_parquet(folder / f"{kind}_test.parquet")
        return rows.iloc[train], rows.iloc[valid], test

    return load


TABLES = {
    "adult": Table("income", "auc", _public("adult")),
    "california": Table("MedHouseVal", "rmse", _public("california")),
    "diamonds": Table("price", "rmse", _diamonds),
    "otto": Table("target", "log_loss", _public("otto")),
    "two classes": Table("y", "auc", _lightgbm_example("binary")),
    "five classes": Table("y", "log_loss", _lightgbm_example("multiclass")),
}


def export(table: Table, place: Path) -> Path:
    """Write the parts of a data set to a folder, unless they are there; return the folder."""
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"{part}.parquet" for part in PARTS]
    if not all(path.exists() for path in paths):
        for path, frame in zip(paths, table.load(), strict=True):
            frame.to_parquet(path, index=False)
    return place


def read(place: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The parts that ``export`` wrote; categories are those of all parts together."""
    parts = [pd.read_parquet(place / f"{part}.parquet") for part in PARTS]
    for name, dtype in parts[0].dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):
            levels = sorted(set().union(*(part[name].cat.categories for part in parts)))
            shared = pd.CategoricalDtype(levels)
            for part in parts:
                part[name] = part[name].astype(shared)
    train, valid, test = parts
    return train, valid, test
