"""Optimizers, with a parameter group for every layer group and every rule of weight decay."""

from collections.abc import Sequence

import torch
from torch import nn

from tabtext.errors import ParameterError
from tabtext.training.eager_optimizers import SGD, AdamW
from tabtext.training.options import TrainingOptions

__all__ = ["build_optimizer", "decays", "set_rates"]

_SPARED = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)


def build_optimizer(
    groups: Sequence[nn.Module], options: TrainingOptions, *, rates_differ: bool = True
) -> torch.optim.Optimizer:
    """Return the optimizer of a model's layer groups.

    Biases, norms and embeddings are left out of weight decay: it pulls them towards zero without
    making the function any simpler, and rare categories, whose embedding rows seldom get a
    gradient, would be pulled there at every step all the same. Parameters of frozen groups are
    members too: without a gradient they are passed over, and may thaw later.

    Parameters
    ----------
    groups : sequence of nn.Module
        From the input side to the head. A parameter that two groups share belongs to the first.
    options : TrainingOptions
        Optimizer, betas, weight decay. Rates are set by ``set_rates``, step by step.
    rates_differ : bool
        Whether layer groups need parameter groups of their own; without, there are fewer, and a
        step of a small model takes a tenth less time.

    Raises
    ------
    ParameterError
        If there are several weight decays, and not one for every layer group.

    Returns
    -------
    torch.optim.Optimizer
        ``AdamW``, or ``SGD`` with Nesterov momentum, in PyTorch's fused implementation: one pass
        over all parameters instead of a dozen; on the CPU three times as fast.

    References
    ----------
    Loshchilov, I. and Hutter, F. (2019), "Decoupled Weight Decay Regularization".
    Nesterov, Y. (1983), "A method for solving the convex programming problem with convergence
    rate O(1/k^2)"; in the form of Sutskever et al. (2013).

    Examples
    --------
    >>> options = TrainingOptions(weight_decay=0.1)
    >>> optimizer = build_optimizer([nn.Embedding(9, 3), nn.Linear(3, 2)], options)
    >>> [(g["layer_group"], g["weight_decay"]) for g in optimizer.param_groups]
    [(0, 0.0), (1, 0.1), (1, 0.0)]
    """
    decays_of_groups = _weight_decays(options.weight_decay, groups)
    if not rates_differ and len(set(decays_of_groups)) == 1:
        groups = [nn.ModuleList(groups)]
    members = _parameter_groups(groups, decays_of_groups, decay_all=options.decay_all)
    momentum, _ = betas = options.beta_pair
    if options.optimizer == "sgd":
        descent = SGD(members, lr=0.0, momentum=momentum, nesterov=momentum > 0, fused=True)
        if momentum:
            _begin_momentum(descent)
        return descent
    return AdamW(members, lr=0.0, betas=betas, fused=True)


def set_rates(
    optimizer: torch.optim.Optimizer,
    rates: Sequence[float],
    factor: float,
    momentum: float | None,
) -> None:
    """Give every parameter group the rate of its layer group, and the momentum of the step.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        What ``build_optimizer`` returned.
    rates : sequence of float
        Peak rate of every layer group.
    factor : float
        What the schedule says.
    momentum : float or None
        Momentum, or beta1; None leaves it.
    """
    for group in optimizer.param_groups:
        group["lr"] = rates[group["layer_group"]] * factor
        if momentum is not None:
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum


def decays(module: nn.Module, parameter: nn.Parameter) -> bool:
    """Return whether weight decay reaches a parameter that belongs directly to a module.

    A module may name parameters of its own that are to be left out in ``no_weight_decay``, such as
    factors that mean nothing at 1.

    Examples
    --------
    >>> linear, embedding = nn.Linear(3, 2), nn.Embedding(5, 2)
    >>> decays(linear, linear.weight), decays(linear, linear.bias)
    (True, False)
    >>> decays(embedding, embedding.weight)
    False
    """
    # Numeric embeddings have a bias, and layer norms may have a weight, of two dimensions.
    if isinstance(module, _SPARED) or parameter is getattr(module, "bias", None):
        return False
    exempt: Sequence[str] = getattr(module, "no_weight_decay", ())
    if any(parameter is getattr(module, name) for name in exempt):
        return False
    return parameter.ndim > 1


def _begin_momentum(optimizer: torch.optim.SGD) -> None:
    """Give the momentum zeros to begin with, which is what its first step takes it for.

    Left to itself, torch's fused SGD fails where parameters of one group thaw at different times,
    and a first step that a gradient scaler skips leaves uninitialised memory behind.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _weight_decays(
    weight_decay: float | Sequence[float], groups: Sequence[nn.Module]
) -> list[float]:
    """The weight decay of every layer group."""
    if not isinstance(weight_decay, Sequence):
        return [float(weight_decay)] * len(groups)
    if len(weight_decay) != len(groups):
        raise ParameterError(
            f"weight_decay={weight_decay!r} has {len(weight_decay)} values for {len(groups)} layer "
            f"groups: {', '.join(type(group).__name__ for group in groups)}; give one for each, or "
            "a single number"
        )
    return [float(decay) for decay in weight_decay]


def _parameter_groups(
    groups: Sequence[nn.Module], decays_of_groups: Sequence[float], *, decay_all: bool
) -> list[dict[str, object]]:
    """Two parameter groups per layer group, with and without decay, as far as they have members."""
    seen: set[int] = set()
    found: list[dict[str, object]] = []
    for number, (group, group_decay) in enumerate(zip(groups, decays_of_groups, strict=False)):
        decayed: list[nn.Parameter] = []
        spared: list[nn.Parameter] = []
        for module in group.modules():
            for parameter in module.parameters(recurse=False):
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    reached = decay_all or decays(module, parameter)
                    (decayed if reached else spared).append(parameter)
        for parameters, decay in ((decayed, group_decay), (spared, 0.0)):
            if parameters:
                found.append({"params": parameters, "weight_decay": decay, "layer_group": number})
    return found
