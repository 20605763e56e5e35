"""The kernels of the softmax against double precision, and at the ends of the range of numbers."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tabtext.text.kernels.softmax import LANES, exponentiate, exponentiate_bfloat16

Floats = npt.NDArray[np.float32]

WIDTHS = (1, LANES - 1, LANES, LANES + 1, 5 * LANES + 7)


def tile(width: int, *, rows: int = 5) -> tuple[Floats, Floats, Floats]:
    """Logits, a bias for every word, and a shift for every row."""
    random = np.random.default_rng(width)
    shapes = ((rows, width), (width,), (rows,))
    logits, bias, shift = (random.normal(0, 5, shape).astype(np.float32) for shape in shapes)
    return logits, bias, shift


def exponentials(logits: Floats, bias: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """What the kernel makes of logits, and the sums, which begin at zero."""
    result, sums = logits.copy(), np.zeros(len(logits), np.float32)
    exponentiate(result, bias, shift, sums, np.empty(LANES, np.float32))
    return result, sums


def rounded_exponentials(logits: Floats, bias: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """The same in bfloat16."""
    result, sums = torch.from_numpy(logits).bfloat16(), np.zeros(len(logits), np.float32)
    bits = result.view(torch.uint16).numpy()
    exponentiate_bfloat16(bits, bias, shift, sums, np.empty(LANES, np.float32))
    return result.float().numpy(), sums


def exact(logits: Floats, bias: Floats, shift: Floats) -> npt.NDArray[np.float64]:
    # The sum is rounded to single precision twice, as in the kernel; exponentials are not.
    return np.exp((logits + bias - shift[:, None]).astype(np.float64))


@pytest.mark.parametrize("width", WIDTHS)
def test_exponentials_are_right_to_two_units_in_the_last_place(width: int) -> None:
    logits, bias, shift = tile(width)

    values, _ = exponentials(logits, bias, shift)

    np.testing.assert_allclose(values, exact(logits, bias, shift), rtol=2**-22)


@pytest.mark.parametrize("width", WIDTHS)
def test_exponentials_in_bfloat16_are_the_nearest_there_are(width: int) -> None:
    logits, bias, shift = tile(width)
    logits = torch.from_numpy(logits).bfloat16().float().numpy()

    values, _ = rounded_exponentials(logits, bias, shift)

    unrounded, _ = exponentials(logits, bias, shift)
    assert np.array_equal(values, torch.from_numpy(unrounded).bfloat16().float().numpy())


@pytest.mark.parametrize("function", [exponentials, rounded_exponentials])
@pytest.mark.parametrize("width", WIDTHS)
def test_sums_are_those_of_the_exponentials_before_they_are_rounded(
    width: int, function: Callable[..., tuple[Floats, Floats]]
) -> None:
    logits, bias, shift = tile(width)
    logits = torch.from_numpy(logits).bfloat16().float().numpy()

    _, sums = function(logits, bias, shift)

    np.testing.assert_allclose(sums, exact(logits, bias, shift).sum(axis=1), rtol=1e-6)


def test_sums_go_on_from_where_they_are() -> None:
    logits, bias, shift = tile(40)
    once, sums = exponentials(logits, bias, shift)

    exponentiate(logits, bias, shift, sums, np.empty(LANES, np.float32))

    np.testing.assert_allclose(sums, 2 * once.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("function", [exponentials, rounded_exponentials])
def test_numbers_out_of_range_are_zero_or_huge_and_what_is_none_stays_none(
    function: Callable[..., tuple[Floats, Floats]],
) -> None:
    logits = np.array([[-np.inf, -200.0, -88.0, 0.0, 88.0, 200.0, np.inf, np.nan]], np.float32)
    nothing = np.zeros(8, np.float32)

    values, sums = function(logits, nothing, nothing[:1])

    assert values[0, :4].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert (values[0, 4:7] > 1e38).all()
    assert np.isfinite(values[0, 4:7]).all()
    assert np.isnan(values[0, 7])
    assert np.isnan(sums[0])


def test_exponentials_rise_with_their_logits() -> None:
    logits = np.linspace(-87.0, 88.0, 100_001, dtype=np.float32)[None]
    nothing = np.zeros(logits.shape[1], np.float32)

    values, _ = exponentials(logits, nothing, nothing[:1])

    assert (np.diff(values[0]) > 0).all()
    assert exponentials(np.zeros((1, 1), np.float32), nothing[:1], nothing[:1])[0] == 1.0
