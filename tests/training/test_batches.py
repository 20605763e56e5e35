"""Batches of tensors on the device."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabtext.training.batches import TensorBatches


def rows_of(batches: TensorBatches) -> list[int]:
    return [row for batch in batches for row in batch.target.tolist()]


@given(n_rows=st.integers(0, 60), batch_size=st.integers(2, 20), shuffle=st.booleans())
def test_every_row_comes_once_and_no_batch_has_one_row(
    n_rows: int, batch_size: int, shuffle: bool
) -> None:
    target = torch.arange(n_rows)
    batches = TensorBatches((target,), target, batch_size=batch_size, shuffle=shuffle)

    sizes = [len(batch.target) for batch in batches]

    assert sorted(rows_of(batches)) == list(range(n_rows))
    assert len(sizes) == len(batches)
    assert max(sizes, default=0) <= batch_size + 1
    if n_rows > 1:
        assert min(sizes) > 1


def test_inputs_target_and_weight_stay_together_when_shuffled() -> None:
    target = torch.arange(50)
    batches = TensorBatches(
        (target * 2, target[:, None].float()), target, target / 10, batch_size=7, shuffle=True
    )

    for batch in batches:
        assert torch.equal(batch.inputs[0], batch.target * 2)
        assert torch.equal(batch.inputs[1][:, 0], batch.target.float())
        assert batch.weight is not None
        assert torch.equal(batch.weight, batch.target / 10)


def test_every_pass_has_an_order_of_its_own() -> None:
    target = torch.arange(100)
    batches = TensorBatches((target,), target, batch_size=10, shuffle=True)

    assert rows_of(batches) != rows_of(batches)


def test_batches_in_order_are_views_of_the_tensors() -> None:
    target = torch.arange(10)
    first = next(iter(TensorBatches((target,), target, batch_size=4)))

    assert first.target.data_ptr() == target.data_ptr()


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_single_batch_keeps_all_rows(n_rows: int) -> None:
    target = torch.arange(n_rows)

    assert rows_of(TensorBatches((target,), target, batch_size=64)) == list(range(n_rows))
