"""Documents in batches of similar length: every one once, little padding, the same ones again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.estimators.text_batches.documents import DocumentBatches
from tabtext.text.documents import Documents
from tabtext.text.special_tokens import PADDING_ID
from tabtext.training.batches import Batch
from tabtext.training.losses import weighted_mean
from tabtext.training.streaming import StreamedBatches

length_lists = st.lists(st.integers(0, 40), max_size=60)


def documents_of(lengths: list[int]) -> Documents:
    """Documents whose ids tell them apart."""
    return Documents.of([range(100 * n + 2, 100 * n + 2 + m) for n, m in enumerate(lengths)])


def batches_of(
    lengths: list[int],
    batch_size: int = 8,
    *,
    shuffle: bool = True,
    weight: Tensor | None = None,
    max_tokens_per_batch: int | None = None,
) -> DocumentBatches:
    """Batches whose targets are the numbers of the documents."""
    return DocumentBatches(
        documents_of(lengths),
        torch.arange(len(lengths)),
        weight,
        batch_size=batch_size,
        shuffle=shuffle,
        max_tokens_per_batch=max_tokens_per_batch,
    )


def rows_of(
    batches: DocumentBatches, *, epoch: int = 0, seed: int = 0, start: int = 0
) -> list[list[int]]:
    return [batch.target.tolist() for batch in batches.walk(epoch, seed=seed, start=start)]


def flat(parts: list[list[int]]) -> list[int]:
    return [row for part in parts for row in part]


def uneven(n_rows: int, seed: int = 0) -> list[int]:
    """Lengths as reviews have them: most of them moderate, a few very long."""
    drawn = np.random.default_rng(seed).lognormal(5.4, 0.65, n_rows)
    return np.clip(drawn, 10, 3000).astype(int).tolist()


def assert_same_batches(first: list[Batch], second: list[Batch]) -> None:
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.inputs[0], other.inputs[0])
        assert torch.equal(one.inputs[1], other.inputs[1])
        assert torch.equal(one.target, other.target)


# ------------------------------------------------------------------------------------------- walks


@given(
    lengths=length_lists,
    batch_size=st.integers(2, 20),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
    limit=st.none() | st.integers(1, 300),
)
def test_every_document_comes_once_and_no_batch_has_one_row(
    lengths: list[int], batch_size: int, shuffle: bool, epoch: int, limit: int | None
) -> None:
    batches = batches_of(lengths, batch_size, shuffle=shuffle, max_tokens_per_batch=limit)

    rows = rows_of(batches, epoch=epoch)

    sizes = [len(batch) for batch in rows]
    assert sorted(flat(rows)) == list(range(len(lengths))) == list(range(batches.n_rows))
    assert len(rows) == len(batches)
    assert max(sizes, default=0) <= batch_size + 1
    if len(lengths) > 1:
        assert min(sizes) > 1


@given(lengths=length_lists, shuffle=st.booleans())
def test_rows_are_documents_with_padding_behind_by_falling_length(
    lengths: list[int], shuffle: bool
) -> None:
    documents = documents_of(lengths)

    for batch in batches_of(lengths, shuffle=shuffle).walk(1, seed=0):
        tokens, own_lengths = batch.inputs
        assert own_lengths.tolist() == [lengths[row] for row in batch.target]
        assert own_lengths.tolist() == sorted(own_lengths.tolist(), reverse=True)
        assert tokens.shape[1] == own_lengths[0]
        for row, ids, length in zip(batch.target.tolist(), tokens, own_lengths, strict=True):
            assert ids[:length].tolist() == documents[row].tolist()
            assert (ids[length:] == PADDING_ID).all()


def test_tokens_are_32_bit_and_lengths_are_for_the_processor() -> None:
    tokens, lengths = next(batches_of([4, 2]).walk(0, seed=0)).inputs

    assert tokens.dtype == torch.int32
    assert lengths.dtype == torch.int64
    assert lengths.device.type == "cpu"


def test_target_and_weight_stay_with_their_documents() -> None:
    weight = torch.arange(50) / 10

    for batch in batches_of(uneven(50), weight=weight).walk(3, seed=1):
        assert batch.weight is not None
        assert torch.equal(batch.weight, batch.target / 10)


def test_without_a_target_all_are_zero() -> None:
    batch = next(DocumentBatches(documents_of([3, 4]), batch_size=8).walk(0, seed=0))

    assert batch.target.tolist() == [0.0, 0.0]


def test_no_documents_have_no_batches() -> None:
    batches = batches_of([])

    assert len(batches) == 0
    assert rows_of(batches) == []


def test_documents_on_disk_are_read_from_there(tmp_path: Path) -> None:
    lengths = uneven(40)
    documents_of(lengths).save(tmp_path)
    mapped = DocumentBatches(Documents.load(tmp_path), torch.arange(40), batch_size=8, shuffle=True)

    assert_same_batches(list(mapped.walk(2, seed=0)), list(batches_of(lengths).walk(2, seed=0)))


# ----------------------------------------------------------------------------------------- padding


def padding_share(batches: DocumentBatches, epoch: int) -> float:
    walk = [batch.inputs for batch in batches.walk(epoch, seed=0)]
    padded = sum(tokens.numel() for tokens, _ in walk)
    return 1 - sum(int(lengths.sum()) for _, lengths in walk) / padded


@pytest.mark.parametrize("shuffle", [True, False])
def test_little_of_a_batch_is_padding(shuffle: bool) -> None:
    batches = batches_of(uneven(10_000), 32, shuffle=shuffle)

    assert padding_share(batches, 1) < (0.05 if shuffle else 0.03)


def test_little_of_batches_of_reviews_is_padding(larger_data: Path) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    texts = pq.read_table(larger_data / "imdb" / "train.parquet", columns=["text"])["text"]
    words = pc.list_value_length(pc.utf8_split_whitespace(texts)).to_numpy()
    documents = Documents(np.zeros(words.sum(), np.int32), np.concatenate([[0], np.cumsum(words)]))

    for batch_size in (32, 64):
        batches = DocumentBatches(documents, batch_size=batch_size, shuffle=True)
        assert padding_share(batches, 1) < 0.05


# ------------------------------------------------------------------------------------------- order


def test_in_order_the_longest_come_first() -> None:
    assert flat(rows_of(batches_of([3, 9, 5, 9, 1], 2, shuffle=False))) == [1, 3, 2, 0, 4]


@given(lengths=length_lists, limit=st.none() | st.integers(1, 300))
def test_the_order_says_which_document_each_row_is(lengths: list[int], limit: int | None) -> None:
    batches = batches_of(lengths, 4, shuffle=False, max_tokens_per_batch=limit)

    assert batches.order.tolist() == flat(rows_of(batches))


def test_shuffled_batches_have_no_one_order() -> None:
    with pytest.raises(ParameterError, match="another order in every epoch"):
        batches_of([3, 4]).order  # noqa: B018 - the property raises


def test_every_epoch_and_every_seed_has_an_order_and_neighbours_of_its_own() -> None:
    batches = batches_of(uneven(200))

    walks = [rows_of(batches, epoch=e, seed=s) for e in range(3) for s in range(3)]

    assert len({str(walk) for walk in walks}) == 9
    together = [{frozenset(batch) for batch in walk} for walk in walks]
    assert len(together[0] & together[1]) < len(together[0]) / 4


def test_the_same_epoch_and_seed_have_the_same_batches_whatever_torch_drew() -> None:
    batches = batches_of(uneven(200))
    torch.manual_seed(1)
    first = list(batches.walk(1, seed=4))
    torch.manual_seed(2)

    assert_same_batches(list(batches.walk(1, seed=4)), first)


def test_the_first_epoch_begins_with_its_largest_batch_and_later_ones_do_not() -> None:
    batches = batches_of(uneven(500))

    for epoch, expected in ((0, True), (1, False)):
        areas = [batch.inputs[0].numel() for batch in batches.walk(epoch, seed=0)]
        assert (areas[0] == max(areas)) == expected


@given(
    lengths=length_lists,
    shuffle=st.booleans(),
    start=st.integers(0, 31),
    epoch=st.integers(0, 1),
    limit=st.none() | st.integers(1, 300),
)
def test_a_walk_begun_midway_is_the_rest_of_the_whole_walk(
    lengths: list[int], shuffle: bool, start: int, epoch: int, limit: int | None
) -> None:
    batches = batches_of(lengths, 3, shuffle=shuffle, max_tokens_per_batch=limit)

    whole = list(batches.walk(epoch, seed=0))

    assert_same_batches(list(batches.walk(epoch, seed=0, start=start)), whole[start:])


# ------------------------------------------------------------------------- fewer rows of long texts


@given(
    lengths=st.lists(st.integers(0, 400), min_size=2, max_size=80),
    batch_size=st.integers(2, 32),
    limit=st.integers(1, 3000),
    size=st.integers(1, 3),
)
def test_batches_of_long_documents_have_fewer_rows(
    lengths: list[int], batch_size: int, limit: int, size: int
) -> None:
    batches = batches_of(lengths, batch_size, max_tokens_per_batch=limit)

    for epoch in (0, 1):
        for rank in range(size):
            for batch in batches.shard(rank, size).walk(epoch, seed=0):
                n_rows, longest = batch.inputs[0].shape
                # Two rows go together anyhow, and one or two may have joined the last batch.
                assert (n_rows - 2) * longest <= limit or n_rows <= 4


def test_how_many_batches_there_are_does_not_depend_on_the_epoch() -> None:
    batches = batches_of(uneven(1000), 32, max_tokens_per_batch=6000)

    counts = {len(rows_of(batches, epoch=epoch)) for epoch in range(5)}

    assert counts == {len(batches)}
    assert len(batches) > -(-1000 // 32)


def test_short_documents_keep_whole_batches() -> None:
    lengths = [10] * 90 + [1000] * 10

    sizes = [len(rows) for rows in rows_of(batches_of(lengths, 16, max_tokens_per_batch=4000))]

    assert sizes.count(16) == 5
    assert max(sizes) == 16


# ------------------------------------------------------------------------------ shares of processes


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=80),
    batch_size=st.integers(2, 12),
    size=st.integers(1, 4),
    limit=st.none() | st.integers(1, 300),
)
def test_processes_share_every_row_of_every_step_and_step_equally_often(
    lengths: list[int], batch_size: int, size: int, limit: int | None
) -> None:
    whole = batches_of(lengths, batch_size, max_tokens_per_batch=limit)
    shards = [whole.shard(rank, size) for rank in range(size)]

    walks = [rows_of(shard, epoch=1) for shard in shards]

    assert [len(walk) for walk in walks] == [len(shard) for shard in shards]
    steps = [flat(list(shares)) for shares in zip(*walks, strict=True)]
    assert sorted(flat(steps)) == list(range(len(lengths)))
    for shares in zip(*walks, strict=True):
        sizes = [len(share) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 2 or len(lengths) < 2 * size


@pytest.mark.parametrize("weighted", [False, True])
def test_the_means_of_the_shares_add_up_to_the_mean_of_the_whole_step(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(40, dtype=torch.float64, generator=generator)
    weight = torch.rand(40, dtype=torch.float64, generator=generator) if weighted else None
    batches = batches_of(uneven(40), 4, weight=weight)

    walks = [batches.shard(rank, 3).walk(0, seed=0) for rank in range(3)]

    for shares in zip(*walks, strict=True):
        rows = torch.cat([share.target for share in shares])
        expected = weighted_mean(losses[rows], None if weight is None else weight[rows])
        parts = [part for share in shares for part in share.split(2)]
        summed = torch.stack([part.mean(losses[part.target]) for part in parts]).sum()
        torch.testing.assert_close(summed, expected, rtol=1e-12, atol=0)


def test_a_shard_of_one_process_is_the_whole() -> None:
    batches = batches_of(uneven(23), 4)

    assert_same_batches(list(batches.shard(0, 1).walk(1, seed=0)), list(batches.walk(1, seed=0)))


# ---------------------------------------------------------------------------------------- elsewhere


def test_batches_can_be_streamed() -> None:
    batches = batches_of(uneven(30))
    streamed = StreamedBatches(batches, torch.device("cpu"))

    assert_same_batches(list(streamed.walk(1, seed=0)), list(batches.walk(1, seed=0)))


def test_a_fingerprint_tells_other_data_apart() -> None:
    lengths = uneven(30)
    weight = torch.ones(30)
    others = [
        batches_of(lengths),
        batches_of(lengths[:-1]),
        batches_of(lengths, 9),
        batches_of(lengths, shuffle=False),
        batches_of(lengths, weight=weight),
        batches_of(lengths, max_tokens_per_batch=1000),
        DocumentBatches(documents_of(lengths), torch.ones(30), batch_size=8, shuffle=True),
    ]

    assert batches_of(lengths).fingerprint() == batches_of(lengths).fingerprint()
    assert len({batches.fingerprint() for batches in others}) == len(others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 2, "max_tokens_per_batch": 0}, "max_tokens_per_batch must be at least 1"),
        ({"batch_size": 2, "target": torch.zeros(3)}, "3 rows of target for 2 documents"),
        ({"batch_size": 2, "weight": torch.zeros(1)}, "1 rows of weight for 2 documents"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DocumentBatches(documents_of([3, 4]), **arguments)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- GPU


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("fits", [True, False])
def test_on_a_gpu_the_batches_are_the_same_and_lengths_stay_behind(
    shuffle: bool, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "tabtext.estimators.text_batches.documents"
    monkeypatch.setattr(f"{module}.fits_on", lambda *arguments: fits)
    documents, target = documents_of([0, 0, *uneven(300)]), torch.arange(302)
    own = DocumentBatches(documents, target, target / 7, batch_size=8, shuffle=shuffle)
    there = DocumentBatches(
        documents,
        target,
        target / 7,
        batch_size=8,
        shuffle=shuffle,
        device=torch.device("cuda"),
    )

    for batch, expected in zip(there.walk(1, seed=0), own.walk(1, seed=0), strict=True):
        assert batch.inputs[0].is_cuda
        assert not batch.inputs[1].is_cuda
        assert torch.equal(batch.inputs[0].cpu(), expected.inputs[0])
        assert torch.equal(batch.inputs[1], expected.inputs[1])
        assert torch.equal(batch.target.cpu(), expected.target)
