"""The distinct words seen so far, and the tokens that each is shown as."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from tabtext.text.rules import CHARACTER_MARK, TextRules, is_countable
from tabtext.text.special_tokens import WORD_REPEATED
from tabtext.text.words.growing import GrowingArray

__all__ = ["WordTable"]

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


class WordTable:
    """Numbers of words and of tokens, and the rules for words between them.

    Parameters
    ----------
    rules : TextRules
        The clean-ups.

    Attributes
    ----------
    tokens : list of str
        All tokens, in the order of their numbers.

    Examples
    --------
    >>> table = WordTable(TextRules())
    >>> words = table.add(["No", "so"])
    >>> codes, ends = table.show(words[[0, 1, 1, 1, 0]], np.array([4, 5]))
    >>> [table.tokens[code] for code in codes], ends.tolist()
    (['xxmaj', 'no', 'xxwrep', '3', 'so', 'xxmaj', 'no'], [5, 7])
    """

    def __init__(self, rules: TextRules) -> None:
        self.rules = rules
        self.tokens: list[str] = []
        self._token_numbers: dict[str, int] = {}
        self._word_numbers: dict[str, int] = {}
        self._shown = GrowingArray(np.int32)
        self._shown_ends = GrowingArray(np.int64, [0])
        self._countable = GrowingArray(np.bool_)
        self._new_codes = GrowingArray(np.int32)
        self._character_mark = -1
        if rules.repeated_characters:
            self._character_mark = int(self.add([CHARACTER_MARK])[0])
        self._word_mark = self._token(WORD_REPEATED) if rules.repeated_words else -1

    def __len__(self) -> int:
        return len(self._word_numbers)

    def add(self, words: Sequence[str]) -> Codes:
        """Return the words' numbers; new words get the next ones."""
        known = self._word_numbers
        before = len(known)
        numbers = np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32)
        new = list(islice(reversed(known), len(known) - before))
        self._add_tokens(reversed(new))
        return numbers

    def show(self, words: Codes, ends: Places) -> tuple[Codes, Places]:
        """Return the numbers of the tokens of several texts' words, and where each text's end."""
        from tabtext.text.kernels.tokens import show_words

        codes = np.empty(2 * len(words), np.int32)  # no word has more than two tokens
        code_ends = np.empty(len(ends), np.int64)
        length = show_words(
            words,
            ends,
            self._shown.values,
            self._shown_ends.values,
            self._countable.values,
            self._character_mark,
            self._word_mark,
            codes,
            code_ends,
        )
        codes = codes[:length]
        if self._word_mark >= 0:
            places = np.flatnonzero(codes < 0)
            codes[places] = [self._token(str(-number)) for number in codes[places].tolist()]
        return codes, code_ends

    def used(self, codes: Codes) -> tuple[str, ...]:
        """Return the tokens that occur, in the order of the first time, and number them anew.

        ``codes`` is changed in place. So the same texts give the same codes, whatever the table
        had learned before.
        """
        from tabtext.text.kernels.tokens import renumber

        lacking = len(self.tokens) - len(self._new_codes)
        self._new_codes.extend(np.full(lacking, -1, np.int32))
        found = np.empty(min(len(codes), len(self.tokens)), np.int32)
        n_found = renumber(codes, self._new_codes.values, found)
        return tuple(self.tokens[number] for number in found[:n_found].tolist())

    def _add_tokens(self, words: Iterable[str]) -> None:
        shown: list[int] = []
        ends: list[int] = []
        countable: list[bool] = []
        begin = len(self._shown)
        for word in words:
            shown.extend(map(self._token, self.rules.mark(word)))
            ends.append(begin + len(shown))
            countable.append(is_countable(word))
        self._shown.extend(shown)
        self._shown_ends.extend(ends)
        self._countable.extend(countable)

    def _token(self, token: str) -> int:
        number = self._token_numbers.setdefault(token, len(self.tokens))
        if number == len(self.tokens):
            self.tokens.append(token)
        return number
