"""Accuracy on tables beside boosted trees and deep peers, all at their defaults.

Every side fits the canonical training part, may stop early or choose its best epoch by the
validation part, and predicts the test part once for each fit. Data sets are those of
``tabular_data.py``, sides those of ``tabular_fits.py``. Every fit runs in a process of its own and
is written at once; a fit that is in the results file is not done again, so the whole can run in
several sessions.

    TABTEXT_DATA=... python bench/tabular_accuracy.py
    python bench/tabular_accuracy.py --data adult california --sides tabtext LightGBM --seeds 1

Peers run where ``TABTEXT_BENCH_LIGHTGBM``, ``..._XGBOOST``, ``..._CATBOOST``, ``..._PYTABKIT`` and
``..._FASTAI`` say: each the Python of an environment that has the peer.

The rank of a side on a data set counts from the best mean score of those that were measured there;
a normalised score is 1 for the best side of a data set and 0 for the worst.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import harness
from tabular_data import TABLES, export
from tabular_fits import PACKAGES, SIDES, run

SEEDS = 3

Sides = dict[str, dict[str, Any]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--again", action="store_true", help="forget earlier fits of these sides")
    parser.add_argument("--work", type=Path, default=Path("runs/tabular_accuracy"))
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    parser.add_argument("--fit", nargs=3, metavar=("SIDE", "DATA", "PARTS"))
    return parser.parse_args()


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of the test score over seeds, medians of all else.

    >>> found = summary([{"seed": 0, "test": 0.5, "fit seconds": 2.0},
    ...                  {"seed": 1, "test": 0.7, "fit seconds": 4.0}])
    >>> found["mean"], found["sd"], found["median"]["fit seconds"]
    (0.6, 0.14142, 3.0)
    """
    scores = [run["test"] for run in runs]
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    numbers = [{n: value for n, value in run.items() if n != "seed"} for run in runs]
    return {
        "mean": round(statistics.mean(scores), 5),
        "sd": round(spread, 5),
        "median": harness.medians(numbers),
        "runs": list(runs),
    }


def measure(arguments: argparse.Namespace) -> Sides:
    """Do the fits that are not in the results file yet; data set by data set, seed by seed."""
    earlier = harness.read_result("tabular_accuracy", arguments.out)
    sides: Sides = earlier["sides"]
    machines: list[dict[str, Any]] = earlier["settings"].get("machines", [])
    if arguments.again:
        for name in arguments.data:
            for side in arguments.sides:
                sides.pop(f"{name}, {side}", None)
    here = {**harness.machine(), "threads": os.environ.get("OMP_NUM_THREADS", "all")}
    if here not in machines:
        machines.append(here)
    missing: set[str] = set()
    for name in arguments.data:
        place = export(TABLES[name], arguments.work / name.replace(" ", "-"))
        for seed in range(arguments.seeds):
            for side in arguments.sides:
                key = f"{name}, {side}"
                runs = sides[key]["runs"] if key in sides else []
                if side in missing or any(run["seed"] == seed for run in runs):
                    continue
                record = _fit(side, name, place, seed)
                if record is None:
                    missing.add(side)
                    continue
                print(f"  {key}: {record}", flush=True)
                record["machine"] = machines.index(here)
                sides[key] = {"data": name, "side": side, **summary([*runs, record])}
                settings = {"machines": machines}
                harness.write_result("tabular_accuracy", settings, sides, arguments.out)
    return sides


def _fit(side: str, name: str, place: Path, seed: int) -> dict[str, Any] | None:
    python = harness.own_python(PACKAGES[side]) if side in PACKAGES else sys.executable
    return harness.run_side([python, __file__, "--fit", side, name, str(place)], seed=seed)


# --- tables ---------------------------------------------------------------------------------


def show(sides: Sides) -> None:
    """A table for each data set; then ranks and normalised scores over all of them."""
    for name in TABLES:
        rows = [side for side in sides.values() if side["data"] == name]
        if rows:
            print(f"\n{name}, {TABLES[name].metric}")
            columns = {"side": str, "test": str, "fit seconds": "{:,.1f}".format}
            columns["predict rows/s"] = "{:,.0f}".format
            lines = [{"side": r["side"], **r["median"], "test": _with_spread(r)} for r in rows]
            print(harness.table(lines, columns))
    places = standing({name: _means(sides, name) for name in TABLES})
    print("\nover all data sets that a side was measured on")
    columns = {"side": str, "mean rank": "{:.1f}".format, "normalised score": "{:.2f}".format}
    print(harness.table(places, columns | {"data sets": str}))


def _with_spread(side: Mapping[str, Any]) -> str:
    """``0.9281 ± 0.0004``, without the second where there is one run."""
    spread = f" ± {side['sd']:.4f}" if len(side["runs"]) > 1 else ""
    return f"{side['mean']:.4f}{spread}"


def _means(sides: Sides, name: str) -> dict[str, float]:
    """Mean score of every side on a data set, turned so that more is better."""
    way = 1 if TABLES[name].metric == "auc" else -1
    return {s["side"]: way * s["mean"] for s in sides.values() if s["data"] == name}


def standing(scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Mean rank and mean normalised score of every side, best rank first.

    >>> for row in standing({"one": {"a": 3.0, "b": 1.0, "c": 2.0}, "two": {"a": 5.0, "b": 6.0}}):
    ...     print(row)
    {'side': 'a', 'mean rank': 1.5, 'normalised score': 0.5, 'data sets': 2}
    {'side': 'b', 'mean rank': 2.0, 'normalised score': 0.5, 'data sets': 2}
    {'side': 'c', 'mean rank': 2.0, 'normalised score': 0.5, 'data sets': 1}
    """
    ranks: dict[str, list[int]] = {}
    shares: dict[str, list[float]] = {}
    for means in scores.values():
        for side, mean in means.items():
            best, worst = max(means.values()), min(means.values())
            ranks.setdefault(side, []).append(1 + sum(other > mean for other in means.values()))
            share = (mean - worst) / (best - worst) if best > worst else 1.0
            shares.setdefault(side, []).append(share)
    rows = [
        {
            "side": side,
            "mean rank": statistics.mean(of_side),
            "normalised score": statistics.mean(shares[side]),
            "data sets": len(of_side),
        }
        for side, of_side in ranks.items()
    ]
    return sorted(rows, key=lambda row: row["mean rank"])


def main() -> None:
    arguments = parse()
    if arguments.fit:
        side, name, place = arguments.fit
        run(side, TABLES[name], Path(place), harness.seed())
        return
    show(measure(arguments))


if __name__ == "__main__":
    main()
