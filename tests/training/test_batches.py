"""Batches of tensors on the device: walks over rows, shares of processes, and parts."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tabtext.training.batches import Batch, TensorBatches, batch_order, batch_starts
from tabtext.training.losses import weighted_mean


def batches_of(
    n_rows: int, batch_size: int, *, shuffle: bool = False, weight: Tensor | None = None
) -> TensorBatches:
    """Batches whose targets are the numbers of their rows."""
    rows = torch.arange(n_rows)
    return TensorBatches((rows,), rows, weight, batch_size=batch_size, shuffle=shuffle)


def rows_of(
    batches: TensorBatches, *, epoch: int = 0, seed: int = 0, start: int = 0
) -> list[list[int]]:
    return [batch.target.tolist() for batch in batches.walk(epoch, seed=seed, start=start)]


def flat(parts: list[list[int]]) -> list[int]:
    return [row for part in parts for row in part]


def losses_and_weight(n_rows: int, kind: str) -> tuple[Tensor, Tensor | None]:
    """Losses of rows, and weights: none, any, some of them zero, or nothing but zeros."""
    generator = torch.Generator().manual_seed(n_rows)
    losses = torch.rand(n_rows, dtype=torch.float64, generator=generator)
    weight = torch.rand(n_rows, dtype=torch.float64, generator=generator)
    if kind == "some zero":
        weight[::2] = 0.0
    return losses, {"none": None, "all zero": torch.zeros_like(weight)}.get(kind, weight)


WEIGHTS = ["none", "any", "some zero", "all zero"]


# ------------------------------------------------------------------------------------------- walks


@given(
    n_rows=st.integers(0, 60),
    batch_size=st.integers(2, 20),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
)
def test_every_row_comes_once_and_no_batch_has_one_row(
    n_rows: int, batch_size: int, shuffle: bool, epoch: int
) -> None:
    batches = batches_of(n_rows, batch_size, shuffle=shuffle)

    rows = rows_of(batches, epoch=epoch)

    sizes = [len(batch) for batch in rows]
    assert sorted(flat(rows)) == list(range(n_rows))
    assert len(sizes) == len(batches)
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert max(sizes, default=0) <= batch_size + 1
    if n_rows > 1:
        assert min(sizes) > 1


def test_many_more_rows_than_are_gathered_at_once_come_once() -> None:
    batches = batches_of(20_001, 1_000, shuffle=True)

    rows = rows_of(batches)

    assert [len(batch) for batch in rows] == [1_000] * 19 + [1_001]
    assert sorted(flat(rows)) == list(range(20_001))


def test_without_shuffling_rows_come_in_their_order() -> None:
    assert flat(rows_of(batches_of(50, 7))) == list(range(50))


def test_inputs_target_and_weight_stay_together_when_shuffled() -> None:
    target = torch.arange(50)
    batches = TensorBatches(
        (target * 2, target[:, None].float()), target, target / 10, batch_size=7, shuffle=True
    )

    for batch in batches.walk(3, seed=1):
        assert torch.equal(batch.inputs[0], batch.target * 2)
        assert torch.equal(batch.inputs[1][:, 0], batch.target.float())
        assert batch.weight is not None
        assert torch.equal(batch.weight, batch.target / 10)


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_single_batch_keeps_all_rows(n_rows: int) -> None:
    assert rows_of(batches_of(n_rows, 64)) == [list(range(n_rows))]


@pytest.mark.parametrize("batch_size", [4, 10])
def test_batches_in_order_are_views_of_the_tensors(batch_size: int) -> None:
    target = torch.arange(10)
    weight = torch.ones(10)
    batches = TensorBatches((target,), target, weight, batch_size=batch_size)

    for number, batch in enumerate(batches.walk(0, seed=0)):
        first = number * batch_size
        assert batch.target.data_ptr() == batch.inputs[0].data_ptr() == target[first:].data_ptr()
        assert batch.weight is not None
        assert batch.weight.data_ptr() == weight[first:].data_ptr()


# ------------------------------------------------------------------------------------------- order


def test_every_epoch_and_every_seed_has_an_order_of_its_own() -> None:
    batches = batches_of(100, 10, shuffle=True)

    orders = [flat(rows_of(batches, epoch=e, seed=s)) for e in range(3) for s in range(3)]

    assert len({tuple(order) for order in orders}) == 9


def test_the_same_epoch_and_seed_have_the_same_order_in_batches_of_any_size() -> None:
    orders = [
        flat(rows_of(batches_of(100, size, shuffle=True), epoch=2, seed=5)) for size in (3, 10, 99)
    ]

    assert orders[0] == orders[1] == orders[2] == batch_order(100, 2, 5).tolist()


def test_torchs_global_generator_neither_changes_the_order_nor_is_used_up() -> None:
    batches = batches_of(100, 10, shuffle=True)
    torch.manual_seed(1)
    first = rows_of(batches, epoch=1)
    after_walk = torch.rand(1)

    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after_walk)
    assert rows_of(batches, epoch=1) == first


@given(
    n_rows=st.integers(1, 60),
    batch_size=st.integers(2, 20),
    shuffle=st.booleans(),
    start=st.integers(0, 31),
)
def test_a_walk_begun_midway_is_the_rest_of_the_whole_walk(
    n_rows: int, batch_size: int, shuffle: bool, start: int
) -> None:
    batches = batches_of(n_rows, batch_size, shuffle=shuffle)

    assert rows_of(batches, epoch=1, start=start) == rows_of(batches, epoch=1)[start:]


def test_a_walk_begun_after_many_gatherings_is_the_rest_of_the_whole_walk() -> None:
    batches = batches_of(20_000, 1_000, shuffle=True)

    assert rows_of(batches, start=13) == rows_of(batches)[13:]


# ------------------------------------------------------------------------------ shares of processes


@given(
    n_rows=st.integers(1, 80),
    batch_size=st.integers(2, 12),
    size=st.integers(1, 4),
    shuffle=st.booleans(),
    start=st.integers(0, 3),
)
def test_processes_share_every_row_of_every_step_and_step_equally_often(
    n_rows: int, batch_size: int, size: int, shuffle: bool, start: int
) -> None:
    whole = batches_of(n_rows, batch_size, shuffle=shuffle)
    shards = [whole.shard(rank, size) for rank in range(size)]

    walks = [rows_of(shard, epoch=1, start=start) for shard in shards]

    order = flat(rows_of(whole, epoch=1))
    bounds = batch_starts(n_rows, batch_size, size)
    assert {len(shard) for shard in shards} == {len(bounds) - 1}
    steps = list(zip(*walks, strict=True))
    assert len(steps) == max(len(bounds) - 1 - start, 0)
    for number, shares in enumerate(steps, start=start):
        assert sorted(flat(list(shares))) == sorted(order[bounds[number] : bounds[number + 1]])
        sizes = [len(share) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        if n_rows >= 2 * size:
            assert min(sizes) >= 2


@given(
    n_rows=st.integers(1, 60),
    batch_size=st.integers(2, 12),
    size=st.integers(1, 4),
    kind=st.sampled_from(WEIGHTS),
)
def test_the_means_of_the_shares_add_up_to_the_mean_of_the_whole_step(
    n_rows: int, batch_size: int, size: int, kind: str
) -> None:
    losses, weight = losses_and_weight(n_rows, kind)
    batches = batches_of(n_rows, batch_size, shuffle=True, weight=weight)

    walks = [batches.shard(rank, size).walk(0, seed=0) for rank in range(size)]

    for shares in zip(*walks, strict=True):
        summed = sum(share.mean(losses[share.target]) for share in shares)
        rows = torch.cat([share.target for share in shares])
        expected = weighted_mean(losses[rows], None if weight is None else weight[rows])
        torch.testing.assert_close(summed, expected, rtol=1e-12, atol=0)


def test_a_shard_of_one_process_is_the_whole() -> None:
    batches = batches_of(23, 4, shuffle=True)

    assert rows_of(batches.shard(0, 1)) == rows_of(batches)


# ------------------------------------------------------------------------------------------- parts


@given(n_rows=st.integers(1, 60), at_most=st.integers(1, 70), kind=st.sampled_from(WEIGHTS))
def test_the_means_of_parts_add_up_to_the_mean_of_the_batch(
    n_rows: int, at_most: int, kind: str
) -> None:
    losses, weight = losses_and_weight(n_rows, kind)
    batch = Batch((torch.arange(n_rows),), torch.arange(n_rows), weight)

    parts = batch.split(at_most)

    summed = torch.stack([part.mean(losses[part.target]) for part in parts]).sum()
    torch.testing.assert_close(summed, batch.mean(losses), rtol=1e-12, atol=0)


@given(n_rows=st.integers(1, 60), at_most=st.integers(1, 70))
def test_parts_are_nearly_equal_and_hold_every_row_in_its_order(n_rows: int, at_most: int) -> None:
    rows = torch.arange(n_rows)
    batch = Batch((rows, 2 * rows), rows, rows / 10)

    parts = batch.split(at_most)

    sizes = [len(part) for part in parts]
    assert max(sizes) <= at_most
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-n_rows // at_most)
    assert flat([part.target.tolist() for part in parts]) == rows.tolist()
    for part in parts:
        assert torch.equal(part.inputs[0], part.target)
        assert torch.equal(part.inputs[1], 2 * part.target)
        assert part.weight is not None
        assert torch.equal(part.weight, part.target / 10)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_parts_of_a_share_count_as_parts_of_the_whole_step(kind: str) -> None:
    losses, weight = losses_and_weight(23, kind)
    batches = batches_of(23, 12, weight=weight)

    (first,), (second,) = (batches.shard(rank, 2).walk(0, seed=0) for rank in range(2))

    parts = [*first.split(3), *second.split(4)]
    summed = torch.stack([part.mean(losses[part.target]) for part in parts]).sum()
    torch.testing.assert_close(summed, weighted_mean(losses, weight), rtol=1e-12, atol=0)


def test_a_batch_that_is_small_enough_is_its_only_part() -> None:
    batch = Batch((torch.arange(4),), torch.arange(4))

    assert batch.split(4)[0] is batch


def test_parts_ask_for_the_step_that_their_batch_asks_for() -> None:
    batch = Batch((torch.arange(9),), torch.arange(9), rate_factor=0.5)

    assert [part.rate_factor for part in batch.split(4)] == [0.5, 0.5, 0.5]


def test_a_total_makes_a_mean_a_share_of_it() -> None:
    batch = Batch((torch.arange(2),), torch.arange(2), torch.tensor([1.0, 3.0]))
    losses = torch.tensor([2.0, 4.0])

    assert batch.mean(losses).item() == 14.0 / 4.0
    assert replace(batch, total=28.0).mean(losses).item() == 0.5


# ------------------------------------------------------------------------------------- fingerprint


def test_a_fingerprint_tells_other_data_apart() -> None:
    target = torch.arange(40).float()

    def fingerprint(target: Tensor, batch_size: int = 8) -> str:
        return TensorBatches((target,), target, batch_size=batch_size).fingerprint()

    changed = target.clone()
    changed[17] += 1e-3
    assert fingerprint(target) == fingerprint(target.clone())
    others = [changed, target.flip(0), target[:-1]]
    assert len({fingerprint(other) for other in (target, *others)}) == 4
    assert fingerprint(target) != fingerprint(target, batch_size=9)


@pytest.mark.parametrize(
    "target",
    [
        torch.zeros(0),
        torch.tensor([True, False]),
        torch.zeros(3, 2, dtype=torch.bfloat16),
        torch.arange(12).reshape(4, 3).T,
        torch.ones(3, requires_grad=True),
    ],
)
def test_targets_of_any_kind_have_a_fingerprint(target: Tensor) -> None:
    fingerprint = TensorBatches((target,), target, batch_size=2).fingerprint()

    assert fingerprint.startswith(f"{len(target)} rows")
