"""The text that the benchmarks share: IMDb's official split and WikiText-2, cut once for all sides.

The script that starts the sides reads from ``$TABTEXT_DATA`` and writes what they need into a
temporary folder, in forms that a peer's environment can read with numpy and the standard library
alone: reviews as JSON lines, tokens as arrays of ids.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SAMPLE_SEED = 0
"""Fixes which reviews train, validate and are timed; the seed of a run is another one."""

FIRST_WORD_ID = 9
"""Ids below are tabtext's special tokens; fastai's are as many, and 1 is padding in both."""

UNKNOWN_ID, END_ID = 0, 3

Review = dict[str, Any]


# --- IMDb -----------------------------------------------------------------------------------


def write_imdb(folder: Path, *, rows: int, valid_rows: int, test_rows: int | None) -> None:
    """Write train, valid, test (text and label) and unlabelled (text) as JSON lines.

    Training and validation reviews are drawn from the official 25,000, evenly by label, without
    overlap. Unlabelled are all texts of the training set and of the unlabelled set but those that
    validate and those that are in the test set as well.
    """
    from tabtext.datasets import load_imdb

    reviews = load_imdb()
    labelled, test = reviews.train, reviews.test
    kept_out = set(test["text"])
    valid = even_sample(labelled, valid_rows)
    train = even_sample(labelled.drop(valid.index), rows)
    if test_rows is not None:
        test = even_sample(test, test_rows)
    kept_out |= set(valid["text"])
    texts = dict.fromkeys([*labelled["text"], *reviews.unsupervised["text"]])  # without duplicates
    unlabelled = [text for text in texts if text not in kept_out]
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(unlabelled))
    for name, part in (("train", train), ("valid", valid), ("test", test)):
        write_lines(folder / f"{name}.jsonl", part[["text", "label"]].to_dict("records"))
    write_lines(folder / "unlabelled.jsonl", ({"text": unlabelled[row]} for row in order))


def even_sample(frame, rows: int, *, seed: int = SAMPLE_SEED):
    """Return ``rows`` rows in random order, as many of every label.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"text": list("abcdef"), "label": [0, 0, 0, 1, 1, 1]})
    >>> even_sample(frame, 4)["label"].value_counts().tolist()
    [2, 2]
    """
    each = frame.groupby("label").sample(rows // frame["label"].nunique(), random_state=seed)
    return each.sample(frac=1, random_state=seed)


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
    from tabtext.datasets import load_wikitext2

    streams = load_wikitext2()
    counts = np.bincount(streams.train, minlength=len(streams.tokens))
    line_end, sign = streams.tokens.index("<eos>"), streams.tokens.index("=")
    special = ("<unk>", "<eos>")
    codes = [code for code, token in enumerate(streams.tokens) if token not in special]
    codes.sort(key=lambda code: (-counts[code], streams.tokens[code]))
    codes = codes[: None if max_size is None else max_size - FIRST_WORD_ID]
    ids = np.full(len(streams.tokens), UNKNOWN_ID, np.int32)
    ids[codes] = np.arange(FIRST_WORD_ID, FIRST_WORD_ID + len(codes))
    ids[line_end] = END_ID
    for name in ("train", "valid", "test"):
        part = getattr(streams, name)
        begins = _article_begins(part, line_end, sign)
        np.savez(folder / f"{name}.npz", ids=ids[part], offsets=[0, *begins[1:], len(part)])
    return FIRST_WORD_ID + len(codes)


def read_tokens(folder: Path, part: str) -> Tokens:
    content = np.load(folder / f"{part}.npz")
    return Tokens(content["ids"], content["offsets"])


def first_articles(tokens: Tokens, n_tokens: int) -> Tokens:
    """Return whole articles from the beginning until at least so many tokens."""
    last = min(int(np.searchsorted(tokens.offsets, n_tokens)), len(tokens.offsets) - 1)
    return Tokens(tokens.ids[: tokens.offsets[last]], tokens.offsets[: last + 1])


def _article_begins(codes: np.ndarray, line_end: int, sign: int) -> np.ndarray:
    """Where each article begins: at the blank line before a heading ``= Name =`` of first rank."""
    ends = np.flatnonzero(codes == line_end)
    starts = np.concatenate([[0], ends[:-1] + 1])
    is_long = ends - starts > 2
    starts, ends = starts[is_long], ends[is_long]
    is_heading = (codes[starts] == sign) & (codes[ends - 1] == sign)
    is_first_rank = (codes[starts + 1] != sign) & (codes[ends - 2] != sign)
    headings = starts[is_heading & is_first_rank]
    after_blank_line = (codes[headings - 1] == line_end) & (codes[headings - 2] == line_end)
    return np.where(after_blank_line, headings - 1, headings)
