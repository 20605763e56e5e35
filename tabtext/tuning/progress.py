"""One line for every trial that ended, as it ends."""

import logging
import sys
from typing import TYPE_CHECKING

from tabtext.tuning.result import state_of

if TYPE_CHECKING:
    import optuna

__all__ = ["say_ended"]

_log = logging.getLogger("tabtext.tuning")


def say_ended(study: "optuna.Study", number: int, *, score: str, verbose: int) -> None:
    """Log how a trial ended, and which is the best so far, and write it to stderr.

    Parameters
    ----------
    study : optuna.Study
        Where it is recorded.
    number : int
        The trial.
    score : str
        What the score is called.
    verbose : int
        0 for the log alone.
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
    line = "  ".join(parts)
    _log.info("%s", line)
    if verbose > 0:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
