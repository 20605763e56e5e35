"""Beginnings of texts into ids that a language model goes on from, and what it wrote into text."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import pyarrow as pa
import torch

from tabtext.errors import ParameterError
from tabtext.estimators.text_inputs import tokens_of_row
from tabtext.text.preprocessing import TextPreprocessor

__all__ = ["TEMPERATURE", "TOP_P", "continued", "prompt_tokens", "refuse_draws", "seeded_generator"]

TEMPERATURE, TOP_P = 0.8, 0.95
"""How texts are drawn by default."""

_SEEDS = 2**64


def prompt_tokens(preprocessor: TextPreprocessor, prompt: str) -> tuple[list[int], list[str]]:
    """Return the beginning of a document as ids and as tokens, of which some may be unknown.

    Of several columns, the prompt begins the first.

    Raises
    ------
    ParameterError
        If the prompt is no text.

    Examples
    --------
    >>> preprocessor = TextPreprocessor(min_freq=1).fit({"title": ["a film"], "text": ["good"]})
    >>> ids, tokens = prompt_tokens(preprocessor, "a bad film")
    >>> tokens, preprocessor.vocabulary_.tokens_of(ids)[4]
    (['xxbos', 'xxfld', '1', 'a', 'bad', 'film'], 'xxunk')
    """
    if not isinstance(prompt, str):
        raise ParameterError(
            f"prompt={prompt!r:.80} is a {type(prompt).__name__}; give a single text"
        )
    first, *others = preprocessor.columns_
    row = pa.table({first: [prompt], **{name: [""] for name in others}})
    # Behind the prompt come the mark and the number of each other column, and xxeos.
    n_behind = 2 * len(others) + 1
    ids = preprocessor.transform(row)[0][:-n_behind].tolist()
    return ids, list(tokens_of_row(preprocessor, row)[:-n_behind])


def continued(
    preprocessor: TextPreprocessor, prompt: str, written: Sequence[str], ids: Sequence[int]
) -> str:
    """Return a prompt as it was given, and the text of the tokens that continue it.

    Parameters
    ----------
    preprocessor : TextPreprocessor
        The model's.
    prompt : str
        What was given.
    written : sequence of str
        Its tokens.
    ids : sequence of int
        What the model wrote.
    """
    whole = preprocessor.restore([*written, *preprocessor.vocabulary_.tokens_of(ids)])
    start = preprocessor.restore(written)
    if not whole.startswith(
        start
    ):  # a character whose bytes are two pieces of a sub-word tokenizer
        return whole
    # Tokens do not tell all: where spaces were, or that <br> was a line break.
    rest = whole[len(start) :]
    return prompt + (rest.lstrip() if not prompt or prompt[-1].isspace() else rest)


def refuse_draws(*, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise ``ParameterError`` for settings of draws beside a search, which draws nothing."""
    changed = {
        "temperature": temperature != TEMPERATURE,
        "top_k": top_k is not None,
        "top_p": top_p != TOP_P,
    }
    if useless := [name for name, is_changed in changed.items() if is_changed]:
        raise ParameterError(
            f"{', '.join(useless)} cannot be chosen with n_beams, which searches for the likeliest "
            "text and draws nothing; leave out the one or the other"
        )


def seeded_generator(seed: Any) -> torch.Generator:
    """Return a source of chance; ``ParameterError`` if this is no seed.

    Examples
    --------
    >>> seeded_generator(3).initial_seed()
    3
    """
    is_whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not is_whole or not 0 <= seed < _SEEDS:
        raise ParameterError(
            f"random_state={seed!r} must be a whole number, 0 or more, below 2**64"
        )
    return torch.Generator().manual_seed(int(seed))
