"""Dropout that fades: when, how far, and again the same after an interruption."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from tabtext.dropout import Dropout
from tabtext.errors import ParameterError
from tabtext.training import Callback, Checkpoints, TensorBatches, Trainer, TrainingOptions
from tabtext.training.losses import squared_error
from tabtext.training.run import Run

INPUTS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS.sum(dim=1, keepdim=True)
OPTIONS = TrainingOptions(epochs=4, dropout_schedule="flat_cosine", averaging="ema")


class Watch(Callback):
    """Note the factor of every step, and fail after one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at
        self.factors: list[float] = []

    def fit_started(self, run: Run) -> None:
        self._note(run)

    def step_ended(self, run: Run) -> None:
        if run.step == self.fail_at:
            raise RuntimeError("the power failed")
        self._note(run)

    def _note(self, run: Run) -> None:
        (factor,) = {m.factor for m in run.model.modules() if isinstance(m, Dropout)}
        self.factors.append(factor)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), Dropout(0.5), nn.Linear(16, 1))


def fit(watch: Watch, model: nn.Module, directory: Path | None = None, *, resume: bool) -> None:
    checkpoints = None if directory is None else Checkpoints(directory, every_steps=1)
    trainer = Trainer(
        model, squared_error, options=OPTIONS, callbacks=[watch], checkpoints=checkpoints
    )
    trainer.fit(TensorBatches((INPUTS,), TARGET, batch_size=10, shuffle=True), resume=resume)


def test_dropout_stays_for_half_of_the_steps_and_ends_at_nothing() -> None:
    watch, model = Watch(), network()

    fit(watch, model, resume=False)

    factors = watch.factors[:16]  # one for each of 16 steps
    assert factors[:8] == [1.0] * 8
    assert all(later < earlier for earlier, later in pairwise(factors[7:]))
    assert factors[-1] == pytest.approx(0, abs=1e-12)


def test_after_training_the_rates_are_those_of_before() -> None:
    model = network()

    fit(Watch(), model, resume=False)
    with pytest.raises(RuntimeError):
        fit(Watch(fail_at=14), model, resume=False)

    assert [m.factor for m in model if isinstance(m, Dropout)] == [1.0]


@pytest.mark.parametrize("step", [3, 8, 11])
def test_a_resumed_run_equals_an_undisturbed_one(step: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    undisturbed, resumed = network(), network()
    torch.manual_seed(1)
    watch = Watch()
    fit(watch, undisturbed, resume=False)

    torch.manual_seed(0)
    model = network()
    torch.manual_seed(1)
    with pytest.raises(RuntimeError):
        fit(Watch(fail_at=step), model, tmp_path, resume=False)
    again = Watch()
    fit(again, resumed, tmp_path, resume=True)

    assert again.factors == watch.factors[step - 1 :]
    for ours, theirs in zip(resumed.parameters(), undisturbed.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_model_without_such_dropout_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Linear holds no tabtext\.dropout\.Dropout"):
        fit(Watch(), nn.Linear(3, 1), resume=False)
