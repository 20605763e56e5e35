"""Late or not: tabtext and boosted trees, alone and stacked by scikit-learn in one line.

    python examples/stacking.py
    python examples/stacking.py --rows 5000

The flights ship with tabtext. Both sides get the same columns, categories and gaps as they are, and
learn from January to October. November judges all models; the settings of the network, those of
``tabtext demo``, were chosen by it too. With LightGBM installed (``pip install lightgbm``) that is
the trees' side. In the stack a logistic regression weighs the probabilities that either side gave
to rows which it had not learned from.
"""

import argparse
import importlib.util
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.metrics import log_loss, roc_auc_score

from tabtext import TabularClassifier
from tabtext.datasets import load_flights
from tabtext.tabular.features import add_date_parts

LATE = 15  # minutes
# A large table: one small network and four epochs, because the stack fits it four times.
NETWORK = {
    "network": "mlp",
    "hidden": (256, 128),
    "learning_rate": 2e-3,
    "numeric_embedding": "none",
    "dropout": 0.2,
    "embedding_dropout": 0.2,
    "epochs": 4,
    "verbose": 0,
}


def load(part: Any, n_rows: int | None) -> tuple[pd.DataFrame, pd.Series]:
    """Features of a month or more of flights, and whether each was late."""
    flights = load_flights(part).dropna(subset="arr_delay")
    if n_rows is not None:
        flights = flights.sample(min(n_rows, len(flights)), random_state=0).sort_index()
    # Trees read no dates.
    flights = add_date_parts(flights, "scheduled_departure", parts=["day_of_week", "hour"])
    flights = flights.drop(columns=["scheduled_departure", "tail_number"])
    late = flights.pop("arr_delay").gt(LATE).map({True: "late", False: "in time"})
    return flights, late


def trees() -> Any:
    """Boosted trees that take categories and gaps as they are."""
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMClassifier

        return LGBMClassifier(n_estimators=300, learning_rate=0.05, verbose=-1)
    return HistGradientBoostingClassifier(categorical_features="from_dtype")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="use at most so many flights of each part")
    parser.add_argument("--folds", type=int, default=3, help="of the stack")
    options = parser.parse_args(arguments)
    train, late = load("train", options.rows)
    valid, truth = load("valid", options.rows)
    print(f"{len(train):,} flights to learn from, {len(valid):,} to judge by", flush=True)

    network, boosting = TabularClassifier(**NETWORK), trees()
    stack = StackingClassifier([("tabtext", network), ("trees", boosting)], cv=options.folds)

    print(f"{'model':31} {'accuracy':>8} {'ROC AUC':>8} {'log loss':>8} {'fit (s)':>8}")
    for model in (network, boosting, stack):
        started = perf_counter()
        model.fit(train, late)
        seconds = perf_counter() - started
        probability = model.predict_proba(valid)[:, list(model.classes_).index("late")]
        print(
            f"{type(model).__name__:31} {model.score(valid, truth):8.4f} "
            f"{roc_auc_score(truth == 'late', probability):8.4f} "
            f"{log_loss(truth == 'late', probability):8.4f} {seconds:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
