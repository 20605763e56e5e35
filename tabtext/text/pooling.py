"""Documents read and summed up: chunk by chunk through an encoder, into one vector for each.

Token ids ``(rows, longest)`` and lengths ``(rows,)`` go in; vectors ``(rows, 4 * width)`` come out.
What a document gets depends neither on the other rows of its batch nor on the padding behind it.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tabtext.text.eager import never_compiled
from tabtext.text.encoder.awd_lstm import AWDLSTM, State

__all__ = ["GRADIENT_LENGTH", "ConcatPooling", "Pooled", "read_documents"]

GRADIENT_LENGTH = 1400
"""Tokens at the end of a document that get gradients: 20 times the length of a window in language
modelling, which covers 99.9 % of IMDb's reviews whole."""

# A pass over a chunk has a cost of its own, of one or two milliseconds on the CPU: few documents
# are read further at once than many.
_TOKENS_AT_ONCE = 64 * 144


class Pooled(NamedTuple):
    """What is known of documents that were read up to some token; each ``(rows, width)``."""

    last: Tensor
    largest: Tensor
    total: Tensor
    words: Tensor


class ConcatPooling(nn.Module):
    """Sum up a document: the last, the largest and the mean output, and the mean word vector.

    The last output knows the whole document, but more of its end; the largest and the mean find
    again what was said on the way. The mean of the word vectors is the document as a bag of words:
    what the words say by themselves need not find its way through the recurrent layers. Padding
    counts in none of them. A document without tokens has zeros.

    **Shape**

    - Input: outputs and word vectors ``(rows, length, width)``, and integer lengths ``(rows,)``.
    - Output: ``(rows, 4 * width)``.

    A long document can be pooled as it is read, chunk by chunk: ``start``, then ``add`` for each,
    then ``finish``.

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text
    Classification", section 3.3.

    Examples
    --------
    >>> outputs = torch.tensor([[[1.0], [5.0], [3.0]], [[2.0], [9.0], [9.0]]])
    >>> words = torch.tensor([[[0.0], [2.0], [4.0]], [[7.0], [0.0], [0.0]]])
    >>> ConcatPooling()(outputs, words, torch.tensor([3, 1]))
    tensor([[3., 5., 3., 2.],
            [2., 2., 2., 7.]])
    """

    def forward(self, outputs: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
        """Return what is pooled of whole documents."""
        rows, _, width = outputs.shape
        pooled = self.start(rows, width, like=outputs)
        return self.finish(self.add(pooled, outputs, words, lengths), lengths)

    @staticmethod
    def start(rows: int, width: int, *, like: Tensor) -> Pooled:
        """Return what is known before the first token; dtype and device are those of ``like``."""
        nothing = like.new_zeros(rows, width)
        return Pooled(nothing, nothing.new_full((rows, width), -torch.inf), nothing, nothing)

    @staticmethod
    def add(pooled: Pooled, outputs: Tensor, words: Tensor, lengths: Tensor) -> Pooled:
        """Return what is known after some more tokens.

        Parameters
        ----------
        pooled : Pooled
            What was known before them.
        outputs, words : Tensor of shape (rows, length, width)
            Of these tokens.
        lengths : Tensor of shape (rows,)
            How many tokens each document has from the first of these on; those of a document that
            goes on are more than ``length``, and of one that ended before at most 0.
        """
        length, width = outputs.shape[1:]
        positions = torch.arange(length, device=outputs.device)
        inside = positions < lengths[:, None]
        final = (lengths - 1).clamp(0, length - 1)
        last = outputs.gather(1, final[:, None, None].expand(-1, 1, width)).squeeze(1)
        # A document that goes on has its last output later, so this one does no harm.
        last = torch.where(inside[:, :1], last, pooled.last)
        behind = ~inside[:, :, None]
        largest = outputs.masked_fill(behind, -torch.inf).amax(1)
        total, total_words = (
            vectors.masked_fill(behind, 0.0).sum(1, dtype=pooled.total.dtype)
            for vectors in (outputs, words)
        )
        return Pooled(
            last,
            pooled.largest.maximum(largest),
            pooled.total + total,
            pooled.words + total_words,
        )

    @staticmethod
    def finish(pooled: Pooled, lengths: Tensor) -> Tensor:
        """Return last, largest, mean and mean word of documents of these lengths."""
        largest = pooled.largest.masked_fill((lengths < 1)[:, None], 0.0)
        counts = lengths.clamp(min=1)[:, None]
        return torch.cat(
            [pooled.last, largest, pooled.total / counts, pooled.words / counts], dim=1
        )


def read_documents(
    encoder: AWDLSTM,
    tokens: Tensor,
    lengths: Tensor,
    *,
    chunk_length: int,
    gradient_length: int = GRADIENT_LENGTH,
) -> Tensor:
    """Return what an encoder makes of documents, pooled by ``ConcatPooling``.

    Documents of any length are read in chunks. In training, gradients flow through the last part
    of each document only, which bounds memory: earlier chunks are read without, but pooled all the
    same. Dropout masks stay the same over a document.

    Parameters
    ----------
    encoder : AWDLSTM
        In training mode it drops, and learns; an encoder that is frozen is read without gradients.
    tokens : Tensor of shape (rows, longest)
        Token ids of any integer dtype, padding behind the text.
    lengths : Tensor of shape (rows,)
        Best on the CPU: from a GPU they have to be waited for. Rows by falling length save a
        sorting.
    chunk_length : int
        Documents are read in multiples of so many tokens.
    gradient_length : int
        At least so many tokens at the end of a document get gradients.

    Returns
    -------
    Tensor of shape (rows, 4 * embedding_width)
        Zeros for a document without tokens.

    Examples
    --------
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> encoder = AWDLSTM(30, EncoderOptions(embedding_width=8, hidden_width=12)).eval()
    >>> tokens = torch.tensor([[2, 9, 8, 3], [2, 3, 1, 1]])
    >>> read_documents(encoder, tokens, torch.tensor([4, 2]), chunk_length=2).shape
    torch.Size([2, 32])
    """
    if _is_exported() and not encoder.training:
        return _in_one_go(encoder, tokens, lengths)
    ends = [min(max(length, 0), tokens.shape[1]) for length in lengths.tolist()]
    order = sorted(range(len(ends)), key=lambda row: -ends[row])
    reading = _Reading(encoder, chunk_length, gradient_length)
    if order == list(range(len(ends))):
        return reading.pooled_of(tokens, ends)
    chosen = _sent(order, tokens.device)
    features = reading.pooled_of(tokens[chosen], [ends[row] for row in order])
    return features[chosen.argsort()]


def _in_one_go(encoder: AWDLSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
    """What an exporter can trace: the same results, without chunks and sorting."""
    encoded = encoder(tokens, encoder.initial_state(tokens.shape[0]))
    features: Tensor = ConcatPooling()(encoded.raw, encoded.words, lengths)
    return features


class _Reading:
    """How documents by falling length are read."""

    def __init__(self, encoder: AWDLSTM, chunk_length: int, gradient_length: int) -> None:
        self.encoder = encoder
        self.chunk_length, self.gradient_length = chunk_length, gradient_length

    @never_compiled
    def pooled_of(self, tokens: Tensor, lengths: list[int]) -> Tensor:
        """Pooled outputs of documents by falling length."""
        training = self.encoder.training
        masks = self.encoder.fixed_masks(len(tokens)) if training else nullcontext()
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.encoder.parameters())
        # Whoever wants the gradient of an evaluation wants it through whole documents: then memory
        # is bounded by reading long ones twice.
        recomputes = learns and not training and max(lengths, default=0) > self.gradient_length
        progress = _Progress(self.encoder, self.chunk_length, len(tokens), recomputes=recomputes)
        with masks:
            early = [0] * len(lengths)
            if learns and training:
                early = [self._without_gradient(length) for length in lengths]
            late = [length - read for length, read in zip(lengths, early, strict=True)]
            if any(early):
                with torch.no_grad():
                    progress.read(tokens, early)
                tokens = _shifted(tokens, early, max(late))
            progress.read(tokens, late)
        return ConcatPooling.finish(progress.pooled, _sent(lengths, tokens.device))

    def _without_gradient(self, length: int) -> int:
        """How many tokens at a document's beginning get no gradient: whole chunks."""
        return max(length - self.gradient_length, 0) // self.chunk_length * self.chunk_length


class _Progress:
    """Documents on their way through the encoder: what it remembers, and what was pooled."""

    def __init__(self, encoder: AWDLSTM, chunk_length: int, rows: int, *, recomputes: bool) -> None:
        self.encoder, self.chunk_length = encoder, chunk_length
        self.recomputes = recomputes
        self.state: State = encoder.initial_state(rows)
        like = next(encoder.parameters())
        self.pooled = ConcatPooling.start(rows, encoder.options.embedding_width, like=like)

    def read(self, tokens: Tensor, lengths: Sequence[int]) -> None:
        """Read on, in each row so many tokens; rows that have ended are left out of later chunks.

        Those still running must come first, but for some whose last chunk is the last of all.
        """
        left = _sent(lengths, tokens.device)
        begin, longest = 0, max(lengths, default=0)
        while begin < longest:
            rows = max(row for row, length in enumerate(lengths) if length > begin) + 1
            end = self._end_of_chunk(begin, lengths[:rows])
            state = tuple(tuple(part[:rows] for part in layer) for layer in self.state)
            pooled = Pooled(*(part[:rows] for part in self.pooled))
            chunk = tokens[:rows, begin:end], left[:rows] - begin
            if self.recomputes:
                state, pooled = checkpoint(
                    self._read_chunk,
                    *chunk,
                    state,
                    pooled,
                    use_reentrant=False,
                    preserve_rng_state=False,  # nothing is drawn in evaluation
                )
            else:
                state, pooled = self._read_chunk(*chunk, state, pooled)
            self.pooled = Pooled(*map(_over, pooled, self.pooled))
            self.state = tuple(
                tuple(map(_over, new, old)) for new, old in zip(state, self.state, strict=True)
            )
            begin = end

    def _end_of_chunk(self, begin: int, lengths: Sequence[int]) -> int:
        """Where to stop reading next: where one of these documents ends, or memory says so."""
        unit = self.chunk_length
        shortest = min(length for length in lengths if length > begin)
        at_most = unit * max(_TOKENS_AT_ONCE // (unit * len(lengths)), 1)
        return min(-(-shortest // unit) * unit, begin + at_most, max(lengths))

    def _read_chunk(
        self, tokens: Tensor, left: Tensor, state: State, pooled: Pooled
    ) -> tuple[State, Pooled]:
        encoded = self.encoder(tokens, state)
        return encoded.state, ConcatPooling.add(pooled, encoded.raw, encoded.words, left)


def _is_exported() -> bool:
    """Whether somebody notes down what is computed, to repeat it for other tensors."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def _sent(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Numbers on the device, which is not waited for."""
    return torch.tensor(numbers, dtype=torch.long).to(device, non_blocking=True)


def _over(first: Tensor, whole: Tensor) -> Tensor:
    """The whole with other first rows."""
    return first if len(first) == len(whole) else torch.cat([first, whole[len(first) :]])


def _shifted(tokens: Tensor, starts: Sequence[int], width: int) -> Tensor:
    """Of every row the tokens from its start on."""
    columns = torch.arange(width, device=tokens.device)
    places = _sent(starts, tokens.device)[:, None] + columns
    return tokens.gather(1, places.clamp_(max=tokens.shape[1] - 1))
