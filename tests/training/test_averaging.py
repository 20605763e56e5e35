"""Averages of the weights: what they are, when they begin, and that they stand in to be judged."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.training.averaging import ExponentialAverage, TriggeredAverage, recompute_batch_norm
from tabtext.training.batches import TensorBatches
from tabtext.training.callbacks import Callback, Monitor
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.history import Epoch, History
from tabtext.training.layer_groups import LayerGroups
from tabtext.training.losses import squared_error
from tabtext.training.options import Phase, TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Score, Trainer

INPUTS = 2 + 3 * torch.randn(160, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])
N_TRAIN, BATCH_SIZE = 120, 30
STEPS_PER_EPOCH = N_TRAIN // BATCH_SIZE

Weights = list[Tensor]


class Recorder(Callback):
    """Keeps a copy of the plain weights after every step."""

    def __init__(self) -> None:
        self.weights: list[Weights] = []

    def step_ended(self, run: Run) -> None:
        self.weights.append(weights_of(run.model))


class StopAfter(Callback):
    """Ends a run at the end of an epoch."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def epoch_ended(self, run: Run) -> None:
        if len(run.history.epochs) == self.n_epochs:
            run.stop("enough")


class InTwoGroups(nn.Sequential):
    """Body and head, of which the first can be frozen."""

    def layer_groups(self) -> list[nn.Module]:
        return [self[:-1], self[-1]]


def weights_of(model: nn.Module) -> Weights:
    return [parameter.detach().clone() for parameter in model.parameters()]


def mean_of(weights: Sequence[Weights]) -> Weights:
    return [torch.stack(versions).double().mean(dim=0).float() for versions in zip(*weights)]  # noqa: B905


def network() -> nn.Sequential:
    return InTwoGroups(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)
    )


def train_batches(*, shuffle: bool = True) -> TensorBatches:
    rows = slice(N_TRAIN)
    return TensorBatches((INPUTS[rows],), TARGET[rows], batch_size=BATCH_SIZE, shuffle=shuffle)


def valid_batches() -> TensorBatches:
    return TensorBatches((INPUTS[N_TRAIN:],), TARGET[N_TRAIN:], batch_size=40)


def fit(
    *callbacks: Callback,
    validate: bool = True,
    score: Score | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    **options: Any,
) -> tuple[nn.Sequential, History]:
    with seeded(0):
        model = network()
        trainer = Trainer(
            model,
            squared_error,
            options=TrainingOptions(**options),
            score=score,
            callbacks=callbacks,
            checkpoints=checkpoints,
        )
        valid = valid_batches() if validate else None
        return model, trainer.fit(train_batches(), valid, resume=resume)


def noisy_rows(n_rows: int, n_features: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, what they mean, and what one gets to see of that."""
    with seeded(0):
        inputs = torch.randn(n_rows, n_features)
        clean = inputs.sum(dim=1, keepdim=True)
        return inputs, clean, clean + 2 * torch.randn(n_rows, 1)


def mean_valid_loss(epochs: Sequence[Epoch]) -> float:
    losses = [epoch.valid_loss for epoch in epochs if epoch.valid_loss is not None]
    return sum(losses) / len(losses)


def scripted(values: Sequence[float]) -> Score:
    """A metric that is what the test says, whatever the model."""
    left: Iterator[float] = iter(values)

    def score(raw: Tensor) -> Mapping[str, float]:
        return {"scripted": next(left)}

    return score


# --------------------------------------------------------------------------------- what they are


@pytest.mark.parametrize("decay", [0.999, 0.5])
def test_ema_follows_its_recursion_exactly(decay: float) -> None:
    recorder = Recorder()

    model, _ = fit(recorder, ExponentialAverage(decay), validate=False, epochs=10)

    average = recorder.weights[0]
    for number, weights in enumerate(recorder.weights[1:], start=1):
        share = 1 - min(decay, (1 + number) / (10 + number))
        pairs = zip(average, weights, strict=True)
        average = [torch.lerp(old, new, share) for old, new in pairs]
    assert len(recorder.weights) == 10 * STEPS_PER_EPOCH
    for kept, expected in zip(model.parameters(), average, strict=True):
        assert torch.equal(kept, expected)


def test_swa_is_the_mean_over_the_last_quarter_of_the_steps() -> None:
    recorder = Recorder()

    model, _ = fit(recorder, validate=False, epochs=10, averaging="swa")

    expected = mean_of(recorder.weights[30:])
    for kept, mean in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(kept, mean, atol=1e-6, rtol=0)
    assert not torch.allclose(model[0].weight, recorder.weights[-1][0], atol=1e-4)


def test_nt_asgd_is_the_mean_over_the_steps_since_it_was_triggered() -> None:
    recorder = Recorder()
    values = [5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 6.0, 2.0, 1.0]  # 6 is worse than the first value

    model, history = fit(
        recorder, score=scripted(values), epochs=9, averaging="nt_asgd", monitor="scripted"
    )

    assert history.best_epoch == 8
    expected = mean_of(recorder.weights[7 * STEPS_PER_EPOCH :])
    for kept, mean in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(kept, mean, atol=1e-6, rtol=0)


# ---------------------------------------------------------------------------- when nt_asgd begins


def triggers_after(values: Sequence[float], *, interval: int, greater_is_better: bool) -> list[int]:
    """Numbers of the values after which the average is on."""
    monitor = Monitor("valid_loss", greater_is_better=greater_is_better)
    average = TriggeredAverage(monitor, non_monotone_interval=interval)
    run = Run(LayerGroups(nn.Linear(3, 1)), TrainingOptions(), train_batches(), valid_batches())
    found = []
    for number, value in enumerate(values):
        run.history.epochs.append(Epoch(0.0, value, {}, 0.0, 0.0, 0.0, 0.0))
        average.epoch_ended(run)
        if average.triggered:
            found.append(number)
    return found


def algorithm_1(values: Sequence[float], n: int) -> int | None:
    """The trigger of Merity et al. (2018), in their letters: the t at which T is set."""
    logs: list[float] = []
    for t, v in enumerate(values):
        if t > n and v > min(logs[0 : t - n]):
            return t
        logs.append(v)
    return None


@example(values=[5.0, 4.0, 3.0, 4.5, 4.0, 4.5], interval=2)
@example(values=[1.0, 2.0, 3.0], interval=1)
@given(
    values=st.lists(st.floats(-9, 9), max_size=25),
    interval=st.integers(1, 6),
)
def test_nt_asgd_triggers_as_in_algorithm_1(values: list[float], interval: int) -> None:
    expected = algorithm_1(values, interval)

    found = triggers_after(values, interval=interval, greater_is_better=False)
    mirrored = triggers_after([-v for v in values], interval=interval, greater_is_better=True)

    assert found == mirrored == ([] if expected is None else list(range(expected, len(values))))


@pytest.mark.parametrize("undefined", [nan, inf])
def test_an_undefined_value_hides_no_better_one_from_nt_asgd(undefined: float) -> None:
    values = [undefined, 1.0, 2.0, 3.0]

    assert triggers_after(values, interval=1, greater_is_better=False) == [3]


def test_nt_asgd_without_validation_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"nt_asgd.*no validation rows.*'swa' or 'ema'"):
        fit(validate=False, averaging="nt_asgd")


# ------------------------------------------------------------------ the average is what is judged


@pytest.mark.parametrize("averaging", ["ema", "swa", "nt_asgd"])
def test_training_goes_on_with_the_plain_weights(averaging: str) -> None:
    plain, averaged = Recorder(), Recorder()
    worse_and_worse = [float(epoch) for epoch in range(12)]
    options = {"epochs": 12, "monitor": "scripted"}

    _, without = fit(plain, score=scripted(worse_and_worse), **options)
    _, history = fit(averaged, score=scripted(worse_and_worse), averaging=averaging, **options)

    assert history.step_losses == without.step_losses
    for ours, theirs in zip(averaged.weights, plain.weights, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    losses = [epoch.valid_loss for epoch in history.epochs]
    assert losses[-1] != without.epochs[-1].valid_loss


def test_the_average_is_validated_and_kept_as_the_best_epoch() -> None:
    recorder = Recorder()
    values = [3.0, 1.0, 2.0]  # the second epoch is best

    model, history = fit(
        recorder, score=scripted(values), epochs=3, averaging="ema", monitor="scripted"
    )

    with seeded(0):
        _, alone = fit(epochs=3)
    found = squared_error(model(INPUTS[N_TRAIN:]), TARGET[N_TRAIN:]).mean().item()
    assert history.best_epoch == 1
    assert history.epochs[1].valid_loss == pytest.approx(found, rel=1e-5)
    assert history.epochs[1].valid_loss != alone.epochs[1].valid_loss
    assert not torch.equal(model[0].weight, recorder.weights[2 * STEPS_PER_EPOCH - 1][0])


def test_a_run_that_a_callback_ends_keeps_the_average_too() -> None:
    recorder = Recorder()

    stopped, history = fit(recorder, StopAfter(2), validate=False, epochs=5, averaging="ema")

    assert history.stopped == "enough"
    assert len(recorder.weights) == 2 * STEPS_PER_EPOCH
    assert not torch.equal(stopped[0].weight, recorder.weights[-1][0])


@pytest.mark.parametrize("averaging", ["ema", "swa", "nt_asgd"])
def test_a_run_that_ended_early_goes_on_from_the_plain_weights(
    averaging: str, tmp_path: Path
) -> None:
    values = [float(epoch) for epoch in range(12)]
    options = {"epochs": 12, "averaging": averaging, "monitor": "scripted"}
    options["greater_is_better"] = averaging != "nt_asgd"
    uninterrupted, expected = fit(score=scripted(values), **options)

    fit(StopAfter(9), score=scripted(values), checkpoints=Checkpoints(tmp_path), **options)
    resumed, history = fit(
        score=scripted(values[9:]), checkpoints=Checkpoints(tmp_path), resume=True, **options
    )

    assert history.step_losses == expected.step_losses
    pairs = zip(resumed.state_dict().values(), uninterrupted.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


# ----------------------------------------------------------------------------------- batch norms


def test_batch_norm_statistics_are_means_over_training_batches_under_the_average() -> None:
    with seeded(0):
        model = network()
        options = TrainingOptions(epochs=4, learning_rate=0.05, averaging="swa")
        Trainer(model, squared_error, options=options).fit(train_batches(shuffle=False))

    hidden = [model[0](rows).detach() for rows in INPUTS[:N_TRAIN].split(BATCH_SIZE)]
    mean = torch.stack([rows.mean(dim=0) for rows in hidden]).mean(dim=0)
    variance = torch.stack([rows.var(dim=0) for rows in hidden]).mean(dim=0)
    norm = model[1]
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.1


def test_an_average_with_statistics_of_the_plain_weights_would_be_worse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs, clean, noisy = noisy_rows(256, 4)

    def last_losses() -> float:
        # With a high rate the plain weights, and so their statistics, stray far from the average.
        options = TrainingOptions(
            epochs=16,
            optimizer="sgd",
            betas=(0.0, 0.99),
            learning_rate=1.0,
            schedule="constant",
            averaging="swa",
        )
        with seeded(0):
            model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
            train = TensorBatches((inputs,), noisy, batch_size=8, shuffle=True)
            valid = TensorBatches((inputs,), clean, batch_size=256)
            history = Trainer(model, squared_error, options=options).fit(train, valid)
        return mean_valid_loss(history.epochs[-4:])

    fresh = last_losses()
    monkeypatch.setattr("tabtext.training.averaging.recompute_batch_norm", lambda run: None)
    stale = last_losses()

    assert fresh < 0.85 * stale


def test_batch_norms_of_frozen_groups_keep_their_statistics() -> None:
    with seeded(0):
        model = network()
        model[1].running_mean.fill_(7.0)
        options = TrainingOptions(phases=(Phase(epochs=2, freeze_to=-1),), averaging="swa")
        Trainer(model, squared_error, options=options).fit(train_batches())

    assert torch.equal(model[1].running_mean, torch.full((8,), 7.0))
    assert torch.equal(model[1].running_var, torch.ones(8))


def test_batch_norms_that_stay_awake_in_a_frozen_group_are_computed_anew() -> None:
    with seeded(0):
        model = network()
        model[1].running_mean.fill_(7.0)
        phases = (Phase(epochs=2, freeze_to=-1),)
        options = TrainingOptions(phases=phases, averaging="swa", batch_norm_freeze=False)
        Trainer(model, squared_error, options=options).fit(train_batches())

    expected = model[0](INPUTS[:N_TRAIN]).detach().mean(dim=0)
    torch.testing.assert_close(model[1].running_mean, expected)


@pytest.mark.parametrize("limit", [{"n_batches": 2}, {"n_rows": BATCH_SIZE + 1}])
def test_only_so_many_batches_are_read_for_the_statistics(limit: dict[str, int]) -> None:
    run = Run(LayerGroups(network()), TrainingOptions(), train_batches(), None)

    recompute_batch_norm(run, **limit)

    seen = torch.cat([b.inputs[0] for b in islice(run.train.walk(0, seed=0), 2)])
    norm = run.model[1]  # type: ignore[index]  # a sequence
    torch.testing.assert_close(norm.running_mean, run.model[0](seen).detach().mean(dim=0))  # type: ignore[index]
    assert norm.num_batches_tracked.item() == 2


# --------------------------------------------------------------------------------------- effect


@pytest.mark.parametrize("averaging", ["ema", "swa", "nt_asgd"])
def test_an_average_takes_the_noise_out_of_sgd_at_a_constant_rate(averaging: str) -> None:
    inputs, clean, noisy = noisy_rows(256, 10)
    exact = torch.linalg.lstsq(inputs, noisy).solution
    ideal = squared_error(inputs @ exact, clean).mean().item()

    def excess(name: str | None) -> float:
        with seeded(0):
            options = TrainingOptions(
                epochs=16,
                optimizer="sgd",
                betas=(0.0, 0.99),
                learning_rate=0.1,
                schedule="constant",
                weight_decay=0.0,
                clip_norm=None,
                averaging=name,  # type: ignore[arg-type]  # a parameter of the test
            )
            train = TensorBatches((inputs,), noisy, batch_size=4, shuffle=True)
            valid = TensorBatches((inputs,), clean, batch_size=256)
            history = Trainer(nn.Linear(10, 1), squared_error, options=options).fit(train, valid)
        return mean_valid_loss(history.epochs[-5:]) - ideal

    assert excess(averaging) < 0.3 * excess(None)
