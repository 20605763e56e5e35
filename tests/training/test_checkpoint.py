"""Checkpoints: a run that was killed, however often and whenever, ends as if it never was."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tabtext.errors import (
    ArtifactError,
    DivergenceError,
    ParameterError,
    SaveError,
    TabTextWarning,
    TrainingInterrupted,
)
from tabtext.training import (
    Checkpoints,
    TensorBatches,
    Trainer,
    TrainingOptions,
    checkpoint,
    checkpoint_files,
)
from tabtext.training import run as run_module
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint_files import (
    checkpoints_in,
    discard,
    read_checkpoint,
    write_checkpoint,
)
from tabtext.training.history import History
from tabtext.training.losses import squared_error
from tabtext.training.options import Phase
from tabtext.training.run import Run
from tabtext.training.trainer import Score
from tests.processes import SECONDS, Processes, processes_of

SCRIPT = Path(__file__).with_name("checkpoint_run.py")
INTERRUPTED = 75
INPUTS = torch.randn(96, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])
STEPS_PER_EPOCH = 4
OPTIONS = TrainingOptions(epochs=5, learning_rate=0.03)


class Network(nn.Sequential):
    """Batch norm and dropout, and three layer groups."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(
            nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU()),
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.2)),
            nn.Linear(width, 1),
        )

    def layer_groups(self) -> list[nn.Module]:
        return list(self)


class At(Callback):
    """Does something after a step."""

    def __init__(self, step: int, action: Callable[[Run], object]) -> None:
        self.step, self.action = step, action

    def step_ended(self, run: Run) -> None:
        if run.step == self.step:
            self.action(run)


class Steps(Callback):
    """Collects the numbers of the steps that this process takes."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def step_ended(self, run: Run) -> None:
        self.taken.append(run.step)


class CrashError(Exception):
    """What ends a process, as far as these tests go."""


def crash(run: Run) -> None:
    raise CrashError


@dataclass
class Fitted:
    """A model and what came with it."""

    model: nn.Module
    history: History
    snapshots: list[dict[str, Tensor]]


def fit(
    checkpoints: Checkpoints | None = None,
    options: TrainingOptions = OPTIONS,
    *,
    resume: bool = False,
    crash_at: int | None = None,
    callbacks: Sequence[Callback] = (),
    score: Score | None = None,
    validate: bool = True,
    width: int = 8,
    target: Tensor = TARGET,
) -> Fitted:
    """Train a new network; one that resumes begins with other weights and random numbers."""
    torch.manual_seed(1 if resume else 0)
    model = Network(width)
    watchers = [*callbacks, *([] if crash_at is None else [At(crash_at, crash)])]
    trainer = Trainer(
        model,
        squared_error,
        options=options,
        score=score,
        callbacks=watchers,
        checkpoints=checkpoints,
    )
    rows = slice(0, 16 * STEPS_PER_EPOCH)
    others = slice(16 * STEPS_PER_EPOCH, None)
    history = trainer.fit(
        TensorBatches((INPUTS[rows],), target[rows], batch_size=16, shuffle=True),
        TensorBatches((INPUTS[others],), target[others], batch_size=32) if validate else None,
        resume=resume,
    )
    return Fitted(model, history, trainer.snapshots)


def crashed(directory: Path, step: int, options: TrainingOptions = OPTIONS, **how: Any) -> None:
    """Leave the checkpoints of a run that died after a step, which none of them is of."""
    checkpoints = Checkpoints(directory, every_steps=1, **how)
    with pytest.raises(CrashError):
        fit(checkpoints, options, crash_at=step)


def names_in(directory: Path) -> list[str]:
    """Everything in a directory, hidden or not."""
    return sorted(path.name for path in directory.iterdir())


def without_timings(history: History) -> str:
    """The record of a run but for what a clock says; as text, in which NaN equals NaN."""
    record = history.to_dict()
    for epoch in record["epochs"]:
        del epoch["seconds"], epoch["rows_per_second"]
    return json.dumps(record)


def assert_same(one: Any, other: Any) -> None:
    """Check that nested values are equal, types, NaN and bits of tensors included."""
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for entries in zip(one, other, strict=True):
            assert_same(*entries)
    else:
        assert one == other or (one != one and other != other)


def assert_same_run(one: Fitted, other: Fitted) -> None:
    """Check that two runs ended alike, bit for bit."""
    assert_same(dict(one.model.state_dict()), dict(other.model.state_dict()))
    assert_same(one.snapshots, other.snapshots)
    assert without_timings(one.history) == without_timings(other.history)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what only matters when the power fails; it takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


# ---------------------------------------------------------------------------- processes that die


def start(*arguments: object) -> "subprocess.Popen[str]":
    """Start a run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def runs() -> Iterator[Processes]:
    """Processes that run to their end."""
    with processes_of(SCRIPT) as processes:
        yield processes


@pytest.fixture(scope="module")
def undisturbed(runs: Processes) -> dict[str, str]:
    """What the runs of the script give if nobody kills them."""
    ended = runs.run("all")
    assert ended.code == 0, ended.errors
    results = [line for line in ended.told if not line.startswith("step")]
    return dict(zip(("table", "cycles"), results, strict=True))


@pytest.mark.slow
def test_a_run_that_was_killed_four_times_ends_as_if_it_never_was(
    tmp_path: Path, runs: Processes, undisturbed: dict[str, str]
) -> None:
    steps = sorted(random.Random(0).sample(range(4, 70), 4))

    for step in steps:
        killed = ("table", "--checkpoints", tmp_path, "--resume", "--at", step)
        ended = runs.run(*killed)
        assert ended.code == -signal.SIGKILL, ended.errors
        assert ended.told[-1] == f"step {step}"
    ended = runs.run("table", "--checkpoints", tmp_path, "--resume")

    assert ended.code == 0, ended.errors
    assert int(ended.told[0].split()[1]) > steps[-1] - 8  # it went on where the last one was
    assert ended.told[-1] == undisturbed["table"]
    assert json.loads(ended.told[-1])["stopped"] == "no better valid_loss for 3 epochs"


@pytest.mark.slow
def test_signals_leave_a_checkpoint_of_that_very_step_and_the_way_to_go_on(
    tmp_path: Path, runs: Processes, undisturbed: dict[str, str]
) -> None:
    common = ("cycles", "--checkpoints", tmp_path, "--resume", "--every-steps", 1000)

    for name, step in (("TERM", 13), ("INT", 38)):
        ended = runs.run(*common, "--signal", name, "--at", step)

        assert ended.code == INTERRUPTED, ended.errors
        assert ended.told[-1] == f"step {step}"
        assert f"(SIG{name})" in ended.errors
        assert f"a checkpoint of step {step} is in {tmp_path}" in ended.errors
        assert "Resume with: once more --resume" in ended.errors
        assert names_in(tmp_path)[-1] == f"step-{step:08d}"
    ended = runs.run(*common)

    assert ended.code == 0, ended.errors
    assert ended.told[0] == "step 39"
    assert ended.told[-1] == undisturbed["cycles"]
    assert len(json.loads(ended.told[-1])["snapshots"]) == 3


@pytest.mark.slow
def test_a_kill_while_checkpoints_are_written_leaves_only_whole_ones(tmp_path: Path) -> None:
    moments = random.Random(0)
    left_behind: list[str] = []

    for _ in range(3):
        process = start("endless", "--checkpoints", tmp_path, "--resume", "--every-steps", 1)
        assert process.stdout is not None
        with process:
            for _ in range(moments.randrange(5, 60)):
                assert process.stdout.readline().startswith("step")
                assert not set(left_behind) & set(names_in(tmp_path))
            process.kill()

        whole = [name for name in names_in(tmp_path) if not name.startswith(".")]
        left_behind = [name for name in names_in(tmp_path) if name.startswith(".")]
        assert whole
        for name in whole:
            state = read_checkpoint(tmp_path / name)
            epoch, step = state["run"]["epoch"], state["run"]["step_in_epoch"]
            assert name == f"step-{epoch * 8 + step:08d}"


@pytest.mark.slow
def test_files_that_cannot_grow_leave_the_last_checkpoint_and_let_training_go_on(
    tmp_path: Path, runs: Processes, undisturbed: dict[str, str]
) -> None:
    common = ("table", "--checkpoints", tmp_path, "--resume")
    runs.run(*common, "--at", 20)
    kept = {path: path.read_bytes() for path in tmp_path.glob("step-*/*")}
    steps = sorted({path.parent.name for path in kept})

    # Not even what it tells could grow in a file: it tells it through pipes.
    with start(*common, "--largest-file", 4096) as process:
        told, errors = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, errors
    assert told.splitlines()[-1] == undisturbed["table"]
    assert "TabTextWarning: a checkpoint could not be written" in errors
    assert os.strerror(errno.EFBIG) in errors
    assert names_in(tmp_path) == steps
    assert {path: path.read_bytes() for path in tmp_path.glob("step-*/*")} == kept


# ---------------------------------------------------------------------------------- bit for bit


VARIANTS: dict[str, TrainingOptions] = {
    "adamw, EMA": replace(OPTIONS, averaging="ema"),
    "SWA": replace(OPTIONS, averaging="swa"),
    "restarts, snapshots, SGD, parts of batches": replace(
        OPTIONS,
        schedule="sgdr",
        cycle_mult=1,
        snapshots=True,
        optimizer="sgd",
        micro_batch_size=6,
    ),
    "bf16": replace(OPTIONS, precision="bf16"),
    "fp16": replace(OPTIONS, precision="fp16"),
    "a phase that leaves frozen what another froze": replace(
        OPTIONS, phases=(Phase(epochs=2, freeze_to=-1), Phase(epochs=3))
    ),
    "gradual unfreezing": replace(
        OPTIONS, phases=tuple(Phase(epochs=n, freeze_to=-n) for n in (1, 2, 3))
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_equals_an_undisturbed_one_whenever_it_died(
    variant: str, tmp_path: Path
) -> None:
    options = VARIANTS[variant]
    undisturbed = fit(options=options)

    for step in (2, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1, 11, 18):
        directory = tmp_path / str(step)
        crashed(directory, step, options)
        steps = Steps()
        resumed = fit(Checkpoints(directory), options, resume=True, callbacks=[steps])

        assert steps.taken[0] == step
        assert_same_run(resumed, undisturbed)


class Remembering(nn.Module):
    """Carries a state from step to step, as a language model does along its text."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 1)
        self.remembered = [torch.zeros(1), torch.zeros(1)]

    def forward(self, inputs: Tensor) -> Tensor:
        known = torch.cat(self.remembered).expand(len(inputs), 2)
        raw: Tensor = self.layer(torch.cat([inputs, known], dim=1))
        if self.training:
            seen = raw.detach()
            self.remembered = [seen.mean(dim=0).tanh(), seen.amax(dim=0).tanh()]
        return raw

    def carried_state(self) -> list[list[Tensor]]:
        return [self.remembered]

    def load_carried_state(self, state: list[list[Tensor]]) -> None:
        (self.remembered,) = state


def test_what_a_module_carries_from_step_to_step_is_found_again(tmp_path: Path) -> None:
    def carried_on(
        crash_at: int | None, checkpoints: Checkpoints | None, *, resume: bool = False
    ) -> Remembering:
        torch.manual_seed(0)
        model = Remembering()
        watchers = [] if crash_at is None else [At(crash_at, crash)]
        trainer = Trainer(
            model, squared_error, options=OPTIONS, callbacks=watchers, checkpoints=checkpoints
        )
        trainer.fit(TensorBatches((INPUTS,), TARGET, batch_size=16, shuffle=True), resume=resume)
        return model

    undisturbed = carried_on(None, None)
    with pytest.raises(CrashError):
        carried_on(10, Checkpoints(tmp_path, every_steps=1))
    resumed = carried_on(None, Checkpoints(tmp_path), resume=True)

    assert_same(dict(resumed.state_dict()), dict(undisturbed.state_dict()))
    assert_same(resumed.remembered, undisturbed.remembered)


def test_a_run_that_died_in_validation_goes_on_with_validation(tmp_path: Path) -> None:
    class CrashInValidation(Callback):
        def validation_started(self, run: Run) -> None:
            raise CrashError

    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, every_steps=1), callbacks=[CrashInValidation()])
    steps = Steps()

    resumed = fit(Checkpoints(tmp_path), resume=True, callbacks=[steps])

    assert steps.taken[0] == STEPS_PER_EPOCH + 1
    assert_same_run(resumed, fit())


def test_without_validation_it_is_the_same(tmp_path: Path) -> None:
    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, every_steps=3), crash_at=11, validate=False)

    resumed = fit(Checkpoints(tmp_path), resume=True, validate=False)

    assert_same_run(resumed, fit(validate=False))


def test_saving_changes_nothing(tmp_path: Path) -> None:
    saved = fit(Checkpoints(tmp_path, every_steps=1))

    assert_same_run(saved, fit())


def test_triggered_averaging_remembers_its_values_and_its_trigger(tmp_path: Path) -> None:
    plain = TrainingOptions(epochs=12, learning_rate=0.5, schedule="constant")
    options = replace(plain, averaging="nt_asgd")
    undisturbed = fit(options=options, validate=True)
    found = []

    for step in (26, 45):
        directory = tmp_path / str(step)
        crashed(directory, step, options)
        state = read_checkpoint(sorted(directory.iterdir())[-1])
        found.append(state["callbacks"]["TriggeredAverage 1"]["triggered"])

        assert_same_run(fit(Checkpoints(directory), options, resume=True), undisturbed)

    assert found == [False, True]


def test_early_stopping_goes_on_counting(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=50, learning_rate=0.3, schedule="constant", patience=4)
    undisturbed = fit(options=options)
    assert undisturbed.history.best_epoch is not None
    two_after_the_best = (undisturbed.history.best_epoch + 3) * STEPS_PER_EPOCH + 2

    crashed(tmp_path, two_after_the_best, options)
    resumed = fit(Checkpoints(tmp_path), options, resume=True)

    assert resumed.history.stopped is not None
    assert_same_run(resumed, undisturbed)


def test_a_callback_of_ones_own_keeps_its_state_beside_others_of_its_kind(tmp_path: Path) -> None:
    class Sum(Callback):
        def __init__(self, factor: int) -> None:
            self.factor, self.total = factor, 0

        def step_ended(self, run: Run) -> None:
            self.total += self.factor

        def state(self) -> dict[str, Any]:
            return {"total": self.total}

        def load_state(self, state: dict[str, Any]) -> None:
            self.total = state["total"]

    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, every_steps=1), crash_at=7, callbacks=[Sum(1), Sum(10)])
    # One more than before, and in another place.
    sums = [Sum(1), Steps(), Sum(10)]

    fit(Checkpoints(tmp_path), resume=True, callbacks=sums)

    assert [one.total for one in sums if isinstance(one, Sum)] == [20, 200]


def test_a_callback_that_stops_does_so_again_if_the_epoch_was_not_over(tmp_path: Path) -> None:
    class CrashOnceStopped(Callback):
        def validation_started(self, run: Run) -> None:
            if run.stopping:
                raise CrashError

    enough = At(6, lambda run: run.stop("enough"))
    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, every_steps=1), callbacks=[enough, CrashOnceStopped()])

    resumed = fit(Checkpoints(tmp_path), resume=True, callbacks=[enough])

    assert resumed.history.stopped == "enough"
    assert_same_run(resumed, fit(callbacks=[enough]))


# ------------------------------------------------------------------------ resuming, or refusing to


def test_a_complete_run_trains_nothing_and_gives_the_same_again(tmp_path: Path) -> None:
    options = replace(OPTIONS, averaging="ema")
    first = fit(Checkpoints(tmp_path), options)
    steps = Steps()

    again = fit(Checkpoints(tmp_path), options, resume=True, callbacks=[steps])

    assert steps.taken == []
    assert_same_run(again, first)
    assert again.history == first.history


def test_a_run_that_ended_early_trains_nothing_either(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=50, learning_rate=0.3, schedule="constant", patience=2)
    first = fit(Checkpoints(tmp_path), options)
    steps = Steps()

    again = fit(Checkpoints(tmp_path), options, resume=True, callbacks=[steps])

    assert first.history.stopped is not None
    assert steps.taken == []
    assert_same_run(again, first)


def test_with_more_patience_a_run_that_ended_early_goes_on(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=20, learning_rate=0.3, schedule="constant", patience=2)
    first = fit(Checkpoints(tmp_path), options)

    resumed = fit(Checkpoints(tmp_path), replace(options, patience=20), resume=True)

    assert len(first.history.epochs) < len(resumed.history.epochs) == 20
    assert_same_run(resumed, fit(options=replace(options, patience=20)))


def test_resume_without_checkpoints_starts(tmp_path: Path) -> None:
    steps = Steps()

    fit(Checkpoints(tmp_path / "new"), resume=True, callbacks=[steps])

    assert steps.taken == list(range(1, 21))


def test_a_directory_with_another_run_is_refused_with_the_way_to_go_on(tmp_path: Path) -> None:
    crashed(tmp_path, 7)
    kept = names_in(tmp_path)

    with pytest.raises(SaveError, match=r"step-0{7}6\. Go on from it with fit\(\.\.\., checkp.*="):
        fit(Checkpoints(tmp_path))
    with pytest.raises(SaveError, match="Go on from it with tabtext fit --resume, or delete"):
        fit(Checkpoints(tmp_path, how_to_resume="tabtext fit --resume"))

    assert names_in(tmp_path) == kept


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"target": TARGET + 1}, r"data: 64 rows.* then, 64 rows.* now"),
        ({"validate": False}, r"validation: 32 rows.* then, None now"),
        ({"options": replace(OPTIONS, epochs=6)}, "epochs: 5 then, 6 now"),
        ({"options": replace(OPTIONS, seed=3)}, "seed: 0 then, 3 now"),
        ({"options": replace(OPTIONS, averaging="ema")}, "averaging: None then, 'ema' now"),
        ({"width": 9}, "the model has other parameters"),
    ],
    ids=["rows", "validation", "epochs", "seed", "averaging", "model"],
)
def test_another_run_is_refused_with_what_differs(
    changes: dict[str, Any], difference: str, tmp_path: Path
) -> None:
    crashed(tmp_path, 7)

    with pytest.raises(ParameterError, match=rf"of another run \({difference}\)"):
        fit(Checkpoints(tmp_path), resume=True, **changes)


def test_patience_and_time_may_be_changed_midway(tmp_path: Path) -> None:
    crashed(tmp_path, 7)

    resumed = fit(Checkpoints(tmp_path), replace(OPTIONS, patience=5, max_time="1h"), resume=True)

    assert len(resumed.history.epochs) == OPTIONS.epochs


def test_the_time_before_a_resumption_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(run_module, "monotonic", lambda: now[0])

    class SecondPerStep(Steps):
        def step_ended(self, run: Run) -> None:
            super().step_ended(run)
            now[0] += 1.0

    options = replace(OPTIONS, epochs=1000, max_time=10.0)
    first, second = SecondPerStep(), SecondPerStep()
    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, every_steps=1), options, crash_at=7, callbacks=[first])
    now[0] = 5000.0  # the clock of another process, hours later

    resumed = fit(Checkpoints(tmp_path), options, resume=True, callbacks=[second])

    assert resumed.history.stopped == "max_time=10.0 is over"
    # The step after the tenth second is the last; the schedule is at its end by then.
    assert (first.taken[-1], second.taken[0], second.taken[-1]) == (7, 7, 11)
    assert resumed.history.step_learning_rates[-1] < 0.01 * OPTIONS.learning_rate


def test_a_run_whose_time_was_over_trains_nothing(tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=10_000, max_time=0.05)
    first = fit(Checkpoints(tmp_path), options)
    steps = Steps()

    again = fit(Checkpoints(tmp_path), options, resume=True, callbacks=[steps])

    assert first.history.stopped is not None
    assert steps.taken == []
    assert_same_run(again, first)


# ------------------------------------------------------------------------------ what stays on disk


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_checkpoints_stay_and_that_of_the_best_epoch(keep: int, tmp_path: Path) -> None:
    metrics = iter([0.1, 0.9, 0.2, 0.3, 0.4])  # the second epoch is the best
    options = replace(OPTIONS, monitor="skill", greater_is_better=True)

    fit(
        Checkpoints(tmp_path, every_steps=1, keep=keep),
        options,
        score=lambda raw: {"skill": next(metrics)},
    )

    newest = [f"step-{step:08d}" for step in range(21 - keep, 21)]
    assert names_in(tmp_path) == ["step-00000008", *newest]


def test_that_of_the_best_epoch_stays_also_when_it_is_what_a_run_resumed_from(
    tmp_path: Path,
) -> None:
    metrics = iter([0.1, 0.9, 0.2, 0.3, 0.4])
    options = replace(OPTIONS, monitor="skill", greater_is_better=True)

    def score(raw: Tensor) -> dict[str, float]:
        return {"skill": next(metrics)}

    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, keep=1), options, score=score, crash_at=9)
    assert names_in(tmp_path)[-1] == "step-00000008"

    fit(Checkpoints(tmp_path, keep=1), options, score=score, resume=True)

    assert names_in(tmp_path) == ["step-00000008", "step-00000020"]


def test_there_is_one_at_every_interval_and_at_the_end_of_every_epoch(tmp_path: Path) -> None:
    fit(Checkpoints(tmp_path, every_steps=3, keep=100))

    steps = sorted({*range(3, 21, 3), *range(4, 21, 4)})
    assert names_in(tmp_path) == [f"step-{step:08d}" for step in steps]


def test_minutes_are_an_interval_too(tmp_path: Path) -> None:
    fit(Checkpoints(tmp_path / "always", every_minutes=0.0, keep=100))
    fit(Checkpoints(tmp_path / "never", every_minutes=None, keep=100))

    assert len(names_in(tmp_path / "always")) == 20
    assert len(names_in(tmp_path / "never")) == OPTIONS.epochs


def test_checkpoints_are_json_and_safetensors_which_run_no_code(tmp_path: Path) -> None:
    crashed(tmp_path, 7, replace(OPTIONS, averaging="ema", patience=3))

    for path in tmp_path.iterdir():
        assert names_in(path) == ["state.json", "tensors.safetensors"]
        json.loads((path / "state.json").read_text(encoding="utf-8"))


def test_numbers_of_numpy_among_the_metrics_are_kept(tmp_path: Path) -> None:
    fit(Checkpoints(tmp_path), score=lambda raw: {"skill": np.float32(0.5)})  # type: ignore[dict-item]

    state = read_checkpoint(tmp_path / "step-00000020")

    assert state["run"]["history"]["epochs"][0]["metrics"] == {"skill": 0.5}


def test_a_callbacks_state_that_cannot_be_kept_is_an_error_at_once(tmp_path: Path) -> None:
    class Odd(Callback):
        def state(self) -> dict[str, Any]:
            return {"names": {"a", "b"}}

    with pytest.raises(TypeError, match="nothing that a checkpoint can keep"):
        fit(Checkpoints(tmp_path), callbacks=[Odd()])


def test_what_is_written_is_the_state_of_its_step_however_far_training_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: dict[int, dict[str, Tensor]] = {}
    went_on = threading.Event()
    write = checkpoint.write_files

    def late(path: Path, description: bytes, tensors: dict[str, Tensor]) -> None:
        assert went_on.wait(timeout=60)
        write(path, description, tensors)

    class Copies(Callback):
        def step_ended(self, run: Run) -> None:
            weights[run.step] = {n: t.clone() for n, t in run.model.state_dict().items()}
            if run.step == 7:
                went_on.set()

    monkeypatch.setattr(checkpoint, "write_files", late)
    checkpoints = Checkpoints(tmp_path, every_steps=5)
    went_on.set()

    def hold_back(run: Run) -> None:
        """Let the checkpoint of this step wait until two more were taken."""
        checkpoints._writer.wait()
        went_on.clear()

    with pytest.raises(CrashError):
        fit(checkpoints, callbacks=[At(5, hold_back), Copies()], crash_at=8)

    state = read_checkpoint(tmp_path / "step-00000005")
    assert_same(state["run"]["model"], weights[5])
    assert not torch.equal(weights[5]["2.weight"], weights[7]["2.weight"])


# -------------------------------------------------------------------------------------- damage


def truncate(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no tensors": lambda path: (path / "tensors.safetensors").unlink(),
    "half of the tensors": lambda path: truncate(path / "tensors.safetensors"),
    "no state": lambda path: (path / "state.json").unlink(),
    "half of the state": lambda path: truncate(path / "state.json"),
    "an empty state": lambda path: (path / "state.json").write_text("{}"),
    "no text": lambda path: (path / "state.json").write_bytes(b"\xff\xfe\x00"),
    "another state": lambda path: (path / "state.json").write_text('{"named": [1, 2]}'),
    "an empty directory": lambda path: [file.unlink() for file in path.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage: str, tmp_path: Path
) -> None:
    crashed(tmp_path, 8)
    DAMAGES[damage](tmp_path / "step-00000007")
    steps = Steps()

    with pytest.warns(TabTextWarning, match=r"step-00000007 is damaged: .*before it is taken"):
        resumed = fit(Checkpoints(tmp_path), resume=True, callbacks=[steps])

    assert steps.taken[0] == 7
    assert_same_run(resumed, fit())


def test_a_damaged_checkpoint_does_not_push_out_those_that_are_whole(tmp_path: Path) -> None:
    crashed(tmp_path, 8)
    truncate(tmp_path / "step-00000007" / "state.json")

    with pytest.warns(TabTextWarning, match="damaged"), pytest.raises(CrashError):
        fit(Checkpoints(tmp_path, every_steps=1, keep=1), resume=True, crash_at=7)

    assert names_in(tmp_path) == ["step-00000004", "step-00000006"]  # the best, the newest


def test_nothing_but_damaged_checkpoints_is_an_error(tmp_path: Path) -> None:
    crashed(tmp_path, 8, keep=1)
    for path in tmp_path.glob("*/state.json"):
        truncate(path)

    with (
        pytest.warns(TabTextWarning, match="step-00000007 is damaged"),
        pytest.raises(ArtifactError, match="step-00000004 is damaged"),
    ):
        fit(Checkpoints(tmp_path), resume=True)


def test_a_newer_format_is_an_error_and_no_older_checkpoint_is_taken_for_it(
    tmp_path: Path,
) -> None:
    crashed(tmp_path, 8)
    newest = tmp_path / "step-00000007" / "state.json"
    description = json.loads(newest.read_text(encoding="utf-8"))
    description["named"]["format_version"] = 2
    newest.write_text(json.dumps(description), encoding="utf-8")
    kept = names_in(tmp_path)

    with pytest.raises(ArtifactError, match=r"has format 2, newer than .*pip install --upgrade"):
        fit(Checkpoints(tmp_path), resume=True)

    assert names_in(tmp_path) == kept


def test_a_checkpoint_gets_its_name_when_the_disk_has_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    rename = Path.rename

    def noted_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append("fsync"))
    monkeypatch.setattr(Path, "rename", noted_rename)

    write_checkpoint(tmp_path / "step-00000004", {"format_version": 1})

    assert events == ["fsync", "fsync", "rename", "fsync"]  # and the new name, too


def test_leftovers_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    crashed(tmp_path, 7)
    leftover = tmp_path / ".step-00000007.4711"
    leftover.mkdir()
    (leftover / "state.json").write_text("{")

    with pytest.raises(SaveError, match=r"step-00000006\."):
        fit(Checkpoints(tmp_path))
    assert leftover.exists()  # perhaps of a process that is alive
    fit(Checkpoints(tmp_path), resume=True)

    assert [name for name in names_in(tmp_path) if name.startswith(".")] == []


def test_one_that_was_just_being_replaced_is_put_back(tmp_path: Path) -> None:
    # Between two renames: the old state of step 4 is set aside, the new has not its name yet.
    crashed(tmp_path, 5, keep=1)
    (tmp_path / "step-00000004").rename(tmp_path / ".step-00000004.replaced")
    steps = Steps()

    resumed = fit(Checkpoints(tmp_path), resume=True, callbacks=[steps])

    assert steps.taken[0] == 5
    assert_same_run(resumed, fit())


def test_a_replacement_that_fails_leaves_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "step-00000004"
    write_checkpoint(path, {"format_version": 1, "value": torch.ones(2)})
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name.endswith(str(os.getpid())):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match=r"Input/output error"):
        write_checkpoint(path, {"format_version": 1, "value": torch.zeros(2)})

    assert names_in(tmp_path) == ["step-00000004"]
    assert_same(read_checkpoint(path)["value"], torch.ones(2))


def test_deleting_old_ones_never_leaves_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed_midway(path: Path, **how: Any) -> None:
        if Path(path).exists():
            (Path(path) / "state.json").unlink()
            raise Killed

    write_checkpoint(tmp_path / "step-00000004", {"format_version": 1})
    monkeypatch.setattr(shutil, "rmtree", killed_midway)

    with pytest.raises(Killed):
        discard(tmp_path / "step-00000004")

    assert [path.name for path in checkpoints_in(tmp_path)] == []


def test_other_things_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    crashed(tmp_path, 7)
    (tmp_path / "step-by-step").mkdir()
    (tmp_path / "notes.txt").write_text("mine")

    fit(Checkpoints(tmp_path, keep=1), resume=True)

    assert {"step-by-step", "notes.txt"} <= set(names_in(tmp_path))


def test_more_steps_than_the_names_have_digits_for_are_the_newest(tmp_path: Path) -> None:
    for name in ("step-99999999", "step-100000000", "step-00000001"):
        (tmp_path / name).mkdir()

    found = [path.name for path in checkpoints_in(tmp_path)]

    assert found == ["step-00000001", "step-99999999", "step-100000000"]


# ------------------------------------------------------------------------------- a disk that fills


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that is full while the event is set: files are begun, and then fail."""
    full = threading.Event()
    write_through = checkpoint_files._write_through

    def write(path: Path, content: bytes) -> None:
        if full.is_set():
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_through(path, content)

    monkeypatch.setattr(checkpoint_files, "_write_through", write)
    yield full
    full.clear()


def test_a_full_disk_leaves_the_last_checkpoint_and_lets_training_go_on(
    tmp_path: Path, disk: threading.Event
) -> None:
    checkpoints = Checkpoints(tmp_path, every_steps=3)
    seen: list[list[str]] = []

    class Fills(Callback):
        def step_ended(self, run: Run) -> None:
            if run.step == 5:  # step 4's was begun before, so wait for it
                checkpoints._writer.wait()
                disk.set()
            if run.step > 5:
                seen.append([n for n in names_in(tmp_path) if not n.startswith(".")])

    with pytest.warns(TabTextWarning, match=r"No space left.*Earlier ones are as they were"):
        fitted = fit(checkpoints, callbacks=[Fills()])

    assert all(names == ["step-00000003", "step-00000004"] for names in seen)
    assert names_in(tmp_path) == ["step-00000003", "step-00000004"]  # and nothing half-written
    for name in names_in(tmp_path):
        read_checkpoint(tmp_path / name)
    assert_same_run(fitted, fit())


def test_once_there_is_space_again_checkpoints_are_written_again(
    tmp_path: Path, disk: threading.Event
) -> None:
    checkpoints = Checkpoints(tmp_path, every_steps=1)

    def change(full: bool) -> Callable[[Run], None]:
        def action(run: Run) -> None:
            checkpoints._writer.wait()
            (disk.set if full else disk.clear)()

        return action

    with pytest.warns(TabTextWarning, match="No space left"):
        fit(checkpoints, callbacks=[At(6, change(True)), At(12, change(False))])

    assert "step-00000020" in names_in(tmp_path)
    assert_same_run(fit(Checkpoints(tmp_path), resume=True), fit())


def test_a_signal_on_a_full_disk_says_that_nothing_was_saved(
    tmp_path: Path, disk: threading.Event
) -> None:
    def interrupt(run: Run) -> None:
        disk.set()
        os.kill(os.getpid(), signal.SIGINT)

    with (
        pytest.warns(TabTextWarning, match="No space left"),
        pytest.raises(TrainingInterrupted, match=r"no checkpoint could be written .*No space left"),
    ):
        fit(Checkpoints(tmp_path), callbacks=[At(7, interrupt)])


@pytest.mark.parametrize("place", ["a file", "a system directory"])
def test_a_place_where_nothing_can_be_written_is_refused_at_once(
    place: str, tmp_path: Path
) -> None:
    directory = Path("/proc/self") if place == "a system directory" else tmp_path / "file"
    if place == "a file":
        directory.write_text("")
    elif not directory.exists():
        pytest.skip("needs Linux's /proc")
    steps = Steps()

    with pytest.raises(SaveError, match="no checkpoints can be kept in"):
        fit(Checkpoints(directory), callbacks=[steps])

    assert steps.taken == []


# ------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_the_step_with_a_checkpoint(
    number: signal.Signals, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path, how_to_resume="python fit.py --resume")
    interrupt = At(5, lambda run: os.kill(os.getpid(), number))

    with pytest.raises(TrainingInterrupted) as caught:
        fit(checkpoints, callbacks=[interrupt])

    assert caught.value.signal_number == number
    assert str(caught.value) == (
        f"training was interrupted ({number.name}) in epoch 2; a checkpoint of step 5 is in "
        f"{tmp_path}. Resume with: python fit.py --resume"
    )
    assert names_in(tmp_path)[-1] == "step-00000005"
    assert_same_run(fit(checkpoints, resume=True), fit())


def test_a_signal_in_validation_ends_training_after_the_epoch(tmp_path: Path) -> None:
    class Interrupts(Callback):
        def validation_started(self, run: Run) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="checkpoint of step 4 is in"):
        fit(Checkpoints(tmp_path), callbacks=[Interrupts()])

    assert_same_run(fit(Checkpoints(tmp_path), resume=True), fit())


def test_the_handlers_of_signals_are_given_back(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    during = []
    look = At(2, lambda run: during.extend(signal.getsignal(number) for number in numbers))

    fit(Checkpoints(tmp_path / "one"), callbacks=[look])
    complete = [signal.getsignal(number) for number in numbers]
    with pytest.raises(CrashError):
        fit(Checkpoints(tmp_path / "two"), crash_at=5)
    failed = [signal.getsignal(number) for number in numbers]
    with pytest.raises(TrainingInterrupted):
        fit(
            Checkpoints(tmp_path / "three"),
            callbacks=[At(5, lambda run: os.kill(os.getpid(), signal.SIGINT))],
        )
    interrupted = [signal.getsignal(number) for number in numbers]

    assert before == complete == failed == interrupted
    assert not set(before) & set(during)


def test_a_second_signal_ends_training_at_once(tmp_path: Path) -> None:
    def twice(run: Run) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(Checkpoints(tmp_path), callbacks=[At(5, twice)])

    assert not isinstance(caught.value, TrainingInterrupted)
    assert "step-00000005" not in names_in(tmp_path)


def test_a_signal_after_the_last_checkpoint_is_not_swallowed(tmp_path: Path) -> None:
    class Interrupts(Callback):
        def fit_ended(self, run: Run) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(Checkpoints(tmp_path), callbacks=[Interrupts()])

    assert not isinstance(caught.value, TrainingInterrupted)
    assert names_in(tmp_path)[-1] == "step-00000020"


def test_training_in_a_thread_which_cannot_listen_to_signals_saves_all_the_same(
    tmp_path: Path,
) -> None:
    thread = threading.Thread(target=fit, args=(Checkpoints(tmp_path),))

    thread.start()
    thread.join()

    assert names_in(tmp_path)[-1] == "step-00000020"


def test_a_run_that_diverges_leaves_the_checkpoints_from_before(tmp_path: Path) -> None:
    def spoil(run: Run) -> None:
        with torch.no_grad():
            next(iter(run.model.parameters())).fill_(nan)

    # After the checkpoint of step 6; what is not finite would be saved with step 7 otherwise.
    with pytest.raises(DivergenceError):
        fit(Checkpoints(tmp_path, every_steps=3), callbacks=[At(7, spoil)])

    for name in names_in(tmp_path):
        state = read_checkpoint(tmp_path / name)
        assert all(tensor.isfinite().all() for tensor in state["run"]["model"].values())


# ------------------------------------------------------------------------------------- the format


DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def tensor_of(shape: tuple[int, ...], dtype: torch.dtype, transposed: bool) -> Tensor:
    n_values = torch.Size(shape).numel()
    tensor = (torch.arange(n_values) % 3).reshape(shape).to(dtype)
    return tensor.mT if transposed and tensor.ndim > 1 else tensor


def nested() -> st.SearchStrategy[Any]:
    """All that a state may hold, with keys that the format uses itself among it."""
    names = st.sampled_from(["tensor", "named", "numbered", "", "/", "a/b", "~", "0"]) | st.text()
    tensors = st.builds(
        tensor_of,
        st.sampled_from([(), (0,), (3,), (2, 0), (2, 3)]),
        st.sampled_from(DTYPES),
        st.booleans(),
    )
    leaves = (
        tensors
        | st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.sampled_from([nan, inf, -inf, -0.0])
        | names
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(names, inner, max_size=4)
            | st.dictionaries(st.integers(), inner, max_size=4)
        ),
        max_leaves=12,
    )


@settings(max_examples=60)
@given(value=nested())
def test_what_was_written_is_what_is_read(value: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "step-00000001"

        write_checkpoint(path, {"format_version": 1, "value": value})

        assert_same(read_checkpoint(path), {"format_version": 1, "value": value})


def test_keys_with_slashes_are_not_taken_for_nested_ones(tmp_path: Path) -> None:
    state = {
        "format_version": 1,
        "a/b": torch.zeros(1),
        "a": {"b": torch.ones(1)},
        "a~1b": torch.full((1,), 2.0),
    }

    write_checkpoint(tmp_path / "step-00000001", state)

    assert_same(read_checkpoint(tmp_path / "step-00000001"), state)


def test_tensors_that_share_memory_can_be_written(tmp_path: Path) -> None:
    whole = torch.arange(6.0)

    write_checkpoint(tmp_path / "x", {"format_version": 1, "whole": whole, "half": whole[3:]})

    assert_same(read_checkpoint(tmp_path / "x")["half"], torch.tensor([3.0, 4.0, 5.0]))


def test_tuples_come_back_as_lists(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x", {"format_version": 1, "betas": (0.9, torch.ones(1))})

    assert_same(read_checkpoint(tmp_path / "x")["betas"], [0.9, torch.ones(1)])


def test_tensors_are_read_to_the_device_that_is_asked_for(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x", {"format_version": 1, "weights": torch.ones(3)})

    assert read_checkpoint(tmp_path / "x", "meta")["weights"].device.type == "meta"


@settings(max_examples=100)
@given(place=st.integers(min_value=0, max_value=10**6), byte=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_called_damage_but_nothing_else(place: int, byte: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "step-00000001"
        write_checkpoint(path, {"format_version": 1, "a": [torch.ones(2), {0: 1.5, 1: "x"}]})
        files = sorted(path.iterdir())
        file = files[place % len(files)]
        content = bytearray(file.read_bytes())
        content[place % len(content)] = byte
        file.write_bytes(content)

        try:
            state = read_checkpoint(path)
        except ArtifactError:
            return

        assert isinstance(state, dict)


@pytest.mark.parametrize("how", [{"keep": 0}, {"every_steps": 0}])
def test_settings_that_make_no_sense_are_refused(how: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="must be at least 1"):
        Checkpoints(tmp_path, **how)  # type: ignore[arg-type]
