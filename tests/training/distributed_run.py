"""Runs of one or several processes, for tests that compare them.

    RANK=... WORLD_SIZE=... python distributed_run.py DIRECTORY SCENARIO [SCENARIO ...]

Every process prints one line of JSON at its end: what each scenario gave in it. With an option
``--signal TERM --at STEP`` it sends itself that signal, ``--times 2`` twice.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tabtext.errors import DataError, TabTextError, TrainingInterrupted
from tabtext.training import Checkpoints, TensorBatches, Trainer, TrainingOptions
from tabtext.training.callbacks import Callback
from tabtext.training.distributed import World, first_process_only, is_first_process, join_world
from tabtext.training.losses import squared_error
from tabtext.training.options import gradual_unfreezing
from tabtext.training.run import Run

INTERRUPTED = 75
ROWS_PER_STEP = 16
SIZE = int(os.environ.get("WORLD_SIZE", "1"))
RANK = int(os.environ.get("RANK", "0"))


class Grouped(nn.Sequential):
    """Every part is a layer group."""

    def layer_groups(self) -> list[nn.Module]:
        return list(self)


class Steps(Callback):
    """Count the steps, and remember that count in checkpoints."""

    def __init__(self, factor: int = 1) -> None:
        self.factor, self.total = factor, 0

    def step_ended(self, run: Run) -> None:
        self.total += self.factor

    def state(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state(self, state: dict[str, Any]) -> None:
        self.total = state["total"]


class StepsOfTheFirst(Steps):
    """Only the first process is told."""

    first_process_only = True


class At(Callback):
    """Do something after a step, if there is to be one, in one process or in all."""

    def __init__(
        self, step: int | None, action: Callable[[Run], object], rank: int | None = None
    ) -> None:
        self.step, self.action, self.rank = step, action, rank

    def step_ended(self, run: Run) -> None:
        if run.step == self.step and self.rank in (None, run.world.rank):
            self.action(run)


class TellSteps(Callback):
    """Print every step."""

    first_process_only = True

    def step_ended(self, run: Run) -> None:
        print(f"step {run.step}", flush=True)


def plain_model() -> nn.Module:
    return Grouped(nn.Linear(3, 8), nn.Sequential(nn.Tanh(), nn.Linear(8, 8)), nn.Linear(8, 1))


def model_with_norm() -> nn.Module:
    return Grouped(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def rows(n_rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, target and weights."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n_rows, 3, generator=generator)
    noise = torch.randn(n_rows, 1, generator=generator)
    weight = torch.randint(0, 4, (n_rows,), generator=generator).float()
    return inputs, inputs @ torch.tensor([[1.0], [-2.0], [0.5]]) + noise, weight


def train(
    options: TrainingOptions,
    *,
    model: Callable[[], nn.Module] = plain_model,
    n_rows: int = 85,  # the last batch has 5 rows: three for one process, two for the other
    weighted: bool = False,
    shuffle: bool = True,
    spoil: Callable[[Tensor, Tensor], object] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Fit, and describe what this process has at the end."""
    torch.manual_seed(0)
    network = model()
    inputs, target, weight = rows(n_rows, seed=1)
    if spoil is not None:
        spoil(inputs, target)
    valid_inputs, valid_target, valid_weight = rows(40, seed=2)

    def score(raw: Tensor) -> dict[str, float]:
        return {"mse": float((raw - valid_target).square().mean())}  # wrong if rows changed places

    trainer = Trainer(
        network,
        squared_error,
        options=options,
        score=score,
        callbacks=callbacks,
        checkpoints=checkpoints,
    )
    size = ROWS_PER_STEP // SIZE
    train_weight, valid_weight_or_none = (weight, valid_weight) if weighted else (None, None)
    try:
        history = trainer.fit(
            TensorBatches((inputs,), target, train_weight, batch_size=size, shuffle=shuffle),
            TensorBatches((valid_inputs,), valid_target, valid_weight_or_none, batch_size=16),
            resume=resume,
        )
    except TabTextError as error:
        if isinstance(error, TrainingInterrupted):
            raise
        return {"error": type(error).__name__, "message": str(error), **weights_of(network)}
    return {
        "losses": history.step_losses,
        "rates": history.step_learning_rates,
        "norms": history.step_gradient_norms,
        "valid": [epoch.valid_loss for epoch in history.epochs],
        "mse": [epoch.metrics["mse"] for epoch in history.epochs],
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        **weights_of(network),
    }


def weights_of(network: nn.Module) -> dict[str, Any]:
    """All parameters as numbers, and a text that differs if any bit of the state does."""
    found = hashlib.sha256()
    for tensor in network.state_dict().values():
        found.update(tensor.contiguous().numpy().tobytes())
    flat = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    return {"weights": flat.tolist(), "digest": found.hexdigest()}


# ----------------------------------------------------------------------------------- scenarios

THREE_EPOCHS = TrainingOptions(epochs=3, learning_rate=0.01)
LONG = TrainingOptions(epochs=4, learning_rate=0.01, averaging="ema")
ENDLESS = TrainingOptions(epochs=100_000, learning_rate=0.01)


def plain(directory: Path) -> dict[str, Any]:
    return train(THREE_EPOCHS)


def weighted(directory: Path) -> dict[str, Any]:
    return train(THREE_EPOCHS, weighted=True)


def micro(directory: Path) -> dict[str, Any]:
    options = TrainingOptions(epochs=3, learning_rate=0.01, micro_batch_size=3)
    return train(options, weighted=True)


def phases(directory: Path) -> dict[str, Any]:
    """The head alone, then more; note what the embedding side is like after every epoch."""
    first_weights: list[float] = []

    class Look(Callback):
        def epoch_ended(self, run: Run) -> None:
            first_weights.append(run.parameters[0].detach().sum().item())

    recipe = gradual_unfreezing(3, learning_rate=0.02)
    result = train(TrainingOptions(phases=recipe), callbacks=[Look()])
    return {**result, "first_weights": first_weights}


def norm(directory: Path) -> dict[str, Any]:
    """What differs from process to process while it lasts: statistics of batches, dropout."""
    drawn: list[float] = []

    class Draw(Callback):
        def fit_started(self, run: Run) -> None:
            state = torch.get_rng_state()
            drawn.extend(torch.rand(3).tolist())
            torch.set_rng_state(state)

    result = train(THREE_EPOCHS, model=model_with_norm, callbacks=[Draw()])
    return {**result, "drawn": drawn}


def norm_averaged(directory: Path) -> dict[str, Any]:
    options = TrainingOptions(epochs=3, learning_rate=0.01, averaging="swa")
    return train(options, model=model_with_norm)


def nan(directory: Path) -> dict[str, Any]:
    """A row of the second process, in the third step."""

    def spoil(inputs: Tensor, target: Tensor) -> None:
        inputs[2 * ROWS_PER_STEP + 1] = torch.nan

    return train(THREE_EPOCHS, shuffle=False, spoil=spoil)


def budget(directory: Path) -> dict[str, Any]:
    return train(TrainingOptions(epochs=100_000, learning_rate=0.01, max_time=0.5))


def one_stops(directory: Path) -> dict[str, Any]:
    """One process alone wants to end, in the middle of an epoch."""
    return train(ENDLESS, n_rows=800, callbacks=[At(7, lambda run: run.stop("enough"), rank=1)])


def one_stops_after_an_epoch(directory: Path) -> dict[str, Any]:
    class Stop(Callback):
        first_process_only = True

        def epoch_ended(self, run: Run) -> None:
            run.stop("enough")

    return train(ENDLESS, callbacks=[Stop()])


def watched(directory: Path) -> dict[str, Any]:
    """Callbacks of which one process has more; then the same again, from its checkpoints."""
    found = []
    for resume in (False, True):
        first, every = StepsOfTheFirst(), Steps(factor=10)
        result = train(
            THREE_EPOCHS,
            callbacks=[first, every],
            checkpoints=Checkpoints(directory / "watched", keep=1),
            resume=resume,
        )
        found.append([first.total, every.total, result["digest"]])
    return {"found": found}


def occupied(directory: Path) -> dict[str, Any]:
    """Where only the first process would notice that nothing can be written."""
    (directory / "file").write_text("")
    return train(THREE_EPOCHS, checkpoints=Checkpoints(directory / "file"))


def foreign(directory: Path) -> dict[str, Any]:
    """Rows that are not the same in all processes."""

    def spoil(inputs: Tensor, target: Tensor) -> None:
        target += RANK

    return train(THREE_EPOCHS, spoil=spoil)


def blind(directory: Path) -> dict[str, Any]:
    """A directory that is not the same in all processes."""
    own = directory / f"of-{RANK}"
    (own / "step-00000001").mkdir(parents=True, exist_ok=RANK == 1)
    if RANK == 1:
        (own / "step-00000001").rmdir()
    return train(THREE_EPOCHS, checkpoints=Checkpoints(own), resume=True)


def single(directory: Path) -> dict[str, Any]:
    """Checkpoints in a directory of its own, to be resumed by more processes than wrote them."""
    return train(THREE_EPOCHS, checkpoints=Checkpoints(directory / "single"), resume=SIZE > 1)


def meetings(directory: Path) -> dict[str, Any]:
    """What processes do together, without training."""
    world = join_world(torch.device("cpu"))
    done: list[int] = []

    def fails_in(rank: int, error: Exception) -> Callable[[], int]:
        def work() -> int:
            if world.rank == rank:
                raise error
            return world.rank

        return work

    def caught(work: Callable[[], object]) -> str:
        try:
            return f"returned {work()}"
        except Exception as error:
            return repr(error)

    shared = [torch.full((2,), float(RANK)), torch.tensor(RANK)]
    averaged = [torch.full((2,), float(RANK)), torch.tensor(RANK)]
    first_process_only(lambda: done.append(world.rank))
    world.share_(shared)
    world.average_(averaged)
    return {
        "world": [world.rank, world.size, world.is_first, world.is_alone],
        "is_first_process": is_first_process(),
        "done": done,
        "shared": [tensor.tolist() for tensor in shared],
        "averaged": [tensor.tolist() for tensor in averaged],
        "sum": world.sum(torch.tensor([1.0, float(RANK)])).tolist(),
        "first": world.first(RANK + 0.5),
        "gathered": world.gather(f"from {RANK}"),
        "together": [
            caught(lambda: world.together(lambda: RANK)),
            caught(lambda: world.together(fails_in(SIZE - 1, DataError("no rows")))),
            caught(lambda: world.together(fails_in(0, KeyError("x")))),
            caught(lambda: first_process_only(lambda: fails_in(0, DataError("full"))() and None)),
        ],
        "alone": World().gather("x"),
    }


def long(directory: Path, signals: Sequence[Callback] = ()) -> dict[str, Any]:
    """25 steps an epoch, so that processes meet in the middle of it too."""
    checkpoints = Checkpoints(directory / "long", every_steps=15, how_to_resume="once more")
    return train(
        LONG,
        model=model_with_norm,
        n_rows=400,
        callbacks=[TellSteps(), *signals],
        checkpoints=checkpoints,
        resume=True,
    )


def long_unsaved(directory: Path) -> dict[str, Any]:
    return train(LONG, model=model_with_norm, n_rows=400)


def endless(directory: Path) -> dict[str, Any]:
    checkpoints = Checkpoints(directory / "endless", how_to_resume="once more")
    return train(ENDLESS, n_rows=400, callbacks=[TellSteps()], checkpoints=checkpoints)


SCENARIOS: dict[str, Callable[[Path], dict[str, Any]]] = {
    scenario.__name__: scenario
    for scenario in (
        plain,
        weighted,
        micro,
        phases,
        norm,
        norm_averaged,
        nan,
        budget,
        one_stops,
        one_stops_after_an_epoch,
        watched,
        occupied,
        foreign,
        blind,
        single,
        meetings,
        long_unsaved,
        endless,
    )
}


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("scenarios", nargs="+", choices=[*SCENARIOS, "long"])
    parser.add_argument("--signal", default="TERM")
    parser.add_argument("--at", type=int)
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    number = getattr(signal, f"SIG{given.signal}")
    signals = [At(given.at, lambda run: os.kill(os.getpid(), number)) for _ in range(given.times)]
    results = {}
    try:
        for name in given.scenarios:
            if name == "long":
                results[name] = long(given.directory, signals)
            else:
                results[name] = SCENARIOS[name](given.directory)
    except TrainingInterrupted as interruption:
        print(interruption, file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
