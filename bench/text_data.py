"""The text that the benchmarks share: IMDb's official split and WikiText-2, cut once for all sides.

The script that starts the sides reads from ``$TABTEXT_DATA`` and writes what they need into a
temporary folder, in forms that a peer's environment can read with numpy and the standard library
alone: reviews as JSON lines, tokens as arrays of ids.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SAMPLE_SEED = 0
"""Fixes which reviews train, validate and are timed; the seed of a run is another one."""

FIRST_WORD_ID = 9
"""Ids below are tabtext's special tokens; fastai's are as many, and 1 is padding in both."""

UNKNOWN_ID, BEGIN_ID, END_ID = 0, 2, 3
_ARTICLE = re.compile(r"= [^=].*[^=] =")

Review = dict[str, Any]


# --- IMDb -----------------------------------------------------------------------------------


def write_imdb(folder: Path, *, rows: int, valid_rows: int, test_rows: int | None) -> None:
    """Write train, valid, test (text and label) and unlabelled (text) as JSON lines.

    Training and validation reviews are drawn from the official 25,000, evenly by label, without
    overlap. Unlabelled are all texts of the training set and of the unlabelled set but those that
    validate and those that are in the test set as well.
    """
    labelled, test, unsupervised = (_imdb(part) for part in ("train", "test", "unsup"))
    kept_out = set(test["text"])
    valid = _even_sample(labelled, valid_rows)
    train = _even_sample(labelled.drop(valid.index), rows)
    if test_rows is not None:
        test = _even_sample(test, test_rows)
    kept_out |= set(valid["text"])
    texts = dict.fromkeys([*labelled["text"], *unsupervised["text"]])  # without duplicates
    unlabelled = [text for text in texts if text not in kept_out]
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(unlabelled))
    for name, part in (("train", train), ("valid", valid), ("test", test)):
        write_lines(folder / f"{name}.jsonl", part[["text", "label"]].to_dict("records"))
    write_lines(folder / "unlabelled.jsonl", ({"text": unlabelled[row]} for row in order))


def _imdb(part: str):
    import pandas as pd

    from tabtext.datasets.files import find_folder

    path = find_folder("imdb", None, "") / f"{part}.parquet"
    return pd.read_parquet(path, columns=["text", "label"])


def _even_sample(frame, rows: int):
    """Return ``rows`` rows in random order, as many of one label as of the other."""
    each = frame.groupby("label").sample(rows // 2, random_state=SAMPLE_SEED)
    return each.sample(frac=1, random_state=SAMPLE_SEED)


def write_lines(path: Path, records: Iterable[Review]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")


def read_lines(path: Path, *, rows: int | None = None) -> list[Review]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for _, line in zip(range(rows or 10**9), file, strict=False)]


def texts_and_labels(path: Path) -> tuple[list[str], np.ndarray]:
    reviews = read_lines(path)
    return [review["text"] for review in reviews], np.array([r["label"] for r in reviews])


# --- WikiText-2 -----------------------------------------------------------------------------


class Tokens(NamedTuple):
    """A part of WikiText-2: ids of all tokens, and where every article begins (and the end)."""

    ids: np.ndarray
    offsets: np.ndarray


def write_wikitext2(folder: Path, *, max_size: int | None = None) -> int:
    """Write the tokens of train, valid and test; return the size of the vocabulary.

    Every line ends with ``<eos>``, as in the literature. Ids follow falling frequency in the
    training part, behind the special tokens; ``<unk>`` and ``<eos>`` have the special tokens' ids,
    and words beyond ``max_size`` become ``<unk>``.
    """
    parts = {name: _wikitext2_articles(name) for name in ("train", "valid", "test")}
    counts = Counter(token for article in parts["train"] for token in article)
    del counts["<unk>"], counts["<eos>"]
    words = sorted(counts, key=lambda word: (-counts[word], word))
    if max_size is not None:
        words = words[: max_size - FIRST_WORD_ID]
    ids = {word: FIRST_WORD_ID + rank for rank, word in enumerate(words)}
    ids |= {"<unk>": UNKNOWN_ID, "<eos>": END_ID}
    for name, articles in parts.items():
        flat = [ids.get(token, UNKNOWN_ID) for article in articles for token in article]
        offsets = np.cumsum([0, *map(len, articles)])
        np.savez(folder / f"{name}.npz", ids=np.array(flat, np.int32), offsets=offsets)
    return FIRST_WORD_ID + len(words)


def read_tokens(folder: Path, part: str) -> Tokens:
    content = np.load(folder / f"{part}.npz")
    return Tokens(content["ids"], content["offsets"])


def first_articles(tokens: Tokens, n_tokens: int) -> Tokens:
    """Return whole articles from the beginning until at least so many tokens."""
    last = min(int(np.searchsorted(tokens.offsets, n_tokens)), len(tokens.offsets) - 1)
    return Tokens(tokens.ids[: tokens.offsets[last]], tokens.offsets[: last + 1])


def _wikitext2_articles(part: str) -> list[list[str]]:
    """Return the tokens of every article; what precedes the first heading belongs to the first."""
    articles: list[list[str]] = []
    blank: list[str] = []  # the blank line before a heading goes with the heading
    for line in _wikitext2_lines(part):
        tokens = [*line.split(), "<eos>"]
        if len(tokens) == 1:
            blank += tokens
            continue
        if not articles or _ARTICLE.fullmatch(line.strip()):
            articles.append([])
        articles[-1] += [*blank, *tokens]
        blank = []
    articles[-1] += blank
    return articles


def _wikitext2_lines(part: str) -> Sequence[str]:
    import pyarrow as pa

    from tabtext.datasets.files import find_folder

    path = find_folder("wikitext2", None, "") / f"wiki.{part}.tokens.zst"
    with pa.input_stream(str(path), compression="zstd") as stream:
        return stream.read().decode().removesuffix("\n").split("\n")
