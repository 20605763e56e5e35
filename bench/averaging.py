"""Averaged weights beside plain ones: the best validation loss of plain networks.

Four tasks, each with its own validation rows; test rows are never read. The figures in README.md
are means over seeds.

    TABTEXT_DATA=path/to/data python bench/averaging.py
    TABTEXT_DATA=path/to/data python bench/averaging.py --tasks california adult --seeds 2
"""

import argparse
import statistics
from typing import Any

import harness

from tabtext import TabularClassifier, TabularRegressor, datasets

NETWORK = {"network": "mlp", "learning_rate": 2e-3, "patience": None}

VARIANTS: dict[str, dict[str, Any]] = {
    "without": {"averaging": None},
    "EMA, one-cycle": {"averaging": "ema"},
    "EMA, constant rate": {"averaging": "ema", "schedule": "constant"},
}


def delay():
    train, valid = (datasets.load_flights(part) for part in ("train", "valid"))
    settings = {"prune": ["arr_delay < 600"], "epochs": 4}
    return TabularRegressor, settings, train, valid, "arr_delay"


def late():
    parts = []
    for name in ("train", "valid"):
        frame = datasets.load_flights(name).dropna(subset="arr_delay")
        parts.append(frame.assign(late=frame.pop("arr_delay") > 15))
    return TabularClassifier, {"epochs": 4}, *parts, "late"


def california():
    parts = datasets.load_california()
    return TabularRegressor, {}, parts.train, parts.valid, parts.target


def adult():
    parts = datasets.load_adult()
    return TabularClassifier, {"exclude": ["fnlwgt"]}, parts.train, parts.valid, parts.target


TASKS = {"delay": delay, "late": late, "california": california, "adult": adult}


def compare(task: str, n_seeds: int) -> dict[str, dict[str, Any]]:
    estimator, settings, train, valid, target = TASKS[task]()
    losses: dict[str, list[float]] = {name: [] for name in VARIANTS}
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for seed in range(n_seeds):
        for name, variant in VARIANTS.items():
            model = estimator(verbose=0, random_state=seed, **{**NETWORK, **settings, **variant})
            model.fit(train, target=target, validation=valid)
            best = model.history_.epochs[model.history_.best_epoch]
            losses[name].append(round(best.valid_loss, 5))
            seconds[name].append(round(model.card_["seconds"], 1))
    return {
        name: {
            "mean": round(statistics.mean(losses[name]), 5),
            "losses": losses[name],
            "seconds": seconds[name],
        }
        for name in VARIANTS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    sides = harness.read_sides("averaging")
    for task in arguments.tasks:
        sides[task] = compare(task, arguments.seeds)
        print(task, sides[task], flush=True)
        harness.write_result("averaging", {"variants": VARIANTS}, sides)


if __name__ == "__main__":
    main()
