"""Pictures of how well groups of rows are predicted, the rows being ordered by some quantity."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.plots.style import BLUE, GREY, require_same_length, shortened, styled_axes, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_accuracy_by", "plot_error_by"]


def plot_accuracy_by(
    quantity: NDArray[Any],
    is_right: NDArray[np.bool_],
    *,
    label: str,
    n_groups: int = 8,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the share of right predictions against a quantity, such as the length of a text.

    Parameters
    ----------
    quantity : ndarray of shape (rows,)
        What the rows are ordered by.
    is_right : ndarray of bool, shape (rows,)
        Whether each prediction was right.
    label : str
        Name of the quantity, with its unit.
    n_groups : int
        Rows are put into at most so many groups of about equal size; rows of equal quantity stay
        together. A dot is a group, its line two standard errors to each side.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ or there are no rows.

    Examples
    --------
    >>> lengths, is_right = np.array([3, 4, 50, 60]), np.array([True, False, True, True])
    >>> picture = plot_accuracy_by(lengths, is_right, label="tokens", n_groups=2)
    >>> picture.lines[1].get_ydata().tolist()
    [0.5, 1.0]
    """
    require_same_length(quantity, is_right)
    overall = float(np.mean(is_right))
    ax = _draw(quantity, is_right, f"all rows {overall:.3f}", n_groups, ax, highest=1.0)
    ax.set(xlabel=shortened(label, 40), ylabel="share of right predictions")
    return ax


def plot_error_by(
    quantity: NDArray[Any],
    errors: NDArray[Any],
    *,
    label: str,
    unit: str = "",
    n_groups: int = 8,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the mean size of errors against a quantity, such as the length of a text.

    Parameters
    ----------
    quantity : ndarray of shape (rows,)
        What the rows are ordered by.
    errors : ndarray of shape (rows,)
        Predicted minus true.
    label : str
        Name of the quantity, with its unit.
    unit : str
        Unit of the errors.
    n_groups : int
        As for ``plot_accuracy_by``.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the lengths differ or there are no rows.

    Examples
    --------
    >>> lengths, errors = np.array([3, 4, 50, 60]), np.array([1.0, -1.0, 3.0, -5.0])
    >>> picture = plot_error_by(lengths, errors, label="tokens", n_groups=2)
    >>> picture.lines[1].get_ydata().tolist()
    [1.0, 4.0]
    """
    require_same_length(quantity, errors)
    sizes = np.abs(errors)
    ax = _draw(quantity, sizes, f"all rows {sizes.mean():.3g}", n_groups, ax, highest=np.inf)
    ax.set(xlabel=shortened(label, 40), ylabel=with_unit("mean absolute error", unit))
    return ax


def _draw(
    quantity: NDArray[Any],
    values: NDArray[Any],
    overall: str,
    n_groups: int,
    ax: "Axes | None",
    *,
    highest: float,
) -> "Axes":
    """The mean of values in [0, highest] for each group of rows, and for all of them."""
    edges = np.unique(np.quantile(quantity, np.linspace(0, 1, n_groups + 1)[1:-1]))
    groups = np.searchsorted(edges, quantity, side="left")
    members = [groups == group for group in np.unique(groups)]
    middles = [float(np.median(quantity[rows])) for rows in members]
    means = np.array([float(np.mean(values[rows])) for rows in members])
    errors = np.array([float(np.std(values[rows]) / np.sqrt(rows.sum())) for rows in members])
    ax = styled_axes(ax, height=3.8)
    ax.axhline(float(values.mean()), color=GREY, linewidth=1, linestyle="--", label=overall)
    # Symmetric lines may leave the range of what is measured; what is beyond it is not drawn.
    low, high = np.clip(means - 2 * errors, 0, highest), np.clip(means + 2 * errors, 0, highest)
    ax.plot(middles, means, "o-", color=BLUE, markersize=5, label="groups of rows")
    ax.vlines(middles, low, high, color=BLUE, linewidth=1)
    ax.legend(frameon=False, loc="best")
    return ax
