"""A preparation in a process of its own, for tests that kill it.

    python corpus_run.py DIRECTORY [--batches N] [--kill-at EVENT]

At the given event of the file system (a file opened for writing, renamed or removed, a directory
made) the process kills itself as ``kill -9`` would. At the end it prints its peak memory in bytes.
"""

import argparse
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabtext.text.corpus import prepare_corpus
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.subwords import SubwordTokenizer

SHARD_BYTES = 200_000


def batches(number: int) -> Iterator[list[str | None]]:
    """Some 200 kB of text in each."""
    for batch in range(number):
        texts: list[str | None] = [
            f"Text {row} of batch {batch}: {'good ' * (row % 40)}" for row in range(1600)
        ]
        yield [*texts, None, "", "映画 👍"]


def kill_at(event: int, directory: Path) -> None:
    """Make the process kill itself at an event of the file system."""
    seen = 0

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = name == "open" and isinstance(arguments[1], str) and arguments[1] != "r"
        if not (writes or name in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")):
            return
        if str(directory) in str(arguments[0]):
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--kill-at", type=int)
    given = parser.parse_args()
    tokenizer = SubwordTokenizer(vocabulary_size=600).trained_on(next(batches(1)))
    if given.kill_at is not None:
        kill_at(given.kill_at, given.directory)
    prepare_corpus(
        batches(given.batches),
        given.directory,
        preprocessor=TextPreprocessor(tokenizer=tokenizer),
        shard_bytes=SHARD_BYTES,
    )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
