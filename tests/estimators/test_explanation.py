"""Why a text got its prediction: which outputs, which tokens, which networks."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from tabtext.datasets import load_snippets
from tabtext.errors import ColumnTypeError, ParameterError, UnknownColumnError
from tabtext.estimators.explanation import contributions_to, output_number
from tabtext.estimators.text import TextClassifier, TextRegressor
from tabtext.estimators.voting import Voters
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.text.explanation import token_contributions
from tabtext.text.ngrams import WordModel
from tabtext.training.targets import ClassificationTarget, MultilabelTarget

TINY = {"epochs": 1, "embedding_width": 8, "hidden_width": 12, "verbose": 0, "batch_size": 64}
DOCUMENT = Documents.of([[2, 9, 10, 11, 3]])
CLASSES = ClassificationTarget("label", ("blame", "neither", "praise"))


def network(n_outputs: int, seed: int = 0) -> TextClassifierNetwork:
    torch.manual_seed(seed)
    return TextClassifierNetwork(
        AWDLSTM(12, EncoderOptions(embedding_width=4, hidden_width=6)), n_outputs
    ).eval()


def alone(networks: dict[str, TextClassifierNetwork]) -> Voters:
    """Networks with which no linear model votes."""
    return Voters(networks, {}, {"network": 1.0})


@pytest.fixture(scope="module")
def movies() -> pd.DataFrame:
    return load_snippets("movies").head(300)


@pytest.fixture(scope="module")
def classifier(movies: pd.DataFrame) -> TextClassifier:
    labels = np.where(movies["rating"] > 0, "praise", "blame")
    return TextClassifier(direction="both", **TINY).fit(movies["text"], labels)


def test_a_class_is_explained_against_the_mean_of_the_others() -> None:
    net = network(3)
    each = [token_contributions(net, DOCUMENT[0], number) for number in range(3)]

    found = contributions_to(2, alone({"forward": net}), DOCUMENT, CLASSES, "gradient")

    np.testing.assert_allclose(found, each[2] - (each[0] + each[1]) / 2, rtol=1e-5, atol=1e-7)


def test_a_label_is_explained_by_its_own_output() -> None:
    net, target = network(2), MultilabelTarget(("late", "cancelled"))

    found = contributions_to(1, alone({"forward": net}), DOCUMENT, target, "occlusion")

    expected = token_contributions(net, DOCUMENT[0], 1, method="occlusion")
    np.testing.assert_array_equal(found, expected)


def test_two_directions_are_averaged_token_by_token() -> None:
    target = MultilabelTarget(("late",))
    networks = {"forward": network(1), "backward": network(1, seed=1)}
    backward = token_contributions(networks["backward"], [2, 11, 10, 9, 3])
    in_order = backward[[0, 3, 2, 1, 4]]

    found = contributions_to(0, alone(networks), DOCUMENT, target, "gradient")

    forward = token_contributions(networks["forward"], DOCUMENT[0])
    np.testing.assert_allclose(found, (forward + in_order) / 2, rtol=1e-6)


def test_an_empty_text_has_two_tokens_in_both_directions() -> None:
    networks = {"forward": network(3), "backward": network(3)}

    found = contributions_to(0, alone(networks), Documents.of([[2, 3]]), CLASSES, "gradient")

    assert found.shape == (2,)


def test_the_likeliest_class_is_explained_by_default(classifier: TextClassifier) -> None:
    told = classifier.explain("A masterpiece.")

    assert told.output == classifier.predict(["A masterpiece."])[0]
    assert told.predicted == pytest.approx(classifier.predict_proba(["A masterpiece."]).max())


def test_unknown_words_are_shown_as_they_were_written(classifier: TextClassifier) -> None:
    told = classifier.explain("A zxqy film")

    assert told.tokens == ("xxbos", "xxmaj", "a", "zxqy", "film", "xxeos")
    assert told.restore(told.tokens) == "A zxqy film"


@pytest.mark.parametrize(
    ("output", "number", "name"),
    [(None, 2, "praise"), ("blame", 0, "blame"), ("neither", 1, "neither")],
)
def test_outputs_are_found_by_name(output: str | None, number: int, name: str) -> None:
    assert output_number(CLASSES, output, np.array([0.1, 0.2, 0.7])) == (number, name)


def test_classes_that_are_no_text_may_be_spelled() -> None:
    target = ClassificationTarget("label", (False, True))

    assert output_number(target, True, np.array([0.6, 0.4])) == (1, "True")
    assert output_number(target, "True", np.array([0.6, 0.4])) == (1, "True")


def test_an_unknown_output_is_refused_with_the_nearest_name(classifier: TextClassifier) -> None:
    with pytest.raises(ParameterError, match="did you mean 'praise'"):
        classifier.explain("A joy.", output="prais")


def test_a_quantity_is_explained_and_predicted_in_its_unit(movies: pd.DataFrame) -> None:
    model = TextRegressor(**TINY).fit(movies["text"], movies["rating"])

    told = model.explain("A joy.")

    assert told.output == "rating"
    assert told.predicted == pytest.approx(model.predict(["A joy."])[0], abs=1e-5)


def test_several_columns_are_given_by_name(movies: pd.DataFrame) -> None:
    table = pa.table({"title": movies["text"].str[:20], "body": movies["text"]})
    model = TextClassifier(**TINY).fit(table, movies["rating"] > 0)

    told = model.explain({"body": "A joy.", "title": "Two"}, output=True)

    assert told.tokens[:5] == ("xxbos", "xxfld", "1", "xxmaj", "two")
    assert told.tokens[5:9] == ("xxfld", "2", "xxmaj", "a")
    assert len(told.contributions) == len(told.tokens)
    with pytest.raises(UnknownColumnError, match="title"):
        model.explain({"body": "A joy."})


def test_what_is_no_text_is_refused(classifier: TextClassifier) -> None:
    with pytest.raises(ColumnTypeError):
        classifier.explain({"text": 3})


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_many_classes_take_one_pass_over_each_direction(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[object] = []

    def counted(*arguments: object, **more: object) -> object:
        passes.append(arguments)
        return token_contributions(*arguments, **more)

    monkeypatch.setattr("tabtext.estimators.explanation.token_contributions", counted)
    many = ClassificationTarget("label", tuple(f"class {number}" for number in range(20)))
    networks = {"forward": network(20), "backward": network(20, seed=1)}

    contributions_to(3, alone(networks), DOCUMENT, many, method)

    assert len(passes) == 2


def votes(network_vote: float) -> tuple[Voters, WordModel]:
    words = WordModel(np.arange(24, dtype=np.float32).reshape(12, 2), np.zeros(2, np.float32))
    mixing = {"network": network_vote, "words": 0.5}
    return Voters({"forward": network(2)}, {"words": words}, mixing), words


def test_what_has_no_vote_is_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("tabtext.estimators.explanation.token_contributions", asked)
    voters, words = votes(0.0)

    found = contributions_to(1, voters, DOCUMENT, MultilabelTarget(("a", "b")), "occlusion")

    np.testing.assert_allclose(found, 0.5 * words.contributions(DOCUMENT)[:, 1])


def test_contributions_add_up_by_vote() -> None:
    target = MultilabelTarget(("a", "b"))
    voters, words = votes(2.0)

    found = contributions_to(1, voters, DOCUMENT, target, "gradient")

    of_network = token_contributions(voters.networks["forward"], DOCUMENT[0], 1)
    expected = 2.0 * of_network + 0.5 * words.contributions(DOCUMENT)[:, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("vote", [0.0, 1.0])
def test_an_unknown_method_is_refused_whoever_votes(vote: float) -> None:
    with pytest.raises(ParameterError, match="gradient, occlusion"):
        contributions_to(0, votes(vote)[0], DOCUMENT, MultilabelTarget(("a", "b")), "guess")
