"""Preparing 1,017,209 Rossmann rows: tabtext beside fastai's TabularPandas and scikit-learn.

The frame is that of the fast.ai lesson: 22 categorical and 16 continuous columns with gaps. Every
side gets the same frame, in three forms (strings as Python objects, as Arrow-backed strings, as
categories), in a process of its own. The clock runs over learning and applying the preparation;
reading the file, imports and a first call on 2,000 rows (which compiles kernels) are outside.

    TABTEXT_DATA=... python bench/preprocess.py            # all sides
    TABTEXT_BENCH_FASTAI=/path/to/its/python ...           # fastai in its own environment:
        python -m venv fastai && fastai/bin/pip install 'torch==2.13.0' 'fastai==2.8.12'
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import harness

CATEGORICAL = [
    "Store", "DayOfWeek", "Year", "Month", "Day", "StateHoliday", "CompetitionMonthsOpen",
    "Promo2Weeks", "StoreType", "Assortment", "PromoInterval", "CompetitionOpenSinceYear",
    "Promo2SinceYear", "State", "Week", "Events", "Promo_fw", "Promo_bw", "StateHoliday_fw",
    "StateHoliday_bw", "SchoolHoliday_fw", "SchoolHoliday_bw",
]  # fmt: skip
CONTINUOUS = [
    "CompetitionDistance", "Max_TemperatureC", "Mean_TemperatureC", "Min_TemperatureC",
    "Max_Humidity", "Mean_Humidity", "Min_Humidity", "Max_Wind_SpeedKm_h", "Mean_Wind_SpeedKm_h",
    "CloudCover", "trend", "trend_DE", "AfterStateHoliday", "BeforeStateHoliday", "Promo",
    "SchoolHoliday",
]  # fmt: skip
STRINGS = ("object", "str", "category")
PEERS = ("tabtext", "fastai", "sklearn")
ROWS = 1_017_209


def build_frame(path: Path) -> None:
    """Write the joined and derived frame of the lesson as Parquet."""
    import pandas as pd

    from tabtext.datasets import load_rossmann
    from tabtext.tabular.features import add_elapsed, add_rolling

    splits = load_rossmann()
    frame = pd.concat([splits.train, splits.valid, splits.test], ignore_index=True)
    frame["Holiday"] = (frame["StateHoliday"] != "0").astype("int8")
    frame = add_elapsed(frame, events=["Holiday"], date="Date", by="Store")
    events = frame.rename(columns={"Promo": "Promo_", "SchoolHoliday": "School_"})
    for direction, suffix in (("last", "bw"), ("next", "fw")):
        rolled = add_rolling(
            events[["Store", "Date", "Promo_", "School_", "Holiday"]],
            ["Promo_", "School_", "Holiday"],
            date="Date",
            by="Store",
            days=7,
            statistics=("sum",),
            direction=direction,
        )
        sums = rolled.iloc[:, 5:]
        for column, name in zip(sums, ("Promo", "SchoolHoliday", "StateHoliday"), strict=True):
            frame[f"{name}_{suffix}"] = sums[column].fillna(0).astype("int8").to_numpy()
    date = frame["Date"].dt
    frame["Year"], frame["Month"], frame["Day"] = date.year, date.month, date.day
    frame["Week"] = date.isocalendar().week.astype("int32").to_numpy()
    frame["AfterStateHoliday"] = frame["days_since_Holiday"]
    frame["BeforeStateHoliday"] = frame["days_until_Holiday"]
    if len(frame) != ROWS:
        raise RuntimeError(f"{len(frame)} rows instead of {ROWS}")
    frame[CATEGORICAL + CONTINUOUS].to_parquet(path)


def read_frame(path: Path, strings: str):
    """Return the frame with its text columns in one of the three forms."""
    import pandas as pd

    frame = pd.read_parquet(path)
    for name in frame.select_dtypes(include=["category", "str", "object"]).columns:
        frame[name] = frame[name].astype("object")
        if strings != "object":
            frame[name] = frame[name].astype(strings)
    return frame


def run_tabtext(frame) -> None:
    from tabtext.tabular import TabularPreprocessor

    roles = dict.fromkeys(CATEGORICAL, "categorical") | dict.fromkeys(CONTINUOUS, "continuous")
    encoded = TabularPreprocessor(roles=roles).fit_encode(frame)
    assert encoded.categorical.shape == (len(frame), 22)


def run_fastai(frame) -> None:
    from fastai.tabular.core import Categorify, FillMissing, Normalize, TabularPandas

    procs = [Categorify, FillMissing, Normalize]
    prepared = TabularPandas(frame, procs, cat_names=[*CATEGORICAL], cont_names=[*CONTINUOUS])
    assert len(prepared.items) == len(frame)


def run_sklearn(frame) -> None:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    transformer = ColumnTransformer([("c", codes, CATEGORICAL), ("n", numbers, CONTINUOUS)])
    assert len(transformer.fit_transform(frame)) == len(frame)


def run_side(peer: str, strings: str, path: Path) -> None:
    """Do the work once; print seconds and peak memory."""
    frame = read_frame(path, strings)
    loaded_mb = harness.peak_megabytes()
    prepare = {"tabtext": run_tabtext, "fastai": run_fastai, "sklearn": run_sklearn}[peer]
    try:
        prepare(frame.head(2000))
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    started = time.perf_counter()
    prepare(frame)
    seconds = time.perf_counter() - started
    harness.report({"seconds": round(seconds, 4), "loaded_mb": round(loaded_mb, 1)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--side", nargs=3, metavar=("PEER", "STRINGS", "PATH"))
    arguments = parser.parse_args()
    if arguments.side:
        peer, strings, path = arguments.side
        run_side(peer, strings, Path(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rossmann.parquet"
        build_frame(path)
        pythons = {peer: harness.own_python(peer) for peer in PEERS} | {"tabtext": sys.executable}
        sides = {
            f"{peer}, {strings}": [pythons[peer], __file__, "--side", peer, strings, str(path)]
            for strings in STRINGS
            for peer in PEERS
        }
        records = harness.compare(sides, runs=arguments.runs)
    summary = harness.summarise(records)
    harness.write_result("preprocess", {"rows": ROWS, "runs": arguments.runs}, summary)
    rows = []
    for name, side in summary.items():
        ours = summary[f"tabtext, {name.split(', ')[1]}"]["median"]
        ratio = side["median"]["seconds"] / ours["seconds"]
        rows.append({"side": name, **side["median"], "times tabtext": ratio})
    print(
        harness.table(
            rows,
            {
                "side": str,
                "seconds": "{:.3f}".format,
                "times tabtext": "{:.2f}".format,
                "loaded_mb": "{:.0f}".format,
                "peak_mb": "{:.0f}".format,
            },
        )
    )


if __name__ == "__main__":
    main()
