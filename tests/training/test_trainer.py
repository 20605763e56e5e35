"""The training loop."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DataError, DivergenceError, ParameterError, TabTextWarning
from tabtext.training.batches import Batch, TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.history import History
from tabtext.training.losses import Loss, binary_cross_entropy, cross_entropy, squared_error
from tabtext.training.options import TrainingOptions
from tabtext.training.prediction import predict
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Trainer

INPUTS = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])


def train_batches(batch_size: int = 32, *, shuffle: bool = True) -> TensorBatches:
    return TensorBatches((INPUTS[:150],), TARGET[:150], batch_size=batch_size, shuffle=shuffle)


def valid_batches() -> TensorBatches:
    return TensorBatches((INPUTS[150:],), TARGET[150:], batch_size=32)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))


def fit(seed: int = 0, **options: Any) -> tuple[nn.Sequential, History]:
    with seeded(seed):
        model = network()
        trainer = Trainer(model, squared_error, options=TrainingOptions(**options))
        return model, trainer.fit(train_batches(), valid_batches())


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for mine, its in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, its)


class Gradients(Callback):
    """Keeps the gradients that the optimizer sees, one list per step."""

    def __init__(self) -> None:
        self.steps: list[list[Tensor | None]] = []

    def fit_started(self, run: Run) -> None:
        def look(*_: object) -> None:
            gradients = [p.grad for p in run.model.parameters()]
            self.steps.append([None if g is None else g.clone() for g in gradients])

        run.optimizer.register_step_pre_hook(look)


class PenalizedActivations(nn.Module):
    """Adds the mean square of what flows through it to the loss."""

    def __init__(self, coefficient: float) -> None:
        super().__init__()
        self.coefficient = coefficient
        self.last = torch.zeros(())

    def forward(self, hidden: Tensor) -> Tensor:
        self.last = hidden
        return hidden

    def extra_loss(self) -> Tensor:
        return self.coefficient * self.last.square().mean()


class SmallerSteps(TensorBatches):
    """Batches that ask for smaller steps the later they come in an epoch."""

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(super().walk(epoch, seed=seed, start=start), start=start):
            yield replace(batch, rate_factor=1 / (number + 1))


class Remembering(nn.Module):
    """Remembers of every row in a batch what it made of that place's row in the batch before."""

    def __init__(self, n_places: int, memory: int = 10**9) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.memory = memory
        self.remembered = torch.zeros(n_places, 1)

    def forward(self, inputs: Tensor, places: Tensor) -> Tensor:
        raw: Tensor = self.layer(torch.cat([inputs, self.remembered[places]], dim=1))
        if self.training:
            self.remembered = self.remembered.index_copy(0, places, raw.detach().tanh())
            if len(inputs) > self.memory:
                raise torch.OutOfMemoryError
        return raw

    def carried_state(self) -> list[Tensor]:
        return [self.remembered]

    def load_carried_state(self, state: list[Tensor]) -> None:
        (self.remembered,) = state


# --------------------------------------------------------------------------------------- learning


def test_training_learns_a_linear_function() -> None:
    _, history = fit(epochs=30, learning_rate=0.03)

    assert history.epochs[-1].train_loss < 0.1 * history.epochs[0].train_loss


def test_several_labels_per_row_are_learned() -> None:
    labels = torch.stack([INPUTS[:, 0] > 0, INPUTS[:, 1] > 0, INPUTS.sum(dim=1) > 0], dim=1)
    batches = TensorBatches((INPUTS,), labels.float(), batch_size=32, shuffle=True)
    options = TrainingOptions(epochs=30, learning_rate=0.1)
    with seeded(0):
        trainer = Trainer(nn.Linear(3, 3), binary_cross_entropy, options=options)
        trainer.fit(batches)

    right = (trainer.predict([INPUTS]) > 0) == labels

    assert right.float().mean(dim=0).min() > 0.95


def test_class_weights_bring_a_rare_class_to_notice() -> None:
    # At the same place, nine of ten rows belong to class 0: what is predicted depends on weights.
    inputs = torch.ones(100, 1)
    classes = (torch.arange(100) % 10 == 0).long()

    def share_of_the_rare_class(rare_weight: float) -> float:
        weight = torch.tensor([1.0, rare_weight])[classes]
        batches = TensorBatches((inputs,), classes, weight, batch_size=50)
        options = TrainingOptions(epochs=200, learning_rate=0.1, weight_decay=0.0)
        with seeded(0):
            trainer = Trainer(nn.Linear(1, 2), cross_entropy, options=options)
            trainer.fit(batches)
        return float(trainer.predict([inputs]).softmax(dim=1)[0, 1])

    assert share_of_the_rare_class(1.0) == pytest.approx(0.1, abs=0.01)
    assert share_of_the_rare_class(9.0) == pytest.approx(0.5, abs=0.01)


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


def test_modules_that_share_a_weight_still_share_it_and_both_teach_it() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(3, 3, bias=False)
            self.decoder = nn.Linear(3, 3, bias=False)
            self.decoder.weight = self.encoder.weight

        def forward(self, inputs: Tensor) -> Tensor:
            decoded: Tensor = self.decoder(self.encoder(inputs))
            return decoded

    target = INPUTS @ (4 * torch.eye(3))  # twice the matrix 2 * I, the root that is nearby
    batches = TensorBatches((INPUTS,), target, batch_size=40, shuffle=True)
    with seeded(0):
        model = Tied()
        with torch.no_grad():
            model.encoder.weight.copy_(torch.eye(3))
        options = TrainingOptions(epochs=60, learning_rate=0.1, weight_decay=0.0)
        Trainer(model, squared_error, options=options).fit(batches)

    assert model.decoder.weight is model.encoder.weight
    torch.testing.assert_close(model.encoder.weight.detach(), 2 * torch.eye(3), atol=0.01, rtol=0)


def test_parameters_that_get_no_gradient_stay_and_the_others_learn() -> None:
    class WithASpare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(3, 1)
            self.spare = nn.Linear(3, 1)

        def forward(self, inputs: Tensor) -> Tensor:
            raw: Tensor = self.used(inputs)
            return raw

    with seeded(0):
        model = WithASpare()
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        options = TrainingOptions(epochs=1, weight_decay=0.5)
        Trainer(model, squared_error, options=options).fit(train_batches())

    moved = {name: not torch.equal(p, before[name]) for name, p in model.named_parameters()}
    assert moved == {
        "used.weight": True,
        "used.bias": True,
        "spare.weight": False,
        "spare.bias": False,
    }


# ------------------------------------------------------------------------------------- randomness


def test_two_runs_with_the_same_seed_are_equal_bit_for_bit() -> None:
    first, first_history = fit(epochs=3)
    second, second_history = fit(epochs=3)

    assert_same_weights(first, second)
    assert first_history.step_losses == second_history.step_losses


def test_another_seed_gives_another_model() -> None:
    first, _ = fit(seed=0, epochs=1)
    second, _ = fit(seed=1, epochs=1)

    assert not torch.equal(first[0].weight, second[0].weight)


def test_the_seed_of_the_options_orders_the_batches() -> None:
    _, first = fit(epochs=1)
    _, second = fit(epochs=1, seed=0)
    with seeded(0):
        other = Trainer(network(), squared_error, options=TrainingOptions(epochs=1, seed=1))
        third = other.fit(train_batches(), valid_batches())

    assert first.step_losses == second.step_losses
    assert first.step_losses != third.step_losses


def test_only_the_model_draws_from_the_global_generator() -> None:
    trainer = Trainer(network(), squared_error, options=TrainingOptions(epochs=2))
    before = torch.get_rng_state()

    trainer.fit(train_batches(), valid_batches())

    assert torch.equal(torch.get_rng_state(), before)


def test_training_inside_of_seeded_leaves_the_callers_random_state_alone() -> None:
    before = torch.get_rng_state()

    with seeded(0):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        Trainer(model, squared_error, options=TrainingOptions(epochs=1)).fit(train_batches())
        drawn = torch.get_rng_state()

    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(drawn, before)


# ------------------------------------------------------------------------- fitting again and again


def test_a_second_fit_goes_on_from_the_first_ones_weights_with_a_record_of_its_own() -> None:
    options = TrainingOptions(epochs=2)
    with seeded(0):
        trainer = Trainer(network(), squared_error, options=options)
        first = trainer.fit(train_batches(), valid_batches())
        second = trainer.fit(train_batches(), valid_batches())
    with seeded(0):
        model = network()
        for _ in range(2):
            Trainer(model, squared_error, options=options).fit(train_batches(), valid_batches())

    assert_same_weights(trainer.model, model)
    assert len(first.epochs) == len(second.epochs) == 2
    assert second.epochs[0].train_loss < first.epochs[0].train_loss


def test_gradients_from_before_the_fit_are_no_part_of_it() -> None:
    untouched, _ = fit(epochs=1)

    with seeded(0):
        model = network()
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 1e3)
        Trainer(model, squared_error, options=TrainingOptions(epochs=1)).fit(
            train_batches(), valid_batches()
        )

    assert_same_weights(model, untouched)


def test_after_the_fit_the_model_is_in_evaluation_mode_and_holds_no_gradients() -> None:
    model, _ = fit(epochs=1)

    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


# ---------------------------------------------------------------------------------- the best epoch


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


def test_the_validation_loss_is_the_weighted_mean_over_all_rows_whatever_the_batch_size() -> None:
    weight = torch.linspace(0.0, 2.0, 50)

    def first_loss(batch_size: int) -> float | None:
        valid = TensorBatches((INPUTS[150:],), TARGET[150:], weight, batch_size=batch_size)
        with seeded(0):
            trainer = Trainer(network(), squared_error, options=TrainingOptions(epochs=1))
            history = trainer.fit(train_batches(), valid)
        losses = squared_error(trainer.predict([INPUTS[150:]]), TARGET[150:])
        by_hand = float((losses * weight).sum() / weight.sum())
        assert history.epochs[0].valid_loss == pytest.approx(by_hand, rel=1e-5)
        return history.epochs[0].valid_loss

    assert first_loss(7) == pytest.approx(first_loss(50), rel=1e-6)


# --------------------------------------------------------------------------------- rates, clipping


def test_the_learning_rate_follows_the_schedule_over_all_steps() -> None:
    _, history = fit(epochs=4, learning_rate=0.01)

    rates = history.step_learning_rates
    assert len(rates) == 4 * len(train_batches())
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    assert rates[-1] == pytest.approx(0.01 * 1e-3)


def test_a_batch_may_ask_for_a_smaller_step_than_the_schedule_gives() -> None:
    def trained(kind: type[TensorBatches]) -> tuple[list[Tensor], list[float]]:
        weights: list[Tensor] = []

        class Note(Callback):
            def step_ended(self, run: Run) -> None:
                weights.append(run.parameters[0].detach().clone())

        with seeded(0):
            model = nn.Linear(3, 1)
            options = TrainingOptions(epochs=1, optimizer="sgd", betas=(0.0, 0.9))
            trainer = Trainer(model, squared_error, options=options, callbacks=[Note()])
            history = trainer.fit(kind((INPUTS,), TARGET, batch_size=50))
        return weights, history.step_learning_rates

    plain_weights, plain = trained(TensorBatches)
    weights, rates = trained(SmallerSteps)

    assert rates == pytest.approx([rate / (step + 1) for step, rate in enumerate(plain)])
    assert torch.equal(weights[0], plain_weights[0])
    assert (weights[1] - weights[0]).norm() == pytest.approx(
        float((plain_weights[1] - plain_weights[0]).norm()) / 2, rel=1e-4
    )


def test_the_gradient_norm_is_logged_as_it_was_before_clipping() -> None:
    _, free = fit(epochs=1, clip_norm=None)
    _, clipped = fit(epochs=1, clip_norm=1e-3)
    _, bounded = fit(epochs=1, clip_norm=None, clip_value=1e-3)

    assert clipped.step_gradient_norms[0] == free.step_gradient_norms[0]
    assert bounded.step_gradient_norms[0] == free.step_gradient_norms[0]
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


def seen_gradients(**options: Any) -> tuple[list[Tensor], float]:
    """Gradient of the first step, parameter by parameter, and its norm as it was logged."""
    gradients = Gradients()
    with seeded(0):
        trainer = Trainer(
            network(),
            squared_error,
            options=TrainingOptions(epochs=1, **options),
            callbacks=[gradients],
        )
        history = trainer.fit(train_batches())
    found = [gradient for gradient in gradients.steps[0] if gradient is not None]
    return found, history.step_gradient_norms[0]


def norm_of(gradients: list[Tensor]) -> float:
    return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())


def test_a_clipped_norm_is_the_limit_and_the_direction_stays() -> None:
    free, norm = seen_gradients(clip_norm=None)
    clipped, _ = seen_gradients(clip_norm=0.01)

    assert norm_of(free) == pytest.approx(norm)
    assert norm_of(clipped) == pytest.approx(0.01, rel=1e-3)
    for long, short in zip(free, clipped, strict=True):
        torch.testing.assert_close(short, long * (0.01 / norm), rtol=1e-3, atol=1e-9)


def test_a_gradient_within_the_limit_is_left_as_it_is() -> None:
    free, norm = seen_gradients(clip_norm=None)
    within, _ = seen_gradients(clip_norm=2 * norm)

    assert all(torch.equal(one, other) for one, other in zip(free, within, strict=True))


def test_clipping_by_value_bounds_every_element_that_the_optimizer_sees() -> None:
    free, _ = seen_gradients(clip_norm=None)
    bounded, _ = seen_gradients(clip_norm=None, clip_value=0.01)

    assert max(float(gradient.abs().max()) for gradient in free) > 0.01
    for before, after in zip(free, bounded, strict=True):
        assert torch.equal(after, before.clamp(-0.01, 0.01))


def test_a_gradient_that_clipping_by_value_made_short_is_not_shortened_again() -> None:
    _, norm = seen_gradients(clip_norm=None)
    by_value, _ = seen_gradients(clip_norm=None, clip_value=0.01)
    assert norm_of(by_value) < 0.5 * norm

    by_both, _ = seen_gradients(clip_norm=0.5 * norm, clip_value=0.01)

    assert all(torch.equal(one, other) for one, other in zip(by_value, by_both, strict=True))


# ------------------------------------------------------------------------------------ extra losses


def regularized(coefficient: float) -> nn.Sequential:
    hidden = PenalizedActivations(coefficient)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), hidden, nn.Linear(8, 1))


def extra_gradient(coefficient: float, micro_batch_size: int | None) -> tuple[Tensor, Tensor]:
    """The trainer's loss and gradients of one batch, as a single vector."""
    with seeded(0):
        model = regularized(coefficient)
    options = TrainingOptions(micro_batch_size=micro_batch_size)
    trainer = Trainer(model, squared_error, options=options)
    run = Run(trainer.groups, options, train_batches(), None)
    run.begin_step()
    loss = trainer.backward(run, Batch((INPUTS[:30],), TARGET[:30]))
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return loss, torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("micro_batch_size", [None, 10, 7])
def test_an_extra_loss_changes_the_gradient_by_exactly_its_own(
    micro_batch_size: int | None,
) -> None:
    with seeded(0):
        model = regularized(2.0)
    term = 2.0 * model[1](model[0](INPUTS[:30])).square().mean()
    own = torch.autograd.grad(term, list(model[0].parameters()))
    by_hand = torch.cat([*(gradient.flatten() for gradient in own), torch.zeros(9)])

    plain_loss, plain = extra_gradient(0.0, micro_batch_size)
    loss, gradient = extra_gradient(2.0, micro_batch_size)

    assert by_hand.norm() > 0.1
    torch.testing.assert_close(loss - plain_loss, term.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient - plain, by_hand, rtol=1e-4, atol=1e-6)


def test_a_large_extra_loss_shrinks_activations() -> None:
    def activation(coefficient: float) -> float:
        with seeded(0):
            model = regularized(coefficient)
            options = TrainingOptions(epochs=10, learning_rate=0.03)
            Trainer(model, squared_error, options=options).fit(train_batches())
        return float(model[:2](INPUTS).detach().square().mean())

    assert activation(100.0) < 0.1 * activation(0.0)


# ------------------------------------------------------------------------- as it goes on a device


def device_step(trainer: Trainer, run: Run, batch: Batch) -> None:
    """A step as on a GPU, where the decision whether to take it is left to the optimizer."""
    run.begin_step()
    loss = trainer.backward(run, batch)
    trainer._update_if_finite(run, loss, trainer.clip_gradient(run))
    run.optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_after_a_bad_step_the_device_takes_no_other(optimizer: Any) -> None:
    with seeded(0):
        model = nn.Linear(3, 1)
    options = TrainingOptions(optimizer=optimizer)
    trainer = Trainer(model, squared_error, options=options)
    run = Run(trainer.groups, options, train_batches(), None)
    good = Batch((INPUTS[:30],), TARGET[:30])
    bad = Batch((INPUTS[:30],), torch.full((30, 1), torch.nan))

    weights = []
    for batch in (good, good, bad, good):
        device_step(trainer, run, batch)
        weights.append(model.weight.detach().clone())

    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])
    assert torch.equal(weights[1], weights[3])


def test_with_scaled_losses_an_overflow_passes_and_a_loss_that_is_not_a_number_does_not() -> None:
    options = TrainingOptions(precision="fp16")
    trainer = Trainer(network(), squared_error, options=options)
    run = Run(trainer.groups, options, train_batches(), None)
    inf, nan = float("inf"), float("nan")

    for loss, norm in ((1.0, inf), (1.0, 2.0)):
        run.measured.add(loss, norm, 0.1)
    run.measured.read()
    trainer._require_finite(run)
    run.measured.add(nan, nan, 0.1)
    run.measured.read()

    with pytest.raises(DivergenceError, match="loss became nan in epoch 1, step 3"):
        trainer._require_finite(run)


def test_a_batch_that_memory_does_not_hold_goes_on_in_parts() -> None:
    class Cramped(nn.Linear):
        """Memory for sixteen rows."""

        def forward(self, inputs: Tensor) -> Tensor:
            if self.training and len(inputs) > 16:
                raise torch.OutOfMemoryError
            return super().forward(inputs)

    def trained(kind: type[nn.Linear], micro_batch_size: int | None) -> nn.Module:
        with seeded(0):
            model = kind(3, 1)
            options = TrainingOptions(epochs=2, micro_batch_size=micro_batch_size)
            Trainer(model, squared_error, options=options).fit(train_batches(batch_size=64))
        return model

    with pytest.warns(TabTextWarning, match="does not hold 64 rows.*parts of 16 or") as caught:
        cramped = trained(Cramped, None)

    assert len(caught) == 1
    assert_same_weights(cramped, trained(nn.Linear, 16))


def test_a_batch_begun_anew_in_parts_finds_what_was_carried_before_it() -> None:
    def trained(memory: int, micro_batch_size: int | None) -> Remembering:
        with seeded(0):
            model = Remembering(n_places=64, memory=memory)
            options = TrainingOptions(epochs=2, micro_batch_size=micro_batch_size)
            places = torch.arange(128) % 64
            batches = TensorBatches((INPUTS[:128], places), TARGET[:128], batch_size=64)
            Trainer(model, squared_error, options=options).fit(batches)
        return model

    with pytest.warns(TabTextWarning, match="does not hold 64 rows"):
        cramped = trained(16, None)

    roomy = trained(10**9, 16)
    assert_same_weights(cramped, roomy)
    assert torch.equal(cramped.remembered, roomy.remembered)


def compile_setting(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, micro_batch_size: int | None = None
) -> str:
    """What becomes of ``compile="always"`` on a GPU, as if one were there."""
    settings: list[str] = []

    def noted(model: nn.Module, setting: str, device: torch.device, n_steps: int) -> nn.Module:
        settings.append(setting)
        return model

    monkeypatch.setattr("tabtext.training.run.compiled", noted)
    options = TrainingOptions(compile="always", micro_batch_size=micro_batch_size)
    run = Run(Trainer(model, squared_error, options=options).groups, options, train_batches(), None)
    run.device = torch.device("cuda")
    run.begin_step()
    (setting,) = settings
    return setting


def test_parts_of_batches_do_not_go_through_cuda_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Graphs put every part's gradients in the same place, where they would not add up.
    assert compile_setting(monkeypatch, network()) == "always"
    assert compile_setting(monkeypatch, network(), micro_batch_size=8) == "never"


def test_what_is_carried_from_step_to_step_does_not_go_through_cuda_graphs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The next step would overwrite it.
    assert compile_setting(monkeypatch, Remembering(n_places=32)) == "never"


# ------------------------------------------------------------------------------------- prediction


def test_prediction_does_not_depend_on_the_batch_size() -> None:
    model = network()

    whole, parts = (predict(model, [INPUTS], batch_size=size) for size in (1000, 7))

    torch.testing.assert_close(whole, parts)


# ------------------------------------------------------------------------------------------ refusal


def test_a_loss_that_is_not_a_number_stops_training_and_says_what_to_do() -> None:
    target = TARGET[:150].clone()
    target[7] = float("inf")
    batches = TensorBatches((INPUTS[:150],), target, batch_size=32)

    with pytest.raises(DataError, match=r"epoch 1, step 1.*target, row 7.*Clean those"):
        Trainer(network(), squared_error, options=TrainingOptions(epochs=2)).fit(batches)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"clip_norm": 0.0},
        {"clip_value": 0.0},
        {"patience": 0},
        {"micro_batch_size": 0},
        {"schedule": "zigzag"},
    ],
)
def test_options_outside_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong

    with pytest.raises(ParameterError, match=name):
        TrainingOptions(**wrong)


def no_rows() -> TensorBatches:
    return TensorBatches((INPUTS[:0],), TARGET[:0], batch_size=32)


def test_training_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="no training rows"):
        Trainer(network(), squared_error, options=TrainingOptions()).fit(no_rows())


def test_validation_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="no validation rows; leave"):
        Trainer(network(), squared_error, options=TrainingOptions()).fit(train_batches(), no_rows())


def test_a_model_without_parameters_is_refused() -> None:
    trainer = Trainer(nn.ReLU(), squared_error, options=TrainingOptions())

    with pytest.raises(ParameterError, match="ReLU has no parameters"):
        trainer.fit(train_batches())


def test_a_model_of_which_everything_is_frozen_is_refused() -> None:
    model = nn.Linear(3, 1).requires_grad_(False)

    with pytest.raises(ParameterError, match=r"Linear are frozen.*unfreeze\(\)"):
        Trainer(model, squared_error, options=TrainingOptions()).fit(train_batches())


# ---------------------------------------------------------------------------------------- the form


@pytest.mark.parametrize(
    "method", [Trainer.fit, Trainer._step, Trainer.backward, Trainer._validate]
)
def test_the_loop_and_its_parts_each_fit_on_a_screen(method: Callable[..., object]) -> None:
    assert len(inspect.getsource(method).splitlines()) <= 50


def test_a_loss_of_ones_own_needs_no_more_than_one_value_per_row() -> None:
    def fourth_power(raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).pow(4).sum(dim=1)

    loss: Loss = fourth_power
    with seeded(0):
        trainer = Trainer(nn.Linear(3, 1), loss, options=TrainingOptions(epochs=20))
        history = trainer.fit(train_batches())

    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
