"""Every estimator has the defaults that its documentation names."""

from dataclasses import fields

import pytest

from tabtext import (
    LanguageModel,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
    TextRegressor,
)
from tabtext.errors import ParameterError
from tabtext.estimators.language_model_steps import LanguageModelSteps
from tabtext.estimators.tabular_parameters import TabularParameters
from tabtext.estimators.text_parameters import TextParameters
from tabtext.estimators.training_parameters import TrainingParameters


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        (LanguageModel, LanguageModelSteps),
        (TabularClassifier, TabularParameters),
        (TabularRegressor, TabularParameters),
        (TextClassifier, TextParameters),
        (TextRegressor, TextParameters),
    ],
)
def test_defaults_are_those_of_the_nearest_parameters(
    estimator: type[TrainingParameters], parameters: type[TrainingParameters]
) -> None:
    """Dataclasses take defaults from the first base that has the field, however far it is."""
    given = {field.name: field.default for field in fields(estimator)}
    for field in fields(parameters):
        assert given[field.name] == field.default, field.name


@pytest.mark.parametrize("estimator", [TabularClassifier, TabularRegressor])
@pytest.mark.parametrize("name", ["dropout", "embedding_dropout", "unseen_rate"])
@pytest.mark.parametrize("value", ["x", -0.1, 1.0, None])
def test_rates_that_cannot_be_are_told_before_any_work(
    estimator: type[TrainingParameters], name: str, value: object
) -> None:
    with pytest.raises(ParameterError, match=rf"^{name}=.* must be a number in \[0, 1\)"):
        estimator(**{name: value}).check_parameters()


@pytest.mark.parametrize("estimator", [TabularRegressor, TextClassifier])
@pytest.mark.parametrize("rows", [1, 2])
def test_parts_of_a_batch_that_may_be_single_rows_are_refused(
    estimator: type[TrainingParameters], rows: int
) -> None:
    with pytest.raises(ParameterError, match="batch norm needs two; take at least 3"):
        estimator(training={"micro_batch_size": rows}).check_parameters()

    estimator(training={"micro_batch_size": 3}).check_parameters()


def test_language_models_have_no_batch_norm_and_go_text_by_text() -> None:
    LanguageModel(training={"micro_batch_size": 1}).check_parameters()
