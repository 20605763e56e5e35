"""Estimators in scikit-learn's ensembles of models, with categories, gaps, dates and labels."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)

from tabtext.estimators import TabularClassifier, TabularRegressor
from tests.estimators.conftest import QUICK

TREES = {"categorical_features": "from_dtype", "max_iter": 5}


@pytest.fixture(scope="module")
def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """What both sides read: a category with gaps, a number with gaps, and a flag."""
    state = frame["State"].astype("category").mask(frame.index % 7 == 0)
    return frame[["Distance", "Promo"]].assign(State=state)


@pytest.fixture(scope="module")
def labels(frame: pd.DataFrame) -> np.ndarray:
    return np.where(frame["Sales"] > 11, "high", "low")


def classifiers() -> list[tuple[str, Any]]:
    trees = HistGradientBoostingClassifier(**TREES)
    return [("tabtext", TabularClassifier(**QUICK)), ("trees", trees)]


def regressors() -> list[tuple[str, Any]]:
    trees = HistGradientBoostingRegressor(**TREES)
    return [("tabtext", TabularRegressor(**QUICK)), ("trees", trees)]


def test_classifiers_with_labels_of_text_stack(rows: pd.DataFrame, labels: np.ndarray) -> None:
    stack = StackingClassifier(classifiers(), cv=2).fit(rows, labels)

    assert stack.classes_.tolist() == ["high", "low"]
    assert stack.transform(rows).shape == (len(rows), 2)
    assert stack.score(rows, labels) > 0.8


def test_regressors_stack(rows: pd.DataFrame, frame: pd.DataFrame) -> None:
    stack = StackingRegressor(regressors(), cv=2).fit(rows, frame["Sales"])

    assert stack.score(rows, frame["Sales"]) > 0.5


def test_a_stack_with_passthrough_ends_in_a_model_that_reads_the_table(
    rows: pd.DataFrame, frame: pd.DataFrame, labels: np.ndarray
) -> None:
    # scikit-learn makes one array of objects from predictions and columns.
    of_classes = StackingClassifier(
        classifiers(), TabularClassifier(**QUICK), cv=2, passthrough=True
    )
    of_values = StackingRegressor(regressors(), TabularRegressor(**QUICK), cv=2, passthrough=True)

    of_classes.fit(rows, labels)
    of_values.fit(rows, frame["Sales"])

    assert of_classes.final_estimator_.n_features_in_ == 2 + rows.shape[1]
    assert of_classes.predict_proba(rows[:5]).shape == (5, 2)
    assert of_values.predict(rows[:5]).shape == (5,)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_classifiers_vote(voting: str, rows: pd.DataFrame, labels: np.ndarray) -> None:
    vote = VotingClassifier(classifiers(), voting=voting).fit(rows, labels)

    assert set(vote.predict(rows[:20])) <= {"high", "low"}


def test_regressors_vote(rows: pd.DataFrame, frame: pd.DataFrame) -> None:
    vote = VotingRegressor(regressors()).fit(rows, frame["Sales"])

    parts = [model.predict(rows[:5]) for model in vote.estimators_]
    np.testing.assert_allclose(vote.predict(rows[:5]), np.mean(parts, axis=0), rtol=1e-6)


def test_dates_weights_and_fitted_models_stack(frame: pd.DataFrame, labels: np.ndarray) -> None:
    columns = frame.drop(columns="Sales")
    network = TabularClassifier(**QUICK)
    weights = np.linspace(0.5, 1.5, len(columns))

    weighted = StackingClassifier([("tabtext", network)], cv=2)
    weighted.fit(columns, labels, sample_weight=weights)
    fitted = StackingClassifier([("tabtext", network.fit(columns, labels))], cv="prefit")
    fitted.fit(columns, labels)

    for stack in (weighted, fitted):
        assert stack.predict_proba(columns[:5]).shape == (5, 2)
