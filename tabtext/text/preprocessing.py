"""From texts to ids and back: a tokenizer and a vocabulary, learned together and saved together.

``TextPreprocessor.fit`` tokenizes texts and builds a vocabulary from the counts of their tokens;
``transform`` gives every row's document, ``xxbos ... xxeos``; ``text_of`` makes it readable again.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tabtext.errors import ArtifactError, DataError, ParameterError, TabTextWarning
from tabtext.progress import Progress, step
from tabtext.text.documents import Documents
from tabtext.text.numbering import count_marks, count_tokens, field_numbers, number_documents
from tabtext.text.reading import read_texts
from tabtext.text.special_tokens import BEGIN, END, FIELD, PADDING
from tabtext.text.storage import read_json, write_json
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import TokenizedTexts, Tokenizer, WordTokenizer
from tabtext.text.tokenizers import describe_tokenizer, tokenizer_of
from tabtext.text.vocabulary import TokenCounts, Vocabulary, check_coverage

__all__ = [
    "TextPreprocessor",
    "missing_texts",
    "tokenize_columns",
    "warn_of_missing",
]

_log = logging.getLogger(__name__)


_FORMAT_VERSION = 1
_MUCH_UNKNOWN = 0.5
_CONFIG, _VOCABULARY = "preprocessor.json", "vocabulary.json"


@dataclass(kw_only=True, eq=False, repr=False)
class TextPreprocessor(BaseEstimator):
    """Learn a vocabulary from texts, and turn texts to documents of ids.

    Every document is ``xxbos``, the tokens of its text, ``xxeos``. Where a table has several
    columns of text, each begins with ``xxfld`` and its number. A missing text is empty.

    Parameters
    ----------
    tokenizer : WordTokenizer, SubwordTokenizer or another Tokenizer, optional
        Cuts texts into tokens. Default: ``WordTokenizer()``, for English with all rules. A
        ``SubwordTokenizer`` that has not learned its pieces learns them from the texts of the fit.
    max_size : int
        Most tokens of the vocabulary. The pieces of a ``SubwordTokenizer`` are all in it, whatever
        this and ``min_freq`` say.
    min_freq : int
        Words that are rarer in training are unknown.
    columns : sequence of str, optional
        The columns of text. Default: all columns of strings.
    vocabulary : Vocabulary, optional
        A vocabulary to keep, for example a language model's; ``fit`` then learns none.
    extend : bool
        Whether ``fit`` adds to that vocabulary the words of the training texts that it lacks and
        that are not rarer than ``min_freq``; what it has keeps its ids.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens and their ids.
    tokenizer_ : Tokenizer
        The tokenizer in use.
    columns_ : list of str
        The columns of text.
    n_rows_ : int
        Training documents.
    n_missing_ : int
        Texts that were missing (None, NaN) in training, in all columns together.

    Examples
    --------
    >>> preprocessor = TextPreprocessor(min_freq=1)
    >>> documents = preprocessor.fit_transform(["A good film.", "Good!"])
    >>> preprocessor.vocabulary_.tokens_of(documents[1])
    ['xxbos', 'xxmaj', 'good', '!', 'xxeos']
    >>> preprocessor.text_of(documents[0])
    'A good film.'
    """

    tokenizer: Tokenizer | None = None
    max_size: int = 60_000
    min_freq: int = 3
    columns: Sequence[str] | None = None
    vocabulary: Vocabulary | None = None
    extend: bool = False

    # -- fit ---------------------------------------------------------------------------------

    def fit(self, data: Any) -> Self:
        """Learn the vocabulary from training texts.

        Parameters
        ----------
        data : texts or table of any kind, or path
            See ``tabtext.text.reading.read_texts``.

        Raises
        ------
        DataError
            If there are no texts, no token in them, or no word that is frequent enough.
        ColumnTypeError, UnknownColumnError, ParameterError
            If a value is no text, a column is not there, a parameter is wrong.
        """
        self._fit(data)
        return self

    def fit_transform(self, data: Any) -> Documents:
        """Learn the vocabulary and return the documents, tokenizing the texts once."""
        return number_documents(self._fit(data), self.vocabulary_)

    def fit_counts(
        self,
        counts: TokenCounts,
        *,
        n_rows: int,
        n_missing: Mapping[str, int],
        tokenizer: Tokenizer | None = None,
    ) -> Self:
        """Learn from tokens that were counted in parts and added up.

        The result is the same as that of ``fit`` on all texts at once.

        Parameters
        ----------
        counts : TokenCounts
            Sum of the counts of all parts.
        n_rows : int
            Documents.
        n_missing : mapping of str to int
            For every column of text, in their order, the texts that were missing.
        tokenizer : Tokenizer, optional
            The one that cut the texts. Default: ``tokenizer`` of the constructor.

        Raises
        ------
        DataError
            If there are no documents, or no token in them.
        """
        if not counts:
            raise DataError(
                f"there is no token to learn from: {n_rows:,} texts, of which "
                f"{sum(n_missing.values()):,} are missing and the others empty"
            )
        tokenizer = tokenizer or self.tokenizer or WordTokenizer()
        self.vocabulary_ = self._vocabulary_of(tokenizer, counts, n_rows, len(n_missing))
        self.tokenizer_ = tokenizer
        self.columns_ = list(n_missing)
        self.n_rows_ = n_rows
        self.n_missing_ = sum(n_missing.values())
        warn_of_missing(n_missing, n_rows)
        _log.info(
            "%d texts in %d columns, %d tokens, vocabulary of %d",
            n_rows, len(n_missing), sum(counts.values()), len(self.vocabulary_),
        )  # fmt: skip
        return self

    # -- transform ---------------------------------------------------------------------------

    def transform(self, data: Any) -> Documents:
        """Return the documents of texts; words that training did not know are ``xxunk``.

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If a column of the fit is not there, or a value is no text.
        """
        check_is_fitted(self, "vocabulary_")
        texts = read_texts(data, columns=self.columns_)
        # At every call: a fit with a gap says nothing about the gaps of other texts.
        warn_of_missing(missing_texts(texts), texts.num_rows)
        return number_documents(tokenize_columns(self.tokenizer_, texts), self.vocabulary_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer[Any]]) -> str:
        """Return readable text: without marks and padding, each column's text on a line.

        Parameters
        ----------
        ids : sequence of int
            A document, or a part of one.

        Raises
        ------
        DataError
            If an id is not in the vocabulary.
        """
        check_is_fitted(self, "vocabulary_")
        return self.restore(self.vocabulary_.tokens_of(ids))

    def restore(self, tokens: Sequence[str]) -> str:
        """Return readable text, as ``text_of``, of tokens instead of ids."""
        check_is_fitted(self, "vocabulary_")
        fields: list[list[str]] = [[]]
        after_mark = False
        for token in tokens:
            if token == FIELD:
                fields.append([])
            elif token not in (PADDING, BEGIN, END) and not after_mark:
                fields[-1].append(token)
            after_mark = token == FIELD  # what follows is the column's number, no text
        return "\n".join(self.tokenizer_.restore(field) for field in fields if field)

    # -- disk --------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> None:
        """Write two JSON files into a directory, which is made if needed.

        Raises
        ------
        SaveError
            If writing fails.
        ParameterError
            If the tokenizer is none of this library, so that ``load`` could not rebuild it.
        """
        check_is_fitted(self, "vocabulary_")
        config = {
            "format_version": _FORMAT_VERSION,
            "max_size": self.max_size,
            "min_freq": self.min_freq,
            "columns": self.columns_,
            "n_rows": self.n_rows_,
            "n_missing": self.n_missing_,
            "vocabulary": self.vocabulary_.fingerprint(),
            "vocabulary_was_given": self.vocabulary is not None,
            "tokenizer": describe_tokenizer(self.tokenizer_),
        }
        self.vocabulary_.save(Path(directory) / _VOCABULARY)
        write_json(Path(directory) / _CONFIG, config)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read what ``save`` wrote; no code of the files is run.

        Raises
        ------
        MissingFileError
            If a file is not there.
        ArtifactError
            If a file is damaged or of a newer version, or the vocabulary is another one.
        """
        directory = Path(directory)
        config = read_json(directory / _CONFIG, "text preprocessor", newest=_FORMAT_VERSION)
        vocabulary = Vocabulary.load(directory / _VOCABULARY)
        try:
            tokenizer = tokenizer_of(config["tokenizer"])
            preprocessor = cls(
                tokenizer=tokenizer,
                max_size=int(config["max_size"]),
                min_freq=int(config["min_freq"]),
                columns=[str(name) for name in config["columns"]],
                vocabulary=vocabulary if config["vocabulary_was_given"] else None,
            )
            preprocessor.columns_ = [str(name) for name in config["columns"]]
            preprocessor.n_rows_ = int(config["n_rows"])
            preprocessor.n_missing_ = int(config["n_missing"])
            fingerprint = config["vocabulary"]
        except ArtifactError as error:
            raise ArtifactError(f"{directory / _CONFIG} is damaged: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                f"{directory / _CONFIG} is damaged ({error!r}); save it again or restore a copy"
            ) from error
        if fingerprint != vocabulary.fingerprint():
            raise ArtifactError(
                f"{directory / _VOCABULARY} is not the vocabulary that was saved with this "
                f"preprocessor: it has {vocabulary.fingerprint()}, not {fingerprint}"
            )
        preprocessor.vocabulary_ = vocabulary
        preprocessor.tokenizer_ = tokenizer
        return preprocessor

    # -- the steps ---------------------------------------------------------------------------

    def _fit(self, data: Any) -> list[TokenizedTexts]:
        texts = read_texts(data, columns=self.columns)
        if texts.num_rows == 0:
            raise DataError("there are no texts to learn from")
        tokenizer = self.tokenizer or WordTokenizer()
        if isinstance(tokenizer, SubwordTokenizer) and not tokenizer.is_trained:
            values = chain.from_iterable(column.chunks for column in texts.columns)
            tokenizer = tokenizer.trained_on(text.as_py() for text in chain.from_iterable(values))
        tokenized = tokenize_columns(tokenizer, texts)
        self.fit_counts(
            count_tokens(tokenized),
            n_rows=texts.num_rows,
            n_missing=missing_texts(texts),
            tokenizer=tokenizer,
        )
        return tokenized

    def _vocabulary_of(
        self, tokenizer: Tokenizer, counts: TokenCounts, n_rows: int, n_columns: int
    ) -> Vocabulary:
        pieces = tokenizer.tokens if isinstance(tokenizer, SubwordTokenizer) else ()
        if self.vocabulary is not None:
            _check_fit(self.vocabulary, counts, pieces)
            if not self.extend or pieces:  # sub-words can spell everything
                return self.vocabulary
            return self.vocabulary.extended(counts, min_freq=self.min_freq)
        numbers = field_numbers(n_columns)
        counts = counts + count_marks(n_rows, n_columns)
        if pieces:
            return Vocabulary.from_tokens({*pieces, *numbers}, counts)
        vocabulary = Vocabulary.from_counts(
            counts, max_size=self.max_size, min_freq=self.min_freq, required=numbers
        )
        check_coverage(vocabulary, min_freq=self.min_freq, marks=numbers)
        return vocabulary


def tokenize_columns(tokenizer: Tokenizer, texts: pa.Table) -> list[TokenizedTexts]:
    """Return the tokens of every column of a table of texts."""
    total, found = texts.num_rows * texts.num_columns, []
    with step("tokenizing") as progress:
        for number, column in enumerate(texts.columns):
            report = _beginning_at(number * texts.num_rows, total, progress)
            found.append(tokenizer.tokenize(column, progress=report))
    return found


def _beginning_at(before: int, total: int, progress: Progress) -> Callable[[int, int], None]:
    return lambda done, _: progress(before + done, total)


def missing_texts(texts: pa.Table) -> dict[str, int]:
    """Return how many texts of every column are missing."""
    return {name: texts[name].null_count for name in texts.column_names}


def _check_fit(vocabulary: Vocabulary, counts: TokenCounts, pieces: Sequence[str]) -> None:
    """See whether a vocabulary belongs to a tokenizer, or at least to the language of the texts."""
    if lacking := [piece for piece in pieces if piece not in vocabulary]:
        raise ParameterError(
            f"the vocabulary is of another tokenizer: it lacks {len(lacking):,} of the "
            f"{len(pieces):,} pieces, for example {lacking[0]!r}"
        )
    unknown = sum(count for token, count in counts.items() if token not in vocabulary)
    share = unknown / sum(counts.values())
    if share > _MUCH_UNKNOWN:
        warnings.warn(
            f"{share:.0%} of the tokens are not in the given vocabulary; is it of another language "
            "or another tokenizer?",
            TabTextWarning,
            stacklevel=5,
        )


def warn_of_missing(n_missing: Mapping[str, int], n_rows: int) -> None:
    """Say how many texts of each column are missing, if some are."""
    if gaps := {name: n for name, n in n_missing.items() if n}:
        shown = ", ".join(f"{n:,} in {name!r}" for name, n in gaps.items())
        warnings.warn(
            f"missing texts count as empty: {shown} (of {n_rows:,} rows)",
            TabTextWarning,
            stacklevel=4,
        )
