"""``tune``: what it tries, what it finds, what it refuses."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

import tabtext
from tabtext.errors import DataError, ParameterError, UnknownColumnError
from tabtext.estimators import LanguageModel, TabularClassifier, TabularRegressor, TextClassifier
from tabtext.tuning import tune
from tests.estimators.conftest import shops
from tests.tuning.conftest import SMALL, rates, small


def test_the_first_trial_is_the_estimator_itself_bit_for_bit(frame: pd.DataFrame) -> None:
    plain = small().fit(frame, target="Sales")

    result = tune(small(), frame, target="Sales", n_trials=1)

    assert result.best_trial == 0
    assert result.best_parameters == {}
    assert result.best_score == plain.card_["metrics"]["loss"]
    found = result.best_estimator()
    np.testing.assert_array_equal(found.predict(frame), plain.predict(frame))
    assert found.get_params() == plain.get_params()


def test_the_best_estimator_is_that_of_its_trial_bit_for_bit(frame: pd.DataFrame) -> None:
    result = tune(small(), frame, target="Sales", n_trials=4)

    model = result.best_estimator()

    assert result.best_trial > 0  # a wider network does better here
    assert model.card_["metrics"]["loss"] == result.best_score == result.trials["score"].min()
    assert {name: model.get_params()[name] for name in result.best_parameters} == (
        result.best_parameters
    )


def test_the_estimator_given_stays_as_it_was(frame: pd.DataFrame) -> None:
    model = small()
    before = dict(vars(model))

    tune(model, frame, target="Sales", n_trials=2)

    assert vars(model) == before


def test_a_search_is_repeated_by_its_seed(frame: pd.DataFrame) -> None:
    one, two = (tune(small(), frame, target="Sales", n_trials=3).trials for _ in range(2))

    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"))


def test_a_search_in_parts_is_the_search_in_one(frame: pd.DataFrame, file: Path) -> None:
    whole = tune(small(), frame, target="Sales", n_trials=4).trials
    for n_trials in (1, 3, 4, 4):
        parts = tune(small(), frame, target="Sales", n_trials=n_trials, study=file).trials
        assert len(parts) == n_trials

    pd.testing.assert_frame_equal(whole.drop(columns="seconds"), parts.drop(columns="seconds"))


def test_y_validation_and_weights_are_those_of_fit(frame: pd.DataFrame) -> None:
    features, sales = frame.drop(columns="Sales"), frame["Sales"]
    weight = np.linspace(0.5, 2, len(frame))
    new = shops(60, seed=1)
    valid = (new.drop(columns="Sales"), new["Sales"])
    options: dict[str, Any] = {"sample_weight": weight, "validation": valid}

    result = tune(small(), features, sales, n_trials=1, **options)

    plain = small().fit(features, sales, **options)
    assert result.best_score == plain.card_["metrics"]["loss"]
    assert result.best_estimator().card_["rows"]["valid"] == 60


def test_files_are_read(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "train.parquet")
    shops(60, seed=1).to_parquet(tmp_path / "valid.parquet")

    result = tune(
        small(), tmp_path / "train.parquet", target="Sales",
        validation=str(tmp_path / "valid.parquet"), n_trials=1, study=str(tmp_path / "s.db"),
    )  # fmt: skip

    assert result.best_estimator().card_["rows"]["valid"] == 60


def test_a_monitor_that_should_rise_is_maximised(frame: pd.DataFrame) -> None:
    model = TabularClassifier(**{**SMALL, "monitor": "accuracy"})

    result = tune(model, frame, target="State", n_trials=4, search_space=rates)

    complete = result.trials.query("state == 'complete'")
    assert result.best_score == complete["score"].max()
    assert result.greater_is_better
    assert result.best_estimator().card_["metrics"]["accuracy"] == result.best_score


def test_a_trial_that_does_worse_than_the_median_is_pruned(frame: pd.DataFrame) -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        rate = trial.suggest_float("learning_rate", 1e-9, 1e-2)
        return {"learning_rate": rate if trial.number < 3 else 1e-9}

    model = small().set_params(epochs=4)
    result = tune(model, frame, target="Sales", n_trials=5, search_space=space)

    assert result.trials["state"].tolist() == ["complete"] * 3 + ["pruned"] * 2
    assert result.best_trial < 3


def test_a_trial_that_diverges_is_noted_and_the_search_goes_on(frame: pd.DataFrame) -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_float("learning_rate", 1e-3, 1e30)
        return {"learning_rate": 1e30, "clip_norm": None}

    result = tune(small(), frame, target="Sales", n_trials=2, search_space=space)

    assert result.trials["state"].tolist() == ["complete", "diverged"]


def test_a_search_without_one_complete_trial_says_so(frame: pd.DataFrame) -> None:
    model = small().set_params(learning_rate=1e30, clip_norm=None)

    with pytest.raises(DataError, match="no trial came to its end; trial 0 diverged"):
        tune(model, frame, target="Sales", n_trials=1)


def test_time_that_is_up_ends_the_search_after_the_first_trial(frame: pd.DataFrame) -> None:
    result = tune(small(), frame, target="Sales", n_trials=50, max_time=0.001)

    assert len(result.trials) == 1


def test_importances_come_with_enough_trials(frame: pd.DataFrame) -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_float("nothing", 0, 1)
        return rates(trial)

    # A single epoch is over before it could be pruned.
    model = small().set_params(epochs=1)
    result = tune(model, frame, target="Sales", n_trials=8, search_space=space)

    assert result.importances is None  # the first one knows nothing of "nothing"
    result = tune(model, frame, target="Sales", n_trials=9, search_space=space)
    assert result.importances is not None
    assert set(result.importances) == {"learning_rate", "nothing"}
    assert sum(result.importances.values()) == pytest.approx(1)


def test_progress_is_a_line_for_every_trial(
    frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(small().set_params(verbose=1), frame, target="Sales", n_trials=2)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("trial 1: complete  valid_loss ")


def test_text_estimators_take_a_space_of_ones_own() -> None:
    rows = tabtext.datasets.load_snippets("movies")[:60]
    model = TextClassifier(
        language_model=None, ngrams=0, embedding_width=16, hidden_width=24, epochs=1,
        monitor="accuracy", verbose=0,
    )  # fmt: skip

    result = tune(model, rows["text"], rows["rating"] > 0, n_trials=2, search_space=rates)

    assert result.trials["state"].tolist() == ["complete"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trials": 0}, "n_trials=0 must be a whole number of at least 1"),
        ({"max_time": "soon"}, "max_time='soon' is no duration"),
        ({"search_space": {"dropout": 1}}, "is no function of a trial"),
        ({"estimator": TextClassifier()}, "there is no search space for TextClassifier"),
        ({"estimator": LanguageModel()}, "needs an estimator with a target"),
        ({"estimator": TabularRegressor}, "needs an estimator with a target"),
        ({"estimator": TabularRegressor(validation_fraction=0)}, "judged by validation rows"),
        ({"estimator": TabularRegressor(monitor="rsme")}, "did you mean 'rmse'"),
        ({"estimator": TabularRegressor(n_bins=0)}, "n_bins=0"),
        ({"estimator": TabularRegressor(preset="best")}, "or n_folds=1"),
    ],
)
def test_wrong_arguments_are_told_before_work_begins(
    options: dict[str, Any], message: str, frame: pd.DataFrame, file: Path
) -> None:
    given = {"estimator": small(), **options}

    with pytest.raises(ParameterError, match=message):
        tune(given.pop("estimator"), frame, target="Sales", study=file, **given)

    assert not file.exists()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"droput": 0.1}, "'droput', which is no parameter of TabularRegressor; did you mean"),
        ({"random_state": 1}, "'random_state', which must be the same in all trials"),
        ({"target_transform": "log"}, "set the estimator's monitor to a metric"),
        (0.1, "it must return a mapping"),
        ({"n_bins": -1}, "n_bins=-1"),
    ],
)
def test_a_space_that_returns_nonsense_stops_the_search(
    found: Any, message: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(ParameterError, match=message):
        tune(small(), frame, target="Sales", n_trials=2, search_space=lambda trial: found)


def test_a_wrong_column_is_told_as_fit_tells_it(frame: pd.DataFrame) -> None:
    with pytest.raises(UnknownColumnError, match="did you mean 'Sales'"):
        tune(small(), frame, target="Slaes")


def test_a_metric_of_another_task_stops_the_first_trial(frame: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="monitor='accuracy' is not measured"):
        tune(small().set_params(monitor="accuracy"), frame, target="Sales")


def test_torchrun_is_refused(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(ParameterError, match="without torchrun"):
        tune(small(), frame, target="Sales")


def test_without_optuna_the_error_says_how_to_get_it(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(ParameterError, match=r"pip install 'tabtext\[tune\]'"):
        tune(small(), frame, target="Sales")
