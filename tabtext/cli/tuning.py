"""``tabtext tune``: the parameters with which a model for a table does best."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabtext.cli.messages import print_json, say
from tabtext.cli.options import (
    AveragingName,
    BatchSize,
    Device,
    Epochs,
    Exclude,
    Json,
    LearningRate,
    PrecisionName,
    Presets,
    Prune,
    Roles,
    ScheduleName,
    Seed,
    TableFile,
    Targets,
    Task,
    TaskKind,
    ValidTable,
    Weight,
)
from tabtext.cli.runs import given, save_and_report
from tabtext.cli.tables import new_estimator, one_or_several, parse_roles

if TYPE_CHECKING:
    from tabtext.tuning import TuningResult

__all__ = ["tune"]

_SHOWN = 5  # trials beside each other, in 80 columns


def tune(
    data: TableFile,
    target: Targets,
    trials: Annotated[
        int, typer.Option(help="Trials in total, those of earlier runs included.", min=1)
    ] = 30,
    study: Annotated[
        Path | None,
        typer.Option(
            help="SQLite file that keeps the trials: the same command goes on with them, also in "
            "several processes at once. Default: in memory."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for a model with the best parameters.")
    ] = None,
    task: TaskKind = Task.AUTO,
    valid: ValidTable = None,
    monitor: Annotated[
        str | None, typer.Option(help="Score: valid_loss (default), rmse, accuracy, roc_auc ...")
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(help="No trial begins that would not be over within this: 90s, 10min, 2h."),
    ] = None,
    weight: Weight = None,
    exclude: Exclude = None,
    role: Roles = None,
    prune: Prune = None,
    preset: Presets = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    schedule: ScheduleName = None,
    averaging: AveragingName = None,
    precision: PrecisionName = None,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for every trial.")] = False,
    as_json: Json = False,
) -> None:
    """Search for the parameters with which a model for the table DATA does best.

    The first trial has the settings of tabtext fit. All are judged by the same validation rows,
    which no trial learns from, nor the model that --out saves. Ctrl-C keeps what is in STUDY.
    """
    from tabtext import tuning
    from tabtext.artifacts import require_destination
    from tabtext.estimators import TabularRegressor
    from tabtext.tables import read_table
    from tabtext.tuning.search import require_one_network

    if out is not None:
        require_destination(out)  # before the work, not after it
    require_one_network(TabularRegressor(**given(preset=preset)))  # classifiers have the same
    table = read_table(data)
    model = new_estimator(
        table,
        target,
        task,
        ignore_text=True,  # a search over them would read all texts in every trial
        roles=parse_roles(role or []),
        exclude=tuple(exclude or ()),
        prune=tuple(prune or ()),
        monitor=monitor,
        random_state=seed,
        device=device,
        verbose=0 if quiet else 1,
        preset=preset,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        averaging=averaging,
        precision=precision,
    )
    try:
        result = tuning.tune(
            model,
            table,
            target=one_or_several(target),
            sample_weight=weight,
            validation=None if valid is None else read_table(valid),
            n_trials=trials,
            study=study,
            max_time=max_time,
        )
    except KeyboardInterrupt:
        say("\ninterrupted; " + _what_remains(study))
        raise typer.Exit(130) from None  # as shells count signals
    if as_json:
        print_json(_as_json(result))
    else:
        print_trials(result)
    if out is not None:
        _fit_best(result, out, as_json=as_json)


def print_trials(result: "TuningResult") -> None:
    """Print the best trials beside each other, and what each parameter matters."""
    from rich.console import Console
    from rich.table import Table

    complete = result.trials[result.trials["state"] == "complete"]
    ranked = complete.sort_values("score", ascending=not result.greater_is_better, kind="stable")
    shown = list(ranked.index[:_SHOWN])
    if 0 in complete.index and 0 not in shown:  # to compare with: the estimator's own settings
        shown[-1] = 0
    states = ", ".join(f"{n} {name}" for name, n in result.trials["state"].value_counts().items())
    table = Table(title=f"best of {len(result.trials)} trials: {states}", title_justify="left")
    table.add_column("trial")
    for number in shown:
        table.add_column(f"{number} (own)" if number == 0 else str(number), justify="right")
    if result.importances is not None:
        table.add_column("importance", justify="right")
    for name in result.trials.columns.drop("state"):
        cells = [_cell(complete.loc[number, name]) for number in shown]
        if result.importances is not None:
            share = result.importances.get(name)
            cells.append("" if share is None else f"{share:.0%}")
        label = result.monitor if name == "score" else name
        table.add_row(label, *cells, end_section=name == "seconds")
    Console().print(table)


def _fit_best(result: "TuningResult", out: Path, *, as_json: bool) -> None:
    """Fit and save the best model, unless another process of the same search does."""
    if result.others_finish:
        say("another process ended the search and saves its model; the same again saves one here")
        return
    say(f"fitting with the parameters of trial {result.best_trial}")
    model = result.best_estimator()
    if as_json:
        model.save(out)
        say(f"model: {out}")
    else:
        save_and_report(model, out)


def _what_remains(study: Path | None) -> str:
    if study is None:
        return "the trials are lost; --study FILE keeps them"
    return f"{study} keeps the trials that ended, and the same command goes on"


def _cell(value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return "-"
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _as_json(result: "TuningResult") -> dict[str, Any]:
    from tabtext.estimators.plain_values import plain

    trials = result.trials.reset_index().astype(object)
    rows = trials.where(trials.notna(), None).to_dict("records")
    return {
        "monitor": result.monitor,
        "best_trial": result.best_trial,
        "best_score": result.best_score,
        "best_parameters": plain(result.best_parameters),
        "importances": result.importances,
        "trials": [{name: plain(value) for name, value in row.items()} for row in rows],
    }
