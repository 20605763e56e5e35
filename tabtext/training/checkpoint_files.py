"""The files of a checkpoint: written whole or not at all, read without running any code.

<directory>/
step-00001200/        one checkpoint; under this name only when complete
state.json          position, history, settings; where a tensor belongs, its name
tensors.safetensors weights, averages, optimizer moments, states of random generators
"""

import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tabtext.errors import ArtifactError, SaveError, TabTextWarning

__all__ = [
    "FORMAT_VERSION",
    "checkpoints_in",
    "complete_replacements",
    "copied",
    "discard",
    "newest_readable",
    "prepare_directory",
    "read_checkpoint",
    "to_json",
    "write_checkpoint",
    "write_files",
]

FORMAT_VERSION = 1

_STATE, _TENSORS = "state.json", "tensors.safetensors"
_REPLACED, _DISCARDED = ".replaced", ".discarded"


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of JSON values and tensors; whole or not at all.

    Raises
    ------
    OSError
        If the disk is full or not writable; what stood under other names is as it was.
    """
    write_files(path, *copied(state))


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
    if version > FORMAT_VERSION:
        raise _NewerFormatError(
            f"the checkpoint {path} has format {version}, newer than this version of tabtext reads "
            f"({FORMAT_VERSION}). Upgrade with: pip install --upgrade tabtext"
        )
    return state


class _NewerFormatError(ArtifactError):
    """A checkpoint that is not damaged; an older one beside it is no substitute."""


_SIGNS_OF_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def copied(state: Mapping[str, Any]) -> tuple[bytes, dict[str, Tensor]]:
    """Return what ``write_files`` writes: the state as JSON, and copies of its tensors on the CPU.

    Copies, because training may change the tensors while they are written, and because safetensors
    refuses those that share memory.
    """
    tensors: dict[str, Tensor] = {}
    description = to_json(_without_tensors(state, "", tensors))
    return description, {
        name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()
    }


def to_json(description: Any) -> bytes:
    """Return JSON, numbers of numpy as Python's; ``TypeError`` for what a file cannot hold."""
    return json.dumps(description, default=_plain_number).encode()


def _plain_number(value: Any) -> Any:
    """A number of numpy, as metrics often are, as Python's own, which json knows."""
    if not hasattr(value, "item"):
        raise TypeError(f"{value!r} is nothing that a checkpoint can keep; see Callback.state")
    return value.item()


def write_files(path: Path, description: bytes, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint beside its place, and rename it when it is whole; ``OSError`` if not."""
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
        _sync_directory(path.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        _put_back(replaced, path)
        shutil.rmtree(temporary, ignore_errors=True)


def _put_back(replaced: Path, path: Path) -> None:
    if replaced.exists() and not path.exists():
        replaced.rename(path)


def discard(path: Path) -> None:
    """Delete a checkpoint; killed midway, it leaves no half of one under its name."""
    hidden = path.with_name(f".{path.name}{_DISCARDED}")
    path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _sync_directory(directory: Path) -> None:
    """Wait until the disk has the names in a directory, without which a file is lost as well."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it: a rename must not overtake the content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def complete_replacements(directory: Path) -> None:
    """Put back what a process was about to replace when it was killed."""
    for hidden in directory.glob(f".step-*{_REPLACED}"):
        _put_back(hidden, directory / hidden.name.removeprefix(".").removesuffix(_REPLACED))


def prepare_directory(directory: Path) -> None:
    """Clear what processes that were killed left behind, and see whether files can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".step-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise SaveError(f"no checkpoints can be kept in {directory}: {error}") from error


def checkpoints_in(directory: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [path for path in directory.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def newest_readable(found: Sequence[Path], device: torch.device) -> tuple[Path, dict[str, Any]]:
    """Return the newest checkpoint that is whole, with a warning for those that are not.

    Raises
    ------
    ArtifactError
        If all are damaged, or the newest is of a newer version.
    """
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
