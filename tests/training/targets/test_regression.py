"""Targets that are quantities."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ArtifactError, ColumnTypeError, DataError, ParameterError
from tabtext.training.targets import RegressionTarget, rows_with_target, target_from_dict


@given(
    values=st.lists(st.floats(0.5, 1e6), min_size=2, max_size=50),
    transform=st.sampled_from(["none", "standard", "log", "log1p"]),
)
def test_decoding_undoes_encoding(values: list[float], transform: Any) -> None:
    table = pa.table({"y": values})
    target = RegressionTarget.fit(table, transform=transform)

    decoded = target.decode(torch.from_numpy(target.encode(table)))

    # The network's numbers have 24 bits, relative to the spread of the column.
    np.testing.assert_allclose(decoded, values, rtol=1e-5, atol=1e-6 * max(values))


def test_the_network_sees_mean_zero_and_deviation_one() -> None:
    table = pa.table({"y": [1.0, 10.0, 100.0, 1000.0]})

    for transform in ("standard", "log", "log1p"):
        encoded = RegressionTarget.fit(table, transform=transform).encode(table)
        assert encoded.mean() == pytest.approx(0, abs=1e-6)
        assert encoded.std() == pytest.approx(1)


def test_predictions_stay_inside_y_range() -> None:
    table = pa.table({"y": [1.0, 5.0, 9.0]})
    target = RegressionTarget.fit(table, y_range=(0.0, 10.0))

    decoded = target.decode(torch.tensor([[-100.0], [0.0], [100.0]]))

    assert decoded[0] == pytest.approx(0.0, abs=1e-9)
    assert decoded[1] == pytest.approx(5.0)
    assert decoded[2] == pytest.approx(10.0)
    assert (decoded >= 0).all()
    assert (decoded <= 10).all()


def test_y_range_holds_under_a_logarithm() -> None:
    table = pa.table({"y": [1.0, 5.0, 9.0]})
    target = RegressionTarget.fit(table, transform="log", y_range=(0.5, 10.0))

    decoded = target.decode(torch.tensor([[-50.0], [50.0]]))

    assert decoded.tolist() == pytest.approx([0.5, 10.0])


@pytest.mark.parametrize("transform", ["none", "standard", "log"])
def test_predictions_are_cut_to_the_span_of_the_training_targets(transform: Any) -> None:
    table = pa.table({"a": [1.0, 4.0], "b": [10.0, 30.0]})
    raw = torch.tensor([[-50.0, 50.0], [50.0, -50.0]])

    cut = RegressionTarget.fit(table, transform=transform, span=table)
    free = RegressionTarget.fit(table, transform=transform)

    np.testing.assert_allclose(cut.decode(raw), [[1, 30], [4, 10]])
    assert free.decode(raw)[0, 1] > 30
    again = target_from_dict(json.loads(json.dumps(cut.to_dict())))
    np.testing.assert_array_equal(again.decode(raw), cut.decode(raw))


def test_the_loss_sees_the_activated_output() -> None:
    table = pa.table({"y": [0.0, 10.0]})
    target = RegressionTarget.fit(table, y_range=(0.0, 10.0))

    activated = target.activate(torch.tensor([[100.0]]))

    torch.testing.assert_close(activated, torch.from_numpy(target.encode(table)[1:]))


def test_several_quantities_are_scaled_each_by_itself() -> None:
    table = pa.table({"a": [0.0, 2.0], "b": [100, 300]})
    target = RegressionTarget.fit(table)

    assert target.encode(table).tolist() == [[-1, -1], [1, 1]]
    assert target.decode(torch.zeros(1, 2)).tolist() == [[1.0, 200.0]]


def test_a_constant_target_is_allowed() -> None:
    table = pa.table({"y": [3.0, 3.0]})

    target = RegressionTarget.fit(table)

    assert target.decode(torch.zeros(1, 1)).tolist() == [3.0]


def test_a_target_survives_json() -> None:
    target = RegressionTarget.fit(pa.table({"y": [1.0, 2.0]}), transform="log", y_range=(0.1, 3.0))

    assert target_from_dict(json.loads(json.dumps(target.to_dict()))) == target


def test_a_damaged_description_is_an_artifact_error() -> None:
    with pytest.raises(ArtifactError, match="target is damaged"):
        target_from_dict({"task": "regression", "columns": ["y"]})


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, float("inf")], {}, "inf in row 1"),
        ([1.0, 0.0], {"transform": "log"}, "0.0 in row 1.*greater than 0"),
        ([1.0, -2.0], {"transform": "log1p"}, "-2.0 in row 1"),
        ([1.0, 7.0], {"y_range": (0.0, 5.0)}, "7.0 in row 1.*y_range"),
    ],
)
def test_values_that_do_not_fit_are_shown(
    values: list[float], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        RegressionTarget.fit(pa.table({"y": values}), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"transform": "sqrt"},
        {"y_range": (5.0, 1.0)},
        {"y_range": (0.0, float("inf"))},
        {"transform": "log", "y_range": (0.0, 1.0)},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        RegressionTarget.fit(pa.table({"y": [1.0, 2.0]}), **options)


def test_text_is_no_quantity() -> None:
    with pytest.raises(ColumnTypeError, match="'y' holds string, such as '1'"):
        RegressionTarget.fit(pa.table({"y": ["1", "2"]}))


def test_rows_with_a_gap_in_any_target_are_found() -> None:
    table = pa.table({"a": [1.0, None, 3.0, float("nan")], "b": ["x", "y", None, "z"]})

    assert rows_with_target(table).tolist() == [True, False, False, False]
