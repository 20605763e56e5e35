"""What a user can set of the text estimators: tokens, encoder, direction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, get_args

from tabtext.errors import ParameterError
from tabtext.estimators.parameter_checks import require_choice, require_whole
from tabtext.estimators.text_columns import asked_columns
from tabtext.estimators.training_parameters import TrainingParameters
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.rules import TextRules
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import Tokenizer, WordTokenizer

__all__ = ["DIRECTIONS", "SIZES", "Direction", "TextParameters"]

Direction = Literal["forward", "backward", "both"]
TokenKind = Literal["words", "bpe", "unigram"]

SIZES: dict[str, dict[str, int]] = {
    "small": {"embedding_width": 128, "hidden_width": 256, "n_layers": 2},  # minutes on two cores
    "medium": {"embedding_width": 200, "hidden_width": 600, "n_layers": 3},
    "large": {"embedding_width": 400, "hidden_width": 1152, "n_layers": 3},  # ULMFiT's; for GPUs
}
"""Encoders by name."""

DIRECTIONS: dict[str, tuple[str, ...]] = {
    "forward": ("forward",),
    "backward": ("backward",),
    "both": ("forward", "backward"),
}
"""The networks that a direction stands for."""


@dataclass(kw_only=True, eq=False, repr=False)
class TextParameters(TrainingParameters):
    """The parameters that all text estimators share.

    Parameters
    ----------
    text_columns : str or sequence of str, optional
        The column or columns that are read; default: every text column that is no target. Texts of
        several columns follow each other, each behind ``xxfld`` and its number.
    language : str
        Code of the language whose spaCy tokenizer cuts the text into words.
    rules : TextRules, optional
        Which clean-ups run before and after the tokenizer; default: all of them.
    tokens : {"words", "bpe", "unigram"}
        Words and punctuation, or sub-words learned from the texts, for languages where words fail.
    max_vocabulary : int
        Largest number of tokens; the rarer ones become ``xxunk``.
    min_frequency : int
        Tokens that occur less often become ``xxunk``.
    size : {"small", "medium", "large"}
        Encoder: embedding 128, 2 layers of 256; 200, 3 of 600; 400, 3 of 1,152.
    embedding_width, hidden_width, n_layers : int, optional
        Where they should differ from ``size``.
    cell : {"lstm", "gru", "irnn"}
        The recurrent cell; ``"irnn"`` is a ReLU network that begins with the identity.
    dropout_scale : float
        What all dropout rates of the encoder are multiplied by.
    direction : {"forward", "backward", "both"}
        Read from the first word on, from the last one back, or both by a network of its own; then
        their probabilities are averaged.
    """

    text_columns: str | Sequence[str] | None = None
    language: str = "en"
    rules: TextRules | None = None
    tokens: TokenKind = "words"
    max_vocabulary: int = 60_000
    min_frequency: int = 3
    size: Literal["small", "medium", "large"] = "small"
    embedding_width: int | None = None
    hidden_width: int | None = None
    n_layers: int | None = None
    cell: Literal["lstm", "gru", "irnn"] = "lstm"
    dropout_scale: float = 1.0
    direction: Direction = "forward"

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        asked_columns(self.text_columns)
        if not isinstance(self.language, str):
            raise ParameterError(f"language={self.language!r} must be a code, such as 'en'")
        require_choice("size", self.size, tuple(SIZES))
        require_choice("tokens", self.tokens, get_args(TokenKind))
        require_choice("direction", self.direction, tuple(DIRECTIONS))
        self._check_numbers()
        if not (self.rules is None or isinstance(self.rules, TextRules)):
            raise ParameterError(
                f"rules={self.rules!r} must be a TextRules, such as TextRules(html=False), or None "
                "for all of them"
            )
        self.encoder_options()

    def _check_numbers(self) -> None:
        for name in ("max_vocabulary", "min_frequency"):
            require_whole(name, getattr(self, name), smallest=1)
        if not (isinstance(self.dropout_scale, Real) and self.dropout_scale >= 0):
            raise ParameterError(
                f"dropout_scale={self.dropout_scale!r} must be a number of at least 0"
            )
        for name in ("embedding_width", "hidden_width", "n_layers"):
            if getattr(self, name) is not None:
                require_whole(
                    name, getattr(self, name), smallest=1, remedy=", or None for that of size"
                )

    def directions(self) -> tuple[str, ...]:
        """The networks to train, by the direction in which they read."""
        return DIRECTIONS[self.direction]

    def new_text_preprocessor(self) -> TextPreprocessor:
        """An unfitted preprocessor."""
        tokenizer: Tokenizer
        if self.tokens == "words":
            rules = TextRules() if self.rules is None else self.rules
            tokenizer = WordTokenizer(language=self.language, rules=rules)
        else:
            tokenizer = SubwordTokenizer(model=self.tokens, vocabulary_size=self.max_vocabulary)
        return TextPreprocessor(
            tokenizer=tokenizer, max_size=self.max_vocabulary, min_freq=self.min_frequency
        )

    def encoder_options(self) -> EncoderOptions:
        """The encoder's shape and dropouts."""
        own = {
            name: getattr(self, name)
            for name in ("embedding_width", "hidden_width", "n_layers")
            if getattr(self, name) is not None
        }
        shape = EncoderOptions(**{**SIZES[self.size], **own})
        return replace(shape, cell=self.cell, dropout_scale=self.dropout_scale)
