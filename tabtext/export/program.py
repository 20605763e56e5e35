"""A torch module to an ONNX program: the one place that calls the exporter."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tabtext.artifacts import Kind, whole_directory
from tabtext.errors import ParameterError

__all__ = ["DESCRIPTION", "PROGRAM", "require_exporter", "write_export"]

PROGRAM, DESCRIPTION = "model.onnx", "preprocessor.json"

# A preprocessor's folder has a file of this name, too, but no output.
_EXPORT = Kind(DESCRIPTION, frozenset({"tabtext_version", "output"}))

_OPSET = 18  # of December 2022: old enough for every runtime in use, and it has all that is needed


def require_exporter(directory: str | Path) -> Path:
    """Return where to export to, if this installation can export at all.

    Raises
    ------
    ParameterError
        If the packages of ``tabtext[onnx]`` are not there, or torch is too old; or if the name is
        that of a file.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if not hasattr(torch.onnx, "ops"):
        missing.append("torch 2.8 or newer")
    if missing:
        raise ParameterError(
            f"an ONNX program needs {' and '.join(missing)}, which is not installed; install it "
            "with: pip install 'tabtext[onnx]'"
        )
    directory = Path(directory)
    if directory.suffix == ".onnx":
        raise ParameterError(
            f"{directory} is the name of a file; give a directory, which gets {PROGRAM} and, "
            f"beside it, {DESCRIPTION}"
        )
    return directory


@contextmanager
def write_export(
    directory: Path,
    module: nn.Module,
    example: Mapping[str, Tensor],
    *,
    output: str,
    dynamic: Mapping[str, Mapping[int, str]],
    description: Mapping[str, Any],
) -> Iterator[Path]:
    """Write a module and its description; the directory appears, whole, when the block ends.

    Parameters
    ----------
    directory : Path
        Where it will stand. An earlier export that stands there is replaced.
    module : nn.Module
        Returns one tensor.
    example : mapping of str to Tensor
        Its arguments, by name, with at least two rows.
    output : str
        What the tensor is called.
    dynamic : mapping of str to mapping of int to str
        For each argument the axes that may have any length, and their names.
    description : mapping
        Content of ``preprocessor.json``.

    Yields
    ------
    Path
        The temporary directory, for further files.

    Raises
    ------
    SaveError
        If writing fails, or the place is taken by something else; nothing half-written is left.
    """
    with whole_directory(directory, kind=_EXPORT) as temporary:
        text = json.dumps(description, indent=1, ensure_ascii=False)
        (temporary / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        with _quiet(), torch.no_grad():
            module.eval()(**example)  # what is kept from call to call is computed before tracing
            program = torch.onnx.export(
                module,
                kwargs=dict(example),
                input_names=list(example),
                output_names=[output],
                dynamic_shapes=_dynamic_shapes(dynamic, list(example)),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
            if program is None:  # not reachable: only the older exporter returns nothing
                raise RuntimeError("torch returned no program")
            program.save(temporary / PROGRAM)
        yield temporary


def _dynamic_shapes(
    dynamic: Mapping[str, Mapping[int, str]], inputs: Sequence[str]
) -> dict[str, dict[int, Any]]:
    """The axes as the exporter names them, one object for each name; in the order of the inputs."""
    names = dict.fromkeys(name for axes in dynamic.values() for name in axes.values())
    dimensions = {name: torch.export.Dim(name) for name in names}
    return {
        argument: {axis: dimensions[name] for axis, name in dynamic[argument].items()}
        for argument in inputs
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what torch says of its own parts: deprecated ones, and torchvision's."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
