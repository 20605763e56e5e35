"""Switches of tabular networks: saved, on the card, resumed bit for bit, and refused when wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tabtext
from tabtext.errors import ParameterError, TrainingInterrupted
from tabtext.estimators import TabularClassifier, TabularRegressor
from tests.estimators.conftest import QUICK
from tests.estimators.test_training_practices import InterruptAt

PRACTICES: list[dict[str, Any]] = [
    {"activation": "parametric_mish"},
    {"activation": "prelu"},
    {"spectral_norm": True},
    {"parametrization": "ntp"},
    {"feature_scales": True},
    {"one_hot_up_to": 3},
    {"dropout": 0.3, "dropout_schedule": "flat_cosine"},
    {"weight_decay": (0.0, 0.1, 0.02)},
]
SMALL = {**QUICK, "n_members": 3, "learning_rate": 0.02}


def name_of(practice: dict[str, Any]) -> str:
    return list(practice)[-1]


@pytest.mark.parametrize("practice", PRACTICES, ids=name_of)
@pytest.mark.parametrize("network", ["tabm", "mlp"])
def test_a_model_is_another_saved_whole_and_named_on_its_card(
    frame: pd.DataFrame, tmp_path: Path, network: Any, practice: dict[str, Any]
) -> None:
    plain = TabularRegressor(**SMALL, network=network).fit(frame, target="Sales")
    model = TabularRegressor(**{**SMALL, "network": network, **practice})
    model.fit(frame, target="Sales")

    model.save(tmp_path / "model")
    loaded = tabtext.load(tmp_path / "model")

    assert not np.array_equal(model.predict(frame), plain.predict(frame))
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    name = name_of(practice)
    given = practice[name]
    assert loaded.card_["recipe"][name] == (list(given) if isinstance(given, tuple) else given)
    assert loaded.get_params()[name] == model.get_params()[name]


@pytest.mark.parametrize("practice", PRACTICES, ids=name_of)
@pytest.mark.parametrize("averaging", ["ema", None])
def test_an_interrupted_fit_ends_as_if_it_never_was(
    frame: pd.DataFrame, tmp_path: Path, averaging: Any, practice: dict[str, Any]
) -> None:
    def model() -> TabularRegressor:
        return TabularRegressor(**{**SMALL, "averaging": averaging, **practice})

    undisturbed = model().fit(frame, target="Sales")
    with pytest.raises(TrainingInterrupted):
        model().fit(frame, target="Sales", checkpoints=tmp_path, callbacks=[InterruptAt(8)])
    resumed = model().fit(frame, target="Sales", resume=tmp_path)

    np.testing.assert_array_equal(resumed.predict(frame), undisturbed.predict(frame))


def test_what_is_off_is_not_on_the_card(regressor: TabularRegressor) -> None:
    off = {"one_hot_up_to", "feature_scales", "spectral_norm"}

    assert not off & set(regressor.card_["recipe"])


@pytest.mark.parametrize("network", ["tabm", "mlp"])
def test_a_model_saved_before_there_were_switches_is_loaded(
    frame: pd.DataFrame, tmp_path: Path, network: Any
) -> None:
    model = TabularRegressor(**SMALL, network=network).fit(frame, target="Sales")
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    shape = config["model"]
    for name in ("activation", "parametrization", "spectral_norm"):
        del shape[name], config["parameters"][name]
    encoder = shape.get("encoder", shape)
    for name in ("one_hot_up_to", "feature_scales"):
        del encoder[name], config["parameters"][name]
    del config["parameters"]["dropout_schedule"]
    path.write_text(json.dumps(config))

    loaded = tabtext.load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


def test_small_columns_have_indicators_and_others_vectors(frame: pd.DataFrame) -> None:
    model = TabularClassifier(**SMALL, one_hot_up_to=3, exclude=["Sales"])
    model.fit(frame.assign(Shop=np.arange(len(frame)) % 20), target="Promo")
    shown = frame.assign(Shop=3)
    unknown = frame.assign(Shop=3, State="unheard of")

    states = model.embeddings("State")

    assert states.index.tolist() == ["(missing)", "(unseen)", "BY", "HE", "NW"]
    np.testing.assert_array_equal(states.to_numpy(), np.eye(5))
    assert np.isfinite(model.predict_proba(unknown)).all()
    assert not np.array_equal(model.predict_proba(unknown), model.predict_proba(shown))


def test_a_table_of_small_columns_alone_is_learned(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = TabularRegressor(**{**SMALL, "epochs": 10}, one_hot_up_to=9)
    model.fit(frame[["State", "Promo", "Sales"]], target="Sales")

    model.save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert model.predict(frame).std() > 0.5


@pytest.mark.parametrize("n_rows", [4, 12])
def test_few_rows_are_enough(frame: pd.DataFrame, n_rows: int) -> None:
    switches = {name: value for practice in PRACTICES for name, value in practice.items()}
    model = TabularRegressor(**{**SMALL, **switches, "validation_fraction": 0.0})

    few = frame.drop(columns="Distance").head(n_rows)  # whose gaps are warned of

    model.fit(few, target="Sales", sample_weight=np.arange(1, n_rows + 1))

    assert np.isfinite(model.predict(frame)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"activation": "swish"}, "activation='swish' is not one of relu"),
        ({"parametrization": "npt"}, "parametrization='npt' .*did you mean 'ntp'"),
        ({"spectral_norm": "yes"}, "spectral_norm='yes' must be True or False"),
        ({"feature_scales": 1.0}, "feature_scales=1.0 must be True or False"),
        ({"one_hot_up_to": -1}, "one_hot_up_to=-1 must be a whole number of at least 0"),
        ({"dropout_schedule": "cosine"}, "dropout_schedule='cosine' .*constant, flat_cosine"),
        ({"weight_decay": (0.1, -0.1)}, "weight_decay="),
        ({"weight_decay": (0.1, 0.2)}, "2 values for 3 layer groups"),
    ],
    ids=str,
)
def test_wrong_values_are_refused(frame: pd.DataFrame, wrong: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TabularRegressor(**{**SMALL, **wrong}).fit(frame, target="Sales")
