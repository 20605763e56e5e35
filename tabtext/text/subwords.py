"""Pieces of words as tokens: for languages without spaces between words, or with endless words.

A word vocabulary knows the frequent words and nothing of the others. Pieces, learned by byte-pair
encoding or as a unigram language model over the bytes of UTF-8, leave nothing unknown: every text
is a run of pieces, and comes back from them as it was, character for character.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabtext.errors import ArtifactError, DataError, ParameterError
from tabtext.text.documents import offsets_of
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.tokenization import Texts, TokenizedTexts

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Pipeline

__all__ = ["SubwordTokenizer"]

_N_BYTES = 256
_TEXTS_AT_ONCE = 2_000
_MARK = " "
"""Behind a piece that is spelled like a special token; spaces occur in no piece."""


@dataclass(frozen=True)
class SubwordTokenizer:
    """Cut texts into pieces that were learned from texts.

    No text is changed before it is cut: case, accents, white space and control characters come
    back as they were. Learning is repeatable with ``"bpe"``; with ``"unigram"`` the last digits of
    the pieces' scores depend on the order in which threads add them up.

    Parameters
    ----------
    model : {"bpe", "unigram"}
        ``"bpe"`` joins the most frequent neighbours again and again, and is the faster one.
        ``"unigram"`` keeps the pieces that make the texts most probable; it cuts rather at the
        borders of word stems and endings.
    vocabulary_size : int
        Most pieces to learn, at least 256, the bytes. Default: 16,000; the softmax of a language
        model takes a time proportional to it.
    pipeline : str, optional
        What was learned, as JSON of the package ``tokenizers``; ``trained_on`` sets it.

    Raises
    ------
    ParameterError
        If the model is another one, or the size too small.

    References
    ----------
    Rico Sennrich, Barry Haddow and Alexandra Birch: Neural Machine Translation of Rare Words with
    Subword Units, 2016. Taku Kudo: Subword Regularization, 2018.

    Examples
    --------
    >>> tokenizer = SubwordTokenizer().trained_on(["low lower lowest"] * 9)
    >>> tokenizer.tokenize(["slow, lowest"])[0]
    ['s', 'low', ',', 'Ġlowest']
    >>> tokenizer.restore(['s', 'low', ',', 'Ġlowest'])
    'slow, lowest'
    """

    model: Literal["bpe", "unigram"] = "bpe"
    vocabulary_size: int = 16_000
    pipeline: str | None = None

    def __post_init__(self) -> None:
        if self.model not in ("bpe", "unigram"):
            raise ParameterError(f"model={self.model!r} is not one of bpe, unigram")
        if self.vocabulary_size < _N_BYTES:
            raise ParameterError(
                f"a sub-word tokenizer needs {_N_BYTES} pieces at least, one for each byte, "
                f"however: it may have {self.vocabulary_size}. Raise max_vocabulary (of a "
                "SubwordTokenizer: vocabulary_size)"
            )

    @property
    def is_trained(self) -> bool:
        """Whether pieces have been learned."""
        return self.pipeline is not None

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """All pieces, in the order of their codes."""
        codes = self._pipeline.get_vocab(with_added_tokens=False)
        pieces = sorted(codes, key=codes.__getitem__)
        return tuple(p + _MARK if p in SPECIAL_TOKENS else p for p in pieces)

    def trained_on(self, texts: Iterable[str | None]) -> "SubwordTokenizer":
        """Return a tokenizer that has learned its pieces from these texts.

        Parameters
        ----------
        texts : iterable of str
            Training texts; an iterator is read once and need not fit into memory. None is skipped.

        Raises
        ------
        DataError
            If there is no text.
        ParameterError
            If the package ``tokenizers`` is not installed.
        """
        tokenizers = _import_tokenizers()
        bytes_of = tokenizers.pre_tokenizers.ByteLevel
        models = {
            "bpe": (tokenizers.models.BPE, tokenizers.trainers.BpeTrainer),
            "unigram": (tokenizers.models.Unigram, tokenizers.trainers.UnigramTrainer),
        }
        model, trainer = models[self.model]
        pipeline = tokenizers.Tokenizer(model())
        pipeline.pre_tokenizer = bytes_of(add_prefix_space=False)
        pipeline.decoder = tokenizers.decoders.ByteLevel()
        filled = (text for text in texts if text)
        first = next(filled, None)
        if first is None:
            raise DataError("there is no text to learn pieces of words from")
        pipeline.train_from_iterator(
            chain([first], filled),
            trainer(
                vocab_size=self.vocabulary_size,
                initial_alphabet=sorted(bytes_of.alphabet()),
                special_tokens=[],
                show_progress=False,
            ),
        )
        return replace(self, pipeline=pipeline.to_str())

    def tokenize(
        self, texts: Texts, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenizedTexts:
        """Return the pieces of every text; a missing one has none.

        Parameters
        ----------
        texts : Arrow array or sequence of str or None
            The texts.
        progress : callable, optional
            Called with the number of texts done, and of all.

        Raises
        ------
        ParameterError
            If no pieces have been learned.
        """
        parts: list[npt.NDArray[np.int32]] = []
        lengths: list[int] = []
        for some in _slices(texts, _TEXTS_AT_ONCE):
            found = [e.ids for e in self._pipeline.encode_batch_fast([text or "" for text in some])]
            lengths.extend(map(len, found))
            parts.append(np.fromiter(chain.from_iterable(found), np.int32))
            if progress is not None:
                progress(len(lengths), len(texts))
        codes = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return TokenizedTexts(self.tokens, codes, offsets_of(np.array(lengths, np.int64)))

    def restore(self, tokens: Sequence[str]) -> str:
        """Return the text of some pieces; bytes that are no UTF-8 become U+FFFD."""
        pieces = [token.removesuffix(_MARK) for token in tokens]
        return str(self._pipeline.decoder.decode(pieces))

    def to_dict(self) -> dict[str, Any]:
        """Return a description that JSON can hold, the pieces included."""
        learned = None if self.pipeline is None else json.loads(self.pipeline)
        return {
            "model": self.model,
            "vocabulary_size": self.vocabulary_size,
            "pipeline": learned,
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "SubwordTokenizer":
        """Return the tokenizer that ``to_dict`` described.

        Raises
        ------
        ArtifactError
            If the description is damaged.
        """
        try:
            learned = description["pipeline"]
            pipeline = None if learned is None else json.dumps(learned, ensure_ascii=False)
            tokenizer = cls(description["model"], int(description["vocabulary_size"]), pipeline)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"the description of a SubwordTokenizer is damaged: {error!r}"
            ) from error
        if tokenizer.is_trained and len(tokenizer.tokens) < _N_BYTES:
            raise ArtifactError(f"the SubwordTokenizer has only {len(tokenizer.tokens)} pieces")
        return tokenizer

    @cached_property
    def _pipeline(self) -> "Pipeline":
        tokenizers = _import_tokenizers()
        if self.pipeline is None:
            raise ParameterError(
                "the SubwordTokenizer has not learned any pieces; use trained_on(texts)"
            )
        try:
            pipeline: Pipeline = tokenizers.Tokenizer.from_str(self.pipeline)
        except Exception as error:  # the package raises nothing narrower
            raise ArtifactError(f"the pieces of a SubwordTokenizer are damaged: {error}") from error
        return pipeline


def _import_tokenizers() -> Any:
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise ParameterError(
            "SubwordTokenizer needs the package 'tokenizers', which is not installed; install it "
            "with: pip install 'tabtext[subwords]'"
        ) from error
    return tokenizers


def _slices(texts: Texts, size: int) -> Iterator[list[str | None]]:
    """The texts in lists of some, so that not all of them are Python objects at once."""
    for start in range(0, len(texts), size):
        if isinstance(texts, pa.Array | pa.ChunkedArray):
            yield texts.slice(start, size).to_pylist()
        else:
            yield list(texts[start : start + size])
