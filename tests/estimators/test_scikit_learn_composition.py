"""Estimators inside what scikit-learn builds of estimators, with real fits on real flights."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tabtext import TabularClassifier, TabularPreprocessor, TabularRegressor
from tabtext.datasets import load_flights

QUICK = {
    "hidden": (16,),
    "n_members": 2,
    "epochs": 3,
    "batch_size": 64,
    "learning_rate": 0.02,
    "numeric_embedding": "none",
    "date_parts": ["hour"],
    "verbose": 0,
}
COLUMNS = ["carrier", "origin", "distance", "scheduled_departure", "dep_delay"]


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    flights = load_flights("valid").dropna(subset=["arr_delay", "dep_delay"])
    return flights.sample(600, random_state=0)


@pytest.fixture(scope="module")
def columns(flights: pd.DataFrame) -> pd.DataFrame:
    return flights[COLUMNS]


@pytest.fixture(scope="module")
def minutes(flights: pd.DataFrame) -> pd.Series:
    return flights["arr_delay"]


@pytest.fixture(scope="module")
def late(minutes: pd.Series) -> "pd.Series[str]":
    return minutes.gt(15).map({True: "late", False: "in time"})


def test_clones_learn_the_same_and_share_nothing(columns: pd.DataFrame, minutes: pd.Series) -> None:
    first = TabularRegressor(**QUICK).fit(columns, minutes)
    second = clone(first)

    assert not hasattr(second, "model_")
    np.testing.assert_array_equal(
        second.fit(columns, minutes).predict(columns), first.predict(columns)
    )


def test_a_grid_is_searched(columns: pd.DataFrame, late: Any) -> None:
    grid = {"hidden": [(4,), (32,)], "epochs": [1, 4]}

    search = GridSearchCV(TabularClassifier(**QUICK), grid, cv=2, scoring="neg_log_loss")
    search.fit(columns, late)

    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 4  # every point of the grid was a fit of its own
    assert search.best_params_ == search.cv_results_["params"][int(np.argmax(scores))]
    assert search.score(columns, late) == max(search.score(columns, late), scores.min())
    assert search.best_estimator_.hidden == search.best_params_["hidden"]


def test_cross_validation_scores_each_fold(columns: pd.DataFrame, minutes: pd.Series) -> None:
    scores = cross_val_score(TabularRegressor(**QUICK), columns, minutes, cv=3)

    assert scores.shape == (3,)
    assert (scores > 0.5).all()  # R²; the delay at departure tells most


def test_a_pipeline_ends_in_an_estimator(columns: pd.DataFrame, late: Any) -> None:
    model = make_pipeline(TabularPreprocessor(date_parts=["hour"]), TabularClassifier(**QUICK))

    model.fit(columns, late)

    assert model.classes_.tolist() == ["in time", "late"]
    assert model.score(columns, late) > 0.85


def test_a_preprocessor_feeds_other_models(columns: pd.DataFrame, minutes: pd.Series) -> None:
    trees = HistGradientBoostingRegressor(max_iter=20)

    model = make_pipeline(TabularPreprocessor(), trees).fit(columns, minutes)

    assert model.score(columns, minutes) > 0.5


def test_a_column_transformer_gives_each_step_its_columns(
    columns: pd.DataFrame, minutes: pd.Series
) -> None:
    parts = ColumnTransformer(
        [
            ("labels", TabularPreprocessor(date_parts=["hour"]), COLUMNS[:-1]),
            ("delay", StandardScaler(), ["dep_delay"]),
        ]
    )
    model = make_pipeline(parts, LinearRegression()).fit(columns, minutes)

    assert parts.get_feature_names_out().tolist()[:2] == ["labels__carrier", "labels__origin"]
    assert parts.get_feature_names_out()[-1] == "delay__dep_delay"
    assert model.score(columns, minutes) > 0.5


def test_a_column_transformer_leaves_the_rest_to_the_estimator(
    columns: pd.DataFrame, minutes: pd.Series
) -> None:
    scaled = ColumnTransformer(
        [("delay", StandardScaler(), ["dep_delay"])], remainder="passthrough"
    )
    model = make_pipeline(scaled.set_output(transform="pandas"), TabularRegressor(**QUICK))

    model.fit(columns, minutes)

    assert "remainder__carrier" in model[-1].preprocessor_.categorical_names_
    assert model.score(columns, minutes) > 0.5


def test_probabilities_are_calibrated(columns: pd.DataFrame, late: Any) -> None:
    model = CalibratedClassifierCV(TabularClassifier(**QUICK), cv=2)

    model.fit(columns, late)

    probabilities = model.predict_proba(columns)
    assert model.classes_.tolist() == ["in time", "late"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert abs(probabilities[:, 1].mean() - late.eq("late").mean()) < 0.05


def test_flights_are_stacked_and_voted_on(
    columns: pd.DataFrame, late: Any, minutes: pd.Series
) -> None:
    codes = make_pipeline(TabularPreprocessor(), HistGradientBoostingClassifier(max_iter=10))
    stack = StackingClassifier([("network", TabularClassifier(**QUICK)), ("trees", codes)], cv=2)
    line = make_pipeline(TabularPreprocessor(), LinearRegression())
    vote = VotingRegressor([("network", TabularRegressor(**QUICK)), ("line", line)])

    assert stack.fit(columns, late).score(columns, late) > 0.85
    assert vote.fit(columns, minutes).score(columns, minutes) > 0.5


def test_targets_are_transformed_around_the_estimator(
    columns: pd.DataFrame, minutes: pd.Series
) -> None:
    model = TransformedTargetRegressor(TabularRegressor(**QUICK), transformer=StandardScaler())

    assert model.fit(columns, minutes).score(columns, minutes) > 0.5


def test_out_of_fold_probabilities_come_from_cross_validation(
    columns: pd.DataFrame, late: Any
) -> None:
    probabilities = cross_val_predict(
        TabularClassifier(**QUICK), columns, late, cv=2, method="predict_proba"
    )

    assert probabilities.shape == (len(columns), 2)
    assert (probabilities.argmax(axis=1) == late.eq("late")).mean() > 0.8


def test_arrays_go_through_ensembles_without_a_warning(
    columns: pd.DataFrame, late: Any, minutes: pd.Series
) -> None:
    array = columns[["distance", "dep_delay"]].to_numpy()
    quick = QUICK | {"date_parts": True}
    stack = StackingClassifier([("network", TabularClassifier(**quick))], cv=2)
    calibrated = CalibratedClassifierCV(TabularClassifier(**quick), cv=2)
    vote = VotingRegressor([("network", TabularRegressor(**quick))])

    for model, y in ((stack, late), (calibrated, late), (vote, minutes)):
        assert len(model.fit(array, y).predict(array[:3])) == 3
