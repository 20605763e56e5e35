"""What every loader of a larger public data set returns: one table in three parts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabtext.errors import ParameterError

__all__ = ["Splits", "shuffled_split"]


@dataclass(frozen=True, eq=False, repr=False)
class Splits:
    """A data set, split for training, validation and test.

    The frames have the same columns, the target among them, and the same dtypes; text columns
    that hold categories share one ``category`` dtype. Unpacks into its three parts.

    Parameters
    ----------
    name
        Name of the data set.
    train, valid, test
        The parts, each with an index from 0.
    target
        Name of the column to predict, fit for ``fit(train, target=target)``.
    unlabelled
        Rows whose target nobody published (the test rows of a competition), or None.

    Examples
    --------
    >>> import pandas as pd
    >>> part = pd.DataFrame({"size": [1.0, 2.0], "price": [10.0, 20.0]})
    >>> splits = Splits("toy", part, part.head(1), part.tail(1), target="price")
    >>> splits
    Splits('toy', train=2 rows, valid=1 row, test=1 row, target='price')
    >>> train, valid, test = splits
    >>> splits.together()["split"].tolist()
    ['train', 'train', 'valid', 'test']
    """

    name: str
    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame
    target: str
    unlabelled: pd.DataFrame | None = None

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter((self.train, self.valid, self.test))

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{part}={len(frame):,} row{'s' * (len(frame) != 1)}"
            for part, frame in self._parts().items()
        )
        return f"Splits({self.name!r}, {sizes}, target={self.target!r})"

    def together(self) -> pd.DataFrame:
        """Return all parts in one frame, with a category column ``split`` that names them.

        For what must see the rows before and after each row, such as
        ``tabtext.tabular.features.add_elapsed``; take the parts by ``split`` afterwards. Rows
        without a label come last, with a missing target.

        Returns
        -------
        pandas.DataFrame
            A copy.
        """
        parts = self._parts()
        frame = pd.concat(list(parts.values()), ignore_index=True)
        split = np.repeat(list(parts), [len(part) for part in parts.values()])
        return frame.assign(split=pd.Categorical(split, categories=list(parts)))

    def _parts(self) -> dict[str, pd.DataFrame]:
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return parts if self.unlabelled is None else {**parts, "unlabelled": self.unlabelled}


def shuffled_split(
    rows: int,
    *,
    shares: tuple[float, float, float] = (0.65, 0.15, 0.20),
    seed: int = 0,
    stratify: pd.Series | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions of the train, valid and test rows, each in shuffled order.

    Parameters
    ----------
    rows
        Number of rows to split.
    shares
        Of train, valid and test; they add up to 1.
    seed
        Of NumPy's ``default_rng``; the split of a seed is the same everywhere.
    stratify
        Labels; each class is split in the same shares, so that rare classes are in every part.

    Examples
    --------
    >>> train, valid, test = shuffled_split(1000)
    >>> len(train), len(valid), len(test)
    (650, 150, 200)
    """
    if stratify is not None and len(stratify) != rows:
        raise ParameterError(f"stratify has {len(stratify)} labels for {rows} rows")
    if not np.isclose(sum(shares), 1):
        raise ParameterError(f"shares={shares} do not add up to 1")
    order = np.random.default_rng(seed).permutation(rows)
    if stratify is None:
        groups = pd.Series(order).groupby(np.zeros(rows))
    else:
        groups = pd.Series(order).groupby(np.asarray(stratify)[order])
    place, size = groups.cumcount().to_numpy(), groups.transform("size").to_numpy()
    # Rounded, or 0.65 + 0.15 would cut at 799 of 1,000.
    train_end = np.round(size * shares[0])
    valid_end = np.round(size * (shares[0] + shares[1]))
    in_train, in_test = place < train_end, place >= valid_end
    return order[in_train], order[~in_train & ~in_test], order[in_test]
