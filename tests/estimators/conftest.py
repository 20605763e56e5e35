"""Small frames and one fitted model of each kind, shared by the tests of this folder."""

import numpy as np
import pandas as pd
import pytest

from tabtext.estimators import TabularClassifier, TabularRegressor

QUICK = {
    "epochs": 2,
    "hidden": (16,),
    "verbose": 0,
    "batch_size": 64,
    "date_parts": True,  # all parts, whose values have few rows each in tables as small as these
}


def shops(n_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Sales of shops with a category, a gap, a date and a flag, which all tell something."""
    generator = np.random.default_rng(seed)
    state = generator.choice(["BY", "HE", "NW"], n_rows)
    distance = generator.exponential(1000, n_rows).round(1)
    promo = generator.random(n_rows) < 0.4
    days = generator.integers(0, 365, n_rows).astype("timedelta64[D]")
    date = np.datetime64("2015-01-01", "ns") + days
    base = pd.Series(state).map({"BY": 5.0, "HE": 7.0, "NW": 9.0}).to_numpy()
    sales = base + 2 * promo - distance / 1000 + generator.normal(0, 0.3, n_rows) + 5
    frame = pd.DataFrame(
        {"State": state, "Distance": distance, "Promo": promo, "Date": date, "Sales": sales}
    )
    frame.loc[generator.random(n_rows) < 0.1, "Distance"] = np.nan
    return frame


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return shops()


@pytest.fixture(scope="session")
def regressor(frame: pd.DataFrame) -> TabularRegressor:
    return TabularRegressor(**QUICK).fit(frame, target="Sales")


@pytest.fixture(scope="session")
def classifier(frame: pd.DataFrame) -> TabularClassifier:
    return TabularClassifier(**QUICK).fit(frame.drop(columns="State"), frame["State"])
