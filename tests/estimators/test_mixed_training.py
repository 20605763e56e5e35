"""How estimators of tables with texts train: frozen first, then thawed; interrupted and resumed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tabtext import LanguageModel, TabTextRegressor
from tabtext.datasets import load_snippets
from tabtext.training.callbacks import Callback
from tabtext.training.run import Run
from tests.estimators.test_mixed import QUICK, films

UNFROZEN = QUICK | {"unfrozen_epochs": 3, "epochs": 1}


class Watch(Callback):
    """Notes at every epoch's end which parameters have moved since the last."""

    def __init__(self) -> None:
        self.moved: list[set[str]] = []
        self._before: dict[str, torch.Tensor] = {}

    def fit_started(self, run: Run) -> None:
        self._before = self._values(run)

    def validation_started(self, run: Run) -> None:
        now = self._values(run)
        changed = {name for name, value in now.items() if not value.equal(self._before[name])}
        self.moved.append({self._part(name) for name in changed})
        self._before = now

    @staticmethod
    def _values(run: Run) -> dict[str, torch.Tensor]:
        return {name: p.detach().clone() for name, p in run.model.named_parameters()}

    @staticmethod
    def _part(name: str) -> str:
        names = {"encoders.0.embedding": "words", "encoders.0.layers.0": "first layer"}
        names |= {"encoders.0.layers.1": "last layer"}
        return next((part for begin, part in names.items() if name.startswith(begin)), "fused")


class Stop(Callback):
    """Ends the process's work in the middle of an epoch, as a crash would."""

    def __init__(self, *, model: str, step: int) -> None:
        self.model, self.step = model, step

    def step_ended(self, run: Run) -> None:
        if type(run.model).__name__ == self.model and run.step == self.step:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return films()


def weights_of(model: TabTextRegressor) -> dict[str, torch.Tensor]:
    return model.model_.state_dict()


def test_encoders_thaw_one_layer_after_the_other_while_the_rest_learns(
    frame: pd.DataFrame,
) -> None:
    watch = Watch()

    TabTextRegressor(**UNFROZEN).fit(frame, target="rating", callbacks=[watch])

    assert watch.moved == [
        {"fused"},  # the stage in which texts were read once
        {"fused", "last layer"},
        {"fused", "last layer", "first layer"},
        {"fused", "last layer", "first layer", "words"},
    ]


def test_all_thaws_at_once_if_that_is_asked_for(frame: pd.DataFrame) -> None:
    watch = Watch()

    TabTextRegressor(**UNFROZEN | {"unfrozen_epochs": 1}, unfreezing="joint").fit(
        frame, target="rating", callbacks=[watch]
    )

    assert watch.moved[1] == {"fused", "last layer", "first layer", "words"}


def test_earlier_groups_of_the_encoder_learn_more_slowly_and_the_rest_at_the_full_rate() -> None:
    phases = TabTextRegressor(**UNFROZEN).unfrozen_phases(3, 6)

    assert [phase.freeze_to for phase in phases] == [2, 1, 0]
    rates = phases[0].learning_rate
    assert isinstance(rates, tuple)
    assert rates[3:] == (0.001, 0.001, 0.001)
    assert rates[0] < rates[1] < rates[2] < 0.001


def test_a_frozen_encoder_is_that_of_the_language_model(frame: pd.DataFrame) -> None:
    settings = {"embedding_width": 16, "hidden_width": 24, "verbose": 0, "epochs": 1}
    origin = LanguageModel(**settings, initial_vectors="random")
    origin.fit(load_snippets("movies")["text"][:300])

    model = TabTextRegressor(**QUICK | {"language_model": origin, "unfrozen_epochs": "auto"})
    model.fit(frame, target="rating")

    encoder = model.model_.encoder_of(0)
    known = len(origin.preprocessor_.vocabulary_)
    of_origin = origin.networks_["forward"].encoder
    assert torch.equal(encoder.embedding.weight[:known], of_origin.embedding.weight)
    for own, given in zip(encoder.layers.parameters(), of_origin.layers.parameters(), strict=True):
        assert torch.equal(own, given)
    assert model.card_["language_model"]["rows"] == origin.card_["rows"]
    assert list(model.histories_) == [""]


def test_without_a_language_model_the_encoder_learns(frame: pd.DataFrame) -> None:
    model = TabTextRegressor(**QUICK | {"unfrozen_epochs": "auto", "epochs": 1})

    model.fit(frame, target="rating")

    assert list(model.histories_) == ["", "unfrozen"]
    assert len(model.histories_["unfrozen"].epochs) == 4


def test_what_thawing_spoiled_is_not_kept(frame: pd.DataFrame) -> None:
    frozen = TabTextRegressor(**UNFROZEN | {"unfrozen_epochs": 0}).fit(frame, target="rating")
    thawed = TabTextRegressor(**UNFROZEN).fit(frame, target="rating")

    worse = thawed.histories_["unfrozen"], frozen.history_
    best = [min(epoch.valid_loss for epoch in history.epochs) for history in worse]
    if best[0] < best[1]:
        assert thawed.card_["metrics"]["loss"] == pytest.approx(best[0])
    else:
        assert np.array_equal(thawed.predict(frame), frozen.predict(frame))
    assert thawed.card_["metrics"]["loss"] <= frozen.card_["metrics"]["loss"]


@pytest.mark.parametrize("monitor", ["valid_loss", "rmse"])
def test_without_validation_rows_what_learned_last_is_kept(
    frame: pd.DataFrame, monitor: str
) -> None:
    settings = UNFROZEN | {"unfrozen_epochs": 1, "validation_fraction": 0.0, "monitor": monitor}

    model = TabTextRegressor(**settings).fit(frame[:100], target="rating")

    untouched = TabTextRegressor(**settings | {"unfrozen_epochs": 0})
    untouched.fit(frame[:100], target="rating")
    assert not np.array_equal(model.predict(frame), untouched.predict(frame))


def test_weight_decay_by_layer_group_is_that_of_the_other_half_and_its_first_the_encoders(
    frame: pd.DataFrame,
) -> None:
    class Note(Callback):
        seen: tuple[float, ...] = ()

        def fit_started(self, run: Run) -> None:
            self.seen = tuple(run.options.weight_decay)

    note = Note()
    settings = UNFROZEN | {"unfrozen_epochs": 1, "weight_decay": (0.3, 0.2, 0.1)}

    TabTextRegressor(**settings).fit(frame, target="rating", callbacks=[note])

    assert note.seen == (0.3, 0.3, 0.3, 0.3, 0.2, 0.1)


def test_own_encoders_read_each_column(frame: pd.DataFrame) -> None:
    settings = UNFROZEN | {"unfrozen_epochs": 1}
    model = TabTextRegressor(**settings, own_encoders=True).fit(frame, target="rating")

    assert len(model.model_.encoders) == 2
    assert model.predict(frame[:3]).shape == (3,)


@pytest.mark.parametrize(("part", "step"), [("FusedNetwork", 2), ("MixedNetwork", 5)])
def test_an_interrupted_fit_goes_on_to_the_same_weights(
    frame: pd.DataFrame, tmp_path: Path, part: str, step: int
) -> None:
    def fit(**arguments: Any) -> TabTextRegressor:
        return TabTextRegressor(**UNFROZEN).fit(frame, target="rating", **arguments)

    with pytest.raises(KeyboardInterrupt):
        fit(checkpoints=tmp_path / "run", callbacks=[Stop(model=part, step=step)])
    resumed = fit(checkpoints=tmp_path / "run", resume=True)

    whole = weights_of(fit())
    for name, value in weights_of(resumed).items():
        assert torch.equal(value, whole[name]), name


def test_the_rate_finder_tries_the_network_that_would_be_fitted(frame: pd.DataFrame) -> None:
    curve = TabTextRegressor(**QUICK).find_learning_rate(frame, target="rating")

    assert len(curve.rates) == len(curve.losses) > 10
