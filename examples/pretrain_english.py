"""Train the English language model that ships with tabtext, from raw articles.

    python examples/pretrain_english.py ARTICLES --valid VALID.parquet --out english-small-v1

ARTICLES is a folder of Parquet files with a column of texts: raw English Wikipedia for the model
that ships. Interrupted at any point, by Ctrl-C, a reboot or a power cut, the same command goes on
from where it was. One pass over 37 million words takes a few hours on two CPU cores.

The model is written packed, with a README.md that says what it is and checksums.json beside it:
put the directory into ``tabtext/pretrained``, and ``LanguageModel.from_pretrained`` finds it.

``tabtext lm prepare`` and ``tabtext lm train`` take the same steps, with sizes of their own.
"""

import argparse
import os
import platform
from pathlib import Path

import pyarrow as pa

from tabtext import LanguageModel
from tabtext.estimators.pretrained import write_checksums
from tabtext.tables import read_table
from tabtext.text.corpus import Corpus, prepare_corpus
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.tokenization import WordTokenizer

# Small enough for a review to be read in some 10 ms on one CPU core.
SHAPE = {"embedding_width": 160, "hidden_width": 256, "n_layers": 2}
RECIPE = {"softmax": "adaptive", "dropout_scale": 0.25, "epochs": 1, "batch_size": 32}
VOCABULARY = 60_000

CORPUS = "English Wikipedia"
ATTRIBUTION = """\
The texts are by the contributors to Wikipedia (https://en.wikipedia.org), under the Creative
Commons Attribution-ShareAlike 3.0 licence (https://creativecommons.org/licenses/by-sa/3.0/).
Whoever hands on the model hands on this attribution."""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("articles", type=Path, help="folder of Parquet files")
    parser.add_argument("--valid", type=Path, required=True, help="articles to judge it by")
    parser.add_argument("--text", default="text", help="column of texts in both")
    parser.add_argument("--out", type=Path, default=Path("runs/english-small-v1"))
    parser.add_argument("--direction", choices=["forward", "backward"], default="forward")
    parser.add_argument("--corpus", default=CORPUS, help="what the articles are, for README.md")
    parser.add_argument("--attribution", default=ATTRIBUTION, help="whose, and their licence")
    parser.add_argument("--max-time", default=None, help="such as 2h; default: one whole pass")
    arguments = parser.parse_args(argv)

    corpus = prepared(arguments.articles, arguments.text, Path(f"{arguments.out}.corpus"))
    valid = read_table(arguments.valid).select([arguments.text])
    model = LanguageModel(
        **SHAPE, **RECIPE, direction=arguments.direction, max_time=arguments.max_time
    )
    model.fit(
        corpus, validation=valid, checkpoints=Path(f"{arguments.out}.checkpoints"), resume=True
    )
    perplexity = write_for_others(
        model, arguments.out, valid, corpus=arguments.corpus, attribution=arguments.attribution
    )
    print(f"perplexity on {arguments.valid}: {perplexity:.1f}")
    print(f"the model is in {arguments.out}")


def prepared(articles: Path, column: str, directory: Path) -> Corpus:
    """Return the articles as tokens on disk; what was done before is not done again."""
    preprocessor = TextPreprocessor(
        tokenizer=WordTokenizer(), max_size=VOCABULARY, columns=[column]
    )
    files = sorted(articles.glob("*.parquet"))
    if not files:
        raise SystemExit(f"{articles} has no .parquet files")
    return prepare_corpus(files, directory, preprocessor=preprocessor)


def write_for_others(
    model: LanguageModel,
    out: Path,
    valid: pa.Table,
    *,
    corpus: str = CORPUS,
    attribution: str = ATTRIBUTION,
) -> float:
    """Write the model packed, with README.md and checksums; return its perplexity as it ships."""
    machine = f"{platform.machine()} with {os.cpu_count()} cores"
    model.card_ |= {"corpus": corpus, "attribution": attribution, "machine": machine}
    # What fine_tune goes on with; how the model itself was trained, its card says.
    model.set_params(epochs="auto", batch_size="auto", max_time=None)
    model.save(out, packed=True)
    judged = LanguageModel.load(out).evaluate(valid)
    model.card_["held_out"] = judged  # of the model as others get it: packed
    model.save(out, packed=True)
    with (out / "README.md").open("a", encoding="utf-8") as readme:
        readme.write(f"\n{learning_curve(model)}")
    write_checksums(out)
    return judged["perplexity"]


def learning_curve(model: LanguageModel) -> str:
    """Return the loss over the steps of a fitted model, as a section of its README.md."""
    history = model.history_
    n_steps, curve = len(history.step_losses), history.thinned(50)
    rows = [
        f"| {min(place * curve.steps_per_point, n_steps):,} | {loss:.3f} |"
        for place, loss in enumerate(curve.step_losses, start=1)
    ]
    head = "## Training\n\nLoss for each token, with dropout: the mean since the step above.\n"
    return "\n".join([head, "| step | loss |", "| --- | --- |", *rows]) + "\n"


if __name__ == "__main__":
    main()
