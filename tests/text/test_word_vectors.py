"""Word vectors from counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.datasets import load_snippets
from tabtext.errors import ParameterError
from tabtext.progress import watching
from tabtext.text import word_vectors as module
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.word_vectors import NEAR, WIDE, Reach, word_vectors

SIZE = 30

documents = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=12), max_size=6)


def information_by_hand(counts: np.ndarray) -> np.ndarray:
    totals = counts.sum(axis=1)
    contexts = totals**0.75
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = counts / totals[:, None] / (contexts / contexts.sum())
        return np.where(counts > 0, np.maximum(np.log(ratio), 0), 0)


def test_the_vectors_factorise_positive_mutual_information() -> None:
    held = [[5, 6, 7, 8], [5, 6, 9], [7, 8, 9, 5], [6, 9, 7]]
    counts = np.zeros((10, 10))
    for document in held:
        for i, word in enumerate(document):
            for j, other in enumerate(document):
                if i != j:
                    counts[word, other] += 1
    left, values, _ = np.linalg.svd(information_by_hand(counts))
    expected = left[:, :3] * np.sqrt(values[:3])
    expected /= np.sqrt(np.mean(expected**2))

    vectors = word_vectors(Documents.of(held), 10, width=3, reaches=[Reach(9)])

    # Directions have no sign, so products are compared.
    np.testing.assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=1e-4)


def test_words_that_are_used_alike_have_like_vectors() -> None:
    texts = load_snippets("amazon")["text"]
    preprocessor = TextPreprocessor(max_size=3000)
    encoded = preprocessor.fit_transform(texts)
    tokens = list(preprocessor.vocabulary_.tokens)

    # Whatever the random projection: of 3,000 words the exact factorisation has "good" ninth.
    for seed in range(3):
        vectors = word_vectors(encoded, len(tokens), width=64, seed=seed)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        for word, others, n in (
            ("months", {"weeks", "days"}, 6),
            ("excellent", {"great"}, 6),
            ("excellent", {"great", "good"}, 12),
        ):
            nearest = np.argsort(-(unit @ unit[tokens.index(word)]))[:n]
            assert others <= {tokens[number] for number in nearest}, (seed, word)


def test_each_reach_has_its_share_of_the_width() -> None:
    held = Documents.of([list(range(5, 25))] * 3)

    near = word_vectors(held, SIZE, width=4, reaches=[NEAR])
    both = word_vectors(held, SIZE, width=7, reaches=[NEAR, WIDE])

    np.testing.assert_allclose(both[:, :4], near, atol=1e-5)
    assert both.shape == (SIZE, 7)


def test_the_same_seed_gives_the_same_vectors() -> None:
    held = Documents.of([[5, 6, 7, 8, 9] * 3, [9, 5, 7]])

    first, second = (word_vectors(held, SIZE, width=4, seed=3) for _ in range(2))

    np.testing.assert_array_equal(first, second)


@settings(max_examples=25, deadline=None)
@given(held=documents, width=st.integers(2, 40))
def test_whatever_the_documents_vectors_are_finite(held: list[list[int]], width: int) -> None:
    vectors = word_vectors(Documents.of(held), SIZE, width)

    assert vectors.shape == (SIZE, width)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_words_without_neighbours_are_zero() -> None:
    vectors = word_vectors(Documents.of([[5], [6, 7, 6], []]), SIZE, 4)

    assert not vectors[5].any()
    assert not vectors[20].any()
    assert vectors[6].any()


def test_words_of_the_vocabulary_that_do_not_occur_make_no_difference() -> None:
    held = [[5, 6, 7, 8], [5, 6, 9], [7, 8, 9, 5], [6, 9, 7]]
    apart = [[number * 100 for number in document] for document in held]

    few = word_vectors(Documents.of(held), 10, 4)
    many = word_vectors(Documents.of(apart), 1000, 4)

    assert many.shape == (1000, 4)
    products = [v @ v.T / np.sum(v**2) for v in (few[5:10], many[500::100])]
    np.testing.assert_allclose(*products, atol=1e-4)


def test_many_texts_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Documents.of([[5, 6], [7, 8], [5, 6], [7, 8], [5, 6]])
    monkeypatch.setattr(module, "_MOST_TOKENS", 6)

    vectors = word_vectors(DocumentView(held), SIZE, 2)

    assert vectors[5].any()
    assert not vectors[7].any()  # every second text


def test_progress_reaches_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * SIZE * 8)
    told: list[tuple[int, int | None]] = []

    with watching(lambda _, done, total: told.append((done, total))):
        word_vectors(Documents.of([list(range(SIZE))]), SIZE, 4)

    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][0] == told[-1][1] > 2


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Documents.of([list(range(2, 20)), list(range(28, 5, -2))])
    whole = word_vectors(held, SIZE, 4)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * SIZE * 8)

    np.testing.assert_allclose(word_vectors(held, SIZE, 4), whole, atol=1e-5)


@pytest.mark.parametrize(("width", "reaches"), [(1, [NEAR, WIDE]), (4, [])])
def test_a_width_too_small_for_the_reaches_is_refused(width: int, reaches: list[Reach]) -> None:
    with pytest.raises(ParameterError, match="width"):
        word_vectors(Documents.of([[5, 6]]), SIZE, width, reaches=reaches)


def test_a_reach_of_nothing_is_refused() -> None:
    with pytest.raises(ParameterError, match="distance"):
        Reach(0)
