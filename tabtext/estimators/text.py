"""``TextClassifier`` and ``TextRegressor``: from texts to a model in one call."""

from dataclasses import dataclass

from tabtext.estimators.tasks import ClassificationTask, RegressionTask
from tabtext.estimators.text_base import TextEstimator
from tabtext.text.documents import Documents

__all__ = ["TextClassifier", "TextRegressor"]


@dataclass(kw_only=True, eq=False, repr=False)
class TextClassifier(ClassificationTask[Documents], TextEstimator):
    """Predict one of several classes, or several yes-or-no labels, from texts.

    Parameters
    ----------
    **parameters
        Those of ``text_base.TextEstimator``, ``tasks.ClassificationTask``,
        ``text_parameters.TextParameters`` and ``training_parameters.TrainingParameters``, all in
        ``tabtext.estimators``.

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text Classification".

    Examples
    --------
    >>> from tabtext.datasets import load_snippets
    >>> movies = load_snippets("movies").sample(1000, random_state=0)
    >>> positive = movies["rating"] > 0
    >>> model = TextClassifier(epochs=1, embedding_width=16, hidden_width=32, verbose=0)
    >>> model = model.fit(movies["text"], positive)
    >>> model.predict_proba(["A masterpiece.", ""]).shape
    (2, 2)
    """


@dataclass(kw_only=True, eq=False, repr=False)
class TextRegressor(RegressionTask[Documents], TextEstimator):
    """Predict one or several quantities from texts.

    Parameters
    ----------
    **parameters
        Those of ``text_base.TextEstimator``, ``tasks.RegressionTask``,
        ``text_parameters.TextParameters`` and ``training_parameters.TrainingParameters``, all in
        ``tabtext.estimators``.

    Examples
    --------
    >>> from tabtext.datasets import load_snippets
    >>> movies = load_snippets("movies").sample(1000, random_state=0)
    >>> model = TextRegressor(epochs=1, embedding_width=16, hidden_width=32, verbose=0)
    >>> model = model.fit(movies["text"], movies["rating"])
    >>> model.predict(["A masterpiece."]).shape
    (1,)
    """
