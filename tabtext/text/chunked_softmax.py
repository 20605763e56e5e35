"""The normaliser of a softmax over a large vocabulary, and its gradients, chunk by chunk.

Hidden states ``(n, width)``, a weight ``(words, width)`` and a bias ``(words,)`` flow in; what flows
out is ``ln(sum(exp(hidden @ weight.T + bias)))`` of every row, and on the way the gradients of
these numbers are added up. The logits ``(n, words)`` never exist as a whole:

- Rows are taken in chunks. The exponentials of one chunk, tens of megabytes, are kept until the
  chunk is done, in memory that the next chunk uses again, and the next step too.
- On the CPU each chunk goes through the vocabulary in tiles that fit into the second-level cache:
  product, exponentials, their sum and the hidden states' gradient are made of a tile while it is
  there.
- The weight's gradient needs a row's whole sum. It is made of the kept exponentials when the sum is
  known, by dividing the *hidden state* by it and not the exponentials, which are only read.

So a step costs the three products of matrices that it must, one exponential a logit, and little
else; no product is made twice. ``bench/softmax.py`` has the figures.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Gradients", "log_normalisers"]

_KEPT = 2**24
"""Exponentials of a chunk that are kept on the CPU: 64 MiB of single precision."""
_KEPT_ON_GPU = 2**26
"""On a GPU, which large products fill: 256 MiB."""
_ROWS = 1024
"""More rows in a chunk make no product faster, and tiles narrow."""
_FEWEST_ROWS = 64
"""Fewer rows leave the time to reading the weights, which every chunk does twice."""
_TILE = 2**18
"""Elements of a tile: 1 MiB of single precision, the second-level cache of a core today."""
_NARROWEST_TILE = 128

_LARGE = 1e30
"""Sums up to here, times any reasonable weight, are far from overflow in single precision."""


@dataclass(frozen=True)
class Gradients:
    """Where gradients go; None where one is not wanted.

    Parameters
    ----------
    hidden : Tensor of shape (n, width), optional
        Is overwritten.
    weight, bias : Tensor of shape (words, width) and (words,), optional
        Are added to.
    """

    hidden: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None

    @property
    def keep_exponentials(self) -> bool:
        """Whether something is made of the exponentials when their sums are known."""
        return self.weight is not None or self.bias is not None


def log_normalisers(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    gradients: Gradients = Gradients(),  # noqa: B008  (frozen and empty)
    counted: Tensor | None = None,
    chunk_rows: int | None = None,
) -> Tensor:
    """Return the logarithm of every row's sum of exponentials; add their gradients up.

    Parameters
    ----------
    hidden : Tensor of shape (n, width)
        In single or double precision, contiguous, without a graph; as all that follows.
    weight : Tensor of shape (words, width)
        In the precision of the products; sums are kept in that of ``hidden``.
    bias : Tensor of shape (words,)
        In the precision of ``hidden``.
    gradients : Gradients
        Takes the gradients of the sum of all returned numbers.
    counted : Tensor of shape (n,), optional
        1 for rows whose gradients count, 0 for others; default: all count.
    chunk_rows : int, optional
        Rows of a chunk; default: as many as make 64 MiB of exponentials (256 MiB on a GPU).

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> hidden, weight = torch.eye(2), torch.zeros(4, 2)
    >>> gradients = Gradients(weight=torch.zeros(4, 2))
    >>> log_normalisers(hidden, weight, torch.zeros(4), gradients=gradients).exp()
    tensor([4., 4.])
    >>> gradients.weight[0]
    tensor([0.2500, 0.2500])
    """
    normalisers = bias.new_empty(len(hidden))
    rows = chunk_rows or _rows_of_a_chunk(len(hidden), len(weight), hidden.device)
    for begin in range(0, len(hidden), rows):
        here = slice(begin, begin + rows)
        chunk = _Chunk(
            hidden[here],
            weight,
            bias,
            hidden_gradient=None if gradients.hidden is None else gradients.hidden[here],
            keep=gradients.keep_exponentials,
        )
        normalisers[here] = chunk.log_sums().squeeze(1)
        chunk.add_gradients(gradients, None if counted is None else counted[here])
    return normalisers


class _Chunk:
    """Some rows, and the exponentials of their logits, tile by tile of the vocabulary.

    The exponentials are ``exp(logit - shift)``, with a shift for every row that keeps them in
    range: the largest logit of the *first* tile. Others may be larger, by 60 and more, before
    single precision notices; then the chunk is done once more with the largest of all. With one
    tile, as on a GPU, there are no others, and nothing to look at.
    """

    def __init__(
        self,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        *,
        hidden_gradient: Tensor | None,
        keep: bool,
    ) -> None:
        self.hidden = hidden
        self.operand = hidden.to(weight.dtype)
        self.weight = weight
        self.bias = bias
        self.hidden_gradient = hidden_gradient
        self.keep = keep
        self.tiles = _tiles(len(hidden), len(weight), hidden.device)
        self.sums = hidden.new_zeros((len(hidden), 1))  # of the exponentials
        words = len(weight) if keep else self.tiles[0].stop
        self.memory = _scratch.take("kept", len(hidden) * words, weight)

    def log_sums(self) -> Tensor:
        """Exponentiate everything; return ``ln(sum(exp(logit)))`` as a column."""
        shift = self._exponentiate(None)
        # "not smaller" is also what NaN is.
        if len(self.tiles) > 1 and not bool(self.sums.max() < _LARGE):
            shift = self._exponentiate(self._largest_logits())
        return self.sums.log().add_(shift)

    def add_gradients(self, gradients: Gradients, counted: Tensor | None) -> None:
        """Make of the exponentials what needed their sums."""
        share = self.sums.reciprocal()
        if counted is not None:
            share.mul_(counted[:, None])
        if self.hidden_gradient is not None:
            self.hidden_gradient.mul_(share)
        if not self.keep:
            return
        scaled = (self.hidden * share).to(self.weight.dtype)
        share = share.squeeze(1)
        for tile, kept in self._with_memory():
            if gradients.weight is not None:
                _add_product(gradients.weight[tile], kept.t(), scaled)
            if gradients.bias is not None:
                exponentials = self._in_full(kept)
                if exponentials is not kept:
                    exponentials.copy_(kept)
                gradients.bias[tile].addmv_(exponentials.t(), share)

    def _exponentiate(self, shift: Tensor | None) -> Tensor:
        """Fill the tiles, the sums, and the hidden gradient times the sums; return the shift."""
        self.sums.zero_()
        if self.hidden_gradient is not None:
            self.hidden_gradient.zero_()
        for tile, kept in self._with_memory():
            values = self._logits(tile, shift, kept)
            if shift is None:
                shift = values.amax(dim=1, keepdim=True)
                values.sub_(shift)
            values.exp_()
            self.sums.add_(values.sum(dim=1, keepdim=True))
            if values is not kept:
                kept.copy_(values)
            if self.hidden_gradient is not None:
                _add_product(self.hidden_gradient, kept, self.weight[tile])
        assert shift is not None  # there is a tile
        return shift

    def _largest_logits(self) -> Tensor:
        """The largest logit of every row, as a column."""
        largest = self.sums.new_full(self.sums.shape, -torch.inf)
        for tile, kept in self._with_memory():
            logits = self._logits(tile, None, kept)
            torch.maximum(largest, logits.amax(dim=1, keepdim=True), out=largest)
        return largest

    def _logits(self, tile: slice, shift: Tensor | None, kept: Tensor) -> Tensor:
        """A tile's logits less the shift, in full precision; ``kept`` may be written to."""
        logits = self._in_full(kept)
        if shift is None:
            logits.copy_(self.bias[tile])
        else:
            torch.sub(self.bias[tile], shift, out=logits)
        if logits is kept:
            return logits.addmm_(self.operand, self.weight[tile].t())
        return logits.add_(torch.mm(self.operand, self.weight[tile].t(), out=kept))

    def _with_memory(self) -> Iterator[tuple[slice, Tensor]]:
        """Every tile, with memory for its exponentials in the precision of the products."""
        rows = len(self.hidden)
        for tile in self.tiles:
            begin = rows * tile.start if self.keep else 0
            width = tile.stop - tile.start
            yield tile, self.memory[begin : begin + rows * width].view(rows, width)

    def _in_full(self, kept: Tensor) -> Tensor:
        """Memory like ``kept`` in the precision of the sums, which may be ``kept`` itself."""
        if kept.dtype == self.hidden.dtype:
            return kept
        return _scratch.take("full", kept.numel(), self.hidden).view(kept.shape)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add ``left @ right``, sums in the precision of ``total``."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)


def _rows_of_a_chunk(n: int, words: int, device: torch.device) -> int:
    """Rows of a chunk, so that all chunks are about equally long."""
    kept = _KEPT if device.type == "cpu" else _KEPT_ON_GPU
    most = min(max(kept // words, _FEWEST_ROWS), _ROWS if device.type == "cpu" else n)
    n_chunks = -(-n // most)
    return -(-n // n_chunks)


def _tiles(rows: int, words: int, device: torch.device) -> Sequence[slice]:
    """Cut the vocabulary into what fits into a cache; on a GPU it stays whole."""
    width = words
    if device.type == "cpu":
        width = max(_TILE // rows, _NARROWEST_TILE)
    return [slice(begin, min(begin + width, words)) for begin in range(0, words, width)]


class _Scratch(threading.local):
    """Memory that is used again, step after step, by the thread that it belongs to.

    New memory of this size comes from the operating system page by page, every step anew. On a GPU,
    torch keeps freed memory itself.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, n_elements: int, like: Tensor) -> Tensor:
        """Return that many elements, with whatever was in them; the name's former are lost."""
        if like.device.type != "cpu":
            return like.new_empty(n_elements)
        key = name, like.dtype
        if key not in self._memory or len(self._memory[key]) < n_elements:
            with torch.inference_mode(False):  # else it could not be written to outside of one
                self._memory[key] = torch.empty(n_elements, dtype=like.dtype)
        return self._memory[key][:n_elements]


_scratch = _Scratch()
