"""``validation_rows_``: which of the given rows a fit has set aside."""

import numpy as np
import pandas as pd

from tabtext.estimators import TabularRegressor
from tests.estimators.conftest import QUICK


def test_the_rows_set_aside_are_numbered_as_they_were_given(frame: pd.DataFrame) -> None:
    rows = frame.assign(Sales=frame["Sales"].where(np.arange(len(frame)) >= 50))  # 50 are dropped

    model = TabularRegressor(**QUICK).fit(rows, target="Sales")

    chosen = model.validation_rows_
    assert chosen is not None
    assert len(chosen) == model.card_["rows"]["valid"] == 35
    assert chosen.min() >= 50
    best = model.history_.epochs[model.history_.best_epoch or 0]
    assert np.isclose(model.evaluate(rows.iloc[chosen])["rmse"], best.metrics["rmse"])


def test_rows_that_were_given_for_validation_are_not_numbered(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK).fit(frame[:300], target="Sales", validation=frame[300:])

    assert model.validation_rows_ is None


def test_without_validation_rows_there_are_none(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK, validation_fraction=0.0).fit(frame, target="Sales")

    assert model.validation_rows_ is None
