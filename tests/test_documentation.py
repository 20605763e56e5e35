"""Every public name is documented: what it is, what goes in, what comes out, and how it is used.

A public name is one of an ``__all__``. The sections are those of numpydoc, found by their
underlines. Examples run as doctests (``--doctest-modules``); here only their presence is asked for.
"""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tabtext"

USERS_LOOK_HERE = {
    "tabtext", "tabtext.estimators", "tabtext.mixed", "tabtext.model_card", "tabtext.plots",
    "tabtext.progress", "tabtext.reports", "tabtext.tabular", "tabtext.text", "tabtext.training",
    "tabtext.tuning",
}  # fmt: skip
"""Each function and class that one of these offers says all, and has an example that runs."""

WITHOUT_EXAMPLE = {
    "tabtext.training.loggers.MLflowLogger": "needs mlflow, which is an optional extra",
    "tabtext.training.loggers.TensorBoardLogger": "needs tensorboard, which is an optional extra",
}
"""Names of those that have none -> why."""


@dataclass(frozen=True)
class Described:
    """A public function or class, or a public method of one, and its docstring."""

    name: str
    node: ast.FunctionDef | ast.ClassDef
    is_method: bool = False
    offered_by: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name

    @property
    def text(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def sections(self) -> dict[str, str]:
        """Heading -> what is below it."""
        parts = re.split(r"^([A-Z][\w ]+)\n-{3,}\n", self.text + "\n", flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    @property
    def documented(self) -> set[str]:
        """Names of the section Parameters; ``**training`` stands for any number of others."""
        lines = re.findall(r"^(\S[^:\n]*)", self.sections["Parameters"], flags=re.MULTILINE)
        return {name.strip() for line in lines for name in line.split(",")}

    @property
    def arguments(self) -> set[str]:
        """What a caller gives to a function, or to a class when it makes an object."""
        if isinstance(self.node, ast.FunctionDef):
            bound = self.is_method and "staticmethod" not in map(
                ast.unparse, self.node.decorator_list
            )
            return set(_arguments_of(self.node)[1 if bound else 0 :])
        for member in self.node.body:
            if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                return set(_arguments_of(member)[1:])
        return _fields_of(self.node) if _is_dataclass(self.node) else set()

    @property
    def returns_something(self) -> bool:
        if not isinstance(self.node, ast.FunctionDef):
            return False
        nothing = {"None", "Iterator[None]", "NoReturn"}
        return ast.unparse(self.node.returns or ast.Constant(None)) not in nothing


def _arguments_of(function: ast.FunctionDef) -> list[str]:
    every = function.args
    named = [*every.posonlyargs, *every.args, *every.kwonlyargs]
    starred = [("*", every.vararg), ("**", every.kwarg)]
    return [
        *(argument.arg for argument in named),
        *(stars + argument.arg for stars, argument in starred if argument is not None),
    ]


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _fields_of(node: ast.ClassDef) -> set[str]:
    """Fields of a dataclass without a docstring of their own."""
    found = set()
    for member, after in zip(node.body, [*node.body[1:], None], strict=True):
        has_own = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            is_ours = "ClassVar" in ast.unparse(member) or "init=False" in ast.unparse(member)
            if not (has_own or is_ours or member.target.id.startswith("_")):
                found.add(member.target.id)
    return found


def _all_of(module: ast.Module) -> list[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


@functools.cache
def public_names() -> tuple[Described, ...]:
    """Functions and classes of every ``__all__``, where they are defined."""
    modules = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    names = {path: _name_of(path) for path in modules}
    offers: dict[str, set[str]] = {}
    for path, module in modules.items():
        for name in _all_of(module):
            offers.setdefault(name, set()).add(names[path])
    return tuple(
        Described(
            f"{names[path]}.{node.name}",
            node,
            # Others may have the same name elsewhere.
            offered_by=frozenset(p for p in offers[node.name] if names[path].startswith(p)),
        )
        for path, module in modules.items()
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in _all_of(module)
    )


def _name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def public_methods() -> Iterator[Described]:
    for public in public_names():
        for member in public.node.body if isinstance(public.node, ast.ClassDef) else ():
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                yield Described(f"{public.name}.{member.name}", member, is_method=True)


PUBLIC = public_names()
# A command's options have help texts of their own, and a docstring that is shown as it is.
USED = [
    p for p in PUBLIC if p.offered_by & USERS_LOOK_HERE and not p.name.startswith("tabtext.cli")
]
WITH_PARAMETERS = [p for p in [*PUBLIC, *public_methods()] if "Parameters" in p.sections]


def test_names_are_found() -> None:
    assert len(PUBLIC) > 400
    assert len(USED) > 60
    assert len(WITH_PARAMETERS) > 300


def test_every_public_name_says_what_it_is() -> None:
    assert [str(public) for public in PUBLIC if not public.text] == []


@pytest.mark.parametrize("public", WITH_PARAMETERS, ids=str)
def test_parameters_are_those_that_there_are(public: Described) -> None:
    documented = public.documented
    if any(name.startswith("**") for name in documented):  # inherited ones
        assert not {n for n in public.arguments if not n.startswith("*")} - documented
    else:
        assert documented == public.arguments


@pytest.mark.parametrize("public", USED, ids=str)
def test_what_users_use_says_what_goes_in_and_out_and_shows_it(public: Described) -> None:
    sections = public.sections
    if public.arguments:
        assert "Parameters" in sections
    if public.returns_something:
        said = public.text.startswith(("Return", "Whether", "Give"))
        assert said or {"Returns", "Yields"} & set(sections)
    if public.name not in WITHOUT_EXAMPLE:
        assert ">>> " in sections.get("Examples", "")


@pytest.mark.parametrize("name", WITHOUT_EXAMPLE)
def test_exceptions_are_needed(name: str) -> None:
    (public,) = [public for public in USED if public.name == name]
    assert ">>> " not in public.text
