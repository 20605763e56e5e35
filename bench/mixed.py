"""Prices of lodgings from tables with four columns of text: tabtext's models and LightGBM.

Two cities of Inside Airbnb, each with 31 columns of numbers, categories and dates, and with name,
description, neighbourhood and amenities as texts. All sides learn the logarithm of the price from
the rows whose ``split`` is ``train``, outliers pruned, and choose epochs or trees by ``valid``; all
further settings were chosen by ``valid``, too (``--part valid`` shows it). ``test`` has all of its
rows. Sides are processes of their own; the clock runs over the fit, preparation of the texts
included, and over the predictions.

    TABTEXT_DATA=... python bench/mixed.py
    python bench/mixed.py --part valid --sides tabtext lightgbm --cities washington_dc
    TABTEXT_BENCH_LIGHTGBM=/path/to/its/python ...         # LightGBM in its own environment:
        python -m venv lightgbm && lightgbm/bin/pip install lightgbm scikit-learn pandas pyarrow
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import harness

TEXTS = ["name", "description", "neighborhood_overview", "amenities"]
CITIES = {"washington_dc": (20, 2000), "dublin": (10, 1500)}
"""Training rows are kept whose price per night lies between these: the others are mistakes, or so
few that they teach nothing."""

COMMON = {"target_transform": "log", "verbose": 0}
LIGHTGBM = {
    "objective": "regression",
    "n_estimators": 5000,
    "learning_rate": 0.03,
    "num_leaves": 31,
    "min_child_samples": 20,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.3,
    "verbose": -1,
}
EARLY_STOPPING_ROUNDS = 100
COMPONENTS = 100  # of each column's TF-IDF; 50 were no better on the validation rows


def read_parts(city: str) -> dict[str, Any]:
    """The rows of a city, part by part; outliers are left out of the training part."""
    import pandas as pd

    path = Path(os.environ["TABTEXT_DATA"]) / "airbnb" / f"{city}.parquet"
    frame = pd.read_parquet(path)
    parts = {
        name: frame[frame["split"] == name].drop(columns="split").reset_index(drop=True)
        for name in ("train", "valid", "test")
    }
    low, high = CITIES[city]
    price = parts["train"]["price"]
    parts["train"] = parts["train"][(price > low) & (price < high)].reset_index(drop=True)
    return parts


def fit_tabtext(train, valid):
    from tabtext import TabTextRegressor

    model = TabTextRegressor(**COMMON, random_state=harness.seed())
    return model.fit(train, target="price", validation=valid).predict


def fit_table(train, valid):
    """The same table without its texts."""
    from tabtext import TabularRegressor

    model = TabularRegressor(**COMMON, exclude=TEXTS, random_state=harness.seed())
    return model.fit(train, target="price", validation=valid).predict


def fit_texts(train, valid):
    """The texts without their table."""
    from tabtext import TextRegressor

    model = TextRegressor(**COMMON, text_columns=TEXTS, random_state=harness.seed())
    return model.fit(train, target="price", validation=valid).predict


def fit_lightgbm(train, valid):
    """TF-IDF of words and pairs of words, its first components, and the table."""
    return boosted(train, valid, TEXTS)


def fit_lightgbm_table(train, valid):
    return boosted(train, valid, [])


def boosted(train, valid, texts):
    import numpy as np
    import pandas as pd
    from lightgbm import LGBMRegressor, early_stopping
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    table = train.drop(columns=["price", *TEXTS])
    levels = {
        name: pd.CategoricalDtype(sorted(table[name].dropna().unique()))
        for name in table
        if not (
            pd.api.types.is_numeric_dtype(table[name])
            or pd.api.types.is_datetime64_any_dtype(table[name])
        )
    }
    readers = {
        name: make_pipeline(
            TfidfVectorizer(min_df=3, ngram_range=(1, 2), sublinear_tf=True),
            TruncatedSVD(COMPONENTS, random_state=harness.seed()),
        ).fit(train[name].fillna(""))
        for name in texts
    }

    def features(frame):
        columns = {}
        for name in table:
            values = frame[name]
            if name in levels:
                known = values.where(values.isin(levels[name].categories))
                columns[name] = known.astype(levels[name])
            elif pd.api.types.is_datetime64_any_dtype(values):
                days = (values - pd.Timestamp("2000-01-01")).dt.total_seconds() / 86_400
                columns[name] = days
            else:
                columns[name] = values
        for name, reader in readers.items():
            for place, component in enumerate(reader.transform(frame[name].fillna("")).T):
                columns[f"{name} {place}"] = component
        return pd.DataFrame(columns)

    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # 0: as many as there are cores
    model = LGBMRegressor(**LIGHTGBM, n_jobs=threads, seed=harness.seed())
    model.fit(
        features(train),
        np.log(train["price"]),
        eval_set=[(features(valid), np.log(valid["price"]))],
        callbacks=[early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )
    return lambda frame: np.exp(model.predict(features(frame)))


SIDES = {
    "tabtext": fit_tabtext,
    "tabtext, table alone": fit_table,
    "tabtext, texts alone": fit_texts,
    "lightgbm": fit_lightgbm,
    "lightgbm, table alone": fit_lightgbm_table,
}


def run_side(side: str, city: str, part: str) -> None:
    """Fit, predict one part, and report."""
    try:
        import numpy as np

        if side.startswith("lightgbm"):
            import lightgbm  # noqa: F401
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    parts = read_parts(city)
    started, cpu = time.perf_counter(), time.process_time()
    predict = SIDES[side](parts["train"], parts["valid"])
    fitted, cpu_fitted = time.perf_counter(), time.process_time()
    judged = parts[part]
    predicted = np.asarray(predict(judged.drop(columns="price")))
    predicting = time.perf_counter() - fitted
    price = judged["price"].to_numpy(np.float64)
    found = {
        "log-RMSE": float(np.sqrt(np.mean((np.log(predicted) - np.log(price)) ** 2))),
        "median error": float(np.median(np.abs(predicted - price))),
        "fit seconds": fitted - started,
        "fit CPU seconds": cpu_fitted - cpu,
        "predict seconds": predicting,
    }
    harness.report({name: round(value, 5) for name, value in found.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--cities", nargs="+", choices=CITIES, default=list(CITIES))
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "CITY"))
    arguments = parser.parse_args()
    if arguments.side:
        run_side(*arguments.side, arguments.part)
        return
    sides = harness.read_result("mixed", arguments.out)["sides"]
    settings = {
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "part": arguments.part,
        "prices of training rows": CITIES,
        "tabtext": COMMON,
        "lightgbm": {
            **LIGHTGBM,
            "early_stopping_rounds": EARLY_STOPPING_ROUNDS,
            "components": COMPONENTS,
        },
    }
    for city in arguments.cities:
        print(city, flush=True)
        commands = {side: [*command_of(side, city), "--part", arguments.part] for side in SIDES}
        records = harness.compare(
            {side: commands[side] for side in arguments.sides}, runs=arguments.runs
        )
        sides[city] = {**sides.get(city, {}), **harness.summarise(records)}
        if arguments.part == "test" or arguments.out is not None:
            harness.write_result("mixed", settings, sides, arguments.out)
    show({city: sides[city] for city in arguments.cities})


def command_of(side: str, city: str) -> list[str]:
    """The command of a side, which reads the rows by itself."""
    python = harness.own_python("lightgbm") if side.startswith("lightgbm") else sys.executable
    return [python, __file__, "--side", side, city]


def show(sides: dict[str, Any]) -> None:
    """A row for each side and city."""
    rows = [
        {"city": city, "side": side, **record["median"], "runs": len(record["runs"])}
        for city, of_city in sides.items()
        for side, record in of_city.items()
    ]
    four, whole = "{:.4f}".format, "{:.0f}".format
    columns = {"city": str, "side": str, "log-RMSE": four, "median error": "{:.2f}".format}
    columns |= {"runs": str, "fit seconds": whole, "fit CPU seconds": whole}
    columns |= {"predict seconds": "{:.1f}".format, "peak_mb": "{:,.0f}".format}
    print(harness.table(rows, columns))


if __name__ == "__main__":
    main()
