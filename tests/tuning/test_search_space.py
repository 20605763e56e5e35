"""The space of tabular estimators, and what the estimator's own settings are called in it."""

from typing import Any

import optuna
import pandas as pd
import pytest

from tabtext.estimators import TabularClassifier, TabularRegressor
from tabtext.estimators.tabular_parameters import TabularParameters
from tabtext.tables import as_table
from tabtext.tabular.schema import infer_schema
from tabtext.tuning.search_space import TabularSpace, note_own_values, own_values


def space_of(estimator: TabularParameters, frame: pd.DataFrame) -> TabularSpace:
    return TabularSpace.of(estimator, infer_schema(as_table(frame), targets=["Sales"]))


def noted(estimator: TabularParameters, frame: pd.DataFrame) -> dict[str, Any]:
    """What a first trial records."""
    study, own = optuna.create_study(), own_values(estimator, 10_000)
    study.enqueue_trial(own)
    trial = study.ask()
    note_own_values(space_of(estimator, frame), trial, own)
    return trial.params


@pytest.mark.parametrize(
    "estimator",
    [TabularRegressor(), TabularClassifier(), TabularRegressor(network="mlp")],
    ids=["regressor", "classifier", "mlp"],
)
def test_all_defaults_lie_in_the_space(estimator: TabularParameters, frame: pd.DataFrame) -> None:
    drawn = set(space_of(estimator, frame)(optuna.create_study().ask()))
    shape = estimator.network_options(10_000)

    own = noted(estimator, frame)

    assert own["learning_rate"] == estimator.training_options(10_000).learning_rate
    assert (own["hidden_width"], own["n_hidden_layers"]) == (shape.hidden[0], len(shape.hidden))
    assert len(own) == len(drawn) + 1  # hidden has two


def test_what_the_space_cannot_express_is_not_recorded(frame: pd.DataFrame) -> None:
    estimator = TabularRegressor(
        learning_rate=(1e-4, 1e-3), hidden=(100, 90), dropout=0.13, n_bins=1000
    )

    own = noted(estimator, frame)

    assert set(own) == {"weight_decay", "numeric_width", "embedding_dropout"}


def test_choices_of_a_space_of_ones_own_are_recorded() -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_categorical("numeric_embedding", ["none", "piecewise_linear"])
        trial.suggest_categorical("scaling", ["robust", "quantile"])
        return {"min_count": trial.suggest_int("min_count", 1, 10), "n": trial.number}

    study, own = optuna.create_study(), own_values(TabularRegressor(), 100)
    study.enqueue_trial(own)
    trial = study.ask()

    note_own_values(space, trial, own)

    assert trial.params == {"numeric_embedding": "piecewise_linear", "min_count": 1}


def test_only_what_the_columns_need_is_searched(frame: pd.DataFrame) -> None:
    def names(frame: pd.DataFrame, **parameters: Any) -> set[str]:
        return set(space_of(TabularRegressor(**parameters), frame)(optuna.create_study().ask()))

    everywhere = {"learning_rate", "weight_decay", "hidden", "dropout"}
    numbers, categories = {"n_bins", "numeric_width"}, {"embedding_dropout"}
    assert names(frame[["Distance", "Sales"]]) == everywhere | numbers
    assert names(frame[["State", "Sales"]]) == everywhere | categories
    assert names(frame[["Date", "Sales"]]) == everywhere | numbers | categories
    plain = names(frame[["Distance", "Sales"]], numeric_embedding="none")
    assert plain == everywhere
    periodic = names(frame[["Distance", "Sales"]], numeric_embedding="periodic")
    assert periodic == everywhere | {"numeric_width"}
