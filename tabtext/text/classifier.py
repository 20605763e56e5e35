"""The network that judges documents: an encoder, its outputs pooled, and a small head.

Token ids ``(rows, longest)`` and lengths ``(rows,)`` go in; raw outputs ``(rows, n_outputs)`` come
out: logits or values, without a final activation. What a document gets depends neither on the other
rows of its batch nor on the padding behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args

from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.pooling import GRADIENT_LENGTH, read_documents

__all__ = ["HeadNorm", "TextClassifierNetwork"]

HeadNorm = Literal["batch", "layer"]


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
    >>> import torch
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
        return self.judge(self.encoder, tokens, lengths)

    def judge(self, encoder: AWDLSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the raw outputs of documents that another encoder reads, of the same width."""
        features = read_documents(
            encoder,
            tokens,
            lengths,
            chunk_length=self.chunk_length,
            gradient_length=self.gradient_length,
        )
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
