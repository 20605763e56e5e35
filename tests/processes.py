"""Processes of their own, for runs that are killed or work together, at the price of one import.

:func:`processes_of` starts a process that imports what a script imports, and then only forks: every
run of the script is a process of its own, with its own arguments and environment, that lives and
dies as any other. Importing torch takes longer than most of these runs.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SECONDS = 180  # no run takes more than a few; one that waits for ever is a failure


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it told."""

    code: int
    told: list[str]
    errors: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON of its last line, if it ended well."""
        assert self.code == 0, self.errors
        found: dict[str, Any] = json.loads(self.told[-1])
        return found


class Processes:
    """Runs of a script; see :func:`processes_of`."""

    def __init__(self, parent: "subprocess.Popen[str]") -> None:
        self._parent = parent

    def run(self, *arguments: object) -> Ended:
        """Run one process to its end."""
        return self._run(arguments, [{}])[0]

    def run_together(self, size: int, *arguments: object) -> list[Ended]:
        """Run processes that belong together, as torchrun would start them, to their end."""
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{free_port()}"}
        common = {**place, "WORLD_SIZE": f"{size}"}
        ranks = [{"RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} for rank in range(size)]
        return self._run(arguments, [common | rank for rank in ranks])

    def _run(
        self, arguments: Sequence[object], environments: Sequence[dict[str, str]]
    ) -> list[Ended]:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with TemporaryDirectory() as folder:
            print(
                json.dumps([folder, [*map(str, arguments)], environments]),
                file=self._parent.stdin,
                flush=True,
            )
            codes = json.loads(self._parent.stdout.readline())
            return [
                Ended(
                    code,
                    Path(folder, f"{number}.told").read_text().splitlines(),
                    Path(folder, f"{number}.errors").read_text(),
                )
                for number, code in enumerate(codes)
            ]


def free_port() -> int:
    """A port at which processes may meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def processes_of(script: Path) -> Iterator[Processes]:
    """Keep a process that is there for runs of a script."""
    with subprocess.Popen(
        [sys.executable, __file__, str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        yield Processes(parent)


# ------------------------------------------------------------------------------ the other side


def serve(script: str) -> None:
    """Fork what is asked for, until nobody asks."""
    runpy.run_path(script)  # not as "__main__": it only imports what it needs
    for line in sys.stdin:
        folder, arguments, environments = json.loads(line)
        children = [
            forked([script, *arguments], environment, Path(folder, str(number)))
            for number, environment in enumerate(environments)
        ]
        statuses = [os.waitpid(child, 0)[1] for child in children]
        print(json.dumps([*map(os.waitstatus_to_exitcode, statuses)]), flush=True)


def forked(command: list[str], environment: dict[str, str], output: Path) -> int:
    """Run a script in a process of its own, whose number is returned."""
    child = os.fork()
    if child:
        return child
    signal.alarm(SECONDS)
    sys.argv[:] = command
    os.environ.update(environment)
    for descriptor, suffix in ((1, ".told"), (2, ".errors")):
        os.dup2(os.open(f"{output}{suffix}", os.O_WRONLY | os.O_CREAT), descriptor)
    code = 0
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
