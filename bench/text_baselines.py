"""Classifiers to beat on IMDb: TF-IDF, NB-SVM, NB-weighted logistic regression and fastText.

Each takes texts and labels (0 or 1) of training and validation reviews, fits once per setting of a
small grid, and keeps the setting with the best accuracy on the validation reviews.

References
----------
Wang, S. and Manning, C. D. (2012), "Baselines and Bigrams: Simple, Good Sentiment and Topic
Classification".
Mesnil, G. et al. (2014), "Ensemble of Generative and Discriminative Techniques for Sentiment
Analysis of Movie Reviews": log-count ratios with logistic regression on up to 3-grams.
Joulin, A. et al. (2017), "Bag of Tricks for Efficient Text Classification".
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import harness
import numpy as np

Predict = Callable[[Sequence[str]], np.ndarray]
Texts = Sequence[str]

_TOKEN = r"\w+|[^\w\s]"  # punctuation counts: "!" and "?" are worth some tenths of a point
_SMOOTHING = 1.0  # the papers' alpha
_INTERPOLATION = 0.25  # the paper's beta: between mean and own weights


@dataclass(frozen=True)
class Fitted:
    """A classifier that was chosen, what was chosen, and the seconds that its own fit took."""

    predict: Predict
    choice: str
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


def choose(
    settings: Iterable[Mapping[str, Any]],
    fit: Callable[..., Predict],
    train: tuple[Texts, np.ndarray],
    valid: tuple[Texts, np.ndarray],
) -> Fitted:
    """Fit with every setting; return the one that is best on the validation reviews."""
    best: Fitted | None = None
    best_accuracy = -1.0
    for setting in settings:
        started = time.perf_counter()
        predict = fit(*train, **setting)
        seconds = time.perf_counter() - started
        accuracy = float(np.mean(predict(valid[0]) == valid[1]))
        if accuracy > best_accuracy:  # the loser goes: a fastText model takes 0.8 GB
            choice = ", ".join(f"{name}={value}" for name, value in setting.items())
            best, best_accuracy = Fitted(predict, choice, seconds), accuracy
    assert best is not None
    return best


# --- linear models on n-grams ---------------------------------------------------------------


def tfidf(train, valid) -> Fitted:
    """TF-IDF of words and pairs of words, and logistic regression."""
    return choose([{"C": c} for c in (1.0, 10.0, 30.0, 100.0)], _fit_tfidf, train, valid)


def nb_svm(train, valid) -> Fitted:
    """Wang and Manning's: pairs of words weighted by log-count ratios, linear SVM."""
    return choose([{"C": c} for c in (0.003, 0.01, 0.1, 1.0)], _fit_nb_svm, train, valid)


def nb_logistic(train, valid) -> Fitted:
    """Up to three words weighted by log-count ratios, and logistic regression."""
    return choose([{"C": c} for c in (0.1, 1.0, 10.0)], _fit_nb_logistic, train, valid)


def _fit_tfidf(texts: Texts, labels: np.ndarray, *, C: float) -> Predict:  # noqa: N803
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = make_pipeline(words, LogisticRegression(C=C, max_iter=1000))
    return model.fit(texts, labels).predict


def _fit_nb_svm(texts: Texts, labels: np.ndarray, *, C: float) -> Predict:  # noqa: N803
    from sklearn.svm import LinearSVC

    words, matrix, ratios = _log_count_ratios(texts, labels, longest=2)
    model = LinearSVC(C=C, random_state=harness.seed()).fit(matrix.multiply(ratios).tocsr(), labels)
    weights = model.coef_[0]
    mean = np.abs(weights).mean()
    weights = ratios * ((1 - _INTERPOLATION) * mean + _INTERPOLATION * weights)
    bias = float(model.intercept_[0])
    return lambda some: (words.transform(some) @ weights + bias > 0).astype(int)


def _fit_nb_logistic(texts: Texts, labels: np.ndarray, *, C: float) -> Predict:  # noqa: N803
    from sklearn.linear_model import LogisticRegression

    words, matrix, ratios = _log_count_ratios(texts, labels, longest=3)
    model = LogisticRegression(C=C, solver="liblinear", dual=True, random_state=harness.seed())
    model.fit(matrix.multiply(ratios).tocsr(), labels)
    weights, bias = ratios * model.coef_[0], float(model.intercept_[0])
    return lambda some: (words.transform(some) @ weights + bias > 0).astype(int)


def _log_count_ratios(texts: Texts, labels: np.ndarray, *, longest: int):
    """Return the vectorizer, which n-grams each text has, and every n-gram's log-count ratio."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(
        ngram_range=(1, longest), token_pattern=_TOKEN, binary=True, dtype=np.float32
    )
    matrix = words.fit_transform(texts)
    shares = []
    for label in (1, 0):
        counts = _SMOOTHING + np.asarray(matrix[labels == label].sum(axis=0))[0]
        shares.append(counts / counts.sum())
    return words, matrix, np.log(shares[0] / shares[1])


# --- fastText -------------------------------------------------------------------------------


def fasttext(train, valid) -> Fitted:
    """fastText, with its epochs, rate and length of n-grams chosen."""
    try:
        import fasttext as package
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    grid = [
        {"epoch": epochs, "lr": rate, "wordNgrams": longest}
        for epochs in (10, 25)
        for rate in (0.1, 0.5)
        for longest in (2, 3)
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.txt"

        def fit(texts: Texts, labels: np.ndarray, **setting) -> Predict:
            lines = zip(labels, texts, strict=True)
            path.write_text("".join(f"__label__{label} {_words(text)}\n" for label, text in lines))
            model = package.train_supervised(
                str(path), **setting, seed=harness.seed(), thread=os.cpu_count(), verbose=0
            )

            def predict(some: Texts) -> np.ndarray:
                # A list even of one: numpy 2 breaks fastText's answer to a single text.
                found, _ = model.predict([_words(text) for text in some])
                return np.array([int(names[0].removeprefix("__label__")) for names in found])

            return predict

        return choose(grid, fit, train, valid)


def _words(text: str) -> str:
    return " ".join(re.findall(_TOKEN, text.replace("<br />", " ").lower()))


BASELINES: dict[str, Callable[..., Fitted]] = {
    "TF-IDF, logistic regression": tfidf,
    "NB-SVM": nb_svm,
    "NB-weighted logistic regression": nb_logistic,
    "fastText": fasttext,
}
