"""A training run in a process of its own, for tests that kill it.

    python checkpoint_run.py SCENARIO --checkpoints DIRECTORY [--resume] [--signal KILL --at STEP]
    python checkpoint_run.py all

It prints ``step N`` as soon as a step is done, and at the end of every run one line of JSON: all
that should be the same however often the run was killed. Without a directory nothing is saved.
"""

import argparse
import hashlib
import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tabtext.errors import TrainingInterrupted
from tabtext.tabular.models import EntityEmbeddingMLP
from tabtext.training import Checkpoints, TensorBatches, Trainer, TrainingOptions
from tabtext.training.callbacks import Callback
from tabtext.training.history import History
from tabtext.training.losses import squared_error
from tabtext.training.run import Run

INTERRUPTED = 75
"""The exit code after a signal: try again later (``EX_TEMPFAIL``)."""

SCENARIOS: dict[str, TrainingOptions] = {
    # The practices of a run on a table; it ends early, three epochs after its best one.
    "table": TrainingOptions(epochs=12, learning_rate=0.05, averaging="ema", patience=3),
    # Others: restarts, snapshots, momentum, parts of batches, a gradient scaler.
    "cycles": TrainingOptions(
        epochs=7,
        learning_rate=0.05,
        schedule="sgdr",
        snapshots=True,
        optimizer="sgd",
        micro_batch_size=5,
        precision="fp16",
    ),
    # Goes on until it is killed.
    "endless": TrainingOptions(epochs=100_000, learning_rate=0.01),
}


class TellSteps(Callback):
    """Print every step; send a signal to the own process after one of them."""

    def __init__(self, number: int = 0, at: int | None = None) -> None:
        self.number, self.at = number, at

    def step_ended(self, run: Run) -> None:
        print(f"step {run.step}", flush=True)
        if run.step == self.at:
            os.kill(os.getpid(), self.number)


def data(n_rows: int, seed: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Codes and values, and a target that they tell a part of."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 7, (n_rows, 2), generator=generator)
    values = torch.randn(n_rows, 3, generator=generator)
    noise = torch.randn(n_rows, 1, generator=generator)
    return (codes, values), values[:, :1] + codes[:, :1] / 4 + noise


def train(
    options: TrainingOptions, checkpoints: Checkpoints | None, told: TellSteps, *, resume: bool
) -> dict[str, Any]:
    """Fit a network, and describe what came out bit for bit, but for timings."""
    torch.manual_seed(0)
    model = EntityEmbeddingMLP(
        [7, 7], n_continuous=3, n_outputs=1, hidden=(16, 8), dropout=0.2, embedding_dropout=0.1
    )
    trainer = Trainer(
        model, squared_error, options=options, callbacks=[told], checkpoints=checkpoints
    )
    inputs, target = data(120, seed=1)
    valid_inputs, valid_target = data(40, seed=2)
    history = trainer.fit(
        TensorBatches(inputs, target, batch_size=16, shuffle=True),
        TensorBatches(valid_inputs, valid_target, batch_size=64),
        resume=resume,
    )
    return {
        "weights": digest(model.state_dict()),
        "snapshots": [digest(weights) for weights in trainer.snapshots],
        **without_timings(history),
    }


def digest(weights: Mapping[str, Tensor]) -> str:
    """A text that differs if any bit of any tensor does."""
    found = hashlib.sha256()
    for name, tensor in weights.items():
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def without_timings(history: History) -> dict[str, Any]:
    """The record of a run but for what a clock says."""
    record = history.to_dict()
    for epoch in record["epochs"]:
        del epoch["seconds"], epoch["rows_per_second"]
    return record


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=[*SCENARIOS, "all"])
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--every-steps", type=int, default=3)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--signal", default="KILL")
    parser.add_argument("--at", type=int)
    parser.add_argument("--largest-file", type=int)
    given = parser.parse_args()
    if given.largest_file is not None:
        # A real failure to write: the system refuses to let a file grow beyond this.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.largest_file, given.largest_file))
        warnings.simplefilter("always")
    if given.scenario == "all":
        for name in ("table", "cycles"):
            print(json.dumps(train(SCENARIOS[name], None, TellSteps(), resume=False)))
        return 0
    checkpoints = None
    if given.checkpoints is not None:
        checkpoints = Checkpoints(
            given.checkpoints, every_steps=given.every_steps, how_to_resume="once more --resume"
        )
    told = TellSteps(getattr(signal, f"SIG{given.signal}"), given.at)
    try:
        result = train(SCENARIOS[given.scenario], checkpoints, told, resume=given.resume)
    except TrainingInterrupted as interruption:
        print(interruption, file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
