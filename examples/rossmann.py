"""Daily sales of 1,115 shops, six weeks ahead: from seven tables to a saved model.

    python examples/rossmann.py path/to/rossmann

The folder holds Kaggle's tables of the Rossmann competition; if one is missing, the error says
where to get it. The score is the competition's: the root mean squared percentage error.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tabtext import TabularRegressor
from tabtext.datasets import load_rossmann
from tabtext.datasets.splits import Splits
from tabtext.tables import as_table
from tabtext.tabular.features import add_date_parts, add_elapsed, add_rolling
from tabtext.tabular.outliers import around, prune

EVENTS = ["Promo", "SchoolHoliday", "Holiday"]
FAR_AWAY = 60  # days
# No features: the date as such, that the shop is open, and what the fast.ai lesson leaves out too.
UNUSED = [
    "Date", "Open", "split", "Promo2", "Promo2SinceWeek", "Promo2Days", "CompetitionDaysOpen",
    "CompetitionOpenSinceMonth", "Dew_PointC", "MeanDew_PointC", "Min_DewpointC",
    "Max_Sea_Level_PressurehPa", "Mean_Sea_Level_PressurehPa", "Min_Sea_Level_PressurehPa",
    "Max_VisibilityKm", "Mean_VisibilityKm", "Min_VisibilitykM", "Max_Gust_SpeedKm_h",
    "Precipitationmm", "WindDirDegrees",
]  # fmt: skip
CATEGORIES = [
    "Store",
    "Date_month",
    "Date_week",
    "Date_day",
    "CompetitionMonthsOpen",
    "Promo2Weeks",
]
ROLES = dict.fromkeys(CATEGORIES, "categorical")  # as in the lesson
MODEL = {"target_transform": "log", "roles": ROLES, "exclude": UNUSED}


def of_stores(splits: Splits, last: int) -> Splits:
    """Return the days of the first stores; they know nothing of the others."""

    def kept(days: pd.DataFrame) -> pd.DataFrame:
        return days[days["Store"] <= last]

    parts = map(kept, splits)
    return Splits(splits.name, *parts, target=splits.target, unlabelled=kept(splits.unlabelled))


def with_features(splits: Splits) -> dict[str, pd.DataFrame]:
    """Add what the calendar and the days around each day say; closed days count for that."""
    rows = splits.together()
    rows["Holiday"] = (rows["StateHoliday"] != "0").astype("int8")
    rows = add_elapsed(rows, events=EVENTS, date="Date", by="Store")
    elapsed = [name for name in rows.columns if name.startswith("days_")]
    # None in sight (the table ends in September 2015) is no different from far away.
    rows[elapsed] = rows[elapsed].fillna(FAR_AWAY).clip(upper=FAR_AWAY)
    rows = add_rolling(rows, EVENTS, date="Date", by="Store", statistics=["sum"], direction="both")
    rows = add_date_parts(rows, "Date", parts=["year", "month", "week", "day"])
    return {str(name): part for name, part in rows.groupby("split", observed=True)}


def without_outliers(train: pd.DataFrame) -> pd.DataFrame:
    """Drop closed days, and the days beside long closures: sales there are unlike any other."""
    rules = ["Sales > 0", around("Open == 0", by="Store", min_length=5)]
    kept, report = prune(as_table(train), rules, max_share=0.2)
    print(report)
    return train[kept]


def rmspe(sales: pd.Series, predicted: np.ndarray) -> float:
    """Return the root mean squared percentage error."""
    return float(np.sqrt(np.mean((1 - predicted / sales.to_numpy()) ** 2)))


def best_factor(sales: pd.Series, predicted: np.ndarray) -> float:
    """Return the factor for predictions with which that error is least.

    A model of the logarithm predicts about the median. This error forgives too little sooner than
    too much, because too little is off by the sales themselves at most; so the factor is below 1
    unless predictions are too low.
    """
    ratio = predicted / sales.to_numpy()
    return float(ratio.mean() / (ratio**2).mean())


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="default: $TABTEXT_DATA/rossmann")
    parser.add_argument("--stores", type=int, default=1115, help="use so many of them")
    parser.add_argument("--out", type=Path, default=Path("runs/rossmann"), help="for the model")
    arguments = parser.parse_args(argv)
    parts = with_features(of_stores(load_rossmann(arguments.folder), arguments.stores))
    train = without_outliers(parts["train"])
    valid, test = (parts[name].query("Sales > 0") for name in ("valid", "test"))

    model = TabularRegressor(**MODEL).fit(train, target="Sales", validation=valid)
    predicted = model.predict(valid)
    factor = best_factor(valid["Sales"], predicted)
    print(f"RMSPE on the validation weeks: {rmspe(valid['Sales'], predicted):.4f}")
    error = rmspe(valid["Sales"], factor * predicted)
    print(f"RMSPE with a factor of {factor:.3f}, the best for them: {error:.4f}")
    # The validation weeks have done what they are for, and nothing is more like the weeks to come.
    epochs = model.card_["recipe"]["best_epoch"]
    model = TabularRegressor(**{**MODEL, "epochs": epochs, "validation_fraction": 0})
    model.fit(pd.concat([train, valid], ignore_index=True), target="Sales")
    error = rmspe(test["Sales"], factor * model.predict(test))
    print(f"RMSPE on the test weeks, with that factor: {error:.4f}")
    model.save(arguments.out)
    print(f"saved; `tabtext inspect {arguments.out}` describes the model")


if __name__ == "__main__":
    main()
