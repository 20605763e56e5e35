"""Which language model a classifier starts from when it is told nothing."""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tabtext.datasets import load_snippets
from tabtext.errors import ParameterError, TabTextWarning
from tabtext.estimators import LanguageModel, TextClassifier, TextRegressor, pretrained
from tabtext.estimators.origin import AUTO, starting_point, warn_of_foreign_texts


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
    assert loaded.card_["recipe"]["language_model"]["train"] > 10_000
    assert list(model.linear_) == ["ngrams", "words"]
