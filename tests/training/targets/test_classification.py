"""Targets that are classes."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tabtext.errors import ArtifactError, ColumnTypeError, DataError, ParameterError
from tabtext.training.targets import ClassificationTarget, MultilabelTarget, target_from_dict


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([3, 1, 3], (1, 3)),
        ([True, False, True], (False, True)),
        ([1.0, 2.0, 1.0], (1.0, 2.0)),
    ],
)
def test_classes_keep_their_type_and_survive_json(values: list[Any], classes: tuple[Any]) -> None:
    table = pa.table({"y": values})
    target = ClassificationTarget.fit(table)

    loaded = target_from_dict(json.loads(json.dumps(target.to_dict())))

    assert target.classes == classes
    assert loaded == target
    raw = torch.nn.functional.one_hot(torch.from_numpy(target.encode(table)), 2).float()
    assert target.decode(raw).tolist() == values


def test_a_dictionary_column_gives_its_values_as_classes() -> None:
    column = pa.array(["b", "a", "b"]).dictionary_encode()

    assert ClassificationTarget.fit(pa.table({"y": column})).classes == ("a", "b")


def test_probabilities_sum_to_one_and_follow_the_classes() -> None:
    target = ClassificationTarget("y", ("a", "b", "c"))

    probabilities = target.outputs(torch.tensor([[0.0, 0.0, 5.0], [1.0, 1.0, 1.0]]))

    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert probabilities[0].argmax() == 2


def test_an_unseen_class_is_named_with_its_row() -> None:
    target = ClassificationTarget.fit(pa.table({"y": ["a", "b"]}))

    with pytest.raises(DataError, match=r"'z' in row 1.*'a', 'b'"):
        target.encode(pa.table({"y": ["a", "z"]}))


def test_whole_floats_match_integer_classes() -> None:
    target = ClassificationTarget.fit(pa.table({"y": [1, 2]}))

    assert target.encode(pa.table({"y": [2.0, 1.0]})).tolist() == [1, 0]


def test_text_does_not_match_integer_classes() -> None:
    target = ClassificationTarget.fit(pa.table({"y": [1, 2]}))

    with pytest.raises(ColumnTypeError, match="int64 at the fit"):
        target.encode(pa.table({"y": ["1"]}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "a"], "is 'a' in every row"),
        ([None, None], "has no value"),
        ([0.5, 1.5], "quantities such as 0.5"),
    ],
)
def test_what_is_no_classification_is_refused(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassificationTarget.fit(pa.table({"y": values}))


def test_lists_are_no_classes() -> None:
    with pytest.raises(ColumnTypeError, match="classes are text"):
        ClassificationTarget.fit(pa.table({"y": [[1], [2]]}))


def test_balanced_weights_give_every_class_the_same_total() -> None:
    target = ClassificationTarget("y", ("a", "b"))
    codes = np.array([0, 0, 0, 1])

    weights = target.row_weights(codes, "balanced")

    assert weights is not None
    assert weights[codes == 0].sum() == pytest.approx(weights[codes == 1].sum())
    assert weights.sum() == pytest.approx(4)


def test_balanced_weights_of_some_rows_may_be_counted_in_others() -> None:
    target = ClassificationTarget("y", ("a", "b"))
    counted = np.array([0, 0, 0, 1])

    weights = target.row_weights(np.array([1, 1, 0]), "balanced", counted=counted)

    expected = target.row_weights(counted, "balanced")
    assert weights is not None
    assert expected is not None
    assert weights.tolist() == expected[[3, 3, 0]].tolist()


def test_a_mapping_weighs_the_classes_it_names() -> None:
    target = ClassificationTarget("y", ("a", "b"))

    weights = target.row_weights(np.array([0, 1]), {"b": 3.0})

    assert weights is not None
    assert weights.tolist() == [1.0, 3.0]


@pytest.mark.parametrize("wrong", ["balance", {"z": 1.0}, {"a": -1.0}])
def test_wrong_class_weights_are_refused(wrong: Any) -> None:
    target = ClassificationTarget("y", ("a", "b"))

    with pytest.raises(ParameterError, match="class_weight"):
        target.row_weights(np.array([0, 1]), wrong)


def test_labels_are_independent_of_each_other() -> None:
    table = pa.table({"late": [True, False], "long": [1, 1]})
    target = MultilabelTarget.fit(table)

    outputs = target.outputs(torch.tensor([[10.0, 10.0]]))

    assert target.encode(table).tolist() == [[1, 1], [0, 1]]
    assert outputs.sum() > 1.9  # a softmax would give 1
    assert target.decode(torch.tensor([[2.0, -2.0]])).tolist() == [[1, 0]]
    assert target_from_dict(target.to_dict()) == target


def test_a_label_that_is_not_yes_or_no_is_named() -> None:
    with pytest.raises(DataError, match="'long' is 2 in row 1"):
        MultilabelTarget.fit(pa.table({"late": [True, False], "long": [1, 2]}))


def test_a_number_that_is_neither_zero_nor_one_is_no_boolean() -> None:
    target = ClassificationTarget.fit(pa.table({"y": [True, False]}))

    assert target.encode(pa.table({"y": [1, 0]})).tolist() == [1, 0]
    assert target.encode(pa.table({"y": [0.0, 1.0]})).tolist() == [0, 1]
    for wrong in (7, -1, 0.5):
        with pytest.raises(DataError, match=rf"'y' is {wrong} in row 1 \(1 such rows\)"):
            target.encode(pa.table({"y": [1, wrong, 0]}))


@pytest.mark.parametrize(
    "target", [ClassificationTarget("y", ("a", "b")), MultilabelTarget(("a", "b"))]
)
def test_a_temperature_flattens_probabilities_and_moves_no_decision(
    target: ClassificationTarget | MultilabelTarget,
) -> None:
    raw = torch.tensor([[2.0, -4.0], [-1.0, 3.0]])
    warm = replace(target, temperature=2.0)

    np.testing.assert_allclose(warm.outputs(raw), target.outputs(raw / 2))
    np.testing.assert_array_equal(warm.decode(raw), target.decode(raw))
    torch.testing.assert_close(warm.activate(raw), raw / 2)
    assert target.activate(raw) is raw


@pytest.mark.parametrize(
    "target", [ClassificationTarget("y", ("a", "b"), 1.5), MultilabelTarget(("a", "b"), 0.5)]
)
def test_a_temperature_survives_saving_and_is_one_where_none_was_saved(
    target: ClassificationTarget | MultilabelTarget,
) -> None:
    saved = json.loads(json.dumps(target.to_dict()))

    assert target_from_dict(saved) == target
    del saved["temperature"]
    assert target_from_dict(saved) == replace(target, temperature=1.0)


@pytest.mark.parametrize("temperature", [0, -1.0, None, "warm", float("nan"), float("inf")])
def test_a_damaged_temperature_is_refused(temperature: object) -> None:
    saved = {**ClassificationTarget("y", ("a", "b")).to_dict(), "temperature": temperature}

    with pytest.raises(ArtifactError, match="temperature"):
        target_from_dict(saved)
