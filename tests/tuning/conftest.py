"""A small estimator, a space that is quick to search, and trials that are ours to run."""

from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from tabtext.estimators import TabularRegressor
from tabtext.tuning.study import open_study
from tabtext.tuning.trials import Trials
from tests.estimators.conftest import shops

SMALL: dict[str, Any] = {
    "epochs": 2, "hidden": (16,), "n_members": 2, "n_bins": 8, "numeric_width": 2,
    "batch_size": 64, "verbose": 0, "random_state": 3,
}  # fmt: skip

MADE_WITH: dict[str, Any] = {
    "estimator": "TabularRegressor", "targets": ["Sales"], "columns": {"Sales": "double"},
    "rows": 3, "values": "a", "weights": None, "validation": None, "parameters": {"epochs": 2},
}  # fmt: skip


def rates(trial: optuna.Trial) -> dict[str, Any]:
    """A space of one parameter."""
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)}


def small() -> TabularRegressor:
    return TabularRegressor(**SMALL)


def new_trials(path: Path | None, n_trials: int = 3, **options: Any) -> Trials:
    """Trials of a study that is judged by a number of our own."""
    study = open_study(path, MADE_WITH, greater_is_better=False)
    return Trials(study, path, n_trials, seed=0, own={"x": 1.0}, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return shops()
