"""Functions that torch's compiler leaves alone, at no cost where there is no compiler."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

__all__ = ["never_compiled"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def never_compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Do what ``torch.compiler.disable`` does, once there is a compiler to be kept away.

    ``torch.compiler.disable`` loads the whole compiler, which takes longer than to load a language
    model and ask it. Who compiles has loaded it before the function is called.

    Examples
    --------
    >>> @never_compiled
    ... def doubled(number):
    ...     return 2 * number
    >>> doubled(3)
    6
    """
    disabled: list[Callable[Arguments, Result]] = []

    @wraps(function)
    def called(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        if "torch._dynamo" not in sys.modules:
            return function(*arguments, **named)
        if not disabled:
            disabled.append(torch.compiler.disable(function))  # type: ignore[no-untyped-call]
        return disabled[0](*arguments, **named)

    return called
