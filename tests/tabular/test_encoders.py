"""Encoders of single columns."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sklearn.preprocessing import QuantileTransformer

from tabtext.errors import ArtifactError, ColumnTypeError
from tabtext.tabular.arrays import Indexed, as_floats
from tabtext.tabular.encoders import CategoricalEncoder, ContinuousEncoder, Scaling
from tabtext.tabular.statistics import ColumnStatistics


def categorical(values: Any, kind: Any = None, **options: Any) -> CategoricalEncoder:
    column = Indexed.of(pa.array(values, kind), "x")
    return CategoricalEncoder.of("x", ColumnStatistics.of_categories(column), **options)


def codes(encoder: CategoricalEncoder, values: Any, kind: Any = None) -> list[int]:
    column = Indexed.of(values if isinstance(values, pa.Array) else pa.array(values, kind), "x")
    return encoder.codes(column)[column.indices - column.offset].tolist()


def continuous(values: Any, **options: Any) -> ContinuousEncoder:
    statistics = ColumnStatistics.of_numbers(np.array(values, np.float64))
    return ContinuousEncoder.of("x", statistics, **options)


def encode(encoder: ContinuousEncoder, values: Any) -> list[float]:
    out = np.zeros(len(values), np.float32)
    encoder.encode(np.array(values, np.float64), out, np.empty(0, np.float32))
    return out.tolist()


# --- categories --------------------------------------------------------------------------


def test_codes_are_missing_unseen_and_categories_in_order() -> None:
    encoder = categorical(["b", None, "a"])

    assert codes(encoder, [None, "zz", "a", "b"]) == [0, 1, 2, 3]
    assert encoder.cardinality == 4
    assert encoder.labels() == ["(missing)", "(unseen)", "a", "b"]


def test_rare_categories_share_the_code_of_unseen_ones() -> None:
    encoder = categorical(["a", "a", "b"], min_count=2)

    assert codes(encoder, ["a", "b"]) == [2, 1]


def test_a_first_gap_counts_as_unseen_whose_vector_is_trained() -> None:
    assert codes(categorical(["a", "b"]), [None, "a"]) == [1, 2]


@pytest.mark.parametrize(
    ("fitted", "given", "expected"),
    [
        ([1, 2, None], pa.array([2.0, None, 1.0, 2.5, float("inf")]), [3, 0, 2, 1, 1]),
        ([1, 2], pa.array([2, 1], pa.uint8()), [3, 2]),
        ([0.5, 2.0], pa.array([2, 7]), [3, 1]),
        ([True, False], pa.array([1, 0]), [3, 2]),
        ([0, 1], pa.array([True, False]), [3, 2]),
        (["a", "b"], pa.array(["b", "c"]).dictionary_encode(), [3, 1]),
        (["a", "b"], pa.array(["b", "c"], pa.large_string()), [3, 1]),
        (["a", None], pa.nulls(2), [0, 0]),
        ([-0.0, 1.5], pa.array([0.0, -0.0]), [2, 2]),
    ],
)
def test_other_types_that_lose_nothing_are_converted(
    fitted: list[Any], given: pa.Array, expected: list[int]
) -> None:
    assert codes(categorical(fitted), given) == expected


@pytest.mark.parametrize(
    ("fitted", "given"), [(["1", "2"], [1, 2]), ([1, 2], ["1"]), ([True, False], [0, 2])]
)
def test_types_that_do_not_convert_are_shown(fitted: list[Any], given: list[Any]) -> None:
    with pytest.raises(ColumnTypeError, match=r"column 'x' holds .* at the fit"):
        codes(categorical(fitted), given)


def test_dictionaries_may_hold_gaps_repeats_and_unused_values() -> None:
    repeated = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 3, None], pa.int8()), pa.array(["a", "b", "a", None, "unused"])
    )

    encoder = CategoricalEncoder.of("x", ColumnStatistics.of_categories(Indexed.of(repeated, "x")))

    assert encoder.categories.to_pylist() == ["a", "b"]
    assert codes(encoder, repeated) == [2, 3, 2, 0, 0]


def test_narrow_integers_at_their_limits_keep_their_gaps() -> None:
    values = pa.array([-128, 127, None], pa.int8())

    assert codes(categorical([-128, 127, None], pa.int8()), values) == [2, 3, 0]


def test_a_full_dictionary_of_narrow_indices_keeps_its_gaps() -> None:
    names = [f"n{number:03}" for number in range(128)]
    column = pa.DictionaryArray.from_arrays(
        pa.array([None, *range(128)], pa.int8()), pa.array(names)
    )

    assert codes(categorical([*names, None]), column) == [0, *range(2, 130)]


def test_sliced_arrays_are_read_from_their_start() -> None:
    for column in (
        pa.array(["x", "b", None, "a"])[1:],
        pa.array(["x", "b", None, "a"]).dictionary_encode()[1:],
    ):
        assert codes(categorical(["a", "b", None]), column) == [3, 0, 2]
    assert codes(categorical([1, 2, None]), pa.array([9, 2, None, 1])[1:]) == [3, 0, 2]
    assert codes(categorical([True, False]), pa.array([True, False, True])[1:]) == [2, 3]


@pytest.mark.parametrize("values", [[[1]], [{"a": 1}], [b"x"]])
def test_lists_structures_and_bytes_are_no_categories(values: list[Any]) -> None:
    with pytest.raises(ColumnTypeError, match="cannot be categories"):
        categorical(values)


@given(values=st.lists(st.none() | st.text(max_size=4), max_size=30))
def test_labels_undo_codes(values: list[str | None]) -> None:
    encoder = categorical(values, pa.string())
    labels = encoder.labels()

    decoded = [labels[code] for code in codes(encoder, values, pa.string())]

    assert decoded == ["(missing)" if value is None else value for value in values]


# --- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "expected"), [("median", 2.0), ("mean", 4.0), ("constant", -7.0)]
)
def test_gaps_are_filled_by(missing: Any, expected: float) -> None:
    encoder = continuous([1, 2, 9, np.nan], missing=missing, fill_value=-7.0, scaling="none")

    assert encode(encoder, [np.nan, np.inf, 3.0]) == [expected, expected, 3.0]
    assert encoder.indicator


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@example(values=[1.7976931348623157e308, -5.992310449541053e307])  # the margin overflows
def test_the_signal_is_outside_of_the_observed_range(values: list[float]) -> None:
    limits = np.finfo(np.float64)
    assume(min(values) > limits.min or max(values) < limits.max)  # else there is no outside

    signal = continuous([*values, np.nan], missing="signal").fill

    assert np.isfinite(signal)
    assert signal < min(values) or signal > max(values)


@given(
    values=st.lists(st.floats() | st.sampled_from([0.0, 1.0]), max_size=30),
    later=st.lists(st.floats(), max_size=10),
    scaling=st.sampled_from(["standard", "robust", "quantile", "none"]),
    missing=st.sampled_from(["median", "mean", "constant", "signal"]),
)
def test_only_finite_numbers_come_out(
    values: list[float], later: list[float], scaling: Scaling, missing: Any
) -> None:
    encoder = continuous(values, scaling=scaling, missing=missing)

    assert np.isfinite(encode(encoder, [*values, *later])).all()


def test_standard_scaling_gives_mean_zero_and_deviation_one() -> None:
    values = np.random.default_rng(0).normal(5e6, 3.0, 1000)

    encoded = np.array(encode(continuous(values), values))

    assert encoded.mean() == pytest.approx(0, abs=1e-5)
    assert encoded.std() == pytest.approx(1, abs=1e-5)


def test_robust_scaling_follows_the_published_formula() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 1000.0])

    encoded = encode(continuous(values, scaling="robust"), values)

    scaled = (values - 2.0) / (3.0 - 1.0)
    np.testing.assert_allclose(encoded, scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-6)
    assert max(encoded) < 3.0


def test_robust_scaling_of_a_nearly_constant_column_takes_half_its_range() -> None:
    encoder = continuous([0.0] * 9 + [4.0], scaling="robust")

    assert encoder.factor == pytest.approx(0.5)


def test_quantile_scaling_agrees_with_scikit_learn() -> None:
    values = np.random.default_rng(0).exponential(size=5000)

    encoded = encode(continuous(values, scaling="quantile"), values)

    transformer = QuantileTransformer(output_distribution="normal", subsample=None)
    expected = transformer.fit_transform(values[:, None])[:, 0]
    # Between references, normal quantiles are interpolated and not probabilities.
    middle = np.abs(expected) < 3
    np.testing.assert_allclose(np.array(encoded)[middle], expected[middle], atol=0.02)


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile", "none"])
def test_constants_and_columns_without_values_are_harmless(scaling: Any) -> None:
    for values in ([3.0, 3.0], [np.nan, np.nan], []):
        assert np.isfinite(encode(continuous(values, scaling=scaling), [3.0, np.nan, 4.0])).all()


def test_a_constant_is_scaled_to_zero() -> None:
    assert encode(continuous([3.0, 3.0]), [3.0]) == [0.0]


@given(
    values=st.lists(st.floats(allow_nan=False), max_size=20),
    scaling=st.sampled_from(["standard", "robust", "quantile", "none"]),
)
def test_an_encoder_survives_json(values: list[float], scaling: Any) -> None:
    encoder = continuous(values, scaling=scaling)

    assert ContinuousEncoder.from_dict(encoder.to_dict()) == encoder


def test_a_damaged_encoder_is_an_artifact_error() -> None:
    with pytest.raises(ArtifactError, match="encoder is damaged"):
        ContinuousEncoder.from_dict({"name": "x"})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, 3], pa.int8()),
        pa.array([1, None, 3], pa.uint64()),
        pa.array([1, None, 3], pa.float32()),
        pa.array([1, None, 3], pa.decimal128(5, 2)),
        pa.array([1.0, float("nan"), 3.0]),
        pa.array([1.0, None, 3.0]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_every_kind_of_number_becomes_floats_with_nan(column: pa.Array) -> None:
    np.testing.assert_array_equal(as_floats(column, "x"), [1.0, np.nan, 3.0])


def test_floats_are_not_copied() -> None:
    values = np.arange(5.0)

    assert np.shares_memory(as_floats(pa.array(values), "x"), values)


def test_text_is_no_number() -> None:
    with pytest.raises(ColumnTypeError, match=r"'x' is continuous and holds string.*'12,5'"):
        as_floats(pa.array([None, "12,5"]), "x")
