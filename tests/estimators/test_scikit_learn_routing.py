"""Metadata routing: weights arrive at the fit, through whatever stands around the estimator."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from tabtext import EmbeddingTransformer, TabularClassifier, TabularPreprocessor, TabularRegressor
from tabtext.training import Callback

LEARNS = {
    "network": "mlp",
    "hidden": (8,),
    "numeric_embedding": "none",
    "averaging": None,
    "epochs": 15,
    "batch_size": 32,
    "learning_rate": 0.05,
    "verbose": 0,
}
GENERATOR = np.random.default_rng(0)
N_ROWS = 200
# Rows of two kinds, which no column tells apart: the mean that is learned says which were weighed.
COLUMNS = GENERATOR.normal(size=(N_ROWS, 2))
TARGET = np.tile([0.0, 10.0], N_ROWS // 2)
WEIGHT = np.where(TARGET > 0, 1.0, 1e-6)


@pytest.fixture(autouse=True)
def _routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weighted() -> Any:
    return TabularRegressor(**LEARNS).set_fit_request(sample_weight=True)


def test_a_pipeline_hands_on_weights() -> None:
    model = make_pipeline(TabularPreprocessor(), weighted())

    with_weights = model.fit(COLUMNS, TARGET, sample_weight=WEIGHT).predict(COLUMNS).mean()
    without = model.fit(COLUMNS, TARGET).predict(COLUMNS).mean()

    assert with_weights > 9
    assert 3 < without < 7


def test_a_grid_search_hands_on_the_weights_of_each_fold() -> None:
    model = weighted().set_score_request(sample_weight=False)

    search = GridSearchCV(model, {"epochs": [12, 15]}, cv=2).fit(
        COLUMNS, TARGET, sample_weight=WEIGHT
    )

    assert search.best_estimator_.predict(COLUMNS).mean() > 9


def test_cross_validation_weighs_fits_and_scores() -> None:
    model = weighted().set_score_request(sample_weight=True)

    found = cross_validate(
        model, COLUMNS, TARGET, cv=2, params={"sample_weight": WEIGHT}, return_estimator=True
    )
    plain = cross_validate(weighted().set_score_request(sample_weight=False), COLUMNS, TARGET, cv=2)

    assert all(fitted.predict(COLUMNS).mean() > 9 for fitted in found["estimator"])
    assert (found["test_score"] != plain["test_score"]).all()


def test_classifiers_get_weights() -> None:
    model = TabularClassifier(**LEARNS).set_fit_request(sample_weight=True)

    fitted = make_pipeline(model).fit(COLUMNS, TARGET > 0, sample_weight=WEIGHT)

    assert fitted.predict_proba(COLUMNS)[:, 1].mean() > 0.7


def test_a_transformer_in_a_pipeline_gets_weights() -> None:
    columns = np.c_[COLUMNS, np.arange(N_ROWS) % 3].astype(object)
    columns[:, 2] = columns[:, 2].astype(int).astype(str)
    transformer = EmbeddingTransformer(estimator=TabularRegressor(**LEARNS), n_folds=1)
    transformer.set_fit_request(sample_weight=True)
    model = make_pipeline(
        transformer, TabularRegressor(**LEARNS).set_fit_request(sample_weight=False)
    )

    model.fit(columns, TARGET, sample_weight=WEIGHT)

    assert model[0].estimator_.predict(columns).mean() > 9
    assert 3 < model.predict(columns).mean() < 7


def test_weights_that_nobody_asked_for_are_an_error() -> None:
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(TabularRegressor(**LEARNS)).fit(COLUMNS, TARGET, sample_weight=WEIGHT)


def test_validation_and_callbacks_are_handed_on_whole() -> None:
    class Counter(Callback):
        epochs = 0

        def after_epoch(self, *arguments: Any) -> None:
            Counter.epochs += 1

    model = TabularRegressor(**LEARNS).set_fit_request(validation=True, callbacks=True)

    fitted = make_pipeline(model).fit(
        COLUMNS, TARGET, validation=(COLUMNS[:20], TARGET[:20]), callbacks=[Counter()]
    )

    assert fitted[-1].card_["rows"]["valid"] == 20


def test_what_may_be_routed_is_what_the_methods_take() -> None:
    requests = get_routing_for_object(TabularRegressor())

    assert set(requests.fit.requests) == {
        "sample_weight", "target", "validation", "callbacks", "checkpoints", "resume",
    }  # fmt: skip
    assert set(requests.score.requests) == {"sample_weight"}
    assert set(requests.predict.requests) == {"augmentation"}
