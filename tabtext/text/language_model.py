"""The language model: an encoder that reads, and a softmax over what the next token may be.

``LanguageModelNetwork`` is what is saved, scored and asked for texts. ``LanguageModelTask`` is what
a trainer trains: it takes windows of tokens and gives losses, so that the logits of a whole window,
which would be the largest tensor of all, never exist.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError, did_you_mean
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions, State
from tabtext.text.perplexity import row_losses
from tabtext.text.softmax.adaptive import AdaptiveSoftmax
from tabtext.text.softmax.cross_entropy import linear_cross_entropy, token_losses

__all__ = ["LanguageModelNetwork", "LanguageModelTask", "SoftmaxKind", "TiedSoftmax"]

SoftmaxKind = Literal["full", "adaptive"]


class TiedSoftmax(nn.Module):
    """A softmax over the whole vocabulary, whose weights are the embedding's.

    The embedding is handed over with every call, and not a parameter here: it is saved once.

    Parameters
    ----------
    vocabulary_size : int
        How many tokens there are.

    References
    ----------
    Inan, H., Khosravi, K. and Socher, R. (2017), "Tying Word Vectors and Word Classifiers"; Press,
    O. and Wolf, L. (2017), "Using the Output Embedding to Improve Language Models".

    Examples
    --------
    >>> softmax = TiedSoftmax(4)
    >>> softmax.log_probabilities(torch.zeros(1, 3), torch.ones(4, 3)).detach().exp()
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def loss(self, hidden: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        """Return the mean loss over the targets that are no padding."""
        return linear_cross_entropy(hidden, weight, self.bias, targets)

    def token_losses(self, hidden: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of every target, without gradients; 0 for padding."""
        return token_losses(hidden, weight, self.bias, targets)

    def log_probabilities(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """Return the logarithm of every token's probability ``(..., vocabulary)``."""
        logits = nn.functional.linear(hidden.float(), weight.float(), self.bias.float())
        return logits.log_softmax(dim=-1)


class LanguageModelNetwork(nn.Module):
    """Foresees every next token of a text.

    **Shape**

    - Input: tokens ``(rows, length)`` and the state in which they are read.
    - Output: log-probabilities ``(rows, length, vocabulary_size)`` of what follows each, and the
      state behind the last.

    Parameters
    ----------
    vocabulary_size : int
        How many tokens there are.
    options : EncoderOptions
        Shape and dropouts of the encoder.
    softmax : {"full", "adaptive"}
        Score all tokens every time, or rare ones only where one of them is due.
    cutoffs : sequence of int, optional
        For ``"adaptive"``: where the frequent tokens end, and every class of rarer ones but the
        last.

    Raises
    ------
    ParameterError
        If there is no such softmax, or cutoffs are given to a full one.

    Examples
    --------
    >>> options = EncoderOptions(embedding_width=4, hidden_width=6, n_layers=2)
    >>> network = LanguageModelNetwork(11, options).eval()
    >>> scores, state = network(torch.tensor([[2, 9, 10]]), network.encoder.initial_state(1))
    >>> scores.shape, scores.exp().sum(dim=-1).round(decimals=4).tolist()
    (torch.Size([1, 3, 11]), [[1.0, 1.0, 1.0]])
    """

    def __init__(
        self,
        vocabulary_size: int,
        options: EncoderOptions,
        *,
        softmax: SoftmaxKind = "full",
        cutoffs: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if softmax not in get_args(SoftmaxKind):
            raise ParameterError(
                f"{softmax=} is not one of {', '.join(get_args(SoftmaxKind))}"
                f"{did_you_mean(str(softmax), get_args(SoftmaxKind))}"
            )
        if softmax == "full" and cutoffs is not None:
            raise ParameterError(f"{cutoffs=} belong to softmax='adaptive'; leave them out")
        self.vocabulary_size = vocabulary_size
        self.options = options
        self.softmax = softmax
        self.encoder = AWDLSTM(vocabulary_size, options)
        self.decoder: TiedSoftmax | AdaptiveSoftmax
        if softmax == "full":
            self.decoder = TiedSoftmax(vocabulary_size)
        else:
            self.decoder = AdaptiveSoftmax(vocabulary_size, options.embedding_width, cutoffs)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the log-probabilities of all next tokens, and the state behind the last."""
        output = self.encoder(tokens, state)
        return self.log_probabilities(output.outputs), output.state

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of targets ``(n,)`` after outputs ``(n, width)`` of the encoder."""
        return self.decoder.loss(hidden, targets, self.encoder.embedding.weight)

    def token_losses(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the loss ``(n,)`` of every target, in full precision and without gradients."""
        return self.decoder.token_losses(hidden, targets, self.encoder.embedding.weight)

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Return log-probabilities ``(..., vocabulary_size)`` after outputs ``(..., width)``."""
        return self.decoder.log_probabilities(hidden, self.encoder.embedding.weight)

    def set_word_vectors(self, vectors: npt.NDArray[np.floating[Any]]) -> None:
        """Begin with these vectors.

        Parameters
        ----------
        vectors : float array of shape (vocabulary_size, embedding_width)
            Such as ``tabtext.text.word_vectors.word_vectors`` makes.

        Raises
        ------
        ParameterError
            If their shape is another.
        """
        weight = self.encoder.embedding.weight
        if vectors.shape != weight.shape:
            raise ParameterError(f"{vectors.shape=} must be {tuple(weight.shape)}")
        if self.options.cell == "irnn":  # adds up what it reads, without bounds
            vectors = vectors / 10
        with torch.no_grad():
            weight.copy_(torch.from_numpy(vectors))

    def layer_groups(self) -> list[nn.Module]:
        """Return embedding, layers, and the softmax with the embedding that it shares.

        So the embedding learns at the rate of the first group, and also where only the last learns.
        """
        return [*self.encoder.layer_groups(), nn.ModuleList([self.decoder, self.encoder.embedding])]

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, as values that JSON can hold."""
        cutoffs = self.decoder.cutoffs if isinstance(self.decoder, AdaptiveSoftmax) else None
        return {
            "vocabulary_size": self.vocabulary_size,
            "options": self.options.to_dict(),
            "softmax": self.softmax,
            "cutoffs": None if cutoffs is None else list(cutoffs),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a network of the same shape; its weights come with ``load_state_dict``."""
        return cls(
            config["vocabulary_size"],
            EncoderOptions.from_dict(config["options"]),
            softmax=config["softmax"],
            cutoffs=config["cutoffs"],
        )


class LanguageModelTask(nn.Module):
    """What a trainer trains: windows of tokens in, losses out.

    In training the rows of a batch are windows of continuous streams; what the network remembers of
    a stream at the end of one window is what it begins the next with, cut off from the gradient. In
    evaluation each row is a document of its own.

    Parameters
    ----------
    network : LanguageModelNetwork
        What learns.
    n_streams : int
        How many streams there are at most.

    References
    ----------
    Mikolov, T. et al. (2010), "Recurrent neural network based language model" (truncated
    back-propagation through time).

    Examples
    --------
    >>> options = EncoderOptions(embedding_width=4, hidden_width=4, n_layers=1)
    >>> task = LanguageModelTask(LanguageModelNetwork(11, options), n_streams=2)
    >>> window = torch.tensor([[2, 9, 10], [2, 9, 3]]), torch.tensor([[9, 10, 3], [9, 3, 1]])
    >>> task(*window, torch.arange(2), torch.ones(2, dtype=torch.bool)).shape
    torch.Size([2])
    >>> [[tensor.shape for tensor in layer] for layer in task.carried_state()]
    [[torch.Size([2, 4]), torch.Size([2, 4])]]
    """

    def __init__(self, network: LanguageModelNetwork, n_streams: int) -> None:
        super().__init__()
        if n_streams < 1:
            raise ParameterError(f"{n_streams=} must be at least 1")
        self.network = network
        self.n_streams = n_streams
        # No buffers: those of several processes would be made equal, and each has its own streams.
        self._carried: State = ()

    def forward(self, tokens: Tensor, targets: Tensor, rows: Tensor, fresh: Tensor) -> Tensor:
        """Return losses ``(rows,)``: in training all of them the mean over the batch's targets.

        Parameters
        ----------
        tokens, targets : int Tensor of shape (rows, length)
            What is read, and what should have been foreseen; targets of padding do not count.
        rows : int64 Tensor of shape (rows,)
            Which stream each row is of.
        fresh : bool Tensor of shape (rows,)
            Which streams begin here.
        """
        if not self.training:
            sums, counts = row_losses(self.network, tokens, targets)
            return (sums / counts.clamp_min(1)).float()
        output = self.network.encoder(tokens, self._remembered(rows, fresh))
        self._remember(rows, output.state)
        # Time first, as the outputs lie in memory.
        hidden = output.outputs.transpose(0, 1).flatten(0, 1)
        return self.network.loss(hidden, targets.t().flatten()).expand(len(rows))

    def layer_groups(self) -> list[nn.Module]:
        """Return the network's."""
        return self.network.layer_groups()

    def carried_state(self) -> list[list[Tensor]]:
        """Return what is remembered of all streams, layer by layer; nothing before the first."""
        return [list(layer) for layer in self._carried]

    def load_carried_state(self, state: list[list[Tensor]]) -> None:
        """Go on with what ``carried_state`` returned."""
        device = self.network.encoder.embedding.weight.device
        self._carried = tuple(tuple(tensor.to(device) for tensor in layer) for layer in state)

    def _remembered(self, rows: Tensor, fresh: Tensor) -> State:
        """The state of some streams, zero for those that begin."""
        if not self._carried:
            self._carried = self.network.encoder.initial_state(self.n_streams)
        begins = fresh[:, None]
        return tuple(
            tuple(tensor[rows].masked_fill(begins, 0.0) for tensor in layer)
            for layer in self._carried
        )

    def _remember(self, rows: Tensor, state: State) -> None:
        """Keep the state of some streams, in new tensors: whoever holds the old ones keeps them."""
        self._carried = tuple(
            tuple(
                old.index_copy(0, rows, new.detach().to(old.dtype))
                for old, new in zip(before, after, strict=True)
            )
            for before, after in zip(self._carried, state, strict=True)
        )
