"""Layer groups: which parts of a model learn, and how fast.

A model's ``layer_groups()`` lists its parts from the input side to the head. Freezing and
discriminative learning rates work on that list alone.
"""

from collections.abc import Callable, Sequence

from torch import nn

from tabtext.errors import ParameterError
from tabtext.training.options import ratio_of

__all__ = ["LayerGroups", "group_rates"]

_BatchNorm = nn.modules.batchnorm._BatchNorm


class LayerGroups:
    """The parts of a model, and which of them are frozen.

    Parameters
    ----------
    model : nn.Module
        With a method ``layer_groups()``; without one it is a single group.
    batch_norm_freeze : bool
        Whether batch norms of frozen groups keep statistics, weight and bias.

    Raises
    ------
    ParameterError
        If a parameter of the model is in no group, for it would never learn.

    Examples
    --------
    >>> class Model(nn.Sequential):
    ...     def layer_groups(self):
    ...         return list(self)
    >>> groups = LayerGroups(Model(nn.Linear(3, 4), nn.Linear(4, 1)))
    >>> groups.freeze_to(-1)
    >>> [p.requires_grad for p in groups.model.parameters()]
    [False, False, True, True]
    """

    def __init__(self, model: nn.Module, *, batch_norm_freeze: bool = True) -> None:
        self.model = model
        self.batch_norm_freeze = batch_norm_freeze
        layer_groups: Callable[[], Sequence[nn.Module]] | None = getattr(
            model, "layer_groups", None
        )
        self.groups = [model] if layer_groups is None else list(layer_groups())
        self.first_trained = 0
        self._require_all_parameters()

    def __len__(self) -> int:
        return len(self.groups)

    def freeze_to(self, first_trained: int) -> None:
        """Freeze the groups before ``first_trained``, and let the others learn.

        Parameters
        ----------
        first_trained : int
            Index of the first group that learns; negative counts from the head.

        Raises
        ------
        ParameterError
            If there is no such group.
        """
        n_groups = len(self.groups)
        if not -n_groups <= first_trained < n_groups:
            raise ParameterError(
                f"freeze_to({first_trained}), but the model has {n_groups} layer groups: "
                f"{', '.join(type(group).__name__ for group in self.groups)}"
            )
        self.first_trained = first_trained % n_groups
        # The learning groups last, so that a parameter that two groups share (tied weights) learns.
        for index, group in enumerate(self.groups):
            for module in group.modules():
                learns = index >= self.first_trained or self._stays_awake(module)
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(learns)

    def unfreeze(self) -> None:
        """Let everything learn."""
        self.freeze_to(0)

    def train(self) -> None:
        """Put the model into training mode, with the batch norms of frozen groups asleep."""
        self.model.train()
        if self.batch_norm_freeze:
            for group in self.groups[: self.first_trained]:
                for module in group.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()

    def _stays_awake(self, module: nn.Module) -> bool:
        return isinstance(module, _BatchNorm) and not self.batch_norm_freeze

    def _require_all_parameters(self) -> None:
        grouped = {id(p) for group in self.groups for p in group.parameters()}
        for name, parameter in self.model.named_parameters():
            if id(parameter) not in grouped:
                raise ParameterError(
                    f"parameter {name!r} of {type(self.model).__name__} is in none of its "
                    f"{len(self.groups)} layer groups; layer_groups() must cover the whole model"
                )


def group_rates(
    learning_rate: float | Sequence[float],
    group_ratio: float | str | None,
    n_groups: int,
) -> tuple[float, ...]:
    """Return the peak learning rate of every group, from the input side to the head.

    Parameters
    ----------
    learning_rate : float, pair or sequence of float
        The head's rate; or ``(low, high)``, spread geometrically; or one per group.
    group_ratio : float, str or None
        How much slower each earlier group learns; goes with a single rate.
    n_groups : int
        How many groups there are.

    Raises
    ------
    ParameterError
        If the number of rates fits neither, or several rates come with a ratio.

    References
    ----------
    Howard, J. and Ruder, S. (2018), "Universal Language Model Fine-tuning for Text
    Classification", section 3.2.

    Examples
    --------
    >>> [round(rate, 6) for rate in group_rates(0.01, "text", 3)]
    [0.001479, 0.003846, 0.01]
    >>> [round(rate, 6) for rate in group_rates((1e-4, 1e-2), None, 3)]
    [0.0001, 0.001, 0.01]
    """
    if not isinstance(learning_rate, Sequence):
        ratio = ratio_of(group_ratio)
        return tuple(float(learning_rate) / ratio ** (n_groups - 1 - i) for i in range(n_groups))
    rates = tuple(float(rate) for rate in learning_rate)
    if group_ratio is not None:
        raise ParameterError(
            f"learning_rate={rates} names several rates, so group_ratio={group_ratio!r} has no "
            "meaning; give one of both"
        )
    if len(rates) == 2 and n_groups > 2:
        low, high = rates
        return tuple(low * (high / low) ** (i / (n_groups - 1)) for i in range(n_groups))
    if len(rates) != n_groups:
        raise ParameterError(
            f"learning_rate={rates} has {len(rates)} rates for {n_groups} layer groups; give one "
            "for each, a pair (low, high), or a single rate with group_ratio"
        )
    return rates
