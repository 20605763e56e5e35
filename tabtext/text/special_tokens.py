"""The nine tokens that are no words: first in every vocabulary, in this order, under these ids."""

__all__ = [
    "BEGIN",
    "BEGIN_ID",
    "CAPITALISED",
    "END",
    "END_ID",
    "FIELD",
    "FIELD_ID",
    "PADDING",
    "PADDING_ID",
    "REPEATED",
    "SPECIAL_TOKENS",
    "UNKNOWN",
    "UNKNOWN_ID",
    "UPPER",
    "WORD_REPEATED",
]

UNKNOWN = "xxunk"
"""Stands for every word that is not in the vocabulary."""
PADDING = "xxpad"
"""Fills rows of a batch behind the end of their text; never learned from."""
BEGIN = "xxbos"
"""Begins every document."""
END = "xxeos"
"""Ends every document."""
FIELD = "xxfld"
"""Before the number of a text column, where a document has several."""
REPEATED = "xxrep"
"""``xxrep 4 !`` stands for ``!!!!``."""
WORD_REPEATED = "xxwrep"
"""``xxwrep 3 very`` stands for ``very very very``."""
UPPER = "xxup"
"""The next word was written in CAPITALS."""
CAPITALISED = "xxmaj"
"""The next word began with a Capital."""

SPECIAL_TOKENS = (
    UNKNOWN,
    PADDING,
    BEGIN,
    END,
    FIELD,
    REPEATED,
    WORD_REPEATED,
    UPPER,
    CAPITALISED,
)
"""In the order of their ids, which begin with 0."""

UNKNOWN_ID, PADDING_ID, BEGIN_ID, END_ID, FIELD_ID = range(5)
