"""The demonstration: two models on the flights that ship with tabtext, beside two baselines each.

Fitted on January to October 2013, best epoch chosen on November, measured once on December. Both
questions are asked when the plane leaves: how late will it arrive, and will it be more than 15
minutes late?
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tabtext import datasets
from tabtext.estimators import TabularClassifier, TabularRegressor
from tabtext.report import Section, Table, write_report
from tabtext.report_sections import (
    classification_section,
    columns_section,
    data_section,
    importance_section,
    regression_section,
    training_section,
)
from tabtext.training.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

__all__ = ["run_demo"]

_DELAY, _LATE = "arr_delay", "late"

# Chosen on November. Ten months of training say nothing about the week or the month of December,
# so only those parts of the departure are used that come back every week.
_SETTINGS: dict[str, Any] = {
    "date_parts": ("day_of_week", "hour", "minute"),
    "hidden": (256, 128),
    "numeric_embedding": "none",
    "dropout": 0.2,
    "embedding_dropout": 0.2,
    "epochs": 4,
}


@dataclass(frozen=True)
class Months:
    """The flights of the three spans of time."""

    train: "pd.DataFrame"
    valid: "pd.DataFrame"
    test: "pd.DataFrame"


@dataclass(frozen=True)
class Result:
    """One line of the table of metrics."""

    name: str
    metrics: Mapping[str, float]
    seconds: float


def run_demo(out: Path, *, rows: int | None = None) -> None:
    """Fit, compare, save and report.

    Parameters
    ----------
    out : Path
        Directory for the models ``arrival_delay`` and ``late`` and for ``report.html``.
    rows : int, optional
        Use at most so many training rows, drawn at random.
    """
    from rich.console import Console

    console, started = Console(), perf_counter()
    months = _read_months(rows)
    console.print(
        f"Flights from New York in 2013: fit on {len(months.train):,} (January to October), "
        f"choose on {len(months.valid):,} (November), test on {len(months.test):,} (December)."
    )
    sections = [*_predict_delay(console, months, out), *_predict_late(console, months, out)]
    report = out / "report.html"
    write_report(report, "tabtext demo: flights from New York, 2013", sections)
    console.print(f"\nreport  {report}")
    console.print(f"models  {out / 'arrival_delay'}  {out / 'late'}")
    console.print(f"next    tabtext inspect {out / 'late'}")
    console.print(f"done in {perf_counter() - started:.0f} s")


def _read_months(rows: int | None) -> Months:
    """Flights that left. Cancelled ones have nothing to predict."""

    def read(split: Any) -> "pd.DataFrame":
        flights = datasets.load_flights(split)
        return flights[flights["dep_delay"].notna()].reset_index(drop=True)

    train = read("train")
    if rows is not None and rows < len(train):
        train = train.sample(rows, random_state=0).reset_index(drop=True)
    return Months(train, read("valid"), read("test"))


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
    measure = _measure("regression", truth[:, None])
    trees = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0)
    results = [
        _baseline("predict the mean", DummyRegressor(), months, test, _DELAY, measure),
        _baseline("HistGradientBoosting", trees, months, test, _DELAY, measure),
        Result("tabtext", measure(predicted[:, None]), seconds),
    ]
    model.save(out / "arrival_delay")
    importance = model.feature_importance(months.valid, max_rows=5000, n_repeats=2)
    maps = [(c, model.embeddings(c), months.train[c].value_counts()) for c in ("destination",)]
    times = test["scheduled_departure"].to_numpy()
    return [
        Section("Arrival delay", tables=[_show(console, results)]),
        regression_section("Predictions in December", truth, predicted, unit="min", times=times),
        importance_section("What arrival delay depends on", importance, maps),
        training_section(model, "Training of the arrival delay model"),
        data_section(model),
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
    truth = months.test[_LATE].to_numpy(bool)
    probabilities = model.predict_proba(months.test)
    measure = _measure("classification", truth.astype(int))
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    results = [
        _baseline("predict the majority", DummyClassifier(), months, months.test, _LATE, measure),
        _baseline("HistGradientBoosting", trees, months, months.test, _LATE, measure),
        Result("tabtext", measure(probabilities), seconds),
    ]
    model.save(out / "late")
    names = ("on time", "late")
    return [
        Section("Late by more than 15 minutes", tables=[_show(console, results)]),
        classification_section("Lateness in December", truth, probabilities[:, 1], names),
        training_section(model, "Training of the lateness model"),
    ]


def _with_late(flights: "pd.DataFrame") -> "pd.DataFrame":
    """Replace the delay, which would give the answer away, by the answer."""
    known = flights[flights[_DELAY].notna()]
    return known.assign(**{_LATE: known[_DELAY] > 15}).drop(columns=_DELAY)


def _fit(model: TabularRegressor | TabularClassifier, months: Months, target: str) -> float:
    """Fit a model of ours; return seconds."""
    started = perf_counter()
    model.fit(months.train, target=target, validation=months.valid)
    return perf_counter() - started


def _measure(task: str, truth: NDArray[Any]) -> Callable[[NDArray[Any]], dict[str, float]]:
    """What turns outputs on the test rows into metrics."""
    return lambda outputs: {m.name: m.function(truth, outputs, None) for m in METRICS[task]}


def _baseline(
    name: str,
    model: Any,
    months: Months,
    test: "pd.DataFrame",
    target: str,
    measure: Callable[[NDArray[Any]], dict[str, float]],
) -> Result:
    """Fit and measure a model of scikit-learn on the same rows."""
    train = months.train[months.train[target].notna()]
    features, test_features = _for_trees(train, target), _for_trees(test, target)
    started = perf_counter()
    model.fit(features, train[target])
    seconds = perf_counter() - started
    if hasattr(model, "predict_proba"):
        return Result(name, measure(model.predict_proba(test_features)), seconds)
    return Result(name, measure(model.predict(test_features)[:, None]), seconds)


def _for_trees(flights: "pd.DataFrame", target: str) -> "pd.DataFrame":
    """The features as HistGradientBoosting takes them.

    Dates become parts, and categories with more levels than its 255 bins become numbers.
    """
    features = flights.drop(columns=[target, "scheduled_departure"])
    departure = flights["scheduled_departure"].dt
    features["day_of_week"] = departure.day_of_week
    features["hour"], features["minute"] = departure.hour, departure.minute
    for name in features.select_dtypes("category").columns:
        if len(features[name].cat.categories) > 255:
            features[name] = features[name].cat.codes
    return features


def _show(console: "Console", results: Sequence[Result]) -> Table:
    """Print the metrics; return them for the report."""
    from rich.table import Table as Printed

    names = list(results[0].metrics)
    printed = Printed(title="December", title_justify="left")
    printed.add_column("model")
    for name in [*names, "fit seconds"]:
        printed.add_column(name, justify="right")
    for result in results:
        values = [f"{result.metrics[name]:.4g}" for name in names]
        printed.add_row(result.name, *values, f"{result.seconds:.1f}")
    console.print(printed)
    rows = [
        (result.name, *(float(result.metrics[name]) for name in names), round(result.seconds, 1))
        for result in results
    ]
    return Table(("model", *names, "fit seconds"), rows, caption="December, seen once")
