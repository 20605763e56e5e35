"""The ``tabtext`` command: fit, predict, evaluate, inspect, demo.

Only typer is imported at the top; the heavy libraries load inside the commands, so that
``tabtext --help`` answers at once.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabtext.errors import ParameterError, TabTextError, TabTextWarning, TrainingInterrupted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["app", "main"]

app = typer.Typer(
    name="tabtext",
    help="Fit models to tables: from a CSV or Parquet file to a saved model and its predictions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Task(StrEnum):
    """What is predicted; ``auto`` looks at the target column."""

    AUTO = "auto"
    CLASSIFICATION = "classification"
    REGRESSION = "regression"


DataFile = Annotated[Path, typer.Argument(help="CSV or Parquet file.", show_default=False)]
ModelDirectory = Annotated[
    Path, typer.Argument(help="Directory of a saved model.", show_default=False)
]


@app.command()
def fit(
    data: DataFile,
    target: Annotated[
        list[str],
        typer.Option(help="Column to predict; repeat it for several.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Directory for the model.", show_default=False)],
    task: Annotated[Task, typer.Option(help="Kind of target.")] = Task.AUTO,
    valid: Annotated[
        Path | None, typer.Option(help="Validation file; default: a random tenth of DATA.")
    ] = None,
    weight: Annotated[str | None, typer.Option(help="Column with sample weights.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Column to leave out.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="Override a role: COLUMN=categorical.")
    ] = None,
    prune: Annotated[
        list[str] | None, typer.Option(help='Keep training rows where this holds: "Sales > 0".')
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="one_cycle, sgdr_doubling, cosine, constant ...")
    ] = None,
    averaging: Annotated[
        str | None, typer.Option(help="Average of the weights: ema, swa or nt_asgd.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, tf32, bf16 or fp16.")] = None,
    max_time: Annotated[
        str | None, typer.Option(help="Training ends, annealed, within this: 90s, 10min, 2h.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted fit was.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Fit a model on DATA and save it.

    While it trains, checkpoints are kept in OUT.checkpoints; Ctrl-C and SIGTERM save one too.
    """
    from tabtext.artifacts import require_destination
    from tabtext.estimators import TabularClassifier, TabularRegressor
    from tabtext.tables import read_table, require_columns
    from tabtext.training import Checkpoints

    require_destination(out)  # before the work, not after it
    table = read_table(data)
    require_columns(table, target)
    if task is Task.AUTO:
        task = _guess_task(table, target)
        _say(f"task: {task} (judged by the target; --task overrides)")
    chosen = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "averaging": averaging,
        "precision": precision,
        "max_time": max_time,
    }
    estimator_class = TabularClassifier if task is Task.CLASSIFICATION else TabularRegressor
    model = estimator_class(
        roles=_parse_roles(role or []),
        exclude=tuple(exclude or ()),
        prune=tuple(prune or ()),
        random_state=seed,
        device=device,
        verbose=0 if quiet else 1,
    )
    model.set_params(**{name: value for name, value in chosen.items() if value is not None})
    validation = None if valid is None else read_table(valid)
    target_names = target[0] if len(target) == 1 else target
    place = out.resolve()
    checkpoints = Checkpoints(
        place.with_name(f"{place.name}.checkpoints"), how_to_resume=_command_to_resume()
    )
    if resume and not checkpoints.directory.exists():
        _say(f"no checkpoints in {checkpoints.directory}; training starts from the beginning")
    try:
        model.fit(
            table,
            target=target_names,
            sample_weight=weight,
            validation=validation,
            checkpoints=checkpoints,
            resume=resume,
        )
    except TrainingInterrupted as interruption:  # here, because typer swallows a KeyboardInterrupt
        _say(f"\n{interruption}")
        raise typer.Exit(128 + interruption.signal_number) from None  # as shells count signals
    model.save(out)
    _remove(checkpoints.directory)
    _say(f"model: {out}")
    _print_metrics(model.card_["metrics"], title="validation")


@app.command()
def predict(
    model: ModelDirectory,
    data: DataFile,
    out: Annotated[
        Path, typer.Option(help="CSV or Parquet file for the predictions.", show_default=False)
    ],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="One column per class, for a classifier.")
    ] = False,
) -> None:
    """Write a prediction for every row of DATA, in its order."""
    from tabtext.estimators import load
    from tabtext.tables import read_table, write_table

    estimator = load(model)
    table = estimator.predict_table(read_table(data), probabilities=probabilities)
    write_table(table, out)
    _say(f"{table.num_rows:,} rows: {out}")


@app.command()
def evaluate(
    model: ModelDirectory,
    data: DataFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare predictions with the target column that DATA holds."""
    from tabtext.estimators import load
    from tabtext.tables import read_table

    metrics = load(model).evaluate(read_table(data))
    if as_json:
        sys.stdout.write(json.dumps(metrics) + "\n")
    else:
        _print_metrics(metrics, title=str(data))


@app.command()
def inspect(
    model: ModelDirectory,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a saved model's card: data, schema, pruning, training, metrics, versions."""
    from tabtext.artifacts import read_config

    config = read_config(model)
    if as_json:
        sys.stdout.write(json.dumps(config, indent=2) + "\n")
        return
    from tabtext.model_card import print_card

    print_card(config)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Directory for models and report.")] = Path("runs/demo"),
    rows: Annotated[
        int | None, typer.Option(help="Use at most this many training rows.", min=1000)
    ] = None,
) -> None:
    """Fit two models on the flights that ship with tabtext, and write a report."""
    from tabtext.demo import run_demo

    run_demo(out, rows=rows)


def main() -> None:
    """Run the command; errors of tabtext become one line and exit status 2."""
    with _readable_messages():
        app()


@contextmanager
def _readable_messages() -> Iterator[None]:
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


def _guess_task(table: "pa.Table", targets: list[str]) -> Task:
    """Classification for text, categories, booleans and few distinct whole numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    few = 20  # beyond this many levels whole numbers are far more often counts than classes
    for name in targets:
        column = table.column(name)
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return Task.REGRESSION
        if pa.types.is_integer(column.type) and pc.count_distinct(column).as_py() > few:
            return Task.REGRESSION
    return Task.CLASSIFICATION


def _parse_roles(given: list[str]) -> dict[str, str] | None:
    """``["Store=categorical"]`` as a mapping."""
    roles = {}
    for text in given:
        column, separator, role = text.rpartition("=")
        if not separator or not column or not role:
            raise ParameterError(f"--role takes COLUMN=ROLE, not {text!r}")
        roles[column] = role
    return roles or None


def _print_metrics(metrics: dict[str, float], *, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if not _is_first_process():
        return
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.5g}")
    Console().print(table)


def _command_to_resume() -> str:
    """The command of this process, with ``--resume``."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    name, *rest = arguments or ["fit"]
    # Right after the command's name, because behind a `--` it would be no option.
    return shlex.join([*_own_command(), name, "--resume", *rest])


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


def _remove(directory: Path) -> None:
    """Delete a directory that is of no more use, once and for all processes."""
    if _is_first_process():
        shutil.rmtree(directory, ignore_errors=True)


def _is_first_process() -> bool:
    # torchrun says so in the environment; asking torch would load it for every command.
    alone = int(os.environ.get("WORLD_SIZE", "1")) < 2
    return alone or os.environ.get("RANK", "0") == "0"


def _say(text: str) -> None:
    """A line for the person, on stderr, so that stdout stays free for data."""
    if _is_first_process():
        typer.echo(text, err=True)


if __name__ == "__main__":
    main()
