"""What ``preset`` leaves to ``"auto"``, and what stays as it was given."""

from typing import Any

import pandas as pd
import pytest

from tabtext.errors import ParameterError
from tabtext.estimators import TabTextClassifier, TabularClassifier, TabularRegressor
from tabtext.estimators.presets import PRESETS
from tests.estimators.conftest import QUICK


def test_a_fast_fit_is_one_network_for_fewer_steps() -> None:
    rows = 30_000
    fast, default = (TabularClassifier(preset=name) for name in ("fast", "default"))

    assert fast.network_options(rows).n_members == PRESETS["fast"].n_members == 1
    assert fast.training_options(rows).learning_rate == PRESETS["fast"].learning_rate
    assert fast.network_options(rows).hidden == PRESETS["fast"].hidden
    assert fast.rows_per_batch(rows) > default.rows_per_batch(rows)
    assert fast.training_options(rows).epochs < default.training_options(rows).epochs
    assert fast.count_networks() == default.count_networks() == 1


def test_the_best_is_several_networks_of_the_default() -> None:
    best, default = (TabularRegressor(preset=name) for name in ("best", "default"))

    assert best.count_networks() == 5
    assert best.network_options(10_000) == default.network_options(10_000)
    assert best.training_options(10_000) == default.training_options(10_000)


def test_what_is_given_stays() -> None:
    given: dict[str, Any] = {
        "n_members": 3,
        "hidden": (8,),
        "learning_rate": 0.1,
        "epochs": 2,
        "batch_size": 32,
        "n_folds": 2,
    }
    model = TabularRegressor(preset="fast", **given)

    assert model.network_options(10_000).n_members == 3
    assert model.network_options(10_000).hidden == (8,)
    assert model.training_options(10_000).learning_rate == 0.1
    assert model.training_options(10_000).epochs == 2
    assert model.rows_per_batch(10_000) == 32
    assert model.count_networks() == 2


@pytest.mark.parametrize("rows", [2, 100, 5_000, 500_000])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_settings_for_any_number_of_rows(preset: Any, rows: int) -> None:
    model = TabularClassifier(preset=preset)

    assert model.training_options(rows).epochs >= 1
    assert isinstance(model.rows_per_batch(rows), int)


@pytest.mark.parametrize(
    "wrong", [{"preset": "fats"}, {"preset": None}, {"learning_rate": "high"}, {"n_members": "all"}]
)
def test_wrong_words_are_told_before_any_work(frame: pd.DataFrame, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        TabularRegressor(**{**QUICK, **wrong}).fit(frame, target="Sales")


def test_the_rate_is_found_for_a_preset_too(frame: pd.DataFrame) -> None:
    curve = TabularRegressor(preset="best", verbose=0).find_learning_rate(frame, target="Sales")

    assert curve.steep > 0


def test_few_rows_are_learned_in_small_batches_unless_there_are_texts() -> None:
    assert TabularClassifier().rows_per_batch(1_000) == 16
    assert TabularClassifier(preset="fast").rows_per_batch(1_000) == 64
    assert TabTextClassifier().rows_per_batch(1_000) == 64
    assert TabTextClassifier(preset="fast").rows_per_batch(1_000) == 256
