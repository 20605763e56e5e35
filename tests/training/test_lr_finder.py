"""The learning-rate finder: what it suggests, and that it leaves no trace."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DataError, ParameterError
from tabtext.training.batches import TensorBatches
from tabtext.training.history import History
from tabtext.training.losses import Loss, squared_error
from tabtext.training.lr_finder import LearningRateCurve, find_learning_rate, suggestions
from tabtext.training.options import Phase, TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.trainer import Trainer

INPUTS = torch.randn(512, 3, generator=torch.Generator().manual_seed(0))
TARGET = (INPUTS[:, :1] * INPUTS[:, 1:2]).sin() + INPUTS[:, 2:]
OPTIONS = TrainingOptions(epochs=2)


class Network(nn.Module):
    """Two layer groups; dropout and batch norm, and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(16, 1)
        self.rows_seen: Tensor
        self.register_buffer("rows_seen", torch.zeros(()), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        self.rows_seen += len(inputs)
        raw: Tensor = self.head(self.body(inputs))
        return raw

    def layer_groups(self) -> list[nn.Module]:
        return [self.body, self.head]


def batches(batch_size: int = 64) -> TensorBatches:
    return TensorBatches((INPUTS,), TARGET, batch_size=batch_size, shuffle=True)


def make_trainer(options: TrainingOptions = OPTIONS, loss: Loss = squared_error) -> Trainer:
    with seeded(0):
        return Trainer(Network(), loss, options=options)


def without_times(history: History) -> dict[str, object]:
    values = history.to_dict()
    for epoch in values["epochs"]:
        del epoch["seconds"], epoch["rows_per_second"]
    return values


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())


class TwoSlopes(nn.Module):
    """The sum of two weights, each a layer group of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(1, 1, bias=False)
        self.last = nn.Linear(1, 1, bias=False)
        for layer in (self.first, self.last):
            nn.init.constant_(layer.weight, 5.0)

    def forward(self, ones: Tensor) -> Tensor:
        raw: Tensor = self.first(ones) + self.last(ones)
        return raw

    def layer_groups(self) -> list[nn.Module]:
        return [self.first, self.last]


def falls(values: Sequence[float]) -> list[float]:
    return [before - after for before, after in pairwise(values)]


def sweep_with_losses(losses: list[float]) -> LearningRateCurve:
    """A sweep whose steps have these losses, whatever the model says."""
    given = iter(losses)

    def scripted(raw: Tensor, target: Tensor) -> Tensor:
        return 0.0 * raw[:, 0] + next(given)

    return find_learning_rate(make_trainer(loss=scripted), batches(), n_steps=len(losses))


class FailsLater:
    """A loss that raises in its 20th call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, raw: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 20:
            raise OSError("the loss broke")
        return squared_error(raw, target)


# ------------------------------------------------------------------------------ leaving no trace


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        TrainingOptions(epochs=2, optimizer="sgd", averaging="ema"),
        TrainingOptions(epochs=2, group_ratio="text", micro_batch_size=16),
        TrainingOptions(phases=(Phase(epochs=1, freeze_to=-1), Phase(epochs=1, freeze_to=0))),
    ],
    ids=["plain", "sgd and ema", "groups and micro-batches", "phases"],
)
def test_a_training_after_a_sweep_is_the_same_bit_for_bit(options: TrainingOptions) -> None:
    def train(*, with_sweep: bool) -> tuple[Trainer, dict[str, object], Tensor]:
        trainer = make_trainer(options)
        with seeded(1):
            if with_sweep:
                find_learning_rate(trainer, batches())
            history = trainer.fit(batches(), batches(128))
            return trainer, without_times(history), torch.get_rng_state()

    plain, plain_history, plain_random = train(with_sweep=False)
    swept, swept_history, swept_random = train(with_sweep=True)

    for one, other in zip(tensors_of(plain.model), tensors_of(swept.model), strict=True):
        assert torch.equal(one, other)
    assert swept_history == plain_history
    assert torch.equal(swept_random, plain_random)


@pytest.mark.parametrize("fails", [False, True])
def test_weights_buffers_gradients_and_modes_are_put_back(fails: bool) -> None:
    trainer = make_trainer(loss=FailsLater() if fails else squared_error)
    model, body = trainer.model, trainer.groups.groups[0]
    trainer.groups.freeze_to(1)
    model.eval()
    body.train()
    for parameter in trainer.groups.groups[1].parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    gradients = [parameter.grad for parameter in model.parameters()]
    tensors = [tensor.detach().clone() for tensor in tensors_of(model)]
    learns = [parameter.requires_grad for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()

    if fails:
        with pytest.raises(OSError, match="the loss broke"):
            find_learning_rate(trainer, batches())
    else:
        find_learning_rate(trainer, batches())

    for before, now in zip(tensors, tensors_of(model), strict=True):
        assert torch.equal(now, before)
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        assert parameter.grad is gradient
        assert gradient is None or bool((gradient == 7.0).all())
    assert [parameter.requires_grad for parameter in model.parameters()] == learns
    assert [module.training for module in model.modules()] == modes
    assert trainer.groups.first_trained == 1
    assert torch.equal(torch.get_rng_state(), random)


def test_what_modules_carry_from_step_to_step_is_put_back() -> None:
    class Counting(Network):
        """Carries the number of rows seen so far."""

        seen = torch.zeros(())

        def forward(self, inputs: Tensor) -> Tensor:
            self.seen = self.seen + len(inputs)
            return super().forward(inputs)

        def carried_state(self) -> list[Tensor]:
            return [self.seen]

        def load_carried_state(self, state: list[Tensor]) -> None:
            (self.seen,) = state

    model = Counting()
    model.seen = torch.tensor(7.0)

    find_learning_rate(Trainer(model, squared_error, options=OPTIONS), batches())

    assert model.seen == 7.0


def test_what_a_recipes_first_phase_froze_for_the_sweep_is_thawed_again() -> None:
    recipe = (Phase(epochs=1, freeze_to=-1), Phase(epochs=1, freeze_to=0))
    trainer = make_trainer(TrainingOptions(phases=recipe))

    find_learning_rate(trainer, batches())

    assert trainer.groups.first_trained == 0
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())


# --------------------------------------------------------------------------------------- the sweep


def test_rates_rise_by_the_same_factor_in_every_step() -> None:
    curve = find_learning_rate(make_trainer(), batches(), lowest=1e-6, highest=1e-3, n_steps=31)

    assert curve.rates[0] == 1e-6
    assert curve.rates[-1] == pytest.approx(1e-3)
    ratios = [after / before for before, after in pairwise(curve.rates)]
    assert ratios == pytest.approx([10**0.1] * 30)


@pytest.mark.parametrize(("group_ratio", "own_share"), [(None, 1.0), (4.0, 0.25)])
def test_the_optimizer_steps_at_the_rates_of_the_curve(
    group_ratio: float | None, own_share: float
) -> None:
    model = TwoSlopes()
    places: list[tuple[float, float]] = []

    def height(raw: Tensor, target: Tensor) -> Tensor:
        places.append((float(model.first.weight.detach()), float(model.last.weight.detach())))
        return raw[:, 0]

    options = TrainingOptions(
        optimizer="sgd",
        betas=(0.0, 0.99),
        momentum_range=None,
        weight_decay=0.0,
        clip_norm=None,
        group_ratio=group_ratio,
    )
    ones = TensorBatches((torch.ones(4, 1),), torch.ones(4, 1), batch_size=2)
    trainer = Trainer(model, height, options=options)

    curve = find_learning_rate(trainer, ones, lowest=0.01, highest=0.1, n_steps=10)

    # The gradient is one everywhere, so that a step is as long as its rate.
    firsts, lasts = zip(*places, strict=True)
    assert falls(lasts) == pytest.approx(curve.rates[:-1], rel=1e-4)
    assert falls(firsts) == pytest.approx([own_share * r for r in curve.rates[:-1]], rel=1e-4)


def test_the_curve_is_the_average_with_weights_that_fade_by_two_percent_a_step() -> None:
    losses = [1.0 + 0.3 * (i % 3) - 0.02 * i for i in range(30)]

    curve = sweep_with_losses(losses)

    by_hand = []
    for end in range(1, 31):
        weights = [0.98 ** (end - 1 - i) for i in range(end)]
        total = sum(weight * loss for weight, loss in zip(weights, losses, strict=False))
        by_hand.append(total / sum(weights))
    assert curve.losses == pytest.approx(by_hand, rel=1e-6)


def test_a_sweep_ends_when_the_loss_diverges() -> None:
    trainer = make_trainer(TrainingOptions(optimizer="sgd"))

    curve = find_learning_rate(trainer, batches(), highest=1e4)

    assert 10 < len(curve.rates) == len(curve.losses) < 100
    assert curve.rates[-1] < 1e4
    assert max(curve.losses) <= 4 * min(curve.losses[10:])


def test_a_sweep_ends_when_the_loss_is_not_finite() -> None:
    curve = sweep_with_losses([1.0] * 20 + [float("nan")] + [1.0] * 9)

    assert len(curve.rates) == 20


def test_a_wild_batch_at_the_beginning_does_not_end_the_sweep() -> None:
    curve = sweep_with_losses([1.0, 20.0] + [2.0 - 0.02 * i for i in range(28)])

    assert len(curve.rates) == 30


def test_a_sweep_is_longer_than_an_epoch_where_there_are_few_batches() -> None:
    curve = find_learning_rate(make_trainer(), batches(batch_size=256), n_steps=30, highest=1e-2)

    assert len(curve.rates) == 30


@pytest.mark.parametrize(
    "options",
    [TrainingOptions(), TrainingOptions(phases=(Phase(epochs=1, freeze_to=-1), Phase(epochs=1)))],
    ids=["frozen before", "frozen by the recipe"],
)
def test_a_frozen_group_does_not_move_in_the_sweep(options: TrainingOptions) -> None:
    trainer = make_trainer(options)
    if not options.phases:
        trainer.groups.freeze_to(-1)
    body, head = trainer.groups.groups
    seen: list[tuple[Tensor, ...]] = []

    def watching(raw: Tensor, target: Tensor) -> Tensor:
        seen.append(tuple(t.detach().clone() for group in (body, head) for t in tensors_of(group)))
        return squared_error(raw, target)

    trainer.loss = watching
    find_learning_rate(trainer, batches())

    n_of_body = len(list(tensors_of(body)))
    for first, last in zip(seen[0][:n_of_body], seen[-1][:n_of_body], strict=True):
        assert torch.equal(first, last)
    for first, last in zip(seen[0][n_of_body:], seen[-1][n_of_body:], strict=True):
        assert not torch.equal(first, last)


# ------------------------------------------------------------------------------------- suggestions


def hill(n_steps: int = 100) -> tuple[list[float], list[float]]:
    """A curve that is flat, falls fastest at 1e-3, is lowest at 1e-1, and rises."""
    rates = [10 ** (-7 + 8 * i / (n_steps - 1)) for i in range(n_steps)]
    exponents = torch.linspace(-7, 1, n_steps)
    fall = 1.0 - 0.8 * torch.sigmoid(3 * (exponents + 3))
    return rates, (fall + (exponents + 1).clamp_min(0) ** 2).tolist()


def test_steep_is_where_the_loss_falls_fastest() -> None:
    assert suggestions(*hill())["steep"] == pytest.approx(1e-3, rel=0.1)


def test_a_tenth_of_the_minimum_is_a_tenth_of_the_rate_where_the_loss_is_lowest() -> None:
    rates, losses = hill()

    lowest = rates[losses.index(min(losses))]

    assert suggestions(rates, losses)["minimum/10"] == pytest.approx(lowest / 10)


def test_valley_is_two_thirds_into_the_longest_fall() -> None:
    rates = [float(10**k) for k in range(12)]
    losses = [5.0, 4.9, 6.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.2, 1.1, 7.0, 8.0]

    # Falls from 6.0 to 1.1, over steps 2 to 9; 2 + 7 * 2 // 3 = 6.
    assert suggestions(rates, losses)["valley"] == 1e6


def test_no_suggestion_is_misled_by_the_ups_and_downs_of_the_first_losses() -> None:
    rates, losses = hill()
    ups_and_downs = [1.0 + (-1) ** i * 0.5 / (i + 1) for i in range(25)]
    assert max(falls(ups_and_downs)) > max(falls(losses))  # steeper than the hill is anywhere

    found = suggestions(rates, [*ups_and_downs, *losses[25:]])

    assert found["steep"] == suggestions(rates, losses)["steep"]
    assert all(1e-4 < rate < 0.1 for rate in found.values())


def test_a_loss_that_only_rises_gets_the_lowest_rate() -> None:
    found = suggestions([1.0, 10.0, 100.0, 1000.0], [1.0, 2.0, 3.0, 4.0])

    assert found["steep"] == found["valley"] == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_suggestions_are_rates_of_the_sweep_between_where_nothing_happens_and_divergence(
    seed: int,
) -> None:
    with seeded(seed):
        trainer = Trainer(Network(), squared_error, options=OPTIONS)
    noise = torch.randn(TARGET.shape, generator=torch.Generator().manual_seed(seed))
    noisy = TensorBatches((INPUTS,), TARGET + noise, batch_size=32, shuffle=True)

    curve = find_learning_rate(trainer, noisy)

    assert set(curve.suggestions) == {"steep", "valley", "minimum/10"}
    assert all(type(rate) is float for rate in curve.suggestions.values())
    assert all(1e-4 < rate < 1.0 for rate in curve.suggestions.values())
    assert curve.steep == curve.suggestions["steep"]
    assert curve.steep in curve.rates
    assert curve.suggestions["valley"] in curve.rates


@pytest.mark.parametrize("seed", range(3))
def test_the_steep_rate_trains_far_better_than_a_hundredth_of_it(seed: int) -> None:
    def final_loss(rate: float) -> float:
        with seeded(seed):
            options = TrainingOptions(epochs=4, learning_rate=rate)
            trainer = Trainer(Network(), squared_error, options=options)
            return trainer.fit(batches()).epochs[-1].train_loss

    with seeded(seed):
        trainer = Trainer(Network(), squared_error, options=OPTIONS)
    steep = find_learning_rate(trainer, batches()).steep

    untrained = float(squared_error(torch.zeros_like(TARGET), TARGET).mean())
    assert final_loss(steep) < 0.5 * untrained
    assert final_loss(steep) < 0.5 * final_loss(steep / 100)


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("lowest", "highest", "n_steps"),
    [(0.0, 1.0, 100), (1.0, 1.0, 100), (1.0, 0.1, 100), (1e-3, 1.0, 9)],
)
def test_a_range_that_makes_no_sweep_is_refused(
    lowest: float, highest: float, n_steps: int
) -> None:
    with pytest.raises(ParameterError, match="rates must rise from above 0, in 10 steps"):
        find_learning_rate(
            make_trainer(), batches(), lowest=lowest, highest=highest, n_steps=n_steps
        )


def test_a_loss_that_is_never_finite_is_an_error_of_the_data() -> None:
    with pytest.raises(DataError, match="extreme values in the data"):
        sweep_with_losses([float("inf")] * 30)


def test_a_sweep_that_begins_beyond_divergence_says_to_lower_its_start() -> None:
    with pytest.raises(DataError, match="diverges from rate 1000 on; lower `lowest`"):
        find_learning_rate(make_trainer(), batches(), lowest=1e3, highest=1e6)


def test_a_sweep_without_rows_is_refused() -> None:
    empty = TensorBatches((INPUTS[:0],), TARGET[:0], batch_size=8)

    with pytest.raises(DataError, match="no training rows"):
        find_learning_rate(make_trainer(), empty)
