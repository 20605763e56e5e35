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
import re
import shutil
import signal
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from tabtext.training.distributed import STEPS_BETWEEN_MEETINGS, first_process_only

if TYPE_CHECKING:
    from tabtext.training.run import Run

__all__ = ["Checkpoints", "read_checkpoint", "write_checkpoint"]

_FORMAT_VERSION = 1
_STATE, _TENSORS = "state.json", "tensors.safetensors"
_REPLACED, _DISCARDED = ".replaced", ".discarded"
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
        self._callbacks: dict[str, Callback] = {}
        self._fingerprint: dict[str, Any] = {}
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
        self._callbacks = _named([callback for callback in callbacks if callback is not self])
        self._fingerprint = run.fingerprint()
        self._best = None
        # Where one process fails, all do: it would leave the others waiting in the first step.
        first_process_only(partial(_complete_replacements, self.directory))
        found = _checkpoints_in(self.directory)
        self._require_same_view(run, found)
        if found and not resume:
            raise SaveError(
                f"{self.directory} holds checkpoints of an unfinished run, the last being "
                f"{found[-1].name}. Go on from it with {self.how_to_resume}, or delete the "
                "directory"
            )
        first_process_only(partial(_prepare, self.directory))
        if found:
            self._restore(run, found)
        self._saved_at = monotonic()

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
        path = self.directory / f"step-{run.step:08d}"
        if run.step_in_epoch == 0 and run.history.best_epoch == run.epoch - 1:
            self._best = path
        state = self._state(run)
        self._saved_at = monotonic()
        if run.world.is_first:
            self._writer.start(path, state, after=partial(self._remove_old, self._best))

    def _state(self, run: "Run") -> dict[str, Any]:
        return {
            "format_version": _FORMAT_VERSION,
            "fingerprint": self._fingerprint,
            "best_checkpoint": None if self._best is None else self._best.name,
            "run": run.state(),
            "callbacks": {name: callback.state() for name, callback in self._callbacks.items()},
        }

    def _leave(self, run: "Run", number: int) -> None:
        """Save at once and end training."""
        self._save(run)
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
        for path in _checkpoints_in(self.directory)[: -self.keep]:
            if path != best:
                _discard(path)

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
            path, state = _newest_readable(found, run.device)
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
                _discard(later)


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
        self._failure: OSError | MemoryError | None = None

    def start(self, path: Path, state: Mapping[str, Any], *, after: Callable[[], None]) -> None:
        """Copy the state's tensors, and begin to write them."""
        self.wait()
        tensors: dict[str, Tensor] = {}
        description = _to_json(_without_tensors(state, "", tensors))
        # Training goes on and changes the tensors while they are written.
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}

        def write() -> None:
            try:
                _write(path, description, copies)
                after()
            except (OSError, MemoryError) as error:
                self._failure = error

        self._thread = threading.Thread(target=write, name="tabtext-checkpoint")
        self._thread.start()

    def wait(self) -> OSError | MemoryError | None:
        """Wait for the thread; warn of its failure, and return it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            warnings.warn(
                f"a checkpoint could not be written: {failure!r}. The one before it is whole, and "
                "training goes on; free some space",
                TabTextWarning,
                stacklevel=2,
            )
        return failure


class _Signals:
    """Remembers the first signal that asks the process to end."""

    def __init__(self) -> None:
        self.number = 0
        self._noted_at = 0.0
        self._one_request = 0.0
        self._before: dict[int, Any] = {}

    def listen(self, *, one_request: float = 0.0) -> None:
        """Take over SIGINT and SIGTERM; only a main thread can.

        Signals within ``one_request`` seconds of the first are the same request.
        """
        self.number, self._one_request = 0, one_request
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)

    def ignore(self) -> int:
        """Give both signals back to who had them; return the one that came, or 0."""
        for number, handler in self._before.items():
            # None: the handler was not Python's, and cannot be had back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        number, self.number = self.number, 0
        return number

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self.number:
            self.number, self._noted_at = number, monotonic()
        elif monotonic() - self._noted_at >= self._one_request:
            raise KeyboardInterrupt


# -- files ---------------------------------------------------------------------------------------


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of JSON values and tensors; whole or not at all.

    Raises
    ------
    OSError
        If the disk is full or not writable; what stood under other names is as it was.
    """
    tensors: dict[str, Tensor] = {}
    description = _to_json(_without_tensors(state, "", tensors))
    # Copies, because safetensors refuses tensors that share memory.
    _write(path, description, {name: tensor.clone() for name, tensor in tensors.items()})


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
    except (*_SIGNS_OF_DAMAGE, SafetensorError) as error:
        raise ArtifactError(f"the checkpoint {path} is damaged: {error!r}") from error
    if version > _FORMAT_VERSION:
        raise _NewerFormatError(
            f"the checkpoint {path} has format {version}, newer than this version of tabtext reads "
            f"({_FORMAT_VERSION}). Upgrade with: pip install --upgrade tabtext"
        )
    return state


class _NewerFormatError(ArtifactError):
    """A checkpoint that is not damaged; an older one beside it is no substitute."""


_SIGNS_OF_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def _to_json(description: Any) -> bytes:
    return json.dumps(description, default=_plain_number).encode()


def _plain_number(value: Any) -> Any:
    """A number of numpy, as metrics often are, as Python's own, which json knows."""
    if not hasattr(value, "item"):
        raise TypeError(f"{value!r} is nothing that a checkpoint can keep; see Callback.state")
    return value.item()


def _write(path: Path, description: bytes, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    replaced = path.with_name(f".{path.name}{_REPLACED}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        _write_through(temporary / _STATE, description)
        contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        _write_through(temporary / _TENSORS, save(contiguous))
        if path.exists():  # the last step of an epoch, and the epoch's end after it
            path.rename(replaced)
        temporary.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        _put_back(replaced, path)
        shutil.rmtree(temporary, ignore_errors=True)


def _put_back(replaced: Path, path: Path) -> None:
    if replaced.exists() and not path.exists():
        replaced.rename(path)


def _discard(path: Path) -> None:
    """Delete a checkpoint; killed midway, it leaves no half of one under its name."""
    hidden = path.with_name(f".{path.name}{_DISCARDED}")
    path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it: a rename must not overtake the content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _complete_replacements(directory: Path) -> None:
    """Put back what a process was about to replace when it was killed."""
    for hidden in directory.glob(f".step-*{_REPLACED}"):
        _put_back(hidden, directory / hidden.name.removeprefix(".").removesuffix(_REPLACED))


def _prepare(directory: Path) -> None:
    """Clear what processes that were killed left behind, and see whether files can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".step-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise SaveError(f"no checkpoints can be kept in {directory}: {error}") from error


def _checkpoints_in(directory: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [path for path in directory.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def _newest_readable(found: Sequence[Path], device: torch.device) -> tuple[Path, dict[str, Any]]:
    for path in reversed(found):
        try:
            return path, read_checkpoint(path, device)
        except _NewerFormatError:
            raise
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
        for name in ("data", "validation", "processes")
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
        entries = {
            str(k): _without_tensors(v, f"{name}/{_escaped(str(k))}", tensors)
            for k, v in value.items()
        }
        numbered = bool(value) and all(isinstance(key, int) for key in value)
        return {"numbered": entries} if numbered else {"named": entries}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]
    return value


def _escaped(key: str) -> str:
    """A key without slashes, as in JSON pointers: ``{"a/b": ...}`` is not ``{"a": {"b": ...}}``."""
    return key.replace("~", "~0").replace("/", "~1")


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
