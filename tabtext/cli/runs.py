"""What every command that trains does: a free destination, checkpoints beside it, resumption."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tabtext.cli.messages import print_metrics, say
from tabtext.errors import TrainingInterrupted
from tabtext.progress import is_first_process

if TYPE_CHECKING:
    from tabtext.training import Checkpoints

__all__ = ["checkpoints_beside", "given", "save_and_report"]


@contextmanager
def checkpoints_beside(out: Path, *command: str, resume: bool) -> Iterator["Checkpoints"]:
    """Keep checkpoints in ``OUT.checkpoints`` while the block trains; remove them when it is done.

    Parameters
    ----------
    out : Path
        Where the model will be saved.
    *command : str
        The words of the command, such as ``"lm", "train"``, for the line that says how to resume.
    resume : bool
        Whether to go on from them.

    Yields
    ------
    Checkpoints
        For ``fit``.

    Raises
    ------
    typer.Exit
        If a signal ended training after a checkpoint was saved.
    """
    from tabtext.training import Checkpoints

    place = out.resolve()
    checkpoints = Checkpoints(
        place.with_name(f"{place.name}.checkpoints"), how_to_resume=_command_to_resume(command)
    )
    if resume and not checkpoints.directory.exists():
        say(f"no checkpoints in {checkpoints.directory}; training starts from the beginning")
    try:
        yield checkpoints
    except TrainingInterrupted as interruption:  # here, because typer swallows a KeyboardInterrupt
        say(f"\n{interruption}")
        raise typer.Exit(128 + interruption.signal_number) from None  # as shells count signals
    if is_first_process():
        shutil.rmtree(checkpoints.directory, ignore_errors=True)


def save_and_report(model: Any, out: Path) -> None:
    """Save a fitted model, and print where it is, what it left out and what it reached."""
    model.save(out)
    left_out = model.card_["rows"].get("target_missing", 0)
    if left_out:
        say(f"{left_out:,} rows without {', '.join(model.target_names_)} were left out")
    say(f"model: {out}")
    print_metrics(model.card_["metrics"], title="validation")


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given, by the names of the estimators' parameters.

    >>> from tabtext.cli.options import Size
    >>> given(epochs=3, learning_rate=None, size=Size.SMALL)
    {'epochs': 3, 'size': 'small'}
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    # Estimators, and the JSON that they become, know choices as plain text.
    return {
        name: value.value if isinstance(value, StrEnum) else value for name, value in chosen.items()
    }


def _command_to_resume(command: tuple[str, ...]) -> str:
    """The command of this process, with ``--resume``."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    # Options of all commands come before it; an application that calls the command has no name.
    start = arguments.index(command[0]) if command[0] in arguments else 0
    before, behind = arguments[:start], arguments[start + len(command) :]
    # Right after the command's name, because behind a `--` it would be no option.
    return shlex.join([*_own_command(), *before, *command, "--resume", *behind])


def _own_command() -> list[str]:
    """How this program was started, in words that start it again from the same place."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return ["torchrun", f"--nproc-per-node={os.environ['LOCAL_WORLD_SIZE']}", "-m", "tabtext"]
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return [sys.executable, "-m", "tabtext"]
    found = shutil.which("tabtext")
    is_on_path = found is not None and Path(found).resolve() == script.resolve()
    return ["tabtext"] if is_on_path or not script.exists() else [str(script)]
