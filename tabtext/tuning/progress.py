"""One line for every trial that ended, as it ends."""

import sys
from typing import TYPE_CHECKING

from tabtext.tuning.result import state_of

if TYPE_CHECKING:
    import optuna

__all__ = ["say_ended"]


def say_ended(study: "optuna.Study", number: int, *, score: str) -> None:
    """Write how a trial ended, and which is the best so far, to stderr.

    Parameters
    ----------
    study : optuna.Study
        Where it is recorded.
    number : int
        The trial.
    score : str
        What the score is called.
    """
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    state = state_of(trial)
    parts = [f"trial {number}: {state}"]
    if trial.value is not None:
        parts.append(f"{score} {trial.value:.5g}")
    n_epochs = len(trial.intermediate_values)
    parts.append(f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}")
    if trial.duration is not None:
        parts.append(f"{trial.duration.total_seconds():.1f} s")
    if any(t.state.name == "COMPLETE" for t in trials):
        parts.append(f"best {study.best_value:.5g} (trial {study.best_trial.number})")
    sys.stderr.write("  ".join(parts) + "\n")
    sys.stderr.flush()
