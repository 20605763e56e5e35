"""WikiText-2: perplexity of tabtext's AWD-LSTM beside fastai's, and the recipe of the paper.

*--quick* (two CPU cores): both sides get the same articles, vocabulary (all 33,278 words), size
(embedding 128, two layers of 256), windows (32 streams of 70 tokens) and number of steps, and their
own dropouts, regularisers and optimizer at their defaults, with one-cycle. Each trains with the
same few rates; the validation part chooses the one that is shown. Both sides are judged by one
function: every token once, in order, the state carried from the first token to the last.

*--full* (a GPU): tabtext alone, by the recipe of awd-lstm-lm for WikiText-2: embedding 400, three
layers of 1,150, SGD at 30 with clipping at 0.25 and NT-ASGD, 80 streams, 750 epochs. The paper
reports 68.6 / 65.8 (validation / test) with fine-tuning, 69.1 / 66.0 without.

    TABTEXT_DATA=... TABTEXT_BENCH_FASTAI=/path/to/its/python python bench/wikitext2.py --quick
    TABTEXT_DATA=... python bench/wikitext2.py --full --epochs 750
    python bench/wikitext2.py --trial                     # tiny sizes; writes no result
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import fastai_language_model
import harness
import numpy as np
import text_data
from perplexity import stream_perplexity

Settings = dict[str, Any]

QUICK: Settings = {
    "embedding": 128,
    "hidden": 256,
    "layers": 2,
    "batch_size": 32,
    "bptt": 70,
    "tokens": 1_000_000,
    "epochs": 1,
    "rates": [0.003, 0.01],
}
TRIAL: Settings = {
    **QUICK,
    "embedding": 16,
    "hidden": 16,
    "vocabulary": 1_000,
    "tokens": 20_000,
    "valid_tokens": 3_000,
    "rates": [0.01],
}

FULL: Settings = {
    "embedding": 400,
    "hidden": 1150,
    "layers": 3,
    "batch_size": 80,
    "bptt": 70,
    "epochs": 750,
    "rates": [30.0],
    "dropouts": {
        "embedding_dropout": 0.1,
        "input_dropout": 0.65,
        "weight_drop": 0.5,
        "hidden_dropout": 0.2,
        "output_dropout": 0.4,
    },
    "training": {
        "optimizer": "sgd",
        "betas": [0.0, 0.99],  # no momentum
        "schedule": "constant",
        "weight_decay": 1.2e-6,
        "decay_all": True,
        "clip_norm": 0.25,
        "averaging": "nt_asgd",
    },
    "random_lengths": True,
}


# --- sides ----------------------------------------------------------------------------------


def read_parts(folder: Path, settings: Settings) -> dict[str, text_data.Tokens]:
    parts = {name: text_data.read_tokens(folder, name) for name in ("train", "valid", "test")}
    if "tokens" in settings:
        parts["train"] = text_data.first_articles(parts["train"], settings["tokens"])
    if "valid_tokens" in settings:
        for name in ("valid", "test"):
            parts[name] = text_data.first_articles(parts[name], settings["valid_tokens"])
    return parts


def train_fastai(parts: dict[str, text_data.Tokens], settings: Settings, rate: float):
    train = parts["train"]
    learner = fastai_language_model.new_learner(
        np.split(train.ids, train.offsets[1:-1]),
        settings["vocabulary"],
        settings,
        batch_size=settings["batch_size"],
        bptt=settings["bptt"],
        device=settings["device"],
    )
    figures = fastai_language_model.train(learner, epochs=settings["epochs"], learning_rate=rate)
    return lambda: fastai_language_model.window_losses(learner, settings["device"]), figures


def train_tabtext(parts: dict[str, text_data.Tokens], settings: Settings, rate: float):
    import tabtext_language_model

    network, figures = tabtext_language_model.train(parts, settings, rate)
    return lambda: tabtext_language_model.window_losses(network, settings["device"]), figures


def run_side(side: str, folder: Path, rate: float, settings: Settings) -> None:
    """Train at one rate; print perplexities, steps, seconds and peak memory."""
    parts = read_parts(folder, settings)
    trainers = {"fastai": train_fastai, "tabtext": train_tabtext}
    new_scorer, figures = trainers[side](parts, settings, rate)
    perplexities = {
        f"{name} perplexity": round(stream_perplexity(new_scorer(), parts[name].ids), 2)
        for name in ("valid", "test")
    }
    harness.report({**perplexities, **figures, "rate": rate, "tokens": len(parts["train"].ids)})


# --- both -----------------------------------------------------------------------------------


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="both sides, small (the default)")
    kind.add_argument("--full", action="store_true", help="tabtext alone, the paper's recipe")
    kind.add_argument("--trial", action="store_true", help="tiny sizes; writes no result")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--tokens", type=int, help="training tokens of the quick run")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rates", type=float, nargs="+")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--side", nargs=4, metavar=("SIDE", "FOLDER", "RATE", "SETTINGS"))
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace) -> Settings:
    settings = TRIAL if arguments.trial else FULL if arguments.full else QUICK
    given = {name: getattr(arguments, name) for name in ("tokens", "epochs", "rates", "device")}
    return settings | {name: value for name, value in given.items() if value is not None}


def main() -> None:
    arguments = parse()
    if arguments.side:
        side, folder, rate, settings = arguments.side
        run_side(side, Path(folder), float(rate), json.loads(settings))
        return
    settings = settings_of(arguments)
    pythons = {"tabtext": sys.executable}
    if not arguments.full:
        pythons["fastai"] = harness.own_python("fastai")
    with tempfile.TemporaryDirectory() as folder:
        largest = settings.get("vocabulary")
        settings["vocabulary"] = text_data.write_wikitext2(Path(folder), max_size=largest)
        given = json.dumps(settings)
        commands = {
            f"{side}, rate {rate:g}": [python, __file__, "--side", side, folder, str(rate), given]
            for rate in settings["rates"]
            for side, python in pythons.items()
        }
        summary = harness.summarise(harness.compare(commands, runs=arguments.runs))
    check_steps(summary)
    show(summary, pythons)
    if not arguments.trial:
        name = "wikitext2-full" if arguments.full else "wikitext2"
        harness.write_result(name, {"runs": arguments.runs, **settings}, summary)


def check_steps(summary: dict[str, Any]) -> None:
    """Raise if a side took more steps: the comparison would not be one of equal budgets."""
    steps = {side: record["median"]["steps"] for side, record in summary.items()}
    if max(steps.values()) != min(steps.values()):
        raise RuntimeError(f"the sides took different numbers of steps: {steps}")


def show(summary: dict[str, Any], sides: dict[str, Any]) -> None:
    """Print each side's run with the best validation perplexity."""
    rows = []
    for side in sides:
        own = [record["median"] for name, record in summary.items() if name.startswith(side)]
        if own:
            rows.append({"side": side, **min(own, key=lambda run: run["valid perplexity"])})
    columns = {
        "side": str,
        "rate": "{:g}".format,
        "valid perplexity": "{:.1f}".format,
        "test perplexity": "{:.1f}".format,
        "steps": "{:,.0f}".format,
        "train seconds": "{:,.0f}".format,
        "peak_mb": "{:,.0f}".format,
    }
    print(harness.table(rows, columns))


if __name__ == "__main__":
    main()
