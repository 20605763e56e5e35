"""What the commands tell a person: on stderr, so that stdout stays free for data."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from tabtext.errors import TabTextError, TabTextWarning
from tabtext.progress import is_first_process

__all__ = ["logging_to_stderr", "print_json", "print_metrics", "readable_messages", "say"]


def say(text: str) -> None:
    """Write a line to stderr, once for all processes."""
    if is_first_process():
        typer.echo(text, err=True)


def print_metrics(metrics: Mapping[str, float], *, title: str) -> None:
    """Print a table of metrics, once for all processes."""
    from rich.console import Console
    from rich.table import Table

    if not is_first_process():
        return
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.5g}")
    Console().print(table)


def print_json(content: Any, *, indent: int | None = None) -> None:
    """Print JSON on a line, or indented."""
    sys.stdout.write(json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


@contextmanager
def logging_to_stderr(verbosity: int) -> Iterator[None]:
    """Send what tabtext logs within the block to stderr.

    Parameters
    ----------
    verbosity : int
        0 sends nothing, 1 what is logged at INFO, 2 and more also what is logged at DEBUG.
    """
    if not verbosity or not is_first_process():
        yield
        return
    logger = logging.getLogger("tabtext")
    handler = _StandardError()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _StandardError(logging.Handler):
    """What is stderr at the time: while a bar is drawn, that writes above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


@contextmanager
def readable_messages() -> Iterator[None]:
    """Show tabtext's warnings and errors as single lines instead of source and traceback."""
    import warnings

    plain = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *details: Any, **more: Any) -> None:
        if issubclass(category, TabTextWarning):
            typer.secho(f"warning: {message}", fg="yellow", err=True)
        else:
            plain(message, category, *details, **more)

    warnings.showwarning = show
    try:
        yield
    except TabTextError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(2) from None
    finally:
        warnings.showwarning = plain
