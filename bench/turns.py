"""Sides that stay alive and do their work when it is their turn, each in a process of its own.

``harness.compare`` starts a process for every run; where starting up takes longer than the work, a
side rather waits between its turns. The two ends speak in lines of JSON: the side says that it is
ready, the script asks for a turn, the side answers with its seconds.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import harness


def wait_for_turns(work: Callable[[], float]) -> None:
    """Do the work once to warm up, then whenever asked, until there is nobody who asks.

    Parameters
    ----------
    work : callable
        Does what is measured and returns its seconds.
    """
    answers = sys.stdout
    with redirect_stdout(sys.stderr):  # whatever a package prints is no answer
        work()
        print(json.dumps("ready"), file=answers, flush=True)
        for _ in sys.stdin:
            print(json.dumps(work()), file=answers, flush=True)


class Worker:
    """The script's end of a side that waits for its turns.

    Parameters
    ----------
    command : sequence of str
        Starts the side, which calls ``wait_for_turns`` and then ``harness.report``.

    Attributes
    ----------
    is_absent : bool
        The side's package is not installed.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ready = self._process.stdout.readline()
        self.is_absent = not ready and self._process.wait() == harness.ABSENT
        if not ready and not self.is_absent:
            raise self._failure()

    def turn(self) -> float:
        """Let the side work once; return its seconds."""
        self._process.stdin.write("turn\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> dict[str, Any]:
        """Say that there are no more turns; return what the side reports."""
        self._process.stdin.close()
        answer: dict[str, Any] = self._answer()
        self._process.wait()
        return answer

    def kill(self) -> None:
        """End the side, if it still runs."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        return json.loads(line)

    def _failure(self) -> RuntimeError:
        return RuntimeError(f"{' '.join(self._command)} ended with {self._process.wait()}")
