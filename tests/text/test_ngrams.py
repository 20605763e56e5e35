"""Linear models of n-grams and of mean word vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from tabtext.errors import ParameterError
from tabtext.text.documents import Documents
from tabtext.text.ngrams import NgramModel, WordModel, fit_64_bits

SIZE = 12
EXCLUSIVE = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]] * 3)
DOCUMENTS = Documents.of([[5, 6, 7], [5, 7, 6], [8, 6], [8, 7, 9]] * 3)

texts = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=8), min_size=2, max_size=8)


def test_it_is_naive_bayes_weighted_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    held = [rng.integers(0, SIZE, rng.integers(1, 15)).tolist() for _ in range(40)]
    labels = rng.integers(0, 2, 40)
    present = np.array([[word in document for word in range(SIZE)] for document in held], float)
    yes, no = (present[labels == side].sum(axis=0) + 1 for side in (1, 0))
    ratio = np.log(yes / yes.sum()) - np.log(no / no.sum())
    reference = LogisticRegression(C=0.5, max_iter=1000, tol=1e-8).fit(present * ratio, labels)

    model = NgramModel.fit(
        Documents.of(held), np.eye(2)[labels], vocabulary_size=SIZE, longest=1, min_texts=1
    )

    outputs = model(Documents.of(held))
    expected = reference.decision_function(present * ratio)
    np.testing.assert_allclose(outputs[:, 1] - outputs[:, 0], expected, atol=2e-3)
    np.testing.assert_allclose(outputs[:, 1], -outputs[:, 0])


@settings(max_examples=30, deadline=None)
@given(held=texts, longest=st.integers(1, 3), data=st.data())
def test_contributions_add_up_to_the_output(
    held: list[list[int]], longest: int, data: st.DataObject
) -> None:
    n = len(held)
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    targets, documents = np.eye(3)[labels], Documents.of(held)
    ngrams = NgramModel.fit(documents, targets, vocabulary_size=SIZE, longest=longest, min_texts=1)
    words = WordModel.fit(documents, targets, np.eye(SIZE, dtype=np.float32))

    for row, document in enumerate(held):
        single = Documents.of([document])
        for model in (ngrams, words):
            total = model.contributions(single).sum(axis=0) + model.bias
            np.testing.assert_allclose(total, model(documents)[row], atol=1e-4)


def test_word_sequences_tell_what_words_do_not() -> None:
    documents = Documents.of([[5, 6, 7, 8], [7, 8, 5, 6], [6, 5, 8, 7], [8, 7, 6, 5]] * 4)
    targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]] * 4)

    pairs, single = (
        NgramModel.fit(documents, targets, vocabulary_size=SIZE, longest=longest)
        for longest in (2, 1)
    )

    np.testing.assert_array_equal(pairs(documents).argmax(axis=1), targets.argmax(axis=1))
    assert np.ptp(single(documents)) < 1e-6


def test_labels_that_do_not_exclude_each_other_are_fitted_one_by_one() -> None:
    both = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]] * 4)
    documents = Documents.of([[5, 6], [5, 7], [8, 6], [8, 7]] * 4)

    for model in (
        NgramModel.fit(documents, both, vocabulary_size=SIZE, exclusive=False),
        WordModel.fit(documents, both, np.eye(SIZE, dtype=np.float32), exclusive=False),
    ):
        np.testing.assert_array_equal(model(documents) > 0, both > 0)


@pytest.mark.parametrize("exclusive", [True, False])
def test_weights_count(exclusive: bool) -> None:
    documents = Documents.of([[5], [5]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0]])
    settings_ = {"vocabulary_size": SIZE, "exclusive": exclusive, "min_texts": 1}

    for weight, likelier in (([9.0, 1.0], 0), ([1.0, 9.0], 1)):
        model = NgramModel.fit(documents, targets, weight=np.array(weight), **settings_)
        assert model(documents)[0].argmax() == likelier


def test_an_output_that_never_or_always_holds_is_unlikely_or_likely() -> None:
    targets = np.array([[0.0, 1.0]] * 4)
    documents = Documents.of([[5], [6], [7], [8]])

    model = NgramModel.fit(documents, targets, vocabulary_size=SIZE, exclusive=False)

    outputs = model(documents)
    assert np.isfinite(outputs).all()
    assert (outputs[:, 0] < 0).all()
    assert (outputs[:, 1] > 0).all()


def test_texts_without_a_known_ngram_get_the_bias() -> None:
    model = NgramModel.fit(DOCUMENTS, EXCLUSIVE, vocabulary_size=SIZE)

    np.testing.assert_allclose(model(Documents.of([[], [10, 11]])), [model.bias] * 2)


def test_ngrams_of_few_texts_are_left_out() -> None:
    documents = Documents.of([[5, 6], [5, 7]])

    model = NgramModel.fit(documents, np.eye(2), vocabulary_size=SIZE, min_texts=2)

    assert model.ngrams.tolist() == [6]  # word 5


@pytest.mark.parametrize("longest", [-1, 0, 4, 64, 2**62])
def test_what_does_not_fit_64_bits_has_no_number(longest: int) -> None:
    assert not fit_64_bits(longest, 60_000)


def test_what_does_not_fit_64_bits_is_refused() -> None:
    with pytest.raises(ParameterError, match="64 bits"):
        NgramModel.fit(DOCUMENTS, EXCLUSIVE, vocabulary_size=60_000, longest=4)


def test_standardised_means_are_what_is_penalised() -> None:
    vectors = np.random.default_rng(1).normal(size=(SIZE, 3)).astype(np.float32)
    shares = sparse.csr_matrix(
        (np.repeat(1 / DOCUMENTS.lengths, DOCUMENTS.lengths), DOCUMENTS.ids, DOCUMENTS.offsets),
        shape=(len(DOCUMENTS), SIZE),
    )
    means = shares @ vectors
    features = (means - means.mean(axis=0)) / means.std(axis=0)
    reference = LogisticRegression(C=0.01, tol=1e-8).fit(features, EXCLUSIVE[:, 1])

    outputs = WordModel.fit(DOCUMENTS, EXCLUSIVE, vectors)(DOCUMENTS)

    expected = reference.decision_function(features)
    np.testing.assert_allclose(outputs[:, 1] - outputs[:, 0], expected, atol=1e-3)
