"""The plan of a run: what holds at every step, alone and in a training that follows it."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tabtext.errors import ParameterError
from tabtext.training import Phase, TensorBatches, Trainer, TrainingOptions
from tabtext.training.losses import squared_error
from tabtext.training.plan import Plan
from tabtext.training.restarts import warm_restarts
from tabtext.training.schedules import SCHEDULES, cosine_annealing, one_cycle, one_cycle_momentum

INPUTS = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS.sum(dim=1, keepdim=True)
STEPS_PER_EPOCH = 5


def batches() -> TensorBatches:
    return TensorBatches((INPUTS,), TARGET, batch_size=4)


def factors(plan: Plan) -> list[float]:
    return [plan.at(step).factor for step in range(plan.n_steps)]


def ends_of_cycles(plan: Plan) -> list[int]:
    return [step for step in range(plan.n_steps) if plan.cycle_ends(step, step + 1)]


def lengths_of(cycle_len: int, cycle_mult: int, n_cycles: int) -> list[int]:
    return [cycle_len * cycle_mult**cycle for cycle in range(n_cycles)]


# --------------------------------------------------------------------------------------- one phase


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_every_step_has_the_factor_of_its_share_of_all_steps(name: str) -> None:
    plan = Plan(TrainingOptions(epochs=3, schedule=name), n_groups=1, steps_per_epoch=7)

    assert plan.n_steps == 21
    assert factors(plan) == [SCHEDULES[name](step / 20) for step in range(21)]


def test_a_function_of_ones_own_is_asked_for_every_step() -> None:
    asked: list[float] = []

    def own(progress: float) -> float:
        asked.append(progress)
        return 0.5

    plan = Plan(TrainingOptions(epochs=1, schedule=own), n_groups=1, steps_per_epoch=5)
    asked.clear()  # it was tried out

    assert factors(plan) == [0.5] * 5
    assert asked == [0.0, 0.25, 0.5, 0.75, 1.0]


@given(st.integers(1, 9), st.integers(2, 50))
def test_the_last_step_of_one_cycle_is_annealed_to_the_end(epochs: int, steps: int) -> None:
    plan = Plan(TrainingOptions(epochs=epochs), n_groups=1, steps_per_epoch=steps)

    assert plan.at(0).factor == one_cycle(0.0) == pytest.approx(0.04)
    assert plan.at(plan.n_steps - 1).factor == one_cycle(1.0) == 1e-3


def test_a_phase_of_a_single_step_has_a_plan() -> None:
    plan = Plan(TrainingOptions(epochs=1, schedule="cosine"), n_groups=1, steps_per_epoch=1)

    assert factors(plan) == [1.0]


def test_only_one_cycle_moves_the_momentum() -> None:
    plan = Plan(TrainingOptions(epochs=2, momentum_range=(0.9, 0.6)), n_groups=1, steps_per_epoch=5)

    expected = [one_cycle_momentum(step / 9, high=0.9, low=0.6) for step in range(10)]
    assert [plan.at(step).momentum for step in range(10)] == expected


@pytest.mark.parametrize("choice", [{"schedule": "cosine"}, {"momentum_range": None}])
def test_otherwise_momentum_is_left_as_it_is(choice: dict[str, Any]) -> None:
    plan = Plan(TrainingOptions(epochs=2, **choice), n_groups=1, steps_per_epoch=5)

    assert {plan.at(step).momentum for step in range(10)} == {None}


# ----------------------------------------------------------------------------------- several phases


def test_each_phase_runs_through_a_schedule_of_its_own() -> None:
    phases = (Phase(epochs=2, schedule="cosine"), Phase(epochs=1), Phase(epochs=3, schedule="sgdr"))
    plan = Plan(TrainingOptions(phases=phases), n_groups=1, steps_per_epoch=5)

    assert plan.n_steps == 30
    assert plan.n_epochs == 6
    assert factors(plan) == [
        *(cosine_annealing(step / 9) for step in range(10)),
        *(one_cycle(step / 4) for step in range(5)),
        *(warm_restarts(step / 15, epochs=3) for step in range(15)),
    ]
    assert [plan.at(step).phase for step in range(30)] == [0] * 10 + [1] * 5 + [2] * 15


def test_only_the_phases_in_one_cycle_move_the_momentum() -> None:
    phases = (Phase(epochs=1, schedule="cosine"), Phase(epochs=1))
    options = TrainingOptions(phases=phases, momentum_range=(0.95, 0.85))
    plan = Plan(options, n_groups=1, steps_per_epoch=5)

    momenta = [plan.at(step).momentum for step in range(10)]

    assert momenta == [None] * 5 + [one_cycle_momentum(step / 4) for step in range(5)]


@pytest.mark.parametrize(
    ("phase", "rates"),
    [
        (Phase(epochs=1), (0.01, 0.1, 1.0)),
        (Phase(epochs=1, group_ratio=2), (0.25, 0.5, 1.0)),
        (Phase(epochs=1, learning_rate=0.4, group_ratio=2), (0.1, 0.2, 0.4)),
        (Phase(epochs=1, learning_rate=(0.1, 0.2, 0.4)), (0.1, 0.2, 0.4)),
        # The options' ratio was meant for the options' rate.
        (Phase(epochs=1, learning_rate=0.4), (0.4, 0.4, 0.4)),
    ],
)
def test_a_phase_has_its_own_rates_or_the_options(phase: Phase, rates: tuple[float, ...]) -> None:
    options = TrainingOptions(
        learning_rate=1.0, group_ratio="similar", phases=(Phase(epochs=2), phase)
    )

    plan = Plan(options, n_groups=3, steps_per_epoch=5)

    assert plan.phases[0].rates == pytest.approx((0.01, 0.1, 1.0))
    assert plan.phases[1].rates == pytest.approx(rates)


def test_a_phase_that_ends_inside_of_a_cycle_is_refused_before_training() -> None:
    phases = (Phase(epochs=3), Phase(epochs=2))
    options = TrainingOptions(schedule="sgdr_doubling", phases=phases)

    with pytest.raises(ParameterError, match="epochs=2 ends inside of a cycle"):
        Plan(options, n_groups=1, steps_per_epoch=5)


# -------------------------------------------------------------------------------------- restarts


@given(
    st.sampled_from([(1, 2), (1, 1), (3, 1), (2, 2), (1, 3)]),
    st.integers(1, 4),
    st.integers(1, 300),
    st.integers(0, 3),
)
def test_every_cycle_begins_at_exactly_its_peak(
    cycle: tuple[int, int], n_cycles: int, steps_per_epoch: int, epochs_before: int
) -> None:
    lengths = lengths_of(*cycle, n_cycles)
    before = (Phase(epochs=epochs_before, schedule="cosine"),) if epochs_before else ()
    phases = (*before, Phase(epochs=sum(lengths), schedule="sgdr"))
    options = TrainingOptions(cycle_len=cycle[0], cycle_mult=cycle[1], phases=phases)

    plan = Plan(options, n_groups=1, steps_per_epoch=steps_per_epoch)

    firsts = [(epochs_before + sum(lengths[:i])) * steps_per_epoch for i in range(n_cycles)]
    assert [plan.at(first).factor for first in firsts] == [1.0] * n_cycles


@given(
    st.sampled_from([(1, 2), (1, 1), (3, 1), (4, 1), (2, 3)]), st.integers(1, 4), st.integers(1, 60)
)
def test_a_cycle_ends_once_at_its_last_step(
    cycle: tuple[int, int], n_cycles: int, steps_per_epoch: int
) -> None:
    lengths = lengths_of(*cycle, n_cycles)
    options = TrainingOptions(
        epochs=sum(lengths), schedule="sgdr", cycle_len=cycle[0], cycle_mult=cycle[1]
    )

    plan = Plan(options, n_groups=1, steps_per_epoch=steps_per_epoch)

    assert ends_of_cycles(plan) == [
        sum(lengths[: i + 1]) * steps_per_epoch - 1 for i in range(n_cycles)
    ]


@given(st.integers(1, 60))
def test_cycles_of_two_phases_end_once_each(steps_per_epoch: int) -> None:
    phases = (
        Phase(epochs=2, schedule="cosine"),
        Phase(epochs=3, schedule="sgdr_doubling"),
        Phase(epochs=4, schedule="sgdr_equal"),
        Phase(epochs=1),
    )
    options = TrainingOptions(cycle_len=2, phases=phases)

    plan = Plan(options, n_groups=1, steps_per_epoch=steps_per_epoch)

    last_epochs = [3, 5, 7, 9]  # 2 + (1, 3) and 5 + (2, 4); the first and the last have no cycles
    assert ends_of_cycles(plan) == [epoch * steps_per_epoch - 1 for epoch in last_epochs]


@pytest.mark.parametrize("schedule", [*SCHEDULES, partial(cosine_annealing, end=0.5)])
def test_a_schedule_without_restarts_has_no_cycles_that_end(schedule: Any) -> None:
    options = TrainingOptions(epochs=2, schedule=schedule)

    assert ends_of_cycles(Plan(options, n_groups=1, steps_per_epoch=5)) == []


def test_a_training_keeps_one_snapshot_per_cycle_the_last_of_which_is_where_it_ends() -> None:
    torch.manual_seed(0)
    phases = (Phase(epochs=1), Phase(epochs=3, schedule="sgdr_doubling"))
    model = nn.Linear(3, 1)
    trainer = Trainer(model, squared_error, options=TrainingOptions(phases=phases, snapshots=True))

    trainer.fit(batches())

    first, last = trainer.snapshots
    assert torch.equal(last["weight"], model.weight)
    assert not torch.equal(first["weight"], last["weight"])


# ---------------------------------------------------------------------------- ahead of the steps


@pytest.mark.parametrize(
    ("schedule", "end"), [("one_cycle", 1e-3), ("cosine", 0.0), ("sgdr", 0.0), ("flat_cosine", 0.0)]
)
def test_a_position_after_the_last_step_is_annealed(schedule: str, end: float) -> None:
    options = TrainingOptions(phases=(Phase(epochs=1), Phase(epochs=3, schedule=schedule)))
    plan = Plan(options, n_groups=1, steps_per_epoch=5)

    for position in (20.0, 20.5, 1e6):
        settings = plan.at(position)
        assert settings.phase == 1
        assert settings.factor == pytest.approx(end, abs=1e-12)


def test_a_position_between_two_steps_lies_between_them() -> None:
    plan = Plan(TrainingOptions(epochs=2, schedule="cosine"), n_groups=1, steps_per_epoch=5)

    assert plan.at(4).factor > plan.at(4.5).factor > plan.at(5).factor


def test_a_training_that_is_out_of_time_takes_its_only_step_at_the_annealed_rate() -> None:
    options = TrainingOptions(epochs=50, learning_rate=0.5, max_time=1e-9)
    trainer = Trainer(nn.Linear(3, 1), squared_error, options=options)

    history = trainer.fit(batches())

    assert history.step_learning_rates == [0.5 * 1e-3]
    assert history.stopped == "max_time=1e-09 is over"


def test_a_training_with_time_to_spare_follows_its_steps() -> None:
    def rates(max_time: str | None) -> list[float]:
        options = TrainingOptions(epochs=2, max_time=max_time)
        trainer = Trainer(nn.Linear(3, 1), squared_error, options=options)
        return trainer.fit(batches()).step_learning_rates

    assert rates("1000h") == rates(None)


def test_a_training_uses_the_rates_of_its_plan_step_by_step() -> None:
    phases = (
        Phase(epochs=1, schedule="slanted_triangular"),
        Phase(epochs=3, schedule="sgdr", learning_rate=0.3),
    )
    trainer = Trainer(
        nn.Linear(3, 1), squared_error, options=TrainingOptions(learning_rate=0.1, phases=phases)
    )
    plan = Plan(trainer.options, n_groups=1, steps_per_epoch=STEPS_PER_EPOCH)

    history = trainer.fit(batches())

    peaks = [0.1] * STEPS_PER_EPOCH + [0.3] * 3 * STEPS_PER_EPOCH
    expected = [peak * factor for peak, factor in zip(peaks, factors(plan), strict=True)]
    assert history.step_learning_rates == expected


@pytest.mark.parametrize(
    "own",
    [
        lambda progress: -1.0,
        lambda progress: float("nan"),
        lambda progress: None,
        lambda progress: "fast",
        lambda: 1.0,
        lambda progress: 1.0 if progress < 1 else -0.1,
    ],
    ids=["negative", "nan", "none", "text", "no argument", "negative at its end"],
)
def test_a_function_that_is_no_schedule_is_refused_before_training(own: Any) -> None:
    with pytest.raises(ParameterError, match=r"schedule .* at progress"):
        Plan(TrainingOptions(epochs=1, schedule=own), n_groups=1, steps_per_epoch=5)


def test_a_schedule_that_fails_midway_is_named_with_its_progress() -> None:
    def own(progress: float) -> float:
        return float("inf") if progress == 0.25 else 1.0

    plan = Plan(TrainingOptions(epochs=1, schedule=own), n_groups=1, steps_per_epoch=5)

    with pytest.raises(ParameterError, match=r"schedule own gives inf at progress 0\.25"):
        factors(plan)


def test_functions_are_known_by_what_they_do() -> None:
    def plan(own: Any) -> Plan:
        return Plan(TrainingOptions(epochs=1, schedule=own), n_groups=1, steps_per_epoch=5)

    same, other = plan(lambda progress: 1.0), plan(lambda progress: 1.0 - progress)

    assert same.fingerprint() == plan("constant").fingerprint()
    assert same.fingerprint() != other.fingerprint()
