"""Which language model a classifier starts from when it is told nothing."""

import warnings
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tabtext.datasets import load_snippets
from tabtext.errors import ParameterError, TabTextWarning
from tabtext.estimators import LanguageModel, TextClassifier, TextRegressor, pretrained
from tabtext.estimators.origin import AUTO, adapt_to, starting_point, warn_of_foreign_texts
from tabtext.text.documents import Documents
from tabtext.text.preprocessing import TextPreprocessor


@pytest.fixture(scope="module")
def english() -> LanguageModel:
    return LanguageModel.from_pretrained("english-small")


@pytest.mark.parametrize("estimator", [TextClassifier, TextRegressor])
def test_the_model_that_ships_is_the_default(estimator: type, english: LanguageModel) -> None:
    found = starting_point(AUTO, estimator())

    assert estimator().language_model == AUTO
    assert found is not None
    assert found.preprocessor_.vocabulary_.tokens == english.preprocessor_.vocabulary_.tokens


@pytest.mark.parametrize(
    "settings",
    [
        {"language": "de"},
        {"tokens": "bpe"},
        {"size": "medium"},
        {"hidden_width": 64},
        {"cell": "gru"},
        {"direction": "both"},
        {"direction": "backward"},
    ],
    ids=str,
)
def test_what_the_shipped_model_is_not_begins_with_random_weights(settings: dict[str, Any]) -> None:
    assert starting_point(AUTO, TextClassifier(**settings)) is None
    with pytest.raises(ParameterError):  # asked for by name, it is a contradiction
        TextClassifier(language_model="english-small", **settings).check_parameters()


@pytest.mark.parametrize(
    "settings",
    [{"size": "small"}, {"dropout_scale": 0.5}, {"text_columns": "text"}, {"min_frequency": 1}],
    ids=str,
)
def test_what_says_nothing_of_the_encoder_keeps_it(settings: dict[str, Any]) -> None:
    assert starting_point(AUTO, TextClassifier(**settings)) is not None


def test_without_a_shipped_model_auto_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path)

    assert starting_point(AUTO, TextClassifier()) is None


def test_none_is_none() -> None:
    assert starting_point(None, TextClassifier()) is None


@pytest.mark.parametrize("language", ["de", "fr", "es", "nl"])
def test_another_language_is_noticed(english: LanguageModel, language: str) -> None:
    sentences = import_module(f"spacy.lang.{language}.examples").sentences
    documents = english.preprocessor_.transform(sentences)

    with pytest.warns(TabTextWarning, match=r"has never read \d\d% of the words"):
        warn_of_foreign_texts(documents, len(english.preprocessor_.vocabulary_))


@pytest.mark.parametrize("source", ["movies", "tweets", "nyt", "amazon"])
def test_english_is_not(english: LanguageModel, source: str) -> None:
    documents = english.preprocessor_.transform(load_snippets(source)["text"])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_foreign_texts(documents, len(english.preprocessor_.vocabulary_))


def test_a_fit_on_another_language_warns() -> None:
    sentences = import_module("spacy.lang.de.examples").sentences

    with pytest.warns(TabTextWarning, match="are they no English"):
        TextClassifier(epochs=1, verbose=0).fit(sentences, [i % 2 for i in range(len(sentences))])


def test_no_texts_are_of_no_language(english: LanguageModel) -> None:
    warn_of_foreign_texts(english.preprocessor_.transform([]), 10)


def test_a_fit_starts_from_it_and_its_copy_says_so(tmp_path: Path) -> None:
    movies = load_snippets("movies").sample(60, random_state=0)
    model = TextClassifier(epochs=1, verbose=0).fit(movies["text"], movies["rating"] > 0)
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")

    assert loaded.language_model == AUTO
    assert loaded.card_["language_model"]["rows"]["train"] > 10_000
    assert list(model.linear_) == ["ngrams", "frequencies", "words"]


# --- word vectors that turn to the training texts ----------------------------------------------


@pytest.fixture(scope="module")
def films(english: LanguageModel) -> tuple[TextPreprocessor, Documents]:
    """Sentences about films, and English-small's words with the new ones among theirs."""
    vocabulary = english.preprocessor_.vocabulary_
    preprocessor = TextPreprocessor(vocabulary=vocabulary, extend=True, min_freq=2)
    return preprocessor, preprocessor.fit_transform(load_snippets("movies")["text"])


def moved(
    model: LanguageModel, films: tuple[TextPreprocessor, Documents]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word vectors before and after, and how often each word occurs."""
    preprocessor, documents = films
    encoder = model.encoder("forward", vocabulary=preprocessor.vocabulary_)
    before = encoder.word_vectors()
    adapt_to([encoder], documents, model, seed=0)
    return before, encoder.word_vectors(), np.bincount(documents.ids, minlength=len(before))


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.sum(one * other, axis=1) / np.maximum(lengths, 1e-9)


@pytest.fixture(scope="module")
def turned(
    english: LanguageModel, films: tuple[TextPreprocessor, Documents]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the films' sentences make of English-small's words."""
    return moved(english, films)


def test_words_of_the_training_texts_turn_and_all_others_stay(
    english: LanguageModel, turned: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    before, after, counts = turned
    n_known = len(english.preprocessor_.vocabulary_)
    alike, counts = cosines(before, after)[:n_known], counts[:n_known]

    absent = np.flatnonzero(counts == 0)
    np.testing.assert_array_equal(after[absent], before[absent])
    assert alike[counts > 300].mean() < alike[counts == 1].mean() - 0.1
    assert len(before) > n_known  # the films have names that nobody read before
    assert np.ptp(before[n_known:], axis=0).max() == 0  # which all began alike
    assert len(np.unique(after[n_known:], axis=0)) == len(after) - n_known


def test_after_fine_tuning_they_turn_less(
    english: LanguageModel,
    films: tuple[TextPreprocessor, Documents],
    turned: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    tuned = copy(english)
    tuned.card_ = {**english.card_, "tokens": {**english.card_["tokens"], "of_fine_tuning": {}}}

    often = turned[2] > 20
    general, special = (
        cosines(*vectors[:2])[often].mean() for vectors in (turned, moved(tuned, films))
    )

    assert general < special - 0.05


def test_a_language_model_without_counts_keeps_its_vectors(
    english: LanguageModel, films: tuple[TextPreprocessor, Documents]
) -> None:
    own = copy(english)
    own.initial_vectors = "random"

    before, after, _ = moved(own, films)

    np.testing.assert_array_equal(after, before)
