"""Classifiers to beat: TF-IDF, NB-SVM, NB-weighted and plain logistic regression, and fastText.

Each takes texts and labels of training reviews, and of validation reviews if there are any. It
prepares the training reviews once, fits once per setting of a small grid, and keeps the setting
with the best accuracy on the validation reviews; without them, the one that is best in
cross-validation on the training reviews.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import harness
import numpy as np

Texts = Sequence[str] | np.ndarray
Labelled = tuple[Texts, np.ndarray]
Predict = Callable[[Texts], np.ndarray]
Fit = Callable[..., Predict]
Prepare = Callable[[Texts, np.ndarray], Fit]
"""Training texts and labels -> what fits them with one setting."""

_TOKEN = r"\w+|[^\w\s]"  # punctuation counts: "!" and "?" are worth some tenths of a point
_SMOOTHING = 1.0  # the papers' alpha

_N_FOLDS = 5
_MANY = 10_000
"""Texts from which on one fold of five chooses as well as all: it has 2,000 or more."""


@dataclass(frozen=True)
class Fitted:
    """A classifier that was chosen, what was chosen, and the seconds that its own fit took."""

    predict: Predict
    choice: str
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


def choose(
    settings: Sequence[Mapping[str, Any]],
    prepare: Prepare,
    train: Labelled,
    valid: Labelled | None = None,
) -> Fitted:
    """Fit with every setting; return the one that is best on the validation reviews.

    Without any, the best by cross-validation is fitted to all training reviews; of equal ones it is
    the first.
    """
    if valid is None:
        settings = [_best_in_folds(settings, prepare, train)]
    started = time.perf_counter()
    fit = prepare(*train)
    preparation = time.perf_counter() - started
    best: Fitted | None = None
    best_accuracy = -1.0
    for setting in settings:
        started = time.perf_counter()
        predict = fit(**setting)
        seconds = preparation + time.perf_counter() - started
        accuracy = 0.0 if valid is None else _accuracy(predict, valid)
        if accuracy > best_accuracy:  # the loser goes: a fastText model takes 0.8 GB
            choice = ", ".join(f"{name}={value}" for name, value in setting.items())
            best, best_accuracy = Fitted(predict, choice, seconds), accuracy
    assert best is not None
    return best


def _best_in_folds(
    settings: Sequence[Mapping[str, Any]], prepare: Prepare, train: Labelled
) -> Mapping[str, Any]:
    """The setting with the best mean accuracy on the folds of the training reviews."""
    from sklearn.model_selection import StratifiedKFold

    texts = train[0] if isinstance(train[0], np.ndarray) else np.array(train[0], dtype=object)
    labels = train[1]
    folds = list(
        StratifiedKFold(_N_FOLDS, shuffle=True, random_state=harness.seed()).split(texts, labels)
    )
    accuracies = []
    for fitted, held_out in folds[:1] if len(texts) >= _MANY else folds:
        fit = prepare(texts[fitted], labels[fitted])
        scored = texts[held_out], labels[held_out]
        accuracies.append([_accuracy(fit(**setting), scored) for setting in settings])
    return settings[int(np.argmax(np.mean(accuracies, axis=0)))]


def _accuracy(predict: Predict, scored: Labelled) -> float:
    return float(np.mean(predict(scored[0]) == scored[1]))


# --- linear models on n-grams, and on vectors -------------------------------------------------


def tfidf(train: Labelled, valid: Labelled | None = None) -> Fitted:
    """TF-IDF of words and pairs of words, and logistic regression."""
    return choose([{"C": c} for c in (1.0, 10.0, 30.0, 100.0)], _prepare_tfidf, train, valid)


def nb_svm(train: Labelled, valid: Labelled | None = None) -> Fitted:
    """Wang and Manning's: pairs of words weighted by log-count ratios, linear SVM."""
    grid = [
        {"C": c, "own_share": own_share}
        for c in (0.0003, 0.001, 0.003, 0.01, 0.1)
        for own_share in (0.25, 1.0)
    ]
    return choose(grid, _prepare_nb_svm, train, valid)


def nb_logistic(train: Labelled, valid: Labelled | None = None) -> Fitted:
    """Up to three words weighted by log-count ratios, and logistic regression."""
    return choose([{"C": c} for c in (0.1, 1.0, 10.0)], _prepare_nb_logistic, train, valid)


def vectors_logistic(train: Labelled, valid: Labelled | None = None) -> Fitted:
    """Logistic regression on vectors, given instead of texts."""
    return choose([{"C": c} for c in (0.1, 1.0, 10.0, 100.0)], _prepare_vectors, train, valid)


def _prepare_tfidf(texts: Texts, labels: np.ndarray) -> Fit:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    fit_matrix = _prepare_vectors(words.fit_transform(texts), labels)

    def fit(*, C: float) -> Predict:  # noqa: N803
        predict = fit_matrix(C=C)
        return lambda some: predict(words.transform(some))

    return fit


def _prepare_vectors(vectors: Any, labels: np.ndarray) -> Fit:
    from sklearn.linear_model import LogisticRegression

    return lambda *, C: LogisticRegression(C=C, max_iter=1000).fit(vectors, labels).predict  # noqa: N803


def _prepare_nb_svm(texts: Texts, labels: np.ndarray) -> Fit:
    from sklearn.svm import LinearSVC

    def solve(matrix, target, ratios, *, C: float, own_share: float):  # noqa: N803
        model = LinearSVC(C=C, random_state=harness.seed()).fit(matrix, target)
        weights = model.coef_[0]
        mean = np.abs(weights).mean()  # the paper's interpolation, its beta is the own share
        weights = ratios * ((1 - own_share) * mean + own_share * weights)
        return weights, float(model.intercept_[0])

    return _prepare_ratios(texts, labels, longest=2, solve=solve)


def _prepare_nb_logistic(texts: Texts, labels: np.ndarray) -> Fit:
    from sklearn.linear_model import LogisticRegression

    def solve(matrix, target, ratios, *, C: float):  # noqa: N803
        model = LogisticRegression(C=C, solver="liblinear", dual=True, random_state=harness.seed())
        model.fit(matrix, target)
        return ratios * model.coef_[0], float(model.intercept_[0])

    return _prepare_ratios(texts, labels, longest=3, solve=solve)


def _prepare_ratios(texts: Texts, labels: np.ndarray, *, longest: int, solve) -> Fit:
    """Weight which n-grams each text has by their log-count ratios, for ``solve`` to fit.

    The second of two classes against the first; each of several against all others, the largest
    score wins.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(
        ngram_range=(1, longest), token_pattern=_TOKEN, binary=True, dtype=np.float32
    )
    matrix = words.fit_transform(texts)
    classes = np.unique(labels)
    targets = [labels == value for value in (classes[1:] if len(classes) == 2 else classes)]
    ratios = [_log_count_ratios(matrix, target) for target in targets]

    def fit(**setting: float) -> Predict:
        solved = [
            solve(matrix.multiply(own).tocsr(), target, own, **setting)
            for own, target in zip(ratios, targets, strict=True)
        ]
        weights = np.column_stack([weights for weights, _ in solved])
        biases = np.array([bias for _, bias in solved])

        def predict(some: Texts) -> np.ndarray:
            scores = words.transform(some) @ weights + biases
            best = scores[:, 0] > 0 if len(classes) == 2 else scores.argmax(axis=1)
            return classes[best.astype(int)]

        return predict

    return fit


def _log_count_ratios(matrix, target: np.ndarray) -> np.ndarray:
    """How much likelier every n-gram is in the texts of the class than in the others."""
    shares = []
    for rows in (target, ~target):
        counts = _SMOOTHING + np.asarray(matrix[rows].sum(axis=0))[0]
        shares.append(counts / counts.sum())
    return np.log(shares[0] / shares[1])


# --- fastText -------------------------------------------------------------------------------


def fasttext(train: Labelled, valid: Labelled | None = None) -> Fitted:
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

        def prepare(texts: Texts, labels: np.ndarray) -> Fit:
            lines = zip(labels, texts, strict=True)
            path.write_text("".join(f"__label__{label} {_words(text)}\n" for label, text in lines))
            return fit

        def fit(**setting) -> Predict:
            model = package.train_supervised(
                str(path), **setting, seed=harness.seed(), thread=os.cpu_count(), verbose=0
            )

            def predict(some: Texts) -> np.ndarray:
                # A list even of one: numpy 2 breaks fastText's answer to a single text.
                found, _ = model.predict([_words(text) for text in some])
                return np.array([int(names[0].removeprefix("__label__")) for names in found])

            return predict

        return choose(grid, prepare, train, valid)


def _words(text: str) -> str:
    return " ".join(re.findall(_TOKEN, text.replace("<br />", " ").lower()))


LINEAR: dict[str, Callable[..., Fitted]] = {
    "TF-IDF, logistic regression": tfidf,
    "NB-SVM": nb_svm,
    "NB-weighted logistic regression": nb_logistic,
}
BASELINES = LINEAR | {"fastText": fasttext}
