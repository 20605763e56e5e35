"""Every estimator has the defaults that its documentation names."""

from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

from tabtext import (
    LanguageModel,
    TabTextClassifier,
    TabTextRegressor,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
    TextRegressor,
)
from tabtext.errors import ParameterError, TabTextError
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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"date_parts": "month"}, r"date_parts='month' must be a list of names.*\['month'\]"),
        ({"date_parts": None}, "date_parts=None must be a list of names"),
        ({"exclude": "second"}, r"exclude='second' must be a list of names.*\['second'\]"),
        ({"exclude": None}, "exclude=None must be a list of names"),
        ({"roles": "text"}, "roles='text' must be a mapping of columns to roles"),
        ({"min_count": 1.5}, "min_count=1.5 must be a whole number"),
        ({"fill_value": "0"}, "fill_value='0' must be a finite number"),
        ({"missing_indicators": None}, "missing_indicators=None must be True or False"),
        ({"embedding_widths": 8}, "embedding_widths=8 must be a mapping"),
        ({"embedding_widths": {"cinema": 0}}, r"embedding_widths\['cinema'\]=0 must be a whole"),
        ({"prune": 5}, "prune=5 must be a list of rules"),
        ({"dropout_scale": "1"}, "dropout_scale='1' must be a number"),
        ({"language": ["en"]}, r"language=\['en'\] must be a code"),
        ({"validation_fraction": "0.1"}, r"validation_fraction='0.1' must be a number in \[0, 1\)"),
        ({"monitor": None}, "monitor=None must be 'valid_loss' or the name of a metric"),
        ({"snapshots": None}, "snapshots=None must be True or False"),
        ({"verbose": "yes"}, "verbose='yes' must be 0"),
        ({"loss": ["mse"]}, "loss=.* is not one of mse, mae"),
        ({"quantile": None}, r"quantile=None must be a number in \(0, 1\)"),
        ({"y_range": 5}, "y_range=5 must be a pair of numbers"),
        ({"clip_predictions": "no"}, "clip_predictions='no' must be True or False"),
        ({"class_weight": 2}, "class_weight=2; use 'balanced'"),
        ({"class_weight": {"a": "2"}}, "class_weight=.* weights must be numbers"),
        ({"label_smoothing": None}, r"label_smoothing=None must be a number in \[0, 1\)"),
    ],
    ids=str,
)
def test_values_of_the_wrong_type_are_told_before_any_work(
    wrong: dict[str, Any], message: str
) -> None:
    kinds = (TabTextRegressor, TabTextClassifier, TabularRegressor, TabularClassifier)
    takers = [kind for kind in kinds if wrong.keys() <= kind().get_params(deep=False).keys()]

    assert takers
    for kind in takers:
        with pytest.raises(ParameterError, match=message):
            kind(**wrong, **_of_scratch(kind)).check_parameters()


@pytest.mark.parametrize("kind", [TabTextRegressor, TabTextClassifier])
def test_no_value_of_any_parameter_raises_an_error_of_its_own(
    kind: type[TrainingParameters],
) -> None:
    for name in kind().get_params(deep=False):
        for value in ("zzz", -1, 1.5, None, object(), float("nan"), [], {"a": 1}, True, ()):
            with suppress(TabTextError):
                kind(**_of_scratch(kind) | {name: value}).check_parameters()


def _of_scratch(kind: type[TrainingParameters]) -> dict[str, Any]:
    """What spares loading the language model that ships."""
    return {"language_model": None} if "language_model" in kind().get_params(deep=False) else {}


def test_language_models_have_no_batch_norm_and_go_text_by_text() -> None:
    LanguageModel(training={"micro_batch_size": 1}).check_parameters()
