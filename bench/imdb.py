"""Sentiment of IMDb reviews, official split: tabtext beside linear models and fastText.

*Reduced recipe*, for two CPU cores: 5,000 training reviews; 1,000 other training reviews choose
settings and epochs; all 25,000 test reviews are scored once for each row of the table. tabtext
trains a small language model on reviews without their labels, then a classifier on top of it, in
about ten minutes together. ``--full`` is the recipe for a GPU: all training reviews but those
1,000, the large encoder, forward and backward.

Every side runs in a process of its own. ``fit seconds`` is the fit that was chosen, preparation of
the texts included; ``all seconds`` also holds the fits with other settings that were tried, and
their validation. ``1 review ms`` is the median of ``predict`` on single reviews.

    TABTEXT_DATA=... python bench/imdb.py
    TABTEXT_DATA=... python bench/imdb.py --full --runs 1
    TABTEXT_BENCH_FASTTEXT=/path/to/its/python ...         # fastText in its own environment:
        python -m venv peers && peers/bin/pip install fasttext-wheel numpy

``--pretrained`` names a saved language model (``tabtext lm train`` makes one, of Wikipedia for
example) from which tabtext's is fine-tuned; the time that it took is not in the table. ``--trial``
shows within two minutes whether all works, and writes no result.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import harness
import numpy as np
import text_data
from text_baselines import BASELINES, Fitted

VALID_ROWS = 1_000
TIMED_REVIEWS = 200
TABTEXT, WITHOUT_LANGUAGE_MODEL = "tabtext", "tabtext without language model"
SIDES = [*BASELINES, TABTEXT, WITHOUT_LANGUAGE_MODEL]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What tabtext does. Reviews for the language model are read in the order of the file."""

    rows: int = 5_000
    size: str = "small"
    direction: str = "forward"
    max_vocabulary: int = 30_000
    softmax: str = "adaptive"
    language_model_rows: int = 20_000  # about what can be read in the time, once each
    language_model_time: str | None = "5min"
    language_model_epochs: int = 1
    classifier_time: str | None = "5min"
    pretrained: str | None = None


FULL = Recipe(
    rows=24_000,
    size="large",
    direction="both",
    max_vocabulary=60_000,
    softmax="full",
    language_model_rows=80_000,
    language_model_time=None,
    language_model_epochs=10,
    classifier_time=None,
)
"""All training reviews but those that validate; all unlabelled ones."""

TRIAL = Recipe(rows=200, language_model_rows=400, language_model_time="10s", classifier_time="10s")
TRIAL_VALID_ROWS, TRIAL_TEST_ROWS = 100, 300


# --- sides ----------------------------------------------------------------------------------


def fit_tabtext(folder: Path, train, valid, recipe: Recipe, *, with_language_model: bool) -> Fitted:
    """Language model, then classifier, with tabtext's own defaults."""
    from tabtext import TextClassifier

    started = time.perf_counter()
    details: dict[str, float] = {}
    language_model = None
    if with_language_model:
        language_model = fit_language_model(folder, valid, recipe)
        details["language model seconds"] = round(time.perf_counter() - started, 1)
        history = next(iter(language_model.histories_.values()))
        perplexity = history.epochs[history.best_epoch].metrics["perplexity"]
        details["language model perplexity"] = round(perplexity, 2)  # of the validation reviews
    classifier_started = time.perf_counter()
    encoder_and_tokens = {"size": recipe.size, "max_vocabulary": recipe.max_vocabulary}
    if language_model is not None:  # has both of its own
        encoder_and_tokens = {}
    model = TextClassifier(
        language_model=language_model,
        direction=recipe.direction,
        **encoder_and_tokens,
        max_time=recipe.classifier_time,
        random_state=harness.seed(),
        verbose=0,
    )
    model.fit(*train, validation=valid)
    seconds = time.perf_counter() - classifier_started
    details["classifier seconds"] = round(seconds, 1)
    whole = seconds + details.get("language model seconds", 0.0)
    epochs = ", ".join(
        f"epoch {history.best_epoch + 1} of {len(history.epochs)}"
        for history in model.histories_.values()
    )
    return Fitted(model.predict, epochs, whole, details)


def fit_language_model(folder: Path, valid, recipe: Recipe):
    from tabtext import LanguageModel

    reviews = text_data.read_lines(folder / "unlabelled.jsonl", rows=recipe.language_model_rows)
    texts = [review["text"] for review in reviews]
    time_and_epochs = {
        "epochs": recipe.language_model_epochs,
        "max_time": recipe.language_model_time,
        "verbose": 0,
    }
    if recipe.pretrained is not None:
        origin = LanguageModel.load(recipe.pretrained)
        return origin.fine_tune(texts, validation=valid[0], **time_and_epochs)
    model = LanguageModel(
        size=recipe.size,
        direction=recipe.direction,
        max_vocabulary=recipe.max_vocabulary,
        softmax=recipe.softmax,
        random_state=harness.seed(),
        **time_and_epochs,
    )
    return model.fit(texts, validation=valid[0])


def fit_side(side: str, folder: Path, train, valid, recipe: Recipe) -> Fitted:
    if side in BASELINES:
        return BASELINES[side](train, valid)
    return fit_tabtext(folder, train, valid, recipe, with_language_model=side == TABTEXT)


def run_side(side: str, folder: Path, recipe: Recipe) -> None:
    """Fit, score the test reviews once, and print accuracies, seconds and peak memory."""
    train, valid, test = (
        text_data.texts_and_labels(folder / f"{part}.jsonl") for part in ("train", "valid", "test")
    )
    started = time.perf_counter()
    fitted = fit_side(side, folder, train, valid, recipe)
    all_seconds = time.perf_counter() - started
    valid_accuracy = float(np.mean(np.asarray(fitted.predict(valid[0])) == valid[1]))
    started = time.perf_counter()
    found = np.asarray(fitted.predict(test[0]))
    test_seconds = time.perf_counter() - started
    single = []
    for text in test[0][:TIMED_REVIEWS]:  # in random order
        started = time.perf_counter()
        fitted.predict([text])
        single.append(time.perf_counter() - started)
    harness.report(
        {
            "test accuracy": round(float(np.mean(found == test[1])), 4),
            "valid accuracy": round(valid_accuracy, 4),
            "fit seconds": round(fitted.seconds, 2),
            "all seconds": round(all_seconds, 2),
            "1 review ms": round(1000 * statistics.median(single), 2),
            "reviews/s": round(len(test[0]) / test_seconds),
            "chosen": fitted.choice,
            **fitted.details,
        }
    )


# --- all of them ----------------------------------------------------------------------------


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the recipe for a GPU")
    parser.add_argument("--trial", action="store_true", help="tiny sizes; writes no result")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--rows", type=int, help="training reviews")
    parser.add_argument("--language-model-rows", type=int, help="unlabelled reviews at most")
    parser.add_argument("--language-model-epochs", type=int)
    parser.add_argument("--softmax", choices=["full", "adaptive"])
    parser.add_argument("--max-vocabulary", type=int)
    parser.add_argument("--language-model-time", help="such as 5min")
    parser.add_argument("--classifier-time", help="such as 5min")
    parser.add_argument("--pretrained", help="a saved language model to start from")
    parser.add_argument("--side", nargs=3, metavar=("SIDE", "FOLDER", "RECIPE"))
    return parser.parse_args()


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe of the kind of run, with what was given on the command line."""
    recipe = asdict(TRIAL if arguments.trial else FULL if arguments.full else Recipe())
    given = {name: getattr(arguments, name, None) for name in recipe}
    return Recipe(**recipe | {name: value for name, value in given.items() if value is not None})


def main() -> None:
    arguments = parse()
    if arguments.side:
        side, folder, recipe = arguments.side
        run_side(side, Path(folder), Recipe(**json.loads(recipe)))
        return
    recipe = recipe_of(arguments)
    name = "imdb-full" if arguments.full else "imdb"
    with tempfile.TemporaryDirectory() as folder:
        text_data.write_imdb(
            Path(folder),
            rows=recipe.rows,
            valid_rows=TRIAL_VALID_ROWS if arguments.trial else VALID_ROWS,
            test_rows=TRIAL_TEST_ROWS if arguments.trial else None,
        )
        pythons = {"fastText": harness.own_python("fasttext")}
        given = folder, json.dumps(asdict(recipe))
        commands = {
            side: [pythons.get(side, sys.executable), __file__, "--side", side, *given]
            for side in arguments.sides
        }
        summary = harness.summarise(
            harness.compare(commands, runs=1 if arguments.trial else arguments.runs)
        )
    show(summary)
    if arguments.trial:
        return
    settings = {
        "runs": arguments.runs,
        "valid_rows": VALID_ROWS,
        "sample_seed": text_data.SAMPLE_SEED,
        "recipe": asdict(recipe),
    }
    harness.write_result(name, settings, harness.read_sides(name) | summary)


def show(summary) -> None:
    columns = {
        "side": str,
        "test accuracy": "{:.4f}".format,
        "valid accuracy": "{:.4f}".format,
        "fit seconds": "{:.1f}".format,
        "all seconds": "{:.1f}".format,
        "1 review ms": "{:.1f}".format,
        "reviews/s": "{:,.0f}".format,
        "peak_mb": "{:,.0f}".format,
    }
    rows = [{"side": side, **record["median"]} for side, record in summary.items()]
    print(harness.table(rows, columns))


if __name__ == "__main__":
    main()
