"""What training options refuse, how they read, and the recipes that are made of phases."""

import json
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ParameterError
from tabtext.training.options import (
    BETAS,
    GROUP_RATIOS,
    Phase,
    TrainingOptions,
    duration,
    gradual_unfreezing,
    ratio_of,
)
from tabtext.training.schedules import SCHEDULE_NAMES, cosine_annealing

NAN = float("nan")


def own_schedule(progress: float) -> float:
    return 1.0 - progress


# ---------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", 2.5),
        ("epochs", True),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", NAN),
        ("learning_rate", (1e-3, 0.0)),
        ("learning_rate", ()),
        ("cycle_len", 0),
        ("cycle_mult", 0),
        ("weight_decay", -0.01),
        ("weight_decay", NAN),
        ("weight_decay", (0.1, -0.1)),
        ("weight_decay", ()),
        ("clip_norm", 0.0),
        ("clip_norm", NAN),
        ("clip_value", 0.0),
        ("clip_value", -1.0),
        ("patience", 0),
        ("micro_batch_size", 0),
        ("momentum_range", (0.95, 1.0)),
        ("momentum_range", (-0.1, 0.9)),
        ("momentum_range", (0.9,)),
        ("momentum_range", (NAN, 0.9)),
        ("betas", (0.9, 1.0)),
        ("betas", (0.9, 0.99, 0.999)),
        ("group_ratio", 0.0),
        ("group_ratio", -2.6),
        ("group_ratio", NAN),
        ("max_time", 0),
        ("max_time", -5.0),
        ("max_time", "soon"),
    ],
)
def test_a_value_outside_of_its_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=f"^{name}="):
        TrainingOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("schedule", "cosin", "cosine"),
        ("optimizer", "adam", "adamw"),
        ("averaging", "nt-asgd", "nt_asgd"),
        ("dropout_schedule", "flat_cosin", "flat_cosine"),
        ("precision", "bf61", "bf16"),
        ("compile", "alway", "always"),
        ("betas", "ulmfitt", "ulmfit"),
        ("group_ratio", "txet", "text"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(
    name: str, value: str, known: str
) -> None:
    with pytest.raises(ParameterError, match=rf"^{name}='{value}' .*{known}.*mean '{known}'"):
        TrainingOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bounds",
    [
        {"epochs": 1, "cycle_len": 1, "cycle_mult": 1, "patience": 1, "micro_batch_size": 1},
        {"weight_decay": (0.0, 0.1)},
        {"weight_decay": 0.0, "momentum_range": (0.0, 0.0), "betas": (0.0, 0.0)},
        {"clip_norm": None, "clip_value": None, "averaging": None, "group_ratio": None},
        *({"schedule": name} for name in SCHEDULE_NAMES),
        *({"betas": name} for name in BETAS),
        *({"group_ratio": name} for name in GROUP_RATIOS),
    ],
)
def test_the_bounds_of_every_range_and_every_name_are_accepted(bounds: dict[str, Any]) -> None:
    options = TrainingOptions(**bounds)

    assert {name: getattr(options, name) for name in bounds} == bounds


def test_options_cannot_be_changed_behind_their_checks() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainingOptions().epochs = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    "recipe",
    [
        {"schedule": "one_cycle"},
        {"schedule": own_schedule},
        {"phases": (Phase(epochs=1), Phase(epochs=1, schedule="cosine"))},
        {"schedule": "sgdr", "phases": (Phase(epochs=1, schedule="cosine"),)},
    ],
)
def test_snapshots_of_a_recipe_without_cycles_are_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="ends of cycles"):
        TrainingOptions(snapshots=True, **recipe)


@pytest.mark.parametrize(
    "recipe",
    [
        {"schedule": "sgdr"},
        {"schedule": "sgdr_equal"},
        {"phases": (Phase(epochs=1), Phase(epochs=3, schedule="sgdr_doubling"))},
        {"schedule": "sgdr", "phases": (Phase(epochs=1, schedule="cosine"), Phase(epochs=1))},
    ],
)
def test_snapshots_need_one_phase_with_cycles(recipe: dict[str, Any]) -> None:
    assert TrainingOptions(snapshots=True, **recipe).snapshots


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("learning_rate", -1e-3),
        ("learning_rate", (1e-3, 0.0)),
        ("learning_rate", ()),
        ("group_ratio", 0.0),
        ("group_ratio", "txet"),
        ("schedule", "cosin"),
    ],
)
def test_a_phase_refuses_what_options_refuse(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=f"{name}="):
        Phase(**{"epochs": 1, name: value})  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------- duration


@given(st.integers(0, 50), st.integers(0, 90), st.integers(0, 90), st.booleans(), st.booleans())
def test_hours_minutes_and_seconds_add_up_in_every_spelling(
    hours: int, minutes: int, seconds: int, short: bool, spaced: bool
) -> None:
    minute, second = ("m", "s") if short else ("min", "SEC")
    parts = [f"{hours}h", f"{minutes}{minute}", f"{seconds} {second}"]
    text = (" " if spaced else "").join(parts)
    total = 3600 * hours + 60 * minutes + seconds

    if total:
        assert duration(text) == total
    else:
        with pytest.raises(ParameterError, match="leaves no time"):
            duration(text)


@pytest.mark.parametrize(
    ("given_time", "seconds"),
    [("90s", 90.0), ("1.5h", 5400.0), ("0.5 min", 30.0), (12, 12.0), (0.25, 0.25)],
)
def test_a_duration_may_be_a_fraction_or_a_number(given_time: float | str, seconds: float) -> None:
    assert duration(given_time) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "10 20", "min", "10 days", "-5min", "1h30", ".5h", "1e3s", "5min!", "1,5h"]
)
def test_a_text_that_is_only_partly_a_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ParameterError, match=r"is no duration; write '90s', '10min' or '1h30min'"):
        duration(text)


@given(st.text("0123456789hmins. -", max_size=8))
def test_any_text_is_either_a_positive_duration_or_refused(text: str) -> None:
    try:
        seconds = duration(text)
    except ParameterError:
        return

    assert seconds > 0


@pytest.mark.parametrize("nothing", [0, -1.0, NAN, "0s", "0h 0min"])
def test_a_duration_of_nothing_is_refused(nothing: float | str) -> None:
    with pytest.raises(ParameterError, match="leaves no time to train"):
        duration(nothing)


# ---------------------------------------------------------------------------------- what they mean


def test_group_ratios_are_the_three_presets_or_a_number() -> None:
    assert [ratio_of(name) for name in ("similar", "unlike", "text")] == [10.0, 3.0, 2.6]
    assert ratio_of(4) == 4.0
    assert ratio_of(None) == 1.0


def test_betas_are_a_pair_or_the_name_of_one() -> None:
    assert TrainingOptions(betas="ulmfit").beta_pair == (0.7, 0.99)
    assert TrainingOptions(betas="ulmfit_scripts").beta_pair == (0.8, 0.99)
    assert TrainingOptions(betas=(0.5, 0.6)).beta_pair == (0.5, 0.6)


def test_the_phases_epochs_count_instead_of_the_options() -> None:
    assert TrainingOptions(epochs=7).n_epochs == 7
    assert TrainingOptions(epochs=7, phases=(Phase(epochs=2), Phase(epochs=3))).n_epochs == 5


def test_all_options_can_be_written_as_json_and_come_back_the_same() -> None:
    options = TrainingOptions(
        learning_rate=(1e-4, 1e-2),
        schedule=own_schedule,
        max_time="10min",
        betas="ulmfit",
        phases=(Phase(epochs=2, schedule=cosine_annealing), Phase(epochs=1, learning_rate=0.1)),
    )

    values = options.to_dict()

    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["schedule"] == "own_schedule"
    assert values["learning_rate"] == [1e-4, 1e-2]
    assert [phase["schedule"] for phase in values["phases"]] == ["cosine_annealing", None]


def test_a_schedule_that_has_no_name_is_written_by_its_type() -> None:
    options = TrainingOptions(schedule=partial(cosine_annealing, end=0.1))

    assert json.loads(json.dumps(options.to_dict()))["schedule"] == "partial"


# ------------------------------------------------------------------------------ gradual unfreezing


def test_gradual_unfreezing_thaws_one_group_more_per_phase_from_the_head_on() -> None:
    phases = gradual_unfreezing(4, learning_rate=0.08, epochs_each=2, final_epochs=5)

    assert [phase.freeze_to for phase in phases] == [3, 2, 1, 0]
    assert [phase.epochs for phase in phases] == [2, 2, 2, 5]


def test_gradual_unfreezing_halves_the_rate_and_slows_earlier_groups_as_published() -> None:
    phases = gradual_unfreezing(4, learning_rate=0.08)

    assert [phase.learning_rate for phase in phases] == [0.08, 0.04, 0.02, 0.01]
    assert {ratio_of(phase.group_ratio) for phase in phases} == {2.6}


def test_a_model_of_one_group_is_unfrozen_from_the_start() -> None:
    (phase,) = gradual_unfreezing(1, learning_rate=0.1, epochs_each=4, final_epochs=2)

    assert (phase.freeze_to, phase.epochs, phase.learning_rate) == (0, 2, 0.1)


def test_gradual_unfreezing_of_no_groups_or_epochs_is_refused() -> None:
    with pytest.raises(ParameterError, match="n_groups=0"):
        gradual_unfreezing(0, learning_rate=0.1)
    with pytest.raises(ParameterError, match="epochs=0"):
        gradual_unfreezing(3, learning_rate=0.1, epochs_each=0)
