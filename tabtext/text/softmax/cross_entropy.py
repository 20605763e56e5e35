"""Cross-entropy over a large vocabulary, from hidden states, without logits in between.

Hidden states ``(n, width)``, the weight and bias of a softmax, and targets ``(n,)`` flow in; their
mean loss flows out. Its gradients are made on the way there and only scaled on the way back, so
nothing of the size ``(n, vocabulary)`` outlives a chunk of rows. For how, see ``chunked``.
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from tabtext.errors import ColumnTypeError, DataError, ParameterError, did_you_mean
from tabtext.text.softmax.chunked import Gradients, on_all_cores, target_losses
from tabtext.text.softmax.ready_gradients import with_ready_gradients
from tabtext.text.special_tokens import PADDING_ID

__all__ = [
    "Products",
    "check_inputs",
    "linear_cross_entropy",
    "mean_weights",
    "product_dtype",
    "sum_dtype",
    "token_losses",
]

Products = Literal["auto", "fp32", "bf16"]
"""How hidden states and weights are multiplied.

- ``"fp32"``: in single precision (double, where one of the inputs is).
- ``"bf16"``: in bfloat16, added up in single precision; so are all exponentials and sums.
- ``"auto"``: ``"bf16"`` where that is fast and meant: on CPUs with instructions for it
  (AVX-512 BF16, AMX), and on a GPU under autocast. Else ``"fp32"``. The rounding changes a language
  model's loss by a ten-thousandth of it or so, up or down.
"""


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = PADDING_ID,
    chunk_rows: int | None = None,
    products: Products = "auto",
) -> Tensor:
    """Return the mean cross-entropy of ``hidden @ weight.T + bias`` against the targets.

    The value of ``F.cross_entropy(F.linear(hidden, weight, bias), targets)``, in less time and a
    fraction of the memory. Gradients of hidden, weight and bias are made along with the loss, of
    those that ask for one; second derivatives are not.

    Parameters
    ----------
    hidden : Tensor of shape (n, width)
    weight : Tensor of shape (vocabulary, width)
        May be an embedding's, too: the gradients add up.
    bias : Tensor of shape (vocabulary,)
    targets : int Tensor of shape (n,)
    ignore_index : int
        Rows with this target do not count. Default: the id of padding.
    chunk_rows : int, optional
        Rows that are worked on at once. Default: what memory and caches suggest.
    products : {"auto", "fp32", "bf16"}
        Precision of the matrix products, see ``Products``.

    Returns
    -------
    Tensor of shape ()
        In single precision, or double if an input is. 0 if no target counts.

    Raises
    ------
    DataError
        If a target is not in the vocabulary. (On a GPU nobody looks: that would wait for it.)
    ParameterError, ColumnTypeError
        If shapes or types do not fit.

    References
    ----------
    Wijmans, E. et al. (2025), "Cut Your Losses in Large-Vocabulary Language Models"; Hsu, P.-L. et
    al. (2024), "Liger Kernel: Efficient Triton Kernels for LLM Training".

    Examples
    --------
    >>> weight = torch.zeros(10, 3, requires_grad=True)
    >>> targets = torch.tensor([2, 5, 1])  # the last is padding
    >>> loss = linear_cross_entropy(torch.ones(3, 3), weight, torch.zeros(10), targets)
    >>> round(loss.exp().item(), 4)
    10.0
    >>> loss.backward()
    >>> weight.grad[2]
    tensor([-0.4000, -0.4000, -0.4000])
    """
    check_inputs(hidden, weight, bias, targets, ignore_index)
    if chunk_rows is not None and chunk_rows < 1:
        raise ParameterError(f"{chunk_rows=} must be at least 1")
    weights = mean_weights(targets != ignore_index, sum_dtype(hidden, weight, bias))
    if torch.compiler.is_compiling():  # which traces operations, and fuses what it can itself
        logits = functional.linear(hidden, weight, bias).to(weights.dtype)
        losses = functional.cross_entropy(
            logits, targets.long(), ignore_index=ignore_index, reduction="none"
        )
        return losses @ weights
    dtype = product_dtype(products, hidden, weight, bias)

    def compute(needed: Sequence[bool]) -> tuple[Tensor, Sequence[Tensor | None]]:
        losses, gradients = _losses(
            hidden, weight, bias, targets, weights, dtype, chunk_rows, needed
        )
        return losses.sum(), [gradients.hidden, gradients.weight, gradients.bias]

    return with_ready_gradients(compute, hidden, weight, bias)


@torch.no_grad()
def token_losses(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = PADDING_ID,
) -> Tensor:
    """Return the cross-entropy of every row, in full precision and without gradients.

    Parameters
    ----------
    hidden, weight, bias, targets
        As ``linear_cross_entropy`` takes them.
    ignore_index : int
        Rows with this target get 0.

    Returns
    -------
    Tensor of shape (n,)
        In single precision, or double if an input is.

    Raises
    ------
    DataError, ParameterError, ColumnTypeError
        As ``linear_cross_entropy``.

    Examples
    --------
    >>> targets = torch.tensor([2, 5, 1])
    >>> token_losses(torch.ones(3, 3), torch.ones(10, 3), torch.zeros(10), targets)
    tensor([2.3026, 2.3026, 0.0000])
    """
    check_inputs(hidden, weight, bias, targets, ignore_index)
    dtype = sum_dtype(hidden, weight, bias)
    weights = (targets != ignore_index).to(dtype)
    losses, _ = _losses(hidden, weight, bias, targets, weights, dtype, None, [False] * 3)
    return losses


def _losses(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    weights: Tensor,
    products: torch.dtype,
    chunk_rows: int | None,
    needed: Sequence[bool],
) -> tuple[Tensor, Gradients]:
    """The weighted losses of all rows, and the needed gradients of their sum."""

    def work(n_cores: int) -> tuple[Tensor, Gradients]:
        states, offsets = (each.detach().to(weights.dtype) for each in (hidden, bias))
        gradients = Gradients(
            hidden=states.new_empty(states.shape) if needed[0] else None,
            weight=states.new_empty(weight.shape) if needed[1] else None,
            bias=torch.empty_like(offsets) if needed[2] else None,
        )
        losses = target_losses(
            states.contiguous(),
            weight.detach(),
            offsets,
            targets.long().masked_fill(weights == 0, 0),
            weights,
            products=products,
            gradients=gradients,
            n_cores=n_cores,
            chunk_rows=chunk_rows,
        )
        return losses, gradients

    return on_all_cores(work, n_logits=len(hidden) * len(weight), device=hidden.device)


def mean_weights(counted: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what each row counts in the mean over those that count; 0 if none does.

    Parameters
    ----------
    counted : bool Tensor of shape (n,)
    dtype : torch.dtype

    Examples
    --------
    >>> mean_weights(torch.tensor([True, False, True]), torch.float32)
    tensor([0.5000, 0.0000, 0.5000])
    """
    return counted.to(dtype) / counted.sum().clamp(min=1)


def sum_dtype(*tensors: Tensor) -> torch.dtype:
    """Return in what sums are kept: single precision, or double if anything is.

    Parameters
    ----------
    *tensors : Tensor
        What is added up.

    Examples
    --------
    >>> sum_dtype(torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1))
    torch.float32
    """
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if double else torch.float32


def product_dtype(products: Products, hidden: Tensor, *others: Tensor) -> torch.dtype:
    """Return the precision of matrix products that a choice comes to.

    Parameters
    ----------
    products : {"auto", "fp32", "bf16"}
        See ``Products``.
    hidden, *others : Tensor
        What is multiplied.

    Raises
    ------
    ParameterError
        If there is no such choice.

    Examples
    --------
    >>> product_dtype("bf16", torch.zeros(1)), product_dtype("bf16", torch.zeros(1).double())
    (torch.bfloat16, torch.float64)
    """
    if products not in get_args(Products):
        raise ParameterError(
            f"{products=} is not one of {', '.join(get_args(Products))}"
            f"{did_you_mean(str(products), get_args(Products))}"
        )
    full = sum_dtype(hidden, *others)
    if products == "fp32" or full == torch.float64:
        return full
    if products == "bf16":
        return torch.bfloat16
    device = hidden.device.type
    if device == "cpu":
        # Not autocast decides: where products in bfloat16 are emulated, they take a hundred times
        # as long.
        return torch.bfloat16 if _cpu_multiplies_bf16() else full
    # Half precision, which autocast may also mean, has too little range for exponentials.
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    return torch.bfloat16 if torch.bfloat16 in (autocast, hidden.dtype) else full


@cache
def _cpu_multiplies_bf16() -> bool:
    """Whether this CPU has instructions for products in bfloat16, and torch uses them."""
    # A torch that has no such function uses single precision: right, if not fastest.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    has_instructions = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return bool(has_instructions and torch.backends.mkldnn.enabled)


def check_inputs(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, ignore_index: int
) -> None:
    """Raise unless these are what a softmax over a vocabulary can work on.

    Parameters
    ----------
    hidden, weight, bias, targets, ignore_index
        As ``linear_cross_entropy`` takes them.

    Raises
    ------
    ParameterError, ColumnTypeError, DataError
        As ``linear_cross_entropy``.

    Examples
    --------
    >>> hidden, weight, bias = torch.zeros(1, 3), torch.zeros(9, 3), torch.zeros(9)
    >>> check_inputs(hidden, weight, bias, torch.tensor([12]), ignore_index=1)
    Traceback (most recent call last):
    ...
    tabtext.errors.DataError: target 12 of row 0 is not in the vocabulary, whose ids run from 0 to \
8; encode the texts with the vocabulary of the model
    """
    fits = (
        hidden.ndim == weight.ndim == 2
        and hidden.shape[1] == weight.shape[1]
        and bias.shape == weight.shape[:1]
        and targets.shape == hidden.shape[:1]
        and len(weight) > 0
    )
    if not fits:
        raise ParameterError(
            "hidden (n, width), weight (vocabulary, width), bias (vocabulary,) and targets (n,) "
            f"are needed, however: {tuple(hidden.shape)=}, {tuple(weight.shape)=}, "
            f"{tuple(bias.shape)=}, {tuple(targets.shape)=}"
        )
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise ColumnTypeError(f"targets must be integers, however: {targets.dtype=}")
    if targets.device.type != "cpu" or torch.compiler.is_compiling():
        return
    wrong = (targets != ignore_index) & ((targets < 0) | (targets >= len(weight)))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise DataError(
            f"target {int(targets[row])} of row {row} is not in the vocabulary, whose ids run from "
            f"0 to {len(weight) - 1}; encode the texts with the vocabulary of the model"
        )
