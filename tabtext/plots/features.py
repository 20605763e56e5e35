"""Pictures of what a model makes of its columns."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, INK, figure_of, shortened, styled_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_embeddings", "plot_importance"]

# A feature so many times as important as the next one has its bar cut.
_DOMINANT = 4.0


def plot_importance(
    importance: "pd.DataFrame", *, n_features: int = 15, ax: "Axes | None" = None
) -> "Axes":
    """Draw the most important features as bars, each with its number.

    The scale is linear. Where the first feature dwarfs the second, its bar is cut and says so,
    since otherwise all others would look like nothing.

    Parameters
    ----------
    importance : DataFrame
        What ``feature_importance`` returned: indexed by feature, most important first, with columns
        ``importance`` and ``standard_deviation``.
    n_features : int
        How many to show.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are no features.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {"importance": [0.5, 0.2], "standard_deviation": [0.1, 0.0]}, index=["Promo", "Store"]
    ... )
    >>> [text.get_text() for text in plot_importance(frame).texts]
    ['0.2', '0.5']
    """
    if importance.empty:
        raise DataError("no features to draw")
    top = importance.head(n_features).iloc[::-1]  # the first row of a bar chart is the lowest
    rises = top["importance"].to_numpy(np.float64)
    deviations = top["standard_deviation"].to_numpy(np.float64)
    cut = len(rises) > 2 and rises[-1] > _DOMINANT * rises[-2] > 0
    limit = 1.5 * rises[-2] if cut else max(float((rises + deviations).max()), 1e-12)
    shown = np.minimum(rises, limit)
    ax = styled_axes(ax, height=max(0.26 * len(top) + 0.8, 2.0))
    errors = np.where(rises > limit, np.nan, deviations)
    ax.barh(range(len(top)), shown, xerr=errors, color=BLUE, ecolor=INK, height=0.7)
    for row, (rise, end) in enumerate(zip(rises, shown + np.nan_to_num(errors), strict=True)):
        note = f"{rise:.2g} (bar cut)" if rise > limit else f"{rise:.2g}"
        ax.text(max(end, 0) + 0.02 * limit, row, note, va="center", fontsize=9, color=INK)
    if cut:
        middle = (0.85 * limit, len(top) - 1)
        ax.annotate("//", middle, color="white", va="center", ha="center", weight="bold")
    ax.set_yticks(range(len(top)), [shortened(str(name), 24) for name in top.index])
    ax.set(xlabel="rise of the loss when shuffled")
    ax.set_xlim(min(float((rises - deviations).min()), 0), limit * (1.5 if cut else 1.2))
    # Every bar has its number, so the axis needs none.
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    ax.grid(visible=False)
    return ax


def plot_embeddings(
    embeddings: "pd.DataFrame",
    *,
    counts: "pd.Series[int] | None" = None,
    n_labels: int = 16,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw learned vectors of categories in the plane of their two main directions (PCA).

    Parameters
    ----------
    embeddings : DataFrame
        What ``embeddings(column)`` returned: a row per category, a column per dimension; missing
        and unseen are left out.
    counts : Series, optional
        Rows per category: larger ones get larger dots and, first, labels. Without it, those
        farthest from the middle are labelled first.
    n_labels : int
        How many categories get their name, at most: a name that would cover another is left out.
    ax : Axes, optional
        Where to draw; default: a figure of its own.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are fewer than two categories or dimensions.

    Examples
    --------
    >>> import pandas as pd
    >>> vectors = pd.DataFrame(np.eye(3), index=["Mon", "Tue", "(unseen)"])
    >>> [text.get_text() for text in plot_embeddings(vectors).texts]
    ['Mon', 'Tue']
    """
    from sklearn.decomposition import PCA

    vectors = embeddings.drop(index=["(missing)", "(unseen)"], errors="ignore")
    if len(vectors) < 2 or vectors.shape[1] < 2:
        raise DataError(
            f"{len(vectors)} categories in {vectors.shape[1]} dimensions; a map needs 2 of each"
        )
    pca = PCA(n_components=2, random_state=0)
    points = pca.fit_transform(vectors.to_numpy(np.float64))
    if counts is None:
        sizes, weights = np.full(len(vectors), 30.0), np.linalg.norm(points, axis=1)
    else:
        weights = counts.reindex(vectors.index).fillna(0).to_numpy(np.float64)
        sizes = 12 + 120 * weights / max(weights.max(), 1)
    sizes *= min(1.0, 300 / len(vectors))  # thousands of large dots would be one blot
    ax = styled_axes(ax, height=3.8)
    ax.scatter(points[:, 0], points[:, 1], s=sizes, color=BLUE, alpha=0.5, linewidths=0)
    first, second = pca.explained_variance_ratio_
    ax.set(xlabel=f"first direction ({first:.0%} of variance)", ylabel=f"second ({second:.0%})")
    ax.locator_params(nbins=5)
    names = [shortened(str(name), 18) for name in vectors.index]
    order = np.argsort(-weights, kind="stable")
    # Of categories that no row has, nothing is known that would be worth a name.
    order = order[weights[order] > 0] if weights.any() else order
    _label(ax, points, names, order[:n_labels])
    return ax


def _label(
    ax: "Axes", points: NDArray[Any], names: list[str], order: NDArray[np.integer[Any]]
) -> None:
    """Write names beside points, in this order; one that finds no free side is left out."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    # Only drawing tells where the constrained layout puts the axes, thus where texts collide.
    figure_of(ax).draw_without_rendering()
    taken: list[Bbox] = []
    places = ax.transData.transform(points[order])
    for number, position in enumerate(order):
        others = np.delete(places, number, axis=0)
        for offset, (horizontal, vertical) in _SIDES.items():
            text = ax.annotate(
                names[position],
                points[position],
                xytext=offset,
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=9,
                color=INK,
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )
            box = text.get_window_extent().padded(_BETWEEN_NAMES)
            inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1
            is_free = not any(box.overlaps(other) for other in taken)
            if inside and is_free and not box.count_contains(others):
                taken.append(box)
                break
            text.remove()


_BETWEEN_NAMES = 2.5  # pixels that stay free around each

# Where a name may stand, from its point: offset in points -> alignment.
_SIDES: dict[tuple[float, float], tuple[str, str]] = {
    (4, 3): ("left", "bottom"),
    (-4, 3): ("right", "bottom"),
    (4, -3): ("left", "top"),
    (-4, -3): ("right", "top"),
}
