"""Packed weights: off by half a scale at most, and the same bytes whenever they are packed."""

import pytest
import torch
from torch import Tensor

from tabtext.errors import ArtifactError, DataError
from tabtext.packing import pack, unpack

TINY = torch.finfo(torch.float32).tiny
LARGEST = torch.finfo(torch.float32).max


def rows_of_many_sizes() -> Tensor:
    """Normal, tiny, huge and subnormal rows, one of zeros, and one of a single value."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(300, 64, generator=generator)
    values *= torch.logspace(-30, 30, 300)[:, None]
    values[0] = 0.0
    values[1] = -3.7
    values[2, 0], values[2, 1:] = LARGEST, 0.0
    values[3] = -LARGEST
    values[4] *= 1e-20  # below the smallest normal number
    values[5] = TINY / 4
    return values


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def test_no_entry_is_off_by_more_than_half_a_scale() -> None:
    values = rows_of_many_sizes()

    packed = pack({"w": values})
    errors = (unpack(packed)["w"].double() - values.double()).abs()

    assert bool((errors <= packed["w::scale"].double()[:, None] / 2).all())
    assert bool(unpack(packed)["w"].isfinite().all())


def test_a_scale_is_a_127th_of_the_largest_entry_of_its_row() -> None:
    values = torch.randn(100, 64, generator=torch.Generator().manual_seed(1))

    packed = pack({"w": values})

    assert packed["w"].abs().amax(dim=1).unique().tolist() == [127]
    torch.testing.assert_close(
        packed["w::scale"], values.abs().amax(dim=1) / 127, rtol=2**-15, atol=0
    )


def test_what_was_packed_and_unpacked_packs_to_the_same_bytes() -> None:
    packed = pack({"w": rows_of_many_sizes(), "bias": torch.randn(7)})

    assert bits(pack(unpack(packed))) == bits(packed)


def test_an_entry_and_its_negative_are_packed_alike() -> None:
    values = rows_of_many_sizes()

    one, other = pack({"w": values}), pack({"w": -values})

    assert torch.equal(one["w"], -other["w"])
    assert torch.equal(one["w::scale"], other["w::scale"])


def test_rows_of_zeros_stay_zeros() -> None:
    unpacked = unpack(pack({"w": torch.zeros(64, 64)}))

    assert torch.equal(unpacked["w"], torch.zeros(64, 64))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(100_000),
        torch.randn(40, 40, 40),
        torch.randn(8, 8),
        torch.empty(0, 128),
        torch.empty(128, 0),
        torch.tensor(3.0),
        torch.randn(100, 100, dtype=torch.float64),
        torch.arange(10_000).reshape(100, 100),
        torch.zeros(100, 100, dtype=torch.int8),
    ],
    ids=lambda tensor: f"{tensor.dtype} {tuple(tensor.shape)}",
)
def test_everything_but_large_matrices_stays_as_it_is(tensor: Tensor) -> None:
    packed = pack({"x": tensor})

    assert list(packed) == ["x"]
    for found in (packed["x"], unpack(packed)["x"]):
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)


def test_a_transposed_matrix_and_one_that_learns_are_packed() -> None:
    values = torch.randn(64, 80)
    parameter = torch.nn.Parameter(values.T)

    unpacked = unpack(pack({"w": parameter}))["w"]

    assert torch.equal(unpacked, unpack(pack({"w": values.T.contiguous()}))["w"])
    assert not unpacked.requires_grad


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused_with_its_name(wrong: float) -> None:
    values = torch.ones(64, 64)
    values[3, 4] = wrong

    with pytest.raises(DataError, match="'decoder' holds NaN or infinity"):
        pack({"decoder": values})


def test_packing_changes_nothing_of_what_is_given() -> None:
    values = rows_of_many_sizes()
    before = values.clone()

    unpack(pack({"w": values}))

    assert torch.equal(values, before)


def test_the_names_of_scales_are_taken() -> None:
    with pytest.raises(DataError, match="names in ::scale"):
        pack({"w::scale": torch.ones(3)})


@pytest.mark.parametrize(
    "damaged",
    [
        {"w": torch.zeros(4, 4, dtype=torch.int8), "w::scale": torch.ones(3)},
        {"w": torch.zeros(4, dtype=torch.int8), "w::scale": torch.ones(4)},
        {"w": torch.zeros(4, 4), "w::scale": torch.ones(4)},
        {"w": torch.zeros(4, 4, dtype=torch.int8), "w::scale": torch.ones(4).double()},
        {"w::scale": torch.ones(4)},
    ],
)
def test_scales_that_do_not_fit_are_damage(damaged: dict[str, Tensor]) -> None:
    with pytest.raises(ArtifactError, match="packed weights are damaged: 'w"):
        unpack(damaged)
