"""Training a language model: tokens per second and peak memory of tabtext beside its peers.

A step is 32 streams of 70 tokens of WikiText-2, with a vocabulary of 30,000, embedding 128 and two
layers of 256. The sides:

- *bare*: ``nn.Embedding``, ``nn.LSTM`` by ``nn.LSTM``, the tied decoder, ``F.cross_entropy`` and
  fused AdamW, as one would write it by hand. No dropout, no clipping, no schedule.
- *bare, adaptive softmax*: the same with ``nn.AdaptiveLogSoftmaxWithLoss``.
- *bare, tabtext's loss*: the same with tabtext's exact loss, to tell the loss from the rest.
- *fastai*: its AWD_LSTM and Learner, all dropouts and regularisers on.
- *tabtext*: its AWD-LSTM and Trainer, all dropouts and regularisers on, exact loss; *adaptive
  softmax* the same with that.

Every side is a process of its own that waits until it is its turn to train for some steps; so each
has its own environment and peak memory, and whatever else the machine does meets all alike. Ratios
are medians over turns of the ratio to the bare side's time in the same turn.

    TABTEXT_DATA=... TABTEXT_BENCH_FASTAI=/path/to/its/python python bench/text_training.py
    python bench/text_training.py --device cuda --precision tf32 --hidden 1150 --layers 3
    python bench/text_training.py --trial                 # tiny sizes; writes no result
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import fastai_language_model
import harness
import numpy as np
import text_data
from turns import Worker, wait_for_turns

BARE = "bare"
SIDES = [
    BARE,
    "bare, adaptive softmax",
    "bare, tabtext's loss",
    "fastai",
    "tabtext",
    "tabtext, adaptive softmax",
]
TRIAL = {"vocabulary": 3_000, "embedding": 16, "hidden": 16, "steps": 2, "turns": 2}

Settings = dict[str, Any]


# --- sides ----------------------------------------------------------------------------------


def bare_turns(ids, counts, settings: Settings, softmax: str):
    """Return a function that trains the hand-written network for a turn; its seconds."""
    del counts
    from bare_language_model import BareTraining

    training = BareTraining(settings, softmax)
    windows = training.windows(ids, settings["batch_size"], settings["bptt"])
    return lambda: training.train(windows)


def fastai_turns(ids, counts, settings: Settings, softmax: str):
    del counts, softmax
    learner = fastai_language_model.new_learner(
        [ids],
        settings["vocabulary"],
        settings,
        batch_size=settings["batch_size"],
        bptt=settings["bptt"],
        device=settings["device"],
    )

    if settings["precision"] == "bf16":
        learner.to_bf16()

    def train() -> float:
        watch = fastai_language_model.StepWatch(settings["device"])
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, cbs=[watch.callback()])
        return sum(watch.seconds)

    return train


def tabtext_turns(ids, counts, settings: Settings, softmax: str):
    import tabtext_language_model

    return tabtext_language_model.turns(ids, counts, settings, softmax)


def run_side(side: str, folder: Path, settings: Settings) -> None:
    """Prepare, warm up, and train whenever the parent asks."""
    peer, _, softmax = side.partition(", ")
    makers = {"bare": bare_turns, "fastai": fastai_turns, "tabtext": tabtext_turns}
    n_tokens = settings["batch_size"] * settings["bptt"] * settings["steps"] + 1
    ids = text_data.read_tokens(folder, "train").ids
    counts = np.bincount(ids, minlength=settings["vocabulary"])
    if settings["precision"] == "tf32":  # tabtext's trainer does so by itself
        import torch

        torch.set_float32_matmul_precision("high")
    train = makers[peer](ids[:n_tokens], counts, settings, softmax)
    wait_for_turns(train)
    figures = {}
    if settings["device"] == "cuda":
        import torch

        figures["gpu_peak_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    harness.report(figures)


# --- all in turn ----------------------------------------------------------------------------


def take_turns(commands: dict[str, list[str]], turns: int) -> tuple[dict, dict]:
    """Return every side's seconds, turn by turn, and what it says at its end."""
    workers: dict[str, Worker] = {}
    try:
        for side, command in commands.items():
            worker = Worker(command)
            if worker.is_absent:
                continue
            workers[side] = worker
        seconds: dict[str, list[float]] = {side: [] for side in workers}
        for number in range(turns):
            for side, worker in workers.items():
                seconds[side].append(worker.turn())
            print(number + 1, {side: round(times[-1], 3) for side, times in seconds.items()})
        return seconds, {side: worker.close() for side, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.kill()


def summarise(seconds: dict, ends: dict, settings: Settings) -> dict[str, dict[str, Any]]:
    tokens = settings["batch_size"] * settings["bptt"] * settings["steps"]
    sides = {}
    for side, times in seconds.items():
        ratios = [bare / own for bare, own in zip(seconds[BARE], times, strict=True)]
        median = {
            "tokens/s": round(tokens / statistics.median(times)),
            "times bare": round(statistics.median(ratios), 3),
            **ends[side],
        }
        sides[side] = {"median": median, "seconds": [round(time, 4) for time in times]}
    return sides


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="tiny sizes; writes no result")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn")
    parser.add_argument("--vocabulary", type=int, default=30_000)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--bptt", type=int, default=70)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--side", nargs=3, metavar=("SIDE", "FOLDER", "SETTINGS"))
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.side:
        side, folder, settings = arguments.side
        run_side(side, Path(folder), json.loads(settings))
        return
    settings = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("trial", "side", "sides")
    }
    settings |= TRIAL if arguments.trial else {}
    with tempfile.TemporaryDirectory() as folder:
        text_data.write_wikitext2(Path(folder), max_size=settings["vocabulary"])
        given = json.dumps(settings)
        commands = {}
        for side in dict.fromkeys([BARE, *arguments.sides]):
            python = harness.own_python("fastai") if side == "fastai" else sys.executable
            commands[side] = [python, __file__, "--side", side, folder, given]
        sides = summarise(*take_turns(commands, settings["turns"]), settings)
    columns = {
        "side": str,
        "tokens/s": "{:,.0f}".format,
        "times bare": "{:.2f}".format,
        "peak_mb": "{:,.0f}".format,
    }
    if settings["device"] == "cuda":
        columns["gpu_peak_mb"] = "{:,.0f}".format
    rows = [{"side": side, **record["median"]} for side, record in sides.items()]
    print(harness.table(rows, columns))
    if not arguments.trial:
        name = "text_training" + ("-cuda" if settings["device"] == "cuda" else "")
        harness.write_result(name, settings, sides)


if __name__ == "__main__":
    main()
