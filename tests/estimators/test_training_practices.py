"""The practices of training, as users of the estimators meet them."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import tabtext
from tabtext.errors import DivergenceError, ParameterError, SaveError, TrainingInterrupted
from tabtext.estimators import Augmentation, TabularClassifier, TabularRegressor
from tabtext.training import Callback, CSVLogger, Phase, gradual_unfreezing
from tabtext.training.run import Run
from tests.estimators.conftest import QUICK, shops

LONGER = {**QUICK, "epochs": 7, "learning_rate": 0.01}


class InterruptAt(Callback):
    """Send this process a signal after some steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def step_ended(self, run: Run) -> None:
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def noisy_wave(n_rows: int, seed: int) -> pd.DataFrame:
    """A sine of one number, under so much noise that a network learns the noise as well."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n_rows)
    return pd.DataFrame({"x": x, "y": np.sin(2 * x) + generator.normal(0, 0.7, n_rows)})


def test_restarts_without_a_number_of_epochs_end_with_a_whole_cycle(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**{**QUICK, "schedule": "sgdr_doubling", "epochs": "auto"})

    model.fit(frame, target="Sales")

    assert len(model.history_.epochs) in (31, 63)
    assert model.history_.step_learning_rates[0] == max(model.history_.step_learning_rates)


def test_predictions_are_the_mean_of_the_snapshots(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**LONGER, schedule="sgdr_doubling", snapshots=True)
    model.fit(frame, target="Sales")

    single = []
    for weights in model.snapshots_:
        alone = clone(model)
        alone.__dict__.update({k: v for k, v in vars(model).items() if k.endswith("_")})
        alone.snapshots_ = [weights]
        single.append(alone.predict(frame))

    assert len(single) == 3
    np.testing.assert_allclose(model.predict(frame), np.mean(single, axis=0), rtol=1e-5)
    assert np.abs(single[0] - single[-1]).max() > 1e-3


def test_probabilities_of_snapshots_are_averaged_not_their_logits(frame: pd.DataFrame) -> None:
    model = TabularClassifier(**LONGER, schedule="sgdr_doubling", snapshots=True)
    model.fit(frame, target="State")
    ensemble, snapshots = model.predict_proba(frame), model.snapshots_

    single = []
    for weights in snapshots:
        model.snapshots_ = [weights]
        single.append(model.predict_proba(frame))

    np.testing.assert_allclose(ensemble, np.mean(single, axis=0), rtol=1e-6)
    np.testing.assert_allclose(ensemble.sum(axis=1), 1)


def test_snapshots_are_saved_with_the_model(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = TabularRegressor(**LONGER, schedule="sgdr_doubling", snapshots=True)
    model.fit(frame, target="Sales").save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")

    assert len(loaded.snapshots_) == 3
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_an_average_gives_another_model_and_learns(frame: pd.DataFrame, averaging: Any) -> None:
    plain = TabularRegressor(**LONGER, averaging=None).fit(frame, target="Sales")
    averaged = TabularRegressor(**LONGER, averaging=averaging).fit(frame, target="Sales")

    assert averaged.history_.step_losses == plain.history_.step_losses
    assert np.abs(averaged.predict(frame) - plain.predict(frame)).max() > 1e-4
    assert averaged.evaluate(shops(300, seed=2))["r2"] > 0.5


def test_label_smoothing_makes_predictions_less_certain(frame: pd.DataFrame) -> None:
    longer = {**LONGER, "epochs": 20}
    plain = TabularClassifier(**longer).fit(frame, target="State")
    smooth = TabularClassifier(**longer, label_smoothing=0.3).fit(frame, target="State")

    certainty = [model.predict_proba(frame).max(axis=1).mean() for model in (plain, smooth)]

    assert certainty[1] < certainty[0] - 0.02


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_the_quantile_loss_predicts_that_quantile(frame: pd.DataFrame, quantile: float) -> None:
    model = TabularRegressor(**{**LONGER, "epochs": 30}, loss="quantile", quantile=quantile)
    model.fit(shops(900), target="Sales")
    fresh = shops(1500, seed=3)

    below = (fresh["Sales"].to_numpy() < model.predict(fresh)).mean()

    assert below == pytest.approx(quantile, abs=0.12)


def test_augmentation_smooths_what_the_network_overfitted() -> None:
    overfitting = {"epochs": 150, "batch_size": 32, "dropout": 0.0, "weight_decay": 0.0}
    model = TabularRegressor(
        **{**LONGER, **overfitting, "numeric_embedding": "periodic", "validation_fraction": 0.0}
    )
    model.fit(noisy_wave(120, seed=1), target="y")
    fresh = noisy_wave(2000, seed=99)

    augmentation = Augmentation(copies=32, noise=0.2, mask=0.0)
    errors = [
        np.square(model.predict(fresh, augmentation=chosen) - fresh["y"].to_numpy()).mean()
        for chosen in (None, augmentation)
    ]

    assert errors[1] < 0.995 * errors[0]


def test_augmentation_leaves_indicators_alone_and_is_repeatable(
    classifier: TabularClassifier, frame: pd.DataFrame
) -> None:
    encoded = classifier.preprocessor_.encode(frame)
    is_number = classifier.preprocessor_.is_number()

    first, second = list(Augmentation(copies=2, noise=0.5).copies_of(encoded, is_number))

    assert not is_number.all()
    np.testing.assert_array_equal(first.continuous, encoded.continuous)
    np.testing.assert_array_equal(
        second.continuous[:, ~is_number], encoded.continuous[:, ~is_number]
    )
    assert (second.continuous[:, is_number] != encoded.continuous[:, is_number]).all()
    changed = second.categorical != encoded.categorical
    assert set(second.categorical[changed]) == {1}
    once, again = (classifier.predict_proba(frame, augmentation=Augmentation()) for _ in range(2))
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"noise": -1.0}, {"mask": 1.0}])
def test_augmentation_refuses_what_makes_no_copies(wrong: dict[str, Any]) -> None:
    (name,) = wrong

    with pytest.raises(ParameterError, match=name):
        Augmentation(**wrong)


def test_a_recipe_reaches_the_network_and_survives_saving(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    recipe = gradual_unfreezing(3, learning_rate=0.01)
    settings = {**QUICK, "epochs": "auto", "training": {"phases": recipe}}
    model = TabularRegressor(**settings).fit(frame, target="Sales")

    model.save(tmp_path / "model")
    loaded = tabtext.load(tmp_path / "model")

    assert len(model.history_.epochs) == 3
    assert loaded.get_params()["training"]["phases"] == recipe


def test_a_schedule_of_ones_own_is_followed_and_saved_by_name(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    def falling(progress: float) -> float:
        return 1.0 - 0.5 * progress

    model = TabularRegressor(**QUICK, learning_rate=0.01, schedule=falling)
    model.fit(frame, target="Sales").save(tmp_path / "model")

    rates = model.history_.step_learning_rates
    assert [rates[0], rates[-1]] == pytest.approx([0.01, 0.005])
    loaded = tabtext.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    with pytest.raises(ParameterError, match="'falling' was a function of your own"):
        clone(loaded).fit(frame, target="Sales")


def test_a_phase_with_a_schedule_of_ones_own_can_be_loaded(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    phases = (Phase(epochs=1, schedule=lambda progress: 0.5), Phase(epochs=1))
    settings = {**QUICK, "epochs": "auto", "training": {"phases": phases}}
    model = TabularRegressor(**settings).fit(frame, target="Sales")
    model.save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": "mae"},
        {"dropout": 0.5},
        {"y_range": (-100.0, 100.0)},
        {"target_transform": "none"},
        {"schedule": lambda progress: 0.0},
        {"missing": "mean"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_run_is_not_continued_with_other_settings(
    frame: pd.DataFrame, tmp_path: Path, changed: dict[str, Any]
) -> None:
    def model(**settings: Any) -> TabularRegressor:
        return TabularRegressor(**{**QUICK, "schedule": lambda progress: 1.0, **settings})

    with pytest.raises(TrainingInterrupted):
        model().fit(frame, target="Sales", checkpoints=tmp_path, callbacks=[InterruptAt(4)])

    with pytest.raises(ParameterError, match="of another run"):
        model(**changed).fit(frame, target="Sales", resume=tmp_path)


def test_a_fit_that_fails_leaves_no_mixture_with_an_earlier_one(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK).fit(frame, target="Sales")

    model.set_params(learning_rate=1e30, clip_norm=None)
    with pytest.raises(DivergenceError):
        model.fit(frame, target="Sales")

    with pytest.raises(NotFittedError):
        model.predict(frame)


def test_numbers_of_numpy_are_numbers(frame: pd.DataFrame, tmp_path: Path) -> None:
    settings = {
        **QUICK,
        "epochs": np.int64(2),
        "batch_size": np.int32(64),
        "learning_rate": np.float32(1e-2),
        "training": {"cycle_len": np.int64(2), "betas": (np.float32(0.5), 0.99)},
    }
    model = TabularRegressor(**settings).fit(frame, target="Sales")

    model.save(tmp_path / "model")

    assert tabtext.load(tmp_path / "model").card_["recipe"]["betas"] == [0.5, 0.99]


def test_epochs_beside_phases_are_refused(frame: pd.DataFrame) -> None:
    settings = {**QUICK, "epochs": 9, "training": {"phases": (Phase(epochs=1),)}}

    with pytest.raises(ParameterError, match="epochs=9 has no meaning with phases"):
        TabularRegressor(**settings).fit(frame, target="Sales")


def test_two_places_for_checkpoints_are_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="both name a directory"):
        TabularRegressor(**QUICK).fit(
            frame, target="Sales", checkpoints=tmp_path / "a", resume=tmp_path / "b"
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimiser": "sgd"}, "did you mean 'optimizer'"),
        ({"epochs": 3}, "set epochs there"),
        ({"seed": 3}, "set random_state there"),
    ],
)
def test_training_options_that_are_none_are_named(
    frame: pd.DataFrame, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        TabularRegressor(**QUICK, training=given).fit(frame, target="Sales")


def test_rates_of_layer_groups_must_fit_the_network(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK, learning_rate=(1e-3, 1e-3, 1e-2, 1e-2))

    with pytest.raises(ParameterError, match="4 rates for 3 layer groups"):
        model.fit(frame, target="Sales")


def test_a_sweep_leaves_the_estimator_and_a_later_fit_as_they_were(frame: pd.DataFrame) -> None:
    untouched = TabularRegressor(**QUICK).fit(frame, target="Sales")
    model = TabularRegressor(**QUICK)

    curve = model.find_learning_rate(frame, target="Sales")

    assert not hasattr(model, "model_")
    assert 1e-5 < curve.steep < 1
    np.testing.assert_array_equal(
        model.fit(frame, target="Sales").predict(frame), untouched.predict(frame)
    )


def test_callbacks_of_fit_are_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = TabularRegressor(**QUICK)

    model.fit(frame, target="Sales", callbacks=[CSVLogger(tmp_path / "log.csv")])

    logged = pd.read_csv(tmp_path / "log.csv")
    np.testing.assert_allclose(logged["rmse"], model.history_.to_frame()["rmse"])


def test_an_interrupted_fit_resumes_to_the_same_model(frame: pd.DataFrame, tmp_path: Path) -> None:
    undisturbed = TabularRegressor(**QUICK).fit(frame, target="Sales")
    place = tmp_path / "checkpoints"
    with pytest.raises(TrainingInterrupted, match="resume=True"):
        TabularRegressor(**QUICK).fit(
            frame, target="Sales", checkpoints=place, callbacks=[InterruptAt(8)]
        )

    resumed = TabularRegressor(**QUICK).fit(frame, target="Sales", resume=place)

    np.testing.assert_array_equal(resumed.predict(frame), undisturbed.predict(frame))
    assert resumed.history_.step_losses == undisturbed.history_.step_losses


def test_checkpoints_of_another_run_are_not_overwritten_nor_continued(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    TabularRegressor(**QUICK).fit(frame, target="Sales", checkpoints=tmp_path)

    with pytest.raises(SaveError, match="resume=True"):
        TabularRegressor(**QUICK).fit(frame, target="Sales", checkpoints=tmp_path)
    with pytest.raises(ParameterError, match="weight_decay"):
        TabularRegressor(**QUICK, weight_decay=0.5).fit(frame, target="Sales", resume=tmp_path)
    with pytest.raises(ParameterError, match="data"):
        TabularRegressor(**QUICK).fit(frame.head(300), target="Sales", resume=tmp_path)


def test_resuming_needs_a_place_to_resume_from(frame: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="checkpoints=DIRECTORY"):
        TabularRegressor(**QUICK).fit(frame, target="Sales", resume=True)
