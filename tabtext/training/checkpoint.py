"""Checkpoints: all that a later process needs to go on, in the middle of an epoch if need be.

    <directory>/
      step-00001200/        one checkpoint; under this name only when complete
        state.json          position, history, settings; where a tensor belongs, its name
        tensors.safetensors weights, averages, optimizer moments, states of random generators

They are written beside the run by a thread, to a hidden sibling that is renamed when it is whole.
A disk that fills leaves the earlier checkpoint as it was, and training goes on. Loading runs no
code.
"""

import json
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tabtext.errors import (
    ArtifactError,
    ParameterError,
    SaveError,
    TabTextWarning,
    TrainingInterrupted,
)
from tabtext.training.callbacks import Callback

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = ["Checkpoints", "read_checkpoint", "write_checkpoint"]

_FORMAT_VERSION = 1
_STATE, _TENSORS = "state.json", "tensors.safetensors"
_STEPS_BETWEEN_MEETINGS = 20


class Checkpoints(Callback):
    """Save a run at an interval, at the end of every epoch, and when a signal ends it.

    SIGINT (Ctrl-C) and SIGTERM end training after the step under way, with a checkpoint and a
    ``TrainingInterrupted`` that says how to go on. A second Ctrl-C ends it at once.

    Parameters
    ----------
    directory : str or Path
        Where checkpoints are kept; of one run only.
    every_steps : int, optional
        Steps between checkpoints.
    every_minutes : float or None
        Minutes between checkpoints; what a killed process can lose at most.
    keep : int
        So many of the newest stay, and the one of the best epoch.
    how_to_resume : str, optional
        The command or call that continues this run, for the message.

    Examples
    --------
    >>> import tempfile
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
        self._callbacks: list[Callback] = []
        self._signals = _Signals()
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
        self._callbacks = [callback for callback in callbacks if callback is not self]
        found = _checkpoints_in(self.directory)
        if found and not resume:
            raise SaveError(
                f"{self.directory} holds checkpoints of an unfinished run, the last being "
                f"{found[-1].name}. Go on from it with {self.how_to_resume}, or delete the "
                "directory"
            )
        if run.world.is_first:
            _prepare(self.directory)
        if found:
            self._restore(run, found)
        self._saved_at = monotonic()

    def fit_started(self, run: "Run") -> None:
        """Listen to signals."""
        del run
        self._signals.listen()

    def step_ended(self, run: "Run") -> None:
        """Save if it is time, or if a signal came."""
        alone = run.world.is_alone
        if not alone and run.step % _STEPS_BETWEEN_MEETINGS:
            return
        number, due = self._signals.number, self._is_due(run)
        if not alone:
            number = max(run.world.gather(number))
            due = bool(run.world.first(float(due)))
        if number:
            self._leave(run, number)
        elif due:
            self._save(run)

    def epoch_ended(self, run: "Run") -> None:
        """Save."""
        number = max(run.world.gather(self._signals.number))
        if number:
            self._leave(run, number)
        self._save(run, is_best=run.history.best_epoch == len(run.history.epochs) - 1)

    def fit_ended(self, run: "Run") -> None:
        """Wait for the last checkpoint to be written."""
        del run
        self._signals.ignore()
        self._writer.wait()

    # -- saving ------------------------------------------------------------------------------

    def _is_due(self, run: "Run") -> bool:
        if self.every_steps is not None:
            last = _STEPS_BETWEEN_MEETINGS if not run.world.is_alone else 1
            if run.step % self.every_steps < last:
                return True
        minutes = self.every_minutes
        return minutes is not None and monotonic() - self._saved_at >= 60 * minutes

    def _save(self, run: "Run", *, is_best: bool = False) -> None:
        """Copy the state; write it in the background, unless one is being written still."""
        state = self._state(run)
        self._saved_at = monotonic()
        if not run.world.is_first:
            return
        path = self.directory / f"step-{run.step:08d}"
        if is_best:
            self._best = path
        self._writer.start(path, state, after=self._remove_old)

    def _state(self, run: "Run") -> dict[str, Any]:
        return {
            "format_version": _FORMAT_VERSION,
            "fingerprint": run.fingerprint(),
            "best_checkpoint": None if self._best is None else self._best.name,
            "run": run.state(),
            "callbacks": [callback.state() for callback in self._callbacks],
        }

    def _leave(self, run: "Run", number: int) -> None:
        """Save at once and end training."""
        self._save(run)
        failure = self._writer.wait()
        name = signal.Signals(number).name
        place = f"a checkpoint of step {run.step} is in {self.directory}"
        if failure is not None:
            place = f"no checkpoint could be written ({failure}); the last one stays"
        raise TrainingInterrupted(
            f"training was interrupted ({name}) in epoch {run.epoch + 1}; {place}. "
            f"Resume with: {self.how_to_resume}",
            number,
        )

    def _remove_old(self) -> None:
        newest = _checkpoints_in(self.directory)
        for path in newest[: -self.keep]:
            if path != self._best:
                shutil.rmtree(path, ignore_errors=True)

    # -- restoring ---------------------------------------------------------------------------

    def _restore(self, run: "Run", found: Sequence[Path]) -> None:
        state = _newest_readable(found, run.device)
        _require_same(state["fingerprint"], run.fingerprint(), self.directory)
        best = state["best_checkpoint"]
        self._best = None if best is None else self.directory / best
        run.load_state(state["run"])
        for callback, kept in zip(self._callbacks, state["callbacks"], strict=False):
            callback.load_state(kept)


class _Writer:
    """Writes checkpoints one after the other in a thread; remembers what went wrong."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None

    def start(self, path: Path, state: Mapping[str, Any], *, after: Any) -> None:
        """Copy the state's tensors, and begin to write them."""
        self.wait()
        tensors: dict[str, Tensor] = {}
        description = _without_tensors(state, "", tensors)
        # Training goes on and changes the tensors while they are written.
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}

        def write() -> None:
            try:
                _write(path, description, copies)
                after()
            except OSError as error:
                self._failure = error

        self._thread = threading.Thread(target=write, name="tabtext-checkpoint")
        self._thread.start()

    def wait(self) -> OSError | None:
        """Wait for the thread; warn of its failure, and return it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            warnings.warn(
                f"a checkpoint could not be written: {failure}. The one before it is whole, and "
                "training goes on; free some space",
                TabTextWarning,
                stacklevel=2,
            )
        return failure


class _Signals:
    """Remembers the first signal that asks the process to end."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Take over SIGINT and SIGTERM; only a main thread can."""
        self.number = 0
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)

    def ignore(self) -> None:
        """Give both signals back to who had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number:
            raise KeyboardInterrupt
        self.number = number


# -- files ---------------------------------------------------------------------------------------


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of JSON values and tensors; whole or not at all.

    Raises
    ------
    OSError
        If the disk is full or not writable; what stood under other names is as it was.
    """
    tensors: dict[str, Tensor] = {}
    _write(path, _without_tensors(state, "", tensors), tensors)


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what ``write_checkpoint`` wrote.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged, or of a newer version.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "step-00000001"
    >>> write_checkpoint(path, {"format_version": 1, "moments": {0: [torch.ones(2), 0.5]}})
    >>> read_checkpoint(path)["moments"]
    {0: [tensor([1., 1.]), 0.5]}
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        description = json.loads((path / _STATE).read_text(encoding="utf-8"))
        tensors = load((path / _TENSORS).read_bytes())
        state: dict[str, Any] = _with_tensors(description, tensors, device)
        version = int(state["format_version"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArtifactError(f"the checkpoint {path} is damaged: {error!r}") from error
    if version > _FORMAT_VERSION:
        raise ArtifactError(
            f"the checkpoint {path} has format {version}, newer than this version of tabtext reads "
            f"({_FORMAT_VERSION}). Upgrade with: pip install --upgrade tabtext"
        )
    return state


def _write(path: Path, description: Any, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        _write_through(temporary / _STATE, json.dumps(description).encode())
        contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        _write_through(temporary / _TENSORS, save(contiguous))
        if path.exists():  # a run that went back to an older checkpoint comes by again
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it: a rename must not overtake the content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(f"no checkpoints can be kept in {directory}: {error}") from error
    for leftover in directory.glob(".step-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _checkpoints_in(directory: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in directory.glob("step-*") if path.is_dir())


def _newest_readable(found: Sequence[Path], device: torch.device) -> dict[str, Any]:
    for path in reversed(found):
        try:
            return read_checkpoint(path, device)
        except ArtifactError as error:
            if path == found[0]:
                raise
            warnings.warn(f"{error}; the one before it is taken", TabTextWarning, stacklevel=2)
    raise AssertionError("called with at least one checkpoint")


def _require_same(kept: Mapping[str, Any], now: Mapping[str, Any], directory: Path) -> None:
    now = json.loads(json.dumps(now))
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
        for name in ("data", "processes")
        if kept[name] != now[name]
    ]
    if kept["parameters"] != now["parameters"]:
        changes.append("the model has other parameters")
    raise ParameterError(
        f"the checkpoints in {directory} are of another run ({'; '.join(changes)}). Fit with the "
        "same data and settings, or begin anew in another directory"
    )


# -- nested states with tensors in them ------------------------------------------------------------


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """JSON values, in which a tensor is ``{"tensor": name}`` and int keys are marked as such."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        entries = {str(k): _without_tensors(v, f"{name}/{k}", tensors) for k, v in value.items()}
        numbered = bool(value) and all(isinstance(key, int) for key in value)
        return {"numbered": entries} if numbered else {"named": entries}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor], device: torch.device | str) -> Any:
    if isinstance(value, list):
        return [_with_tensors(entry, tensors, device) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]].to(device)
    if "numbered" in value:
        return {int(k): _with_tensors(v, tensors, device) for k, v in value["numbered"].items()}
    return {key: _with_tensors(entry, tensors, device) for key, entry in value["named"].items()}
