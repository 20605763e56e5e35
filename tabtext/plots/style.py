"""The one style of all pictures: colours, axes, and texts that come from data."""

from itertools import product
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "ORANGE",
    "date_axis",
    "figure_of",
    "require_both_classes",
    "require_same_length",
    "shortened",
    "strokes",
    "styled_axes",
    "with_unit",
]

# Okabe and Ito's palette, which people with any colour vision can tell apart.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a8f98"
INK = "#30343b"
_LINES = "#e6e8eb"


def styled_axes(ax: "Axes | None" = None, *, width: float = 4.4, height: float = 3.2) -> "Axes":
    """Return the given Axes, or new ones on a figure of their own, in the style of this package.

    The figure is made without pyplot, so nothing global changes and nothing has to be closed. It is
    small for its letters on purpose: on a phone 4.4 inches shrink to the 343 pixels of a screen,
    where 10 points are still 11 pixels.

    Parameters
    ----------
    ax : Axes, optional
        Where to draw.
    width, height : float
        Size of the new figure in inches.

    Examples
    --------
    >>> styled_axes(width=3, height=2).figure.get_size_inches().tolist()
    [3.0, 2.0]
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if ax is None:
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        ax = Figure(figsize=(width, height), layout=layout).add_subplot()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GREY)
    ax.tick_params(colors=INK, labelsize=10)
    ax.xaxis.label.set(color=INK, fontsize=10)
    ax.yaxis.label.set(color=INK, fontsize=10)
    ax.grid(color=_LINES, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def figure_of(ax: "Axes") -> "Figure":
    """Return the figure on which the Axes lie, also when they lie on a part of it."""
    return cast("Figure", ax.get_figure(root=True))


def date_axis(ax: "Axes") -> None:
    """Write few short dates on the horizontal axis."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]  # dates are untyped
    ax.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # so is this
    ax.xaxis.set_major_formatter(formatter)


def with_unit(label: str, unit: str) -> str:
    r"""Return ``label (unit)``, or the label alone without a unit.

    Examples
    --------
    >>> with_unit("true", "min"), with_unit("true", "$"), with_unit("true", "")
    ('true (min)', 'true (\\$)', 'true')
    """
    return f"{label} ({shortened(unit, 30)})" if unit else label


def strokes() -> list[tuple[str, str]]:
    """Return dashes and colours of lines that are told apart in print, too, the plainest first."""
    return list(product(("-", "--", ":"), (BLUE, ORANGE, INK)))


def shortened(text: str, length: int) -> str:
    r"""Return a text from the data on one line, at most so long, that holds no formula.

    Examples
    --------
    >>> shortened("a long name", 6), shortened("$", 6), shortened("two\nlines", 9)
    ('a lon…', '\\$', 'two lines')
    """
    text = " ".join(text.split()) or "(empty)"
    text = text if len(text) <= length else text[: length - 1] + "…"
    return text.replace("$", r"\$")


def require_same_length(truth: NDArray[np.generic], other: NDArray[np.generic]) -> None:
    """Raise ``DataError`` unless both have the same number of rows, and at least one."""
    if len(truth) != len(other) or len(truth) == 0:
        raise DataError(
            f"{len(truth)} true values and {len(other)} others; give as many of both, at least 1"
        )


def require_both_classes(truth: NDArray[np.generic], probability: NDArray[np.generic]) -> None:
    """Raise ``DataError`` unless there are rows of yes and of no."""
    require_same_length(truth, probability)
    if len(np.unique(truth)) != 2:
        raise DataError("the curve needs rows of both classes, and only one is there")
