"""DropConnect for recurrent layers, through one block of memory that cuDNN reads as it is.

A layer's four weights go in; out come four views of one block, laid out as cuDNN wants it, in which
entries of the hidden-to-hidden matrix are zero. Writing them is one elementwise pass, and its
gradient another. The weights themselves stay ordinary parameters: they can be copied, saved, moved
and averaged over processes without anybody knowing of the block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal
from weakref import ReferenceType, ref

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tabtext.dropout import fill_dropout_mask

__all__ = ["DroppedWeights", "Mode", "Weights"]

Weights = tuple[Tensor, Tensor, Tensor, Tensor]
"""Input-to-hidden, hidden-to-hidden, and their two biases."""

Mode = Literal["LSTM", "GRU", "RNN_RELU"]
"""Recurrent cells, as torch and cuDNN name them."""

_HIDDEN = 1  # the place of the hidden-to-hidden matrix among the weights


class DroppedWeights:
    """The weights of a recurrent layer as it uses them, some of the recurrent ones dropped.

    Parameters
    ----------
    mode : {"LSTM", "GRU", "RNN_RELU"}
        The cell.
    towards_identity : bool
        Whether what is dropped is the distance to the identity matrix. A ReLU network that starts
        as the identity would else have ``1 / (1 - rate)`` on the diagonal, the 70th power of which
        is 6 million at a rate of 0.2.

    References
    ----------
    Wan, L. et al. (2013), "Regularization of Neural Networks using DropConnect"; Merity et al.
    (2018), "Regularizing and Optimizing LSTM Language Models", section 2.

    Examples
    --------
    >>> weights = (torch.ones(8, 3), torch.ones(8, 2), torch.ones(8), torch.ones(8))
    >>> dropped = DroppedWeights("LSTM")
    >>> dropped.draw(weights[1], 0.5)
    >>> written = dropped.write(weights, torch.float32, masked=True)
    >>> [weight.unique().tolist() for weight in written]
    [[1.0], [0.0, 2.0], [1.0], [1.0]]
    """

    def __init__(self, mode: Mode, *, towards_identity: bool = False) -> None:
        self.mode = mode
        self.towards_identity = towards_identity
        self.mask: Tensor | None = None
        self._block: _Block | None = None
        self._written: tuple[object, Weights, _Task] | None = None

    def draw(self, hidden: Tensor, rate: float) -> None:
        """Draw the mask that is used from now on.

        Parameters
        ----------
        hidden : Tensor
            The hidden-to-hidden matrix.
        rate : float
            Share of its entries to drop.
        """
        self.let_go()
        fits = self.mask is not None and _alike(self.mask, hidden, hidden.dtype)
        if self.mask is None or not fits or self._is_needed():
            with torch.inference_mode(False):  # what is made in it can be written to nowhere else
                self.mask = torch.empty(hidden.shape, dtype=hidden.dtype, device=hidden.device)
        fill_dropout_mask(self.mask, rate)

    def write(
        self, weights: Weights, dtype: torch.dtype, *, masked: bool, shared: bool = False
    ) -> Weights:
        """Return the weights as the layer shall use them, and through which they learn.

        Parameters
        ----------
        weights : tuple of Tensor
            The layer's parameters.
        dtype : torch.dtype
            What the layer computes in.
        masked : bool
            Whether entries are dropped, by the mask that was drawn last.
        shared : bool
            Whether forward passes of one draw, over several chunks of a text, share what the first
            of them wrote, and one backward pass. What comes after that is written anew, since the
            weights may have changed: no version of theirs would tell, which fused optimizers leave
            as it is.

        Returns
        -------
        tuple of Tensor
            Views of one block of memory.
        """
        kind = (dtype, masked, torch.is_inference_mode_enabled(), weights[0].device)
        if shared and self._written is not None:
            kind_before, written, task = self._written
            if kind_before == kind and not task.is_done:
                return written
        self.let_go()
        block = self._block
        if block is None or not block.fits(weights, dtype) or self._is_needed():
            with torch.inference_mode(False):  # as above
                block = self._block = _Block.of(weights, dtype, self.mode)
        task = _Task(block, self.mask if masked else None, self.towards_identity)
        with torch.enable_grad():  # a chunk without gradients may come before one with them
            written = _write(task, *weights)
        if shared:
            self._written = (kind, written, task)
        return written

    def let_go(self) -> None:
        """Forget what was written, which keeps a graph alive; memory and mask stay."""
        self._written = None

    def __getstate__(self) -> dict[str, Any]:
        # For copies and pickles: a mask is drawn, and memory taken, when it is needed.
        return {**self.__dict__, "mask": None, "_block": None, "_written": None}

    def _is_needed(self) -> bool:
        """Whether a backward pass is still to come that reads block and mask."""
        return self._block is not None and self._block.is_lent


@dataclass
class _Block:
    """Memory for the weights in the order of ``Weights``."""

    parts: list[Tensor]
    loan: "ReferenceType[_Task] | None" = None

    @classmethod
    def of(cls, weights: Weights, dtype: torch.dtype, mode: Mode) -> "_Block":
        like = weights[0]
        if _has_cudnn_layout(like, dtype):
            from torch.backends.cudnn import rnn

            parts = [torch.empty(w.shape, dtype=dtype, device=w.device) for w in weights]
            n_inputs, width = weights[0].shape[1], weights[_HIDDEN].shape[1]
            number = rnn.get_cudnn_mode(mode)  # type: ignore[no-untyped-call]
            with torch.no_grad():
                torch._cudnn_rnn_flatten_weight(
                    parts, len(parts), n_inputs, number, width, 0, 1, False, False
                )
            return cls(parts)
        ends = list(accumulate(weight.numel() for weight in weights))
        flat = torch.empty(ends[-1], dtype=dtype, device=like.device)
        pieces = flat.tensor_split(ends[:-1])
        return cls([p.view(w.shape) for p, w in zip(pieces, weights, strict=True)])

    @property
    def is_lent(self) -> bool:
        task = None if self.loan is None else self.loan()
        return task is not None and not task.is_done

    def fits(self, weights: Weights, dtype: torch.dtype) -> bool:
        return all(_alike(p, w, dtype) for p, w in zip(self.parts, weights, strict=True))


@dataclass(eq=False)
class _Task:
    """What to write where. A graph holds it as long as it may still go backward."""

    block: _Block
    mask: Tensor | None
    towards_identity: bool
    is_done: bool = False


class _Write(torch.autograd.Function):
    """Copy weights into a block, masked; send the gradients back, masked alike."""

    @staticmethod
    def forward(ctx: Any, task: _Task, *weights: Tensor) -> tuple[Tensor, ...]:
        mask = task.mask
        for place, (part, weight) in enumerate(zip(task.block.parts, weights, strict=True)):
            if place != _HIDDEN or mask is None:
                part.copy_(weight)
                continue
            torch.mul(weight, mask, out=part)
            if task.towards_identity:  # m (w - 1) + 1 on the diagonal, m w beside it
                part.diagonal().add_(1).sub_(mask.diagonal())
        ctx.task, ctx.dtypes = task, [weight.dtype for weight in weights]
        ctx.mask_version = None if mask is None else mask._version
        ctx.set_materialize_grads(False)
        task.block.loan = ref(task)
        # Aliases: autograd ties what is returned to the graph, and the block shall outlive it. They
        # share the block's version, so that a late overwriting is an error and no wrong gradient.
        return tuple(part.detach() for part in task.block.parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        task: _Task = ctx.task
        if task.mask is not None and task.mask._version != ctx.mask_version:
            raise RuntimeError(
                "the weight drop's mask was drawn anew before this backward pass; send a forward "
                "pass backward only once, or before the next forward pass"
            )
        task.is_done = True
        found: list[Tensor | None] = [None]
        for place, (gradient, dtype) in enumerate(zip(gradients, ctx.dtypes, strict=True)):
            if gradient is None or not ctx.needs_input_grad[place + 1]:
                found.append(None)
            elif place == _HIDDEN and task.mask is not None:
                found.append(gradient.to(dtype) * task.mask)
            else:
                found.append(gradient.to(dtype))
        return tuple(found)


_write: Callable[..., Weights] = _Write.apply  # torch leaves it untyped


def _alike(tensor: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether a tensor could hold the other's values in a dtype."""
    same_place = tensor.device == other.device and tensor.shape == other.shape
    return same_place and tensor.dtype == dtype


def _has_cudnn_layout(like: Tensor, dtype: torch.dtype) -> bool:
    if not like.is_cuda or not torch._use_cudnn_rnn_flatten_weight():
        return False
    example = torch.empty(1, dtype=dtype, device=like.device)
    return bool(torch.backends.cudnn.is_acceptable(example))  # type: ignore[no-untyped-call]
