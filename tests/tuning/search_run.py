"""A search in a process of its own: ``python search_run.py STUDY N_TRIALS GRACE HANGING_TRIAL``.

It begins when a line comes in, prints a line for every trial that it takes, and hangs in one where
it is told so. A trial counts as dead after GRACE seconds.
"""

import sys
from functools import partial
from time import sleep
from typing import Any

from tabtext.tuning import search
from tests.estimators.conftest import shops
from tests.tuning.conftest import rates, small


def main(study: str, n_trials: str, grace: str, hanging: str) -> None:
    def space(trial: Any) -> dict[str, Any]:
        print(trial.number, flush=True)
        if trial.number == int(hanging):
            sleep(600)
        return rates(trial)

    search.Trials = partial(search.Trials, beat=0.2, grace=float(grace))  # type: ignore[assignment,misc]
    print("ready", flush=True)
    sys.stdin.readline()
    search.tune(
        small(), shops(100), target="Sales", n_trials=int(n_trials), study=study, search_space=space
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
