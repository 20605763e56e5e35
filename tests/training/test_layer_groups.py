"""Layer groups: what learns, how fast, and what stays exactly as it was."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.training import (
    Callback,
    Phase,
    TensorBatches,
    Trainer,
    TrainingOptions,
    gradual_unfreezing,
)
from tabtext.training.layer_groups import LayerGroups, group_rates
from tabtext.training.losses import squared_error
from tabtext.training.run import Run
from tabtext.training.schedules import SCHEDULE_NAMES, one_cycle

INPUTS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS.square().sum(dim=1, keepdim=True)

Weights = dict[str, Tensor]


class Grouped(nn.Sequential):
    """A network whose parts are its layer groups."""

    def layer_groups(self) -> list[nn.Module]:
        return list(self)


class Parallel(nn.Module):
    """Three weights that add up, so that their gradients are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(1, 1, bias=False).double() for _ in range(3))
        for part in self.parts:
            nn.init.zeros_(part.weight)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor) -> Tensor:
        return sum((part(inputs) for part in self.parts), torch.zeros_like(inputs))

    def layer_groups(self) -> list[nn.Module]:
        return list(self.parts)


class Tied(nn.Module):
    """The head speaks with the weights that the first group reads with."""

    def __init__(self) -> None:
        super().__init__()
        self.reader, self.middle, self.head = (nn.Linear(3, 3, bias=False) for _ in range(3))
        self.head.weight = self.reader.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.middle(self.reader(inputs))).sum(dim=1, keepdim=True)

    def layer_groups(self) -> list[nn.Module]:
        return [self.reader, self.middle, self.head]


class Watch(Callback):
    """Note weights at the start and after every epoch, and rates after every step."""

    def __init__(self) -> None:
        self.weights: list[Weights] = []
        self.rates: list[list[float]] = []

    def fit_started(self, run: Run) -> None:
        self.weights.append(weights_of(run.model))

    def step_ended(self, run: Run) -> None:
        groups = {group["layer_group"]: group["lr"] for group in run.optimizer.param_groups}
        self.rates.append([groups[number] for number in sorted(groups)])

    def epoch_ended(self, run: Run) -> None:
        self.weights.append(weights_of(run.model))


def batches() -> TensorBatches:
    return TensorBatches((INPUTS,), TARGET, batch_size=10, shuffle=True)


def three_groups() -> Grouped:
    torch.manual_seed(1)
    return Grouped(
        nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU()),
        nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()),
        nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 1)),
    )


def weights_of(model: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def moved(before: Weights, after: Weights) -> set[str]:
    """Names of parameters and buffers that are not bit for bit what they were."""
    return {name for name in before if not torch.equal(before[name], after[name])}


def all_in(model: nn.Module, *groups: int) -> set[str]:
    return {name for name in model.state_dict() if int(name.split(".")[0]) in groups}


def training(model: nn.Module, *callbacks: Callback, **options: Any) -> Trainer:
    return Trainer(
        model,
        squared_error,
        options=TrainingOptions(**{"epochs": 2, **options}),
        callbacks=callbacks,
    )


# ---------------------------------------------------------------------------- discriminative rates


@pytest.mark.parametrize(
    ("learning_rate", "group_ratio", "rates"),
    [
        (0.02, None, (0.02, 0.02, 0.02)),
        (0.02, 2, (0.005, 0.01, 0.02)),
        (0.02, "similar", (0.0002, 0.002, 0.02)),
        (0.02, "unlike", (0.02 / 9, 0.02 / 3, 0.02)),
        (0.02, "text", (0.02 / 2.6**2, 0.02 / 2.6, 0.02)),
        ((0.0001, 0.01), None, (0.0001, 0.001, 0.01)),
        ((0.03, 0.01, 0.02), None, (0.03, 0.01, 0.02)),
    ],
)
def test_every_group_moves_in_proportion_to_its_rate(
    learning_rate: float | tuple[float, ...],
    group_ratio: float | str | None,
    rates: Sequence[float],
) -> None:
    model = Parallel()
    rows = torch.ones(4, 1, dtype=torch.float64)
    trainer = training(
        model,
        epochs=1,
        learning_rate=learning_rate,
        group_ratio=group_ratio,
        schedule="constant",
        optimizer="sgd",
        betas=(0.0, 0.0),
        weight_decay=0.0,
        clip_norm=None,
    )

    trainer.fit(TensorBatches((rows,), -rows, batch_size=4))

    gradient = 2.0  # of (0 - -1)^2
    movements = [-weight.item() / gradient for weight in weights_of(model).values()]
    assert movements == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULE_NAMES)
def test_every_schedule_moves_the_rates_of_all_groups_together(schedule: str) -> None:
    watch = Watch()

    training(
        three_groups(), watch, epochs=3, schedule=schedule, learning_rate=0.01, group_ratio="text"
    ).fit(batches())

    assert len(watch.rates) == 12
    assert max(head for _, _, head in watch.rates) > 0.009
    if schedule != "constant":
        assert len({head for _, _, head in watch.rates}) > 1
    for first, second, head in watch.rates:
        assert first == pytest.approx(head / 2.6**2, rel=1e-12)
        assert second == pytest.approx(head / 2.6, rel=1e-12)


def test_the_history_has_the_rate_of_the_head() -> None:
    history = training(three_groups(), learning_rate=(1e-4, 1e-3, 1e-2)).fit(batches())

    assert history.step_learning_rates == [1e-2 * one_cycle(step / 7) for step in range(8)]


def test_two_groups_take_a_pair_as_it_is() -> None:
    assert group_rates((0.1, 0.3), None, 2) == (0.1, 0.3)


@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.2, 0.3), (0.1,) * 5])
def test_as_many_rates_as_there_are_groups_are_asked_for(rates: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match=rf"{len(rates)} rates for 4 layer groups"):
        group_rates(rates, None, 4)


def test_several_rates_and_a_ratio_contradict_each_other() -> None:
    with pytest.raises(ParameterError, match=r"group_ratio='text' has no meaning"):
        group_rates((0.1, 0.2), "text", 2)


# ------------------------------------------------------------------------------------- freezing


@pytest.mark.parametrize("first_trained", [1, 2, -1, -2])
def test_frozen_groups_stay_bit_for_bit_and_the_others_move(first_trained: int) -> None:
    model = three_groups()
    before = weights_of(model)
    trainer = training(model, weight_decay=0.1)

    trainer.groups.freeze_to(first_trained)
    trainer.fit(batches())

    assert moved(before, weights_of(model)) == all_in(model, *range(first_trained % 3, 3))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_freezing_after_a_training_leaves_no_momentum_that_moves_on(optimizer: str) -> None:
    model = three_groups()
    watch = Watch()
    phases = (Phase(epochs=1), Phase(epochs=1, freeze_to=-1))

    training(model, watch, optimizer=optimizer, phases=phases).fit(batches())

    _, between, after = watch.weights
    assert moved(between, after) == all_in(model, 2)


def test_everything_moves_after_unfreezing() -> None:
    model = three_groups()
    before = weights_of(model)
    trainer = training(model)

    trainer.groups.freeze_to(-1)
    trainer.groups.unfreeze()
    trainer.fit(batches())

    assert moved(before, weights_of(model)) == set(before)


@pytest.mark.parametrize("first_trained", [3, -4])
def test_a_group_that_does_not_exist_is_refused_with_those_that_do(first_trained: int) -> None:
    groups = LayerGroups(Grouped(nn.Embedding(3, 2), nn.ReLU(), nn.Linear(2, 1)))

    with pytest.raises(ParameterError, match="has 3 layer groups: Embedding, ReLU, Linear"):
        groups.freeze_to(first_trained)


def test_a_model_without_groups_is_a_single_one() -> None:
    groups = LayerGroups(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)))

    groups.freeze_to(0)

    assert len(groups) == 1
    assert all(parameter.requires_grad for parameter in groups.model.parameters())


def test_gradual_unfreezing_thaws_exactly_one_group_more_in_each_phase() -> None:
    model = three_groups()
    watch = Watch()
    phases = gradual_unfreezing(3, learning_rate=0.02, final_epochs=2)

    training(model, watch, phases=phases).fit(batches())

    start, head, two, everything, longer = watch.weights
    assert moved(start, head) == all_in(model, 2)
    assert moved(head, two) == all_in(model, 1, 2)
    assert moved(two, everything) == moved(everything, longer) == all_in(model, 0, 1, 2)


def test_gradual_unfreezing_trains_at_half_the_rate_in_each_phase() -> None:
    watch = Watch()
    phases = gradual_unfreezing(3, learning_rate=0.02)

    training(three_groups(), watch, phases=phases, schedule="constant").fit(batches())

    assert [rates[-1] for rates in watch.rates] == [0.02] * 4 + [0.01] * 4 + [0.005] * 4
    assert [rates[0] for rates in watch.rates] == pytest.approx(
        [rates[-1] / 2.6**2 for rates in watch.rates]
    )


def test_a_phase_that_says_nothing_leaves_frozen_what_was_frozen() -> None:
    model = three_groups()
    before = weights_of(model)
    phases = (Phase(epochs=1, freeze_to=1), Phase(epochs=1))

    training(model, phases=phases).fit(batches())

    assert moved(before, weights_of(model)) == all_in(model, 1, 2)


def test_a_parameter_that_its_owner_froze_stays_frozen() -> None:
    model = three_groups()
    kept = model[1][0].weight
    torch.autograd.backward(model(INPUTS).sum())  # a gradient left over from before
    kept.requires_grad_(False)
    before = weights_of(model)

    training(model).fit(batches())

    assert moved(before, weights_of(model)) == set(before) - {"1.0.weight"}


def test_weights_that_a_frozen_and_a_trained_group_share_learn() -> None:
    torch.manual_seed(0)
    model = Tied()
    before = weights_of(model)
    trainer = training(model)

    trainer.groups.freeze_to(-1)
    trainer.fit(batches())

    assert moved(before, weights_of(model)) == {"reader.weight", "head.weight"}
    assert model.head.weight is model.reader.weight


def test_a_parameter_in_no_group_is_named() -> None:
    class Forgetful(Grouped):
        def layer_groups(self) -> list[nn.Module]:
            return [self[0]]

    with pytest.raises(ParameterError, match=r"parameter '1\.weight' of Forgetful is in none"):
        training(Forgetful(nn.Linear(3, 3), nn.Linear(3, 1)))


# ----------------------------------------------------------------------------- frozen batch norms


def test_batch_norms_of_frozen_groups_sleep_while_the_others_learn() -> None:
    model = three_groups()
    before = weights_of(model)
    trainer = training(model, batch_norm_freeze=True)

    trainer.groups.freeze_to(1)
    trainer.fit(batches(), batches())  # validation, after which training mode is set again

    changed = moved(before, weights_of(model))
    assert not changed & all_in(model, 0)
    assert changed >= {"1.1.running_mean", "1.1.running_var", "1.1.weight", "1.1.bias"}
    assert changed >= {"2.0.running_mean", "2.0.running_var", "2.0.weight", "2.0.bias"}


def test_batch_norms_of_frozen_groups_learn_on_if_they_are_not_frozen_too() -> None:
    model = three_groups()
    before = weights_of(model)
    trainer = training(model, batch_norm_freeze=False)

    trainer.groups.freeze_to(1)
    trainer.fit(batches())

    frozen = moved(before, weights_of(model)) & all_in(model, 0)
    assert frozen == {name for name in before if name.startswith("0.1.")}


def test_a_frozen_batch_norm_normalises_by_its_own_statistics_not_by_the_batchs() -> None:
    model = three_groups()
    groups = LayerGroups(model)

    groups.freeze_to(1)
    groups.train()

    alone, among_others = model[0](INPUTS[:2]), model[0](INPUTS)[:2]
    torch.testing.assert_close(alone, among_others)
    assert not torch.allclose(model[1](alone), model[1](model[0](INPUTS))[:2])


def test_dropout_of_frozen_groups_stays_on() -> None:
    groups = LayerGroups(Grouped(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)), nn.Linear(3, 1)))

    groups.freeze_to(1)
    groups.train()

    assert all(module.training for module in groups.model.modules())
