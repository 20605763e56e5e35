"""Raw outputs of a model for many rows."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tabtext.progress import track

__all__ = ["predict"]


@torch.inference_mode()
def predict(
    model: nn.Module,
    inputs: Sequence[Tensor],
    *,
    batch_size: int = 8192,
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Return a model's raw outputs for all rows, in evaluation mode, batch by batch.

    Parameters
    ----------
    model : nn.Module
        The batches go to its device, if it has parameters on one, and its outputs back to where
        the inputs are.
    inputs : sequence of Tensor
        The model's arguments, each with one row per example.
    batch_size : int
        Large enough to fill the processor, small enough for its cache.
    weights : mapping of str to Tensor, optional
        Parameters and buffers to use instead of the model's own, which stay as they are, so that
        several threads may predict at once.

    Examples
    --------
    >>> predict(nn.Linear(3, 2), [torch.zeros(5, 3)], batch_size=2).shape
    torch.Size([5, 2])
    """
    model.eval()
    home = inputs[0].device
    device = next((parameter.device for parameter in model.parameters()), home)
    if weights is not None:
        weights = {name: tensor.to(device) for name, tensor in weights.items()}
    parts = list(zip(*(torch.split(tensor, batch_size) for tensor in inputs), strict=True))
    outputs = []
    for part in track(parts, "predicting"):
        placed = tuple(tensor.to(device) for tensor in part)
        raw = model(*placed) if weights is None else functional_call(model, dict(weights), placed)
        outputs.append(raw.to(home))
    return torch.cat(outputs)
