"""The ``tabtext`` command: for tables, for language models, for sentiment, and for any model.

Only typer is imported at the top; the heavy libraries load inside the commands, so that
``tabtext --help`` answers at once.
"""

from typing import Annotated

import typer

from tabtext.cli.explanations import explain
from tabtext.cli.language_models import lm
from tabtext.cli.messages import logging_to_stderr, readable_messages
from tabtext.cli.models import demo, evaluate, inspect, predict
from tabtext.cli.options import SHORT_HELP
from tabtext.cli.reports import report
from tabtext.cli.sentiment import sentiment
from tabtext.cli.tables import fit
from tabtext.cli.tuning import tune

__all__ = ["app", "main"]

app = typer.Typer(
    name="tabtext",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=SHORT_HELP,
)


@app.callback()
def before_any_command(
    context: typer.Context,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True,
            help="Log what happens to stderr, before the command; -vv with details.",
            show_default=False,
        ),
    ] = 0,
) -> None:  # fmt: skip
    """Fit models to tables and texts: from a file to a saved model and its predictions."""
    context.with_resource(logging_to_stderr(verbose))


for command in (fit, tune, predict, evaluate, explain, inspect, report, demo):
    app.command()(command)
app.add_typer(lm, name="lm")
app.add_typer(sentiment, name="sentiment")


def main() -> None:
    """Run the command; errors of tabtext become one line and exit status 2."""
    with readable_messages():
        app()
