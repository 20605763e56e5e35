"""The Rossmann task, last six weeks as test: tabtext beside LightGBM on the same features.

Features, split and score are those of ``examples/rossmann.py``: train until 2015-05-07, choose the
best epoch (tree) on the six weeks until 2015-06-18, test on the six weeks until 2015-07-31, on open
days. Both sides learn the logarithm of sales. The features are computed once; each side reads them
from a file in a process of its own, so that peak memory is its own. The clock runs over the fit,
preparation included, and over predicting the test rows; imports and reading are outside.

    TABTEXT_DATA=... python bench/rossmann.py
    TABTEXT_BENCH_LIGHTGBM=/path/to/its/python ...         # LightGBM in its own environment:
        python -m venv lightgbm && lightgbm/bin/pip install lightgbm scikit-learn pandas pyarrow
"""

import argparse
import os
import runpy
import sys
import tempfile
import time
from pathlib import Path

import harness

EXAMPLE = Path(__file__).parent.parent / "examples" / "rossmann.py"
PARTS = ("train", "valid", "test")
CATEGORICAL = [
    "Store", "DayOfWeek", "StateHoliday", "StoreType", "Assortment", "PromoInterval", "State",
    "Events", "Date_year", "Date_month", "Date_week", "Date_day",
]  # fmt: skip
"""What LightGBM is told to be categorical; its numbers take the gaps as they are."""

LIGHTGBM = {
    "objective": "regression",
    "n_estimators": 5000,
    "learning_rate": 0.05,
    "num_leaves": 127,
    "min_child_samples": 50,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.6,
    "cat_smooth": 50,
    "verbose": -1,
}
EARLY_STOPPING_ROUNDS = 100


def build_parts(folder: Path) -> None:
    """Write the rows and features of the example, a Parquet file per part."""
    from tabtext.datasets import load_rossmann

    example = runpy.run_path(str(EXAMPLE))
    parts = example["with_features"](load_rossmann())
    parts["train"] = example["without_outliers"](parts["train"])
    for name in PARTS:
        rows = parts[name].query("Sales > 0").drop(columns=example["UNUSED"])
        rows.to_parquet(folder / f"{name}.parquet", index=False)


def fit_tabtext(train, valid):
    """Return the prediction function of a fitted ``TabularRegressor``."""
    from tabtext import TabularRegressor

    options = runpy.run_path(str(EXAMPLE))["MODEL"] | {"exclude": [], "verbose": 0}
    model = TabularRegressor(**options, random_state=harness.seed())
    return model.fit(train, target="Sales", validation=valid).predict


def fit_lightgbm(train, valid):
    """Return the prediction function of a fitted ``LGBMRegressor``."""
    import numpy as np
    import pandas as pd
    from lightgbm import LGBMRegressor, early_stopping

    levels = {
        name: pd.CategoricalDtype(sorted(train[name].dropna().unique())) for name in CATEGORICAL
    }

    def features(frame):
        return frame.drop(columns="Sales", errors="ignore").astype(levels)

    model = LGBMRegressor(**LIGHTGBM, seed=harness.seed())
    model.fit(
        features(train),
        np.log(train["Sales"]),
        eval_set=[(features(valid), np.log(valid["Sales"]))],
        callbacks=[early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )
    return lambda frame: np.exp(model.predict(features(frame)))


SIDES = {"tabtext": fit_tabtext, "lightgbm": fit_lightgbm}


def run_side(side: str, folder: Path) -> None:
    """Fit, predict, and print scores, seconds and peak memory."""
    try:
        import numpy as np
        import pandas as pd

        if side != "tabtext":
            __import__(side)
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    train, valid, test = (pd.read_parquet(folder / f"{name}.parquet") for name in PARTS)
    started = time.perf_counter()
    predict = SIDES[side](train, valid)
    fitted = time.perf_counter()
    predicted = predict(test.drop(columns="Sales"))
    seconds = {"fit seconds": fitted - started, "predict seconds": time.perf_counter() - fitted}
    scores = {}
    for name, sales, guess in (
        ("valid", valid["Sales"], predict(valid.drop(columns="Sales"))),
        ("test", test["Sales"], predicted),
    ):
        ratio = np.asarray(guess) / sales.to_numpy()
        scores[f"RMSPE {name}"] = float(np.sqrt(np.mean((1 - ratio) ** 2)))
        scores[f"log-RMSE {name}"] = float(np.sqrt(np.mean(np.log(ratio) ** 2)))
    harness.report({name: round(value, 5) for name, value in {**scores, **seconds}.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.side:
        side, folder = arguments.side
        run_side(side, Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        build_parts(Path(folder))
        feature_seconds = time.perf_counter() - started
        pythons = {"tabtext": sys.executable, "lightgbm": harness.own_python("lightgbm")}
        sides = {
            side: [python, __file__, "--side", side, folder] for side, python in pythons.items()
        }
        summary = harness.summarise(harness.compare(sides, runs=arguments.runs))
    settings = {
        "runs": arguments.runs,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "feature_seconds": round(feature_seconds, 2),
        "lightgbm": {**LIGHTGBM, "early_stopping_rounds": EARLY_STOPPING_ROUNDS},
    }
    harness.write_result("rossmann", settings, summary)
    print(f"loading and features: {feature_seconds:.1f} s")
    rows = [{"side": side, **record["median"]} for side, record in summary.items()]
    print(
        harness.table(
            rows,
            {
                "side": str,
                "RMSPE test": "{:.4f}".format,
                "log-RMSE test": "{:.4f}".format,
                "RMSPE valid": "{:.4f}".format,
                "fit seconds": "{:.1f}".format,
                "predict seconds": "{:.2f}".format,
                "peak_mb": "{:,.0f}".format,
            },
        )
    )


if __name__ == "__main__":
    main()
