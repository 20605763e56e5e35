"""What each practice of the tabular default brings: the default, and the default without it.

Fits read the training part of a data set, choose their best epoch on a random tenth of it, and are
scored on the validation part; test parts stay closed. Fits that are in the results file are not
done again. Seconds are the processor's, because a shared machine's clock says little.

    TABTEXT_DATA=path/to/data python bench/tabular_ablation.py
    python bench/tabular_ablation.py --data adult --variants default "one member" --seeds 1
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import harness
import numpy as np
from tabular_data import TABLES
from tabular_fits import score

from tabtext import TabularClassifier, TabularRegressor

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "plain multi-layer perceptron": {"network": "mlp"},
    "one member": {"n_members": 1},
    "16 members": {"n_members": 16},
    "bins from quantiles": {"bins": "quantile"},
    "bins from trees": {"bins": "tree"},
    "at most 32 bins": {"n_bins": 32},
    "numbers as they are": {"numeric_embedding": "none"},
    "periodic embeddings": {"numeric_embedding": "periodic"},
    "plain weights, no average": {"averaging": None},
    "no dropout": {"dropout": 0.0},
    "dropout of 0.1": {"dropout": 0.1},
    "half the rate": {"learning_rate": 2e-3},
    "label smoothing of 0.1": {"label_smoothing": 0.1},
    "robust scaling, numbers as they are": {"numeric_embedding": "none", "scaling": "robust"},
    "leaky ReLU": {"activation": "leaky_relu"},
    "GELU": {"activation": "gelu"},
    "SELU": {"activation": "selu"},
    "mish": {"activation": "mish"},
    "PReLU": {"activation": "prelu"},
    "parametric SELU": {"activation": "parametric_selu"},
    "parametric mish": {"activation": "parametric_mish"},
    "spectral norm": {"spectral_norm": True},
    "learned scales of features": {"feature_scales": True},
    "up to 8 categories one-hot": {"one_hot_up_to": 8},
    "dropout of 0.1 that fades": {"dropout": 0.1, "dropout_schedule": "flat_cosine"},
    "neural tangent, 10 times the rate": {"parametrization": "ntp", "learning_rate": 4e-2},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay of 0.1": {"weight_decay": 0.1},
}
"""What differs from the default, whose dropout is 0.1 for classes and 0 for quantities."""

DATA = ("adult", "california")


def estimator_of(name: str) -> type[TabularRegressor] | type[TabularClassifier]:
    """What predicts the target of a data set."""
    return TabularRegressor if TABLES[name].is_regression else TabularClassifier


def fit_once(name: str, variant: str, seed: int) -> dict[str, Any]:
    """Score of one fit on the validation part."""
    table = TABLES[name]
    train, valid, _ = table.load()
    estimator = estimator_of(name)
    model = estimator(random_state=seed, verbose=0, **VARIANTS[variant])
    started = time.process_time()
    model.fit(train, target=table.target)
    seconds = time.process_time() - started
    features = valid.drop(columns=table.target)
    raw = model.predict(features) if table.is_regression else model.predict_proba(features)
    history = model.history_
    return {
        "seed": seed,
        "score": round(score(table, valid, np.asarray(raw)), 5),
        "processor seconds": round(seconds, 1),
        "best epoch": history.best_epoch + 1,
        "epochs": len(history.epochs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=TABLES, default=list(DATA))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    arguments = parser.parse_args()
    sides: dict[str, Any] = harness.read_result("tabular_ablation", arguments.out)["sides"]
    for seed in range(arguments.seeds):
        for variant in arguments.variants:
            for name in arguments.data:
                key = f"{name}, {variant}"
                runs = sides[key]["runs"] if key in sides else []
                if any(run["seed"] == seed for run in runs):
                    continue
                if not VARIANTS[variant].keys() <= estimator_of(name)().get_params().keys():
                    continue  # label smoothing is for classes
                runs = [*runs, fit_once(name, variant, seed)]
                print(f"  {key}: {runs[-1]}", flush=True)
                mean = statistics.mean(run["score"] for run in runs)
                seconds = statistics.median(run["processor seconds"] for run in runs)
                sides[key] = {"mean": round(mean, 5), "processor seconds": seconds, "runs": runs}
                harness.write_result("tabular_ablation", {}, sides, arguments.out)
    show(sides)


def show(sides: dict[str, Any]) -> None:
    """A row for every variant, two columns for every data set."""
    rows = []
    names = list(dict.fromkeys(key.partition(", ")[0] for key in sides))
    for variant in VARIANTS:
        row: dict[str, Any] = {"": variant}
        for name in names:
            side = sides.get(f"{name}, {variant}")
            if side:
                row[f"{name}, {TABLES[name].metric}"] = side["mean"]
                row[f"{name}, s"] = side["processor seconds"]
        rows.append(row)
    columns: dict[str, Any] = {"": str}
    for name in names:
        columns[f"{name}, {TABLES[name].metric}"] = "{:.4f}".format
        columns[f"{name}, s"] = "{:,.0f}".format
    print(harness.table(rows, columns))


if __name__ == "__main__":
    main()
