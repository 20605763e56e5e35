"""``tabtext fit``: a model from a table, which may hold texts."""

from typing import TYPE_CHECKING, Any

from tabtext.cli.messages import say
from tabtext.cli.options import (
    AveragingName,
    BatchSize,
    Device,
    Epochs,
    Exclude,
    Folds,
    IgnoreText,
    LanguageModelOption,
    LearningRate,
    MaxTime,
    NoReport,
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
    UnfrozenEpochs,
    ValidTable,
    Weight,
)
from tabtext.cli.reports import report_fit
from tabtext.cli.runs import checkpoints_beside, given, save_and_report
from tabtext.cli.targets import guess_task
from tabtext.errors import ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

    from tabtext.estimators import (
        TabTextClassifier,
        TabTextRegressor,
        TabularClassifier,
        TabularRegressor,
    )

    Estimator = TabTextClassifier | TabTextRegressor | TabularClassifier | TabularRegressor

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
    ignore_text: IgnoreText = False,
    language_model: LanguageModelOption = None,
    unfrozen_epochs: UnfrozenEpochs = None,
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
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model on the table DATA and save it.

    Columns that read like prose, or are given --role COLUMN=text, are read as text.

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
        ignore_text=ignore_text,
        weight=weight,
        roles=parse_roles(role or []),
        exclude=tuple(exclude or ()),
        prune=tuple(prune or ()),
        language_model=language_model,
        unfrozen_epochs=unfrozen_epochs,
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
    report_fit(model, out, table, valid, wanted=not no_report)


def new_estimator(
    table: "pa.Table",
    targets: list[str],
    task: Task,
    *,
    ignore_text: bool = False,
    weight: str | None = None,
    roles: dict[str, str] | None = None,
    exclude: tuple[str, ...] = (),
    language_model: str | None = None,
    unfrozen_epochs: int | None = None,
    **parameters: Any,
) -> "Estimator":
    """Return the estimator for a table and its targets; parameters that are None keep defaults.

    Parameters
    ----------
    table : pyarrow.Table
        Training rows.
    targets : list of str
        Columns to predict.
    task : Task
        What is predicted; ``AUTO`` looks at the targets.
    ignore_text : bool
        Whether columns of text are left out.
    weight : str, optional
        Column of sample weights.
    roles, exclude
        See ``tabtext.tabular.schema.infer_schema``.
    language_model : str, optional
        Where the reading of texts begins: a name or directory, ``"auto"`` or ``"none"``.
    unfrozen_epochs : int, optional
        Epochs in which the reading of texts is learned, too.
    **parameters
        Those that all of the estimators have.
    """
    from tabtext import estimators
    from tabtext.tables import require_columns

    require_columns(table, targets)
    if task is Task.AUTO:
        task = guess_task(table, targets)
        say(f"task: {task} (judged by the target; --task overrides)")
    texts = _text_columns(table, targets, weight=weight, roles=roles, exclude=exclude)
    known = given(roles=roles, exclude=exclude, **parameters)
    is_classes = task is Task.CLASSIFICATION
    if texts and not ignore_text:
        shown = ", ".join(texts)
        say(f"columns of text: {shown} (a model of table and texts; --ignore-text leaves them out)")
        known |= given(unfrozen_epochs=unfrozen_epochs)
        if language_model is not None:
            known["language_model"] = None if language_model == "none" else language_model
        with_texts = estimators.TabTextClassifier if is_classes else estimators.TabTextRegressor
        return with_texts(**known)
    of_texts = given(language_model=language_model, unfrozen_epochs=unfrozen_epochs)
    if of_texts:
        name, value = next(iter(of_texts.items()))
        raise ParameterError(
            f"--{name.replace('_', '-')} {value} is for texts, and no column is read as text; name "
            "one with --role COLUMN=text, or leave the option out"
        )
    known["exclude"] = (*exclude, *texts)
    without = estimators.TabularClassifier if is_classes else estimators.TabularRegressor
    return without(**known)


def _text_columns(
    table: "pa.Table",
    targets: list[str],
    *,
    weight: str | None,
    roles: dict[str, str] | None,
    exclude: tuple[str, ...],
) -> list[str]:
    """The columns that the schema takes for text; whatever else it finds, the fit tells."""
    import warnings

    from tabtext.errors import TabTextWarning
    from tabtext.tabular.schema import Role, infer_schema

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabTextWarning)
        schema = infer_schema(table, targets=targets, weight=weight, roles=roles, exclude=exclude)
    return schema.names(Role.TEXT)


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
