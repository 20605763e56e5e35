"""Saved models: one directory, written whole or not at all, read without running any code.

    model/
      config.json          what was saved: format version, library version, estimator, parameters
      preprocessor/        how columns are coded: JSON and Arrow IPC
      weights.safetensors  the network's tensors
      README.md            the model's card, for people and for the Hugging Face Hub

Format 1 has the tensors as they are. Format 2 has them packed, which ``"packing"`` in config.json
names (see ``tabtext.packing``): versions of tabtext that know nothing of it refuse it for its
number.

README.md is derived from config.json (see ``tabtext.model_card``) and never read. What belongs on
the card beside it, such as ``license`` and ``attribution``, goes into ``card_`` before saving.

A directory is first written beside its destination and renamed when complete, so that a full disk
or a killed process never leaves half an artifact under its name. Where an older artifact stands,
two renames follow each other; a process killed between them leaves both, whole, in hidden siblings.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tabtext import __version__
from tabtext.errors import ArtifactError, MissingFileError, SaveError
from tabtext.model_card import ModelCard, card_of, to_markdown
from tabtext.packing import PACKING, pack, unpack

__all__ = [
    "ARTIFACT",
    "FORMAT_VERSION",
    "Kind",
    "read_card",
    "read_config",
    "read_tensors",
    "read_weights",
    "require_destination",
    "whole_directory",
    "write_artifact",
    "write_tensors",
]

_log = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""The highest that this version reads. It writes 1 where it can, which all versions read."""

_UNPACKED, _PACKED = 1, 2

_CONFIG = "config.json"
_WEIGHTS = "weights.safetensors"
README = "README.md"
_BESIDE = {README, "checksums.json"}
"""What describes the model, and counts for nothing in its size."""


@dataclass(frozen=True)
class Kind:
    """A kind of directory, by what it is known from others, which are not to be replaced.

    Parameters
    ----------
    file : str
        A JSON file in it.
    entries : frozenset of str
        What that file holds at least; others, too, have a ``config.json``.

    Examples
    --------
    >>> ARTIFACT.is_that_of(Path("no such directory"))
    False
    """

    file: str
    entries: frozenset[str]

    def is_that_of(self, directory: Path) -> bool:
        """Whether this directory is one of this kind."""
        try:
            found = json.loads((directory / self.file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(found, Mapping) and self.entries <= found.keys()


ARTIFACT = Kind(_CONFIG, frozenset({"format_version", "tabtext_version"}))


@contextmanager
def write_artifact(
    directory: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    packed: bool = False,
) -> Iterator[Path]:
    """Write an artifact directory; it appears under its name when the block ends.

    The block receives the temporary directory and adds what else belongs to the artifact.

    Parameters
    ----------
    directory : Path
        Where the artifact will stand. An artifact that already stands there is replaced as a whole:
        whatever was put into its directory, or changed in its README.md, is about the old one.
    config : mapping
        What is needed to rebuild the estimator, JSON types only.
    weights : mapping of str to Tensor
        The network's ``state_dict``.
    packed : bool
        Write large matrices as int8, see ``tabtext.packing``.

    Yields
    ------
    Path
        The temporary directory, with ``config.json`` and ``weights.safetensors`` written.

    Raises
    ------
    SaveError
        If writing fails (disk full, no permission), or if ``directory`` holds something that is
        not an artifact. What stood there is left as it was.
    DataError
        If weights that are NaN or infinite were to be packed.

    Examples
    --------
    >>> import tempfile, torch
    >>> folder = Path(tempfile.mkdtemp()) / "model"
    >>> with write_artifact(folder, {"estimator": "Example"}, {"w": torch.ones(2)}) as temporary:
    ...     _ = (temporary / "notes.txt").write_text("anything that belongs to the model")
    >>> read_config(folder)["estimator"], read_weights(folder)["w"].tolist()
    ('Example', [1.0, 1.0])
    """
    tensors = pack(weights) if packed else weights
    with whole_directory(directory, kind=ARTIFACT) as temporary:
        header = _header(packed=packed)
        (temporary / _CONFIG).write_text(json.dumps({**header, **config}, indent=2) + "\n")
        write_tensors(temporary / _WEIGHTS, tensors)
        yield temporary
        if "card" in config:
            readme = to_markdown(_card(temporary, {**header, **config}, Path(directory).name))
            (temporary / README).write_text(readme, encoding="utf-8")
    _log.info("saved %s: %s", config.get("estimator", "a model"), directory)


@contextmanager
def whole_directory(directory: Path, *, kind: Kind) -> Iterator[Path]:
    """Write a directory that appears under its name when the block ends, or not at all.

    Parameters
    ----------
    directory : Path
        Where it will stand. What already stands there is replaced if it is of the same kind.
    kind : Kind
        What will stand there.

    Yields
    ------
    Path
        The temporary directory, beside the other one.

    Raises
    ------
    SaveError
        As ``write_artifact``.
    """
    directory = Path(directory).absolute()
    require_destination(directory, kind=kind)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        raise SaveError(f"cannot write to {directory.parent}: {error}") from error
    try:
        yield temporary
        # mkdtemp makes private directories; an artifact is as readable as its surroundings.
        temporary.chmod(directory.parent.stat().st_mode & 0o777)
        _replace(directory, temporary)
    except (OSError, UnicodeError) as error:  # Arrow writes to no path that is not UTF-8
        raise SaveError(
            f"the model was not saved to {directory}: {error}. "
            "Nothing half-written was left; free some space or choose another place."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_config(directory: Path) -> dict[str, Any]:
    """Read and check ``config.json`` of an artifact.

    Raises
    ------
    MissingFileError
        If there is no directory or no ``config.json`` in it.
    ArtifactError
        If the file is damaged, or was written by a newer format version.
    """
    directory = Path(directory)
    path = directory / _CONFIG
    if not path.is_file():
        raise MissingFileError(
            f"no saved model at {directory}: {_CONFIG} is missing. "
            "Give the directory that save() wrote."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = config["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is damaged ({error}); save the model again or restore a copy"
        ) from error
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ArtifactError(
            f"{directory} has artifact format {version} (written by tabtext "
            f"{config.get('tabtext_version', 'unknown')}); tabtext {__version__} reads formats up "
            f"to {FORMAT_VERSION}. Upgrade with: pip install --upgrade tabtext"
        )
    return dict(config)


def read_card(directory: Path) -> ModelCard:
    """Read what the model of an artifact tells about itself.

    Raises
    ------
    MissingFileError, ArtifactError
        As ``read_config``; also if the card is damaged.
    """
    directory = Path(directory)
    config = read_config(directory)
    try:
        return _card(directory, config, directory.resolve().name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"the card in {directory / _CONFIG} is damaged ({error!r}); save the model again or "
            "restore a copy"
        ) from error


def read_weights(directory: Path, config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
    """Read the weights of an artifact, on the CPU, as they were before they were packed.

    Parameters
    ----------
    directory : Path
        The artifact.
    config : mapping, optional
        What ``read_config`` returned of it; read again if it is not given.

    Raises
    ------
    MissingFileError, ArtifactError
        As ``read_config`` and ``read_tensors``; also if the packing is unknown.
    """
    directory = Path(directory)
    packing = (read_config(directory) if config is None else config).get("packing")
    if packing not in (None, PACKING):
        raise ArtifactError(
            f"the weights in {directory} are packed as {packing!r}; tabtext {__version__} knows "
            f"{PACKING!r}. Upgrade with: pip install --upgrade tabtext"
        )
    tensors = read_tensors(directory / _WEIGHTS)
    return tensors if packing is None else unpack(tensors)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as a safetensors file; ``OSError`` if the disk is full."""
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Serialised in memory first: safetensors' own writer reports a full disk as a bare string.
    path.write_bytes(save(contiguous))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, on the CPU.

    Raises
    ------
    MissingFileError
        If the file is not there.
    ArtifactError
        If the file is truncated or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not path.is_file():
        raise MissingFileError(f"{path} is missing; the saved model is incomplete")
    try:
        return load(path.read_bytes())
    except (SafetensorError, ValueError) as error:
        raise ArtifactError(
            f"{path} is damaged or truncated ({error}); save the model again or restore a copy"
        ) from error


def require_destination(directory: Path, *, kind: Kind = ARTIFACT) -> None:
    """Raise ``SaveError`` unless this may be written there: the place is free, empty, or has one.

    A repository is not replaced, whatever it holds: its history would be lost.
    """
    if not os.path.exists(directory):  # says no to a name that is too long; Path.exists raises
        return
    if not directory.is_dir():
        raise SaveError(f"{directory} is a file; choose another place for the model")
    if any(directory.iterdir()) and not kind.is_that_of(directory):
        raise SaveError(
            f"{directory} holds other files and no saved model, so it is not replaced; "
            "choose another place or empty it first"
        )
    if (directory / ".git").exists():
        raise SaveError(
            f"{directory} is a Git repository, whose history is not to be replaced; "
            "choose another place, and copy the files from there"
        )


def _card(directory: Path, config: Mapping[str, Any], name: str) -> ModelCard:
    """The card, with the size of all that it describes."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in _BESIDE)
    return card_of(config, name=name, n_bytes=sum(path.stat().st_size for path in files))


def _header(*, packed: bool) -> dict[str, Any]:
    """What every config begins with."""
    version = _PACKED if packed else _UNPACKED
    header = {"format_version": version, "tabtext_version": __version__}
    return {**header, "packing": PACKING} if packed else header


def _replace(directory: Path, temporary: Path) -> None:
    """Put ``temporary`` in the place of ``directory``; put the old one back if that fails."""
    if not directory.exists():
        temporary.rename(directory)
        return
    # A directory that is not empty cannot be renamed over: step aside, move in, clean up.
    aside = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}.old."))
    previous = directory.rename(aside / directory.name)
    try:
        temporary.rename(directory)
    except OSError:
        previous.rename(directory)
        aside.rmdir()
        raise
    shutil.rmtree(aside)
