"""Training speed: tabtext beside a bare PyTorch loop, and beside fastai's tabular_learner.

*Loop.* The same model, tensors, optimizer and batch size, in one process; the sides take turns
epoch by epoch, so that whatever else the machine does meets them alike. The bare loop is what one
would write by hand: shuffle, index, forward, loss, backward, step; once without and once with the
clipping of gradients that the trainer always does.

*Learner.* 100,000 of the flights that ship (January to October; November validates), the
same layers (200, 100), mean squared error on the scaled delay, in one process per side:
fastai 2.8 with its default batch size 64, tabtext with 64, and tabtext with its own batch size.

    python bench/tabular_train.py
    TABTEXT_BENCH_FASTAI=/path/to/python python bench/tabular_train.py    # see preprocess.py
"""

import argparse
import statistics
import sys
import time

import harness

LOOP_ROWS = 40_000
LEARNER_ROWS = 100_000
BATCH_SIZES = (64, 1024)
LAYERS = (200, 100)
EPOCHS = 3
SEED = 0


# --- the trainer beside a bare loop ---------------------------------------------------------


def loop_data():
    """Encoded flights as tensors."""
    import torch

    from tabtext.datasets import load_flights
    from tabtext.tabular import TabularPreprocessor

    flights = load_flights("valid").dropna(subset="arr_delay")
    flights = flights.sample(LOOP_ROWS, replace=True, random_state=SEED)
    preprocessor = TabularPreprocessor()
    encoded = preprocessor.fit_encode(flights, targets=["arr_delay"])
    delay = torch.tensor(flights["arr_delay"].to_numpy("float32"))[:, None]
    inputs = torch.from_numpy(encoded.categorical), torch.from_numpy(encoded.continuous)
    return preprocessor, inputs, (delay - delay.mean()) / delay.std()


def new_model(preprocessor):
    import torch

    from tabtext.tabular.models import EntityEmbeddingMLP

    torch.manual_seed(SEED)
    return EntityEmbeddingMLP(
        preprocessor.cardinalities_, len(preprocessor.continuous_names_), 1, hidden=LAYERS
    )


def bare_epoch(model, optimizer, inputs, target, batch_size: int, clip: bool) -> None:
    import torch

    model.train()
    order = torch.randperm(len(target))
    for rows in order.split(batch_size):
        loss = (model(*(tensor[rows] for tensor in inputs)) - target[rows]).square().mean()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def compare_loops(turns: int) -> dict[str, dict[str, float]]:
    """Median rows/s of each side at each batch size."""
    import torch

    from tabtext.training import TensorBatches, Trainer, TrainingOptions
    from tabtext.training.losses import squared_error

    preprocessor, inputs, target = loop_data()
    results = {}
    for batch_size in BATCH_SIZES:
        seconds: dict[str, list[float]] = {}
        models = {name: new_model(preprocessor) for name in ("bare", "bare, clipping", "trainer")}
        optimizers = {
            name: torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
            for name, model in models.items()
            if name != "trainer"  # it makes its own
        }
        options = TrainingOptions(epochs=1, learning_rate=1e-3)
        trainer = Trainer(models["trainer"], squared_error, options=options)
        batches = TensorBatches(inputs, target, batch_size=batch_size, shuffle=True)
        for _ in range(turns + 1):
            for name in models:
                started = time.perf_counter()
                if name == "trainer":
                    trainer.fit(batches)
                else:
                    clip = name == "bare, clipping"
                    bare_epoch(models[name], optimizers[name], inputs, target, batch_size, clip)
                seconds.setdefault(name, []).append(time.perf_counter() - started)
        # The first turn warms up: kernels, allocator, caches.
        medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
        results[f"batch {batch_size}"] = {
            **{f"{name}, rows/s": round(len(target) / s) for name, s in medians.items()},
            "trainer / bare": round(medians["bare"] / medians["trainer"], 3),
            "trainer / bare, clipping": round(medians["bare, clipping"] / medians["trainer"], 3),
        }
        print(batch_size, results[f"batch {batch_size}"], flush=True)
    return results


# --- tabtext beside fastai ------------------------------------------------------------------


def read_flights(path: str):
    import pandas as pd

    return [pd.read_parquet(f"{path}/{part}.parquet") for part in ("train", "valid")]


def write_flights(folder: str) -> None:
    """Write both parts with the date as plain columns, so that fastai reads the same features."""
    from tabtext.datasets import load_flights

    for part in ("train", "valid"):
        frame = load_flights(part).dropna(subset="arr_delay")
        frame = frame.sample(min(LEARNER_ROWS, len(frame)), random_state=SEED)
        frame = frame.reset_index(drop=True)
        when = frame.pop("scheduled_departure").dt
        for name in ("month", "day", "day_of_week", "hour"):
            frame[name] = getattr(when, name).astype("category")
        frame.to_parquet(f"{folder}/{part}.parquet")


def run_fastai(path: str, batch_size: int) -> None:
    try:
        from fastai.tabular.all import (
            Categorify,
            FillMissing,
            Normalize,
            RegressionBlock,
            TabularPandas,
            set_seed,
            tabular_learner,
        )
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    import pandas as pd

    train, valid = read_flights(path)
    mean, deviation = train["arr_delay"].mean(), train["arr_delay"].std()
    both = pd.concat([train, valid], ignore_index=True)
    both["arr_delay"] = ((both["arr_delay"] - mean) / deviation).astype("float32")
    categorical = both.select_dtypes("category").columns.tolist()
    continuous = [c for c in both.columns if c not in {*categorical, "arr_delay"}]
    both[continuous] = both[continuous].astype("float32")
    set_seed(harness.seed())
    splits = list(range(len(train))), list(range(len(train), len(both)))
    tables = TabularPandas(
        both, [Categorify, FillMissing, Normalize], categorical, continuous, y_names="arr_delay",
        y_block=RegressionBlock(), splits=splits,
    )  # fmt: skip
    learner = tabular_learner(tables.dataloaders(bs=batch_size), layers=list(LAYERS))
    started = time.perf_counter()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(EPOCHS)
    seconds = time.perf_counter() - started
    losses = [float(row[1]) for row in learner.recorder.values]  # noqa: PD011 - not pandas
    report_side(len(train), seconds, EPOCHS, losses)


def run_tabtext(path: str, batch_size: int) -> None:
    from tabtext import TabularRegressor

    train, valid = read_flights(path)
    model = TabularRegressor(
        network="mlp", hidden=LAYERS, dropout=0.1, numeric_embedding="none", learning_rate=2e-3,
        verbose=0, random_state=harness.seed(),
        batch_size=batch_size or "auto", epochs=EPOCHS,
        averaging=None,  # the peer has none
    )  # fmt: skip
    model.fit(train, target="arr_delay", validation=valid)
    epochs = model.history_.epochs
    seconds = sum(epoch.seconds for epoch in epochs)
    report_side(len(train), seconds, len(epochs), [epoch.valid_loss for epoch in epochs])


def report_side(n_rows: int, seconds: float, n_epochs: int, losses) -> None:
    harness.report(
        {
            "rows_per_second": round(n_rows * n_epochs / seconds),
            "seconds": round(seconds, 2),
            "best_valid_loss": round(min(losses), 5),
            "last_valid_loss": round(losses[-1], 5),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7, help="epochs of each loop")
    parser.add_argument("--runs", type=int, default=3, help="runs of each learner")
    parser.add_argument("--side", nargs=3, metavar=("PEER", "PATH", "BATCH"))
    parser.add_argument(
        "--only", choices=["loop", "learner"], help="measure this part, and keep the other"
    )
    arguments = parser.parse_args()
    if arguments.side:
        peer, path, batch = arguments.side
        {"fastai": run_fastai, "tabtext": run_tabtext}[peer](path, int(batch))
        return
    sides = harness.read_sides("tabular_train") if arguments.only else {}
    if arguments.only != "learner":
        sides["loop"] = compare_loops(arguments.turns)
    if arguments.only != "loop":
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            write_flights(folder)
            pythons = {"tabtext": sys.executable, "fastai": harness.own_python("fastai")}
            commands = {
                name: [pythons[peer], __file__, "--side", peer, folder, str(batch)]
                for name, peer, batch in (
                    ("fastai, batch 64", "fastai", 64),
                    ("tabtext, batch 64", "tabtext", 64),
                    ("tabtext, its own batch size", "tabtext", 0),
                )
            }
            sides["learner"] = harness.summarise(harness.compare(commands, runs=arguments.runs))
    settings = {"turns": arguments.turns, "runs": arguments.runs, "layers": LAYERS}
    harness.write_result("tabular_train", settings, sides)


if __name__ == "__main__":
    main()
