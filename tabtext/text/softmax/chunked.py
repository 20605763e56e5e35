"""The losses of a softmax over a large vocabulary, and their gradients, chunk by chunk.

Hidden states ``(n, width)``, a weight ``(words, width)``, a bias ``(words,)`` and targets ``(n,)``
flow in; out flow the cross-entropies of ``hidden @ weight.T + bias`` against the targets, and on
the way the gradients of their sum are made. The logits ``(n, words)`` never exist as a whole:

- Rows are taken in chunks. The exponentials of one chunk, tens of megabytes, are kept until the
  chunk is done, in memory that the next chunk uses again, and the next step too.
- On the CPU each core has a band of the vocabulary to itself, and goes through it in tiles that fit
  into its second-level cache: product, exponentials, their sum and the hidden states' gradient are
  made of a tile while it is there. The cores meet twice a chunk.
- The weight's gradient needs a row's whole sum. It is made of the kept exponentials when the sum is
  known, by dividing the *hidden state* by it and not the exponentials, which are only read.

So a step costs the three products of matrices that it must, one exponential a logit, and little
else; no product is made twice. ``bench/softmax.py`` has the figures.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from tabtext.text.softmax.side_by_side import on_one_core, side_by_side

__all__ = ["Gradients", "on_all_cores", "target_losses"]

Result = TypeVar("Result")

_KEPT = 2**24
"""Exponentials of a chunk that are kept on the CPU: 64 MiB of single precision."""
_KEPT_ON_GPU = 2**25
"""On a GPU, which large products fill: 128 MiB, and as much for a moment."""
_ROWS = 1024
"""More rows in a chunk make no product faster, and tiles narrow."""
_FEWEST_ROWS = 64
"""Fewer rows leave the time to reading the weights, which every chunk does twice."""
_TILE = 2**18
"""Elements of a tile: 1 MiB of single precision, the second-level cache of a core today."""
_NARROWEST_TILE = 64
"""Widths of tiles are multiples of this, which suits all vector instructions."""
_WORTH_A_CORE = 2**19
"""Logits below which one thread does everything: a second one would start too late."""
_NARROWEST_BAND = 512
"""Words that a core needs to be worth its start."""

_LARGE = 1e30
"""Sums up to here, times any reasonable weight, are far from overflow in single precision."""


@dataclass(frozen=True)
class Gradients:
    """Memory that gradients are written to; None where one is not wanted.

    Parameters
    ----------
    hidden : Tensor of shape (n, width), optional
    weight, bias : Tensor of shape (words, width) and (words,), optional
        All of them contiguous, in the precision of sums, and with whatever was in them.
    """

    hidden: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None

    def of(self, words: slice) -> "Gradients":
        """Where those of some words go."""
        return Gradients(
            hidden=self.hidden,
            weight=None if self.weight is None else self.weight[words],
            bias=None if self.bias is None else self.bias[words],
        )


def target_losses(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    weights: Tensor,
    *,
    products: torch.dtype = torch.float32,
    gradients: Gradients = Gradients(),
    n_cores: int = 1,
    chunk_rows: int | None = None,
) -> Tensor:
    """Return the weighted cross-entropy of every row, and write the gradients of their sum.

    Parameters
    ----------
    hidden : Tensor of shape (n, width)
        In single or double precision, contiguous; without a graph, as everything here.
    weight : Tensor of shape (words, width)
        In any precision.
    bias : Tensor of shape (words,)
        In that of ``hidden``, in which sums are kept.
    targets : int64 Tensor of shape (n,)
        Any word where nothing counts.
    weights : Tensor of shape (n,)
        What each row counts, 0 for nothing; in the precision of ``hidden``.
    products : torch.dtype
        Precision of the matrix products.
    gradients : Gradients
        Where they go.
    n_cores : int
        Cores that may work on it; what ``on_all_cores`` says.
    chunk_rows : int, optional
        Rows of a chunk; default: as many as make 64 MiB of exponentials (128 MiB on a GPU).

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> hidden, weight, bias = torch.eye(2), torch.zeros(4, 2), torch.zeros(4)
    >>> targets, weights = torch.tensor([3, 1]), torch.ones(2)
    >>> gradients = Gradients(bias=torch.empty(4))
    >>> target_losses(hidden, weight, bias, targets, weights, gradients=gradients).exp()
    tensor([4., 4.])
    >>> gradients.bias
    tensor([ 0.5000, -0.5000,  0.5000, -0.5000])
    """
    normalisers = _log_normalisers(
        hidden,
        weight,
        bias,
        weights,
        products=products,
        gradients=gradients,
        n_cores=n_cores,
        chunk_rows=chunk_rows,
    )
    due = weight.index_select(0, targets).to(hidden.dtype)  # what should have scored high
    if gradients.hidden is not None:
        gradients.hidden.addcmul_(due, weights[:, None], value=-1)
    if gradients.weight is not None:
        gradients.weight.index_add_(0, targets, hidden * weights[:, None], alpha=-1)
    if gradients.bias is not None:
        gradients.bias.index_add_(0, targets, weights, alpha=-1)
    scores = torch.linalg.vecdot(hidden, due).add_(bias[targets])
    return normalisers.sub_(scores).mul_(weights)


def on_all_cores(work: Callable[[int], Result], *, n_logits: int, device: torch.device) -> Result:
    """Return what some work returns that is told how many cores it may use.

    Gradients are not recorded in it, and autocast is off.

    Parameters
    ----------
    work : callable
        Gets ``n_cores`` for ``target_losses``.
    n_logits : int
        How many there are; a few are not worth starting other cores for.
    device : torch.device
        On a GPU there is but one core to use, that which keeps the GPU busy.

    Examples
    --------
    >>> on_all_cores(lambda n_cores: n_cores, n_logits=10, device=torch.device("cpu"))
    1
    """

    def quietly(n_cores: int) -> Result:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return work(n_cores)

    n_cores = torch.get_num_threads()
    if device.type != "cpu" or n_cores == 1 or n_logits < _WORTH_A_CORE:
        return quietly(1)
    return on_one_core(partial(quietly, n_cores))


def _log_normalisers(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    weights: Tensor,
    *,
    products: torch.dtype,
    gradients: Gradients,
    n_cores: int,
    chunk_rows: int | None,
) -> Tensor:
    """The logarithm of every row's sum of exponentials; writes their gradients, weighted."""
    rows = chunk_rows or _rows_of_a_chunk(len(hidden), len(weight), hidden.device)
    rows = min(rows, max(len(hidden), 1))
    if len(hidden) * len(weight) < _WORTH_A_CORE:
        n_cores = 1
    n_cores = max(min(n_cores, len(weight) // _NARROWEST_BAND), 1)
    bands = [
        _Band(weight[words], bias[words], gradients.of(words), products, rows, name=f"band {place}")
        for place, words in enumerate(_cut(len(weight), -(-len(weight) // n_cores)))
    ]
    side_by_side([band.prepare for band in bands])
    normalisers = bias.new_empty(len(hidden))
    for begin in range(0, len(hidden), rows):
        here = slice(begin, begin + rows)
        side_by_side([partial(band.exponentiate, hidden[here]) for band in bands])
        # Every band has a shift of its own; they meet at the largest.
        shifts = torch.stack([band.shift for band in bands])
        shift = shifts.amax(dim=0)
        scales = (shifts - shift).exp_()
        total = (torch.stack([band.sums for band in bands]) * scales).sum(dim=0)
        normalisers[here] = total.log().add_(shift).squeeze(1)
        shares = scales.div_(total).mul_(weights[here, None])
        side_by_side(
            [partial(band.add_gradients, share) for band, share in zip(bands, shares, strict=True)]
        )
        if gradients.hidden is not None:
            gradients.hidden[here] = sum(band.hidden_gradient for band in bands)
    return normalisers


class _Band:
    """A part of the vocabulary, and the exponentials of some rows' logits for its words.

    The exponentials are ``exp(logit - shift)``, with a shift for every row that keeps them in
    range: the largest logit of the *first* tile. Others may be larger, by 60 and more, before
    single precision notices; then the rows are done once more with the largest of all. With one
    tile, as on a GPU, there are no others, and nothing to look at.
    """

    hidden: Tensor  # (rows, width): what is worked on
    operand: Tensor  # the same in the precision of products
    shift: Tensor  # (rows, 1)
    sums: Tensor  # (rows, 1): of the exponentials
    hidden_gradient: Tensor  # (rows, width): times the sums, until it is normalised

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        gradients: Gradients,
        products: torch.dtype,
        rows: int,
        *,
        name: str,
    ) -> None:
        self.weight = weight
        self.products = products
        self.bias = bias
        self.gradients = gradients
        self.keep = gradients.weight is not None or gradients.bias is not None
        self.tiles = _cut_into_tiles(rows, len(weight), weight.device)
        # What is kept lies tile after tile; else all tiles share the memory of one.
        words = len(weight) if self.keep else self.tiles[0].stop
        self.memory = _scratch.take(name, rows * words, products, weight.device)

    def prepare(self) -> None:
        """Do what is done once for all rows."""
        self.weight = self.weight.to(self.products).contiguous()
        if self.gradients.weight is not None:
            self.gradients.weight.zero_()
        if self.gradients.bias is not None:
            self.gradients.bias.zero_()

    def exponentiate(self, hidden: Tensor) -> None:
        """Fill the tiles; leave the sums, their shift, and the hidden gradient times the sums."""
        self.hidden = hidden
        self.operand = hidden.to(self.products)
        self.shift = self._fill(None)
        # "not smaller" is also what NaN is.
        if len(self.tiles) > 1 and not bool(self.sums.max() < _LARGE):
            self.shift = self._fill(self._largest_logits())

    def add_gradients(self, share: Tensor) -> None:
        """Make of the exponentials what needed the factors ``(rows, 1)`` that normalise them."""
        if self.gradients.hidden is not None:
            self.hidden_gradient.mul_(share)
        if not self.keep:
            return
        scaled = (self.hidden * share).to(self.products)
        share = share.squeeze(1)
        for tile, exponentials in self._with_memory():
            if self.gradients.weight is not None:
                _add_product(self.gradients.weight[tile], exponentials.t(), scaled)
            if self.gradients.bias is not None:
                self.gradients.bias[tile].addmv_(exponentials.t().to(share.dtype), share)

    def _fill(self, shift: Tensor | None) -> Tensor:
        """Fill the tiles; return the shift."""
        self.sums = self.hidden.new_zeros((len(self.hidden), 1))
        self.hidden_gradient = torch.zeros_like(self.hidden)
        for tile, memory in self._with_memory():
            torch.mm(self.operand, self.weight[tile].t(), out=memory)
            if shift is None:
                shift = _largest(memory + self.bias[tile])
            _exponentiate(memory, self.bias[tile], shift, self.sums)
            if self.gradients.hidden is not None:
                _add_product(self.hidden_gradient, memory, self.weight[tile])
        assert shift is not None  # there is a tile
        return shift

    def _largest_logits(self) -> Tensor:
        """The largest logit of every row, as a column."""
        of_tiles = [
            _largest(torch.mm(self.operand, self.weight[tile].t(), out=memory) + self.bias[tile])
            for tile, memory in self._with_memory()
        ]
        return torch.cat(of_tiles, dim=1).amax(dim=1, keepdim=True)

    def _with_memory(self) -> Iterator[tuple[slice, Tensor]]:
        """Every tile, and memory ``(rows, words)`` for its exponentials."""
        rows = len(self.hidden)
        for tile in self.tiles:
            words = tile.stop - tile.start
            begin = rows * tile.start if self.keep else 0
            yield tile, self.memory[begin : begin + rows * words].view(rows, words)


def _exponentiate(logits: Tensor, bias: Tensor, shift: Tensor, sums: Tensor) -> None:
    """Replace logits by ``exp(logits + bias - shift)``; add these to their row's sums."""
    if _kernels_can_run(logits, bias):
        from tabtext.text.kernels import softmax as kernels  # numba: only once needed

        others = (bias, shift.view(-1), sums.view(-1), bias.new_empty(kernels.LANES))
        arrays = [tensor.numpy() for tensor in others]
        if logits.dtype == torch.float32:
            kernels.exponentiate(logits.numpy(), *arrays)
        else:
            kernels.exponentiate_bfloat16(logits.view(torch.uint16).numpy(), *arrays)
        return
    values = logits.to(bias.dtype)
    values.add_(bias).sub_(shift).exp_()
    sums.add_(values.sum(dim=1, keepdim=True))
    if values is not logits:
        logits.copy_(values)


def _kernels_can_run(logits: Tensor, bias: Tensor) -> bool:
    """Whether the numba kernels may be used: on the CPU, with sums in single precision."""
    return logits.device.type == "cpu" and bias.dtype == torch.float32


def _largest(logits: Tensor) -> Tensor:
    """The largest of every row, as a column; finite even if all words are ruled out by -inf."""
    return logits.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(logits.dtype).min)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add ``left @ right``, sums in the precision of ``total``."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)


def _rows_of_a_chunk(n: int, words: int, device: torch.device) -> int:
    """Rows of a chunk, so that all chunks are about equally long."""
    kept = _KEPT if device.type == "cpu" else _KEPT_ON_GPU
    most = min(max(kept // words, _FEWEST_ROWS), _ROWS if device.type == "cpu" else max(n, 1))
    n_chunks = max(-(-n // most), 1)
    return max(-(-n // n_chunks), 1)


def _cut_into_tiles(rows: int, words: int, device: torch.device) -> Sequence[slice]:
    """Cut a band into what fits into a cache; on a GPU it stays whole."""
    width = words
    if device.type == "cpu":
        width = max(_TILE // rows // _NARROWEST_TILE * _NARROWEST_TILE, _NARROWEST_TILE)
    return _cut(words, width)


def _cut(words: int, width: int) -> Sequence[slice]:
    return [slice(begin, min(begin + width, words)) for begin in range(0, words, width)]


class _Scratch(threading.local):
    """Memory that is used again, step after step, by the thread that it belongs to.

    New memory of this size comes from the operating system page by page, every step anew. On a GPU,
    torch keeps freed memory itself.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, n_elements: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return that many elements, with whatever was in them; the name's former are lost."""
        if device.type != "cpu":
            return torch.empty(n_elements, dtype=dtype, device=device)
        key = name, dtype
        if key not in self._memory or len(self._memory[key]) < n_elements:
            with torch.inference_mode(False):  # else it could not be written to outside of one
                self._memory[key] = torch.empty(n_elements, dtype=dtype)
        return self._memory[key][:n_elements]


_scratch = _Scratch()
