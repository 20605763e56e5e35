"""Windows of a continuous stream: every token once, and always the same ones again."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tabtext.errors import DataError, ParameterError
from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.documents import Documents
from tabtext.text.special_tokens import BEGIN_ID, END_ID, PADDING_ID
from tabtext.training.batches import Batch, batch_order
from tabtext.training.streaming import StreamedBatches


def corpus(*lengths: int) -> Documents:
    """Documents of so many tokens; no id comes twice, so that each can be followed."""
    ids = iter(range(100, 100 + sum(lengths)))
    return Documents.of([[next(ids) for _ in range(length)] for length in lengths])


def some_documents(n_tokens: int) -> Documents:
    """Documents of all lengths, none among them."""
    lengths = [0, 3, 1, 40, 7]
    while sum(lengths) < n_tokens:
        lengths.append(2 + len(lengths) % 11)
    while sum(lengths) > n_tokens:
        lengths[-1] -= min(lengths[-1], sum(lengths) - n_tokens)
        if not lengths[-1]:
            lengths.pop()
    return corpus(*lengths)


def pairs(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    """Every token with the one that it should predict, but for padding."""
    found = []
    for batch in batches:
        tokens, targets = batch.inputs[:2]
        real = targets != PADDING_ID
        found += list(zip(tokens[real].tolist(), targets[real].tolist(), strict=True))
    return found


def stream_of(documents: Documents, epoch: int, seed: int) -> list[int]:
    order = batch_order(len(documents), epoch, seed).tolist()
    return [int(token) for number in order for token in documents[number]]


def assert_same(one: Batch, other: Batch) -> None:
    for mine, its in zip(one.inputs, other.inputs, strict=True):
        assert torch.equal(mine, its)
    assert torch.equal(one.target, other.target)
    assert (one.weight is None) == (other.weight is None)
    if one.weight is not None and other.weight is not None:
        assert torch.equal(one.weight, other.weight)
    assert (one.total, one.rate_factor) == (other.total, other.rate_factor)


SIZES = {
    "n_tokens": st.integers(2, 900),
    "batch_size": st.integers(1, 9),
    "bptt": st.integers(2, 80),
    "random_lengths": st.booleans(),
}


# ---------------------------------------------------------------------------------------- the walk


@given(**SIZES, epoch=st.integers(0, 3), seed=st.integers(-2, 3))
def test_every_token_is_predicted_once_from_the_one_before_it_in_the_stream(
    n_tokens: int, batch_size: int, bptt: int, random_lengths: bool, epoch: int, seed: int
) -> None:
    documents = some_documents(n_tokens)
    batches = StreamBatches(
        documents, batch_size=batch_size, bptt=bptt, random_lengths=random_lengths
    )

    walk = list(batches.walk(epoch, seed=seed))

    stream = stream_of(documents, epoch, seed)
    assert sorted(pairs(walk)) == sorted(itertools.pairwise(stream))
    assert len(walk) == len(batches)
    assert batches.n_rows == n_tokens - 1


@given(**SIZES)
def test_what_a_row_reads_goes_on_where_its_last_window_ended(
    n_tokens: int, batch_size: int, bptt: int, random_lengths: bool
) -> None:
    batches = StreamBatches(
        some_documents(n_tokens), batch_size=batch_size, bptt=bptt, random_lengths=random_lengths
    )

    walk = list(batches.walk(1, seed=0))

    for before, after in itertools.pairwise(walk):
        assert torch.equal(before.inputs[1][:, -1], after.inputs[0][:, 0])
    for number, batch in enumerate(walk):
        _, _, rows, fresh = batch.inputs
        assert rows.tolist() == list(range(batches.n_streams)) == batch.target.tolist()
        assert fresh.tolist() == [number == 0] * batches.n_streams


def test_streams_differ_by_one_token_at_most_and_the_last_window_says_who_has_fewer() -> None:
    batches = StreamBatches(corpus(60), batch_size=4, bptt=5, random_lengths=False, shuffle=False)

    *others, last = batches.walk(0, seed=0)

    assert all(batch.weight is None for batch in others)
    assert last.weight is not None
    assert last.weight.tolist() == (last.inputs[1] != PADDING_ID).sum(dim=1).tolist()
    assert sorted(last.weight.tolist()) == [4.0, 5.0, 5.0, 5.0]


def test_documents_come_in_an_order_that_epoch_and_seed_fix() -> None:
    documents = corpus(*[5] * 12)
    batches = StreamBatches(documents, batch_size=1, bptt=7)

    orders = {
        (epoch, seed): tuple(pairs(list(batches.walk(epoch, seed=seed))))
        for epoch in range(3)
        for seed in range(3)
    }

    assert len(set(orders.values())) == 9
    assert orders[1, 2] == tuple(pairs(list(batches.walk(1, seed=2))))


def test_without_shuffling_documents_come_as_they_are() -> None:
    documents = corpus(5, 9, 2, 30)
    batches = StreamBatches(documents, batch_size=1, bptt=7, shuffle=False)

    tokens = [token for token, _ in pairs(list(batches.walk(3, seed=1)))]

    assert tokens == documents.ids[:-1].tolist()


@given(**SIZES, start=st.integers(0, 40))
def test_a_walk_begun_midway_is_the_rest_of_the_whole_walk(
    n_tokens: int, batch_size: int, bptt: int, random_lengths: bool, start: int
) -> None:
    batches = StreamBatches(
        some_documents(n_tokens), batch_size=batch_size, bptt=bptt, random_lengths=random_lengths
    )

    rest = list(batches.walk(2, seed=1, start=start))

    whole = list(batches.walk(2, seed=1))[start:]
    assert len(rest) == len(whole)
    for mine, its in zip(rest, whole, strict=True):
        assert_same(mine, its)


def test_neither_is_torchs_generator_used_nor_does_it_matter() -> None:
    batches = StreamBatches(some_documents(500), batch_size=3)
    torch.manual_seed(0)
    first = list(batches.walk(0, seed=0))
    drawn = torch.rand(1)

    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn)
    for mine, its in zip(batches.walk(0, seed=0), first, strict=True):
        assert_same(mine, its)


# ----------------------------------------------------------------------------------------- lengths


@given(**SIZES, epoch=st.integers(0, 9))
def test_every_epoch_has_as_many_windows_and_none_is_very_short(
    n_tokens: int, batch_size: int, bptt: int, random_lengths: bool, epoch: int
) -> None:
    batches = StreamBatches(
        some_documents(n_tokens), batch_size=batch_size, bptt=bptt, random_lengths=random_lengths
    )

    lengths = batches.window_lengths(epoch, seed=0)

    longest = -(-(n_tokens - 1) // batches.n_streams)
    assert len(lengths) == len(batches)
    assert lengths.sum() == longest
    assert lengths.min() >= min(5 if random_lengths else 2, bptt, longest // len(batches))


def test_most_windows_are_about_as_long_as_asked_for_and_some_half_as_long() -> None:
    batches = StreamBatches(corpus(2_000_000), batch_size=1, bptt=70)

    lengths = np.concatenate([batches.window_lengths(epoch, seed=0) for epoch in range(2)])

    half = lengths < 52
    assert half.mean() == pytest.approx(0.05, abs=0.005)
    assert lengths[half].mean() == pytest.approx(35.0, abs=0.6)
    assert lengths[~half].mean() == pytest.approx(70.0, abs=0.2)
    assert lengths[~half].std() == pytest.approx(5.0, abs=0.1)


def test_lengths_are_drawn_anew_in_every_epoch() -> None:
    batches = StreamBatches(corpus(3_000), batch_size=2)

    first, second = (batches.window_lengths(epoch, seed=0).tolist() for epoch in range(2))

    assert first != second


def test_windows_of_equal_length_have_it_but_for_the_last() -> None:
    batches = StreamBatches(corpus(104), batch_size=1, bptt=20, random_lengths=False)

    assert batches.window_lengths(0, seed=0).tolist() == [20, 20, 20, 20, 20, 3]


def test_a_last_window_of_a_single_token_joins_the_one_before() -> None:
    batches = StreamBatches(corpus(102), batch_size=1, bptt=20, random_lengths=False)

    assert batches.window_lengths(0, seed=0).tolist() == [20, 20, 20, 20, 21]


def test_a_window_half_as_long_takes_half_as_large_a_step() -> None:
    batches = StreamBatches(corpus(31), batch_size=1, bptt=20, random_lengths=False)

    factors = [batch.rate_factor for batch in batches.walk(0, seed=0)]

    assert factors == [1.0, 0.5]


# ----------------------------------------------------------------------------------- small corpora


def test_a_corpus_that_cannot_fill_all_streams_has_fewer() -> None:
    batches = StreamBatches(corpus(150), batch_size=32, bptt=70)

    (batch, *_) = batches.walk(0, seed=0)

    assert batches.n_streams == 2
    assert batch.inputs[0].shape[0] == 2


def test_two_tokens_are_enough() -> None:
    batches = StreamBatches(Documents.of([[BEGIN_ID, END_ID]]), batch_size=32)

    (batch,) = batches.walk(0, seed=0)

    assert pairs([batch]) == [(BEGIN_ID, END_ID)]


@pytest.mark.parametrize("documents", [[], [[]], [[BEGIN_ID]]])
def test_fewer_than_two_tokens_are_refused(documents: list[list[int]]) -> None:
    with pytest.raises(DataError, match=r"too few to learn from.*at least 2 tokens"):
        StreamBatches(Documents.of(documents), batch_size=4)


def test_more_processes_than_tokens_are_refused() -> None:
    batches = StreamBatches(corpus(4), batch_size=4)

    with pytest.raises(DataError, match="at least 6 tokens"):
        batches.shard(0, 5)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 2, "bptt": 1}])
def test_numbers_that_make_no_window_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="at least 1 stream and 2 tokens"):
        StreamBatches(corpus(50), **wrong)


# -------------------------------------------------------------------------- processes, disk, device


@given(**SIZES, size=st.integers(1, 4))
def test_processes_share_the_streams_and_step_equally_often(
    n_tokens: int, batch_size: int, bptt: int, random_lengths: bool, size: int
) -> None:
    documents = some_documents(max(n_tokens, size + 1))
    whole = StreamBatches(
        documents,
        batch_size=batch_size,
        bptt=bptt,
        random_lengths=random_lengths,
    )
    shards = [whole.shard(rank, size) for rank in range(size)]

    walks = [list(shard.walk(1, seed=0)) for shard in shards]

    stream = stream_of(documents, 1, 0)
    assert {len(walk) for walk in walks} == {len(shard) for shard in shards} == {len(walks[0])}
    together = [pair for walk in walks for pair in pairs(walk)]
    assert sorted(together) == sorted(itertools.pairwise(stream))
    assert all(len(batch) for walk in walks for batch in walk)


def test_the_shares_of_processes_add_up_to_the_mean_over_all_targets() -> None:
    batches = StreamBatches(corpus(60), batch_size=2, bptt=5, random_lengths=False)

    def mean_of_targets(batch: Batch) -> Tensor:
        """As a network gives it: the mean over a batch's targets, for every row the same."""
        targets = batch.inputs[1].double()
        real = targets != PADDING_ID
        return (targets[real].mean()).expand(len(batch))

    walks = [batches.shard(rank, 2).walk(0, seed=0) for rank in range(2)]

    for shares in zip(*walks, strict=True):
        targets = torch.cat([share.inputs[1] for share in shares])
        expected = targets[targets != PADDING_ID].double().mean()
        summed = torch.stack([share.mean(mean_of_targets(share)) for share in shares]).sum()
        torch.testing.assert_close(summed, expected, rtol=1e-6, atol=0)


def test_parts_of_a_batch_add_up_to_its_mean_over_all_targets() -> None:
    batches = StreamBatches(corpus(60), batch_size=4, bptt=5, random_lengths=False)

    for batch in batches.walk(0, seed=0):
        parts = batch.split(3)
        means = []
        for part in parts:
            targets = part.inputs[1]
            mean = targets[targets != PADDING_ID].double().mean()
            means.append(part.mean(mean.expand(len(part))))
            assert part.rate_factor == batch.rate_factor
        targets = batch.inputs[1]
        expected = targets[targets != PADDING_ID].double().mean()
        torch.testing.assert_close(torch.stack(means).sum(), expected, rtol=1e-6, atol=0)


def test_a_shard_of_one_process_is_the_whole() -> None:
    batches = StreamBatches(some_documents(300), batch_size=3)

    for mine, its in zip(batches.shard(0, 1).walk(0, seed=0), batches.walk(0, seed=0), strict=True):
        assert_same(mine, its)


def test_documents_on_disk_give_the_same_windows_as_in_memory(tmp_path: Path) -> None:
    documents = some_documents(700)
    documents.save(tmp_path)
    mapped = Documents.load(tmp_path)
    assert isinstance(mapped.ids, np.memmap)

    walks = [StreamBatches(kept, batch_size=3).walk(0, seed=0) for kept in (documents, mapped)]

    for mine, its in zip(*walks, strict=True):
        assert_same(mine, its)


def test_windows_prepared_ahead_keep_everything() -> None:
    batches = StreamBatches(some_documents(700), batch_size=3)
    streamed = StreamedBatches(batches, torch.device("cpu"))

    for mine, its in zip(streamed.walk(0, seed=0), batches.walk(0, seed=0), strict=True):
        assert_same(mine, its)


def test_a_fingerprint_tells_other_streams_apart() -> None:
    documents = some_documents(300)
    ids = documents.ids.copy()
    ids[17] += 1
    others = [
        StreamBatches(documents, batch_size=3),
        StreamBatches(replace(documents, ids=ids), batch_size=3),
        StreamBatches(documents.reversed(), batch_size=3),
        StreamBatches(documents, batch_size=4),
        StreamBatches(documents, batch_size=3, bptt=60),
        StreamBatches(documents, batch_size=3, random_lengths=False),
        StreamBatches(documents, batch_size=3, shuffle=False),
    ]

    assert len({other.fingerprint() for other in others}) == len(others)
    assert others[0].fingerprint() == StreamBatches(documents, batch_size=3).fingerprint()
