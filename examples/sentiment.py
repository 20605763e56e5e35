"""Praise or blame? From the language model that ships to a classifier, and its reasons.

    python examples/sentiment.py
    python examples/sentiment.py REVIEWS.csv --text review --target label

Without a file it reads the film reviews that ship with tabtext, and takes about a minute on two CPU
cores. The language model learns how such sentences go, without their labels; the classifier starts
from what it has learned. For texts in another language, fit a ``LanguageModel`` of your own.
"""

import argparse
from pathlib import Path

import pandas as pd
import rich
from sklearn.model_selection import train_test_split

from tabtext import LanguageModel, TextClassifier, load
from tabtext.datasets import load_snippets
from tabtext.plots import coloured_text
from tabtext.tables import read_table


def film_reviews() -> tuple[pd.Series, pd.Series]:
    """Return sentences from film reviews, and whether people read praise or blame in them."""
    movies = load_snippets("movies").query("rating != 0")
    return movies["text"], (movies["rating"] > 0).map({True: "praise", False: "blame"})


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="CSV or Parquet; default: film reviews")
    parser.add_argument("--text", default="text", help="its column of texts")
    parser.add_argument("--target", default="label", help="its column of labels")
    parser.add_argument("--rows", type=int, default=None, help="use so many rows at most")
    parser.add_argument("--out", type=Path, default=Path("runs/sentiment"), help="for the models")
    arguments = parser.parse_args(argv)
    if arguments.file is None:
        texts, labels = film_reviews()
    else:
        table = read_table(arguments.file).to_pandas()
        texts, labels = table[arguments.text], table[arguments.target]
    if arguments.rows is not None:
        texts, labels = texts[: arguments.rows], labels[: arguments.rows]
    # A test part that nothing below learns from: neither the language model nor the classifier.
    train, test, train_labels, test_labels = train_test_split(
        texts, labels, test_size=0.2, random_state=0, stratify=labels
    )

    # Worth its time with many texts; with few, TextClassifier() is as good, which starts from
    # english-small as it is.
    pretrained = LanguageModel.from_pretrained("english-small")
    language_model = pretrained.fine_tune(train, epochs=2, max_time="30s")
    print(f"perplexity on unseen texts: {language_model.perplexity(test):.0f}")

    model = TextClassifier(language_model=language_model, max_time="30s")
    model.fit(train, train_labels)
    for name, value in model.evaluate(test, test_labels).items():
        print(f"{name} on unseen texts: {value:.4f}")

    text = test.iloc[0]
    told = model.explain(text)
    print(f"an unseen text: {told.output}, with probability {told.predicted:.2f}, because:")
    rich.print(coloured_text(told.tokens, told.contributions, label=told.output))

    language_model.save(arguments.out / "language_model")
    model.save(arguments.out / "classifier")
    loaded = load(arguments.out / "classifier")
    print(f"loaded again, it says {loaded.predict([text])[0]} too")
    print(f'try: tabtext sentiment explain {arguments.out / "classifier"} "Not bad at all."')


if __name__ == "__main__":
    main()
