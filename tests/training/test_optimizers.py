"""The optimizers' updates, what weight decay reaches, and momentum that moves with the rate."""

from collections.abc import Sequence
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tabtext.errors import ParameterError
from tabtext.tabular.members import TabM
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder
from tabtext.tabular.numeric_embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings
from tabtext.training import Callback, Phase, TensorBatches, Trainer, TrainingOptions
from tabtext.training.losses import squared_error
from tabtext.training.optimizers import build_optimizer, decays, set_rates
from tabtext.training.run import Run
from tabtext.training.schedules import one_cycle_momentum

INPUTS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS.sum(dim=1, keepdim=True)


class WatchMomentum(Callback):
    """Note rate, momentum and the other beta of every step, as the optimizer has them."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float, float | None]] = []

    def step_ended(self, run: Run) -> None:
        for group in run.optimizer.param_groups:
            first, second = group["betas"] if "betas" in group else (group["momentum"], None)
            self.steps.append((group["lr"], first, second))


class Layers(nn.Sequential):
    """Layers that are groups of their own."""

    def layer_groups(self) -> list[nn.Module]:
        return list(self)


class Tied(nn.Module):
    """The head speaks with the weights that the embedding reads with."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.embedding.weight


def batches() -> TensorBatches:
    return TensorBatches((INPUTS,), TARGET, batch_size=10)


def optimizer_of(parameter: Tensor, rate: float, **options: Any) -> torch.optim.Optimizer:
    """The optimizer of a lone weight, at a constant rate."""
    module = nn.Linear(1, 1, bias=False)
    module.weight = nn.Parameter(parameter)
    optimizer = build_optimizer([module], TrainingOptions(**options))
    set_rates(optimizer, [rate], 1.0, None)
    return optimizer


def steps_with(optimizer: torch.optim.Optimizer, gradients: Sequence[Tensor]) -> Tensor:
    """The lone weight after a step with each gradient."""
    (parameter,) = (p for group in optimizer.param_groups for p in group["params"])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    result: Tensor = parameter.detach()
    return result


def decayed_names(model: nn.Module, **options: Any) -> set[str]:
    optimizer = build_optimizer([model], TrainingOptions(weight_decay=0.1, **options))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]
        for group in optimizer.param_groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
    }


# ------------------------------------------------------------------------------- decoupled decay


def test_decay_is_decoupled_from_the_gradient() -> None:
    before = torch.tensor([[2.0, -3.0]])
    optimizer = optimizer_of(before.clone(), 0.1, weight_decay=0.5)

    after = steps_with(optimizer, [torch.zeros(1, 2)])

    torch.testing.assert_close(after, before * (1 - 0.1 * 0.5))


def test_adamw_shrinks_weights_of_large_and_small_gradients_alike_where_l2_does_not() -> None:
    noise = torch.randn(200, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradients = list(noise * torch.tensor([[1.0, 1000.0]]))
    start = torch.full((1, 2), 5.0, dtype=torch.float64)

    def shrunk_by_adamw(weight_decay: float) -> Tensor:
        optimizer = optimizer_of(start.clone(), 1e-3, weight_decay=weight_decay)
        return steps_with(optimizer, gradients)

    def shrunk_by_l2(weight_decay: float) -> Tensor:
        parameter = nn.Parameter(start.clone())
        optimizer = torch.optim.Adam(
            [parameter], lr=1e-3, betas=(0.9, 0.99), weight_decay=weight_decay
        )
        return steps_with(optimizer, gradients)

    decoupled = (shrunk_by_adamw(0.0) - shrunk_by_adamw(0.5)).flatten()
    coupled = (shrunk_by_l2(0.0) - shrunk_by_l2(0.5)).flatten()

    assert decoupled[0] > 0.4  # about 5 * 200 * 1e-3 * 0.5
    torch.testing.assert_close(decoupled[0], decoupled[1], rtol=1e-4, atol=0)
    assert coupled[0] > 100 * coupled[1] > 0


def test_without_decay_adamw_is_adam() -> None:
    gradients = list(torch.randn(20, 1, 2, generator=torch.Generator().manual_seed(0)))
    start = torch.ones(1, 2)
    adam = torch.optim.Adam([nn.Parameter(start.clone())], lr=0.1, betas=(0.8, 0.95))
    ours = optimizer_of(start.clone(), 0.1, weight_decay=0.0, betas=(0.8, 0.95))

    torch.testing.assert_close(steps_with(ours, gradients), steps_with(adam, gradients))


def test_in_a_training_weights_without_a_gradient_shrink_and_spared_ones_do_not() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 1)
            self.embedding = nn.Embedding(4, 3)

        def forward(self, codes: Tensor) -> Tensor:
            return self.linear(0.0 * self.embedding(codes))

    torch.manual_seed(0)
    model = Idle()
    weight, embedding = (
        model.linear.weight.detach().clone(),
        model.embedding.weight.detach().clone(),
    )
    options = TrainingOptions(epochs=3, learning_rate=0.1, weight_decay=0.2)
    rows = TensorBatches((torch.arange(40) % 4,), TARGET, batch_size=10)

    history = Trainer(model, squared_error, options=options).fit(rows)

    kept = prod(1 - rate * 0.2 for rate in history.step_learning_rates)
    torch.testing.assert_close(model.linear.weight.detach(), weight * kept)
    assert torch.equal(model.embedding.weight, embedding)


# ------------------------------------------------------------------------------ what decay reaches


def test_only_matrices_of_linear_layers_decay() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    assert decayed_names(model) == {"1.weight", "3.weight"}


def test_norms_of_any_shape_do_not_decay() -> None:
    model = nn.Sequential(nn.LayerNorm((4, 3)), nn.RMSNorm((4, 3)), nn.GroupNorm(1, 4))

    assert decayed_names(model) == set()


def test_biases_of_any_shape_do_not_decay() -> None:
    edges = [[0.0, 1.0, 2.0], [0.0, 2.0]]
    model = nn.Sequential(PiecewiseLinearEmbeddings(edges, width=4), PeriodicEmbeddings(2))
    assert all(embedding.bias.ndim == 2 for embedding in model)

    assert not {name for name in decayed_names(model) if name.endswith("bias")}


def test_entity_embeddings_do_not_decay() -> None:
    model = EntityEmbeddingMLP([7, 9], n_continuous=2, n_outputs=1, hidden=(8,))

    assert decayed_names(model) == {"blocks.0.linear.weight", "head.weight"}


def test_what_a_module_names_does_not_decay() -> None:
    class Scaled(nn.Linear):
        no_weight_decay = ("scale",)

        def __init__(self) -> None:
            super().__init__(3, 2)
            self.scale = nn.Parameter(torch.ones(4, 2))

    assert decayed_names(Scaled()) == {"weight"}


def test_scales_of_members_and_features_do_not_decay() -> None:
    encoder = TabularEncoder([7], 2, feature_scales=True)
    model = TabM(
        encoder, 1, combine="values", hidden=(8,), n_members=3, activation="parametric_mish"
    )

    assert decayed_names(model) == {"blocks.0.linear.weight", "head.weight"}


@pytest.mark.parametrize("rates_differ", [False, True])
def test_every_layer_group_may_have_a_decay_of_its_own(rates_differ: bool) -> None:
    groups = [nn.Linear(3, 2), nn.Linear(2, 2), nn.Linear(2, 1)]
    options = TrainingOptions(weight_decay=(0.0, 0.1, 0.2))

    optimizer = build_optimizer(groups, options, rates_differ=rates_differ)

    weights = {id(layer.weight): i for i, layer in enumerate(groups)}
    decays_of_weights = {
        weights[id(parameter)]: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
        if id(parameter) in weights
    }
    assert decays_of_weights == {0: 0.0, 1: 0.1, 2: 0.2}


def test_another_number_of_decays_than_of_layer_groups_is_refused() -> None:
    with pytest.raises(ParameterError, match="2 values for 3 layer groups: Linear, Linear, ReLU"):
        build_optimizer(
            [nn.Linear(3, 2), nn.Linear(2, 2), nn.ReLU()], TrainingOptions(weight_decay=(0.1, 0.2))
        )


def test_recurrent_matrices_decay_and_their_biases_do_not() -> None:
    assert decayed_names(nn.LSTM(3, 4)) == {"weight_ih_l0", "weight_hh_l0"}


def test_decay_all_spares_nothing() -> None:
    model = EntityEmbeddingMLP([7, 9], n_continuous=2, n_outputs=1, hidden=(8,))

    names = {name for name, _ in model.named_parameters()}

    assert decayed_names(model, decay_all=True) == names


def test_weights_that_an_embedding_shares_do_not_decay() -> None:
    assert decayed_names(Tied()) == set()


def test_the_rule_is_asked_of_the_module_that_owns_a_parameter() -> None:
    table, matrix = nn.EmbeddingBag(5, 2), nn.Bilinear(2, 2, 2)

    assert not decays(table, table.weight)
    assert decays(matrix, matrix.weight)
    assert not decays(matrix, matrix.bias)


# ---------------------------------------------------------------------------- groups and members


@pytest.mark.parametrize("rates_differ", [True, False])
def test_every_parameter_is_optimised_once(rates_differ: bool) -> None:
    model = EntityEmbeddingMLP([7, 9], n_continuous=2, n_outputs=1, hidden=(8, 4))

    optimizer = build_optimizer(
        model.layer_groups(), TrainingOptions(weight_decay=0.1), rates_differ=rates_differ
    )

    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters())
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {id(p) for n, p in model.named_parameters() if n in decayed_names(model)}


def test_parameters_that_groups_share_are_optimised_once() -> None:
    model = Tied()

    optimizer = build_optimizer([model.embedding, model.head], TrainingOptions())

    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert members == [id(model.embedding.weight), id(model.head.bias)]


def test_each_layer_group_has_its_own_rate_with_and_without_decay() -> None:
    optimizer = build_optimizer([nn.Linear(3, 2), nn.Linear(2, 1)], TrainingOptions())

    set_rates(optimizer, [0.01, 0.1], 0.5, None)

    rates = [(group["layer_group"], group["lr"]) for group in optimizer.param_groups]
    assert rates == [(0, 0.005), (0, 0.005), (1, 0.05), (1, 0.05)]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_groups_of_one_rate_train_the_same_apart_and_together(optimizer: str) -> None:
    gradients = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))

    def weights(rates_differ: bool) -> list[Tensor]:
        torch.manual_seed(0)
        parts = [nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)]
        options = TrainingOptions(optimizer=optimizer)  # type: ignore[arg-type]
        built = build_optimizer(parts, options, rates_differ=rates_differ)
        set_rates(built, [0.1, 0.1], 1.0, 0.8)
        for gradient in gradients:
            for part in parts:
                part.weight.grad = gradient.clone()
            built.step()
        return [part.weight.detach() for part in parts]

    for apart, together in zip(weights(True), weights(False), strict=True):
        assert torch.equal(apart, together)


@pytest.mark.parametrize(
    ("optimizer", "kernel"),
    [("adamw", "aten::_fused_adamw_"), ("sgd", "aten::_fused_sgd_")],
)
def test_all_parameters_are_updated_by_one_fused_pass(optimizer: str, kernel: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False))
    options = TrainingOptions(optimizer=optimizer)  # type: ignore[arg-type]
    built = build_optimizer([model], options)
    model(INPUTS).sum().backward()

    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiled:
        built.step()

    calls = {event.key: event.count for event in profiled.key_averages()}
    assert calls[kernel] == 1
    assert not {"aten::addcdiv_", "aten::_foreach_addcdiv_", "aten::mul_"} & set(calls)


# ------------------------------------------------------------------------------------- momentum


def gradient_at(weight: float) -> float:
    """Of ``weight ** 2 - 3 * weight``."""
    return 2.0 * weight - 3.0


def test_sgd_takes_nesterovs_published_steps() -> None:
    rate, momentum, start = 0.1, 0.9, 5.0
    # Sutskever et al. (2013), equations 3 and 4: look ahead, and correct the velocity from there.
    weight, velocity, expected = start, 0.0, []
    for _ in range(3):
        velocity = momentum * velocity - rate * gradient_at(weight + momentum * velocity)
        weight = weight + velocity
        expected.append(weight + momentum * velocity)  # where the next gradient is taken

    parameter = torch.tensor([[start]], dtype=torch.float64)
    options = {"optimizer": "sgd", "betas": (momentum, 0.99), "weight_decay": 0.0}
    optimizer = optimizer_of(parameter, rate, **options)
    steps = []
    for _ in range(3):
        gradient = torch.full((1, 1), gradient_at(parameter.item()), dtype=torch.float64)
        steps.append(steps_with(optimizer, [gradient]).item())

    assert steps == pytest.approx(expected, rel=1e-14)


def test_sgd_without_momentum_follows_the_gradient_alone() -> None:
    optimizer = optimizer_of(
        torch.ones(1, 1), 0.5, optimizer="sgd", betas=(0.0, 0.99), weight_decay=0.0
    )

    after = steps_with(optimizer, [torch.tensor([[0.25]])] * 2)

    assert after.item() == 1.0 - 2 * 0.5 * 0.25


@pytest.mark.parametrize(
    ("betas", "pair"),
    [("ulmfit", (0.7, 0.99)), ("ulmfit_scripts", (0.8, 0.99)), ((0.5, 0.6), (0.5, 0.6))],
)
def test_betas_reach_the_optimizer_and_stay_through_a_training(
    betas: tuple[float, float] | str, pair: tuple[float, float]
) -> None:
    watch = WatchMomentum()
    options = TrainingOptions(epochs=2, betas=betas, momentum_range=None)

    Trainer(nn.Linear(3, 1), squared_error, options=options, callbacks=[watch]).fit(batches())

    assert {(first, second) for _, first, second in watch.steps} == {pair}


def test_betas_weigh_old_gradients_against_new_ones() -> None:
    gradients = [torch.ones(1, 1), torch.zeros(1, 1)]

    def second_step(betas: str) -> float:
        optimizer = optimizer_of(torch.zeros(1, 1), 1.0, betas=betas, weight_decay=0.0)
        after_one = steps_with(optimizer, gradients[:1]).clone()
        return (after_one - steps_with(optimizer, gradients[1:])).item()

    # m / (1 - b1^2) over sqrt(v / (1 - b2^2)), with m = b1 (1 - b1) and v = b2 (1 - b2)
    root = (0.99 / (1 + 0.99)) ** 0.5
    assert second_step("ulmfit") == pytest.approx(0.7 / 1.7 / root, rel=1e-4)
    assert second_step("ulmfit_scripts") == pytest.approx(0.8 / 1.8 / root, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_momentum_goes_down_and_back_against_the_rate(optimizer: str) -> None:
    watch = WatchMomentum()
    cycled = {"momentum_range": (0.95, 0.85)}
    options = TrainingOptions(epochs=1, optimizer=optimizer, **cycled)  # type: ignore[arg-type]
    rows = torch.ones(82, 3)
    steps = TensorBatches((rows,), rows[:, :1], batch_size=2)
    model = nn.Linear(3, 1, bias=False)

    Trainer(model, squared_error, options=options, callbacks=[watch]).fit(steps)

    rates = [rate for rate, _, _ in watch.steps]
    momenta = [momentum for _, momentum, _ in watch.steps]
    assert momenta == [one_cycle_momentum(step / 40) for step in range(41)]
    assert (momenta[0], momenta[10], momenta[-1]) == pytest.approx((0.95, 0.85, 0.95))
    assert rates.index(max(rates)) == momenta.index(min(momenta)) == 10
    assert {second for _, _, second in watch.steps} == {0.99 if optimizer == "adamw" else None}


def test_momentum_thaws_with_its_group() -> None:
    phases = (Phase(epochs=1, freeze_to=-1), Phase(epochs=1, freeze_to=0))
    options = TrainingOptions(optimizer="sgd", phases=phases, learning_rate=0.01)
    model = Layers(nn.Linear(3, 4), nn.Linear(4, 1))
    before = model[0].weight.detach().clone()
    rows = torch.ones(8, 3)

    Trainer(model, squared_error, options=options).fit(
        TensorBatches((rows,), rows[:, :1], batch_size=4)
    )

    assert not torch.equal(model[0].weight, before)
