"""``tabtext sentiment``: a classifier or regressor of texts, from a file or a folder of texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabtext.cli.explanations import explanation_for_json, print_explanation
from tabtext.cli.messages import print_json, say
from tabtext.cli.models import predict
from tabtext.cli.options import (
    SHORT_HELP,
    BatchSize,
    Device,
    Directions,
    DropoutScale,
    Epochs,
    Json,
    Language,
    LearningRate,
    MaxTime,
    ModelDirectory,
    NoReport,
    Occlusion,
    OutModel,
    OutputToExplain,
    Quiet,
    Resume,
    Seed,
    Sizes,
    Task,
    TaskKind,
    TextColumns,
    TextData,
    Tokens,
    ValidTexts,
)
from tabtext.cli.reports import report_fit
from tabtext.cli.runs import checkpoints_beside, given, save_and_report
from tabtext.cli.targets import guess_task
from tabtext.errors import ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["sentiment"]

sentiment = typer.Typer(
    help="Sentiment, or any other label or quantity, from texts.",
    no_args_is_help=True,
    context_settings=SHORT_HELP,
)


@sentiment.command()
def fit(
    data: TextData,
    out: OutModel,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Column to predict; repeat it for several. Not for folders of classes."),
    ] = None,
    language_model: Annotated[
        str,
        typer.Option(
            help="Saved language model to start from, or the name of one that ships; auto for "
            "english-small where the other options allow it, none for random weights."
        ),
    ] = "auto",
    task: TaskKind = Task.AUTO,
    text_column: TextColumns = None,
    valid: ValidTexts = None,
    weight: Annotated[str | None, typer.Option(help="Column with sample weights.")] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Rare classes count as much as frequent ones.")
    ] = False,
    size: Sizes = None,
    direction: Directions = None,
    tokens: Tokens = None,
    language: Language = None,
    dropout_scale: DropoutScale = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model on the labelled texts of DATA and save it.

    DATA is a CSV, Parquet or JSONL file with the column TARGET, or a folder with a folder of .txt
    files for each class, such as pos and neg. While it trains, checkpoints are kept in
    OUT.checkpoints; Ctrl-C and SIGTERM save one too.
    """
    from tabtext.artifacts import require_destination
    from tabtext.estimators.text import TextClassifier, TextRegressor
    from tabtext.estimators.text_inputs import read_labelled_texts
    from tabtext.tables import require_columns

    require_destination(out)  # before the work, not after it
    if language_model not in ("auto", "none"):
        _refuse_with_language_model({"--size": size, "--tokens": tokens, "--language": language})
    columns = text_column or ()
    table = read_labelled_texts(data, columns=columns)
    targets = target or _label_of_folder(data, table)
    require_columns(table, targets)
    if task is Task.AUTO:
        task = guess_task(table, targets)
        say(f"task: {task} (judged by the target; --task overrides)")
    is_classification = task is Task.CLASSIFICATION
    if balanced and not is_classification:
        raise ParameterError("--balanced is for classes, and this target is a quantity")
    model = (TextClassifier if is_classification else TextRegressor)(
        language_model=None if language_model == "none" else language_model,
        text_columns=text_column,
        random_state=seed,
        device=device,
        verbose=0 if quiet else 1,
    )
    model.set_params(
        **given(
            class_weight="balanced" if balanced else None,
            size=size,
            direction=direction,
            tokens=tokens,
            language=language,
            dropout_scale=dropout_scale,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_time=max_time,
        )
    )
    with checkpoints_beside(out, "sentiment", "fit", resume=resume) as checkpoints:
        model.fit(
            table,
            target=targets[0] if len(targets) == 1 else targets,
            sample_weight=weight,
            validation=None if valid is None else read_labelled_texts(valid, columns=columns),
            checkpoints=checkpoints,
            resume=resume,
        )
        save_and_report(model, out)
    report_fit(model, out, table, valid, wanted=not no_report)


sentiment.command()(predict)


@sentiment.command()
def explain(
    model: ModelDirectory,
    text: Annotated[str, typer.Argument(help="The text to look at.", show_default=False)],
    output: OutputToExplain = None,
    occlusion: Occlusion = False,
    as_json: Json = False,
) -> None:
    """Show which words of TEXT speak for the prediction of MODEL, and which against it."""
    from tabtext.estimators import TextClassifier, TextRegressor, load

    estimator = load(model)
    if not isinstance(estimator, TextClassifier | TextRegressor):
        raise ParameterError(
            f"{model} holds a {type(estimator).__name__}; words are explained for text classifiers "
            "and regressors, and by tabtext explain for rows of tables that hold texts"
        )
    found = estimator.explain(text, output=output, method="occlusion" if occlusion else "gradient")
    if as_json:
        print_json(explanation_for_json(found))
    else:
        print_explanation(found)


def _label_of_folder(path: Path, table: "pa.Table") -> list[str]:
    """The column of classes that a folder's subfolders gave."""
    from tabtext.text.files import LABEL

    if path.is_dir():
        if LABEL in table.column_names:
            return [LABEL]
        raise ParameterError(
            f"{path} holds texts without classes; put them into a folder for each class, such as "
            "pos and neg"
        )
    raise ParameterError(
        f"name the column to predict with --target; {path} has {', '.join(table.column_names)}"
    )


def _refuse_with_language_model(options: dict[str, object]) -> None:
    """Raise for options that would have no effect beside ``--language-model``."""
    useless = [name for name, value in options.items() if value is not None]
    if useless:
        raise ParameterError(
            f"{', '.join(useless)} cannot be chosen with --language-model, which brings its own "
            "encoder and tokens; leave it out"
        )
