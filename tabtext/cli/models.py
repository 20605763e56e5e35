"""Commands for any saved model: predict, evaluate, inspect; and the demonstration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabtext.cli.messages import print_json, print_metrics, say
from tabtext.cli.options import (
    AnyData,
    Interval,
    Json,
    ModelDirectory,
    PredictionsFile,
    Probabilities,
)
from tabtext.errors import ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["demo", "evaluate", "inspect", "predict", "print_evaluation"]


def predict(
    model: ModelDirectory,
    data: AnyData,
    out: PredictionsFile,
    probabilities: Probabilities = False,
    interval: Interval = None,
) -> None:
    """Write a prediction for every row of DATA, in its order."""
    from tabtext.estimators import load
    from tabtext.tables import write_table

    estimator = load(model)
    if not hasattr(estimator, "predict_table"):
        raise ParameterError(
            f"{model} holds a {type(estimator).__name__}, which predicts no target; "
            "see tabtext lm generate and tabtext lm evaluate"
        )
    bounds = {} if interval is None else {"interval": _coverage(interval, model, estimator)}
    rows = _read(data, estimator)
    predicted = estimator.predict_table(rows, probabilities=probabilities, **bounds)
    if data.is_dir():  # a row says which file it is about
        predicted = predicted.add_column(0, "file", rows.column("file"))
    write_table(predicted, out)
    say(f"{predicted.num_rows:,} rows: {out}")


def evaluate(model: ModelDirectory, data: AnyData, as_json: Json = False) -> None:
    """Compare predictions with the target column that DATA holds.

    A language model is judged by its perplexity.
    """
    from tabtext.estimators import load

    print_evaluation(load(model), data, as_json=as_json)


def inspect(model: ModelDirectory, as_json: Json = False) -> None:
    """Print a saved model's card, as its README.md has it: data, training, metrics, use, limits."""
    from tabtext.artifacts import read_card, read_config
    from tabtext.model_card import print_card

    if as_json:
        print_json(read_config(model), indent=2)
    else:
        print_card(read_card(model))


def demo(
    out: Annotated[Path, typer.Option(help="Directory for models and report.")] = Path("runs/demo"),
    rows: Annotated[
        int | None, typer.Option(help="Use at most this many training rows.", min=1000)
    ] = None,
) -> None:
    """Fit models on the flights and sentences that ship with tabtext, and write a report."""
    from tabtext.demo import run_demo

    run_demo(out, rows=rows)


def print_evaluation(estimator: Any, data: Path, *, as_json: bool) -> None:
    """Print the metrics of a model on a file, as a table or as JSON."""
    metrics = estimator.evaluate(data if _is_corpus(data, estimator) else _read(data, estimator))
    if as_json:
        print_json(metrics)
    else:
        print_metrics(metrics, title=str(data))


def _coverage(interval: float, model: Path, estimator: Any) -> float:
    """The share that intervals are to hold, if the model has intervals."""
    if not hasattr(estimator, "predict_interval"):
        raise ParameterError(
            f"--interval {interval:g} is for models of tables that predict quantities, and {model} "
            f"holds a {type(estimator).__name__}; leave it out"
        )
    return interval


def _is_corpus(path: Path, estimator: Any) -> bool:
    """Whether a language model reads what ``tabtext lm prepare`` prepared."""
    from tabtext.text.corpus import is_corpus

    return is_corpus(path) and not hasattr(estimator, "predict_table")


def _read(path: Path, estimator: Any) -> "pa.Table":
    """The rows for a model, read as its own kind of estimator reads them."""
    from tabtext.tables import read_table

    if hasattr(estimator, "schema_") or not hasattr(estimator, "text_columns"):
        return read_table(path)
    from tabtext.text.files import read_text_file

    return read_text_file(path, columns=estimator.preprocessor_.columns_)
