"""Delays of flights from New York: how many minutes, how sure, and whether it will be late at all.

    python examples/flights.py

The flights of 2013 ship with tabtext. Both models learn from January to October, November chooses
their best epoch, and December is looked at once. A few minutes on two CPU cores; ``--rows 20000``
is a first look.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import tabtext
from tabtext import TabularClassifier, TabularRegressor, datasets

TARGET = "arr_delay"  # minutes after the scheduled arrival
LATE = 15.0  # minutes from which the authorities call a flight late
# Departures are known when an arrival is foretold; what day and hour it is says more than the date.
SETTINGS = {"date_parts": ["day_of_week", "hour"], "epochs": 4}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=None, help="use at most so many of each part")
    parser.add_argument("--out", type=Path, default=Path("runs/flights"), help="for the models")
    arguments = parser.parse_args(argv)
    train, valid, test = (part(name, arguments.rows) for name in ("train", "valid", "test"))
    print(f"{len(train):,} flights to learn from, {len(valid):,} to choose by, {len(test):,} new")

    minutes(train, valid, test, arguments.out / "delay")
    late_or_not(train, valid, test, arguments.out / "late")


def part(name: str, rows: int | None) -> pd.DataFrame:
    """Flights that have arrived; some at random if there are more than so many."""
    flights = datasets.load_flights(name).dropna(subset=TARGET)
    return flights if rows is None else flights.sample(min(rows, len(flights)), random_state=0)


def minutes(train: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame, out: Path) -> None:
    """Predict the delay, and the span in which it lies nine times out of ten."""
    # Ten hours are another kind of event: one in ten thousand flights, left out of training alone.
    model = TabularRegressor(prune=[f"{TARGET} < 600"], **SETTINGS)
    model.fit(train, target=TARGET, validation=valid)
    print(f"\n{model.pruning_}")
    print("December's delays:", shown(model.evaluate(test)))

    low, high = model.predict_interval(test, coverage=0.9).T
    inside = np.mean((test[TARGET] >= low) & (test[TARGET] <= high))
    print(f"nine in ten were promised to lie in their interval: {inside:.1%} do")
    print(f"half of the intervals are narrower than {np.median(high - low):.0f} minutes")
    print("what counts most:", ", ".join(model.feature_importance(valid, n_repeats=1).index[:3]))
    save_and_load(model, test, out)


def late_or_not(train: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame, out: Path) -> None:
    """Predict the probability of being late."""
    model = TabularClassifier(**SETTINGS)
    model.fit(*with_class(train), validation=with_class(valid))
    print("\nlate in December:", shown(model.evaluate(*with_class(test))))
    save_and_load(model, test, out)


def with_class(flights: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Features, and whether the flight was late."""
    return flights.drop(columns=TARGET), flights[TARGET] > LATE


def save_and_load(
    model: TabularRegressor | TabularClassifier, test: pd.DataFrame, out: Path
) -> None:
    """Show that what is loaded predicts the same."""
    model.save(out)
    loaded = tabtext.load(out)
    assert np.array_equal(loaded.predict(test), model.predict(test))
    print(f"saved, loaded again, the same predictions: {out}, described in {out / 'README.md'}")


def shown(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


if __name__ == "__main__":
    main()
