"""The Rossmann task, last six weeks as test: tabtext beside LightGBM on the same features.

Features, split and score are those of ``examples/rossmann.py``. As there, a first fit on the rows
until 2015-05-07 chooses the number of epochs (trees) by the six weeks until 2015-06-18; then every
seed learns from all rows until there, for so many, and predicts the six weeks until 2015-07-31, on
open days, once. All sides learn the logarithm of sales, so they predict about the median; the first
fit also chooses the factor with which its predictions' squared percentage error is least on the six
weeks, and errors are told with and without it. The features are computed once; each side
reads them from a file in a process of its own, so that peak memory is its own. The clock runs over
the fit, preparation included, and over predicting the test rows; imports and reading are outside.

The ensemble is the mean, on the logarithmic scale, of what the seeds of a side predict.

    TABTEXT_DATA=... python bench/rossmann.py
    python bench/rossmann.py --sides tabtext --rounds 4 --factor 0.98    # chosen before
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
from typing import Any

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


def fit_tabtext(train, valid, rounds):
    """Return a prediction function and how many epochs were best, or given."""
    from tabtext import TabularRegressor

    options = runpy.run_path(str(EXAMPLE))["MODEL"] | {"exclude": [], "verbose": 0}
    if rounds:
        options |= {"epochs": rounds, "validation_fraction": 0}
    model = TabularRegressor(**options, random_state=harness.seed())
    model.fit(train, target="Sales", validation=valid)
    return model.predict, model.card_["recipe"]["best_epoch"]


def fit_lightgbm(train, valid, rounds):
    """Return a prediction function and how many trees were best, or given."""
    import numpy as np
    import pandas as pd
    from lightgbm import LGBMRegressor, early_stopping

    levels = {
        name: pd.CategoricalDtype(sorted(train[name].dropna().unique())) for name in CATEGORICAL
    }

    def features(frame):
        return frame.drop(columns="Sales", errors="ignore").astype(levels)

    model = LGBMRegressor(**LIGHTGBM | ({"n_estimators": rounds} if rounds else {}))
    model.set_params(seed=harness.seed())
    judged = {}
    if valid is not None:
        judged = {
            "eval_set": [(features(valid), np.log(valid["Sales"]))],
            "callbacks": [early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
        }
    model.fit(features(train), np.log(train["Sales"]), **judged)
    return lambda frame: np.exp(model.predict(features(frame))), model.best_iteration_ or rounds


SIDES = {"tabtext": fit_tabtext, "lightgbm": fit_lightgbm}


def run_side(side: str, folder: Path, rounds: int, factor: float) -> None:
    """Choose the number of rounds by the validation weeks; or, given it, fit for the test weeks."""
    try:
        import numpy as np
        import pandas as pd

        if side != "tabtext":
            __import__(side)
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    train, valid, test = (pd.read_parquet(folder / f"{name}.parquet") for name in PARTS)
    if rounds:
        train, valid, judged = pd.concat([train, valid], ignore_index=True), None, test
    else:
        judged = valid
    started = time.perf_counter()
    predict, rounds = SIDES[side](train, valid, rounds)
    fitted = time.perf_counter()
    predicted = np.asarray(predict(judged.drop(columns="Sales")))
    predicting = time.perf_counter() - fitted
    if judged is test:
        np.save(folder / f"{side}-{harness.seed()}.npy", predicted)
    if judged is valid:
        factor = best_factor(judged["Sales"], predicted)
    found = {**errors(judged["Sales"], predicted, factor), "rounds": rounds, "factor": factor}
    found |= {"fit seconds": fitted - started, "predict seconds": predicting}
    harness.report({name: round(value, 5) for name, value in found.items()})


def best_factor(sales, predicted) -> float:
    """The example's, which LightGBM's environment cannot import for want of tabtext."""
    ratio = predicted / sales.to_numpy()
    return float(ratio.mean() / (ratio**2).mean())


def errors(sales, predicted, factor: float) -> dict[str, float]:
    """The competition's error, and that of the logarithm, which is what is learned."""
    import numpy as np

    ratio = predicted / sales.to_numpy()
    return {
        "RMSPE": float(np.sqrt(np.mean((1 - ratio) ** 2))),
        "RMSPE with factor": float(np.sqrt(np.mean((1 - factor * ratio) ** 2))),
        "log-RMSE": float(np.sqrt(np.mean(np.log(ratio) ** 2))),
    }


def ensemble(side: str, folder: Path, runs: int, factor: float) -> dict[str, float]:
    """Errors of the mean prediction of all seeds."""
    import numpy as np
    import pandas as pd

    logarithms = [np.log(np.load(folder / f"{side}-{seed}.npy")) for seed in range(runs)]
    sales = pd.read_parquet(folder / "test.parquet", columns=["Sales"])["Sales"]
    found = errors(sales, np.exp(np.mean(logarithms, axis=0)), factor)
    return {name: round(value, 5) for name, value in found.items()}


def measure(
    side: str, folder: Path, *, rounds: int, factor: float, runs: int
) -> dict[str, Any] | None:
    """Choose, fit every seed, average; None where the side's package is not installed."""
    python = sys.executable if side == "tabtext" else harness.own_python(side)
    command = [python, __file__, "--side", side, str(folder)]
    chosen: dict[str, Any] | None = {"rounds": rounds, "factor": factor}
    if not rounds:
        chosen = harness.run_side(command)
        if chosen is None:
            return None
    print(f"  {side}, by the validation weeks: {chosen}", flush=True)
    factor = chosen["factor"]
    command += ["--rounds", str(int(chosen["rounds"])), "--factor", str(factor)]
    records = harness.compare({side: command}, runs=runs)
    record = harness.summarise(records)[side]
    return {"chosen": chosen, **record, "ensemble": ensemble(side, folder, runs, factor)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=0, help="epochs or trees; 0: to be chosen")
    parser.add_argument("--factor", type=float, default=1.0, help="of predictions, with --rounds")
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.side:
        side, folder = arguments.side
        run_side(side, Path(folder), arguments.rounds, arguments.factor)
        return
    sides = harness.read_result("rossmann", arguments.out)["sides"]
    settings = {
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "lightgbm": {**LIGHTGBM, "early_stopping_rounds": EARLY_STOPPING_ROUNDS},
    }
    with tempfile.TemporaryDirectory() as folder:
        build_parts(Path(folder))
        for side in arguments.sides:
            found = measure(
                side,
                Path(folder),
                rounds=arguments.rounds,
                factor=arguments.factor,
                runs=arguments.runs,
            )
            if found is not None:
                sides[side] = found
                harness.write_result("rossmann", settings, sides, arguments.out)
    show(sides)


def show(sides: dict[str, Any]) -> None:
    """A row for each side."""
    rows = [
        {
            "side": side,
            **record["median"],
            "valid": record["chosen"].get("RMSPE", float("nan")),
            "ensemble": record["ensemble"]["RMSPE with factor"],
            "runs": len(record["runs"]),
        }
        for side, record in sides.items()
    ]
    four = "{:.4f}".format
    columns = {
        "side": str,
        "valid": four,
        "RMSPE": four,
        "RMSPE with factor": four,
        "log-RMSE": four,
        "runs": str,
    }
    columns |= {"ensemble": four, "rounds": "{:.0f}".format, "fit seconds": "{:.0f}".format}
    columns |= {"predict seconds": "{:.1f}".format, "peak_mb": "{:,.0f}".format}
    print(harness.table(rows, columns))


if __name__ == "__main__":
    main()
