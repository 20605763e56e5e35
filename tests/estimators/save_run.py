"""The saving of a text model, killed at every event of the file system, for a test.

    python save_run.py OLD NEW FOLDER

For every event (a file opened for writing, renamed or removed, a directory made), a copy of OLD in
FOLDER/<event>/model is replaced by NEW in a process that kills itself there as ``kill -9`` would.
The last one comes to its end. The number of kills is printed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import tabtext


def kill_at(event: int, folder: Path) -> None:
    """Make the process kill itself at an event in a folder."""
    seen = 0

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = name == "open" and isinstance(arguments[1], str) and arguments[1] != "r"
        if not (writes or name in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")):
            return
        if str(folder) in str(arguments[0]):
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def is_killed(model: Any, event: int, place: Path) -> bool:
    """Save a model in a process of its own, and say whether it was killed."""
    child = os.fork()
    if child == 0:
        kill_at(event, place.parent)
        model.save(place)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main() -> None:
    """Run what the command line asks for."""
    old, new, folder = map(Path, sys.argv[1:])
    model = tabtext.load(new)
    event, killed = 0, True
    while killed:
        event += 1
        place = folder / str(event) / "model"
        shutil.copytree(old, place)
        killed = is_killed(model, event, place)
    print(event - 1)


if __name__ == "__main__":
    main()
