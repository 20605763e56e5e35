"""Test-time augmentation: predict several noisy copies of every row, and take the mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import ParameterError
from tabtext.tabular.encoding import Encoded

__all__ = ["Augmentation"]

_UNSEEN = 1


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How the copies of a row differ from it.

    The mean over copies smooths predictions that hang on a single value: a boundary that a number
    lies just beyond, or one category that happened to be rare.

    Parameters
    ----------
    copies : int
        How many; the first is the row itself.
    noise : float
        Standard deviation of what is added to every continuous value, in units of the scaled
        column. Indicators of missing values, which are 0 or 1, stay as they are.
    mask : float
        Share of categories that are replaced by "unseen", for which the network has a trained
        vector.
    seed : int
        Seed of both.

    Raises
    ------
    ParameterError
        If a value is out of its range.

    Examples
    --------
    >>> encoded = Encoded(np.array([[2], [3]]), np.array([[0.5], [1.5]], np.float32))
    >>> numbers = np.array([True])
    >>> [len(copy) for copy in Augmentation(copies=3).copies_of(encoded, numbers)]
    [2, 2, 2]
    """

    copies: int = 8
    noise: float = 0.05
    mask: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no copies."""
        numbers = (self.copies, self.noise, self.mask, self.seed)
        if not all(isinstance(n, Real) for n in numbers) or not (
            isinstance(self.copies, Integral)
            and isinstance(self.seed, Integral)
            and self.copies >= 1
            and 0 <= self.noise < inf
            and 0 <= self.mask < 1
            and self.seed >= 0
        ):
            raise ParameterError(
                f"{self}: copies must be a whole number of at least 1, noise 0 or more, mask in "
                "[0, 1), seed a whole number of 0 or more"
            )

    def copies_of(self, encoded: Encoded, is_number: NDArray[np.bool_]) -> Iterator[Encoded]:
        """Yield the rows as they are, then altered anew in every copy.

        Parameters
        ----------
        encoded : Encoded
            The rows.
        is_number : ndarray of bool, shape (n_continuous,)
            Which continuous columns are values, not indicators of missing ones.
        """
        yield encoded
        generator = np.random.default_rng(self.seed)
        numbers, codes = encoded.continuous, encoded.categorical
        for _ in range(self.copies - 1):
            noise = generator.normal(0.0, self.noise, numbers.shape).astype(np.float32)
            masked = generator.random(codes.shape) < self.mask
            yield Encoded(
                np.where(masked, codes.dtype.type(_UNSEEN), codes),
                numbers + noise * is_number,
            )
