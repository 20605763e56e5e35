"""How fast fitted models of the flights answer: many rows, one row, the first one after loading.

The default regressor of tabtext, its ``preset="fast"`` and LightGBM (with its defaults, 100 rounds)
are fitted on the same flights; then each predicts December's from a raw DataFrame, and single rows
of it as a frame and, where it takes them, as a mapping and an Arrow table. Seconds of the processor
are given beside those of the clock, because a shared machine steals from the latter only.

    python bench/inference.py
    TABTEXT_BENCH_LIGHTGBM=/path/to/its/python python bench/inference.py
    python bench/inference.py --threads 1
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

PARTS = ("train", "valid", "test")
TARGET = "arr_delay"
ONE_ROW = 300
BATCH = 2
"""How often December comes: 56,270 rows."""


def fit_tabtext(folder: Path, threads: int, **settings: Any) -> Any:
    """Fit on the flights, a few epochs: what it costs to predict does not depend on them."""
    import pandas as pd
    import torch

    import tabtext

    torch.set_num_threads(threads)
    place = folder / f"model-{settings.get('preset', 'default')}"
    if not place.exists():
        train, valid = (pd.read_parquet(folder / f"{name}.parquet") for name in PARTS[:2])
        model = tabtext.TabularRegressor(epochs=1, verbose=0, **settings)
        model.fit(train, target=TARGET, validation=valid).save(place)
    return tabtext.load(place)


def fit_lightgbm(folder: Path, threads: int) -> Any:
    """Fit LightGBM; categories are those of the training rows."""
    import pandas as pd
    from lightgbm import LGBMRegressor

    train = pd.read_parquet(folder / "train.parquet").dropna(subset=TARGET)
    names = train.select_dtypes(exclude=["number", "datetime"]).columns
    levels = {name: pd.CategoricalDtype(train[name].dropna().unique()) for name in names}

    def features(frame: Any) -> Any:
        dates = {n: frame[n].astype("int64") for n in frame.select_dtypes("datetime").columns}
        return frame.drop(columns=TARGET, errors="ignore").astype(levels).assign(**dates)

    model = LGBMRegressor(verbose=-1, n_jobs=threads).fit(features(train), train[TARGET])

    class Model:
        def predict(self, frame: Any) -> Any:
            return model.predict(features(frame))

    return Model()


SIDES = {
    "tabtext": fit_tabtext,
    "tabtext_fast": lambda folder, threads: fit_tabtext(folder, threads, preset="fast"),
    "lightgbm": fit_lightgbm,
}


def run_side(side: str, folder: Path, threads: int) -> None:
    """Fit one side and print how fast it predicts."""
    try:
        import pandas as pd

        model = SIDES[side](folder, threads)
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    test = pd.read_parquet(folder / "test.parquet").drop(columns=TARGET)
    many = pd.concat([test] * BATCH, ignore_index=True)
    record: dict[str, Any] = {"rows": len(many)}
    model.predict(many)  # compiled kernels load on first use
    record |= {f"batch_{name}": len(many) / s for name, s in timed(model, many, 3).items()}
    one = test[9:10]
    forms = {"frame": one}
    if side.startswith("tabtext"):
        import pyarrow as pa

        forms["arrow"] = pa.Table.from_pandas(one, preserve_index=False)
        forms["mapping"] = one.to_dict("records")[0]
    for form, row in forms.items():
        timed(model, row, 20)
        seconds = timed(model, row, ONE_ROW)
        record |= {f"one_{form}_ms_{name}": 1000 * value for name, value in seconds.items()}
    if side.startswith("tabtext"):
        place = folder / ("model-fast" if side == "tabtext_fast" else "model-default")
        record |= first_prediction(place, forms["mapping"])
    harness.report(record)


def timed(model: Any, rows: Any, times: int) -> dict[str, float]:
    """Median seconds of the clock, and mean seconds of the processor, of one prediction."""
    clock = []
    processor = time.process_time()
    for _ in range(times):
        started = time.perf_counter()
        model.predict(rows)
        clock.append(time.perf_counter() - started)
    processor = time.process_time() - processor
    return {"clock": sorted(clock)[times // 2], "processor": processor / times}


FIRST = """
import pickle, resource, sys, time
started = time.perf_counter()
import tabtext
model = tabtext.load(sys.argv[1])
loaded = time.perf_counter() - started
model.predict(pickle.loads(bytes.fromhex(sys.argv[2])))
total = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_SELF)
print(loaded, total, used.ru_utime + used.ru_stime, len(sys.modules))
"""


def first_prediction(place: Path, row: dict[str, Any]) -> dict[str, float]:
    """Seconds until a model is loaded, and until it has answered for the first time."""
    plain = {
        name: getattr(value, "to_pydatetime", lambda v=value: v)() for name, value in row.items()
    }
    arguments = [str(place), pickle.dumps(plain).hex()]
    done = subprocess.run(
        [sys.executable, "-c", FIRST, *arguments], capture_output=True, text=True, check=True
    )
    names = ("load_s", "first_answer_s", "first_answer_s_processor", "modules")
    return dict(zip(names, map(float, done.stdout.split()), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--folder", type=Path, help="keep rows and fitted models there")
    arguments = parser.parse_args()
    if arguments.side:
        run_side(arguments.side, arguments.folder, arguments.threads)
        return
    from tabtext.datasets import load_flights

    with tempfile.TemporaryDirectory() as temporary:
        folder = str(arguments.folder or temporary)
        for name in PARTS:
            load_flights(name).to_parquet(Path(folder) / f"{name}.parquet", index=False)
        peer = os.environ.get("TABTEXT_BENCH_LIGHTGBM", sys.executable)
        given = ["--folder", folder, "--threads", str(arguments.threads), "--side"]
        sides = {
            name: [peer if name == "lightgbm" else sys.executable, __file__, *given, name]
            for name in SIDES
        }
        records = harness.compare(sides, runs=arguments.runs)
    settings = {"threads": arguments.threads, "one_row_predictions": ONE_ROW}
    medians = {name: harness.medians(runs) for name, runs in records.items()}
    print(harness.write_result("inference", settings, medians, arguments.out))


if __name__ == "__main__":
    main()
