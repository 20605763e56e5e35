"""Whether probabilities and intervals keep what they promise, on rows that no fit has seen.

Models are fitted on the training part of a data set; a random tenth of it chooses the best epoch,
and gives the temperature and the intervals. All is measured on the validation part; test parts
stay closed. Classes: log loss and expected calibration error with and without the temperature.
Quantities: the share of rows inside intervals and their mean width, beside split conformal
intervals of one width (Lei et al. 2018), made of the same rows.

    TABTEXT_DATA=path/to/data python bench/uncertainty.py
    python bench/uncertainty.py --data california
"""

import argparse
import time
from math import ceil
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from tabular_data import TABLES, Table

from tabtext import TabularClassifier, TabularRegressor
from tabtext.plots.intervals import share_inside
from tabtext.training.calibration import expected_calibration_error

SETTINGS: dict[str, dict[str, Any]] = {
    "adult": {},
    "california": {},
    "diamonds": {"network": "mlp"},
    "otto": {"network": "mlp"},
}
"""What differs from the defaults, to save time; an ensemble takes two to four times as long."""

COVERAGES = (0.8, 0.9, 0.95)
GROUPS = 5


def measure(name: str, seed: int) -> dict[str, Any]:
    """Fit once, and measure on the validation part."""
    table = TABLES[name]
    train, valid, _ = table.load()
    estimator = TabularRegressor if table.is_regression else TabularClassifier
    model = estimator(random_state=seed, verbose=0, **SETTINGS[name])
    started = time.process_time()
    model.fit(train, target=table.target)
    found: dict[str, Any] = {
        "seed": seed,
        "settings": SETTINGS[name],
        "fit processor seconds": round(time.process_time() - started, 1),
        "calibration rows": model.card_["calibration"]["rows"],
        "measured rows": len(valid),
    }
    measured = _intervals if table.is_regression else _probabilities
    return found | measured(model, table, valid)


def _probabilities(model: TabularClassifier, table: Table, valid: pd.DataFrame) -> dict[str, Any]:
    """Log loss and calibration error with the temperature, and without it."""
    truth = np.searchsorted(model.classes_, valid[table.target].to_numpy())
    after = model.predict_proba(valid.drop(columns=table.target))
    temperature = model.card_["calibration"]["temperature"]
    before = after**temperature
    before /= before.sum(axis=1, keepdims=True)
    found: dict[str, Any] = {"temperature": round(temperature, 4)}
    for which, outputs in (("before", before), ("after", after)):
        found[which] = {
            "log loss": round(log_loss(truth, outputs, labels=np.arange(outputs.shape[1])), 5),
            "calibration error": round(expected_calibration_error(truth, outputs), 5),
        }
    return found


def _intervals(model: TabularRegressor, table: Table, valid: pd.DataFrame) -> dict[str, Any]:
    """Coverage and mean width of intervals, and of those of one width."""
    truth = valid[table.target].to_numpy(float)
    features = valid.drop(columns=table.target)
    predicted = model.predict(features)
    groups = np.argsort(np.argsort(predicted)) * GROUPS // len(predicted)
    found: dict[str, Any] = {}
    for coverage in COVERAGES:
        half = _one_width(model, coverage)
        sides = {
            "by prediction": model.predict_interval(features, coverage),
            "one width": np.stack([predicted - half, predicted + half], axis=1),
        }
        found[str(coverage)] = {
            side: {
                "coverage": round(share_inside(truth, bounds), 4),
                "mean width": round(float((bounds[:, 1] - bounds[:, 0]).mean()), 4),
                f"coverage in each {GROUPS}th by prediction": [
                    round(share_inside(truth[groups == group], bounds[groups == group]), 4)
                    for group in range(GROUPS)
                ],
            }
            for side, bounds in sides.items()
        }
    return found


def _one_width(model: TabularRegressor, coverage: float) -> float:
    """Half the width of all intervals by the quantile of absolute errors."""
    pairs = model.calibration_pairs_
    errors = np.sort(np.abs(pairs.truth - pairs.predicted).ravel())
    return float(errors[ceil((len(errors) + 1) * coverage) - 1])


def show(sides: dict[str, Any]) -> None:
    """A table of classes and a table of quantities."""
    classes, quantities = [], []
    for name, side in sides.items():
        if "temperature" in side:
            row = {"": name, "temperature": side["temperature"]}
            for which in ("before", "after"):
                row |= {f"{key} {which}": value for key, value in side[which].items()}
            classes.append(row)
            continue
        for coverage in map(str, COVERAGES):
            for kind, of_kind in side[coverage].items():
                worst = min(of_kind[f"coverage in each {GROUPS}th by prediction"])
                row = {"": name, "asked": coverage, "intervals": kind, "worst fifth": worst}
                quantities.append(row | of_kind)
    precise = "{:.4f}".format
    columns: dict[str, Any] = {"": str, "temperature": "{:.3f}".format}
    for measured in ("log loss", "calibration error"):
        columns |= {f"{measured} before": precise, f"{measured} after": precise}
    print(harness.table(classes, columns))
    columns = {"": str, "asked": str, "intervals": str}
    columns |= {"coverage": precise, "worst fifth": precise, "mean width": precise}
    print(harness.table(quantities, columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    arguments = parser.parse_args()
    sides: dict[str, Any] = harness.read_result("uncertainty", arguments.out)["sides"]
    for name in arguments.data:
        sides[name] = measure(name, arguments.seed)
        print(f"  {name}: {sides[name]}", flush=True)
        harness.write_result("uncertainty", {"coverages": COVERAGES}, sides, arguments.out)
    show(sides)


if __name__ == "__main__":
    main()
