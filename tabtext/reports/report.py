"""``write_report``: everything that can be shown of a fitted model, on one page.

Which sections there are follows from what the model has, not from its class: a schema brings the
columns and what predictions depend on, an explanation of texts brings errors word by word, classes
bring curves, and so on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tabtext import __version__
from tabtext.errors import ParameterError
from tabtext.reports.calendar import local_times
from tabtext.reports.classification_sections import classification_sections
from tabtext.reports.column_sections import columns_section, distributions_section
from tabtext.reports.comparison import metric_label
from tabtext.reports.elements import Section
from tabtext.reports.feature_sections import (
    dependence_section,
    importance_section,
    maps_of,
    measure_importance,
)
from tabtext.reports.language_sections import language_sections
from tabtext.reports.model_sections import data_section, learning_rate_section, training_section
from tabtext.reports.page import write_page
from tabtext.reports.regression_sections import regression_sections
from tabtext.reports.rows import JudgedRows, draw, judge
from tabtext.reports.text_sections import text_section

if TYPE_CHECKING:
    from tabtext.training import LearningRateCurve

__all__ = ["write_report"]

_MAX_ROWS, _MAX_ROWS_WITH_TEXT = 50_000, 5000
_SWEEP_ROWS = 20_000


def write_report(
    model: Any,
    data: Any = None,
    path: str | Path = "report.html",
    *,
    y: Any = None,
    train: Any = None,
    predictions: NDArray[Any] | None = None,
    learning_rate_finder: "bool | LearningRateCurve" = False,
    title: str = "",
    description: str = "",
    unit: str = "",
    max_rows: int | None = None,
    random_state: int = 0,
) -> Path:
    """Write a report of a fitted model as one HTML file, whole or not at all.

    The file needs no network and has no scripts. What it shows follows from the model: how good it
    is and where it errs, what it depends on, how it was trained, and what its data was. Costs are
    bounded, and the report says by what: it judges at most ``max_rows`` rows, measures importance
    on at most 5,000 of them and partial dependence on 400.

    Parameters
    ----------
    model : fitted estimator of tabtext
        Fresh or loaded.
    data : table of any kind, texts, or path, optional
        Rows to judge the model on, best ones that it has not learned from, with the target columns
        unless ``y`` has them. Without any, the report shows what the model itself knows: training,
        rows and columns.
    path : str or Path
        The HTML file.
    y : array, Series or DataFrame, optional
        Targets of ``data``.
    train : table of any kind, optional
        The rows that the model was fitted on, which are then described in place of ``data``.
    predictions : ndarray, optional
        Outputs for every row of ``data`` to judge in place of the model's own, such as the
        ``out_of_fold_predictions_`` of a model with folds; rows of NaN are left out.
    learning_rate_finder : bool or LearningRateCurve
        A curve that was found, or True to find one from ``train`` or else ``data``, at most 20,000
        rows; it takes about as long as 100 steps of training.
    title : str
        Heading; default: the model and its target.
    description : str
        What the rows of ``data`` are, such as ``"flights of December"``, for the text.
    unit : str
        Unit of the target.
    max_rows : int, optional
        How many rows are judged at most, drawn at random; default: 50,000, or 5,000 where texts are
        read.
    random_state : int
        Seed of all draws.

    Returns
    -------
    Path
        Where the report is.

    Raises
    ------
    ParameterError
        If a learning-rate finder is asked for that the model does not have, or without rows.
    DataError
        If no row of ``data`` has a target, or predictions do not fit the rows or the model.
    UnknownColumnError, ColumnTypeError
        If ``data`` lacks a column of the fit, or it has another type.
    SaveError
        If writing fails; an older file stays as it was.

    Examples
    --------
    >>> import tempfile, tabtext
    >>> flights = tabtext.datasets.load_flights("test").dropna(subset="arr_delay")
    >>> flights = flights.sample(2500, random_state=0)
    >>> model = tabtext.TabularRegressor(network="mlp", epochs=1, verbose=0)
    >>> model = model.fit(flights[:2000], target="arr_delay")
    >>> path = Path(tempfile.mkdtemp()) / "report.html"
    >>> tabtext.write_report(model, flights[2000:], path, unit="min").stat().st_size > 100_000
    True
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "card_")
    if max_rows is not None and max_rows < 1:
        raise ParameterError(f"max_rows={max_rows}: at least one row is needed")
    rows = None
    sections: list[Section] = []
    if not hasattr(model, "target_"):
        sections += language_sections(model, data, description=description, seed=random_state)
    elif data is not None:
        limit = max_rows or (_MAX_ROWS_WITH_TEXT if _reads_text(model) else _MAX_ROWS)
        table = _as_rows(model, data)
        rows = judge(model, table, y, predictions=predictions, max_rows=limit, seed=random_state)
        sections += [
            _result_section(model, rows, description, unit),
            *_prediction_sections(model, rows, unit),
        ]
    described = None if train is None else _as_rows(model, train)
    columns: list[str] = []
    if hasattr(model, "schema_"):
        columns = model.feature_names_in_.tolist()
        if rows is not None:
            columns, found = _feature_sections(model, rows, unit=unit, seed=random_state)
            sections += found
    if rows is not None and _reads_text(model):
        section = text_section(model, rows, unit=unit)
        sections += [] if section is None else [section]
    if learning_rate_finder:
        curve = _curve(model, learning_rate_finder, described, rows, seed=random_state)
        sections.append(learning_rate_section(curve))
    sections += [training_section(model, "Training"), data_section(model, "Rows of the fit")]
    if hasattr(model, "schema_"):
        sections += _column_sections(model, described, rows, columns)
    path = Path(path)
    write_page(path, title or _title(model), sections, text=[f"Written by tabtext {__version__}."])
    return path


def _reads_text(model: Any) -> bool:
    """Whether the model can say what the words of a text speak for."""
    return hasattr(model, "explain")


def _as_rows(model: Any, data: Any) -> pa.Table:
    """Any table, or texts for a model of texts alone, as one Arrow table."""
    from tabtext.estimators.text_inputs import as_text_table
    from tabtext.tables import as_table

    return as_table(data) if hasattr(model, "schema_") else as_text_table(data)


def _title(model: Any) -> str:
    targets = getattr(model, "target_names_", [])
    return ": ".join([type(model).__name__, *([", ".join(targets)] if targets else [])])


def _result_section(model: Any, rows: JudgedRows, description: str, unit: str) -> Section:
    """The metrics, and on which rows they were measured."""
    from tabtext.training.metrics import measure

    what = description or "the rows given"
    text = [f"Measured on {len(rows):,} rows: {what}."]
    if rows.n_usable < rows.n_given:
        left_out = rows.n_given - rows.n_usable
        text.append(f"{left_out:,} of {rows.n_given:,} rows have no target and were left out.")
    if len(rows) < rows.n_usable:
        text.append(f"They were drawn at random from {rows.n_usable:,}.")
    measured = measure(model.target_.task, rows.truth, rows.outputs)
    # Always four digits: 13 minutes would look as if they were counted.
    facts: dict[str, Any] = {
        metric_label(name, unit): f"{value:#.4g}" if np.isfinite(value) else None
        for name, value in measured.items()
    }
    return Section("Result", [" ".join(text)], facts={**facts, "rows": len(rows)})


def _prediction_sections(model: Any, rows: JudgedRows, unit: str) -> list[Section]:
    """How predictions compare with the truth."""
    if model.target_.task != "regression":
        return classification_sections(model, rows)
    return regression_sections(model, rows, unit=unit, times=_times(model, rows.table))


def _times(model: Any, table: pa.Table) -> NDArray[np.datetime64] | None:
    """The first column of dates that has some."""
    from tabtext.tabular.schema import Role

    if not hasattr(model, "schema_"):
        return None
    for name in model.schema_.names(Role.DATETIME):
        times = local_times(table.column(name))
        if not np.isnat(times).all():
            return times
    return None


def _feature_sections(
    model: Any, rows: JudgedRows, *, unit: str, seed: int
) -> tuple[list[str], list[Section]]:
    """The columns, most important first; and importance, maps and dependence."""
    columns: list[str] = model.feature_names_in_.tolist()
    sections = []
    measured = measure_importance(model, rows, seed=seed)
    if measured is not None:
        importance, said = measured
        ranked = importance.index.tolist()
        columns = [*ranked, *(name for name in columns if name not in set(ranked))]
        maps = maps_of(model, rows.table, ranked)
        sections.append(importance_section("What the model depends on", importance, maps, [said]))
    dependence = dependence_section(model, rows, columns, unit=unit, seed=seed)
    return columns, sections + ([] if dependence is None else [dependence])


def _curve(
    model: Any,
    wanted: "bool | LearningRateCurve",
    described: pa.Table | None,
    rows: JudgedRows | None,
    *,
    seed: int,
) -> "LearningRateCurve":
    """The curve that was given, or that of a sweep."""
    if not isinstance(wanted, bool):
        return wanted
    if not hasattr(model, "find_learning_rate"):
        raise ParameterError(
            f"a {type(model).__name__} has no learning-rate finder; leave it out of the report"
        )
    table = described if described is not None else None if rows is None else rows.table
    if table is None:
        raise ParameterError("the learning-rate finder needs rows: give train, or data")
    curve: LearningRateCurve = model.find_learning_rate(
        draw(table, _SWEEP_ROWS, seed=seed), target=model.target_names_
    )
    return curve


def _column_sections(
    model: Any, described: pa.Table | None, rows: JudgedRows | None, columns: Sequence[str]
) -> list[Section]:
    """Roles and contents of the columns."""
    what = "rows of the fit" if described is not None else "rows that were judged"
    table = described if described is not None else None if rows is None else rows.table
    sections = [columns_section(model, table=table)]
    if table is not None:
        section = distributions_section(model.schema_, table, columns, what=what)
        sections += [] if section is None else [section]
    return sections
