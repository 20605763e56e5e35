"""A table that holds texts: both kinds of columns in one model, and what each of them adds.

    python examples/mixed.py
    python examples/mixed.py --rows 2000 --language-model none
    python examples/mixed.py --data listings.parquet --target price --log --prune "price < 2000"

By default it learns how favourable short texts are, from the texts and from where they come from;
they ship with tabtext. With ``--data`` it takes any CSV or Parquet file: columns that read like
prose are read as text, dates, gaps and categories are taken as they are. A column ``split`` with
``train``, ``valid`` and ``test`` decides who learns and who judges, or chance does.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from rich.console import Console

from tabtext import TabTextRegressor, TabularRegressor, load
from tabtext.datasets import load_snippets
from tabtext.plots import coloured_text
from tabtext.tables import read_table


def snippets() -> pd.DataFrame:
    """Short texts with their source and place in it; texts of one document stay together."""
    frame = load_snippets()[["source", "document", "sentence", "text", "rating"]]
    document = frame.pop("document").to_numpy()
    parts = np.random.default_rng(0).choice(["train", "valid", "test"], 40_000, p=[0.7, 0.1, 0.2])
    return frame.assign(split=parts[document])


def split(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows to learn from, to choose the best epoch by, and to judge by."""
    if "split" not in frame:
        parts = np.random.default_rng(0).choice(
            ["train", "valid", "test"], len(frame), p=[0.7, 0.1, 0.2]
        )
        frame = frame.assign(split=parts)
    return {
        str(name): part.drop(columns="split").reset_index(drop=True)
        for name, part in frame.groupby("split", observed=True)
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="CSV or Parquet file of your own")
    parser.add_argument("--target", default="rating", help="column to predict")
    parser.add_argument("--log", action="store_true", help="learn the target's logarithm")
    parser.add_argument("--prune", nargs="*", default=[], help="rules that training rows obey")
    parser.add_argument("--rows", type=int, help="use at most so many rows")
    parser.add_argument("--language-model", default="auto", help="a name, a directory, or none")
    parser.add_argument("--out", type=Path, default=Path("runs/mixed"))
    options = parser.parse_args(arguments)
    frame = snippets() if options.data is None else read_table(options.data).to_pandas()
    if options.rows is not None:
        frame = frame.sample(min(options.rows, len(frame)), random_state=0)
    parts = split(frame)
    print(", ".join(f"{len(rows):,} rows to {name}" for name, rows in parts.items()), flush=True)

    settings = {
        "target_transform": "log" if options.log else "standard",
        "prune": options.prune,
        "verbose": 0,
    }
    origin = None if options.language_model == "none" else options.language_model
    both = TabTextRegressor(**settings, language_model=origin)
    models = {"table and texts": both}
    started = perf_counter()
    both.fit(parts["train"], target=options.target, validation=parts["valid"])
    seconds = {"table and texts": perf_counter() - started}
    texts = list(both.preprocessor_.text_columns)
    models["table alone"] = TabularRegressor(**settings, exclude=texts)
    started = perf_counter()
    models["table alone"].fit(parts["train"], target=options.target, validation=parts["valid"])
    seconds["table alone"] = perf_counter() - started

    print(f"columns of text: {', '.join(texts)}")
    for name, model in models.items():
        metrics = model.evaluate(parts["test"])
        shown = "  ".join(f"{metric} {value:.4g}" for metric, value in metrics.items())
        print(f"{name:16} {shown}  fitted in {seconds[name]:.0f} s", flush=True)

    print("\nrise of the loss when a column is shuffled:")
    importance = both.feature_importance(parts["valid"], max_rows=2000)
    print(importance["importance"].head(8).round(4).to_string())

    row = parts["test"].iloc[[0]]
    for column, explanation in both.explain(row).items():
        if explanation.tokens:
            shown = coloured_text(
                explanation.tokens,
                explanation.contributions,
                label=f"a higher {explanation.output}",
                restore=explanation.restore,
            )
            Console().print(f"\n{column}:", shown)

    both.save(options.out)
    same = np.array_equal(load(options.out).predict(row), both.predict(row))
    print(f"\nloaded again from {options.out}: {'the same' if same else 'another'} prediction")


if __name__ == "__main__":
    main()
