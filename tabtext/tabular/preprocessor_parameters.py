"""What the parameters of ``TabularPreprocessor`` may be, asked before any work begins."""

from collections.abc import Collection, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

from tabtext.errors import ParameterError, did_you_mean

__all__ = ["check_preprocessor_parameters"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "missing": ("median", "mean", "constant", "signal"),
    "scaling": ("standard", "robust", "quantile", "none"),
}


def check_preprocessor_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise ``ParameterError`` for a parameter that no table could be coded with.

    Parameters
    ----------
    parameters : mapping of str to any
        All of those of ``TabularPreprocessor``. What depends on the columns of a table, such as the
        names in ``roles``, is checked where the table is read.

    Examples
    --------
    >>> from tabtext.tabular.preprocessing import TabularPreprocessor
    >>> check_preprocessor_parameters(TabularPreprocessor(exclude="Store").get_params())
    Traceback (most recent call last):
    tabtext.errors.ParameterError: exclude='Store' must be a list of names, such as ['Store']
    """
    for name, choices in _CHOICES.items():
        value = parameters[name]
        if value not in choices:
            raise ParameterError(
                f"{name}={value!r} is not one of {', '.join(choices)}"
                f"{did_you_mean(str(value), choices)}"
            )
    roles, date_parts = parameters["roles"], parameters["date_parts"]
    if roles is not None and not isinstance(roles, Mapping):
        raise ParameterError(
            f"roles={roles!r} must be a mapping of columns to roles, such as "
            "{'Store': 'categorical'}, or None"
        )
    _require_names("exclude", parameters["exclude"])
    if not (isinstance(date_parts, bool) or date_parts == "auto"):
        _require_names("date_parts", date_parts, otherwise=', or "auto", True or False')
    if not isinstance(parameters["missing_indicators"], bool):
        value = parameters["missing_indicators"]
        raise ParameterError(f"missing_indicators={value!r} must be True or False")
    count, fill_value = parameters["min_count"], parameters["fill_value"]
    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
        raise ParameterError(f"min_count={count!r} must be a whole number of at least 1")
    if not (isinstance(fill_value, Real) and isfinite(fill_value)):
        raise ParameterError(f"fill_value={fill_value!r} must be a finite number")


def _require_names(name: str, value: object, *, otherwise: str = "") -> None:
    single = isinstance(value, str)
    is_list = isinstance(value, Collection) and all(isinstance(part, str) for part in value)
    if single or not is_list:
        example = [value] if single else ["month" if name == "date_parts" else "Store"]
        raise ParameterError(
            f"{name}={value!r} must be a list of names, such as {example!r}{otherwise}"
        )
