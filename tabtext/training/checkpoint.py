"""Checkpoints: all that a later process needs to go on, in the middle of an epoch if need be.

They are written beside the run by a thread. A disk that fills leaves the earlier checkpoint as it
was, and training goes on. ``checkpoint_files`` says what they look like.
"""

import json
import logging
import signal
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from tabtext.errors import ParameterError, SaveError, TabTextWarning, TrainingInterrupted
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint_files import (
    FORMAT_VERSION,
    checkpoints_in,
    complete_replacements,
    copied,
    discard,
    newest_readable,
    prepare_directory,
    to_json,
    write_files,
)
from tabtext.training.distributed import STEPS_BETWEEN_MEETINGS, first_process_only
from tabtext.training.stop_signals import StopSignals

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = ["Checkpoints"]

_log = logging.getLogger(__name__)

_ONE_REQUEST_SECONDS = 1.0


class Checkpoints(Callback):
    """Save a run at an interval, at the end of every epoch, and when a signal ends it.

    SIGINT (Ctrl-C) and SIGTERM end training after the step under way, with a checkpoint and a
    ``TrainingInterrupted`` that says how to go on. A second Ctrl-C ends it at once.

    Parameters
    ----------
    directory : str or Path
        Where checkpoints are kept; of one run only.
    every_steps : int, optional
        Steps between checkpoints. Several processes look at signals and at this number in every
        20th step only, so as not to wait for each other in all of them.
    every_minutes : float or None
        Minutes between checkpoints; what a killed process can lose at most.
    keep : int
        So many of the newest stay, and the one of the best epoch.
    how_to_resume : str, optional
        The command or call that continues this run, for the message.

    Examples
    --------
    >>> import tempfile, torch
    >>> from tabtext.training import TensorBatches, Trainer, TrainingOptions
    >>> from tabtext.training.losses import squared_error
    >>> rows = torch.randn(32, 2)
    >>> directory = tempfile.mkdtemp()
    >>> trainer = Trainer(
    ...     torch.nn.Linear(2, 1),
    ...     squared_error,
    ...     options=TrainingOptions(epochs=3),
    ...     checkpoints=Checkpoints(directory, keep=1),
    ... )
    >>> _ = trainer.fit(TensorBatches((rows,), rows[:, :1], batch_size=8))
    >>> [path.name for path in Path(directory).iterdir()]
    ['step-00000012']
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        every_steps: int | None = None,
        every_minutes: float | None = 10.0,
        keep: int = 2,
        how_to_resume: str | None = None,
    ) -> None:
        if keep < 1 or (every_steps is not None and every_steps < 1):
            raise ParameterError(f"{keep=}, {every_steps=}: both must be at least 1")
        self.directory = Path(directory)
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.keep = keep
        self.how_to_resume = (
            how_to_resume or f"fit(..., checkpoints={str(directory)!r}, resume=True)"
        )
        self._callbacks: dict[str, Callback] = {}
        self._fingerprint: dict[str, Any] = {}
        self._signals = StopSignals()
        self._writer = _Writer()
        self._best: Path | None = None
        self._saved_at = 0.0

    # -- events ------------------------------------------------------------------------------

    def open(self, run: "Run", callbacks: Sequence[Callback], *, resume: bool) -> None:
        """Bring a run to where its newest checkpoint was, or begin with an empty directory.

        Raises
        ------
        SaveError
            If the directory cannot be written to, or holds another run and ``resume`` is False.
        ParameterError
            If the checkpoint is of other data, another model or other options.
        ArtifactError
            If all checkpoints are damaged.
        """
        self._callbacks = _named([callback for callback in callbacks if callback is not self])
        self._fingerprint = run.fingerprint()
        self._best = None
        # Where one process fails, all do: it would leave the others waiting in the first step.
        first_process_only(partial(complete_replacements, self.directory))
        found = checkpoints_in(self.directory)
        self._require_same_view(run, found)
        if not resume:
            self.require_free()
        first_process_only(partial(prepare_directory, self.directory))
        if found:
            self._restore(run, found)
        self._saved_at = monotonic()

    def require_free(self) -> None:
        """Raise ``SaveError`` if the directory holds checkpoints."""
        if found := checkpoints_in(self.directory):
            raise SaveError(
                f"{self.directory} holds checkpoints of an earlier run, the last being "
                f"{found[-1].name}. Go on from it with {self.how_to_resume}, or delete the "
                "directory"
            )

    def fit_started(self, run: "Run") -> None:
        """Listen to signals."""
        # torchrun passes a Ctrl-C on to processes that had it from the terminal already.
        self._signals.listen(one_request=0.0 if run.world.is_alone else _ONE_REQUEST_SECONDS)

    def step_ended(self, run: "Run") -> None:
        """Save if it is time, or if a signal came."""
        if not run.world.is_alone and run.step % STEPS_BETWEEN_MEETINGS:
            return
        views = run.world.gather((self._signals.number, self._is_due(run), run.stopping))
        if any(stopping for _, _, stopping in views):
            return  # the end of the epoch follows at once, and is saved
        if number := max(number for number, _, _ in views):
            self._leave(run, number)
        elif views[0][1]:  # the first process' clock, and its number of steps
            self._save(run)

    def epoch_ended(self, run: "Run") -> None:
        """Save."""
        if number := max(run.world.gather(self._signals.number)):
            self._leave(run, number)
        self._save(run)

    def fit_ended(self, run: "Run") -> None:
        """Wait for the last checkpoint to be written."""
        number = self._signals.ignore()
        self._writer.wait()
        if run.finished and number:
            signal.raise_signal(number)  # it came too late to interrupt training

    # -- saving ------------------------------------------------------------------------------

    def _is_due(self, run: "Run") -> bool:
        if self.every_steps is not None:
            # At the first look since the number was full.
            since_last_look = 1 if run.world.is_alone else STEPS_BETWEEN_MEETINGS
            if run.step % self.every_steps < since_last_look:
                return True
        minutes = self.every_minutes
        return minutes is not None and monotonic() - self._saved_at >= 60 * minutes

    def _save(self, run: "Run") -> None:
        """Copy the state, and write it in the background."""
        if run.has_bad_steps():
            # A GPU ran ahead of what was wrong: the epoch's end raises it, older checkpoints stay.
            run.stop("a step was not finite")
            return
        path = self.directory / f"step-{run.step:08d}"
        if run.step_in_epoch == 0 and run.history.best_epoch == run.epoch - 1:
            self._best = path
        state = self._state(run)
        self._saved_at = monotonic()
        _log.debug("checkpoint: %s", path)
        if run.world.is_first:
            self._writer.start(path, state, after=partial(self._remove_old, self._best))

    def _state(self, run: "Run") -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "fingerprint": self._fingerprint,
            "best_checkpoint": None if self._best is None else self._best.name,
            "run": run.state(),
            "callbacks": {name: callback.state() for name, callback in self._callbacks.items()},
        }

    def _leave(self, run: "Run", number: int) -> None:
        """Save at once and end training."""
        self._save(run)
        if run.stopping is not None:
            return
        failure = self._writer.wait()
        run.world.wait()  # a process that leaves early has torchrun end the one that writes
        name = signal.Signals(number).name
        epoch = min(run.epoch + 1, run.plan.n_epochs)
        place = f"a checkpoint of step {run.step} is in {self.directory}"
        if failure is not None:
            place = f"no checkpoint could be written ({failure!r}); the last one stays"
        raise TrainingInterrupted(
            f"training was interrupted ({name}) in epoch {epoch}; {place}. "
            f"Resume with: {self.how_to_resume}",
            number,
        )

    def _remove_old(self, best: Path | None) -> None:
        for path in checkpoints_in(self.directory)[: -self.keep]:
            if path != best:
                discard(path)

    # -- restoring ---------------------------------------------------------------------------

    def _require_same_view(self, run: "Run", found: Sequence[Path]) -> None:
        views = run.world.gather([path.name for path in found])
        if any(view != views[0] for view in views):
            raise SaveError(
                f"not every process sees the same checkpoints in {self.directory}; all machines "
                "need a common directory for them"
            )

    def _restore(self, run: "Run", found: Sequence[Path]) -> None:
        def read() -> tuple[Path, dict[str, Any]]:
            path, state = newest_readable(found, run.device)
            _require_same(state["fingerprint"], self._fingerprint, self.directory)
            return path, state

        path, state = run.world.together(read)
        best = state["best_checkpoint"]
        self._best = None if best is None else self.directory / best
        run.load_state(state["run"])
        for name, callback in self._callbacks.items():
            if name in state["callbacks"]:
                callback.load_state(state["callbacks"][name])
        if run.world.is_first:
            # Damaged ones; they would count among the newest, and push out those that are whole.
            for later in found[found.index(path) + 1 :]:
                discard(later)


def _named(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """Callbacks under names that hold in every process, some of which have fewer of them."""
    counts: Counter[str] = Counter()
    names: dict[str, Callback] = {}
    for callback in callbacks:
        name = type(callback).__name__
        counts[name] += 1
        names[f"{name} {counts[name]}"] = callback
    return names


class _Writer:
    """Writes checkpoints one after the other in a thread; remembers what went wrong."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def start(self, path: Path, state: Mapping[str, Any], *, after: Callable[[], None]) -> None:
        """Copy the state's tensors, and begin to write them."""
        self.wait()
        description, copies = copied(state)

        def write() -> None:
            try:
                write_files(path, description, copies)
                after()
            except Exception as error:  # whatever it is, training is told and goes on
                self._failure = error

        self._thread = threading.Thread(target=write, name="tabtext-checkpoint")
        self._thread.start()

    def wait(self) -> Exception | None:
        """Wait for the thread; warn of its failure, and return it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            warnings.warn(
                f"a checkpoint could not be written: {failure!r}. Earlier ones are as they were, "
                "and training goes on; look to the disk",
                TabTextWarning,
                stacklevel=2,
            )
        return failure


def _require_same(kept: Mapping[str, Any], now: Mapping[str, Any], directory: Path) -> None:
    now = json.loads(to_json(now))
    if kept == now:
        return
    options = {**kept["options"], **now["options"]}
    changes = [
        f"{name}: {kept['options'].get(name)!r} then, {now['options'].get(name)!r} now"
        for name in options
        if kept["options"].get(name) != now["options"].get(name)
    ]
    changes += [
        f"{name}: {kept[name]} then, {now[name]} now"
        for name in ("data", "validation", "processes")
        if kept[name] != now[name]
    ]
    if kept["parameters"] != now["parameters"]:
        changes.append("the model has other parameters")
    raise ParameterError(
        f"the checkpoints in {directory} are of another run ({'; '.join(changes)}). Fit with the "
        "same data and settings, or begin anew in another directory"
    )
