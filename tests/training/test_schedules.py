"""Learning-rate schedules against the papers' formulas, torch's schedulers, and each other."""

import pickle
from collections.abc import Callable
from functools import partial
from math import cos, floor, pi

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from tabtext.errors import ParameterError
from tabtext.training.restarts import cycle_at, cycle_lengths, nearest_whole_cycles, warm_restarts
from tabtext.training.schedules import (
    RESTARTS,
    SCHEDULE_NAMES,
    SCHEDULES,
    Schedule,
    constant,
    cosine_annealing,
    flat_then_cosine,
    linear_warm_up,
    make_schedule,
    one_cycle,
    one_cycle_momentum,
    restarts_of,
    slanted_triangular,
    then,
    warmed_up,
)

PEAK = 0.5


def torchs_steps(
    scheduler_of: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], n_steps: int
) -> list[tuple[float, float]]:
    """Learning rate and beta1 of every step under one of torch's schedulers."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = scheduler_of(optimizer)
    steps = []
    for step in range(n_steps):
        group = optimizer.param_groups[0]
        steps.append((group["lr"], group["betas"][0]))
        optimizer.step()
        if step < n_steps - 1:
            scheduler.step()
    return steps


# ------------------------------------------------------------------------------------ one descent


def test_one_cycle_passes_through_its_published_points() -> None:
    assert one_cycle(0.0, start=0.04) == pytest.approx(0.04)
    assert one_cycle(0.25, warm_up=0.25) == pytest.approx(1.0)
    assert one_cycle(1.0, end=1e-3) == pytest.approx(1e-3)
    assert one_cycle(0.625, warm_up=0.25, end=0.0) == pytest.approx(0.5)


def test_one_cycle_rises_then_falls() -> None:
    values = [one_cycle(step / 100, warm_up=0.3) for step in range(101)]

    assert values[:31] == sorted(values[:31])
    assert values[30:] == sorted(values[30:], reverse=True)
    assert max(values) == pytest.approx(1.0)


def test_a_cycle_without_warm_up_starts_at_the_peak() -> None:
    assert one_cycle(0.0, warm_up=0.0) == pytest.approx(1.0)
    assert one_cycle_momentum(0.0, warm_up=0.0, low=0.8) == pytest.approx(0.8)
    assert slanted_triangular(0.0, cut_frac=0.0) == 1.0


def test_a_cycle_of_nothing_but_warm_up_ends_at_the_peak() -> None:
    assert one_cycle(1.0, warm_up=1.0) == pytest.approx(1.0)
    assert one_cycle_momentum(1.0, warm_up=1.0, low=0.8) == pytest.approx(0.8)
    assert slanted_triangular(1.0, cut_frac=1.0) == 1.0
    assert flat_then_cosine(1.0, flat=1.0) == 1.0


def test_one_cycle_and_its_momentum_equal_torchs() -> None:
    n_steps, share = 200, 0.3
    scheduler = partial(
        lr_scheduler.OneCycleLR,
        max_lr=PEAK,
        total_steps=n_steps,
        pct_start=share,
        div_factor=25.0,
        final_div_factor=40.0,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    # torch goes up over the first 0.3 * 200 steps, thus over 59 of the 199 intervals between them.
    warm_up = (share * n_steps - 1) / (n_steps - 1)

    for step, (rate, momentum) in enumerate(torchs_steps(scheduler, n_steps)):
        progress = step / (n_steps - 1)
        factor = one_cycle(progress, warm_up=warm_up, start=1 / 25, end=1 / (25 * 40))
        assert PEAK * factor == pytest.approx(rate, abs=1e-9)
        assert one_cycle_momentum(progress, warm_up=warm_up) == pytest.approx(momentum, abs=1e-9)


def test_momentum_is_lowest_where_the_rate_is_highest() -> None:
    shares = [step / 100 for step in range(101)]

    assert min(shares, key=one_cycle_momentum) == max(shares, key=one_cycle) == 0.25


def test_cosine_annealing_equals_torchs() -> None:
    scheduler = partial(lr_scheduler.CosineAnnealingLR, T_max=50, eta_min=0.1 * PEAK)

    rates = [rate for rate, _ in torchs_steps(scheduler, 51)]

    expected = [PEAK * cosine_annealing(step / 50, end=0.1) for step in range(51)]
    assert rates == pytest.approx(expected)


def papers_slanted_triangular(t: int, T: int, cut_frac: float, ratio: float) -> float:  # noqa: N803
    """Equation 3 of Howard and Ruder (2018), letter by letter, without eta_max."""
    cut = floor(T * cut_frac)
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
    return (1 + p * (ratio - 1)) / ratio


@pytest.mark.parametrize(("cut_frac", "ratio"), [(0.1, 32), (0.25, 10), (0.37, 100)])
def test_slanted_triangular_is_the_papers_formula(cut_frac: float, ratio: float) -> None:
    n_steps = 100_000

    for step in range(0, n_steps + 1, 97):
        expected = papers_slanted_triangular(step, n_steps, cut_frac, ratio)
        value = slanted_triangular(step / n_steps, cut_frac=cut_frac, ratio=ratio)
        assert value == pytest.approx(expected, abs=1e-4)


def test_slanted_triangular_has_the_papers_defaults() -> None:
    assert slanted_triangular(0.0) == slanted_triangular(1.0) == 1 / 32
    assert slanted_triangular(0.1) == 1.0


def test_flat_then_cosine_stays_then_falls() -> None:
    assert {flat_then_cosine(share, flat=0.6) for share in (0.0, 0.3, 0.6)} == {1.0}
    assert flat_then_cosine(0.8, flat=0.6, end=0.2) == pytest.approx(0.6)
    assert flat_then_cosine(1.0, flat=0.6, end=0.2) == pytest.approx(0.2)


def test_constant_stays() -> None:
    assert {constant(progress) for progress in (0.0, 0.5, 1.0)} == {1.0}


# ---------------------------------------------------------------------------------- warm restarts


def test_warm_restarts_are_equation_5_of_the_paper() -> None:
    lowest, highest = 0.05, 1.0  # eta_min and eta_max

    for cycle, (first, length) in enumerate([(0, 2), (2, 6), (8, 18)]):
        for since_restart in (0.0, 0.3 * length, 0.5 * length, 0.99 * length):
            expected = lowest + (highest - lowest) / 2 * (1 + cos(pi * since_restart / length))
            progress = (first + since_restart) / 26
            cycles = {"epochs": 26, "cycle_len": 2, "cycle_mult": 3}
            assert warm_restarts(progress, **cycles, end=lowest) == pytest.approx(expected)
            assert cycle_at(progress, **cycles) == cycle


@pytest.mark.parametrize(("cycle_len", "cycle_mult", "epochs"), [(1, 2, 15), (3, 1, 12), (2, 3, 8)])
def test_warm_restarts_equal_torchs(cycle_len: int, cycle_mult: int, epochs: int) -> None:
    steps_per_epoch = 7
    n_steps = epochs * steps_per_epoch
    scheduler = partial(
        lr_scheduler.CosineAnnealingWarmRestarts,
        T_0=cycle_len * steps_per_epoch,
        T_mult=cycle_mult,
        eta_min=0.1 * PEAK,
    )

    rates = [rate for rate, _ in torchs_steps(scheduler, n_steps)]

    schedule = partial(
        warm_restarts, epochs=epochs, cycle_len=cycle_len, cycle_mult=cycle_mult, end=0.1
    )
    assert rates == pytest.approx([PEAK * schedule(step / n_steps) for step in range(n_steps)])


def test_the_last_cycle_ends_and_does_not_restart() -> None:
    assert warm_restarts(1.0, epochs=7, end=0.01) == pytest.approx(0.01)
    assert cycle_at(1.0, epochs=7) == 2


@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(1, 1000), st.integers(0, 1)
)
@example(1, 1, 22, 1, 0)  # 15 / 22 * 22 is less than 15
def test_the_first_step_of_a_cycle_belongs_to_it_and_the_last_does_not_go_over(
    cycle_len: int, cycle_mult: int, n_cycles: int, steps_per_epoch: int, from_one: int
) -> None:
    lengths = [cycle_len * cycle_mult**cycle for cycle in range(n_cycles)]
    epochs = sum(lengths)
    # Trainers divide by the number of steps or by the number of intervals between them.
    last = max(epochs * steps_per_epoch - from_one, 1)
    cycles = {"epochs": epochs, "cycle_len": cycle_len, "cycle_mult": cycle_mult}

    for cycle in range(n_cycles):
        first_step = sum(lengths[:cycle]) * steps_per_epoch
        last_step = sum(lengths[: cycle + 1]) * steps_per_epoch - 1
        assert cycle_at(first_step / last, **cycles) == cycle
        assert cycle_at(last_step / last, **cycles) == cycle
        if not from_one:
            assert warm_restarts(first_step / last, **cycles) == 1.0


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 300))
def test_cycles_fill_the_epochs_or_the_error_names_those_that_they_fill(
    cycle_len: int, cycle_mult: int, epochs: int
) -> None:
    nearest = nearest_whole_cycles(epochs, cycle_len=cycle_len, cycle_mult=cycle_mult)

    lengths = cycle_lengths(nearest, cycle_len=cycle_len, cycle_mult=cycle_mult)
    assert lengths == [cycle_len * cycle_mult**cycle for cycle in range(len(lengths))]
    assert sum(lengths) == nearest
    if epochs != nearest:
        with pytest.raises(ParameterError, match=rf"ends at .*\b{nearest}\b"):
            cycle_lengths(epochs, cycle_len=cycle_len, cycle_mult=cycle_mult)


def test_epochs_inside_of_a_cycle_are_refused_with_the_nearest_whole_ones() -> None:
    with pytest.raises(ParameterError) as caught:
        cycle_lengths(6, cycle_len=1, cycle_mult=2)
    with pytest.raises(ParameterError, match=r"ends at 90, 95, 100, 105$"):
        cycle_lengths(98, cycle_len=5, cycle_mult=1)

    assert str(caught.value) == (
        "epochs=6 ends inside of a cycle; cycle_len=1, cycle_mult=2 ends at 1, 3, 7, 15"
    )


@pytest.mark.parametrize("name", ["epochs", "cycle_len", "cycle_mult"])
def test_cycles_of_less_than_one_epoch_are_refused(name: str) -> None:
    arguments = {"epochs": 7, "cycle_len": 1, "cycle_mult": 2, name: 0}

    for function in (cycle_lengths, nearest_whole_cycles, partial(cycle_at, 0.5)):
        with pytest.raises(ParameterError, match=f"{name}=0 is less than 1"):
            function(**arguments)


def test_of_two_whole_numbers_equally_near_the_lower_is_taken() -> None:
    assert nearest_whole_cycles(5, cycle_len=1, cycle_mult=2) == 3


# ------------------------------------------------------------------------------------ composition


def test_each_schedule_runs_whole_over_its_own_share() -> None:
    both = then(one_cycle, slanted_triangular, at=0.4)

    for share in (0.0, 0.25, 0.7, 0.99):
        assert both(0.4 * share) == pytest.approx(one_cycle(share))
        assert both(0.4 + 0.6 * share) == pytest.approx(slanted_triangular(share))
    assert both(0.4) == slanted_triangular(0.0)
    assert both(1.0) == slanted_triangular(1.0)


def test_a_composition_can_be_composed() -> None:
    three = then(linear_warm_up, then(constant, cosine_annealing, at=0.5), at=0.2)

    values = [three(share) for share in (0.0, 0.1, 0.2, 0.5, 0.8, 1.0)]

    assert values == pytest.approx([0.0, 0.5, 1.0, 1.0, 0.5, 0.0])


def test_a_warm_up_leads_to_the_schedules_own_beginning() -> None:
    warmed = warmed_up(partial(cosine_annealing, end=0.2), share=0.25, start=0.1)

    assert [warmed(share) for share in (0.0, 0.125, 0.25, 0.625, 1.0)] == pytest.approx(
        [0.1, 0.55, 1.0, 0.6, 0.2]
    )
    assert warmed_up(one_cycle, share=0.0)(0.3) == one_cycle(0.3)


@pytest.mark.parametrize("at", [-0.1, 1.0, float("nan")])
def test_a_share_that_leaves_no_room_is_refused(at: float) -> None:
    with pytest.raises(ParameterError, match=r"at=.*below 1"):
        then(constant, constant, at=at)


# ------------------------------------------------------------------------------------------ names


def test_every_name_makes_a_schedule() -> None:
    for name in SCHEDULE_NAMES:
        assert 0.0 <= make_schedule(name, epochs=7)(0.4) <= 1.0

    assert set(SCHEDULE_NAMES) == {*SCHEDULES, *RESTARTS}


def test_only_schedules_that_restart_ask_for_the_epochs() -> None:
    for name in SCHEDULES:
        assert make_schedule(name, epochs=6) is SCHEDULES[name]
    with pytest.raises(ParameterError, match="epochs=6 ends inside of a cycle"):
        make_schedule("sgdr", epochs=6)


def test_a_function_of_ones_own_is_a_schedule() -> None:
    def own(progress: float) -> float:
        return 1.0 - progress

    assert make_schedule(own, epochs=6) is own
    assert restarts_of(own) is None


def test_presets_set_what_they_are_named_after() -> None:
    given_by_caller = {"cycle_len": 3, "cycle_mult": 4}

    assert restarts_of("sgdr", **given_by_caller) == (3, 4)
    assert restarts_of("sgdr_doubling", **given_by_caller) == (1, 2)
    assert restarts_of("sgdr_equal", **given_by_caller) == (3, 1)
    assert restarts_of("cosine", **given_by_caller) is None
    assert make_schedule("sgdr_equal", epochs=6, cycle_len=3)(0.25) == pytest.approx(0.5)
    assert make_schedule("sgdr_doubling", epochs=3, cycle_len=3)(1 / 6) == pytest.approx(0.5)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"'cosin' is not one of constant, .*mean 'cosine'"):
        make_schedule("cosin", epochs=3)


def test_schedules_can_be_pickled_with_an_estimator() -> None:
    composed = warmed_up(make_schedule("sgdr", epochs=7), share=0.2)

    assert pickle.loads(pickle.dumps(composed))(0.6) == composed(0.6)


def all_schedules() -> list[tuple[Schedule, list[float]]]:
    """Every schedule, with the shares at which it may jump."""
    restarting: list[tuple[Schedule, list[float]]] = [
        (make_schedule("sgdr", epochs=7), [1 / 7, 3 / 7]),
        (make_schedule("sgdr_equal", epochs=6, cycle_len=2), [1 / 3, 2 / 3]),
        (partial(warm_restarts, epochs=3, end=0.3), [1 / 3]),
        (then(cosine_annealing, one_cycle, at=0.5), [0.5]),
    ]
    others = [*SCHEDULES.values(), one_cycle_momentum, warmed_up(flat_then_cosine)]
    return [(schedule, list[float]()) for schedule in others] + restarting


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_every_schedule_stays_within_zero_and_one_and_jumps_only_to_restart(
    one: float, other: float
) -> None:
    for schedule, jumps in all_schedules():
        values = schedule(one), schedule(other)

        assert all(-1e-12 <= value <= 1.0 + 1e-12 for value in values)
        # The steepest is a cosine over a seventh: its slope is pi / 2 * 7, below 12.
        if not any(min(one, other) <= jump <= max(one, other) for jump in jumps):
            assert abs(values[0] - values[1]) <= 12 * abs(one - other) + 1e-6
