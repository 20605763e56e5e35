"""Taking trials: as many as asked for in total, none twice, none lost with its process."""

from pathlib import Path
from time import sleep
from typing import Any

import optuna
import pytest

from tabtext.errors import DivergenceError
from tabtext.tuning import trials as module
from tabtext.tuning.trials import OWN, Trials
from tests.tuning.conftest import new_trials


def states(trials: Trials) -> list[str]:
    return [trial.state.name for trial in trials.study.get_trials()]


def finish(trials: Trials) -> list[int]:
    """Run trials until there are no more; return their numbers."""
    numbers = []
    for trial in trials:
        numbers.append(trial.number)
        trials.run(trial, lambda trial: trial.suggest_float("x", 0, 2))
    return numbers


def test_later_calls_take_what_is_left(file: Path) -> None:
    assert finish(new_trials(file, 2)) == [0, 1]
    assert finish(new_trials(file, 2)) == []
    assert finish(new_trials(file, 5)) == [2, 3, 4]
    assert states(new_trials(file)) == ["COMPLETE"] * 5


def test_the_first_trial_has_the_estimators_own_values(file: Path) -> None:
    trials = new_trials(file)

    finish(trials)

    assert trials.study.trials[0].params == {"x": 1.0}
    assert [OWN in trial.user_attrs for trial in trials.study.trials] == [True, False, False]


def test_an_interrupted_trial_fails_and_is_replaced(file: Path) -> None:
    def interrupted(trial: optuna.Trial) -> float:
        raise KeyboardInterrupt

    trials = new_trials(file)
    with pytest.raises(KeyboardInterrupt):
        trials.run(next(iter(trials)), interrupted)

    finish(new_trials(file))

    assert states(trials) == ["FAIL"] + ["COMPLETE"] * 3
    own = [OWN in trial.user_attrs for trial in trials.study.trials]
    assert own == [True, True, False, False]  # the estimator's own settings are tried in any case


def test_divergence_counts_as_pruned(file: Path) -> None:
    def diverging(trial: optuna.Trial) -> float:
        raise DivergenceError("NaN")

    trials = new_trials(file, 1)
    for trial in trials:
        trials.run(trial, diverging)

    assert states(trials) == ["PRUNED"]
    assert trials.study.trials[0].user_attrs["diverged"] == "NaN"


def test_a_trial_without_a_sign_of_life_is_given_up(file: Path) -> None:
    dead = new_trials(file)
    next(iter(dead))  # taken, and its process is gone
    sleep(0.2)

    trials = new_trials(file, grace=0.1)
    assert finish(trials) == [1, 2, 3]

    assert states(trials) == ["FAIL"] + ["COMPLETE"] * 3


def test_a_trial_that_died_before_its_first_sign_of_life_is_given_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = new_trials(file)
    dead.study.ask()
    sleep(0.2)

    assert finish(new_trials(file, 1, grace=0.1)) == [1]


def test_a_trial_that_gives_signs_of_life_is_waited_for(file: Path) -> None:
    slow = new_trials(file, 2, beat=0.05)
    quick = new_trials(file, 2, beat=0.05, grace=0.5)

    def work(trial: optuna.Trial) -> float:
        sleep(1.2)  # longer than the grace
        numbers = []
        for other in quick:
            numbers.append(other.number)
            quick.run(other, lambda trial: 1.0)
            if not quick._counts()[1]:  # the slow one has been taken for dead
                raise AssertionError("the slow one has been taken for dead")
            break
        assert numbers == [1]
        return 0.5

    slow.run(next(iter(slow)), work)

    assert states(slow) == ["COMPLETE"] * 2


def test_one_that_was_taken_for_dead_does_not_disturb(file: Path) -> None:
    trials = new_trials(file, 1)

    def work(trial: optuna.Trial) -> float:
        finish(new_trials(file, 1, grace=-1.0))
        trial.report(1.0, 1)
        return 0.0

    trials.run(next(iter(trials)), work)

    assert states(trials) == ["FAIL", "COMPLETE"]


def test_nothing_begins_that_would_not_be_over_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = new_trials(None, 50, seconds=0.5)

    def work(trial: optuna.Trial) -> float:
        sleep(0.2)
        return 1.0

    numbers: list[Any] = []
    for trial in trials:
        numbers.append(trial.number)
        trials.run(trial, work)

    assert numbers == [0, 1]  # a third would end after 0.6 s
    assert module.GRACE > 2 * module.BEAT
