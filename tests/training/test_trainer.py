"""The training loop."""

import io
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DataError, ParameterError
from tabtext.training.batches import TensorBatches
from tabtext.training.callbacks import EarlyStopping, ProgressBar
from tabtext.training.history import History
from tabtext.training.losses import squared_error
from tabtext.training.reproducibility import seeded
from tabtext.training.trainer import Trainer, TrainingOptions, predict

INPUTS = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])


def train_batches(batch_size: int = 32, *, shuffle: bool = True) -> TensorBatches:
    return TensorBatches((INPUTS[:150],), TARGET[:150], batch_size=batch_size, shuffle=shuffle)


def valid_batches() -> TensorBatches:
    return TensorBatches((INPUTS[150:],), TARGET[150:], batch_size=32)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))


def fit(seed: int = 0, **options: Any) -> tuple[nn.Module, History]:
    with seeded(seed):
        model = network()
        trainer = Trainer(model, squared_error, options=TrainingOptions(**options))
        return model, trainer.fit(train_batches(), valid_batches())


def test_training_learns_a_linear_function() -> None:
    _, history = fit(epochs=30, learning_rate=0.03)

    assert history.epochs[-1].train_loss < 0.1 * history.epochs[0].train_loss


def test_two_runs_with_the_same_seed_are_equal_bit_for_bit() -> None:
    first, first_history = fit(epochs=3)
    second, second_history = fit(epochs=3)

    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert first_history.step_losses == second_history.step_losses


def test_another_seed_gives_another_model() -> None:
    first, _ = fit(seed=0, epochs=1)
    second, _ = fit(seed=1, epochs=1)

    assert not torch.equal(first[0].weight, second[0].weight)


def test_the_weights_of_the_best_epoch_are_restored() -> None:
    model, history = fit(epochs=12, learning_rate=0.3, schedule="constant")
    losses = [epoch.valid_loss for epoch in history.epochs]
    assert history.best_epoch is not None
    assert history.best_epoch == losses.index(min(losses, key=float))

    found = squared_error(predict(model, [INPUTS[150:]]), TARGET[150:]).mean().item()

    assert found == pytest.approx(losses[history.best_epoch], rel=1e-6)
    assert losses[-1] != losses[history.best_epoch]


def test_without_validation_the_last_epoch_counts() -> None:
    with seeded(0):
        options = TrainingOptions(epochs=3)
        history = Trainer(network(), squared_error, options=options).fit(train_batches())

    assert history.best_epoch == 2
    assert history.epochs[0].valid_loss is None


def test_patience_ends_training_early() -> None:
    _, history = fit(epochs=200, learning_rate=0.1, schedule="constant", patience=3)

    assert history.best_epoch is not None
    assert len(history.epochs) == history.best_epoch + 1 + 3


def test_a_metric_can_choose_the_best_epoch() -> None:
    values = iter([0.1, 0.9, 0.5])

    def score(raw: Tensor) -> Mapping[str, float]:
        assert raw.shape == (50, 1)
        return {"accuracy": next(values)}

    options = TrainingOptions(epochs=3, monitor="accuracy", greater_is_better=True)
    trainer = Trainer(network(), squared_error, options=options, score=score)

    assert trainer.fit(train_batches(), valid_batches()).best_epoch == 1


def test_an_unknown_monitor_is_named_with_a_suggestion() -> None:
    options = TrainingOptions(epochs=1, monitor="valid_los")

    with pytest.raises(ParameterError, match="did you mean 'valid_loss'"):
        Trainer(network(), squared_error, options=options).fit(train_batches(), valid_batches())


def test_the_learning_rate_follows_the_schedule_over_all_steps() -> None:
    _, history = fit(epochs=4, learning_rate=0.01)

    rates = history.step_learning_rates
    assert len(rates) == 4 * len(train_batches())
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    assert rates[-1] == pytest.approx(0.01 * 1e-3)


def test_the_gradient_norm_is_logged_as_it_was_before_clipping() -> None:
    _, free = fit(epochs=1, clip_norm=None)
    _, clipped = fit(epochs=1, clip_norm=1e-3)

    assert clipped.step_gradient_norms[0] == free.step_gradient_norms[0]
    assert clipped.step_gradient_norms[0] > 1e-3


def test_clipping_limits_a_step() -> None:
    def movement(clip_norm: float | None) -> float:
        with seeded(0):
            model = nn.Linear(3, 1)
            before = model.weight.detach().clone()
            options = TrainingOptions(
                epochs=1, clip_norm=clip_norm, weight_decay=0.0, schedule="constant"
            )
            inputs, target = torch.full((8, 3), 1e-9), torch.ones(8, 1)
            batches = TensorBatches((inputs,), target, batch_size=8)
            Trainer(model, squared_error, options=options).fit(batches)
            return float((model.weight.detach() - before).abs().max())

    # Adam's step hardly depends on the gradient's size until it comes near to its epsilon.
    assert movement(1e-10) < 0.5 * movement(None)


def test_a_loss_that_is_not_a_number_stops_training_and_says_what_to_do() -> None:
    target = TARGET[:150].clone()
    target[7] = float("inf")
    batches = TensorBatches((INPUTS[:150],), target, batch_size=32)

    with pytest.raises(DataError, match=r"epoch 1, step 1.*learning_rate"):
        Trainer(network(), squared_error, options=TrainingOptions(epochs=2)).fit(batches)


def test_rows_of_weight_zero_teach_nothing() -> None:
    def weights_after(target: Tensor, weight: Tensor) -> Tensor:
        with seeded(0):
            model = nn.Linear(3, 1)
            batches = TensorBatches((INPUTS,), target, weight, batch_size=50)
            Trainer(model, squared_error, options=TrainingOptions(epochs=2)).fit(batches)
            return model.weight.detach()

    weight = (torch.arange(200) % 2).float()
    spoiled = torch.where(weight[:, None] == 0, 1e3, TARGET)

    assert torch.equal(weights_after(TARGET, weight), weights_after(spoiled, weight))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"clip_norm": 0.0},
        {"patience": 0},
        {"schedule": "zigzag"},
    ],
)
def test_options_outside_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong

    with pytest.raises(ParameterError, match=name):
        TrainingOptions(**wrong)


def test_prediction_does_not_depend_on_the_batch_size() -> None:
    model = network()

    whole, parts = (predict(model, [INPUTS], batch_size=size) for size in (1000, 7))

    torch.testing.assert_close(whole, parts)


def test_nan_never_counts_as_an_improvement() -> None:
    stopping = EarlyStopping(patience=2, greater_is_better=True)

    assert [stopping.improves(v) for v in (float("nan"), 0.1, float("nan"))] == [False, True, False]


def test_without_a_terminal_progress_is_a_line_per_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with seeded(0):
        options = TrainingOptions(epochs=2)
        trainer = Trainer(network(), squared_error, options=options, progress=ProgressBar())
        trainer.fit(train_batches(), valid_batches())

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  train ")
