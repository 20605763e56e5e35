"""Several models vote: how much each one's logits count, learned from rows that none has seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from tabtext.training.losses import Loss

__all__ = ["mixed", "mixing_weights"]

_PRIOR_ROWS = 10.0
"""How many rows' worth of loss it costs to move a weight by 1 from where it starts."""


def mixed(raws: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the weighted sum of several models' raw outputs.

    Examples
    --------
    >>> mixed([torch.tensor([[2.0]]), torch.tensor([[4.0]])], [0.5, 0.25])
    tensor([[2.]], dtype=torch.float64)
    """
    return torch.stack([w * raw.double() for w, raw in zip(weights, raws, strict=True)]).sum(dim=0)


def mixing_weights(
    raws: Sequence[Tensor],
    codes: Tensor,
    loss: Loss,
    row_weight: Tensor | None = None,
    *,
    start: Sequence[float] | None = None,
) -> list[float]:
    """Return how much each of several models' raw outputs counts in their sum.

    The weights have the least loss on rows that none of the models has learned from; few rows move
    them little from where they start. As they need not add up to 1, they also correct models that
    are too sure, or not sure enough, of themselves. None is negative.

    Parameters
    ----------
    raws : sequence of Tensor of shape (rows, outputs)
        Raw outputs of every model.
    codes : Tensor
        Encoded targets of the rows.
    loss : callable
        Raw outputs and codes -> loss of every row.
    row_weight : Tensor of shape (rows,), optional
        How much each row counts.
    start : sequence of float, optional
        What the weights are as long as no row speaks against it; default: the mean of all models.

    References
    ----------
    Breiman, L. (1996), "Stacked Regressions" (weights that are not negative).

    Examples
    --------
    >>> from tabtext.training.losses import make_loss
    >>> codes = torch.arange(400) % 2
    >>> good = torch.nn.functional.one_hot(codes).double() * 2
    >>> bad = torch.zeros(400, 2).double()
    >>> weights = mixing_weights([good, bad], codes, make_loss("cross_entropy"))
    >>> weights[0] > 1 > weights[1] >= 0
    True
    """
    origin = [1 / len(raws)] * len(raws) if start is None else list(start)
    prior = torch.tensor(origin, dtype=torch.float64)
    models = torch.stack([raw.double() for raw in raws])
    counts = torch.ones(len(codes), dtype=torch.float64)
    if row_weight is not None:
        counts = row_weight.double()

    def loss_and_slope(values: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        weights = torch.from_numpy(values.copy()).requires_grad_()
        with torch.enable_grad():
            rows = loss((weights[:, None, None] * models).sum(dim=0), codes)
            total = (rows * counts).sum() + _PRIOR_ROWS * (weights - prior).square().sum()
            (slope,) = torch.autograd.grad(total, weights)
        return float(total.detach()), slope.numpy()

    found = minimize(
        loss_and_slope, origin, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(raws)
    )
    return [float(weight) for weight in found.x]
