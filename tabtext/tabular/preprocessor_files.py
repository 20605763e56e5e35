"""The files of a saved preprocessor: ``preprocessor.json`` and ``categories.arrow``.

The JSON holds parameters, schema and continuous encoders (floats keep every digit); the Arrow file
holds the categories, one row per column, in their own types.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabtext.errors import ArtifactError, MissingFileError, SaveError, TabTextError
from tabtext.tabular.encoders import CategoricalEncoder, ContinuousEncoder
from tabtext.tabular.storage import read_rows, write_rows

__all__ = ["damage_named", "read", "write"]

_CONFIG, _CATEGORIES = "preprocessor.json", "categories.arrow"


def write(
    directory: Path,
    config: Mapping[str, Any],
    categorical: Sequence[CategoricalEncoder],
    continuous: Sequence[ContinuousEncoder],
) -> None:
    """Write both files; ``SaveError`` if that fails."""
    content = {**config, "continuous": [encoder.to_dict() for encoder in continuous]}
    rows = [
        {"name": encoder.name, "values": encoder.categories, "with_gaps": encoder.with_gaps}
        for encoder in categorical
    ]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _CONFIG).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SaveError(f"{directory / _CONFIG} was not written: {error}") from error
    write_rows(directory / _CATEGORIES, rows, {"n_columns": len(rows)})


def read(
    directory: Path,
) -> tuple[dict[str, Any], list[CategoricalEncoder], list[ContinuousEncoder]]:
    """Read both files.

    Raises
    ------
    MissingFileError
        If one is not there.
    ArtifactError
        If one is damaged.
    """
    path = directory / _CONFIG
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; the saved preprocessor is incomplete")
    rows, header = read_rows(directory / _CATEGORIES)
    with damage_named(directory):
        config = json.loads(path.read_text(encoding="utf-8"))
        continuous = [ContinuousEncoder.from_dict(values) for values in config["continuous"]]
        categorical = [
            CategoricalEncoder(row["name"], row["values"], bool(row["with_gaps"])) for row in rows
        ]
        if len(rows) != header["n_columns"]:
            raise ArtifactError(f"{directory / _CATEGORIES} lacks columns")
        return dict(config), categorical, continuous


@contextmanager
def damage_named(directory: Path) -> Iterator[None]:
    """Turn what malformed content runs into to an ``ArtifactError`` that names the directory."""
    try:
        yield
    except TabTextError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"the preprocessor in {directory} is damaged ({error!r}); save the model again or "
            "restore a copy"
        ) from error
