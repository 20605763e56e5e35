"""The ``tabtext`` command: for tables, for language models, for sentiment, and for any model.

Only typer is imported at the top; the heavy libraries load inside the commands, so that
``tabtext --help`` answers at once.
"""

import typer

from tabtext.cli import language_models, models, sentiment, tables
from tabtext.cli.messages import readable_messages

__all__ = ["app", "main"]

_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="tabtext",
    help="Fit models to tables and texts: from a file to a saved model and its predictions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
for command in (tables.fit, models.predict, models.evaluate, models.inspect, models.demo):
    app.command()(command)

lm = typer.Typer(help="Language models: train, fine-tune, evaluate, generate.")
for command in (
    language_models.train,
    language_models.fine_tune,
    language_models.evaluate,
    language_models.generate,
):
    lm.command()(command)

sentiment_of_texts = typer.Typer(help="Sentiment, or any other label or quantity, from texts.")
for command in (sentiment.fit, sentiment.predict, sentiment.explain):
    sentiment_of_texts.command()(command)

for name, group in (("lm", lm), ("sentiment", sentiment_of_texts)):
    app.add_typer(group, name=name, no_args_is_help=True, context_settings=_SETTINGS)


def main() -> None:
    """Run the command; errors of tabtext become one line and exit status 2."""
    with readable_messages():
        app()
