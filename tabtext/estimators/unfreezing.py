"""ULMFiT's recipe for a classifier on a language model: the head first, then one group more."""

from numbers import Real

from tabtext.errors import ParameterError
from tabtext.training.options import Phase, gradual_unfreezing

__all__ = ["require_single_rate", "unfreezing_phases"]


def unfreezing_phases(
    epochs: int, n_groups: int, learning_rate: float | tuple[float, ...]
) -> tuple[Phase, ...]:
    """Return the recipe of ULMFiT for so many epochs in all.

    One epoch for the head, one more with every group that thaws, and what is left for the whole
    network; with fewer epochs than groups the input side thaws in one go, and the rate falls as if
    its groups had thawed one by one: the whole network always learns at the same one.

    Parameters
    ----------
    epochs : int
        In all phases together.
    n_groups : int
        Layer groups of the network.
    learning_rate : float
        What the head would learn at if everything learned from the start. Alone it takes four times
        that, and half as much with every group that thaws.

    Raises
    ------
    ParameterError
        If there are several rates.

    Examples
    --------
    >>> [(p.epochs, p.freeze_to) for p in unfreezing_phases(6, 4, 0.02)]
    [(1, 3), (1, 2), (1, 1), (3, 0)]
    >>> [(p.epochs, p.freeze_to) for p in unfreezing_phases(2, 4, 0.02)]
    [(1, 3), (1, 0)]
    >>> [p.learning_rate for p in unfreezing_phases(2, 4, 0.02)]
    [0.08, 0.01]
    """
    rate = require_single_rate(learning_rate)
    n_partial = min(epochs, n_groups) - 1
    phases = gradual_unfreezing(
        n_groups, learning_rate=4 * rate, final_epochs=max(epochs - n_partial, 1)
    )
    return (*phases[:n_partial], phases[-1])


def require_single_rate(
    learning_rate: float | tuple[float, ...],
    *,
    what: str = "gradual unfreezing",
    remedy: str = ". Use unfreezing='joint' for rates of your own",
) -> float:
    """Return the rate; raise ``ParameterError`` if there are several.

    Examples
    --------
    >>> require_single_rate(0.01)
    0.01
    """
    if not isinstance(learning_rate, Real):
        raise ParameterError(
            f"{learning_rate=} names several rates; {what} takes one, that of the last layers, and "
            f"gives earlier groups less{remedy}"
        )
    return float(learning_rate)
