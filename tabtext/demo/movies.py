"""Film reviews: does a sentence praise or blame? A language model becomes a classifier.

A small language model learns from sentences about products, news and tweets, then from those about
films, and then to tell praise from blame; all in less than a minute, beside a linear model of word
counts. It shows the road, not its strength: that comes with language models of millions of words.
"""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import datasets
from tabtext.demo.common import measure, print_results, step
from tabtext.estimators.language_model import LanguageModel
from tabtext.estimators.text import TextClassifier
from tabtext.report import Section
from tabtext.report_sections import (
    Result,
    classification_section,
    data_section,
    metrics_section,
    training_section,
)
from tabtext.report_text import errors_section, most_confident_errors

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from sklearn.pipeline import Pipeline

__all__ = ["Sentences", "compared", "rate_movies", "read_sentences"]

_LABELS = ("blame", "praise")  # in the order of the classifier's classes
_COLUMNS = ["text", "sentiment"]
_LINEAR = "TF-IDF + logistic regression"
_SHARE_OF_VALID = _SHARE_OF_TEST = 0.2

# Chosen on the validation sentences, among what takes less than a minute on two cores. The network
# is small, because half a million words fill no larger one: twice the widths take three times as
# long and read the sentences no better.
_LANGUAGE_MODEL: dict[str, Any] = {
    "embedding_width": 64,
    "hidden_width": 128,
    "softmax": "adaptive",
    "bptt": 40,  # sentences are short
    "dropout_scale": 0.5,
    "epochs": 3,
    "learning_rate": 1e-2,
}
_FINE_TUNING: dict[str, Any] = {"epochs": 3, "learning_rate": 8e-3}
# Three epochs are too few for averaged weights to be better.
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
    "above 0) or blame (below)? A language model learns from the sentences about products, news "
    "and tweets that ship with tabtext, and goes on with the training sentences about films, whose "
    "ratings it does not see; then it becomes a classifier. The test sentences were seen once."
)
_WORTH = (
    "Half a million words teach a language model little that helps here. On the validation "
    "sentences, in the mean over three seeds, the classifier has accuracy 0.780 and log loss 0.465 "
    "with it, and 0.775 and 0.476 when it begins with random weights. The method is made for "
    "language models of millions of words."
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
    """Texts to learn a language from, and rated sentences about films in three parts."""

    other: "pd.Series[str]"
    train: "pd.DataFrame"
    valid: "pd.DataFrame"
    test: "pd.DataFrame"


def rate_movies(console: "Console", out: Path, *, rows: int | None = None) -> list[Section]:
    """Train a language model and a classifier, compare and save them.

    Parameters
    ----------
    console : Console
        Where to say what goes on.
    out : Path
        Directory for the models ``language_model`` and ``movies``.
    rows : int, optional
        Use at most so many training sentences about films, and as many others.

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
        f"{len(sentences.valid):,}, test on {len(sentences.test):,}; for the language model also "
        f"{len(sentences.other):,} about products, news and tweets."
    )
    started = perf_counter()
    language_model = _learn_language(sentences)
    classifier = TextClassifier(language_model=language_model, **_CLASSIFIER).fit(
        sentences.train[_COLUMNS], target="sentiment", validation=sentences.valid[_COLUMNS]
    )
    seconds = perf_counter() - started
    language_model.save(out / "language_model")
    classifier.save(out / "movies")
    results, verdict = _compare(console, sentences, classifier, seconds)
    return [
        metrics_section(
            "Film reviews: praise or blame",
            results,
            text=[_INTRODUCTION, _BASELINE, _WORTH, verdict],
        ),
        *_look_closer(classifier, sentences.test),
        training_section(language_model, "Training: language model of films"),
        training_section(classifier, "Training: praise or blame"),
        data_section(language_model, "Data: language model of films"),
        data_section(classifier, "Data: praise or blame"),
    ]


def read_sentences(rows: int | None) -> Sentences:
    """Split the sentences about films at random, those of a document together."""
    snippets = datasets.load_snippets().drop_duplicates("text")
    is_film = snippets["source"] == "movies"
    films = snippets[is_film & (snippets["rating"] != 0)]
    films = films.assign(sentiment=np.where(films["rating"] > 0, "praise", "blame"))
    documents = np.random.default_rng(0).permutation(films["document"].unique())
    n_test, n_valid = (int(share * len(documents)) for share in (_SHARE_OF_TEST, _SHARE_OF_VALID))
    bounds = np.split(documents, [n_test, n_test + n_valid])
    test, valid, train = (films[films["document"].isin(part)] for part in bounds)
    other = snippets.loc[~is_film, "text"]
    if rows is not None:
        train = train.sample(min(rows, len(train)), random_state=0)
        other = other.sample(min(rows, len(other)), random_state=0)
    return Sentences(other, train, valid, test)


def _learn_language(sentences: Sentences) -> LanguageModel:
    """Train on sentences about anything, then on those about films."""
    general = LanguageModel(**_LANGUAGE_MODEL).fit(sentences.other)
    films = sentences.train["text"]
    return general.fine_tune(films, validation=sentences.valid["text"], **_FINE_TUNING)


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
