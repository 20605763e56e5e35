"""What the training loop costs over a bare one, and what each practice adds.

*Overhead.* The same network, tensors, fused AdamW and batch size, in one process; the sides take
turns epoch by epoch, so that whatever else the machine does meets them alike. The sides are a bare
loop (shuffle, index, forward, loss, backward, step), a hand-written loop that also clips, follows a
one-cycle schedule and keeps the losses, and the trainer with clipping, schedule, history and a
progress bar on a terminal. Overhead is the median over turns of the ratio of neighbours.

*Progress.* What the bar takes from training: a call at every step, and a drawing now and then.

*Practices.* The trainer again, with one practice switched on, against the trainer without it.

*Compilation.* Steps per second of the eager and the compiled network, and how long compiling took;
on CUDA the compiled one runs from CUDA graphs, at batch size 512.

    python bench/trainer.py
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from typing import Any

import harness
import torch
from torch import Tensor, nn

from tabtext.tabular.models import EntityEmbeddingMLP
from tabtext.training import (
    Callback,
    Checkpoints,
    ProgressBar,
    TensorBatches,
    Trainer,
    TrainingOptions,
)
from tabtext.training.losses import squared_error
from tabtext.training.prediction import predict
from tabtext.training.progress import SECONDS_BETWEEN_UPDATES

SEED = 0
RATE = 1e-3
STEPS = 300


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def flights(n_rows: int) -> tuple[list[int], tuple[Tensor, Tensor], Tensor]:
    """Cardinalities, inputs and scaled delay of real flights, drawn to as many rows as wanted."""
    from tabtext.datasets import load_flights
    from tabtext.tabular import TabularPreprocessor

    frame = load_flights("valid").dropna(subset="arr_delay")
    frame = frame.drop(columns="tail_number", errors="ignore")
    frame = frame.sample(n_rows, replace=True, random_state=SEED)
    preprocessor = TabularPreprocessor()
    encoded = preprocessor.fit_encode(frame, targets=["arr_delay"])
    delay = torch.tensor(frame["arr_delay"].to_numpy("float32"))[:, None]
    inputs = torch.from_numpy(encoded.categorical), torch.from_numpy(encoded.continuous)
    placed = tuple(tensor.to(device()) for tensor in inputs)
    scaled = ((delay - delay.mean()) / delay.std()).to(device())
    return preprocessor.cardinalities_, (placed[0], placed[1]), scaled


def new_model(cardinalities: list[int], inputs: tuple[Tensor, Tensor], hidden) -> nn.Module:
    torch.manual_seed(SEED)
    model = EntityEmbeddingMLP(cardinalities, inputs[1].shape[1], 1, hidden=hidden)
    return model.to(device())


class Bare:
    """The loop that one would write by hand."""

    def __init__(self, model: nn.Module, inputs, target: Tensor, batch_size: int) -> None:
        self.model, self.inputs, self.target, self.batch_size = model, inputs, target, batch_size
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def epoch(self) -> None:
        """One pass."""
        self.model.train()
        order = torch.randperm(len(self.target), device=self.target.device)
        for rows in order.split(self.batch_size):
            raw = self.model(*(tensor[rows] for tensor in self.inputs))
            loss = (raw - self.target[rows]).square().mean()
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


class HandWritten(Bare):
    """The bare loop, with clipping, a schedule and the losses kept."""

    def epoch(self) -> None:
        """One pass."""
        self.model.train()
        order = torch.randperm(len(self.target), device=self.target.device)
        parts = order.split(self.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=RATE, total_steps=len(parts), pct_start=0.25
        )
        losses = []
        for rows in parts:
            raw = self.model(*(tensor[rows] for tensor in self.inputs))
            loss = (raw - self.target[rows]).square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            schedule.step()
            self.optimizer.zero_grad()
            losses.append(loss.item())


class Trained:
    """The trainer, with options and callbacks of choice."""

    def __init__(
        self, model: nn.Module, inputs, target: Tensor, batch_size: int, *, show=False, **options
    ) -> None:
        self.batches = TensorBatches(inputs, target, batch_size=batch_size, shuffle=True)
        self.model, self.show = model, show
        self.every_steps = options.pop("checkpoint_every", None)
        self.options = TrainingOptions(epochs=1, learning_rate=RATE, **options)

    def epoch(self) -> None:
        """One pass, with all that ``fit`` does around it."""
        from rich.console import Console

        callbacks = []
        if self.show:
            callbacks = [ProgressBar(Console(force_terminal=True, file=io.StringIO()))]
        with tempfile.TemporaryDirectory() as folder:
            kept = None
            if self.every_steps:
                kept = Checkpoints(f"{folder}/run", every_steps=self.every_steps)
            trainer = Trainer(
                self.model,
                squared_error,
                options=self.options,
                callbacks=callbacks,
                checkpoints=kept,
            )
            trainer.fit(self.batches)


def take_turns(sides: dict[str, Any], turns: int) -> dict[str, list[float]]:
    """Seconds of every epoch of every side; the first turn warms up and is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side.epoch()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, base: str) -> float:
    pairs = zip(seconds[name], seconds[base], strict=True)
    return round(statistics.median(one / other for one, other in pairs), 3)


def measure_overhead(turns: int) -> dict[str, dict[str, float]]:
    results = {}
    for batch_size, hidden in ((64, (64, 32)), (64, (200, 100)), (1024, (200, 100))):
        data = flights(STEPS * batch_size if batch_size < 1000 else 100 * batch_size)
        sides: dict[str, Any] = {}
        for name, kind, extra in (
            ("bare", Bare, {}),
            ("hand-written", HandWritten, {}),
            ("trainer", Trained, {"show": True}),
            ("trainer, no bar", Trained, {}),
        ):
            model = new_model(data[0], data[1], hidden)
            sides[name] = kind(model, data[1], data[2], batch_size, **extra)
        seconds = take_turns(sides, turns)
        n_steps = len(data[2]) / batch_size
        results[f"batch {batch_size}, layers {hidden}"] = {
            **{
                f"{name}, ms a step": round(1e3 * statistics.median(times) / n_steps, 3)
                for name, times in seconds.items()
            },
            "trainer / bare": ratio(seconds, "trainer", "bare"),
            "trainer / hand-written": ratio(seconds, "trainer", "hand-written"),
            "with bar / without": ratio(seconds, "trainer", "trainer, no bar"),
        }
        print(list(results.items())[-1], flush=True)
    return results


def measure_progress(turns: int) -> dict[str, float]:
    """Time that the bar takes from training: at every step, and when it redraws."""
    from rich.console import Console

    class Watch(Callback):
        """Times the bar's own events, again and again, in the middle of a run."""

        def __init__(self, bar: ProgressBar) -> None:
            self.bar = bar
            self.drawing: list[float] = []
            self.calling: list[float] = []

        def step_ended(self, run: Any) -> None:
            """Draw once, then call it while it is not yet time to draw again."""
            started = time.perf_counter()
            self.bar._show(run)
            self.drawing.append(time.perf_counter() - started)
            started = time.perf_counter()
            for _ in range(100):
                self.bar.step_ended(run)
            self.calling.append((time.perf_counter() - started) / 100)

    data = flights(STEPS * 64)
    bar = ProgressBar(Console(force_terminal=True, file=io.StringIO()))
    watch = Watch(bar)
    model = new_model(data[0], data[1], (64, 32))
    options = TrainingOptions(epochs=max(turns // 5, 1), learning_rate=RATE)
    trainer = Trainer(model, squared_error, options=options, callbacks=[bar, watch])
    trainer.fit(TensorBatches(data[1], data[2], batch_size=64, shuffle=True))
    draw, call = statistics.median(watch.drawing), statistics.median(watch.calling)
    found = {
        "one drawing, ms": round(1e3 * draw, 3),
        "one step, us": round(1e6 * call, 3),
        "share of a run with steps of 1 ms": round(draw / SECONDS_BETWEEN_UPDATES + call / 1e-3, 5),
    }
    print(found, file=sys.__stdout__, flush=True)
    return found


def measure_practices(turns: int) -> dict[str, float]:
    """Time of an epoch with a practice, over the time without it."""
    data = flights(STEPS * 256)
    practices: dict[str, dict[str, Any]] = {
        "plain": {},
        "no clipping": {"clip_norm": None},
        "schedule sgdr": {"schedule": "sgdr_doubling"},
        "optimizer sgd": {"optimizer": "sgd"},
        "averaging ema": {"averaging": "ema"},
        "averaging swa": {"averaging": "swa"},
        "checkpoint every 100 steps": {"checkpoint_every": 100},
        "micro-batches of a quarter": {"micro_batch_size": 64},
        "precision bf16": {"precision": "bf16"},
    }
    sides = {}
    for name, options in practices.items():
        model = new_model(data[0], data[1], (200, 100))
        sides[name] = Trained(model, data[1], data[2], 256, **options)
    seconds = take_turns(sides, turns)
    found = {name: ratio(seconds, name, "plain") for name in sides}
    print(found, flush=True)
    return found


def measure_compilation(turns: int) -> dict[str, float]:
    batch_size, hidden = 512, (1000, 500)  # the layers of the Rossmann model
    data = flights(100 * batch_size)
    sides, results = {}, {}
    for name, setting in (("eager", "never"), ("compiled", "always")):
        model = new_model(data[0], data[1], hidden)
        sides[name] = Trained(model, data[1], data[2], batch_size, compile=setting)
        started = time.perf_counter()
        sides[name].epoch()
        results[f"{name}, first epoch, s"] = round(time.perf_counter() - started, 2)
    seconds = take_turns(sides, turns)
    for name, times in seconds.items():
        results[f"{name}, steps/s"] = round(100 / statistics.median(times), 1)
    results["eager / compiled"] = ratio(seconds, "eager", "compiled")
    predict(sides["compiled"].model, data[1])
    print(results, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15, help="epochs of each side")
    parts = {
        "overhead": measure_overhead,
        "progress": measure_progress,
        "practices": measure_practices,
        "compilation": measure_compilation,
    }
    parser.add_argument("--only", choices=parts, help="measure this part, and keep the others")
    arguments = parser.parse_args()
    sides = harness.read_sides("trainer") if arguments.only else {}
    for name in [arguments.only] if arguments.only else parts:
        sides[name] = {"turns": arguments.turns, **parts[name](arguments.turns)}
    settings = {"device": str(device()), "seed": SEED}
    harness.write_result("trainer", settings, sides)


if __name__ == "__main__":
    main()
