"""Train the English language model that ships with tabtext, from raw articles.

    python examples/pretrain_english.py ARTICLES --valid VALID.parquet --out english-small-v1

ARTICLES is a folder of Parquet files with a column of texts: raw English Wikipedia for the model
that ships. Interrupted at any point, by Ctrl-C, a reboot or a power cut, the same command goes on
from where it was. One pass over 37 million words takes about an hour and a half on two CPU cores.

The same by hand: ``tabtext lm prepare``, then ``tabtext lm train``.
"""

import argparse
from pathlib import Path

from tabtext import LanguageModel
from tabtext.tables import read_table
from tabtext.text.corpus import Corpus, prepare_corpus
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.tokenization import WordTokenizer

# Chosen by what classifiers of film reviews made of the models (bench/README.md), and by what a
# review may cost: under 10 ms on one CPU core.
SHAPE = {"embedding_width": 160, "hidden_width": 256, "n_layers": 2}
RECIPE = {"softmax": "adaptive", "dropout_scale": 0.25, "epochs": 1, "batch_size": 32}
VOCABULARY = 60_000


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("articles", type=Path, help="folder of Parquet files")
    parser.add_argument("--valid", type=Path, required=True, help="articles to judge it by")
    parser.add_argument("--text", default="text", help="column of texts in both")
    parser.add_argument("--out", type=Path, default=Path("runs/english-small-v1"))
    parser.add_argument("--direction", choices=["forward", "backward"], default="forward")
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
    model.save(arguments.out)
    print(f"perplexity on {arguments.valid}: {model.perplexity(valid):.1f}")
    print(f"the model is in {arguments.out}")


def prepared(articles: Path, column: str, directory: Path) -> Corpus:
    """Return the articles as tokens on disk; what was done before is not done again."""
    preprocessor = TextPreprocessor(
        tokenizer=WordTokenizer(), max_size=VOCABULARY, columns=[column]
    )
    files = sorted(articles.glob("*.parquet"))
    if not files:
        raise SystemExit(f"{articles} has no .parquet files")
    return prepare_corpus(files, directory, preprocessor=preprocessor, progress=True)


if __name__ == "__main__":
    main()
