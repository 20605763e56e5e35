"""The encoding kernels against plain Python."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tabtext.tabular.kernels.encoding import (
    count_indices,
    describe_numbers,
    look_up,
    scale_quantile,
    scale_smoothly,
)

floats = numpy_strategies.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 40),
    elements=st.floats(width=32),
)


@given(
    values=st.lists(st.integers(-3, 9), max_size=50),
    dtype=st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.float64]),
)
def test_counting(values: list[int], dtype: Any) -> None:
    counts = np.zeros((4, 13), np.int64)

    count_indices(np.array(values, dtype), -3, counts)

    assert counts.sum(axis=0).tolist() == [values.count(number) for number in range(-3, 10)]


@given(values=floats)
def test_describing(values: np.ndarray) -> None:
    finite = [float(v) for v in values if math.isfinite(v)]

    n_nan, n_infinite, low, high, whole = describe_numbers(values)

    assert n_nan == sum(math.isnan(v) for v in values)
    assert n_infinite == sum(math.isinf(v) for v in values)
    assert low == min(finite, default=math.inf)
    assert high == max(finite, default=-math.inf)
    assert whole == all(v == math.floor(v) for v in finite)


@pytest.mark.parametrize("code_type", [np.uint8, np.int16, np.int32])
def test_looking_up_writes_into_a_column_of_a_matrix(code_type: Any) -> None:
    matrix = np.zeros((3, 2), code_type)

    look_up(np.array([7, 5, 6], np.int16), 5, np.array([2, 0, 3], code_type), matrix[:, 1])

    assert matrix.tolist() == [[0, 3], [0, 2], [0, 0]]


@given(values=floats, clip=st.sampled_from([0.0, 3.0]), with_indicator=st.booleans())
def test_scaling(values: np.ndarray, clip: float, with_indicator: bool) -> None:
    out = np.full((len(values), 2), 9, np.float32)
    indicator = out[:, 1] if with_indicator else np.empty(0, np.float32)

    n_missing, n_infinite = scale_smoothly(values, 1.5, 0.5, 1e-3, clip, out[:, 0], indicator)

    expected = []
    for value in values:
        scaled = ((float(value) if math.isfinite(value) else 1.5) - 0.5) * 1e-3
        scaled = min(max(scaled, -1e18), 1e18)
        expected.append(scaled / math.sqrt(1 + (scaled / clip) ** 2) if clip else scaled)
    np.testing.assert_array_equal(out[:, 0], np.array(expected, np.float32))
    assert n_missing == np.isnan(values).sum()
    assert n_infinite == np.isinf(values).sum()
    if with_indicator:
        assert out[:, 1].tolist() == [float(not math.isfinite(v)) for v in values]
    else:
        assert (out[:, 1] == 9).all()


@given(values=floats)
def test_quantile_scaling_is_linear_between_the_references(values: np.ndarray) -> None:
    references, normals = np.array([-10.0, 0.0, 1.0, 50.0]), np.array([-5.0, -1.0, 0.0, 5.0])
    out = np.zeros(len(values), np.float32)

    scale_quantile(values, 0.5, references, normals, out, np.empty(0, np.float32))

    filled = np.where(np.isfinite(values), values, 0.5).astype(np.float64)
    np.testing.assert_allclose(out, np.interp(filled, references, normals), rtol=1e-6, atol=1e-7)
