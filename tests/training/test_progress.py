"""What a person sees of a run, on a terminal and elsewhere."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from tabtext.training.batches import TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.history import History
from tabtext.training.losses import squared_error
from tabtext.training.options import TrainingOptions
from tabtext.training.progress import ProgressBar
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Score, Trainer

INPUTS = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])
STEPS_PER_EPOCH = 6


class Clock:
    """Time that passes only with the steps of a run."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SecondsPerStep(Callback):
    """Lets time pass; to be told before the bar is."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    def step_ended(self, run: Run) -> None:
        self.clock.now += self.seconds


class StopAtStep(Callback):
    """Ends a run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def step_ended(self, run: Run) -> None:
        if run.step == self.step:
            run.stop("for a test [b]")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that the bar sees."""
    clock = Clock()
    monkeypatch.setattr("tabtext.progress.monotonic", clock)
    monkeypatch.setattr("tabtext.training.progress.monotonic", clock)
    return clock


@pytest.fixture
def refreshes(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> list[float]:
    """When the bar was drawn."""
    found: list[float] = []
    refresh = Progress.refresh

    def noted(bar: Progress) -> None:
        found.append(clock.now)
        refresh(bar)

    monkeypatch.setattr(Progress, "refresh", noted)
    return found


def fit(
    *callbacks: Callback,
    score: Score | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    **options: Any,
) -> History:
    with seeded(0):
        trainer = Trainer(
            nn.Linear(3, 1),
            squared_error,
            options=TrainingOptions(**{"epochs": 2, **options}),
            score=score,
            callbacks=callbacks,
            checkpoints=checkpoints,
        )
        train = TensorBatches((INPUTS[:60],), TARGET[:60], batch_size=10)
        valid = TensorBatches((INPUTS[60:],), TARGET[60:], batch_size=10)
        return trainer.fit(train, valid, resume=resume)


def terminal() -> Console:
    return Console(force_terminal=True, file=io.StringIO(), width=120)


def drawn_on(console: Console) -> str:
    """All that was written, without colours and movements of the cursor."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


# --------------------------------------------------------------------------- without a terminal


def test_without_a_terminal_there_is_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    history = fit(ProgressBar())

    written = capsys.readouterr()
    lines = written.err.splitlines()
    assert written.out == ""
    assert len(lines) == 2
    for number, (line, epoch) in enumerate(zip(lines, history.epochs, strict=True), start=1):
        losses = f"train {epoch.train_loss:.4g}  valid {epoch.valid_loss:.4g}"
        assert line == f"epoch {number}/2  {losses}  {epoch.seconds:.1f} s"


def test_metrics_are_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    def score(raw: Tensor) -> dict[str, float]:
        return {"rmse": 0.123456}

    fit(ProgressBar(), score=score)

    assert "  rmse 0.1235  " in capsys.readouterr().err


def test_the_reason_for_an_early_end_is_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    fit(ProgressBar(), StopAtStep(2))

    assert capsys.readouterr().err.splitlines()[-1] == "ended early: for a test [b]"


def test_a_run_without_a_progress_bar_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    fit()

    written = capsys.readouterr()
    assert written.err == written.out == ""


# ------------------------------------------------------------------------------- on a terminal


def test_a_terminal_shows_epoch_loss_rate_and_what_is_left(clock: Clock) -> None:
    console = terminal()

    history = fit(SecondsPerStep(clock, 0.5), ProgressBar(console))

    drawn = drawn_on(console)
    assert re.search(r"epoch 1/2  loss \d+\.\d+  2 steps/s .* 3/12 .* left +\d+:\d\d:\d\d", drawn)
    assert re.search(r"epoch 2/2  loss \d+\.\d+  2 steps/s .* 12/12 .* left +0:00:00", drawn)
    assert f"epoch 2/2  train {history.epochs[1].train_loss:.4g}  valid " in drawn


def test_the_loss_that_is_shown_is_smoothed(clock: Clock) -> None:
    console = terminal()

    history = fit(SecondsPerStep(clock, 0.5), ProgressBar(console), epochs=1)

    smoothed = history.step_losses[0]
    for loss in history.step_losses[1:]:
        smoothed = 0.98 * smoothed + 0.02 * loss
    assert f"loss {smoothed:.4g} " in drawn_on(console).splitlines()[-1]
    assert abs(smoothed - history.step_losses[-1]) > 0.01


@pytest.mark.parametrize(("seconds_per_step", "most"), [(0.01, 0), (0.07, 2), (0.3, 6)])
def test_the_bar_is_drawn_at_most_every_fifth_of_a_second(
    clock: Clock, refreshes: list[float], seconds_per_step: float, most: int
) -> None:
    class Steps(Callback):
        """Counts drawings while the steps run; to be told after the bar is."""

        def step_ended(self, run: Run) -> None:
            during_steps.append(len(refreshes))

    during_steps: list[int] = []

    fit(SecondsPerStep(clock, seconds_per_step), ProgressBar(terminal()), Steps(), epochs=1)

    start = during_steps[0] if seconds_per_step < 0.2 else during_steps[0] - 1
    assert during_steps[-1] - start == most


def test_drawing_changes_nothing_of_the_training() -> None:
    assert fit(ProgressBar(terminal())).step_losses == fit().step_losses


def test_a_run_that_is_resumed_is_shown_from_where_it_goes_on(clock: Clock, tmp_path: Path) -> None:
    console = terminal()
    fit(StopAtStep(STEPS_PER_EPOCH), checkpoints=Checkpoints(tmp_path), epochs=4)

    fit(
        SecondsPerStep(clock, 0.5),
        ProgressBar(console),
        checkpoints=Checkpoints(tmp_path),
        resume=True,
        epochs=4,
    )

    drawn = drawn_on(console)
    counts = [int(number) for number in re.findall(r" (\d+)/24 ", drawn)]
    assert counts[0] == STEPS_PER_EPOCH
    assert counts[-1] == 24
    # Steps of the process before do not count as fast ones of this.
    assert set(re.findall(r"(\d+) steps/s", drawn)) == {"0", "2"}


def test_a_bar_that_ended_early_stays_where_it_was_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = terminal()

    fit(ProgressBar(console), StopAtStep(STEPS_PER_EPOCH), epochs=3)

    drawn = drawn_on(console)
    assert " 6/18 " in drawn
    assert " 18/18 " not in drawn
    assert drawn.splitlines()[-1].strip() == "ended early: for a test [b]"
    assert capsys.readouterr().err == ""


def test_a_time_budget_fills_the_bar_when_it_is_over(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabtext.training.run.monotonic", clock)
    console = terminal()

    fit(SecondsPerStep(clock, 1.0), ProgressBar(console), epochs=100, max_time=10)

    counts = [int(number) for number in re.findall(r" (\d+)/600 ", drawn_on(console))]
    assert counts == sorted(counts)
    assert counts[-1] == 600
    assert any(200 < count < 400 for count in counts)


def test_the_bar_is_closed_when_a_run_fails() -> None:
    class Fails(Callback):
        def step_ended(self, run: Run) -> None:
            raise RuntimeError("in a step")

    console = terminal()

    with pytest.raises(RuntimeError, match="in a step"):
        fit(ProgressBar(console), Fails())
    fit(ProgressBar(console))  # rich refuses a second bar while one is open

    assert "12/12" in drawn_on(console)


def test_a_long_epoch_without_a_terminal_gets_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]

    def later() -> float:
        now[0] += 1.0  # each look at the clock
        return now[0]

    monkeypatch.setattr("tabtext.progress.monotonic", later)
    monkeypatch.setattr("tabtext.training.progress.monotonic", later)
    rows = torch.ones(300, 2)
    batches = TensorBatches((rows,), rows[:, :1], batch_size=2)
    options = TrainingOptions(epochs=1)

    Trainer(nn.Linear(2, 1), squared_error, options=options, callbacks=[ProgressBar()]).fit(batches)

    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 5
    for part in ("epoch 1/1  loss ", " steps/s  ", " left"):
        assert part in lines[0]
