"""The network that judges documents: an encoder, its outputs pooled, and a small head.

Token ids ``(rows, longest)`` and lengths ``(rows,)`` go in; raw outputs ``(rows, n_outputs)`` come
out: logits or values, without a final activation. What a document gets depends neither on the other
rows of its batch nor on the padding behind it.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tabtext.errors import ParameterError
from tabtext.text.eager import never_compiled
from tabtext.text.encoder.awd_lstm import AWDLSTM, State

__all__ = ["GRADIENT_LENGTH", "ConcatPooling", "HeadNorm", "Pooled", "TextClassifierNetwork"]

HeadNorm = Literal["batch", "layer"]

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


class TextClassifierNetwork(nn.Module):
    """An AWD-LSTM encoder, concat pooling, and a head of a few fully connected layers.

    Documents of any length are read in chunks. In training, gradients flow through the last part
    of each document only, which bounds memory: earlier chunks are read without, but pooled all the
    same. Dropout masks stay the same over a document.

    **Shape**

    - Input: token ids ``(rows, longest)`` of any integer dtype, padding behind the text, and
      ``lengths``, ``(rows,)``, best on the CPU: from a GPU they have to be waited for. Rows by
      falling length save a sorting.
    - Output: ``(rows, n_outputs)``: logits or values.

    Parameters
    ----------
    encoder : AWDLSTM
        Fresh, or taken from a language model.
    n_outputs : int
        Number of outputs.
    head_widths : sequence of int
        Widths of the layers between pooling and output.
    head_dropout : float
        Share of the inputs of each layer behind the first that is set to zero in training.
    pooling_dropout : float, optional
        The same for what comes out of pooling, once it is normalised. Default: the encoder's output
        dropout, which does not act before pooling: there a network that reached a validation
        accuracy of 0.71 on 3,000 IMDb reviews in two epochs learned nothing in the same time.
    head_norm : {"batch", "layer"}
        What normalises each layer's inputs. Pooled outputs of different documents differ little
        from their mean, which batch norm takes away: in that trial it reached 0.81 in four epochs
        and layer norm 0.74. Its running statistics trail behind early in training; see
        ``training.batch_norm``.
    chunk_length : int
        Documents are read in multiples of so many tokens, in batches of 64 documents by this alone:
        then memory is looked after, and those that have ended are left out.
    gradient_length : int
        At least so many tokens at the end of a document get gradients (up to a chunk more do so
        where the document is longer).

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text
    Classification", section 3.3 (concat pooling, BPTT for text classification).

    Examples
    --------
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> options = EncoderOptions(embedding_width=8, hidden_width=12)
    >>> network = TextClassifierNetwork(AWDLSTM(30, options), n_outputs=2).eval()
    >>> tokens = torch.tensor([[2, 9, 8, 3], [2, 3, 1, 1]])
    >>> network(tokens, torch.tensor([4, 2])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        encoder: AWDLSTM,
        n_outputs: int,
        *,
        head_widths: Sequence[int] = (50,),
        head_dropout: float = 0.1,
        pooling_dropout: float | None = None,
        head_norm: HeadNorm = "batch",
        chunk_length: int = 144,
        gradient_length: int = GRADIENT_LENGTH,
    ) -> None:
        super().__init__()
        _check(n_outputs, head_widths, head_norm, chunk_length, gradient_length)
        if pooling_dropout is None:
            pooling_dropout = encoder.options.rates()["output_dropout"]
        self.encoder = encoder
        self.pooling = ConcatPooling()
        self.n_outputs = int(n_outputs)
        self.chunk_length, self.gradient_length = int(chunk_length), int(gradient_length)
        self._settings: dict[str, Any] = {
            "n_outputs": self.n_outputs,
            "head_widths": [int(width) for width in head_widths],
            "head_dropout": float(head_dropout),
            "pooling_dropout": float(pooling_dropout),
            "head_norm": head_norm,
            "chunk_length": self.chunk_length,
            "gradient_length": self.gradient_length,
        }
        self.head = _head(
            [4 * encoder.options.embedding_width, *head_widths, n_outputs],
            [pooling_dropout, *[head_dropout] * len(head_widths)],
            head_norm,
        )

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens that the encoder knows."""
        return self.encoder.vocabulary_size

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the raw outputs of a batch of documents."""
        if _is_exported() and not self.training:
            features = self._features_in_one_go(tokens, lengths)
        else:
            ends = [min(max(length, 0), tokens.shape[1]) for length in lengths.tolist()]
            order = sorted(range(len(ends)), key=lambda row: -ends[row])
            if order == list(range(len(ends))):
                features = self._features(tokens, ends)
            else:
                chosen = _sent(order, tokens.device)
                features = self._features(tokens[chosen], [ends[row] for row in order])
                features = features[chosen.argsort()]
        raw: Tensor = self.head(features)
        return raw

    def layer_groups(self) -> list[nn.Module]:
        """Return the parts from the input side to the head: those of the encoder, then the head."""
        return [*self.encoder.layer_groups(), self.head]

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON."""
        return {"encoder": self.encoder.config(), **self._settings}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a network of the same architecture; its values come with ``load_state_dict``."""
        arguments = dict(config)
        encoder = AWDLSTM.from_config(arguments.pop("encoder"))
        return cls(encoder, arguments.pop("n_outputs"), **arguments)

    # -- reading -----------------------------------------------------------------------------

    @never_compiled
    def _features(self, tokens: Tensor, lengths: list[int]) -> Tensor:
        """Pooled outputs of documents by falling length."""
        masks = self.encoder.fixed_masks(len(tokens)) if self.training else nullcontext()
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.encoder.parameters())
        # Whoever wants the gradient of an evaluation wants it through whole documents: then memory
        # is bounded by reading long ones twice.
        recomputes = learns and not self.training and max(lengths, default=0) > self.gradient_length
        reading = _Reading(self, len(tokens), recomputes=recomputes)
        with masks:
            early = [0] * len(lengths)
            if learns and self.training:
                early = [self._without_gradient(length) for length in lengths]
            late = [length - read for length, read in zip(lengths, early, strict=True)]
            if any(early):
                with torch.no_grad():
                    reading.read(tokens, early)
                tokens = _shifted(tokens, early, max(late))
            reading.read(tokens, late)
        return self.pooling.finish(reading.pooled, _sent(lengths, tokens.device))

    def _without_gradient(self, length: int) -> int:
        """How many tokens at a document's beginning get no gradient: whole chunks."""
        return max(length - self.gradient_length, 0) // self.chunk_length * self.chunk_length

    def _features_in_one_go(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What an exporter can trace: the same results, without chunks and sorting."""
        encoded = self.encoder(tokens, self.encoder.initial_state(tokens.shape[0]))
        features: Tensor = self.pooling(encoded.raw, encoded.words, lengths)
        return features


class _Reading:
    """Documents on their way through the encoder: what it remembers, and what was pooled."""

    def __init__(self, network: TextClassifierNetwork, rows: int, *, recomputes: bool) -> None:
        encoder, pooling = network.encoder, network.pooling
        self.encoder, self.pooling, self.chunk_length = encoder, pooling, network.chunk_length
        self.recomputes = recomputes
        self.state: State = encoder.initial_state(rows)
        like = next(encoder.parameters())
        self.pooled = pooling.start(rows, encoder.options.embedding_width, like=like)

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
        return encoded.state, self.pooling.add(pooled, encoded.raw, encoded.words, left)


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


def _head(widths: Sequence[int], dropouts: Sequence[float], norm: HeadNorm) -> nn.Sequential:
    """Norm, dropout and linear for each pair of widths, with ReLU between them."""
    layers: list[nn.Module] = []
    for place, dropout in enumerate(dropouts):
        if not 0 <= dropout < 1:
            raise ParameterError(f"a dropout rate must be in [0, 1), however: {dropout}")
        n_inputs, n_outputs = widths[place : place + 2]
        layers.append(nn.BatchNorm1d(n_inputs) if norm == "batch" else nn.LayerNorm(n_inputs))
        layers += [nn.Dropout(dropout), nn.Linear(n_inputs, n_outputs)]
        if place < len(dropouts) - 1:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _check(
    n_outputs: int,
    head_widths: Sequence[int],
    head_norm: str,
    chunk_length: int,
    gradient_length: int,
) -> None:
    if n_outputs < 1 or any(width < 1 for width in head_widths):
        raise ParameterError(f"widths must be at least 1, however: {n_outputs=}, {head_widths=}")
    if head_norm not in get_args(HeadNorm):
        raise ParameterError(
            f"head_norm must be one of {', '.join(get_args(HeadNorm))}, however: {head_norm!r}"
        )
    if chunk_length < 1 or gradient_length < 1:
        raise ParameterError(
            f"lengths must be at least 1, however: {chunk_length=}, {gradient_length=}"
        )
