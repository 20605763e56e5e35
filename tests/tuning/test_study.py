"""Files of studies: what they may be continued with, and what is no study."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from tabtext.errors import FileFormatError, ParameterError, SaveError
from tabtext.estimators import TabularClassifier
from tabtext.tuning import tune
from tabtext.tuning.study import locked, new_sampler, open_study, quiet
from tests.estimators.conftest import shops
from tests.tuning.conftest import MADE_WITH, SMALL, small


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> Path:
    """A study of one trial."""
    path = tmp_path_factory.mktemp("study") / "sub" / "study.db"
    tune(small(), frame, target="Sales", n_trials=1, study=path)
    return path


def changed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(Distance=frame["Distance"] + 1)


@pytest.mark.parametrize(
    ("data", "target", "message"),
    [
        (lambda frame: frame, "Distance", r"another target \(Sales, now Distance\)"),
        (lambda frame: frame[:-1], "Sales", r"another number of rows \(400, now 399\)"),
        (lambda frame: frame.drop(columns="Promo"), "Sales", "'Promo' was bool, and is not there"),
        (lambda frame: frame.astype({"Promo": int}), "Sales", "'Promo' was bool, and is int64"),
        (changed, "Sales", "another values of the table"),
    ],
)
def test_another_table_is_refused(
    data: Any, target: str, message: str, frame: pd.DataFrame, studied: Path
) -> None:
    with pytest.raises(ParameterError, match=message):
        tune(small(), data(frame), target=target, n_trials=2, study=studied)


def test_other_settings_are_refused(frame: pd.DataFrame, studied: Path) -> None:
    def search(model: Any, **options: Any) -> None:
        tune(model, frame, target="Sales", n_trials=2, study=studied, **options)

    with pytest.raises(ParameterError, match="epochs=2, and the estimator has epochs=3 now"):
        search(small().set_params(epochs=3))
    with pytest.raises(ParameterError, match="monitor='valid_loss'"):
        search(small().set_params(monitor="rmse"))
    with pytest.raises(ParameterError, match=r"another estimator \(TabularRegressor, now Tab"):
        tune(TabularClassifier(**SMALL), frame, target="Sales", study=studied)
    with pytest.raises(ParameterError, match="another sample weights"):
        search(small(), sample_weight=np.ones(len(frame)))
    with pytest.raises(ParameterError, match="another validation rows"):
        search(small(), validation=shops(50, seed=1))


def test_what_changes_no_score_may_change(frame: pd.DataFrame, studied: Path) -> None:
    polars = pytest.importorskip("polars")
    model = small().set_params(device="auto", verbose=1)

    result = tune(model, polars.from_pandas(frame), target="Sales", n_trials=1, study=studied)

    assert len(result.trials) == 1


def test_what_is_no_study_is_told(tmp_path: Path, frame: pd.DataFrame) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE studies (a INTEGER)")
    other.close()

    for name in ("table.csv", "other.db"):
        with pytest.raises(FileFormatError, match=f"{name} cannot be used as a study"):
            tune(small(), frame, target="Sales", study=tmp_path / name)
    with pytest.raises(SaveError, match="is a directory; name a file"):
        tune(small(), frame, target="Sales", study=tmp_path)
    with pytest.raises(SaveError, match="cannot write the study"):
        tune(small(), frame, target="Sales", study=tmp_path / "table.csv" / "study.db")


def test_the_lock_is_held_by_one_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabtext.tuning.study._SECONDS_FOR_LOCK", 0.05)

    with locked(file), pytest.raises(sqlite3.OperationalError, match="locked"), locked(file):
        pass
    with locked(file):
        pass


def test_every_trial_draws_with_a_seed_of_its_own() -> None:
    def first(seed: int, number: int) -> float:
        study = optuna.create_study(sampler=new_sampler(seed, number))
        return study.ask().suggest_float("x", 0, 1)

    drawn = [first(seed, number) for seed in (0, 1) for number in (0, 1, 2)]

    assert len(set(drawn)) == 6
    assert first(0, 1) == drawn[1]


def test_optuna_speaks_again_after_a_search() -> None:
    before = optuna.logging.get_verbosity()

    with quiet():
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
        open_study(None, MADE_WITH, greater_is_better=True)

    assert optuna.logging.get_verbosity() == before
