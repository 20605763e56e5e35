"""An array that grows at its end, for tables that learn new entries with every text."""

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["GrowingArray"]

Item = TypeVar("Item", bound=np.generic)


class GrowingArray(Generic[Item]):
    """Values end to end; room is doubled, so that adding takes constant time on average.

    Parameters
    ----------
    dtype
        Type of the values.
    values
        The first ones.

    Examples
    --------
    >>> array = GrowingArray(np.int32, [4, 5])
    >>> array.extend([6])
    >>> array.values, len(array)
    (array([4, 5, 6], dtype=int32), 3)
    """

    def __init__(self, dtype: type[Item], values: npt.ArrayLike = ()) -> None:
        self._room: npt.NDArray[Item] = np.array(values, dtype)
        self._length = len(self._room)

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> npt.NDArray[Item]:
        """The values, as a view."""
        return self._room[: self._length]

    def extend(self, values: Any) -> None:
        """Add values at the end."""
        end = self._length + len(values)
        if end > len(self._room):
            room = np.empty(max(end, 2 * len(self._room)), self._room.dtype)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : end] = values
        self._length = end
