"""Taking trials from a study until there are as many as were asked for, each of them once.

Every process that works on a study takes its next trial under the study's lock, so that together
they take as many as were asked for. A trial that runs shows every few seconds that it is alive. One
that has not for a while was killed with its process: it is marked as failed and no longer counts.
Optuna has such a mechanism, but it leaves out trials that died before their first sign of life.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any

from tabtext.errors import DivergenceError
from tabtext.tuning.study import locked, new_sampler

if TYPE_CHECKING:
    import optuna

__all__ = ["BEAT", "GRACE", "OWN", "Trials"]

BEAT, GRACE = 10.0, 60.0
"""Seconds between two signs of life, and after how many without one a trial counts as dead."""

OWN = "tabtext:own_settings"
"""Marks the trial of the estimator's own settings."""

_ALIVE = "tabtext:alive"


@dataclass
class Trials:
    """The trials of a study, for one of the processes that work on it.

    Parameters
    ----------
    study : optuna.Study
        Where they are recorded.
    path : Path or None
        Its file; None in memory.
    n_trials : int
        How many should be done in total, by all processes.
    seed : int
        Of the sampler.
    own : mapping of str to value
        The estimator's own settings, which the first trial has.
    seconds : float
        No trial begins that would not be over within these.
    beat, grace : float
        See ``BEAT`` and ``GRACE``.
    """

    study: "optuna.Study"
    path: Path | None
    n_trials: int
    seed: int
    own: Mapping[str, Any]
    seconds: float = float("inf")
    beat: float = BEAT
    grace: float = GRACE
    waited: bool = False
    """Whether the last trials were those of other processes, and this one waited for them."""

    def __iter__(self) -> Iterator["optuna.Trial"]:
        """Take one trial after the other; wait for those of other processes at the end."""
        started = monotonic()
        while True:
            with locked(self.path):
                self._fail_dead_ones()
                finished, running = self._counts()
                if not self._has_time(started):
                    return
                open_ones = self.n_trials - finished - running
                trial = self._take() if open_ones > 0 else None
            if trial is not None:
                self.waited = False
                yield trial
            elif running:
                self.waited = True
                sleep(min(1.0, self.beat))
            else:
                return

    def run(self, trial: "optuna.Trial", work: Callable[["optuna.Trial"], float]) -> None:
        """Do the work of a trial and record how it ended.

        A training that diverges is recorded as pruned: the sampler should keep away from there. Any
        other error fails the trial, which then does not count, and goes on to the caller.
        """
        import optuna
        from optuna.trial import TrialState

        try:
            with self._alive(trial):
                score = work(trial)
        except optuna.TrialPruned:
            self._tell(trial, TrialState.PRUNED)
        except DivergenceError as error:
            trial.set_user_attr("diverged", str(error))
            self._tell(trial, TrialState.PRUNED)
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # another process took this one for dead, for instance after a computer's sleep
        except BaseException:
            self._tell(trial, TrialState.FAIL)
            raise
        else:
            self._tell(trial, TrialState.COMPLETE, score)

    def _tell(
        self, trial: "optuna.Trial", state: "optuna.trial.TrialState", score: float | None = None
    ) -> None:
        # Whoever is taken for dead in its last seconds has been told of already.
        self.study.tell(trial, score, state, skip_if_finished=True)

    def _take(self) -> "optuna.Trial":
        """A new trial: with the estimator's own settings, unless one of them is or was at work."""
        from optuna.trial import TrialState

        trials = self.study.get_trials(deepcopy=False)
        if not any(OWN in t.user_attrs and t.state != TrialState.FAIL for t in trials):
            self.study.enqueue_trial(dict(self.own), user_attrs={OWN: True})
        self.study.sampler = new_sampler(self.seed, len(trials))
        trial = self.study.ask()
        trial.set_user_attr(_ALIVE, time())
        return trial

    def _counts(self) -> tuple[int, int]:
        """How many trials are done, and how many are under way."""
        from optuna.trial import TrialState

        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        n_done = sum(state in (TrialState.COMPLETE, TrialState.PRUNED) for state in states)
        return n_done, states.count(TrialState.RUNNING)

    def _has_time(self, started: float) -> bool:
        durations = [
            trial.duration.total_seconds()
            for trial in self.study.get_trials(deepcopy=False)
            if trial.duration is not None and trial.state.name == "COMPLETE"
        ]
        needed = median(durations) if durations else 0.0
        return monotonic() - started + needed <= self.seconds

    def _fail_dead_ones(self) -> None:
        """Mark trials without a sign of life as failed."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            begun = 0.0 if trial.datetime_start is None else trial.datetime_start.timestamp()
            if time() - max(begun, trial.user_attrs.get(_ALIVE, 0.0)) > self.grace:
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    @contextmanager
    def _alive(self, trial: "optuna.Trial") -> Iterator[None]:
        """Give signs of life while the block lasts; in memory nobody looks for them."""
        if self.path is None:
            yield
            return
        over = threading.Event()
        beats = threading.Thread(target=self._beat, args=(trial, over), daemon=True)
        beats.start()
        try:
            yield
        finally:
            over.set()
            beats.join()

    def _beat(self, trial: "optuna.Trial", over: threading.Event) -> None:
        import optuna

        while not over.wait(self.beat):
            try:
                trial.set_user_attr(_ALIVE, time())
            except optuna.exceptions.UpdateFinishedTrialError:
                return
            except optuna.exceptions.StorageInternalError:
                continue  # the disk was busy; there is time for another try
