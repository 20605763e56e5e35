"""``TextClassifier`` and ``TextRegressor``: from texts to a model in one call."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tabtext.estimators.inputs import Sample
from tabtext.estimators.linear_members import LinearFitting
from tabtext.estimators.parameter_checks import require_whole
from tabtext.estimators.tasks import ClassificationTask, RegressionTask
from tabtext.estimators.text_base import TextEstimator
from tabtext.text.documents import Documents
from tabtext.text.ngrams import require_numbers

__all__ = ["TextClassifier", "TextRegressor"]

_LONGEST_NGRAM = 3  # numbers of longer ones would not fit 64 bits with 60,000 words


@dataclass(kw_only=True, eq=False, repr=False)
class TextClassifier(ClassificationTask[Documents], TextEstimator):
    """Predict one of several classes, or several yes-or-no labels, from texts.

    A network votes with linear models, which few labels are enough for: one of words and word
    sequences, one of how often each word comes and, with a language model, one of the mean of its
    word vectors. What they count among themselves is learned from training rows that each has not
    seen, and what the network adds from the validation rows; without any, it has half a vote.

    Parameters
    ----------
    ngrams : int
        Longest word sequence of the linear models, 1 to 3; 0 for the network alone.
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

    ngrams: int = 2

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        require_whole("ngrams", self.ngrams, smallest=0, largest=_LONGEST_NGRAM)

    def _learn_features(self, sample: Sample) -> Documents:
        documents = super()._learn_features(sample)
        if self.ngrams:  # now, because the linear models come after hours of the network, perhaps
            require_numbers(self.ngrams, len(self.preprocessor_.vocabulary_))
        return documents

    def _linear_fitting(self, vectors: NDArray[np.float32] | None) -> LinearFitting | None:
        if not self.ngrams:
            return None
        return LinearFitting(
            target=self.target_,
            longest=self.ngrams,
            vocabulary_size=len(self.preprocessor_.vocabulary_),
            vectors=vectors,
        )


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
