"""``tabtext report``, and the report that a fit leaves in its model's directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabtext.cli.messages import say
from tabtext.cli.options import ModelDirectory
from tabtext.errors import MissingFileError, TabTextError
from tabtext.progress import is_first_process

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FILE_NAME", "report", "report_fit"]

FILE_NAME = "report.html"
"""The report of a fit, in the directory of its model."""

_CHOSE_EPOCH = "which also chose the best epoch, so that new rows will do a little worse"
_OUT_OF_FOLD = "the rows of the fit, each predicted by the network that had not learned from it"


def report(
    model: ModelDirectory,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Rows to judge the model on: CSV or Parquet file; for texts also JSONL or a "
            "folder of .txt files. Without it: what the model knows of itself.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path(FILE_NAME),
    train: Annotated[
        Path | None, typer.Option(help="File that the model was fitted on, to describe it.")
    ] = None,
    learning_rate_finder: Annotated[
        bool, typer.Option("--learning-rate-finder", help="Run one; for models of tables.")
    ] = False,
    unit: Annotated[str, typer.Option(help="Unit of the target, for the labels.")] = "",
    rows: Annotated[
        int | None, typer.Option(help="Judge at most so many rows, drawn at random.", min=1)
    ] = None,
) -> None:
    """Write a report of MODEL as one HTML file: how good, on what grounds, how it came to be."""
    from tabtext.estimators import load
    from tabtext.reports import write_report

    for path in (data, train):
        if path is not None and not path.exists():
            raise MissingFileError(f"no such file: {path}")
    estimator = load(model)
    write_report(
        estimator,
        data,
        out,
        train=train,
        learning_rate_finder=learning_rate_finder,
        description="" if data is None else data.name,
        unit=unit,
        max_rows=rows,
    )
    say(f"report: {out}")


def report_fit(
    model: Any, out: Path, data: "pa.Table | None", valid: Path | None, *, wanted: bool
) -> None:
    """Write the report of a fit into its model's directory, once for all processes.

    A report that fails leaves the model as it is, and a line that says why.

    Parameters
    ----------
    model : fitted estimator
        What was saved.
    out : Path
        Its directory.
    data : pyarrow.Table or None
        The rows of the fit, some of which it may have set aside.
    valid : Path or None
        The file of validation rows.
    wanted : bool
        Whether to write one at all.
    """
    if not wanted or not is_first_process():
        return
    from tabtext.reports import write_report

    judged, description, predictions = _rows_to_judge(model, data, valid)
    path = out / FILE_NAME
    try:
        write_report(
            model,
            judged,
            path,
            train=data if hasattr(model, "schema_") else None,
            predictions=predictions,
            description=description,
        )
    except TabTextError as error:
        say(f"no report was written: {error}")
    else:
        say(f"report: {path}")


def _rows_to_judge(model: Any, data: "pa.Table | None", valid: Path | None) -> tuple[Any, str, Any]:
    """The rows that the networks did not learn from, what they are, and predictions for them."""
    if not hasattr(model, "target_") or data is None:
        return None, "", None
    if valid is not None:
        return valid, f"{valid.name}, {_CHOSE_EPOCH}", None
    if model.validation_rows_ is not None:
        rows = data.take(model.validation_rows_)
        return rows, f"those that the fit set aside at random, {_CHOSE_EPOCH}", None
    if hasattr(model, "out_of_fold_predictions_"):
        return data, _OUT_OF_FOLD, model.out_of_fold_predictions_
    return None, "", None
