"""What a fitted language model is asked: perplexity, texts, its encoder."""

from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_is_fitted

from tabtext.errors import ParameterError
from tabtext.estimators.classifier_training import in_direction
from tabtext.estimators.corpora import as_corpus, corpus_documents
from tabtext.estimators.fine_tuning import require_directions
from tabtext.estimators.prompts import (
    TEMPERATURE,
    TOP_P,
    continued,
    prompt_tokens,
    refuse_draws,
    seeded_generator,
)
from tabtext.estimators.text_inputs import columns_of_fit
from tabtext.progress import showing
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.generation import beam_search, sample
from tabtext.text.language_model import LanguageModelNetwork
from tabtext.text.perplexity import score_documents
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.transfer import transfer_vocabulary
from tabtext.text.unfilled import Unfilled
from tabtext.text.vocabulary import Vocabulary
from tabtext.training.history import History

__all__ = ["LanguageModelUse"]


class LanguageModelUse:
    """What can be done with a fitted ``LanguageModel``; its attributes are described there."""

    random_state: int
    verbose: int
    preprocessor_: TextPreprocessor
    networks_: dict[str, LanguageModelNetwork]
    histories_: dict[str, History]

    def encoder(
        self,
        direction: str,
        *,
        dropout_scale: float | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> AWDLSTM:
        """Return a copy of a network's encoder, for a model of another task.

        Parameters
        ----------
        direction : {"forward", "backward"}
            Which network's.
        dropout_scale : float, optional
            What the encoder's dropout rates are multiplied by from now on.
        vocabulary : Vocabulary, optional
            The other task's. Words that the model lacks start at the mean of all its vectors.

        Raises
        ------
        ParameterError
            If there is no network of this direction.
        """
        check_is_fitted(self, "card_")
        require_directions([direction], self.networks_)
        trained = self.networks_[direction].encoder
        options = trained.options
        if dropout_scale is not None:
            options = replace(options, dropout_scale=dropout_scale)
        tokens = self.preprocessor_.vocabulary_.tokens
        further = tokens if vocabulary is None else vocabulary.tokens
        state = transfer_vocabulary(
            trained.state_dict(), tokens, further, per_token=["embedding.weight"]
        ).state
        with Unfilled():
            encoder = AWDLSTM(len(further), options)
        encoder.load_state_dict(state)
        return encoder.to(trained.embedding.weight.device)

    @property
    def history_(self) -> History:
        """The history of the first direction's training."""
        return next(iter(self.histories_.values()))

    def perplexity(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        direction: str | None = None,
    ) -> float:
        """Return how many equally likely tokens the model is undecided between, on the average.

        Every token of every text is scored exactly once, given all tokens of its text before it;
        the result does not depend on how texts are batched. Unknown words count as ``xxunk``.

        Parameters
        ----------
        X : as for ``fit``
            The texts, or a corpus that was prepared with ``preprocessor=model.preprocessor_``.
        direction : {"forward", "backward"}, optional
            The network; default: the first.

        Raises
        ------
        DataError
            If there is no token to score.
        """
        check_is_fitted(self, "card_")
        name = next(iter(self.networks_)) if direction is None else direction
        if name not in self.networks_:
            raise ParameterError(f"{direction=}, and the model has {', '.join(self.networks_)}")
        with showing(self.verbose):
            documents = self._documents_of(X)
            return score_documents(self.networks_[name], in_direction(documents, name)).perplexity

    def evaluate(self, X: Any) -> dict[str, float]:  # noqa: N803 - scikit-learn's name
        """Return the perplexity of every direction, and on how many tokens it was measured.

        Perplexities compare only between models that know the same words: one that knows few
        foresees ``xxunk``, and finds it easy. So their share of the words is given, too.

        Parameters
        ----------
        X : as for ``fit``
            The texts, or a corpus that was prepared with ``preprocessor=model.preprocessor_``.

        Returns
        -------
        dict of str to float
            ``perplexity``, or ``perplexity_forward`` and ``perplexity_backward`` where there are
            both, then ``tokens`` and the share ``unknown``.

        Raises
        ------
        DataError
            If there is no token to score.
        """
        check_is_fitted(self, "card_")
        with showing(self.verbose):
            documents = self._documents_of(X)
            scores = {
                name: score_documents(network, in_direction(documents, name))
                for name, network in self.networks_.items()
            }
        several = len(scores) > 1
        return {
            **{
                f"perplexity_{name}" if several else "perplexity": score.perplexity
                for name, score in scores.items()
            },
            "tokens": float(next(iter(scores.values())).n_tokens),
            "unknown": DocumentView.of(documents).unknown_share(),
        }

    def _documents_of(self, data: Any) -> Documents | DocumentView:
        """Encode texts by the vocabulary of the fit; take those of a corpus that has the same."""
        corpus = as_corpus(data)
        if corpus is not None:
            return corpus_documents(corpus, self.preprocessor_)
        return self.preprocessor_.transform(columns_of_fit(data, self.preprocessor_.columns_))

    def generate(
        self,
        prompt: str = "",
        *,
        n_tokens: int = 50,
        n_texts: int = 1,
        temperature: float = TEMPERATURE,
        top_k: int | None = None,
        top_p: float | None = TOP_P,
        n_beams: int | None = None,
        random_state: int | None = None,
    ) -> list[str]:
        """Continue a text.

        Where the model reads several columns, the text is that of the first.

        Parameters
        ----------
        prompt : str
            How the texts begin.
        n_tokens : int
            Longest continuation; it ends earlier where the model ends the text.
        n_texts : int
            How many continuations.
        temperature : float
            Below 1 likelier words become likelier still, above 1 all become more alike.
        top_k : int, optional
            Draw from so many of the likeliest tokens only.
        top_p : float, optional
            Draw from the likeliest tokens that have this probability together (nucleus sampling).
        n_beams : int, optional
            Do not draw, but search for the likeliest text with so many beams. The settings of
            draws, ``temperature``, ``top_k`` and ``top_p``, stay at their defaults then.
        random_state : int, optional
            Seed of the draws; default: that of the model.

        Returns
        -------
        list of str
            The prompt as it was given and its continuation, ``xxmaj``, ``xxrep`` and the like
            turned into what they stand for; with beams, likeliest first.

        Raises
        ------
        ParameterError
            If the model only reads backward, a number is out of range, or a setting of draws was
            changed for a search.

        References
        ----------
        Holtzman, A. et al. (2020), "The Curious Case of Neural Text Degeneration".
        """
        check_is_fitted(self, "card_")
        if "forward" not in self.networks_:
            raise ParameterError(
                "this language model reads backward only and cannot continue texts; fit one with "
                "direction='forward' or 'both'"
            )
        network = self.networks_["forward"]
        start, written = prompt_tokens(self.preprocessor_, prompt)
        if n_beams is not None:
            refuse_draws(temperature=temperature, top_k=top_k, top_p=top_p)
            found = beam_search(network, start, n_tokens=n_tokens, n_beams=n_beams, n_texts=n_texts)
        else:
            seed = self.random_state if random_state is None else random_state
            found = sample(
                network,
                start,
                n_tokens=n_tokens,
                n_texts=n_texts,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                generator=seeded_generator(seed),
            )
        return [continued(self.preprocessor_, prompt, written, text.ids) for text in found]
