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
