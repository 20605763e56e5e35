"""What each linear model of a text classifier tells with few labels, and what they tell together.

IMDb reviews of the official training part: some are labelled, 2,500 others are scored, and the test
part is never read. Every linear model is fitted alone, the one on mean word vectors twice: with
those of the language model as they are, and turned to how the labelled texts use the words. Then
they vote, with weights learned out of fold as in ``TextClassifier``, with and without the model of
word frequencies. Told are accuracy and, of votes, log loss; medians over the samples of labels.

    TABTEXT_DATA=path/to/data python bench/linear_votes.py
    python bench/linear_votes.py --language-model english-small runs/fine-tuned
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np
import text_data
import torch
from torch import Tensor

from tabtext import LanguageModel
from tabtext.datasets import load_imdb
from tabtext.estimators.linear_members import LinearFitting
from tabtext.estimators.mixing import mixed, mixing_weights
from tabtext.estimators.origin import adapt_to
from tabtext.estimators.samples import EncodedSample
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.training.losses import cross_entropy
from tabtext.training.targets import ClassificationTarget

N_SCORED = 2_500
N_SAMPLES = 3
TARGET = ClassificationTarget("label", (0, 1))
VOTES = {
    "vote without frequencies": ("ngrams", "words"),
    "vote of all": ("ngrams", "frequencies", "words"),
}


def measure(language_model: LanguageModel, train, scored, *, seed: int) -> dict[str, float]:
    """Accuracies, log losses and seconds of one sample of labels."""
    known = language_model.preprocessor_
    preprocessor = TextPreprocessor(
        tokenizer=known.tokenizer_, vocabulary=known.vocabulary_, extend=True, min_freq=2
    )
    labels = train["label"].to_numpy(np.int64)
    rows = EncodedSample(preprocessor.fit_transform(train["text"]), labels, labels, None)
    documents = preprocessor.transform(scored["text"])
    truth = torch.from_numpy(scored["label"].to_numpy(np.int64))

    encoder = language_model.encoder("forward", vocabulary=preprocessor.vocabulary_)
    before = encoder.word_vectors()
    started = time.perf_counter()
    adapt_to([encoder], rows.encoded, language_model, seed=seed)
    seconds = time.perf_counter() - started
    fitting = _fitting(preprocessor, encoder.word_vectors())
    raws = {n: torch.from_numpy(m(documents)) for n, m in fitting.fit(rows).items()}
    unturned = _fitting(preprocessor, before).fit(rows)["words"]
    accuracies = {name: _accuracy(raw, truth) for name, raw in raws.items()}
    found = {
        "words, not turned": _accuracy(torch.from_numpy(unturned(documents)), truth),
        **accuracies,
    }
    out_of_fold = dict(zip(raws, fitting.out_of_fold(rows, seed=seed), strict=True))
    for name, members in VOTES.items():
        votes = _votes([out_of_fold[member] for member in members], labels)
        vote = mixed([raws[member] for member in members], votes)
        found[name] = _accuracy(vote, truth)
        found[f"{name}, log loss"] = round(float(cross_entropy(vote, truth).mean()), 4)
    return {**found, "seconds of turning": round(seconds, 1)}


def _fitting(preprocessor: TextPreprocessor, vectors: np.ndarray) -> LinearFitting:
    size = len(preprocessor.vocabulary_)
    return LinearFitting(target=TARGET, longest=2, vocabulary_size=size, vectors=vectors)


def _votes(raws: Sequence[Tensor], labels: np.ndarray) -> list[float]:
    return mixing_weights(raws, torch.from_numpy(labels), cross_entropy)


def _accuracy(raw: Tensor, truth: Tensor) -> float:
    return round(float((raw.argmax(dim=1) == truth).float().mean()), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--language-model", nargs="+", default=["english-small"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 500, 1_000, 5_000])
    arguments = parser.parse_args()
    pool = load_imdb().train
    scored = text_data.even_sample(pool, N_SCORED)
    pool = pool.drop(scored.index)
    sides: dict[str, dict[str, Any]] = {}
    for path in arguments.language_model:
        language_model = LanguageModel.from_pretrained(path)
        for size in arguments.sizes:
            records = []
            for seed in range(N_SAMPLES):
                train = text_data.even_sample(pool, size, seed=seed)
                records.append(measure(language_model, train, scored, seed=seed))
            side = f"{Path(path).name}, {size:,} labels"
            sides[side] = harness.medians(records)
            print(side, sides[side], flush=True)
    settings = {"scored": N_SCORED, "samples": N_SAMPLES}
    harness.write_result("linear_votes", settings, sides)
    lines = [{"from": name, **side} for name, side in sides.items()]
    names = dict.fromkeys(name for line in lines for name in line)
    print(harness.table(lines, dict.fromkeys(names, str)))


if __name__ == "__main__":
    main()
