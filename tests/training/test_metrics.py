"""Metrics against scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics as sk

from tabtext.training.metrics import measure, rmspe

GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.random(200).astype(np.float32)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_regression_metrics_equal_scikit_learns(weight: np.ndarray | None) -> None:
    truth, predicted = GENERATOR.normal(size=(2, 200, 1))

    found = measure("regression", truth, predicted, weight)

    assert found == {
        "rmse": sk.root_mean_squared_error(truth, predicted, sample_weight=weight),
        "mae": sk.mean_absolute_error(truth, predicted, sample_weight=weight),
        "r2": sk.r2_score(truth, predicted, sample_weight=weight),
    }


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_binary_metrics_equal_scikit_learns(weight: np.ndarray | None) -> None:
    truth = GENERATOR.integers(0, 2, 200)
    yes = GENERATOR.random(200).round(1)  # rounded: ties
    probabilities = np.stack([1 - yes, yes], axis=1)

    found = measure("classification", truth, probabilities, weight)

    labels = probabilities.argmax(axis=1)
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, labels, sample_weight=weight),
            "roc_auc": sk.roc_auc_score(truth, yes, sample_weight=weight),
            "log_loss": sk.log_loss(truth, probabilities, sample_weight=weight),
        }
    )


def test_multiclass_area_is_the_mean_of_one_against_the_rest() -> None:
    truth = GENERATOR.integers(0, 4, 200)
    probabilities = GENERATOR.dirichlet(np.ones(4), 200)

    found = measure("classification", truth, probabilities)

    expected = sk.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert found["roc_auc"] == pytest.approx(expected)


def test_multilabel_metrics_equal_scikit_learns() -> None:
    truth = GENERATOR.integers(0, 2, (200, 3)).astype(np.float32)
    probabilities = GENERATOR.random((200, 3))

    found = measure("multilabel", truth, probabilities)

    losses = [sk.log_loss(truth[:, k], probabilities[:, k]) for k in range(3)]
    areas = sk.roc_auc_score(truth, probabilities, average="macro")
    assert found["log_loss"] == pytest.approx(np.mean(losses))
    assert found["roc_auc"] == pytest.approx(areas)
    assert found["accuracy"] == pytest.approx(np.mean((probabilities >= 0.5) == (truth == 1)))


def test_what_cannot_be_measured_is_nan_and_not_an_error() -> None:
    one_class = measure("classification", np.zeros(3, int), np.full((3, 2), 0.5))
    one_row = measure("regression", np.ones((1, 1)), np.zeros((1, 1)))

    assert np.isnan(one_class["roc_auc"])
    assert np.isnan(one_row["r2"])
    assert one_row["rmse"] == 1.0


def test_rmspe_leaves_out_zeros_and_counts_weights() -> None:
    truth, predicted = np.array([100.0, 0.0, 50.0]), np.array([90.0, 7.0, 60.0])

    assert rmspe(truth, predicted) == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2))
    weighted = rmspe(truth, predicted, np.array([3.0, 9.0, 1.0], np.float32))
    assert weighted == pytest.approx(np.sqrt((3 * 0.1**2 + 0.2**2) / 4))
    assert np.isnan(rmspe(np.zeros(2), np.ones(2)))
