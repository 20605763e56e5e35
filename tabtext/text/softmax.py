"""Cross-entropy over a large vocabulary, from hidden states, without logits in between.

Hidden states ``(n, width)``, the weight and bias of a softmax, and targets ``(n,)`` flow in; their
mean loss flows out. Its gradients are made on the way there and only scaled on the way back, so
nothing of the size ``(n, vocabulary)`` outlives a chunk of rows. For how, see ``chunked_softmax``.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tabtext.errors import ColumnTypeError, DataError, ParameterError
from tabtext.text.chunked_softmax import Gradients, log_normalisers
from tabtext.text.special_tokens import PADDING_ID

__all__ = ["Products", "linear_cross_entropy", "summed_cross_entropy", "token_losses"]

Products = Literal["auto", "fp32", "bf16"]
"""How hidden states and weights are multiplied.

- ``"fp32"``: in single precision (double, where one of the inputs is).
- ``"bf16"``: in bfloat16, added up in single precision; so are all exponentials and sums.
- ``"auto"``: ``"bf16"`` where that is fast and meant: on CPUs with instructions for it
  (AVX-512 BF16, AMX), where its rounding changes the loss by less than 1e-4 of it; on a GPU under
  autocast. Else ``"fp32"``.
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

    The value of ``F.cross_entropy(F.linear(hidden, weight, bias), targets)``, in half of the time or
    less and a fraction of the memory. Gradients of hidden, weight and bias are made along with the
    loss, of those that ask for one; second derivatives are not.

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
    al. (2025), "Liger Kernel: Efficient Triton Kernels for LLM Training".

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
    loss = summed_cross_entropy(
        hidden,
        weight,
        bias,
        targets,
        ignore_index=ignore_index,
        chunk_rows=chunk_rows,
        products=products,
    )
    return loss / (targets != ignore_index).sum().clamp(min=1)


def summed_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = PADDING_ID,
    chunk_rows: int | None = None,
    products: Products = "auto",
) -> Tensor:
    """Return the sum of the losses of which ``linear_cross_entropy`` returns the mean.

    Parameters
    ----------
    hidden, weight, bias, targets, ignore_index, chunk_rows, products
        As there.

    Examples
    --------
    >>> targets = torch.tensor([2, 5])
    >>> summed_cross_entropy(torch.ones(2, 3), torch.ones(10, 3), torch.zeros(10), targets).item()
    4.605170249938965
    """
    _check(hidden, weight, bias, targets, products, chunk_rows)
    if torch.compiler.is_compiling():  # which traces operations, and fuses what it can itself
        logits = functional.linear(hidden, weight, bias)
        return functional.cross_entropy(
            logits.to(_sum_dtype(hidden, weight, bias)),
            targets.long(),
            ignore_index=ignore_index,
            reduction="sum",
        )
    hidden, targets, counted = _counted_rows(hidden, targets, ignore_index)
    product_dtype = _product_dtype(products, hidden, weight, bias)
    with_gradient = tuple(
        torch.is_grad_enabled() and tensor.requires_grad for tensor in (hidden, weight, bias)
    )
    return _sum_losses(
        hidden, weight, bias, targets, counted, product_dtype, chunk_rows, with_gradient
    )


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
    _check(hidden, weight, bias, targets, "fp32", None)
    dtype = _sum_dtype(hidden, weight, bias)
    losses = torch.zeros(len(hidden), dtype=dtype, device=hidden.device)
    with torch.autocast(hidden.device.type, enabled=False):
        counted = targets != ignore_index
        rows = torch.arange(len(hidden), device=hidden.device)
