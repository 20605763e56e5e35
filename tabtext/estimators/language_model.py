"""``LanguageModel``: learn to predict the next word, from scratch or from another model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from tabtext.estimators import text_storage
from tabtext.estimators.checkpoints import resolve_checkpoints
from tabtext.estimators.language_model_steps import LanguageModelSteps
from tabtext.estimators.language_model_use import LanguageModelUse
from tabtext.progress import showing
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.distributed import first_process_only

__all__ = ["LanguageModel"]


@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModel(LanguageModelUse, LanguageModelSteps):
    """A model of the next token: AWD-LSTM, with the softmax tied to the embedding.

    Fitted on many texts it knows a language, ``fine_tune`` acquaints it with those of a task, and
    ``TextClassifier(language_model=...)`` starts from what it has learned.

    Parameters
    ----------
    **parameters
        Those of ``language_model_steps.LanguageModelSteps``, ``text_parameters.TextParameters`` and
        ``training_parameters.TrainingParameters``, all in ``tabtext.estimators``.

    Attributes
    ----------
    preprocessor_ : TextPreprocessor
        Tokenizer and vocabulary.
    networks_ : dict of str to LanguageModelNetwork
        One network for each direction.
    histories_ : dict of str to History
        Losses and perplexities of every epoch, for each direction.
    card_ : dict
        What was given, done and reached.

    References
    ----------
    Merity, S., Keskar, N. S. and Socher, R. (2018), "Regularizing and Optimizing LSTM Language
    Models".
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text Classification".

    Examples
    --------
    >>> from tabtext.datasets import load_snippets
    >>> texts = load_snippets("amazon")["text"]
    >>> model = LanguageModel(epochs=1, embedding_width=16, hidden_width=32, verbose=0)
    >>> model = model.fit(texts[:2000])
    >>> model.perplexity(texts[2000:2100]) < len(model.preprocessor_.vocabulary_)
    True
    >>> len(model.generate("The battery", n_tokens=5, n_texts=2))
    2
    """

    @property
    def was_fine_tuned(self) -> bool:
        """Whether this model went on from another one, so that its texts are those of a task."""
        return "of_fine_tuning" in self.card_["tokens"]

    def save(self, directory: str | Path, *, packed: bool = False) -> None:
        """Write the fitted model as an artifact directory: JSON, Arrow and safetensors, no pickle.

        Of several processes that torchrun started, the first one writes.

        Parameters
        ----------
        directory : str or Path
            Where the model will stand. One that stands there already is replaced.
        packed : bool
            Take a quarter of the space, to hand the model on: large matrices are rounded to 255
            steps for each row (``tabtext.packing``), and of the curves over training steps 200
            points are kept, each a mean. ``load`` reads it like any other, but what it reads is no
            longer exactly this model. Classifiers have no such choice: batch norm divides by
            spreads that may be tiny, and would make much of the rounding.

        Raises
        ------
        SaveError
            If the disk is full or the place is taken; nothing half-written is left.
        DataError
            If weights that are NaN or infinite were to be packed.
        """
        if not packed:
            super().save(directory)
            return
        check_is_fitted(self, "card_")
        first_process_only(lambda: text_storage.save(self, Path(directory), packed=True))

    # -- fit ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        validation: Any = None,
        callbacks: Sequence[Callback] = (),
        checkpoints: str | Path | Checkpoints | None = None,
        resume: bool | str | Path = False,
    ) -> Self:
        """Learn a language model from texts, and their vocabulary; or from a prepared corpus.

        A corpus has its tokenizer and its vocabulary, learned from all of its documents, which the
        model takes over. ``text_columns``, ``tokens``, ``language``, ``rules``, ``max_vocabulary``
        and ``min_frequency`` follow the corpus where they are at their defaults; set to something
        else, they must be what the corpus was prepared with. Its tokens stay on disk: in memory are
        the network, and some 50 bytes for each document and for each step of an epoch.

        Parameters
        ----------
        X : sequence of str, Series, array, table with text columns, path, or Corpus
            The texts, see ``tabtext.text.reading.read_texts``; or what
            ``tabtext.text.corpus.prepare_corpus`` made of texts, or its directory.
        y : None
            Not used; for scikit-learn's pipelines.
        validation : as X, optional
            Texts to choose the best epoch by; default: a random ``validation_fraction`` of ``X``. A
            corpus must have been prepared with the preprocessor of the training corpus.
        callbacks, checkpoints, resume
            As for ``TextClassifier.fit``.

        Returns
        -------
        Self
            The fitted model.

        Raises
        ------
        DataError
            If there are no texts, or not a single word in them.
        ColumnTypeError
            If something else than texts is given.
        ParameterError
            If a parameter contradicts a corpus, or one corpus the other.
        MissingFileError
            If a corpus is not complete.

        Examples
        --------
        >>> import tempfile
        >>> from tabtext.datasets import load_snippets
        >>> from tabtext.text.corpus import prepare_corpus
        >>> corpus = prepare_corpus(load_snippets("movies")["text"][:800], tempfile.mkdtemp())
        >>> model = LanguageModel(epochs=1, embedding_width=16, hidden_width=32, verbose=0)
        >>> model = model.fit(corpus)  # or model.fit(corpus.directory)
        >>> model.card_["rows"]
        {'given': 800, 'train': 720, 'valid': 80}
        """
        del y
        self.check_parameters()
        place, go_on = resolve_checkpoints(checkpoints, resume)
        self._forget_fit()
        preprocessor = self.new_text_preprocessor()
        with showing(self.verbose):
            return self._learn(X, validation, preprocessor, None, callbacks, place, go_on)

    def fine_tune(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        epochs: int | Literal["auto"] | None = None,
        learning_rate: float | None = None,
        max_time: float | str | None = None,
        verbose: int | None = None,
        validation: Any = None,
        callbacks: Sequence[Callback] = (),
        checkpoints: str | Path | Checkpoints | None = None,
        resume: bool | str | Path = False,
    ) -> "LanguageModel":
        """Return a model that goes on from this one on other texts; this one stays as it is.

        The vocabulary is that of the new texts or corpus: words that both know keep what was
        learned of them, and turn to how the new texts use them; new ones start from that alone;
        words that the new texts lack are forgotten, so a few hundred texts are too few. Of several
        epochs the softmax and the embedding have the first for themselves; then everything learns,
        earlier layers more slowly.

        Parameters
        ----------
        X : as for ``fit``
            The texts of the task. A corpus must have been cut by the tokenizer of this model:
            ``prepare_corpus(..., preprocessor=TextPreprocessor(tokenizer=
            model.preprocessor_.tokenizer_))``.
        epochs, learning_rate, max_time, verbose
            Parameters of the new model; default: those of this one. ``epochs="auto"`` is half of
            what a model from scratch would get, and 4 at most.
        validation, callbacks, checkpoints, resume
            As for ``fit``.

        Raises
        ------
        ParameterError
            If a corpus has the tokens of another tokenizer, a number is out of range, or a
            parameter was set that contradicts what was learned: the network's shape and directions,
            the softmax, the tokenizer.

        References
        ----------
        Howard and Ruder (2018), section 3.2.
        """
        check_is_fitted(self, "card_")
        given = {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "max_time": max_time,
            "verbose": verbose,
        }
        tuned: LanguageModel = clone(self).set_params(
            **{name: value for name, value in given.items() if value is not None}
        )
        tuned.check_parameters()
        tuned._require_continuation(self)
        place, go_on = resolve_checkpoints(checkpoints, resume)
        preprocessor = TextPreprocessor(
            tokenizer=self.preprocessor_.tokenizer_,
            max_size=self.max_vocabulary,
            min_freq=self.min_frequency,
        )
        with showing(tuned.verbose):
            return tuned._learn(X, validation, preprocessor, self, callbacks, place, go_on)
