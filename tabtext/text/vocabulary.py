"""Which tokens a model knows: counts that add up, and the vocabulary that is built from them."""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tabtext.errors import ArtifactError, DataError, ParameterError, TabTextWarning
from tabtext.text.special_tokens import SPECIAL_TOKENS, UNKNOWN_ID
from tabtext.text.storage import read_json, write_json
from tabtext.text.tokenization import TokenizedTexts

__all__ = ["TokenCounts", "Vocabulary", "check_coverage"]

_FORMAT_VERSION = 1
_MUCH_UNKNOWN = 0.5


class TokenCounts(Mapping[str, int]):
    """How often each token occurs; counts of parts add up to the counts of the whole, exactly.

    Parameters
    ----------
    counts : mapping of str to int
        Occurrences of every token; a token that does not occur counts 0.

    Examples
    --------
    >>> first, second = TokenCounts({"good": 2, "bad": 1}), TokenCounts({"good": 1})
    >>> first + second
    TokenCounts(2 distinct tokens, 4 in all)
    >>> (first + second)["good"], (first + second)["ugly"]
    (3, 0)
    """

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        given = (counts or {}).items()
        self._counts = Counter({token: count for token, count in given if count})

    @classmethod
    def of(cls, texts: TokenizedTexts) -> "TokenCounts":
        """Count the tokens of some texts."""
        from tabtext.text.kernels.documents import count_codes

        counts = np.zeros(len(texts.tokens), np.int64)
        count_codes(texts.codes, counts)
        return cls(dict(zip(texts.tokens, counts.tolist(), strict=True)))

    @classmethod
    def total(cls, parts: Iterable["TokenCounts"]) -> "TokenCounts":
        """Add up the counts of many parts, which may come from an iterator one by one."""
        whole = cls()
        for part in parts:
            whole._counts.update(part._counts)
        return whole

    def __add__(self, other: "TokenCounts") -> "TokenCounts":
        return TokenCounts.total([self, other])

    def __getitem__(self, token: str) -> int:
        return self._counts[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, token: object) -> bool:
        return token in self._counts

    def __repr__(self) -> str:
        total = self._counts.total()
        return f"TokenCounts({len(self):,} distinct tokens, {total:,} in all)"


@dataclass(frozen=True, eq=False, repr=False)
class Vocabulary:
    """Tokens and their ids: first the special ones, then the others by falling frequency.

    Of one that was ``extended``, those that were added stand behind all others.

    Parameters
    ----------
    tokens : tuple of str
        The token of every id. Begins with ``SPECIAL_TOKENS``; none comes twice.
    counts : int64 array of shape (n_tokens,)
        How often each token occurs in the texts from which the vocabulary was built; ``xxunk``
        counts the tokens that it replaces, so that the counts add up to the length of the texts.

    Raises
    ------
    ParameterError
        If the special tokens are not in their places, a token comes twice or is no text, or there
        is not one count for each.

    Examples
    --------
    >>> counts = TokenCounts({"good": 9, "a": 5, "film": 5, "rare": 1})
    >>> vocabulary = Vocabulary.from_counts(counts, min_freq=2)
    >>> vocabulary
    Vocabulary(12 tokens: good, a, film)
    >>> vocabulary.ids(["a", "good", "rare"]).tolist()
    [10, 9, 0]
    >>> vocabulary.tokens_of([2, 9, 3])
    ['xxbos', 'good', 'xxeos']
    """

    tokens: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.tokens[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            raise ParameterError(
                f"a vocabulary begins with {' '.join(SPECIAL_TOKENS)}, however: it begins with "
                f"{' '.join(map(str, self.tokens[: len(SPECIAL_TOKENS)])) or 'nothing'}"
            )
        if wrong := [token for token in self.tokens if not isinstance(token, str)]:
            raise ParameterError(f"tokens are texts, however: {wrong[0]!r} is not")
        if len(self._ids) < len(self):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise ParameterError(f"the token {twice!r} comes twice in the vocabulary")
        if self.counts.shape != (len(self),) or self.counts.dtype != np.int64:
            raise ParameterError(
                f"a vocabulary needs one int64 count for each of its {len(self)} tokens, however: "
                f"{self.counts.dtype=}, {self.counts.shape=}"
            )

    @classmethod
    def from_counts(
        cls,
        counts: TokenCounts,
        *,
        max_size: int = 60_000,
        min_freq: int = 3,
        required: Sequence[str] = (),
    ) -> "Vocabulary":
        """Take the most frequent tokens.

        Parameters
        ----------
        counts : TokenCounts
            Occurrences in the training texts.
        max_size : int
            Most tokens that the vocabulary holds, the nine special ones included. Default: 60,000,
            as in ULMFiT.
        min_freq : int
            Tokens that are rarer are left out; of a word seen once or twice no vector is learned.
        required : sequence of str
            Tokens that are in however rare they are.

        Returns
        -------
        Vocabulary
            Sorted by falling count, then by token, so that the order of the texts is no matter.

        Raises
        ------
        ParameterError
            If a limit is below 1, or more tokens are required than ``max_size``.

        References
        ----------
        Jeremy Howard and Sebastian Ruder: Universal Language Model Fine-tuning for Text
        Classification, 2018.
        """
        always = {token for token in required if token not in SPECIAL_TOKENS}
        room = max_size - len(SPECIAL_TOKENS) - len(always)
        if room < 0:
            raise ParameterError(
                f"a vocabulary needs room for {max_size - room} tokens at least, the special ones "
                f"and those that are required, however: the limit is {max_size}. Raise "
                "max_vocabulary (of a TextPreprocessor: max_size)"
            )
        if min_freq < 1:
            raise ParameterError(
                f"the least frequency of a token is 1 or more, however: {min_freq}. Raise "
                "min_frequency (of a TextPreprocessor: min_freq)"
            )
        apart = always.union(SPECIAL_TOKENS)
        frequent = (t for t, count in counts.items() if count >= min_freq and t not in apart)
        ranked = sorted(frequent, key=lambda token: (-counts[token], token))
        return cls.from_tokens(always.union(ranked[:room]), counts)

    @classmethod
    def from_tokens(cls, tokens: Collection[str], counts: TokenCounts) -> "Vocabulary":
        """Take these tokens, such as all pieces of a tokenizer, and no others.

        Parameters
        ----------
        tokens : collection of str
            All tokens but the special ones, in any order; none is in it twice.
        counts : TokenCounts
            Occurrences in the training texts.
        """
        kept = sorted(set(tokens), key=lambda token: (-counts[token], token))
        numbers = [counts[token] for token in (*SPECIAL_TOKENS, *kept)]
        numbers[UNKNOWN_ID] += sum(counts.values()) - sum(numbers)
        return cls((*SPECIAL_TOKENS, *kept), np.array(numbers, np.int64))

    def extended(self, counts: TokenCounts, *, min_freq: int = 3) -> "Vocabulary":
        """Return a vocabulary that has further tokens behind these, which keep their ids.

        Parameters
        ----------
        counts : TokenCounts
            Occurrences in further texts.
        min_freq : int
            Tokens that are rarer in them are not added.

        Examples
        --------
        >>> vocabulary = Vocabulary.from_counts(TokenCounts({"good": 9, "film": 5}))
        >>> vocabulary.extended(TokenCounts({"snooze": 4, "film": 3, "rare": 1}))
        Vocabulary(12 tokens: good, film, snooze)
        """
        new = [t for t, count in counts.items() if count >= min_freq and t not in self]
        new.sort(key=lambda token: (-counts[token], token))
        added = np.array([counts[token] for token in new], np.int64)
        return Vocabulary((*self.tokens, *new), np.concatenate([self.counts, added]))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.tokens == other.tokens and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash(self.tokens)

    def __repr__(self) -> str:
        words = self.tokens[len(SPECIAL_TOKENS) :]
        shown = f": {', '.join(words[:3])}" if words else ""
        return f"Vocabulary({len(self):,} tokens{shown}{' ...' if len(words) > 3 else ''})"

    def ids(self, tokens: Iterable[str]) -> npt.NDArray[np.int32]:
        """Return the id of every token, ``UNKNOWN_ID`` for those that are not in.

        Given ``TokenizedTexts.tokens``, this is the table that turns codes to ids.
        """
        return np.fromiter(map(self._ids.get, tokens, repeat(UNKNOWN_ID)), np.int32)

    def tokens_of(self, ids: Iterable[int] | npt.NDArray[np.integer[Any]]) -> list[str]:
        """Return the token of every id.

        Raises
        ------
        DataError
            If there is no such id.
        """
        found = []
        for number in np.asarray(ids).tolist() if isinstance(ids, np.ndarray) else map(int, ids):
            if not 0 <= number < len(self):
                raise DataError(
                    f"the id {number} is not in the vocabulary of {len(self)} tokens; are the "
                    "documents from another one?"
                )
            found.append(self.tokens[number])
        return found

    def fingerprint(self) -> str:
        """Return a text that other tokens, or another order of them, would not have."""
        checksum = crc32("\0".join(self.tokens).encode("utf-8", "surrogatepass"))
        return f"{len(self)} tokens, sum {checksum:08x}"

    def save(self, path: str | Path) -> None:
        """Write a JSON file; ``SaveError`` if that fails."""
        content = {"tokens": self.tokens, "counts": self.counts.tolist()}
        write_json(Path(path), {"format_version": _FORMAT_VERSION, **content})

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read what ``save`` wrote.

        Raises
        ------
        MissingFileError
            If there is no such file.
        ArtifactError
            If it is damaged or no vocabulary, or of a newer version.
        """
        path = Path(path)
        content = read_json(path, "vocabulary", newest=_FORMAT_VERSION)
        try:
            counts = np.array(content["counts"], np.int64)
            if not isinstance(content["tokens"], list):
                raise TypeError("its tokens are no list")
            if (counts < 0).any():
                raise ValueError(f"a count is negative: {counts.min()}")
            return cls(tuple(content["tokens"]), counts)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            # ParameterError is a ValueError, too: what it says is what is wrong with the file.
            raise ArtifactError(
                f"{path} is no vocabulary or is damaged ({error}); save it again or restore a copy"
            ) from error

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}


def check_coverage(vocabulary: Vocabulary, *, min_freq: int, marks: Sequence[str] = ()) -> None:
    """See whether a new vocabulary has words to learn, and how much of its own texts is unknown.

    Parameters
    ----------
    vocabulary : Vocabulary
        What was learned.
    min_freq : int
        The least frequency of its words, for the message.
    marks : sequence of str
        Tokens that are in it for another reason than that they are words of the texts.

    Raises
    ------
    DataError
        If it has no word. If it lacks most of the occurrences, there is a warning.
    """
    apart = len(SPECIAL_TOKENS)
    n_unknown = int(vocabulary.counts[UNKNOWN_ID])
    of_marks = sum(int(vocabulary.counts[vocabulary.ids([mark])[0]]) for mark in marks)
    n_known = int(vocabulary.counts[apart:].sum()) - of_marks
    n_words = len(vocabulary) - apart - len(marks)
    remedy = (
        "Lower min_frequency, raise max_vocabulary (of a TextPreprocessor: min_freq, max_size), or "
        "give more texts"
    )
    if n_unknown and not n_words:
        raise DataError(
            f"there is no word to learn: all {n_unknown:,} of the texts occur less than "
            f"{min_freq:,} times, or there is no room in the vocabulary. {remedy}"
        )
    share = n_unknown / max(n_unknown + n_known, 1)
    if share > _MUCH_UNKNOWN:
        warnings.warn(
            f"{share:.0%} of the words are unknown to the vocabulary of these very texts, which "
            f"has {n_words:,}. {remedy}",
            TabTextWarning,
            stacklevel=5,
        )
