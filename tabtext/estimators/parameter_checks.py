"""What a parameter may be, asked before any work begins.

A name and a value flow in; nothing flows out, or a ``ParameterError`` that says both and what is
accepted.
"""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from tabtext.errors import ParameterError, did_you_mean

__all__ = ["require_bool", "require_choice", "require_share", "require_whole", "require_widths"]


def require_bool(name: str, value: object) -> None:
    """Raise ``ParameterError`` unless this is True or False.

    Examples
    --------
    >>> require_bool("spectral_norm", True)
    """
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{name}={value!r} must be True or False")


def require_choice(name: str, value: object, known: Sequence[str]) -> None:
    """Raise ``ParameterError`` unless this is one of the names that are known.

    Examples
    --------
    >>> require_choice("size", "small", ("small", "large"))
    """
    if not (isinstance(value, str) and value in known):
        raise ParameterError(
            f"{name}={value!r} is not one of {', '.join(known)}{did_you_mean(str(value), known)}"
        )


def require_whole(
    name: str, value: object, *, smallest: int, largest: int | None = None, remedy: str = ""
) -> None:
    """Raise ``ParameterError`` unless this is a whole number from ``smallest`` to ``largest``.

    Examples
    --------
    >>> require_whole("n_layers", 2.5, smallest=1)
    Traceback (most recent call last):
    tabtext.errors.ParameterError: n_layers=2.5 must be a whole number of at least 1
    """
    if not _is_whole(value, smallest, largest):
        span = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest:,}"
        raise ParameterError(f"{name}={value!r} must be a whole number {span}{remedy}")


def require_share(name: str, value: object, *, remedy: str = "") -> None:
    """Raise ``ParameterError`` unless this is a number in [0, 1).

    Examples
    --------
    >>> require_share("head_dropout", 0.1)
    """
    if not (isinstance(value, Real) and 0 <= float(value) < 1):
        raise ParameterError(f"{name}={value!r} must be a number in [0, 1){remedy}")


def require_widths(name: str, value: Any) -> None:
    """Raise ``ParameterError`` unless this is a sequence of whole numbers of at least 1.

    Examples
    --------
    >>> require_widths("head_widths", (50, 25))
    """
    is_sequence = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
    if not (is_sequence and all(_is_whole(width, 1, None) for width in value)):
        raise ParameterError(
            f"{name}={value!r} must be a sequence of whole numbers of at least 1, such as (50,)"
        )


def _is_whole(value: object, smallest: int, largest: int | None) -> bool:
    if not isinstance(value, Integral) or isinstance(value, bool):
        return False
    return smallest <= int(value) and (largest is None or int(value) <= largest)
