"""The normaliser of a softmax over a large vocabulary, and its gradients, chunk by chunk.

Hidden states ``(n, width)``, a weight ``(words, width)`` and a bias ``(words,)`` flow in; out flows
``ln(sum(exp(hidden @ weight.T + bias)))`` of every row, and on the way the gradients of these
numbers are added up. The logits ``(n, words)`` never exist as a whole:

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tabtext.text.side_by_side import side_by_side

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
_WORTH_A_CORE = 2**19
"""Logits below which one thread does everything: a second one would start too late."""
_NARROWEST_BAND = 512
"""Words that a core needs to be worth its start."""

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

    def of(self, words: slice) -> "Gradients":
        """Where those of some words go."""
        return Gradients(
            hidden=self.hidden,
            weight=None if self.weight is None else self.weight[words],
            bias=None if self.bias is None else self.bias[words],
        )


def log_normalisers(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    gradients: Gradients = Gradients(),
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
    rows = min(
        chunk_rows or _rows_of_a_chunk(len(hidden), len(weight), hidden.device),
        max(len(hidden), 1),
    )
    bands = [
        _Band(weight[words], bias[words], gradients.of(words), rows, name=f"{number}")
        for number, words in enumerate(_cut_into_bands(rows, len(weight), hidden.device))
    ]
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
        shares = scales.div_(total)
        if counted is not None:
            shares.mul_(counted[here, None])
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
        self, weight: Tensor, bias: Tensor, gradients: Gradients, rows: int, *, name: str
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.gradients = gradients
        self.keep = gradients.weight is not None or gradients.bias is not None
        self.tiles = _cut_into_tiles(rows, len(weight), weight.device)
        widest = self.tiles[0].stop
        # What is kept lies tile after tile; else all tiles share the memory of one.
        self.memory = _scratch.take(
            f"kept {name}", rows * (len(weight) if self.keep else widest), weight
        )
        self.full = self.memory
        if weight.dtype != bias.dtype:
            self.full = _scratch.take(f"full {name}", rows * widest, bias)

    def exponentiate(self, hidden: Tensor) -> None:
        """Fill the tiles; leave the sums, their shift, and the hidden gradient times the sums."""
        self.hidden = hidden
        self.operand = hidden.to(self.weight.dtype)
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
        scaled = (self.hidden * share).to(self.weight.dtype)
        share = share.squeeze(1)
        for tile, kept, full in self._with_memory():
            if self.gradients.weight is not None:
                _add_product(self.gradients.weight[tile], kept.t(), scaled)
            if self.gradients.bias is not None:
                if full is not kept:
                    full.copy_(kept)
                self.gradients.bias[tile].addmv_(full.t(), share)

    def _fill(self, shift: Tensor | None) -> Tensor:
        """Fill the tiles; return the shift."""
        self.sums = self.hidden.new_zeros((len(self.hidden), 1))
        self.hidden_gradient = torch.zeros_like(self.hidden)
        for tile, kept, full in self._with_memory():
            self._fill_with_logits(tile, shift, kept, full)
            if shift is None:
                shift = _largest(full)
                full.sub_(shift)
            full.exp_()
            self.sums.add_(full.sum(dim=1, keepdim=True))
            if full is not kept:
                kept.copy_(full)
            if self.gradients.hidden is not None:
                _add_product(self.hidden_gradient, kept, self.weight[tile])
        assert shift is not None  # there is a tile
        return shift

    def _largest_logits(self) -> Tensor:
        """The largest logit of every row, as a column."""
        of_tiles = []
        for tile, kept, full in self._with_memory():
            self._fill_with_logits(tile, None, kept, full)
            of_tiles.append(_largest(full))
        return torch.cat(of_tiles, dim=1).amax(dim=1, keepdim=True)

    def _fill_with_logits(
        self, tile: slice, shift: Tensor | None, kept: Tensor, full: Tensor
    ) -> None:
        """Fill ``full`` with a tile's logits less the shift; ``kept`` may be written to, too."""
        if shift is None:
            full.copy_(self.bias[tile])
        else:
            torch.sub(self.bias[tile], shift, out=full)
        weight = self.weight[tile].t()
        if full is kept:
            full.addmm_(self.operand, weight)
        else:
            full.add_(torch.mm(self.operand, weight, out=kept))

    def _with_memory(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Every tile, with memory for its exponentials as products and as sums need them.

        These are the same where products are in the precision of sums.
        """
        rows = len(self.hidden)
        for tile in self.tiles:
            words = tile.stop - tile.start
            begin = rows * tile.start if self.keep else 0
            kept = self.memory[begin : begin + rows * words].view(rows, words)
            if self.full is self.memory:
                yield tile, kept, kept
            else:
                yield tile, kept, self.full[: rows * words].view(rows, words)


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


def _cut_into_bands(rows: int, words: int, device: torch.device) -> Sequence[slice]:
    """Cut the vocabulary into a band for every core that is worth starting."""
    n_bands = 1
    if device.type == "cpu" and rows * words > _WORTH_A_CORE:
        n_bands = max(min(torch.get_num_threads(), words // _NARROWEST_BAND), 1)
    return _cut(words, -(-words // n_bands))


def _cut_into_tiles(rows: int, words: int, device: torch.device) -> Sequence[slice]:
    """Cut a band into what fits into a cache; on a GPU it stays whole."""
    width = words
    if device.type == "cpu":
        width = max(_TILE // rows, _NARROWEST_TILE)
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
