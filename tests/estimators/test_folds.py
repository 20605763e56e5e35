"""Several networks for one estimator: what each sees, what they predict, and that runs resume."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tabtext
from tabtext.errors import DataError, ParameterError, SaveError
from tabtext.estimators import TabularClassifier, TabularRegressor
from tabtext.estimators.folds import out_of_fold, parts_of, rows_of
from tabtext.estimators.samples import EncodedSample, PreparedRows
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.training import Callback
from tabtext.training.run import Run
from tests.estimators.conftest import QUICK, shops

FOLDS: dict[str, Any] = {**QUICK, "n_folds": 3}


def prepared(n_rows: int, n_classes: int = 2, *, valid: bool = False) -> PreparedRows[Encoded]:
    codes = np.arange(n_rows) % n_classes
    number = np.arange(n_rows, dtype=np.float32)[:, None]
    encoded = Encoded(np.zeros((n_rows, 0), np.uint8), number)
    judged = EncodedSample(encoded, codes, codes, number[:, 0] + 1)
    kept = np.flatnonzero(np.arange(n_rows) % 7 != 3)  # the others were pruned
    train = judged.take(kept)
    return PreparedRows(
        train=replace(train, weight=(number[kept, 0] + 1) * 10),
        valid=judged if valid else None,
        judged=judged,
        kept=kept,
        numbers=None,
        counts={"given": n_rows},
        missing={},
    )


@given(n_rows=st.integers(14, 60), n_folds=st.integers(2, 5), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_every_row_is_held_out_once_and_learned_from_otherwise_unless_pruned(
    n_rows: int, n_folds: int, seed: int
) -> None:
    rows = prepared(n_rows)
    parts = parts_of(rows, n_folds, stratify=True, seed=seed)

    held_out = np.concatenate([part.held_out for part in parts if part.held_out is not None])
    assert sorted(held_out) == list(range(n_rows))
    for part in parts:
        own = rows_of(part, rows)
        assert own.valid is not None
        seen = own.train.encoded.continuous[:, 0].astype(int).tolist()
        judged = own.valid.encoded.continuous[:, 0].astype(int).tolist()
        np.testing.assert_array_equal(part.held_out, judged)
        assert not set(seen) & set(judged)
        assert set(seen) | (set(judged) & set(rows.kept.tolist())) == set(rows.kept.tolist())


def test_folds_keep_the_shares_of_classes() -> None:
    rows = prepared(40, n_classes=4)

    for part in parts_of(rows, 5, stratify=True, seed=0):
        assert np.bincount(rows.judged.codes[part.held_out]).tolist() == [2, 2, 2, 2]


def test_a_class_rarer_than_the_folds_are_many_is_no_error() -> None:
    rows = prepared(20)
    rows.judged.codes[:] = 0
    rows.judged.codes[3] = 1

    assert len(parts_of(rows, 5, stratify=True, seed=0)) == 5


def test_folds_are_judged_by_the_weights_of_rows_alone() -> None:
    rows = prepared(12)
    own = rows_of(parts_of(rows, 3, stratify=False, seed=0)[0], rows)

    assert own.valid is not None
    np.testing.assert_array_equal(own.valid.weight, own.valid.encoded.continuous[:, 0] + 1)
    np.testing.assert_array_equal(own.train.weight, 10 * (own.train.encoded.continuous[:, 0] + 1))


def test_folds_in_which_no_row_counts_are_told() -> None:
    rows = prepared(12)
    alone = (np.arange(12) == 5).astype(np.float32)

    with pytest.raises(DataError, match="too few rows weigh more than 0"):
        parts_of(
            replace(rows, judged=replace(rows.judged, weight=alone)), 3, stratify=False, seed=0
        )


def test_out_of_fold_outputs_come_back_in_the_order_of_the_rows() -> None:
    parts = parts_of(prepared(17), 4, stratify=True, seed=3)
    raws = [torch.as_tensor(part.held_out, dtype=torch.float32)[:, None] for part in parts]

    assert out_of_fold(raws, parts)[:, 0].tolist() == list(range(17))


def test_with_validation_rows_only_the_seeds_differ() -> None:
    rows = prepared(10, valid=True)
    parts = parts_of(rows, 3, stratify=True, seed=2**32 - 1)

    assert [part.seed for part in parts] == [2**32 - 1, 0, 1]
    assert all(rows_of(part, rows) is rows for part in parts)


def test_too_few_rows_for_the_folds_are_told(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="5 training rows are too few for n_folds=3"):
        TabularRegressor(**FOLDS).fit(frame[:5], target="Sales")


def test_classes_are_predicted_by_the_mean_of_all_networks(frame: pd.DataFrame) -> None:
    model = TabularClassifier(**FOLDS, calibration=None).fit(frame, target="State")

    assert isinstance(model.model_, NetworkEnsemble)
    assert list(model.histories_) == ["fold 1", "fold 2", "fold 3"]
    features = model.preprocessor_.encode(frame)
    inputs = torch.from_numpy(features.categorical), torch.from_numpy(features.continuous)
    with torch.inference_mode():
        each = [network(*inputs).softmax(dim=1) for network in model.model_.networks]
    np.testing.assert_allclose(
        model.predict_proba(frame), torch.stack(each).mean(dim=0).numpy(), atol=1e-5
    )


def test_quantities_are_predicted_by_the_mean_of_all_networks(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**FOLDS, clip_predictions=False).fit(frame, target="Sales")
    together = model.predict(frame)

    assert isinstance(model.model_, NetworkEnsemble)
    each = []
    for network in list(model.model_.networks):
        model.model_ = network  # type: ignore[assignment]  # one of its own
        each.append(model.predict(frame))
    np.testing.assert_allclose(together, np.mean(each, axis=0), rtol=1e-5)


def test_out_of_fold_predictions_have_a_row_for_every_row_given(frame: pd.DataFrame) -> None:
    rows = frame.copy()
    rows.loc[[3, 10], "Sales"] = np.nan
    lost = rows["Sales"].isna()
    model = TabularRegressor(**FOLDS, prune="Sales < 16").fit(rows, target="Sales")

    found = model.out_of_fold_predictions_
    assert found.shape == (len(rows),)
    np.testing.assert_array_equal(np.isnan(found), lost)
    errors = found[~lost] - rows["Sales"][~lost]
    assert model.card_["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert model.card_["rows"]["pruned"] == (rows["Sales"] >= 16).sum() > 0


def test_pruned_rows_teach_nothing_and_are_judged_all_the_same() -> None:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"x": generator.normal(size=3000)})
    rows["y"] = rows["x"] + generator.normal(0, 0.1, 3000)
    rows.loc[generator.random(3000) < 0.08, "y"] += 50.0
    model = TabularRegressor(**FOLDS, prune="y < 20").fit(rows[:2000], target="y")

    lower, upper = model.predict_interval(rows[2000:], coverage=0.9).T

    # Intervals that knew nothing of the far ones would hold 0.9 of the others, 0.83 of all.
    assert rows["y"][2000:].between(lower, upper).mean() > 0.87
    assert np.abs(model.predict(rows[2000:])).max() < 20


def test_several_labels_and_class_weights_work_with_folds(frame: pd.DataFrame) -> None:
    labels = frame.assign(North=frame["State"] == "NW", South=frame["State"] == "BY")
    several = TabularClassifier(**FOLDS).fit(
        labels.drop(columns="State"), target=["North", "South"]
    )
    weighted = TabularClassifier(**FOLDS, class_weight="balanced").fit(frame, target="State")

    assert several.out_of_fold_predictions_.shape == (len(frame), 2)
    np.testing.assert_allclose(weighted.out_of_fold_predictions_.sum(axis=1), 1)


def test_given_validation_rows_leave_no_folds(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**FOLDS).fit(frame, target="Sales", validation=shops(50, seed=1))

    assert list(model.histories_) == ["seed 0", "seed 1", "seed 2"]
    assert not hasattr(model, "out_of_fold_predictions_")
    assert model.card_["rows"]["valid"] == 50
    metrics = model.evaluate(shops(50, seed=1))
    assert {name: metrics[name] for name in model.card_["metrics"]} == model.card_["metrics"]
    assert model.card_["recipe"]["seed"] == [0, 1, 2]
    assert len(model.card_["recipe"]["best_epoch"]) == 3


def test_a_saved_ensemble_predicts_the_same(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = TabularClassifier(**FOLDS).fit(frame, target="State")
    model.save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    assert list(loaded.histories_) == list(model.histories_)
    assert loaded.embeddings("Promo").equals(model.embeddings("Promo"))


class _Leave(Callback):
    """Raise in an epoch of the second network."""

    def __init__(self) -> None:
        self.networks = 0

    def fit_started(self, run: Run) -> None:
        self.networks += 1

    def epoch_ended(self, run: Run) -> None:
        if self.networks == 2:
            raise KeyboardInterrupt


def test_an_interrupted_fit_resumes_to_the_same_ensemble(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    whole = TabularRegressor(**FOLDS).fit(frame, target="Sales")
    broken = TabularRegressor(**FOLDS)
    place = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        broken.fit(frame, target="Sales", checkpoints=place, callbacks=[_Leave()])
    assert sorted(path.name for path in place.iterdir()) == ["fold 1", "fold 2"]

    broken.fit(frame, target="Sales", resume=place)

    np.testing.assert_array_equal(broken.predict(frame), whole.predict(frame))


def test_places_of_checkpoints_are_looked_at_before_the_first_network_trains(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "fold 2" / "step-00000001").mkdir(parents=True)
    watch = _Leave()

    with pytest.raises(SaveError, match="fold 2 holds checkpoints of an earlier run"):
        TabularRegressor(**FOLDS).fit(
            frame, target="Sales", checkpoints=tmp_path, callbacks=[watch]
        )

    assert watch.networks == 0


def test_the_place_of_a_lone_network_is_looked_at_before_it_trains(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "step-00000001").mkdir()
    watch = _Leave()

    with pytest.raises(SaveError, match="holds checkpoints of an earlier run"):
        TabularRegressor(**QUICK).fit(
            frame, target="Sales", checkpoints=tmp_path, callbacks=[watch]
        )

    assert watch.networks == 0


@pytest.mark.parametrize("wrong", [0, 1.5, "many", True])
def test_a_wrong_number_of_folds_is_told(frame: pd.DataFrame, wrong: Any) -> None:
    with pytest.raises(ParameterError, match="n_folds"):
        TabularRegressor(**{**QUICK, "n_folds": wrong}).fit(frame, target="Sales")


def test_snapshots_and_folds_exclude_each_other(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**FOLDS, snapshots=True, schedule="sgdr")

    with pytest.raises(ParameterError, match="choose either"):
        model.fit(frame, target="Sales")


def test_the_time_limit_is_for_all_networks_together(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**{**FOLDS, "epochs": 100_000}, max_time=3).fit(frame, target="Sales")

    assert model.card_["seconds"] < 30
    assert all(history.stopped for history in model.histories_.values())


def test_intervals_come_from_all_rows_out_of_fold_and_temperatures_from_none(
    frame: pd.DataFrame,
) -> None:
    regressor = TabularRegressor(**FOLDS).fit(frame, target="Sales")
    classifier = TabularClassifier(**FOLDS).fit(frame, target="State")

    lower, upper = regressor.predict_interval(frame, coverage=0.8).T
    assert regressor.card_["calibration"]["rows"] == len(frame)
    assert ((lower <= regressor.predict(frame)) & (regressor.predict(frame) <= upper)).mean() > 0.9
    calibration = classifier.card_["calibration"]
    assert calibration["rows"] == len(frame)
    assert calibration["temperature"] == classifier.target_.temperature <= 1.0
    truth = np.searchsorted(classifier.classes_, frame["State"])
    found = classifier.out_of_fold_predictions_[np.arange(len(frame)), truth]
    assert -np.log(found).mean() == pytest.approx(calibration["log_loss"]["after"])
