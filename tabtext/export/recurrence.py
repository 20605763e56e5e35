"""Recurrent layers as the operators that ONNX has for them.

``torch.export`` writes torch's own recurrent layers out step by step, for one length; the
operators LSTM, GRU and RNN of ONNX run over sequences of any length.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tabtext.text.encoder.recurrent import Cell, RecurrentLayer

__all__ = ["RecurrentProgram"]

_OPERATORS: dict[Cell, tuple[str, tuple[int, ...]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2)),  # input, output, forget, cell
    "gru": ("GRU", (1, 0, 2)),  # update, reset, new
    "irnn": ("RNN", (0,)),
}
"""Cell -> ONNX's name for it, and which of torch's gates its gates are, in its order."""

_SINCE = 14  # the operator set in which all three came to be as they are used here


class RecurrentProgram(nn.Module):
    """A layer that begins with zeros, as one operator of an ONNX program.

    It is for the exporter alone: run as it is, it returns no meaningful numbers.

    **Shape**

    - Input: ``(length, rows, input_width)``.
    - Output: ``(length, rows, width)``.

    Parameters
    ----------
    layer : RecurrentLayer
        Its weights are copied, their gates in ONNX's order.
    """

    weight_input: Tensor
    weight_hidden: Tensor
    bias: Tensor

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.operator, order = _OPERATORS[layer.cell]
        self.width = layer.width
        self.attributes: dict[str, Any] = {"hidden_size": layer.width}
        if layer.cell == "gru":
            self.attributes["linear_before_reset"] = 1  # as torch and cuDNN have it
        if layer.cell == "irnn":
            self.attributes["activations"] = ["Relu"]
        biases = _ordered(layer.bias_input, order), _ordered(layer.bias_hidden, order)
        for name, weight in (
            ("weight_input", _ordered(layer.weight_input, order)),
            ("weight_hidden", _ordered(layer.weight_hidden, order)),
            ("bias", torch.cat(biases)),
        ):
            self.register_buffer(name, weight.detach().unsqueeze(0))  # one direction

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the outputs of every step."""
        length, rows = sequence.shape[:2]
        (outputs,) = torch.onnx.ops.symbolic_multi_out(
            self.operator,
            [sequence, self.weight_input, self.weight_hidden, self.bias],
            self.attributes,
            dtypes=[sequence.dtype],
            shapes=[(length, 1, rows, self.width)],
            version=_SINCE,
        )
        return outputs.squeeze(1)


def _ordered(weight: Tensor, order: tuple[int, ...]) -> Tensor:
    """Gates, which lie one after the other, in another order."""
    gates = weight.chunk(len(order))
    return torch.cat([gates[place] for place in order])
