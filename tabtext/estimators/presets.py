"""Presets: how much a fit of a tabular estimator may cost, in one word.

A preset decides what parameters mean that are left at ``"auto"``; what is given by name stays.

| parameter        | fast                  | default                  | best                     |
|------------------|-----------------------|--------------------------|--------------------------|
| `n_folds`        | 1                     | 1                        | 5                        |
| `n_members`      | 1                     | 8                        | 8                        |
| `hidden`         | 128, 64               | see ``defaults``         | see ``defaults``         |
| `learning_rate`  | 0.03                  | 0.004                    | 0.004                    |
| `numeric_width`  | 8                     | 16                       | 16                       |
| `epochs`         | three fifths          | see ``defaults``         | see ``defaults``         |
| `batch_size`     | four times            | see ``defaults``         | see ``defaults``         |

The fast one was chosen among some eighty settings by the validation parts of adult and California's
house prices, as an accurate one for about a tenth of the default's time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["PRESETS", "Preset", "PresetName"]

PresetName = Literal["fast", "default", "best"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What ``"auto"`` means.

    Parameters
    ----------
    n_folds : int
        Networks, each of which learns from the other folds' rows.
    n_members : int
        Members of each network.
    learning_rate : float
        Peak of the schedule.
    numeric_width : int
        Width of each continuous column's vector.
    hidden : tuple of int or None
        Hidden widths; None for those that suit the data.
    batch_factor, epochs_factor : float
        What the rows of a batch, and the epochs, that suit the data are multiplied by.
    """

    n_folds: int = 1
    n_members: int = 8
    learning_rate: float = 4e-3
    numeric_width: int = 16
    hidden: tuple[int, ...] | None = None
    batch_factor: float = 1.0
    epochs_factor: float = 1.0


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "fast": Preset(
            n_members=1,
            learning_rate=0.03,
            numeric_width=8,
            hidden=(128, 64),
            batch_factor=4,
            epochs_factor=0.6,
        ),
        "default": Preset(),
        "best": Preset(n_folds=5),
    }
)
"""By name."""
