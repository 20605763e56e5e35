"""Conditions over columns, written as text: ``"Sales > 0 and StateHoliday in ['a', 'b']"``.

Text goes in; a checked `Expression` comes out that tells, for the rows of an Arrow table, where
the condition holds. The text looks like Python but is never run as Python: it is parsed into a
syntax tree, everything outside the short grammar is refused at once with the place where it
stands, and the rest is computed by Arrow. There are no calls, no attributes and no indexing, so
a condition from a configuration file cannot do anything but compare.

Grammar::

    condition  := condition "and" condition | condition "or" condition | "not" condition
                | value (("<" | "<=" | ">" | ">=" | "==" | "!=") value)+
                | value ["not"] "in" "[" constant, ... "]"
                | value "is" ["not"] "None"
                | column                                    true, or a number other than 0
    value      := column | constant | value ("+" | "-" | "*" | "/") value | "-" value
    column     := name | "`any name, also with spaces`"
    constant   := number | "text" | "True" | "False"

Missing values: a comparison with a missing value (null or NaN) is neither true nor false but
unknown, and ``and``, ``or`` and ``not`` follow Kleene's logic as in SQL: ``unknown and False`` is
false, ``unknown and True`` is unknown. What unknown means for a row is for the caller to say.
Arithmetic is done in 64-bit floats. A text constant beside a date column is read as a date:
``"Date < '2015-06-19'"``.
"""

import ast
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from tabtext.errors import ColumnTypeError
from tabtext.tabular.grammar import ConditionText, elements_of
from tabtext.tabular.grouping import take_column

__all__ = ["Expression"]

_COMPARISONS: dict[type[ast.cmpop], Callable[..., pa.Array]] = {
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
}
_ARITHMETIC: dict[type[ast.operator], Callable[..., pa.Array]] = {
    ast.Add: pc.add,
    ast.Sub: pc.subtract,
    ast.Mult: pc.multiply,
    ast.Div: pc.divide,
}


@dataclass(frozen=True)
class Expression:
    """A condition over the columns of a table, checked when it is made.

    Parameters
    ----------
    text : str
        The condition, in the grammar at the top of this module.

    Attributes
    ----------
    columns : tuple of str
        The columns that the condition names, in the order of their first appearance.

    Raises
    ------
    ParameterError
        If the text is outside the grammar; the message points at the place.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"Sales": [0, 5, None], "Open Today": [0, 1, 1]})
    >>> condition = Expression("Sales > 0 and `Open Today` == 1")
    >>> condition.columns
    ('Sales', 'Open Today')
    >>> condition.evaluate(table).to_pylist()
    [False, True, None]
    >>> Expression("Sales ** 2 > 0")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tabtext.errors.ParameterError: this is not allowed in a condition:
        Sales ** 2 > 0
        ^^^^^^^^^^
    A condition may use column names (in backticks if they are not plain names), numbers, ...
    """

    text: str
    columns: tuple[str, ...] = field(init=False, compare=False)
    _source: ConditionText = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        source = ConditionText(self.text)
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "columns", tuple(dict.fromkeys(source.names(source.tree))))

    def evaluate(self, table: pa.Table) -> pa.ChunkedArray:
        """Return where the condition holds: boolean, null where a missing value hides the answer.

        Raises
        ------
        UnknownColumnError
            If a column is not in the table.
        ColumnTypeError
            If a column's type does not fit what is done with it.
        """
        return _Evaluation(self._source, table).condition(self._source.tree)


@dataclass(frozen=True)
class _Value:
    """A column, a constant or a result: Arrow data and what it is."""

    data: pa.ChunkedArray | pa.Scalar
    kind: str  # "number", "text", "date", or "missing": a column without any value

    @property
    def is_constant(self) -> bool:
        return isinstance(self.data, pa.Scalar)


class _Evaluation:
    """One condition, known to be in the grammar, over one table."""

    def __init__(self, source: ConditionText, table: pa.Table) -> None:
        self._source = source
        self._table = table
        self._columns: dict[str, _Value] = {}

    def condition(self, node: ast.expr) -> pa.ChunkedArray:
        """Return where a condition holds, null where that is unknown."""
        match node:
            case ast.BoolOp():
                combine = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
                return reduce(combine, map(self.condition, node.values))
            case ast.UnaryOp():
                return pc.invert(self.condition(node.operand))
            case ast.Compare():
                lefts = [node.left, *node.comparators[:-1]]
                steps = zip(lefts, node.ops, node.comparators, strict=True)
                return reduce(pc.and_kleene, (self._compare(*step) for step in steps))
        truth = self._value(node)
        if truth.kind == "missing":
            return self._unknown()
        if truth.kind != "number":
            what = f"{self._describe(node, truth)}, which is neither true nor false"
            raise self._type_error(what, "Compare it with something.")
        return pc.not_equal(truth.data, 0)

    def _compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> pa.ChunkedArray:
        value = self._value(left)
        if isinstance(operator, ast.Is):
            return pc.is_null(value.data)
        if isinstance(operator, ast.IsNot):
            return pc.is_valid(value.data)
        if isinstance(operator, ast.In | ast.NotIn):
            equal = (self._compare(left, ast.Eq(), element) for element in elements_of(right))
            inside = reduce(pc.or_kleene, equal)
            return inside if isinstance(operator, ast.In) else pc.invert(inside)
        other = self._value(right)
        if "missing" in (value.kind, other.kind):
            return self._unknown()
        if value.kind == "date" and other.kind == "text" and other.is_constant:
            other = self._as_date(right, other, value.data.type)
        elif other.kind == "date" and value.kind == "text" and value.is_constant:
            value = self._as_date(left, value, other.data.type)
        same_kind = value.kind == other.kind
        if not same_kind or (value.kind == "date" and _is_aware(value) != _is_aware(other)):
            first, second = self._describe(left, value), self._describe(right, other)
            raise self._type_error(f"{first}, but {second}")
        return _COMPARISONS[type(operator)](*_with_one_type(value, other))

    def _value(self, node: ast.expr) -> _Value:
        match node:
            case ast.Name():
                name = self._source.name(node)
                if name not in self._columns:
                    self._columns[name] = self._column(name)
                return self._columns[name]
            case ast.Constant():
                return _constant(cast("str | float", node.value))  # the grammar let nothing else in
            case ast.UnaryOp(op=ast.UAdd()):
                return self._number(node.operand)
            case ast.UnaryOp():
                operand = self._number(node.operand)
                # Unsigned numbers have no negatives; a constant stays as exact as it is written.
                data = operand.data if operand.is_constant else _as_float(operand.data)
                return _Value(pc.negate(data), "number")
            case ast.BinOp():
                sides = (self._number(side).data for side in (node.left, node.right))
                result = _ARITHMETIC[type(node.op)](*(_as_float(side) for side in sides))
                return _Value(_without_nan(result), "number")
        raise self._source.error(node)

    def _number(self, node: ast.expr) -> _Value:
        value = self._value(node)
        if value.kind == "missing":
            return _Value(value.data.cast(pa.float64()), "number")
        if value.kind != "number":
            raise self._type_error(
                f"{self._describe(node, value)}, which cannot be calculated with"
            )
        return value

    def _column(self, name: str) -> _Value:
        data = take_column(self._table, name)
        if pa.types.is_dictionary(data.type):
            data = data.cast(data.type.value_type)
        dtype = data.type
        if pa.types.is_null(dtype):
            return _Value(data, "missing")
        if pa.types.is_boolean(dtype):
            return _Value(data.cast(pa.int8()), "number")
        if pa.types.is_uint64(dtype):  # Arrow compares it with nothing else beyond 2**53
            return _Value(_as_float(data), "number")
        if pa.types.is_integer(dtype):
            return _Value(data, "number")
        if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
            return _Value(_without_nan(_as_float(data)), "number")
        if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
            return _Value(data, "text")
        if pa.types.is_string_view(dtype):
            return _Value(data.cast(pa.large_string()), "text")
        if pa.types.is_date(dtype):
            return _Value(data.cast(pa.date32()), "date")
        if pa.types.is_timestamp(dtype):
            return _Value(data, "date")
        raise self._type_error(f"column {name!r} holds {dtype}, which a condition cannot use")

    def _as_date(self, node: ast.expr, text: _Value, dtype: pa.DataType) -> _Value:
        """Read a text constant as a date of the type of the column beside it."""
        aware = pa.types.is_timestamp(dtype) and dtype.tz is not None
        try:
            date = text.data.cast(pa.timestamp(dtype.unit) if aware else dtype)
        except pa.ArrowInvalid as error:
            what = f"this is no date; write it like '2015-07-31' to compare it with {dtype}"
            raise self._source.error(node, what) from error
        if aware:
            date = pc.assume_timezone(date, dtype.tz, ambiguous="earliest", nonexistent="earliest")
        return _Value(date, "date")

    def _unknown(self) -> pa.ChunkedArray:
        return pa.chunked_array([pa.nulls(self._table.num_rows, pa.bool_())])

    def _describe(self, node: ast.expr, value: _Value) -> str:
        if isinstance(node, ast.Name):
            return f"column {self._source.name(node)!r} holds a {value.kind} ({value.data.type})"
        return f"{self._source.written(node)} is a {value.kind}"

    def _type_error(
        self,
        what: str,
        remedy: str = "Compare numbers with numbers, and text with constants in quotes.",
    ) -> ColumnTypeError:
        return ColumnTypeError(f"condition {self._source.text!r}: {what}. {remedy}")


def _constant(value: str | float) -> _Value:
    if isinstance(value, str):
        return _Value(pa.scalar(value), "text")
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, int) and value < 2**63:
        return _Value(pa.scalar(value, pa.int64()), "number")
    number = math.inf if value > sys.float_info.max else float(value)
    return _Value(pa.scalar(number, pa.float64()), "number")


def _as_float(data: pa.ChunkedArray | pa.Scalar) -> pa.ChunkedArray | pa.Scalar:
    return data.cast(pa.float64(), safe=False)


def _without_nan(data: pa.ChunkedArray | pa.Scalar) -> pa.ChunkedArray | pa.Scalar:
    """Return the data with nulls where it is not a number: missing either way."""
    return pc.if_else(pc.is_nan(data), pa.scalar(None, data.type), data)


def _is_aware(value: _Value) -> bool:
    return pa.types.is_timestamp(value.data.type) and value.data.type.tz is not None


def _with_one_type(value: _Value, other: _Value) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return the data of two values of one kind, in types that Arrow compares exactly."""
    left, right = value.data, other.data
    if value.kind == "number" and pa.types.is_floating(left.type) != pa.types.is_floating(
        right.type
    ):
        return _as_float(left), _as_float(right)
    if value.kind == "date" and _is_aware(value):
        return left, right.cast(left.type, safe=False)
    return left, right
