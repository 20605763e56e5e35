"""Word vectors of new texts in the space of a network's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.text.alignment import adapted_vectors

N_WORDS, WIDTH = 60, 4
OFTEN = np.full(N_WORDS, 10_000)


def own_vectors(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N_WORDS, WIDTH)).astype(np.float32)


def turned(vectors: np.ndarray, seed: int = 1) -> np.ndarray:
    """The same vectors on other axes, at another scale."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))
    return (3 * vectors @ axes).astype(np.float32)


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=1)


def test_other_axes_are_turned_to_the_networks_own() -> None:
    own = own_vectors()

    adapted = adapted_vectors(turned(own), own, np.full(N_WORDS, True), OFTEN)

    np.testing.assert_allclose(adapted, own, atol=1e-3)
    assert adapted.dtype == np.float32


def test_a_new_word_gets_the_direction_that_the_texts_say() -> None:
    own = own_vectors()
    shared = np.arange(N_WORDS) < 50
    carried = np.where(shared[:, None], own, 7).astype(np.float32)

    adapted = adapted_vectors(turned(own), carried, shared, OFTEN)

    cosines = np.sum(adapted * own, axis=1) / (lengths(adapted) * lengths(own))
    np.testing.assert_allclose(cosines[50:], 1, atol=1e-3)


def test_frequent_words_keep_their_length_and_new_ones_have_that_of_rare_ones() -> None:
    own = own_vectors() * np.linspace(0.2, 5, N_WORDS, dtype=np.float32)[:, None]
    shared = np.arange(N_WORDS) < 50
    counts = np.arange(N_WORDS)[::-1] * 1_000_000 + 100_000  # the longer, the rarer

    adapted = adapted_vectors(turned(own_vectors(5)), own, shared, counts)

    np.testing.assert_allclose(lengths(adapted)[:50], lengths(own)[:50], rtol=1e-3)
    np.testing.assert_allclose(lengths(adapted)[50:], np.median(lengths(own)[25:50]), rtol=1e-3)


def test_a_word_moves_the_further_the_more_often_it_occurs() -> None:
    own = own_vectors()
    counted = turned(own)
    counted[:20] = turned(own_vectors(9))[:20]  # used otherwise in the new texts
    counts = OFTEN.copy()
    counts[:3] = 1, 10, 1000

    adapted = adapted_vectors(counted, own, np.full(N_WORDS, True), counts)

    moved = lengths(adapted - own)[:3] / lengths(own)[:3]
    assert moved[0] < moved[1] < moved[2]


def test_a_blend_is_shorter_where_the_texts_say_otherwise_and_never_longer() -> None:
    own = own_vectors()
    counts = np.full(N_WORDS, 10)

    agreed = adapted_vectors(turned(own), own, np.full(N_WORDS, True), counts)
    apart = adapted_vectors(turned(own_vectors(7)), own, np.full(N_WORDS, True), counts)

    np.testing.assert_allclose(lengths(agreed), lengths(own), rtol=1e-3)
    assert (lengths(apart) <= lengths(own) * 1.001).all()
    assert lengths(apart).mean() < 0.9 * lengths(own).mean()


@pytest.mark.parametrize("occurs", [0, 10_000])
def test_known_words_of_which_nothing_was_counted_stay(occurs: int) -> None:
    own, counts = own_vectors(), OFTEN.copy()
    counted = turned(own_vectors(3))
    counted[5:9], counts[5:9] = 0, occurs

    adapted = adapted_vectors(counted, own, np.full(N_WORDS, True), counts)

    np.testing.assert_array_equal(adapted[5:9], own[5:9])


def test_too_few_shared_words_change_nothing() -> None:
    own = own_vectors()
    shared = np.arange(N_WORDS) < WIDTH - 1

    assert adapted_vectors(turned(own), own, shared, OFTEN) is own


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(0, 50), min_size=N_WORDS, max_size=N_WORDS),
    shared=st.lists(st.booleans(), min_size=N_WORDS, max_size=N_WORDS),
    silent=st.lists(st.booleans(), min_size=N_WORDS, max_size=N_WORDS),
)
def test_whatever_occurs_vectors_are_finite(
    counts: list[int], shared: list[bool], silent: list[bool]
) -> None:
    counted = turned(own_vectors(2))
    counted[silent] = 0

    adapted = adapted_vectors(counted, own_vectors(), np.array(shared), np.array(counts))

    assert np.isfinite(adapted).all()
    assert adapted.shape == (N_WORDS, WIDTH)


@pytest.mark.parametrize("occurs", [0, 3])
def test_a_new_word_without_neighbours_keeps_what_it_has(occurs: int) -> None:
    own, counts = own_vectors(), OFTEN.copy()
    counted = turned(own)
    counted[59], counts[59] = 0, occurs

    adapted = adapted_vectors(counted, own, np.arange(N_WORDS) < 59, counts)

    np.testing.assert_array_equal(adapted[59], own[59])
