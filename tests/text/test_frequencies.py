"""The linear model on how often words come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tabtext.text.documents import Documents
from tabtext.text.frequencies import FrequencyModel

SIZE = 12

texts = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=8), min_size=2, max_size=8)


def drawn(n_texts: int = 60) -> tuple[list[list[int]], np.ndarray]:
    rng = np.random.default_rng(0)
    held = [rng.integers(0, SIZE - 1, rng.integers(1, 15)).tolist() for _ in range(n_texts)]
    return held, rng.integers(0, 2, n_texts)


@pytest.mark.parametrize("min_texts", [1, 30])
def test_it_is_scikit_learns_tf_idf_and_logistic_regression(min_texts: int) -> None:
    held, labels = drawn()
    reference = TfidfVectorizer(
        analyzer=lambda document: document, sublinear_tf=True, min_df=min_texts
    )
    features = reference.fit_transform(held)
    expected = LogisticRegression(C=10, max_iter=300).fit(features.astype(np.float32), labels)

    documents = Documents.of(held)
    model = FrequencyModel.fit(
        documents, np.eye(2)[labels], vocabulary_size=SIZE, min_texts=min_texts
    )

    outputs = model(documents)
    assert (model.rarity == 0).sum() == SIZE - features.shape[1] > 0
    np.testing.assert_allclose(
        outputs[:, 1] - outputs[:, 0], expected.decision_function(features), atol=1e-3
    )


def test_weights_of_rows_count() -> None:
    held, labels = drawn()
    weight = np.where(np.arange(60) < 30, 2.0, 0.0)

    half = FrequencyModel.fit(
        Documents.of(held), np.eye(2)[labels], vocabulary_size=SIZE, weight=weight
    )
    doubled = FrequencyModel.fit(
        Documents.of(held),
        np.eye(2)[np.where(weight > 0, labels, 1 - labels)],
        vocabulary_size=SIZE,
        weight=weight,
    )

    np.testing.assert_allclose(half.weights, doubled.weights, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(held=texts, data=st.data())
def test_contributions_add_up_to_the_output(held: list[list[int]], data: st.DataObject) -> None:
    n = len(held)
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    documents = Documents.of(held)
    model = FrequencyModel.fit(documents, np.eye(3)[labels], vocabulary_size=SIZE)

    for row, document in enumerate(held):
        total = model.contributions(Documents.of([document])).sum(axis=0) + model.bias
        np.testing.assert_allclose(total, model(documents)[row], atol=1e-4)


def test_documents_stay_as_they_are() -> None:
    held = [[7, 5, 6, 5], [9, 8, 9]]
    documents = Documents.of(held)

    model = FrequencyModel.fit(documents, np.eye(2), vocabulary_size=SIZE, min_texts=1)
    model(documents)
    model.contributions(documents.take([0]))

    assert [document.tolist() for document in documents] == held


def test_a_text_of_unknown_words_has_the_bias() -> None:
    documents = Documents.of([[5, 6], [5, 7], [8, 6], [8, 7]])
    model = FrequencyModel.fit(documents, np.eye(2)[[0, 0, 0, 1]], vocabulary_size=SIZE)

    np.testing.assert_array_equal(model(Documents.of([[10, 11], []])), [model.bias, model.bias])
