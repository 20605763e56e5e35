"""Where models are found: those that ship with tabtext, saved ones, and those of the Hub.

    tabtext/pretrained/
      english-small-v1/  an artifact, as LanguageModel.save(..., packed=True) writes it
        README.md        from which texts it learned, how, and under which licence it is
        checksums.json   SHA-256 of all other files

A name, ``"english-small"``, is the newest version of that name; ``"english-small-v1"`` is one.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from tabtext.errors import ArtifactError, MissingFileError, ParameterError, did_you_mean
from tabtext.text.storage import write_json

__all__ = [
    "model_directory",
    "pretrained_directory",
    "pretrained_names",
    "verify",
    "write_checksums",
]

SHIPPED = Path(__file__).resolve().parent.parent / "pretrained"
"""Where the wheel, and a checkout, have the models."""

_CHECKSUMS = "checksums.json"
_ARTIFACT_FILES = (
    "README.md",
    _CHECKSUMS,
    "config.json",
    "*.safetensors",
    "preprocessor/*.json",
    "preprocessor/*.arrow",
)
"""All that an artifact has; nothing else of a repository is fetched."""

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_VERSIONED = re.compile(r"(?P<name>.+)-v(?P<version>\d+)")


def pretrained_names() -> list[str]:
    """Return the names of the language models that ship with this installation.

    Examples
    --------
    >>> all(model_directory(name).is_dir() for name in pretrained_names())
    True
    """
    return sorted({name for name, _ in _versions()})


def model_directory(name_or_path: str | Path) -> Path:
    """Return the directory of a model that ships, or that was saved.

    Parameters
    ----------
    name_or_path : str or Path
        The name of a model that ships, with or without its version; or a directory. A ``str`` that
        is both is the name: write ``./english-small`` for a directory of your own.

    Raises
    ------
    ParameterError
        If nothing ships under this name, and there is no such directory; or if this is neither a
        name nor a path.

    Examples
    --------
    >>> model_directory("englsh-smal")
    Traceback (most recent call last):
    tabtext.errors.ParameterError: no saved model at englsh-smal, and ...
    """
    if not isinstance(name_or_path, str | os.PathLike):  # numbers would be open files to os.path
        raise ParameterError(
            f"{name_or_path!r} names no language model; give the directory that save() wrote, or "
            f"the name of one that ships with tabtext: {', '.join(pretrained_names())}"
        )
    versions = _versions()
    if isinstance(name_or_path, str):
        found = [
            (version, directory)
            for (name, version), directory in versions.items()
            if name_or_path in (name, directory.name)
        ]
        if found:
            return max(found)[1]
    # os.path.exists says no to a text that is too long for a path; Path.exists raises.
    if os.path.exists(name_or_path):
        return Path(name_or_path)
    names, given = pretrained_names(), str(name_or_path)[:200] or "''"
    remedy = "Give the directory that save() wrote"
    if not names:
        raise ParameterError(
            f"no saved model at {given}, and no model ships with this installation of tabtext. "
            f"{remedy}"
        )
    raise ParameterError(
        f"no saved model at {given}, and no model of that name ships with tabtext. "
        f"{remedy}, or a name: {', '.join(names)}{did_you_mean(str(name_or_path), names)}"
    )


def pretrained_directory(name_or_path: str | Path, *, revision: str | None = None) -> Path:
    """Return the directory of a model that ships, was saved, or is in a repository of the Hub.

    Parameters
    ----------
    name_or_path : str or Path
        As for ``model_directory``; what looks like ``"user/name"``, where there is no directory
        ``user``, is looked for on the Hugging Face Hub. What was fetched stays in the Hub's cache.
    revision : str, optional
        Branch, tag or commit of a repository.

    Raises
    ------
    ParameterError
        If there is nothing of this name, or ``huggingface_hub`` is not installed.
    MissingFileError
        If the Hub does not hand the repository out.

    Examples
    --------
    >>> pretrained_directory("english-small").name
    'english-small-v1'
    """
    if isinstance(name_or_path, str) and _is_repository(name_or_path):
        return _downloaded(name_or_path, revision)
    if revision is not None:
        raise ParameterError(
            f"revision={revision!r} is for repositories of the Hub, and {str(name_or_path)!r} is "
            "none; leave it out, or give 'user/name'"
        )
    return model_directory(name_or_path)


def _is_repository(name: str) -> bool:
    """Whether this may be one; where there is a directory ``user``, it is a slip of the pen."""
    return bool(_REPOSITORY.fullmatch(name)) and not os.path.exists(name.split("/")[0])


def _downloaded(repository: str, revision: str | None) -> Path:
    """Fetch the files of an artifact from the Hub, or find them in its cache."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ParameterError(
            f"no saved model at {repository}; to look for it on the Hugging Face Hub, install its "
            "package with: pip install 'tabtext[hub]'"
        ) from error
    try:
        place = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=list(_ARTIFACT_FILES)
        )
    except (OSError, ValueError) as error:  # among them all that the package raises of its own
        raise MissingFileError(
            f"no saved model at {repository}, and the Hugging Face Hub has none to give: {error}"
        ) from error
    return Path(place)


def verify(directory: str | Path) -> None:
    """See whether the files of a model are those that its ``checksums.json`` was written for.

    For tests and for doubts. Loading does not do this: it would take as long as the loading.

    Raises
    ------
    MissingFileError
        If ``checksums.json`` or a file that it names is not there.
    ArtifactError
        If a file differs, or the checksums cannot be read.

    Examples
    --------
    >>> for name in pretrained_names():
    ...     verify(model_directory(name))
    """
    directory = Path(directory)
    path = directory / _CHECKSUMS
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; write_checksums(directory) writes it")
    try:
        expected = dict(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is damaged ({error!r}); reinstall tabtext") from error
    for name, checksum in expected.items():
        if not (directory / name).is_file():
            raise MissingFileError(f"{directory / name} is missing; reinstall tabtext")
        if _checksum(directory / name) != checksum:
            raise ArtifactError(
                f"{directory / name} is not the file that {_CHECKSUMS} was written for; reinstall "
                "tabtext, or restore a copy"
            )


def write_checksums(directory: str | Path) -> None:
    """Write ``checksums.json`` into the directory of a model, when all else is there.

    Raises
    ------
    SaveError
        If writing fails.

    Examples
    --------
    >>> import tempfile
    >>> directory = Path(tempfile.mkdtemp())
    >>> _ = (directory / "README.md").write_text("A model.")
    >>> write_checksums(directory)
    >>> verify(directory)
    """
    directory = Path(directory)
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    checksums = {
        path.relative_to(directory).as_posix(): _checksum(path)
        for path in files
        if path.name != _CHECKSUMS
    }
    write_json(directory / _CHECKSUMS, {"sha256": checksums})


def _versions() -> dict[tuple[str, int], Path]:
    """Name and version of every model that ships -> its directory."""
    found = {}
    for config in SHIPPED.glob("*/config.json"):
        if match := _VERSIONED.fullmatch(config.parent.name):
            found[match["name"], int(match["version"])] = config.parent
    return found


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
