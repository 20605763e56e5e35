"""Gradients that are made along with a number: given out as asked for, and scaled."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tabtext.text.softmax.ready_gradients import Compute, with_ready_gradients


def product_of(first: Tensor, second: Tensor, asked: list[Sequence[bool]]) -> Compute:
    """Compute the sum of products, with the gradients that are asked for."""

    def compute(needed: Sequence[bool]) -> tuple[Tensor, Sequence[Tensor | None]]:
        asked.append(list(needed))
        gradients = (second.detach() if needed[0] else None, first.detach() if needed[1] else None)
        return (first * second).sum(), gradients

    return compute


def two_inputs(**options: bool) -> tuple[Tensor, Tensor]:
    return torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 5.0], **options)


def test_gradients_are_scaled_by_what_follows() -> None:
    first, second = two_inputs(requires_grad=True)

    (10 * with_ready_gradients(product_of(first, second, []), first, second)).backward()

    assert torch.equal(first.grad, 10 * second)
    assert torch.equal(second.grad, 10 * first)


def test_a_kept_graph_gives_the_same_gradients_again_though_they_are_given_out_as_they_are() -> (
    None
):
    first, second = two_inputs(requires_grad=True)
    number = with_ready_gradients(product_of(first, second, []), first, second)

    for _ in range(3):
        number.backward(retain_graph=True)

    assert torch.equal(first.grad, 3 * second)
    assert torch.equal(second.grad, 3 * first)


def test_only_those_that_ask_for_gradients_need_them() -> None:
    first, second = two_inputs()
    asked: list[Sequence[bool]] = []

    with_ready_gradients(product_of(first, second, asked), first, second).backward()

    assert asked == [[True, False]]
    assert torch.equal(first.grad, second)


def test_where_gradients_are_not_recorded_none_is_needed() -> None:
    first, second = two_inputs(requires_grad=True)
    asked: list[Sequence[bool]] = []

    with torch.no_grad():
        number = with_ready_gradients(product_of(first, second, asked), first, second)

    assert asked == [[False, False]]
    assert not number.requires_grad


def test_gradients_have_the_type_of_what_they_are_of() -> None:
    first = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)

    with_ready_gradients(lambda needed: (first.sum(), [torch.ones(2)]), first).backward()

    assert first.grad is not None
    assert first.grad.dtype == torch.bfloat16


def test_second_derivatives_are_refused_and_not_wrong() -> None:
    first, second = two_inputs(requires_grad=True)
    number = with_ready_gradients(product_of(first, second, []), first, second)
    (gradient,) = torch.autograd.grad(number**2, first, create_graph=True)

    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
