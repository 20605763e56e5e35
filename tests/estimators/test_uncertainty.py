"""Calibrated probabilities and prediction intervals of the tabular estimators."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

import tabtext
from tabtext.errors import ArtifactError, DataError, ParameterError
from tabtext.estimators import TabularClassifier, TabularRegressor
from tabtext.estimators.samples import EncodedSample
from tabtext.tabular.encoding import Encoded
from tabtext.training.calibration import expected_calibration_error
from tests.estimators.conftest import QUICK, shops

VALID = shops(300, seed=1)
NEW = shops(500, seed=2)


@pytest.fixture(scope="module")
def labels(frame: pd.DataFrame) -> tuple[TabularClassifier, pd.DataFrame]:
    """A model of a class that the columns tell little of, and its new rows."""
    model = TabularClassifier(**QUICK).fit(frame, target="State", validation=VALID)
    return model, NEW


@pytest.fixture(scope="module")
def quantities(frame: pd.DataFrame) -> TabularRegressor:
    return TabularRegressor(**QUICK).fit(frame, target="Sales", validation=VALID)


AS_FITTED: dict[str, Any] = {"train_codes": np.arange(0), "of_folds": False}
"""What the hook gets beside the validation rows."""


def sample_of(truth: np.ndarray, weight: np.ndarray | None = None) -> EncodedSample[Encoded]:
    """Held-out rows as the hook gets them; it does not look at features."""
    nothing = Encoded(np.empty((len(truth), 0), np.int64), np.empty((len(truth), 0), np.float32))
    return EncodedSample(nothing, truth, truth, weight)


# -- probabilities ---------------------------------------------------------------------------


def test_the_temperature_lowers_the_log_loss_of_validation_rows(
    labels: tuple[TabularClassifier, pd.DataFrame],
) -> None:
    model, _ = labels
    entry = model.card_["calibration"]

    assert entry["rows"] == 300
    assert entry["temperature"] == model.target_.temperature != 1
    assert entry["log_loss"]["after"] < entry["log_loss"]["before"]
    assert entry["log_loss"]["before"] == pytest.approx(model.card_["metrics"]["log_loss"])
    measured = model.evaluate(VALID)
    assert entry["log_loss"]["after"] == pytest.approx(measured["log_loss"])
    assert entry["calibration_error"]["after"] == pytest.approx(measured["calibration_error"])


def test_the_temperature_changes_probabilities_and_no_prediction(
    frame: pd.DataFrame, labels: tuple[TabularClassifier, pd.DataFrame]
) -> None:
    model, new = labels
    plain = TabularClassifier(**QUICK, calibration=None)
    plain.fit(frame, target="State", validation=VALID)

    before, after = plain.predict_proba(new), model.predict_proba(new)

    assert plain.card_["calibration"] | {"log_loss": 0, "calibration_error": 0} == {
        "rows": 300, "temperature": 1.0, "log_loss": 0, "calibration_error": 0,
        "left_out": "calibration=None",
    }  # fmt: skip
    np.testing.assert_array_equal(model.predict(new), plain.predict(new))
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    powers = before ** (1 / model.target_.temperature)
    np.testing.assert_allclose(after, powers / powers.sum(axis=1, keepdims=True), rtol=1e-9)


def test_evaluate_tells_the_calibration_error_and_histories_do_not(
    labels: tuple[TabularClassifier, pd.DataFrame],
) -> None:
    model, new = labels
    truth = np.searchsorted(model.classes_, new["State"])

    expected = expected_calibration_error(truth, model.predict_proba(new))

    assert model.evaluate(new)["calibration_error"] == pytest.approx(expected)
    assert "calibration_error" not in model.history_.epochs[0].metrics


def test_several_labels_share_a_temperature(frame: pd.DataFrame, tmp_path: Path) -> None:
    names = ["Promo", "far"]
    train, valid = (part.assign(far=part["Sales"] > 12) for part in (frame, VALID))

    model = TabularClassifier(**QUICK).fit(train, target=names, validation=valid)
    model.save(tmp_path / "model")

    entry = model.card_["calibration"]
    assert entry["temperature"] == model.target_.temperature != 1
    assert entry["log_loss"]["after"] < entry["log_loss"]["before"]
    again = tabtext.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(NEW), model.predict_proba(NEW))


def test_importance_is_that_of_the_probabilities_that_are_told(
    labels: tuple[TabularClassifier, pd.DataFrame],
) -> None:
    model, new = labels
    sample = model._encode(model._labelled(new, None, None))

    raw = model.target_.activate(model._raw_of(sample.encoded))
    loss = model._row_loss()(raw, torch.from_numpy(sample.codes))

    assert float(loss.mean()) == pytest.approx(model.evaluate(new)["log_loss"], rel=1e-5)


def test_few_rows_give_no_temperature(frame: pd.DataFrame) -> None:
    model = TabularClassifier(**QUICK).fit(frame, target="State", validation=VALID[:49])

    assert model.target_.temperature == 1
    assert model.card_["calibration"]["rows"] == 49
    assert "fewer than 50" in model.card_["calibration"]["left_out"]


def test_without_validation_rows_there_is_neither_temperature_nor_interval(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    settings = {**QUICK, "validation_fraction": 0}
    classifier = TabularClassifier(**settings).fit(frame, target="State")
    regressor = TabularRegressor(**settings).fit(frame, target="Sales")
    regressor.save(tmp_path / "model")

    for model in (classifier, regressor):
        assert model.card_["calibration"] == {"rows": 0, "left_out": "no validation rows"}
    assert classifier.target_.temperature == 1
    for model in (regressor, tabtext.load(tmp_path / "model")):
        with pytest.raises(DataError, match="no validation rows to take intervals from"):
            model.predict_interval(frame)


def test_rows_without_weight_do_not_count(labels: tuple[TabularClassifier, pd.DataFrame]) -> None:
    model = TabularClassifier()
    model.target_, model.card_ = labels[0].target_, {}
    truth = np.random.default_rng(0).integers(0, 3, 200)
    raw = torch.from_numpy(np.random.default_rng(1).normal(size=(200, 3)) + 3 * np.eye(3)[truth])
    weight = (np.arange(200) < 100).astype(np.float32)

    model._learn_from_validation(
        raw, sample_of(truth, weight), train_codes=np.arange(0), of_folds=False
    )
    weighted = dict(model.card_["calibration"])
    model._learn_from_validation(raw[:100], sample_of(truth[:100]), **AS_FITTED)
    alone = model.card_["calibration"]
    model._learn_from_validation(raw, sample_of(truth, np.zeros(200, np.float32)), **AS_FITTED)

    assert weighted["temperature"] == pytest.approx(alone["temperature"])
    assert weighted["rows"] == alone["rows"] == 100
    assert model.card_["calibration"] == {
        "rows": 0, "temperature": 1.0, "left_out": "fewer than 50 validation rows that count",
    }  # fmt: skip
    assert model.target_.temperature == 1


def test_weights_of_classes_count_in_the_temperature(
    labels: tuple[TabularClassifier, pd.DataFrame],
) -> None:
    truth = np.repeat([0, 1, 2], [100, 100, 0])
    # Class 0 is found for sure, class 1 is a mere guess between all.
    raw = torch.from_numpy(np.where(truth[:, None] == 0, [[4.0, 0, 0]], [[2.0, 0, 0]]))
    found = []
    for class_weight in (None, {"HE": 0.1}):
        model = TabularClassifier(class_weight=class_weight)
        model.target_, model.card_ = labels[0].target_, {}
        model._learn_from_validation(raw, sample_of(truth), **AS_FITTED)
        found.append(model.target_.temperature)

    assert found[1] < found[0]


def test_an_unknown_calibration_is_refused_before_work_begins(frame: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="calibration='temprature' is not one of temperature"):
        TabularClassifier(calibration="temprature").fit(frame, target="State")  # type: ignore[arg-type]


def test_a_second_fit_starts_without_the_temperature_of_the_first(frame: pd.DataFrame) -> None:
    model = TabularClassifier(**QUICK)

    first = model.fit(frame, target="State", validation=VALID).predict_proba(NEW)
    again = model.fit(frame, target="State", validation=VALID).predict_proba(NEW)

    np.testing.assert_array_equal(first, again)


def test_a_saved_temperature_comes_back_and_an_older_model_has_none(
    labels: tuple[TabularClassifier, pd.DataFrame], tmp_path: Path
) -> None:
    model, new = labels
    model.save(tmp_path / "model")

    again = tabtext.load(tmp_path / "model")
    _without(tmp_path / "model" / "config.json", ("target", "temperature"))
    _without(tmp_path / "model" / "config.json", ("parameters", "calibration"))
    older = tabtext.load(tmp_path / "model")

    np.testing.assert_array_equal(again.predict_proba(new), model.predict_proba(new))
    assert again.calibration == "temperature"
    assert older.target_.temperature == 1
    assert older.calibration is None
    np.testing.assert_array_equal(older.predict(new), model.predict(new))


# -- intervals -------------------------------------------------------------------------------


def test_intervals_hold_about_the_share_that_was_asked_for(quantities: TabularRegressor) -> None:
    truth = NEW["Sales"].to_numpy()

    bounds = {share: quantities.predict_interval(NEW, share) for share in (0.5, 0.8, 0.9)}

    for share, interval in bounds.items():
        assert interval.shape == (500, 2)
        held = (truth >= interval[:, 0]) & (truth <= interval[:, 1])
        assert held.mean() == pytest.approx(share, abs=0.07)
    np.testing.assert_array_equal(quantities.predict_interval(NEW), bounds[0.9])
    assert quantities.card_["calibration"] == {"rows": 300}


def test_pruned_rows_are_no_surprise_to_intervals(frame: pd.DataFrame) -> None:
    spoiled = VALID.assign(Sales=np.where(np.arange(300) < 60, 500.0, VALID["Sales"]))

    model = TabularRegressor(**QUICK, prune=["Sales < 100"])
    model.fit(frame, target="Sales", validation=spoiled)

    assert (model.predict_interval(NEW, 0.9)[:, 1] > 100).all()
    assert (model.predict(NEW) < 100).all()


def test_several_targets_have_intervals_in_a_table(frame: pd.DataFrame, tmp_path: Path) -> None:
    both, valid = (part.assign(Double=100 * part["Sales"]) for part in (frame, VALID))
    model = TabularRegressor(**QUICK)
    model.fit(both, target=["Sales", "Double"], validation=valid)
    model.save(tmp_path / "model")

    bounds = model.predict_interval(NEW, 0.8)
    table = tabtext.load(tmp_path / "model").predict_table(NEW, interval=0.8)

    assert bounds.shape == (500, 2, 2)
    assert table.column_names == [
        "Sales", "Sales_lower", "Sales_upper", "Double", "Double_lower", "Double_upper",
    ]  # fmt: skip
    np.testing.assert_array_equal(table["Sales_lower"].to_numpy(), bounds[:, 0, 0])
    np.testing.assert_array_equal(table["Double_upper"].to_numpy(), bounds[:, 1, 1])


def test_after_a_logarithm_intervals_are_relative_to_the_prediction(frame: pd.DataFrame) -> None:
    train, valid, new = (part.assign(Sales=np.exp(part["Sales"])) for part in (frame, VALID, NEW))
    model = TabularRegressor(**QUICK, target_transform="log", clip_predictions=False)
    model.fit(train, target="Sales", validation=valid)

    # Of 300 rows with this coverage there is one group.
    bounds, predicted = model.predict_interval(new, 0.95), model.predict(new)

    assert (bounds > 0).all()
    np.testing.assert_allclose(bounds[:, 0] / predicted, bounds[0, 0] / predicted[0])
    np.testing.assert_allclose(bounds[:, 1] / predicted, bounds[0, 1] / predicted[0])


def test_bounds_stay_inside_y_range_and_may_leave_the_span_of_predictions(
    frame: pd.DataFrame,
) -> None:
    low, high = frame["Sales"].min() - 1, frame["Sales"].max() + 1
    valid = VALID[VALID["Sales"].between(low, high)]
    ranged = TabularRegressor(**QUICK, y_range=(low, high))
    ranged.fit(frame, target="Sales", validation=valid)
    middle = frame[frame["Sales"].between(9, 11)]
    clipped = TabularRegressor(**QUICK).fit(middle, target="Sales", validation=VALID)

    inside = ranged.predict_interval(NEW, 0.99)
    beyond = clipped.predict_interval(NEW, 0.95)

    assert inside.min() >= low
    assert inside.max() <= high
    assert beyond.min() < clipped.target_.lowest[0]
    assert beyond.max() > clipped.target_.highest[0]


def test_a_quantile_has_intervals_too(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**{**QUICK, "epochs": 8}, loss="quantile", quantile=0.95)
    model.fit(frame, target="Sales", validation=VALID)

    bounds, truth = model.predict_interval(NEW, 0.8), NEW["Sales"].to_numpy()

    held = (truth >= bounds[:, 0]) & (truth <= bounds[:, 1])
    assert held.mean() == pytest.approx(0.8, abs=0.07)


def test_weights_of_validation_rows_count_in_intervals(quantities: TabularRegressor) -> None:
    model = TabularRegressor()
    model.target_, model.card_ = quantities.target_, {}
    truth = np.arange(200.0)[:, None]
    raw = torch.zeros(200, 1)
    weight = np.where(np.arange(200) < 100, 0.0, 2.0).astype(np.float32)

    model._learn_from_validation(
        raw, sample_of(truth, weight), train_codes=np.arange(0), of_folds=False
    )

    assert model.card_["calibration"] == {"rows": 100}
    assert model._intervals_of(raw[:1], 0.9)[0, 0] > 100


@pytest.mark.parametrize("coverage", [0, 1, 90, -0.1])
def test_a_coverage_that_is_no_share_is_refused(
    quantities: TabularRegressor, coverage: float
) -> None:
    with pytest.raises(ParameterError, match="between 0 and 1"):
        quantities.predict_interval(NEW, coverage)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        quantities.predict_table(NEW, interval=coverage)


def test_too_few_validation_rows_for_a_coverage_are_told(quantities: TabularRegressor) -> None:
    assert quantities.predict_interval(NEW, 0.99).shape == (500, 2)
    with pytest.raises(DataError, match="at least 1999 validation rows, and the model has 300"):
        quantities.predict_interval(NEW, 0.999)


def test_intervals_before_the_fit_are_refused_as_predictions_are() -> None:
    with pytest.raises(NotFittedError):
        TabularRegressor().predict_interval(NEW)


def test_no_row_gives_no_interval(quantities: TabularRegressor) -> None:
    assert quantities.predict_interval(NEW[:0]).shape == (0, 2)


def test_a_regressor_has_no_probabilities(quantities: TabularRegressor) -> None:
    with pytest.raises(ParameterError, match="no probabilities"):
        quantities.predict_table(NEW, probabilities=True, interval=0.9)


def test_saved_intervals_come_back_and_an_older_model_says_it_has_none(
    quantities: TabularRegressor, tmp_path: Path
) -> None:
    quantities.save(tmp_path / "model")

    again = tabtext.load(tmp_path / "model")
    (tmp_path / "model" / "calibration.safetensors").unlink()
    older = tabtext.load(tmp_path / "model")

    np.testing.assert_array_equal(again.predict_interval(NEW), quantities.predict_interval(NEW))
    np.testing.assert_array_equal(older.predict(NEW), quantities.predict(NEW))
    with pytest.raises(DataError, match="saved by an older version"):
        older.predict_interval(NEW)


@pytest.mark.parametrize("damage", [b"", b"nothing like tensors"])
def test_damaged_calibration_rows_are_refused_when_loading(
    quantities: TabularRegressor, tmp_path: Path, damage: bytes
) -> None:
    quantities.save(tmp_path / "model")
    (tmp_path / "model" / "calibration.safetensors").write_bytes(damage)

    with pytest.raises(ArtifactError, match=r"calibration\.safetensors is damaged"):
        tabtext.load(tmp_path / "model")


def _without(path: Path, place: tuple[str, str]) -> None:
    """Take an entry out of a JSON file."""
    config = json.loads(path.read_text())
    del config[place[0]][place[1]]
    path.write_text(json.dumps(config))
