"""The grammar of conditions: text in, a checked syntax tree with places out.

`tabtext.tabular.expressions` documents the grammar and evaluates the trees. Python's own parser
does the reading; this module refuses, with the place, every node that the grammar does not name.
"""

import ast
import re

from tabtext.errors import ParameterError

__all__ = ["ConditionText", "elements_of"]

_MAX_LENGTH = 10_000  # characters: far beyond what a person writes, far below what hurts
_MAX_DEPTH = 50  # nesting: so that Python's recursion limit is never what stops a condition

_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_GRAMMAR = (
    "A condition may use column names (in backticks if they are not plain names), numbers, text, "
    "< <= > >= == !=, in [...], is None, + - * /, and, or, not and parentheses."
)
# Text in quotes, in which nothing has a meaning; a name in backticks; a comment.
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?P<name>[^`]*)`|(?P<comment>#)""")


class ConditionText:
    """The text of a condition with its checked syntax tree, and where each node stands in it.

    Examples
    --------
    >>> condition = ConditionText("`Open Today` == 1 and Sales > 0")
    >>> condition.names(condition.tree)
    ['Open Today', 'Sales']
    """

    def __init__(self, text: str) -> None:
        # One line, so that a place is a column; inside quotes Python allows no line break anyway.
        self.text = re.sub(r"[\r\n]", " ", text.strip())
        if not self.text or len(self.text) > _MAX_LENGTH:
            raise ParameterError(
                f"a condition has 1 to {_MAX_LENGTH} characters, not {len(self.text)}. {_GRAMMAR}"
            )
        self._backticked: dict[int, str] = {}
        plain = _QUOTED.sub(self._without_backticks, self.text)
        self._bytes = plain.encode()
        try:
            self.tree = ast.parse(plain, mode="eval").body
        except SyntaxError as error:
            start = error.offset - 1 if error.offset else len(self.text)  # none at the end
            raise self._error_at(start, start + 1, error.msg) from error
        except (ValueError, RecursionError, MemoryError) as error:  # NUL, or nested too deeply
            raise ParameterError(f"condition {self.text[:60]!r}: {error}. {_GRAMMAR}") from error
        _check_condition(self, self.tree)

    def _without_backticks(self, match: re.Match[str]) -> str:
        """Return as many underscores, a name to Python, so that all places stay the same."""
        if match["comment"]:
            raise self._error_at(*match.span(), "comments are not allowed in a condition")
        if match["name"] is None:
            return match[0]
        self._backticked[match.start()] = match["name"]
        return "_" * len(match[0])

    def name(self, node: ast.expr) -> str:
        """Return the name of a column as it is written."""
        start, end = self._span(node)
        return self._backticked.get(start, self.text[start:end])

    def names(self, node: ast.expr) -> list[str]:
        """Return the columns that a part of the condition names, in their order."""
        found = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        return [self.name(part) for part in sorted(found, key=self._span)]

    def written(self, node: ast.expr) -> str:
        """Return a part of the condition as it is written."""
        return self.text[slice(*self._span(node))]

    def error(
        self, node: ast.expr, what: str = "this is not allowed in a condition"
    ) -> ParameterError:
        """Return an error that shows where the node stands."""
        return self._error_at(*self._span(node), what)

    def _span(self, node: ast.expr) -> tuple[int, int]:
        """Return start and end in characters; ``ast`` counts bytes of UTF-8."""
        start, end = node.col_offset, node.end_col_offset
        return len(self._bytes[:start].decode()), len(self._bytes[:end].decode())

    def _error_at(self, start: int, end: int, what: str) -> ParameterError:
        marks = " " * start + "^" * max(end - start, 1)
        return ParameterError(f"{what}:\n    {self.text}\n    {marks}\n{_GRAMMAR}")


def elements_of(node: ast.expr) -> list[ast.expr]:
    """Return the elements of a list, tuple or set, and none for anything else."""
    return node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []


def _check_condition(source: ConditionText, node: ast.expr, depth: int = 0) -> None:
    """Raise unless the node is a condition of the grammar."""
    if depth > _MAX_DEPTH:
        raise source.error(node, "this is nested too deeply")
    match node:
        case ast.BoolOp():
            for part in node.values:
                _check_condition(source, part, depth + 1)
        case ast.UnaryOp(op=ast.Not()):
            _check_condition(source, node.operand, depth + 1)
        case ast.Compare():
            _check_comparison(source, node, depth)
        case ast.Name():
            pass
        case ast.BinOp() | ast.Constant() | ast.UnaryOp():
            _check_value(source, node, depth)
            raise source.error(node, "this is a value, not a condition; compare it with something")
        case _:
            raise source.error(node)


def _check_comparison(source: ConditionText, node: ast.Compare, depth: int) -> None:
    _check_value(source, node.left, depth + 1)
    for operator, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            if not elements_of(right):
                raise source.error(right, "'in' needs a list of constants in brackets")
            for element in elements_of(right):
                _check_value(source, element, depth + 1)
                if source.names(element):
                    raise source.error(element, "only constants may stand in this list")
        elif isinstance(operator, ast.Is | ast.IsNot):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise source.error(right, "only None may stand after 'is'; use == to compare")
        else:
            _check_value(source, right, depth + 1)
    if len(node.ops) > 1 and not all(isinstance(operator, _COMPARISONS) for operator in node.ops):
        raise source.error(node, "'in' and 'is' cannot be chained with other comparisons")
    if not source.names(node):
        raise source.error(node, "this compares constants; name a column")


def _check_value(source: ConditionText, node: ast.expr, depth: int) -> None:
    """Raise unless the node is a value of the grammar."""
    if depth > _MAX_DEPTH:
        raise source.error(node, "this is nested too deeply")
    match node:
        case ast.Name() | ast.Constant(value=bool() | int() | float() | str()):
            pass
        case ast.Constant(value=None):
            raise source.error(node, "nothing equals None; write 'is None' or 'is not None'")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            _check_value(source, node.operand, depth + 1)
        case ast.BinOp() if isinstance(node.op, _ARITHMETIC):
            _check_value(source, node.left, depth + 1)
            _check_value(source, node.right, depth + 1)
        case _:
            raise source.error(node)
