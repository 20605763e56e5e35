"""Cutoffs of an adaptive softmax: the cheapest, by a cost that can be written down."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from tabtext.errors import DataError, ParameterError
from tabtext.text.softmax.cutoffs import choose_cutoffs, zipf_counts


def expected_cost(counts: np.ndarray, cutoffs: tuple[int, ...]) -> float:
    """What a step of 2,240 targets costs, as the documentation has it."""
    shares = counts / counts.sum()
    cost = 2_240.0 * (cutoffs[0] + len(cutoffs))
    for begin, end in pairwise([*cutoffs, len(counts)]):
        rows = 2_240 * shares[begin:end].sum()
        cost += max(rows, 16) * (end - begin) + 20_000
    return cost


@pytest.mark.parametrize("n_clusters", [1, 2, 3])
def test_no_other_cutoffs_cost_less(n_clusters: int) -> None:
    counts = np.sort(np.random.default_rng(0).integers(1, 10_000, 30))[::-1]

    chosen = choose_cutoffs(counts, n_clusters=n_clusters)

    costs = [expected_cost(counts, each) for each in combinations(range(1, 30), n_clusters)]
    assert len(chosen) == n_clusters
    assert expected_cost(counts, chosen) == pytest.approx(min(costs))


def test_the_head_of_a_usual_vocabulary_holds_most_of_the_text_and_few_words() -> None:
    counts = zipf_counts(30_000)

    cutoffs = choose_cutoffs(counts)

    assert len(cutoffs) == 3
    assert cutoffs[0] < 1_000
    assert counts[: cutoffs[0]].sum() > counts.sum() / 2
    assert expected_cost(counts, cutoffs) < 0.14 * 2_240 * 30_000


def test_special_tokens_that_never_occur_do_no_harm() -> None:
    counts = np.concatenate([[0] * 9, zipf_counts(5_000)])

    cutoffs = choose_cutoffs(counts)

    assert 9 < cutoffs[0] < cutoffs[1] < cutoffs[2] < len(counts)


@pytest.mark.parametrize("n_words", [2, 3, 4, 10])
def test_a_small_vocabulary_has_as_many_clusters_as_it_can_have(n_words: int) -> None:
    cutoffs = choose_cutoffs([1] * n_words)

    assert len(cutoffs) == min(3, n_words - 1)
    assert list(cutoffs) == sorted(set(cutoffs))
    assert 1 <= cutoffs[0] <= cutoffs[-1] < n_words


@pytest.mark.parametrize("counts", [[], [5], [0, 0, 0]])
def test_counts_without_two_tokens_that_occur_are_refused(counts: list[int]) -> None:
    with pytest.raises(DataError, match="two tokens at least"):
        choose_cutoffs(counts)


def test_there_is_a_cluster_at_least() -> None:
    with pytest.raises(ParameterError, match="n_clusters=0 must be at least 1"):
        choose_cutoffs([3, 2, 1], n_clusters=0)
