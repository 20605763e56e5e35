"""Texts to tokens: what every tokenizer gives, what it is asked for, and the one for words.

``WordTokenizer`` gives, token for token, what this plain road gives for each text: the rules for
texts, spaCy's tokenizer, the rules for words. It goes a faster road: ``chunks`` cuts the bytes of
many texts at white space, ``spacy_words`` asks spaCy about each distinct chunk once, ``chunkwise``
puts the words together again, ``words.table`` applies the rules for words.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabtext.errors import ArtifactError, ParameterError
from tabtext.text.restoration import restore
from tabtext.text.rules import TextRules
from tabtext.text.words.arrow_texts import as_text_array
from tabtext.text.words.engine import WordEngine

__all__ = ["Texts", "TokenizedTexts", "Tokenizer", "WordTokenizer"]

Texts: TypeAlias = pa.ChunkedArray | pa.Array | Sequence[str | None]


@dataclass(frozen=True, eq=False)
class TokenizedTexts:
    """The tokens of some texts: each distinct one once, and which of them stands where.

    Parameters
    ----------
    tokens : tuple of str
        The distinct tokens, in no particular order.
    codes : int32 array of shape (n_tokens,)
        Positions in ``tokens``, the texts end to end.
    offsets : int64 array of shape (n_texts + 1,)
        Text ``i`` is ``codes[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> codes = np.array([0, 1, 0], np.int32)
    >>> texts = TokenizedTexts(("very", "good"), codes, np.array([0, 2, 2, 3]))
    >>> list(texts)
    [['very', 'good'], [], ['very']]
    """

    tokens: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> list[str]:
        row = range(len(self))[index]
        return [self.tokens[code] for code in self.codes[self.offsets[row] : self.offsets[row + 1]]]

    def __iter__(self) -> Iterator[list[str]]:
        return (self[index] for index in range(len(self)))


class Tokenizer(Protocol):
    """What the library asks of a tokenizer."""

    def tokenize(
        self, texts: Texts, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenizedTexts:
        """Return the tokens of every text; a missing one has none."""

    def restore(self, tokens: Sequence[str]) -> str:
        """Return readable text."""

    def to_dict(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Tokenizer":
        """Return the tokenizer that ``to_dict`` described."""


@dataclass(frozen=True)
class WordTokenizer:
    """Cut texts into words as spaCy does, with clean-ups before and after.

    The tokenizer remembers the distinct pieces of text that it has met, so that a second call on
    similar texts is faster; what it returns does not depend on that. It may be used by several
    threads, which then take turns.

    Parameters
    ----------
    language : str
        spaCy's code of the language: ``"en"``, ``"de"`` ..., ``"xx"`` for any. For Chinese,
        Japanese, Korean, Thai and Vietnamese, spaCy has tokenizers of another kind, which work text
        by text, and most of which need a package of their own.
    rules : TextRules
        Which clean-ups run. Default: all of them.
    n_processes : int
        Processes that cut distinct words which are new. Worth it from some hundred megabytes of
        text on. With more than one, a script needs ``if __name__ == "__main__":``.

    Raises
    ------
    ParameterError
        If the language is unknown or lacks its package, which is seen at the first use; if
        ``n_processes`` is not positive.

    References
    ----------
    Matthew Honnibal, Ines Montani, Sofie Van Landeghem and Adriane Boyd: spaCy, 2020. Jeremy Howard
    and Sylvain Gugger: fastai, 2020, whose marks for capitals and repetitions these are.

    Examples
    --------
    >>> tokenizer = WordTokenizer()
    >>> tokenizer.tokenize(["It's NOT good!!!", None])[0]
    ['xxmaj', 'it', "'s", 'xxup', 'not', 'good', 'xxrep', '3', '!']
    >>> tokenizer.restore(_)
    "It's NOT good!!!"
    """

    language: str = "en"
    rules: TextRules = field(default_factory=TextRules)
    n_processes: int = 1

    def __post_init__(self) -> None:
        if self.n_processes < 1:
            raise ParameterError(f"n_processes must be at least 1, however: {self.n_processes=}")

    def tokenize(
        self, texts: Texts, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenizedTexts:
        """Return the tokens of every text; a missing or empty one has none.

        Parameters
        ----------
        texts : Arrow array of strings, or sequence of str or None
            The texts.
        progress : callable, optional
            Called now and then with the number of texts that are done, and of all.

        Returns
        -------
        TokenizedTexts
            Its tokens are those that occur, in the order of their first time.

        Raises
        ------
        ColumnTypeError
            If something is no text.
        DataError
            If an Arrow array holds bytes that are not UTF-8.
        """
        array = as_text_array(texts)
        return TokenizedTexts(*self._engine.tokenize(array, self.n_processes, progress))

    def restore(self, tokens: Sequence[str]) -> str:
        """Return readable text; see ``tabtext.text.restoration.restore``."""
        return restore(tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return what decides about tokens, the language and the rules, as JSON can hold it."""
        return {"language": self.language, "rules": self.rules.to_dict()}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "WordTokenizer":
        """Return the tokenizer that ``to_dict`` described.

        Raises
        ------
        ArtifactError
            If the description is damaged.
        """
        language, rules = description.get("language"), description.get("rules")
        if not isinstance(language, str) or not isinstance(rules, Mapping):
            raise ArtifactError(
                f"the description of a WordTokenizer needs language and rules, however: "
                f"{language=}, {rules=}"
            )
        return cls(language, TextRules.from_dict(rules))

    def __getstate__(self) -> dict[str, Any]:
        # What was learned can be learned again; spaCy's tables could not be pickled.
        return {name: value for name, value in vars(self).items() if name != "_engine"}

    @cached_property
    def _engine(self) -> WordEngine:
        return WordEngine(self.language, self.rules)
