"""One recurrent layer: LSTM, GRU or a ReLU network, its hidden-to-hidden weights dropped at random.

A sequence ``(length, rows, input_width)`` and a state go in, time first; outputs ``(length, rows,
width)`` and the next state come out. The layer computes through the very functions that
``torch.nn.LSTM`` calls: oneDNN on the CPU, cuDNN on a GPU.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.text.encoder.weight_drop import DroppedWeights, Mode, Weights

__all__ = ["Cell", "Initialisation", "LayerState", "RecurrentLayer"]

Cell = Literal["lstm", "gru", "irnn"]
Initialisation = Literal["uniform", "orthogonal", "identity"]

LayerState = tuple[Tensor, ...]
"""What a layer remembers, each ``(rows, width)``: hidden and cell state of an LSTM, else hidden."""

_MODES: dict[Cell, Mode] = {"lstm": "LSTM", "gru": "GRU", "irnn": "RNN_RELU"}
_N_GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "irnn": 1}


class RecurrentLayer(nn.Module):
    """One layer of LSTM, GRU or identity-initialised ReLU network, with weight drop.

    **Shape**

    - Input: ``(length, rows, input_width)``, and a state of tensors ``(rows, width)``.
    - Output: ``(length, rows, width)``, and the state after the last step.

    Every forward pass in training draws the dropped entries anew, except within ``fixed_mask``. In
    evaluation the weights are used as they are.

    Parameters
    ----------
    input_width : int
        Width of the inputs.
    width : int
        Number of hidden units.
    cell : {"lstm", "gru", "irnn"}
        ``"irnn"`` is a plain network with ReLU whose recurrent matrix starts as the identity. It
        takes a third of an LSTM's time, and needs care: nothing bounds what it remembers of a text
        without end, and in trials as a language model it diverged at some rates and starts.
    weight_drop : float
        Share of the entries of the hidden-to-hidden matrix that are zero in a training pass, the
        others scaled up by ``1 / (1 - weight_drop)``. In an IRNN the *distance* to the identity is
        dropped: whole units would else forget everything, and the others explode.
    recurrent_initialisation : {"uniform", "orthogonal", "identity"}, optional
        How the hidden-to-hidden matrix of each gate starts. Default: ``"uniform"``, as everything
        else, between plus and minus ``1 / sqrt(width)``; ``"identity"`` for an IRNN, which is one
        by that alone.

    Attributes
    ----------
    weight_input, weight_hidden, bias_input, bias_hidden : Parameter
        In torch's order of gates: input, forget, cell, output; reset, update, new.

    Raises
    ------
    ParameterError
        If an argument is outside the values that it may take.

    References
    ----------
    Hochreiter, S. and Schmidhuber, J. (1997), "Long Short-Term Memory".
    Cho, K. et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder for
    Statistical Machine Translation".
    Le, Q. V., Jaitly, N. and Hinton, G. E. (2015), "A Simple Way to Initialize Recurrent Networks
    of Rectified Linear Units".
    Wan, L. et al. (2013), "Regularization of Neural Networks using DropConnect".

    Examples
    --------
    >>> layer = RecurrentLayer(3, 5, weight_drop=0.5)
    >>> outputs, state = layer(torch.randn(7, 2, 3), layer.initial_state(2))
    >>> outputs.shape, [part.shape for part in state]
    (torch.Size([7, 2, 5]), [torch.Size([2, 5]), torch.Size([2, 5])])
    """

    def __init__(
        self,
        input_width: int,
        width: int,
        *,
        cell: Cell = "lstm",
        weight_drop: float = 0.0,
        recurrent_initialisation: Initialisation | None = None,
    ) -> None:
        super().__init__()
        if input_width < 1 or width < 1:
            raise ParameterError(f"widths must be at least 1, however: {input_width=}, {width=}")
        if not 0 <= weight_drop < 1:
            raise ParameterError(f"weight_drop must be in [0, 1), however: {weight_drop=}")
        self.input_width, self.width = input_width, width
        self.cell = cell
        self.weight_drop = weight_drop
        self.recurrent_initialisation = initialisation_of(cell, recurrent_initialisation)
        n_rows = _N_GATES[cell] * width
        self.weight_input = nn.Parameter(torch.empty(n_rows, input_width))
        self.weight_hidden = nn.Parameter(torch.empty(n_rows, width))
        self.bias_input = nn.Parameter(torch.empty(n_rows))
        self.bias_hidden = nn.Parameter(torch.empty(n_rows))
        self._dropped = DroppedWeights(_MODES[cell], towards_identity=cell == "irnn")
        self._mask_lasts = self._mask_is_drawn = False
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew; an IRNN has no biases at first."""
        bound = 1 / math.sqrt(self.width)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        if self.cell == "irnn":
            nn.init.zeros_(self.bias_input)
            nn.init.zeros_(self.bias_hidden)
        with torch.no_grad():
            for gate in torch.split(self.weight_hidden, self.width):
                if self.recurrent_initialisation == "orthogonal":
                    nn.init.orthogonal_(gate)
                elif self.recurrent_initialisation == "identity":
                    nn.init.eye_(gate)

    @property
    def n_states(self) -> int:
        """How many tensors the state has."""
        return 2 if self.cell == "lstm" else 1

    def initial_state(self, n_rows: int) -> LayerState:
        """Return the state before the first token: zeros."""
        return tuple(self.weight_hidden.new_zeros(n_rows, self.width) for _ in range(self.n_states))

    def forward(self, sequence: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Return the outputs of every step, and the state after the last one."""
        dtype, own = self._dtype(), self.weight_hidden.dtype
        weights = self._weights(dtype)
        before = [part.to(dtype).contiguous().unsqueeze(0) for part in state]
        device = sequence.device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):  # the dtype is chosen already
                outputs, after = _run(self.cell, sequence.to(dtype), before, weights)
        else:
            outputs, after = _run(self.cell, sequence, before, weights)
        # A state has the weights' own dtype, so that a pass in any precision can go on from it.
        return outputs, tuple(part.squeeze(0).to(own) for part in after)

    @contextmanager
    def fixed_mask(self) -> Iterator[None]:
        """Keep one draw of the dropped entries over all forward passes within."""
        self._mask_lasts, self._mask_is_drawn = True, False
        try:
            yield
        finally:
            self._mask_lasts = False
            self._dropped.let_go()

    def __getstate__(self) -> dict[str, Any]:
        # For copies and pickles: what belongs to a pass under way is no part of the layer.
        return {**self.__dict__, "_mask_lasts": False, "_mask_is_drawn": False}

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the parameters."""
        return f"{self.input_width}, {self.width}, {self.cell}, weight_drop={self.weight_drop}"

    def _weights(self, dtype: torch.dtype) -> Weights:
        """The weights of this pass."""
        weights = self.weight_input, self.weight_hidden, self.bias_input, self.bias_hidden
        drops = self.training and self.weight_drop > 0
        if drops and not (self._mask_lasts and self._mask_is_drawn):
            self._dropped.draw(self.weight_hidden, self.weight_drop)
            self._mask_is_drawn = True
        if not drops and self.weight_hidden.dtype == dtype and not self.weight_hidden.is_cuda:
            return weights  # only cuDNN wants them in one block
        shared = self._mask_lasts and self.training
        return self._dropped.write(weights, dtype, masked=drops, shared=shared)

    def _dtype(self) -> torch.dtype:
        """What to compute in: under autocast its dtype, where the device has such a layer.

        Left to itself, torch's autocast raises an error on CPUs without bfloat16 products, and on
        a GPU packs the weights into another block in every pass.
        """
        own, device = self.weight_hidden.dtype, self.weight_hidden.device.type
        if not torch.is_autocast_enabled(device):
            return own
        wanted = torch.get_autocast_dtype(device)
        if device == "cpu":
            has_it = self.cell == "lstm" and wanted == torch.bfloat16 and _cpu_has_bfloat16()
            return wanted if has_it else own
        return wanted


def _run(
    cell: Cell, sequence: Tensor, before: list[Tensor], weights: Weights
) -> tuple[Tensor, list[Tensor]]:
    """Outputs and state after the last step, from states of shape ``(1, rows, width)``."""
    # Biases, one layer, no dropout, training, not bidirectional, time first. What counts as
    # training is whether gradients are wanted: cuDNN has none else, and evaluation may want them.
    how = (True, 1, 0.0, torch.is_grad_enabled(), False, False)
    if cell == "lstm":
        outputs, *after = torch.lstm(sequence, before, weights, *how)
    elif cell == "gru":
        outputs, *after = torch.gru(sequence, before[0], weights, *how)
    else:
        outputs, *after = torch.rnn_relu(sequence, before[0], weights, *how)
    return outputs, after


def initialisation_of(cell: Cell, chosen: Initialisation | None) -> Initialisation:
    """Return how the recurrent matrix of a cell starts; refuse what there is not.

    Examples
    --------
    >>> initialisation_of("lstm", None), initialisation_of("irnn", None)
    ('uniform', 'identity')
    """
    for name, value, known in (
        ("cell", cell, get_args(Cell)),
        ("recurrent_initialisation", chosen, (*get_args(Initialisation), None)),
    ):
        if value not in known:
            raise ParameterError(f"{name}={value!r} is not one of {', '.join(map(repr, known))}")
    if chosen is None:
        return "identity" if cell == "irnn" else "uniform"
    if cell == "irnn" and chosen != "identity":
        raise ParameterError(
            f"an IRNN starts as the identity, however: recurrent_initialisation={chosen!r}; leave "
            "it out, or choose cell='gru' or 'lstm'"
        )
    return chosen


def _cpu_has_bfloat16() -> bool:
    """Whether oneDNN has a layer in bfloat16 for this processor."""
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
