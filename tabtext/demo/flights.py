"""Flights: two questions about each, asked when it leaves, beside two baselines each.

Fitted on January to October 2013, best epoch chosen on November, measured once on December. How
late will it arrive, and will it be more than 15 minutes late?
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tabtext import datasets
from tabtext.demo.common import measure, print_results, step
from tabtext.estimators import TabularClassifier, TabularRegressor
from tabtext.reports import Section
from tabtext.reports.classification_sections import classification_section
from tabtext.reports.column_sections import columns_section
from tabtext.reports.comparison import Result, metrics_section
from tabtext.reports.feature_sections import importance_section
from tabtext.reports.model_sections import data_section, training_section
from tabtext.reports.regression_sections import COVERAGES, regression_section

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

__all__ = ["predict_flights"]

_DELAY, _LATE = "arr_delay", "late"
_DECEMBER = "December, seen once"

# Chosen on November. Ten months of training say nothing about the week or the month of December,
# so only those parts of the departure are used that come back every week.
_SETTINGS: dict[str, Any] = {
    "date_parts": ("day_of_week", "hour", "minute"),
    "network": "mlp",  # what was chosen; an ensemble takes longer
    "hidden": (256, 128),
    "learning_rate": 2e-3,
    "numeric_embedding": "none",
    "dropout": 0.2,
    "embedding_dropout": 0.2,
    "epochs": 4,
}

_INTRODUCTION = (
    "Every flight that left New York in 2013, with weather, plane and airport. Two questions, "
    "asked when the plane leaves, so that its delay at departure is known: by how many minutes "
    "will it arrive late, and will it be more than 15 minutes? All models are fitted on January to "
    "October and measured once, on December. tabtext chose its settings and its best epoch on "
    "November, which the baselines did not see."
)
_BASELINES = (
    "HistGradientBoosting is scikit-learn's, with its defaults: up to 100 trees, with early "
    "stopping on a tenth of the rows where there are more than 10,000. It gets the same columns, "
    "and all rows with a target, extreme ones too; the departure as day of week, hour and minute; "
    "missing values as they are; and categories of more than 255 levels, which is all it takes, as "
    "numbers in alphabetical order. Fit times include preparation."
)
_AS_ABOVE = "The same flights, columns and preparation, without the delay itself, which would tell."


@dataclass(frozen=True)
class Months:
    """The flights of the three spans of time."""

    train: "pd.DataFrame"
    valid: "pd.DataFrame"
    test: "pd.DataFrame"


def predict_flights(console: "Console", out: Path, *, rows: int | None = None) -> list[Section]:
    """Fit, compare and save two models of flights.

    Parameters
    ----------
    console : Console
        Where to say what goes on.
    out : Path
        Directory for the models ``arrival_delay`` and ``late``.
    rows : int, optional
        Use at most so many training rows, drawn at random.

    Returns
    -------
    list of Section
        For the report.
    """
    with step(console, "reading the flights"):
        months = _read_months(rows)
    console.print(
        f"Flights from New York in 2013: fit on {len(months.train):,} (January to October), "
        f"choose on {len(months.valid):,} (November), test on {len(months.test):,} (December)."
    )
    return [*_predict_delay(console, months, out), *_predict_late(console, months, out)]


def _read_months(rows: int | None) -> Months:
    """All flights, also cancelled ones: fit drops rows without a target, and counts them."""
    train = datasets.load_flights("train")
    if rows is not None and rows < len(train):
        train = train.sample(rows, random_state=0).reset_index(drop=True)
    return Months(train, datasets.load_flights("valid"), datasets.load_flights("test"))


def _predict_delay(console: "Console", months: Months, out: Path) -> list[Section]:
    """How many minutes late? Regression."""
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor

    console.rule("Arrival delay in minutes", align="left")
    # Delays beyond ten hours are single events that say nothing about the next flight.
    model = TabularRegressor(prune=[f"{_DELAY} < 600"], **_SETTINGS)
    seconds = _fit(model, months, _DELAY)
    test = months.test[months.test[_DELAY].notna()]
    truth = test[_DELAY].to_numpy()
    predicted = model.predict(test)
    metrics_of = measure("regression", truth[:, None])
    trees = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0)
    results = [
        _baseline(console, "predict the mean", DummyRegressor(), months.train, test, metrics_of),
        _baseline(console, "HistGradientBoosting", trees, months.train, test, metrics_of),
        Result("tabtext", metrics_of(predicted[:, None]), seconds),
    ]
    print_results(console, results, title=_DECEMBER, unit="min")
    model.save(out / "arrival_delay")
    times = test["scheduled_departure"].to_numpy()
    intervals = {share: model.predict_interval(test, share) for share in COVERAGES}
    return [
        metrics_section(
            "Flights: arrival delay", results, text=[_INTRODUCTION, _BASELINES], unit="min"
        ),
        regression_section(
            "Arrival delay in December",
            truth,
            predicted,
            unit="min",
            times=times,
            intervals=intervals,
        ),
        _importance(console, "What arrival delay depends on", model, months),
        training_section(model, "Training: arrival delay"),
        data_section(model, "Data: arrival delay"),
        columns_section(model),
    ]


def _predict_late(console: "Console", months: Months, out: Path) -> list[Section]:
    """More than 15 minutes late? Classification."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier

    console.rule("More than 15 minutes late", align="left")
    months = Months(*(_with_late(part) for part in (months.train, months.valid, months.test)))
    model = TabularClassifier(**_SETTINGS)
    seconds = _fit(model, months, _LATE)
    test = months.test[months.test[_LATE].notna()]
    truth = test[_LATE].to_numpy(bool)
    probabilities = model.predict_proba(test)
    metrics_of = measure("classification", truth.astype(int))
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    results = [
        _baseline(
            console, "predict the majority", DummyClassifier(), months.train, test, metrics_of
        ),
        _baseline(console, "HistGradientBoosting", trees, months.train, test, metrics_of),
        Result("tabtext", metrics_of(probabilities), seconds),
    ]
    print_results(console, results, title=_DECEMBER)
    model.save(out / "late")
    names, temperature = ("on time", "late"), model.card_["calibration"]["temperature"]
    return [
        metrics_section("Flights: late by more than 15 minutes", results, text=[_AS_ABOVE]),
        classification_section(
            "Lateness in December", truth, probabilities[:, 1], names, temperature=temperature
        ),
        _importance(console, "What lateness depends on", model, months),
        training_section(model, "Training: lateness"),
        data_section(model, "Data: lateness"),
    ]


def _with_late(flights: "pd.DataFrame") -> "pd.DataFrame":
    """Replace the delay, which would give the answer away, by the answer."""
    delay = flights[_DELAY]
    late = (delay > 15).astype("boolean").mask(delay.isna())
    return flights.drop(columns=_DELAY).assign(**{_LATE: late})


def _fit(model: TabularRegressor | TabularClassifier, months: Months, target: str) -> float:
    """Fit a model of ours; return seconds."""
    started = perf_counter()
    model.fit(months.train, target=target, validation=months.valid)
    return perf_counter() - started


def _importance(
    console: "Console", title: str, model: TabularRegressor | TabularClassifier, months: Months
) -> Section:
    """What the model relies on, on November, and what it learned about places and airlines."""
    with step(console, "measuring permutation importance"):
        importance = model.feature_importance(months.valid, max_rows=5000, n_repeats=2)
    maps = [
        (name, model.embeddings(name), months.train[name].value_counts())
        for name in ("destination", "carrier")
    ]
    return importance_section(title, importance, maps)


def _baseline(
    console: "Console",
    name: str,
    model: Any,
    train: "pd.DataFrame",
    test: "pd.DataFrame",
    metrics_of: Callable[[NDArray[Any]], dict[str, float]],
) -> Result:
    """Fit and measure a model of scikit-learn on the same rows."""
    target = _DELAY if _DELAY in train else _LATE
    started = perf_counter()
    with step(console, f"fitting: {name}"):
        train = train[train[target].notna()]
        answers = train[target].to_numpy(float if target == _DELAY else bool)
        model.fit(_for_trees(train, target), answers)
    seconds = perf_counter() - started
    features = _for_trees(test, target)
    if hasattr(model, "predict_proba"):
        return Result(name, metrics_of(model.predict_proba(features)), seconds)
    return Result(name, metrics_of(model.predict(features)[:, None]), seconds)


def _for_trees(flights: "pd.DataFrame", target: str) -> "pd.DataFrame":
    """The features as HistGradientBoosting takes them; see what the report says about them."""
    features = flights.drop(columns=[target, "scheduled_departure"])
    departure = flights["scheduled_departure"].dt
    features["day_of_week"] = departure.day_of_week
    features["hour"], features["minute"] = departure.hour, departure.minute
    for name in features.select_dtypes("category").columns:
        if len(features[name].cat.categories) > 255:
            codes = features[name].cat.codes
            features[name] = codes.where(codes >= 0)
    return features
