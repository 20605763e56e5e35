"""Where a language model's word vectors begin: counts, random, or random of the counts' size.

The same network reads the same unlabelled IMDb reviews once, from each of three beginnings. Told
are its perplexity on reviews that it has not read, and what a linear classifier makes of the means
of its word vectors and of its layers' outputs: accuracy with 1,000 labels on 1,000 other reviews of
the training part, mean over three samples of labels. The test part is never read.

    TABTEXT_DATA=path/to/data python bench/word_vectors.py
"""

import argparse
import time
from typing import Any

import harness
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tabtext.datasets import load_imdb
from tabtext.estimators.language_model_training import LanguageModelRun, train_language_model
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.softmax.cutoffs import choose_cutoffs
from tabtext.text.word_vectors import word_vectors
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded

SHAPE = EncoderOptions(embedding_width=160, hidden_width=256, n_layers=2, dropout_scale=0.25)
BEGINNINGS = ["counts", "random", "random, as large"]
N_LABELS, N_SCORED, N_SAMPLES = 1_000, 1_000, 3
LONGEST = 600
"""Tokens of a labelled review that are looked at."""


def network(beginning: str, preprocessor: TextPreprocessor, counted: np.ndarray):
    """A new network whose word vectors begin so."""
    vocabulary = preprocessor.vocabulary_
    cutoffs = choose_cutoffs(vocabulary.counts)
    with seeded(0):
        new = LanguageModelNetwork(len(vocabulary), SHAPE, softmax="adaptive", cutoffs=cutoffs)
    if beginning == "counts":
        new.set_word_vectors(counted)
    elif beginning == "random, as large":
        drawn = np.random.default_rng(0).standard_normal(counted.shape)
        new.set_word_vectors(drawn.astype(np.float32))
    return new


@torch.inference_mode()
def means(new: LanguageModelNetwork, documents: Documents) -> dict[str, np.ndarray]:
    """Of every document the mean word vector, and the mean output of every layer."""
    encoder = new.encoder.eval()
    found: dict[str, list[np.ndarray]] = {}
    for document in documents:
        ids = torch.from_numpy(document[:LONGEST].astype(np.int64))
        sequence = encoder.embedding(ids)[:, None]
        outputs = {"words": sequence}
        for number, layer in enumerate(encoder.layers, start=1):
            sequence, _ = layer(sequence, layer.initial_state(1))
            outputs[f"layer {number}"] = sequence
        for name, output in outputs.items():
            found.setdefault(name, []).append(output.mean(dim=0)[0].numpy())
    return {name: np.stack(rows) for name, rows in found.items()}


def accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Of logistic regression; the last rows are scored, others are drawn to learn from."""
    features = StandardScaler().fit_transform(features)
    scored = slice(len(labels) - N_SCORED, None)
    found = []
    for seed in range(N_SAMPLES):
        rows = np.random.default_rng(seed).permutation(len(labels) - N_SCORED)[:N_LABELS]
        model = LogisticRegression(C=0.01, max_iter=500).fit(features[rows], labels[rows])
        found.append(model.score(features[scored], labels[scored]))
    return round(float(np.mean(found)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", type=int, default=5_000, help="that are read once")
    arguments = parser.parse_args()
    imdb = load_imdb()
    texts = imdb.unsupervised["text"].sample(frac=1.0, random_state=0)
    labelled = imdb.train.sample(3 * N_LABELS + N_SCORED, random_state=0)
    labels = labelled["label"].to_numpy()
    preprocessor = TextPreprocessor(max_size=30_000)
    unlabelled = preprocessor.fit_transform(texts)
    documents = preprocessor.transform(labelled["text"])
    rows = np.arange(200 + arguments.reviews)
    valid, train = (DocumentView(unlabelled, part) for part in (rows[:200], rows[200:]))

    started = time.perf_counter()
    counted = word_vectors(unlabelled, len(preprocessor.vocabulary_), SHAPE.embedding_width)
    seconds = round(time.perf_counter() - started, 1)
    sides: dict[str, Any] = {}
    untrained = means(network("counts", preprocessor, counted), documents)
    sides["counts, untrained"] = {
        "words": accuracy(untrained["words"], labels),
        "seconds": seconds,
        "tokens": unlabelled.n_tokens,
    }
    run = LanguageModelRun(
        options=TrainingOptions(
            epochs=1, learning_rate=5e-3, betas="ulmfit_scripts", averaging="ema"
        ),
        n_streams=32,
        bptt=70,
        device=torch.device("cpu"),
    )
    for beginning in BEGINNINGS:
        new = network(beginning, preprocessor, counted)
        started = time.perf_counter()
        history = train_language_model(new, train, valid, run)
        sides[beginning] = {
            "perplexity": round(history.epochs[-1].metrics["perplexity"], 1),
            **{name: accuracy(rows, labels) for name, rows in means(new, documents).items()},
            "seconds": round(time.perf_counter() - started, 1),
            "tokens": train.n_tokens,
        }
        print(beginning, sides[beginning], flush=True)
    settings = {"reviews": arguments.reviews, "labels": N_LABELS, "scored": N_SCORED}
    harness.write_result("word_vectors", settings, sides)
    lines = [{"beginning": name, **side} for name, side in sides.items()]
    columns = {
        "beginning": str,
        "perplexity": "{:.1f}".format,
        "words": "{:.3f}".format,
        "layer 1": "{:.3f}".format,
        "layer 2": "{:.3f}".format,
        "seconds": "{:.0f}".format,
        "tokens": "{:,}".format,
    }
    print(harness.table(lines, columns))


if __name__ == "__main__":
    main()
