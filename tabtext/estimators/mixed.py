"""``TabTextClassifier`` and ``TabTextRegressor``: from a table that holds texts to a model."""

from dataclasses import dataclass

from tabtext.estimators.calibrated_tasks import CalibratedClassification, IntervalRegression
from tabtext.estimators.mixed_base import TabTextEstimator
from tabtext.mixed.rows import MixedRows

__all__ = ["TabTextClassifier", "TabTextRegressor"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabTextRegressor(TabTextEstimator, IntervalRegression[MixedRows]):
    """Predict one or several quantities from a table with numbers, categories, dates and texts.

    The texts are read by an encoder, by default that of the language model that ships, the other
    columns become vectors as in ``TabularRegressor``, and an ensemble in one network judges both.

    Parameters
    ----------
    **parameters
        Those of ``mixed_parameters.MixedParameters``, ``tasks.RegressionTask``,
        ``tabular_parameters.TabularParameters``, ``text_parameters.TextParameters`` and
        ``training_parameters.TrainingParameters``, all in ``tabtext.estimators``.

    Examples
    --------
    >>> import pandas as pd
    >>> from tabtext.datasets import load_snippets
    >>> movies = load_snippets("movies").sample(300, random_state=0)
    >>> movies["words"] = movies["text"].str.split().str.len()
    >>> model = TabTextRegressor(
    ...     language_model=None, epochs=1, unfrozen_epochs=1, hidden=(16,), verbose=0
    ... )
    >>> model = model.fit(movies[["text", "words", "rating"]], target="rating")
    >>> model.predict(pd.DataFrame({"text": ["A masterpiece.", None], "words": [2, 0]})).shape
    (2,)
    """


@dataclass(kw_only=True, eq=False, repr=False)
class TabTextClassifier(TabTextEstimator, CalibratedClassification[MixedRows]):
    """Predict one of several classes, or several labels, from a table that holds texts.

    Parameters
    ----------
    **parameters
        Those of ``mixed_parameters.MixedParameters``,
        ``calibrated_tasks.CalibratedClassification``, ``tasks.ClassificationTask``,
        ``tabular_parameters.TabularParameters``, ``text_parameters.TextParameters`` and
        ``training_parameters.TrainingParameters``, all in ``tabtext.estimators``.

    Examples
    --------
    >>> from tabtext.datasets import load_snippets
    >>> movies = load_snippets("movies").sample(300, random_state=0)
    >>> movies["words"] = movies["text"].str.split().str.len()
    >>> praised = movies.pop("rating") > 0
    >>> model = TabTextClassifier(
    ...     language_model=None, epochs=1, unfrozen_epochs=1, hidden=(16,), verbose=0
    ... )
    >>> model.fit(movies[["text", "words"]], praised).predict_proba(movies.head(3)).shape
    (3, 2)
    """
