"""Arguments and options that several commands have in common, with what their help says."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "SHORT_HELP",
    "AnyData",
    "AveragingName",
    "BatchSize",
    "Device",
    "Direction",
    "Directions",
    "DropoutScale",
    "Epochs",
    "Exclude",
    "Folds",
    "IgnoreText",
    "Interval",
    "Json",
    "Language",
    "LanguageData",
    "LanguageModelName",
    "LanguageModelOption",
    "LearningRate",
    "MaxTime",
    "ModelDirectory",
    "Occlusion",
    "OutModel",
    "OutputToExplain",
    "OwnDevice",
    "OwnEpochs",
    "OwnSeed",
    "PrecisionName",
    "PredictionsFile",
    "Preset",
    "Presets",
    "Probabilities",
    "Prune",
    "Quiet",
    "Resume",
    "Roles",
    "ScheduleName",
    "Seed",
    "Size",
    "Sizes",
    "TableFile",
    "Targets",
    "Task",
    "TaskKind",
    "TextColumns",
    "TextData",
    "TokenKind",
    "Tokens",
    "UnfrozenEpochs",
    "ValidTable",
    "ValidTexts",
    "Weight",
]

SHORT_HELP = {"help_option_names": ["-h", "--help"]}
"""Settings of every group of commands."""


class Task(StrEnum):
    """What is predicted; ``auto`` looks at the target column."""

    AUTO = "auto"
    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Preset(StrEnum):
    """What a fit may cost; see ``tabtext.estimators.presets``."""

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


class Size(StrEnum):
    """Encoders by name; see ``tabtext.estimators.text_parameters.SIZES``."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Direction(StrEnum):
    """Which way texts are read; ``both`` trains a network for each."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"


class TokenKind(StrEnum):
    """What texts are cut into."""

    WORDS = "words"
    BPE = "bpe"
    UNIGRAM = "unigram"


def _number_or_auto(text: str) -> int | Literal["auto"]:
    """Read a whole number or ``auto``."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a whole number nor 'auto'.") from None


# -- what is read and written ----------------------------------------------------------------------

TableFile = Annotated[Path, typer.Argument(help="CSV or Parquet file.", show_default=False)]
TextData = Annotated[
    Path,
    typer.Argument(
        help="CSV, Parquet, JSONL or .txt file, or a folder of .txt files.", show_default=False
    ),
]
LanguageData = Annotated[
    Path,
    typer.Argument(
        help="CSV, Parquet, JSONL or .txt file, folder of .txt files, or a corpus of lm prepare.",
        show_default=False,
    ),
]
AnyData = Annotated[
    Path,
    typer.Argument(
        help="CSV or Parquet file; for texts also JSONL, .txt or a folder of .txt files.",
        show_default=False,
    ),
]
ModelDirectory = Annotated[
    Path, typer.Argument(help="Directory of a saved model.", show_default=False)
]
# Text, not a path: "./english-small" is a directory, and "english-small" may be a model that ships.
LanguageModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Directory of a saved language model, or the name of one that ships with tabtext.",
        show_default=False,
    ),
]
OutModel = Annotated[Path, typer.Option("--out", help="Directory for the model.")]
PredictionsFile = Annotated[
    Path, typer.Option("--out", help="CSV or Parquet file for the predictions.")
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="One column per class, for a classifier.")
]
Interval = Annotated[
    float | None,
    typer.Option(
        help="Add bounds that hold this share of the true quantities, such as 0.9: two columns "
        "per target, for a regressor of tables."
    ),
]
OutputToExplain = Annotated[
    str | None,
    typer.Option("--output", help="Class or target to explain; default: what is predicted."),
]
Occlusion = Annotated[
    bool, typer.Option("--occlusion", help="Leave out one word after another; slower.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# -- any training ----------------------------------------------------------------------------------

TaskKind = Annotated[Task, typer.Option("--task", help="Kind of target.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the data.")]
OwnEpochs = Annotated[
    # Any, because what is a text to typer is a number or "auto" once it is read.
    Any,
    typer.Option(
        "--epochs",
        parser=_number_or_auto,
        metavar="INTEGER|auto",
        help="Passes over the data, auto: as many as suit its size; default: those of MODEL.",
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="Rows per step.")]
Presets = Annotated[
    Preset | None,
    typer.Option("--preset", help="What the fit may cost; best: five networks. Default: default."),
]
Folds = Annotated[
    int | None,
    typer.Option(
        "--folds", help="Networks, one for each fold of the rows; with --valid, for each seed."
    ),
]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
MaxTime = Annotated[
    str | None, typer.Option(help="Training ends, annealed, within this: 90s, 10min, 2h.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
OwnSeed = Annotated[
    int | None, typer.Option("--seed", help="Seed of everything random; default: that of MODEL.")
]
OwnDevice = Annotated[
    str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1 ...; default: as MODEL.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run was.")]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Write no report.html into the model's directory.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]

# -- tables ----------------------------------------------------------------------------------------

Targets = Annotated[
    list[str],
    typer.Option("--target", help="Column to predict; repeat it for several.", show_default=False),
]
ValidTable = Annotated[
    Path | None, typer.Option("--valid", help="Validation file; default: a random tenth of DATA.")
]
Weight = Annotated[str | None, typer.Option(help="Column with sample weights.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Column to leave out.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="Override a role: COLUMN=categorical, =text ..."),
]
UnfrozenEpochs = Annotated[
    int | None,
    typer.Option(
        "--unfrozen-epochs",
        help="Epochs in which the reading of texts is learned, too. Default: none with a language "
        "model, 4 without.",
        min=0,
    ),
]
IgnoreText = Annotated[
    bool, typer.Option("--ignore-text", help="Leave columns of text out of the model.")
]
LanguageModelOption = Annotated[
    str | None,
    typer.Option(
        "--language-model",
        help="Where the reading of texts begins: directory or name of a language model, or none. "
        "Default: the one that ships.",
    ),
]
Prune = Annotated[
    list[str] | None, typer.Option(help='Keep training rows where this holds: "Sales > 0".')
]
ScheduleName = Annotated[
    str | None, typer.Option(help="one_cycle, sgdr_doubling, cosine, constant ...")
]
AveragingName = Annotated[
    str | None, typer.Option(help="Average of the weights: ema, swa or nt_asgd.")
]
PrecisionName = Annotated[str | None, typer.Option(help="auto, fp32, tf32, bf16 or fp16.")]

# -- texts -----------------------------------------------------------------------------------------

TextColumns = Annotated[
    list[str] | None,
    typer.Option("--text-column", help="Column to read; repeat for several. Default: all texts."),
]
ValidTexts = Annotated[
    Path | None, typer.Option("--valid", help="Validation data; default: a random tenth of DATA.")
]
Sizes = Annotated[Size | None, typer.Option("--size", help="Size of the encoder; default: small.")]
Directions = Annotated[Direction | None, typer.Option("--direction", help="Default: forward.")]
Tokens = Annotated[
    TokenKind | None, typer.Option("--tokens", help="What texts are cut into; default: words.")
]
Language = Annotated[
    str | None, typer.Option(help="Whose rules cut texts into words; default: en, English.")
]
DropoutScale = Annotated[
    float | None, typer.Option(help="What all dropout rates of the encoder are multiplied by.")
]
