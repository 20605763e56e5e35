"""Film reviews: does a sentence praise or blame? A language model becomes a classifier.

The language model that ships with tabtext, which has read Wikipedia, learns to tell praise from
blame, beside a linear model of word counts.
"""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import datasets
from tabtext.demo.common import measure, print_results, step
from tabtext.estimators.text import TextClassifier
from tabtext.reports import Section
from tabtext.reports.classification_sections import classification_section
from tabtext.reports.comparison import Result, metrics_section
from tabtext.reports.model_sections import data_section, training_section
from tabtext.reports.text_sections import errors_section, most_confident_errors

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from sklearn.pipeline import Pipeline

__all__ = ["Sentences", "compared", "rate_movies", "read_sentences"]

_LABELS = ("blame", "praise")  # in the order of the classifier's classes
_COLUMNS = ["text", "sentiment"]
_LINEAR = "TF-IDF + logistic regression"
_SHARE_OF_VALID = _SHARE_OF_TEST = 0.2

# Chosen on the validation sentences, from a language model after a third of its training: log loss
# 0.429, and 0.440 with the defaults. Three epochs are too few for averaged weights to be better.
_CLASSIFIER: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 5e-3,
    "averaging": None,
}
# Strengths of regularisation, of which the baseline takes the best on validation sentences.
_STRENGTHS = (0.3, 1.0, 3.0, 10.0)

_INTRODUCTION = (
    "Sentences from film reviews, each rated by fifteen or more people: is it praise (mean rating "
    "above 0) or blame (below)? The language model that ships with tabtext has read Wikipedia and "
    "becomes a classifier, which votes with linear models of words and pairs of words. The test "
    "sentences were seen once."
)
_BASELINE = (
    "TF-IDF + logistic regression is scikit-learn's: words and pairs of words that occur in two "
    "or more training sentences, logarithmic counts, and the strength of regularisation that is "
    "best on the validation sentences, of four. It gets the same training sentences."
)
_ERRORS = (
    "The test sentences that the classifier was surest of and wrong about, with the words that "
    "led it there. Ratings go from -4 to 4; where people hardly agree, so that the mean is near 0, "
    "no model can be right."
)


@dataclass(frozen=True)
class Sentences:
    """Rated sentences about films in three parts."""

    train: "pd.DataFrame"
    valid: "pd.DataFrame"
    test: "pd.DataFrame"


def rate_movies(console: "Console", out: Path, *, rows: int | None = None) -> list[Section]:
    """Train a classifier, compare and save it.

    Parameters
    ----------
    console : Console
        Where to say what goes on.
    out : Path
        Directory for the model ``movies``.
    rows : int, optional
        Use at most so many training sentences.

    Returns
    -------
    list of Section
        For the report.
    """
    console.rule("Film reviews: praise or blame", align="left")
    with step(console, "reading the sentences"):
        sentences = read_sentences(rows)
    console.print(
        f"Sentences from film reviews: fit on {len(sentences.train):,}, choose on "
        f"{len(sentences.valid):,}, test on {len(sentences.test):,}."
    )
    started = perf_counter()
    classifier = TextClassifier(**_CLASSIFIER).fit(
        sentences.train[_COLUMNS], target="sentiment", validation=sentences.valid[_COLUMNS]
    )
    seconds = perf_counter() - started
    classifier.save(out / "movies")
    results, verdict = _compare(console, sentences, classifier, seconds)
    return [
        metrics_section(
            "Film reviews: praise or blame",
            results,
            text=[_INTRODUCTION, _BASELINE, verdict],
        ),
        *_look_closer(classifier, sentences.test),
        training_section(classifier, "Training: praise or blame"),
        data_section(classifier, "Data: praise or blame"),
    ]


def read_sentences(rows: int | None) -> Sentences:
    """Split the sentences about films at random, those of a document together."""
    films = datasets.load_snippets("movies").drop_duplicates("text")
    films = films[films["rating"] != 0]
    films = films.assign(sentiment=np.where(films["rating"] > 0, "praise", "blame"))
    documents = np.random.default_rng(0).permutation(films["document"].unique())
    n_test, n_valid = (int(share * len(documents)) for share in (_SHARE_OF_TEST, _SHARE_OF_VALID))
    bounds = np.split(documents, [n_test, n_test + n_valid])
    test, valid, train = (films[films["document"].isin(part)] for part in bounds)
    if rows is not None:
        train = train.sample(min(rows, len(train)), random_state=0)
    return Sentences(train, valid, test)


def _compare(
    console: "Console", sentences: Sentences, classifier: TextClassifier, seconds: float
) -> tuple[list[Result], str]:
    """Measure the classifier beside baselines on the test sentences, and say who is ahead."""
    truth = _is_praise(sentences.test)
    metrics_of = measure("classification", truth.astype(int))
    started = perf_counter()
    with step(console, f"fitting: {_LINEAR}"):
        linear = _fit_linear(sentences)
    linear_seconds = perf_counter() - started
    ours = classifier.predict_proba(sentences.test["text"])
    theirs = linear.predict_proba(sentences.test["text"])
    share = float(_is_praise(sentences.train).mean())
    majority = np.tile([1 - share, share], (len(truth), 1))
    results = [
        Result("predict the majority", metrics_of(majority), 0.0),
        Result(_LINEAR, metrics_of(theirs), linear_seconds),
        Result("tabtext", metrics_of(ours), seconds),
    ]
    print_results(console, results, title="Test sentences, seen once")
    verdict = compared((ours[:, 1] > 0.5) == truth, (theirs[:, 1] > 0.5) == truth)
    console.print(verdict)
    return results, verdict


def _fit_linear(sentences: Sentences) -> "Pipeline":
    """TF-IDF and logistic regression, as strongly regularised as is best on validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, valid = sentences.train, sentences.valid
    models = [
        make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            LogisticRegression(C=strength, max_iter=1000),
        ).fit(train["text"], train["sentiment"])
        for strength in _STRENGTHS
    ]
    return max(models, key=lambda model: model.score(valid["text"], valid["sentiment"]))


def _look_closer(classifier: TextClassifier, test: "pd.DataFrame") -> list[Section]:
    """What the classifier gets right and wrong."""
    truth = _is_praise(test)
    probabilities = classifier.predict_proba(test["text"])
    said = probabilities.argmax(axis=1)
    errors = [
        (_caption(test["rating"].iloc[row], probabilities[row]), classifier.explain(text))
        for row, text in (
            (row, test["text"].iloc[row])
            for row in most_confident_errors(truth.astype(int), probabilities)
        )
    ]
    lengths = classifier.preprocessor_.transform(test["text"]).lengths
    return [
        classification_section("Film reviews: test sentences", truth, probabilities[:, 1], _LABELS),
        errors_section(
            "Film reviews: what was read wrongly",
            errors,
            lengths=lengths,
            is_right=said == truth,
            text=[_ERRORS],
        ),
    ]


def _is_praise(films: "pd.DataFrame") -> NDArray[np.bool_]:
    return (films["rating"] > 0).to_numpy()


def _caption(rating: float, probabilities: NDArray[Any]) -> str:
    """What people said about a sentence, and what the model said."""
    said = int(probabilities.argmax())
    return f"Taken for {_LABELS[said]} ({probabilities[said]:.1%}); people rated it {rating:+.1f}."


def compared(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> str:
    """Who is right more often, and whether that can be chance: both saw the same sentences."""
    difference = ours.astype(float) - theirs
    ahead = 100 * abs(difference.mean())
    chance = 200 * difference.std() / np.sqrt(len(difference))
    if ahead <= chance:
        return (
            f"tabtext and {_LINEAR} differ by {ahead:.1f} points of accuracy, which {len(ours):,} "
            f"sentences cannot tell from chance (two standard errors are {chance:.1f} points)."
        )
    first, second = ("tabtext", _LINEAR) if difference.mean() > 0 else (_LINEAR, "tabtext")
    return (
        f"{first} is ahead of {second} by {ahead:.1f} points of accuracy; two standard errors are "
        f"{chance:.1f} points."
    )
