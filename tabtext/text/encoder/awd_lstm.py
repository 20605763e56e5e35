"""The AWD-LSTM encoder: what a language model knows of every place in a text.

Token ids ``(rows, length)`` and a state go in; a vector for every token and the next state come
out. The encoder remembers nothing from one pass to the next: whoever reads a text in pieces hands
the state on.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tabtext.dropout import dropout_mask
from tabtext.errors import ColumnTypeError, ParameterError
from tabtext.text.alignment import HALF_WAY, adapted_vectors
from tabtext.text.eager import never_compiled
from tabtext.text.encoder.dropout import embed_words, locked_dropout
from tabtext.text.encoder.options import EncoderOptions
from tabtext.text.encoder.recurrent import LayerState, RecurrentLayer

__all__ = ["AWDLSTM", "EncoderOptions", "EncoderOutput", "State"]

State = tuple[LayerState, ...]
"""What the encoder remembers, layer by layer; every tensor is ``(rows, width)``."""

_EMBEDDING_BOUND = 0.1  # the paper's


class EncoderOutput(NamedTuple):
    """What the encoder makes of tokens; the vectors are ``(rows, length, embedding_width)``."""

    outputs: Tensor
    """Of every token, features dropped in training."""
    raw: Tensor
    """The same before dropout."""
    words: Tensor
    """The vectors of the tokens themselves, as the first layer reads them."""
    state: State
    """After the last token."""


class AWDLSTM(nn.Module):
    """Word vectors and a stack of recurrent layers, with all dropouts of the AWD-LSTM.

    **Shape**

    - Input: token ids ``(rows, length)``, any integer dtype, and a state.
    - Output: ``EncoderOutput``, vectors ``(rows, length, embedding_width)``. In memory they lie
      time first, as layers compute: ``outputs.transpose(0, 1)`` is contiguous.

    In training every pass draws its dropout masks anew, except within ``fixed_masks``.

    Parameters
    ----------
    vocabulary_size : int
        Number of tokens.
    options : EncoderOptions, optional
        Shape and regularisation.

    Raises
    ------
    ParameterError
        If there are no tokens.

    References
    ----------
    Merity, S., Keskar, N. S. and Socher, R. (2018), "Regularizing and Optimizing LSTM Language
    Models".

    Examples
    --------
    >>> encoder = AWDLSTM(30, EncoderOptions(embedding_width=4, hidden_width=6))
    >>> output = encoder(torch.tensor([[2, 9, 8], [2, 7, 3]]), encoder.initial_state(2))
    >>> output.outputs.shape, [part.shape for part in output.state[0]]
    (torch.Size([2, 3, 4]), [torch.Size([2, 6]), torch.Size([2, 6])])
    """

    def __init__(self, vocabulary_size: int, options: EncoderOptions | None = None) -> None:
        super().__init__()
        if vocabulary_size < 1:
            raise ParameterError(f"vocabulary_size must be at least 1, however: {vocabulary_size}")
        self.vocabulary_size = int(vocabulary_size)
        self.options = options = EncoderOptions() if options is None else options
        width, hidden, n_layers = options.embedding_width, options.hidden_width, options.n_layers
        self.embedding = nn.Embedding(self.vocabulary_size, width)
        self.layers = nn.ModuleList(
            RecurrentLayer(
                width if number == 0 else hidden,
                width if number == n_layers - 1 else hidden,
                cell=options.cell,
                weight_drop=options.rates()["weight_drop"],
                recurrent_initialisation=options.recurrent_initialisation,
            )
            for number in range(n_layers)
        )
        self._fixed_rows: int | None = None
        self._fixed: _Masks | None = None
        self._squares: list[_Squares] = []
        nn.init.uniform_(self.embedding.weight, -_EMBEDDING_BOUND, _EMBEDDING_BOUND)

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first token: zeros."""
        return tuple(layer.initial_state(batch_size) for layer in self.recurrent_layers())

    # A compiler could not but call the same layers, and CUDA graphs overwrite states handed on.
    @never_compiled
    def forward(self, tokens: Tensor, state: State) -> EncoderOutput:
        """Return the vectors of tokens, and the state after them.

        Parameters
        ----------
        tokens : Tensor of shape (rows, length)
            Token ids.
        state : tuple of tuple of Tensor
            ``initial_state``, or what the pass over the tokens before returned. To learn from this
            pass alone, detach it.

        Returns
        -------
        EncoderOutput

        Raises
        ------
        ParameterError
            If a token is outside the vocabulary (looked at on the CPU only), or shapes do not fit.
        ColumnTypeError
            If the tokens are no integers.
        """
        self._check(tokens, state)
        masks = self._masks(len(tokens)) if self.training else _NO_MASKS
        sequence = embed_words(
            tokens.t().to(torch.int64),
            self.embedding.weight,
            word_mask=masks.words,
            locked_mask=masks.inputs,
        )
        words, after = sequence, list[LayerState]()
        for number, layer in enumerate(self.recurrent_layers()):
            raw, layer_state = layer(sequence, state[number])
            sequence = locked_dropout(raw, masks.behind[number] if masks.behind else None)
            after.append(layer_state)
        self._note_squares(sequence, raw)
        vectors = (sequence.transpose(0, 1), raw.transpose(0, 1), words.transpose(0, 1))
        return EncoderOutput(*vectors, tuple(after))

    @contextmanager
    def fixed_masks(self, batch_size: int) -> Iterator[None]:
        """Keep one draw of all dropout masks over the forward passes within.

        For texts that are read in chunks: dropout that changed on the way would be noise in what is
        remembered. ``extra_loss`` then counts all of them.

        Parameters
        ----------
        batch_size : int
            Rows of the batch. A pass over fewer is one over the first of them.

        Raises
        ------
        ParameterError
            If masks are fixed already.
        """
        if self._fixed_rows is not None:
            raise ParameterError("the masks are fixed already; leave the outer fixed_masks first")
        with ExitStack() as stack:
            for layer in self.recurrent_layers():
                stack.enter_context(layer.fixed_mask())
            self._fixed_rows, self._squares = batch_size, []
            try:
                yield
            finally:
                self._fixed_rows = self._fixed = None

    def extra_loss(self) -> Tensor | float:
        """Return activation regularisation of the last pass in training, to be added to the loss.

        Means are taken over all rows, steps and features. What was returned once is forgotten, with
        the graph that it belongs to.

        Returns
        -------
        Tensor or float
            Scalar; 0.0 where there is nothing to add.
        """
        squares, self._squares = self._squares, []
        alpha = self.options.activation_regularisation
        beta = self.options.temporal_activation_regularisation
        total: Tensor | float = 0.0
        for weight, sums, counts in (
            (alpha, [s.outputs for s in squares], sum(s.n_outputs for s in squares)),
            (beta, [s.changes for s in squares], sum(s.n_changes for s in squares)),
        ):
            if weight and counts:
                total = total + sum(sums) * (weight / counts)
        return total

    def word_vectors(self) -> npt.NDArray[np.float32]:
        """Return a copy of the embedding ``(vocabulary_size, embedding_width)``."""
        return self.embedding.weight.detach().float().cpu().numpy().copy()

    def adapt_word_vectors(
        self,
        vectors: npt.NDArray[np.float32],
        shared: npt.NDArray[np.bool_],
        counts: npt.NDArray[np.integer[Any]],
        *,
        half_way: float = HALF_WAY,
    ) -> None:
        """Turn the word vectors to what counts in new texts say.

        Parameters
        ----------
        vectors, shared, counts, half_way
            See ``tabtext.text.alignment.adapted_vectors``.
        """
        own = self.word_vectors()
        adapted = adapted_vectors(vectors, own, shared, counts, half_way=half_way)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.from_numpy(adapted))

    def layer_groups(self) -> list[nn.Module]:
        """Return the embedding and the layers, from the input side on."""
        return [self.embedding, *self.layers]

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON."""
        return {"vocabulary_size": self.vocabulary_size, "options": self.options.to_dict()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build an encoder of the same shape; its weights come with ``load_state_dict``."""
        return cls(config["vocabulary_size"], EncoderOptions.from_dict(config["options"]))

    def __getstate__(self) -> dict[str, Any]:
        # For copies and pickles: what belongs to a pass under way is no part of the encoder.
        return {**self.__dict__, "_fixed_rows": None, "_fixed": None, "_squares": []}

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """Return the layers, from the input side on."""
        return list(self.layers)  # type: ignore[arg-type]  # a ModuleList forgets of what

    def _masks(self, n_rows: int) -> "_Masks":
        """The masks of a training pass over so many rows."""
        if self._fixed_rows is None:
            return self._draw(n_rows)
        if n_rows > self._fixed_rows:
            raise ParameterError(
                f"masks are fixed for {self._fixed_rows} rows, however: {n_rows=}; give "
                "fixed_masks the rows of the whole batch"
            )
        if self._fixed is None:
            self._fixed = self._draw(self._fixed_rows)
        return self._fixed.first(n_rows)

    def _draw(self, n_rows: int) -> "_Masks":
        weight, rates = self.embedding.weight, self.options.rates()
        width, hidden = self.options.embedding_width, self.options.hidden_width
        widths = [hidden] * (self.options.n_layers - 1) + [width]
        names = ["hidden_dropout"] * (self.options.n_layers - 1) + ["output_dropout"]
        return _Masks(
            words=dropout_mask((self.vocabulary_size,), rates["embedding_dropout"], like=weight),
            inputs=dropout_mask((n_rows, width), rates["input_dropout"], like=weight),
            behind=tuple(
                dropout_mask((n_rows, width), rates[name], like=weight)
                for width, name in zip(widths, names, strict=True)
            ),
        )

    def _note_squares(self, outputs: Tensor, raw: Tensor) -> None:
        """Keep what activation regularisation needs of this pass."""
        if self._fixed_rows is None:
            self._squares = []
        options = self.options
        wanted = options.activation_regularisation or options.temporal_activation_regularisation
        if not (wanted and self.training and torch.is_grad_enabled()):
            return
        exact = torch.promote_types(raw.dtype, torch.float32)  # also in mixed precision
        changes = raw[1:].to(exact) - raw[:-1].to(exact)
        self._squares.append(
            _Squares(
                outputs=outputs.to(exact).square().sum(),
                n_outputs=outputs.numel(),
                changes=changes.square().sum(),
                n_changes=changes.numel(),
            )
        )

    def _check(self, tokens: Tensor, state: State) -> None:
        if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
            raise ColumnTypeError(f"tokens must be integers, however: {tokens.dtype=}")
        if tokens.ndim != 2 or tokens.shape[1] < 1:
            raise ParameterError(
                "tokens must have the shape (rows, length), with at least one step, however: "
                f"{tuple(tokens.shape)}"
            )
        if torch.compiler.is_compiling():
            return
        expected = [
            [(len(tokens), layer.width)] * layer.n_states for layer in self.recurrent_layers()
        ]
        given = [[tuple(part.shape) for part in layer] for layer in state]
        if given != expected:
            raise ParameterError(
                f"the state has the shapes {given}, and a batch of {len(tokens)} rows needs "
                f"{expected}; begin with initial_state({len(tokens)})"
            )
        if tokens.device.type == "cpu" and tokens.numel():  # elsewhere it would have to be awaited
            _check_range(tokens, self.vocabulary_size)


@dataclass(frozen=True)
class _Masks:
    """The dropout masks of a pass, but for those of weights; None drops nothing."""

    words: Tensor | None = None  # (vocabulary,)
    inputs: Tensor | None = None  # (rows, embedding_width)
    behind: tuple[Tensor | None, ...] = ()  # of each layer: (rows, width)

    def first(self, n_rows: int) -> "_Masks":
        """The masks of the first rows."""
        behind = tuple(mask if mask is None else mask[:n_rows] for mask in self.behind)
        return _Masks(
            self.words, self.inputs if self.inputs is None else self.inputs[:n_rows], behind
        )


_NO_MASKS = _Masks()


@dataclass(frozen=True)
class _Squares:
    """Sums of squares of a pass: of dropped outputs, and of changes of raw ones."""

    outputs: Tensor
    n_outputs: int
    changes: Tensor
    n_changes: int


def _check_range(tokens: Tensor, vocabulary_size: int) -> None:
    low, high = (int(bound) for bound in tokens.aminmax())
    if low >= 0 and high < vocabulary_size:
        return
    row, place = ((tokens < 0) | (tokens >= vocabulary_size)).nonzero()[0].tolist()
    raise ParameterError(
        f"token {int(tokens[row, place])} (row {row}, place {place}) is outside the vocabulary of "
        f"{vocabulary_size} tokens; encode texts with the vocabulary that the model was built for"
    )
