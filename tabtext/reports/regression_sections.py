"""What a report says about predicted quantities."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabtext import plots
from tabtext.errors import DataError
from tabtext.plots.intervals import share_inside
from tabtext.reports.elements import Picture, Section
from tabtext.reports.rows import JudgedRows

if TYPE_CHECKING:
    from tabtext.estimators.supervised import SupervisedEstimator

__all__ = ["COVERAGES", "regression_section", "regression_sections"]

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares of rows that intervals are to hold, for the picture."""

_MOST_TARGETS = 4


def regression_sections(
    model: "SupervisedEstimator[Any]",
    rows: JudgedRows,
    *,
    unit: str,
    times: NDArray[np.datetime64] | None,
) -> list[Section]:
    """A section for each target: predicted against true, errors, errors over time, intervals.

    Parameters
    ----------
    model : fitted regressor
        Whose predictions these are.
    rows : JudgedRows
        What it predicts.
    unit : str
        Unit of the targets.
    times : ndarray of datetime64, shape (rows,), optional
        When each row happened.
    """
    intervals = _intervals(model, rows)
    sections = []
    for number, name in enumerate(model.target_names_[:_MOST_TARGETS]):
        section = regression_section(
            f"Predictions: {name}",
            rows.truth[:, number],
            rows.outputs[:, number],
            unit=unit,
            times=times,
            intervals={share: bounds[:, number] for share, bounds in intervals.items()},
        )
        sections.append(section)
    return sections


def _intervals(
    model: "SupervisedEstimator[Any]", rows: JudgedRows
) -> dict[float, NDArray[np.float64]]:
    """Bounds ``(rows, targets, 2)`` by the share that they are to hold; none without intervals."""
    if not rows.are_own or not hasattr(model, "predict_interval"):
        return {}
    intervals = {}
    for share in COVERAGES:
        try:
            bounds = model.predict_interval(rows.table, share)
        except DataError:  # fitted without validation rows, or with too few for this share
            break
        intervals[share] = bounds.reshape(len(rows), -1, 2)
    return intervals


def regression_section(
    title: str,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    unit: str,
    times: NDArray[np.datetime64] | None = None,
    intervals: Mapping[float, NDArray[Any]] | None = None,
) -> Section:
    """Predicted against true, and the errors; how often intervals hold the truth.

    ``intervals`` are bounds ``(rows, 2)`` by the share of rows that they are to hold.
    """
    pictures = [
        Picture(
            "Predicted against true; the colour counts rows",
            plots.plot_predicted(truth, predicted, unit=unit),
        ),
        Picture("How errors are distributed", plots.plot_residuals(truth, predicted, unit=unit)),
    ]
    if times is not None:
        pictures.append(
            Picture(
                "Mean error over time",
                plots.plot_residuals_over_time(times, truth, predicted, unit=unit),
            )
        )
    text = []
    if intervals:
        text = [_intervals_in_words(truth, intervals, unit)]
        pictures.append(
            Picture(
                "Intervals: share of rows whose truth lies inside against the share asked for",
                plots.plot_coverage(truth, intervals),
            )
        )
    return Section(title, text, pictures=pictures)


def _intervals_in_words(
    truth: NDArray[Any], intervals: Mapping[float, NDArray[Any]], unit: str
) -> str:
    """What was reached, by the intervals nearest to 90 %."""
    asked = min(intervals, key=lambda share: abs(share - 0.9))
    bounds = intervals[asked]
    inside = share_inside(truth, bounds)
    width = f"{(bounds[:, 1] - bounds[:, 0]).mean():.4g} {unit}".strip()
    return (
        f"Intervals that were to hold {asked:.0%} of the rows hold {inside:.1%}; their mean width "
        f"is {width}. They are made of the errors on the validation rows, and hold as asked only "
        "for rows that are like those."
    )
