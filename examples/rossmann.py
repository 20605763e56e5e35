"""Daily sales of 1,115 shops, six weeks ahead: from seven tables to a saved model.

    python examples/rossmann.py path/to/rossmann

The folder holds Kaggle's tables of the Rossmann competition; if one is missing, the error says
where to get it. The score is the competition's: the root mean squared percentage error.
"""

import argparse

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
ROLES = {"Store": "categorical", "Date_week": "categorical"}


def with_features(splits: Splits) -> dict[str, pd.DataFrame]:
    """Add what the calendar and the days around each day say; closed days count for that."""
    frame = splits.together()
    frame["Holiday"] = (frame["StateHoliday"] != "0").astype("int8")
    frame = add_elapsed(frame, events=EVENTS, date="Date", by="Store")
    elapsed = [name for name in frame.columns if name.startswith("days_")]
    # None in sight (the table ends in September 2015) is no different from far away.
    frame[elapsed] = frame[elapsed].fillna(FAR_AWAY).clip(upper=FAR_AWAY)
    frame = add_rolling(
        frame, EVENTS, date="Date", by="Store", statistics=["sum"], direction="both"
    )
    frame = add_date_parts(frame, "Date", parts=["year", "month", "week", "day", "day_of_year"])
    return {str(name): part for name, part in frame.groupby("split", observed=True)}


def without_outliers(train: pd.DataFrame) -> pd.DataFrame:
    """Drop closed days, and the days beside long closures: sales there are unlike any other."""
    rules = ["Sales > 0", around("Open == 0", by="Store", min_length=5)]
    kept, report = prune(as_table(train), rules, max_share=0.2)
    print(report)
    return train[kept]


def only_features(part: pd.DataFrame) -> pd.DataFrame:
    """Leave out what is no feature: the date as such, and that the shop is open."""
    return part.drop(columns=["Date", "Open", "split"])


def rmspe(sales: pd.Series, predicted: np.ndarray) -> float:
    """Return the root mean squared percentage error."""
    return float(np.sqrt(np.mean((1 - predicted / sales.to_numpy()) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="default: $TABTEXT_DATA/rossmann")
    parser.add_argument("--out", default="runs/rossmann", help="where the model goes")
    arguments = parser.parse_args()

    parts = with_features(load_rossmann(arguments.folder))
    train = only_features(without_outliers(parts["train"]))
    valid, test = (only_features(parts[name].query("Sales > 0")) for name in ("valid", "test"))

    model = TabularRegressor(target_transform="log", roles=ROLES)
    model.fit(train, target="Sales", validation=valid)
    for name, part in (("valid", valid), ("test", test)):
        print(f"RMSPE on {name}: {rmspe(part['Sales'], model.predict(part)):.4f}")
    model.save(arguments.out)
    print(f"saved to {arguments.out}; `tabtext inspect {arguments.out}` describes it")


if __name__ == "__main__":
    main()
