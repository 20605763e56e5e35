"""``tabtext fit``: a model from a table."""

from typing import TYPE_CHECKING, Any

from tabtext.cli.messages import say
from tabtext.cli.options import (
    AveragingName,
    BatchSize,
    Device,
    Epochs,
    Exclude,
    Folds,
    LearningRate,
    MaxTime,
    OutModel,
    PrecisionName,
    Presets,
    Prune,
    Quiet,
    Resume,
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
from tabtext.cli.runs import checkpoints_beside, given, save_and_report
from tabtext.cli.targets import guess_task
from tabtext.errors import ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

    from tabtext.estimators import TabularClassifier, TabularRegressor

__all__ = ["fit", "new_estimator", "one_or_several", "parse_roles"]


def fit(
    data: TableFile,
    target: Targets,
    out: OutModel,
    task: TaskKind = Task.AUTO,
    valid: ValidTable = None,
    weight: Weight = None,
    exclude: Exclude = None,
    role: Roles = None,
    prune: Prune = None,
    preset: Presets = None,
    folds: Folds = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    schedule: ScheduleName = None,
    averaging: AveragingName = None,
    precision: PrecisionName = None,
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
    from tabtext.tables import read_table

    require_destination(out)  # before the work, not after it
    table = read_table(data)
    model = new_estimator(
        table,
        target,
        task,
        roles=parse_roles(role or []),
        exclude=tuple(exclude or ()),
        prune=tuple(prune or ()),
        random_state=seed,
        device=device,
        verbose=0 if quiet else 1,
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
    with checkpoints_beside(out, "fit", resume=resume) as checkpoints:
        model.fit(
            table,
            target=one_or_several(target),
            sample_weight=weight,
            validation=None if valid is None else read_table(valid),
            checkpoints=checkpoints,
            resume=resume,
        )
        save_and_report(model, out)


def new_estimator(
    table: "pa.Table", targets: list[str], task: Task, **parameters: Any
) -> "TabularClassifier | TabularRegressor":
    """Return the estimator for a target; parameters that are None keep their defaults."""
    from tabtext.estimators import TabularClassifier, TabularRegressor
    from tabtext.tables import require_columns

    require_columns(table, targets)
    if task is Task.AUTO:
        task = guess_task(table, targets)
        say(f"task: {task} (judged by the target; --task overrides)")
    estimator_class = TabularClassifier if task is Task.CLASSIFICATION else TabularRegressor
    return estimator_class(**given(**parameters))


def one_or_several(targets: list[str]) -> str | list[str]:
    """The target columns as ``fit`` takes them."""
    return targets[0] if len(targets) == 1 else targets


def parse_roles(texts: list[str]) -> dict[str, str] | None:
    """``["Store=categorical"]`` as a mapping."""
    roles = {}
    for text in texts:
        column, separator, role = text.rpartition("=")
        if not separator or not column or not role:
            raise ParameterError(f"--role takes COLUMN=ROLE, not {text!r}")
        roles[column] = role
    return roles or None
