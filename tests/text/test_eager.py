"""Functions that the compiler leaves alone."""

import pytest
import torch
from torch import Tensor

from tabtext.text.eager import never_compiled


@never_compiled
def seen_by_compiler(values: Tensor) -> tuple[Tensor, bool]:
    """Documented."""
    return values + 1, torch.compiler.is_compiling()


def test_the_function_stays_what_it_was() -> None:
    assert seen_by_compiler.__name__ == "seen_by_compiler"
    assert seen_by_compiler.__doc__ == "Documented."
    assert seen_by_compiler(torch.ones(1))[0].tolist() == [2.0]


@pytest.mark.slow
def test_within_a_compiled_function_it_runs_as_it_is() -> None:
    compiled: list[str] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        compiled.append(graph.code)
        return graph.forward

    def outer(values: Tensor) -> tuple[Tensor, bool]:
        found, was_compiling = seen_by_compiler(values * 3)
        return found * 2, was_compiling

    found, was_compiling = torch.compile(outer, backend=backend)(torch.ones(1))

    assert found.tolist() == [8.0]
    assert not was_compiling
    assert len(compiled) == 2
    assert not any("+ 1" in code for code in compiled)
