"""Networks whose weights are on their way: built without drawing numbers to be thrown away."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

__all__ = ["Unfilled"]


class Unfilled(TorchFunctionMode):
    """Within it, what ``torch.nn.init`` would draw, uniform or normal, stays as it lies in memory.

    For a network that gets all of its values by ``load_state_dict``. Half of the time of loading a
    language model went into random vectors for its words. (The device ``"meta"``, made for this,
    loads torch's compiler to know the shape of a logarithm, which takes longer still.)

    Examples
    --------
    >>> import torch
    >>> before = torch.get_rng_state()
    >>> with Unfilled():
    ...     layer = torch.nn.Linear(3, 2)
    >>> bool((torch.get_rng_state() == before).all())
    True
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return a tensor that was to be filled as it is; let everything else happen."""
        del types
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
