"""``tabtext lm``: train a language model, fine-tune it, score texts with it, have it write some."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabtext.cli.messages import print_json, say
from tabtext.cli.models import print_evaluation
from tabtext.cli.options import (
    SHORT_HELP,
    BatchSize,
    Device,
    Directions,
    DropoutScale,
    Epochs,
    Json,
    Language,
    LanguageData,
    LanguageModelName,
    LearningRate,
    MaxTime,
    NoReport,
    OutModel,
    OwnDevice,
    OwnEpochs,
    OwnSeed,
    Quiet,
    Resume,
    Seed,
    Sizes,
    TextColumns,
    Tokens,
    ValidTexts,
)
from tabtext.cli.reports import report_fit
from tabtext.cli.runs import checkpoints_beside, given, save_and_report
from tabtext.errors import ParameterError

if TYPE_CHECKING:
    from tabtext.text.preprocessing import TextPreprocessor

__all__ = ["lm"]

lm = typer.Typer(
    help="Language models: prepare, train, fine-tune, evaluate, generate.",
    no_args_is_help=True,
    context_settings=SHORT_HELP,
)


@lm.command()
def prepare(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, Parquet, JSONL or .txt files, or folders of them.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory for the corpus.")],
    text_column: TextColumns = None,
    language: Language = None,
    max_vocabulary: Annotated[
        int | None, typer.Option(help="Most distinct tokens; default: 60,000.")
    ] = None,
    min_frequency: Annotated[
        int | None, typer.Option(help="Rarer tokens become unknown; default: 3.")
    ] = None,
    tokenizer_of: Annotated[
        str | None,
        typer.Option(help="Model or corpus that cuts the texts: for a model to be fine-tuned."),
    ] = None,
    vocabulary_of: Annotated[
        str | None,
        typer.Option(help="Model or corpus whose vocabulary is kept too: for validation, tests."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Read bytes that are no UTF-8 as U+FFFD.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Prepare texts that are larger than memory for training: a corpus of tokens on disk.

    Give OUT to lm train, lm fine-tune or lm evaluate as DATA. After an interruption, the same
    command goes on.
    """
    from tabtext.text.corpus import prepare_corpus
    from tabtext.text.document_view import DocumentView

    preprocessor = _preprocessor(
        text_column, language, max_vocabulary, min_frequency, tokenizer_of, vocabulary_of
    )
    try:
        corpus = prepare_corpus(
            data,
            out,
            preprocessor=preprocessor,
            errors="replace" if replace else "strict",
            verbose=0 if quiet else 1,
        )
    except KeyboardInterrupt:
        say("\ninterrupted; the same command goes on where this one was")
        raise typer.Exit(128 + signal.SIGINT) from None  # as shells count signals
    unknown = DocumentView(corpus.documents).unknown_share()
    say(
        f"{len(corpus.documents):,} texts, {corpus.documents.n_tokens:,} tokens, vocabulary of "
        f"{len(corpus.preprocessor.vocabulary_):,}; {unknown:.2%} unknown"
    )
    say(f"corpus: {out}")


@lm.command()
def train(
    data: LanguageData,
    out: OutModel,
    valid: ValidTexts = None,
    text_column: TextColumns = None,
    size: Sizes = None,
    direction: Directions = None,
    tokens: Tokens = None,
    language: Language = None,
    max_vocabulary: Annotated[
        int | None, typer.Option(help="Most distinct tokens; default: 60,000.")
    ] = None,
    softmax: Annotated[
        str | None, typer.Option(help="full, or adaptive: faster for large vocabularies.")
    ] = None,
    dropout_scale: DropoutScale = None,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, typer.Option(help="Streams of text per step.")] = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """Train a language model on the texts of DATA and save it.

    While it trains, checkpoints are kept in OUT.checkpoints; Ctrl-C and SIGTERM save one too.
    """
    from tabtext.artifacts import require_destination
    from tabtext.estimators.language_model import LanguageModel

    require_destination(out)  # before the work, not after it
    model = LanguageModel(random_state=seed, device=device, verbose=0 if quiet else 1)
    model.set_params(
        **given(
            text_columns=text_column,
            size=size,
            direction=direction,
            tokens=tokens,
            language=language,
            max_vocabulary=max_vocabulary,
            softmax=softmax,
            dropout_scale=dropout_scale,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_time=max_time,
        )
    )
    with checkpoints_beside(out, "lm", "train", resume=resume) as checkpoints:
        model.fit(data, validation=valid, checkpoints=checkpoints, resume=resume)
        save_and_report(model, out)
    report_fit(model, out, None, valid, wanted=not no_report)


@lm.command()
def fine_tune(
    model: LanguageModelName,
    data: LanguageData,
    out: OutModel,
    valid: ValidTexts = None,
    text_column: TextColumns = None,
    epochs: OwnEpochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    dropout_scale: DropoutScale = None,
    max_time: MaxTime = None,
    seed: OwnSeed = None,
    device: OwnDevice = None,
    resume: Resume = False,
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """Go on from the language model MODEL with the texts of DATA, and save it as a new one.

    Words that both know keep what was learned of them. What is not given is as it was for MODEL.
    """
    from tabtext.artifacts import require_destination
    from tabtext.estimators.language_model import LanguageModel

    require_destination(out)  # before the work, not after it
    origin = LanguageModel.from_pretrained(model)
    origin.set_params(
        **given(
            random_state=seed,
            device=device,
            text_columns=text_column,
            batch_size=batch_size,
            dropout_scale=dropout_scale,
        )
    )
    with checkpoints_beside(out, "lm", "fine-tune", resume=resume) as checkpoints:
        tuned = origin.fine_tune(
            data,
            epochs=epochs,
            learning_rate=learning_rate,
            max_time=max_time,
            verbose=0 if quiet else 1,
            validation=valid,
            checkpoints=checkpoints,
            resume=resume,
        )
        save_and_report(tuned, out)
    report_fit(tuned, out, None, valid, wanted=not no_report)


@lm.command()
def evaluate(model: LanguageModelName, data: LanguageData, as_json: Json = False) -> None:
    """Print how well the language model MODEL foresees the texts of DATA: its perplexity.

    Perplexities of models with different vocabularies do not compare; the share of unknown tokens
    says how much MODEL does not have to foresee.
    """
    from tabtext.estimators.language_model import LanguageModel

    print_evaluation(LanguageModel.from_pretrained(model), data, as_json=as_json)


@lm.command()
def generate(
    model: LanguageModelName,
    prompt: Annotated[str, typer.Option(help="How the texts begin.")] = "",
    n: Annotated[int, typer.Option("--n", help="How many texts.", min=1)] = 1,
    length: Annotated[int, typer.Option(help="Longest continuation in tokens.", min=1)] = 50,
    temperature: Annotated[
        float, typer.Option(help="Below 1 more of the likely, above 1 more of the unlikely.")
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw from so many likeliest tokens.")] = None,
    top_p: Annotated[
        float, typer.Option(help="Draw from the likeliest tokens with this probability together.")
    ] = 0.95,
    beams: Annotated[
        int | None,
        typer.Option(help="Search for the likeliest text with so many beams, draw nothing."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Continue a text with the language model MODEL."""
    from tabtext.estimators.language_model import LanguageModel
    from tabtext.text.restoration import without_controls

    texts = LanguageModel.from_pretrained(model).generate(
        prompt,
        n_tokens=length,
        n_texts=n,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        n_beams=beams,
        random_state=seed,
    )
    if as_json:
        print_json(texts)
    else:
        sys.stdout.write("\n\n".join(map(without_controls, texts)) + "\n")


def _preprocessor(
    text_columns: list[str] | None,
    language: str | None,
    max_vocabulary: int | None,
    min_frequency: int | None,
    tokenizer_of: str | None,
    vocabulary_of: str | None,
) -> "TextPreprocessor":
    """What cuts and numbers the texts of a corpus, from the options of ``prepare``."""
    from tabtext.estimators.pretrained import model_directory
    from tabtext.text.preprocessing import TextPreprocessor
    from tabtext.text.tokenization import Tokenizer, WordTokenizer

    limits = {"--max-vocabulary": max_vocabulary, "--min-frequency": min_frequency}
    if vocabulary_of is not None:
        others = {**limits, "--language": language, "--tokenizer-of": tokenizer_of}
        _refuse_beside("--vocabulary-of", {**others, "--text-column": text_columns})
        return TextPreprocessor.load(model_directory(vocabulary_of) / "preprocessor")
    tokenizer: Tokenizer = WordTokenizer(**given(language=language))
    if tokenizer_of is not None:
        _refuse_beside("--tokenizer-of", {"--language": language})
        learned = TextPreprocessor.load(model_directory(tokenizer_of) / "preprocessor")
        tokenizer = learned.tokenizer_
    return TextPreprocessor(
        tokenizer=tokenizer,
        columns=text_columns,
        **given(max_size=max_vocabulary, min_freq=min_frequency),
    )


def _refuse_beside(option: str, others: dict[str, object]) -> None:
    """Raise for options that would have no effect beside another."""
    if useless := [name for name, value in others.items() if value is not None]:
        raise ParameterError(
            f"{', '.join(useless)} cannot be chosen with {option}, which brings its own; leave "
            "it out"
        )
