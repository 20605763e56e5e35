"""Learning-rate schedules."""

import pytest

from tabtext.training.schedules import constant, one_cycle


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


def test_one_cycle_without_warm_up_starts_at_the_peak() -> None:
    assert one_cycle(0.0, warm_up=0.0) == pytest.approx(1.0)


def test_constant_stays() -> None:
    assert {constant(progress) for progress in (0.0, 0.5, 1.0)} == {1.0}
