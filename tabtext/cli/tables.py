"""``tabtext fit``: a model from a table."""

from pathlib import Path
from typing import Annotated

import typer

from tabtext.cli.messages import say
from tabtext.cli.options import (
    BatchSize,
    Device,
    Epochs,
    Folds,
    LearningRate,
    MaxTime,
    OutModel,
    Presets,
    Quiet,
    Resume,
    Seed,
    TableFile,
    Task,
    TaskKind,
)
from tabtext.cli.runs import checkpoints_beside, given, save_and_report
from tabtext.cli.targets import guess_task
from tabtext.errors import ParameterError

__all__ = ["fit"]


def fit(
    data: TableFile,
    target: Annotated[
        list[str],
        typer.Option(help="Column to predict; repeat it for several.", show_default=False),
    ],
    out: OutModel,
    task: TaskKind = Task.AUTO,
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
    preset: Presets = None,
    folds: Folds = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    schedule: Annotated[
        str | None, typer.Option(help="one_cycle, sgdr_doubling, cosine, constant ...")
    ] = None,
    averaging: Annotated[
        str | None, typer.Option(help="Average of the weights: ema, swa or nt_asgd.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, tf32, bf16 or fp16.")] = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model on the table DATA and save it.

    While it trains, checkpoints are kept in OUT.checkpoints; Ctrl-C and SIGTERM save one too.
    """
    from tabtext.artifacts import require_destination
    from tabtext.estimators import TabularClassifier, TabularRegressor
    from tabtext.tables import read_table, require_columns

    require_destination(out)  # before the work, not after it
    table = read_table(data)
    require_columns(table, target)
    if task is Task.AUTO:
        task = guess_task(table, target)
        say(f"task: {task} (judged by the target; --task overrides)")
    estimator_class = TabularClassifier if task is Task.CLASSIFICATION else TabularRegressor
    model = estimator_class(
        roles=_parse_roles(role or []),
        exclude=tuple(exclude or ()),
        prune=tuple(prune or ()),
        random_state=seed,
        device=device,
        verbose=0 if quiet else 1,
    )
    model.set_params(
        **given(
            preset=preset,
            n_folds=folds,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            averaging=averaging,
            precision=precision,
            max_time=max_time,
        )
    )
    with checkpoints_beside(out, "fit", resume=resume) as checkpoints:
        model.fit(
            table,
            target=target[0] if len(target) == 1 else target,
            sample_weight=weight,
            validation=None if valid is None else read_table(valid),
            checkpoints=checkpoints,
            resume=resume,
        )
        save_and_report(model, out)


def _parse_roles(texts: list[str]) -> dict[str, str] | None:
    """``["Store=categorical"]`` as a mapping."""
    roles = {}
    for text in texts:
        column, separator, role = text.rpartition("=")
        if not separator or not column or not role:
            raise ParameterError(f"--role takes COLUMN=ROLE, not {text!r}")
        roles[column] = role
    return roles or None
