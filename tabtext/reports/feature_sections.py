"""What a report says about what predictions depend on: importance, dependence, learned maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tabtext import plots
from tabtext.plots.style import with_unit
from tabtext.reports.dependence import Dependence, partial_dependence
from tabtext.reports.elements import Picture, Section
from tabtext.reports.levels import most_frequent
from tabtext.reports.rows import JudgedRows, draw, outputs_for
from tabtext.tabular.schema import Role, Schema
from tabtext.training.targets import ClassificationTarget, MultilabelTarget

if TYPE_CHECKING:
    import pandas as pd

    from tabtext.estimators.supervised import SupervisedEstimator

__all__ = ["dependence_section", "importance_section", "maps_of", "measure_importance"]

_N_REPEATS = 2
# Predictions that permutation importance may cost, and rows that are enough for a stable order.
_IMPORTANCE_BUDGET, _IMPORTANCE_ROWS = 1_500_000, 5000
_LEAST_ROWS = 200
_DEPENDENCE_ROWS = 400
# Texts cost a hundred times as much as rows of a table.
_DEPENDENCE_ROWS_WITH_TEXT = 40
_N_DEPENDENCES = 6
_MOST_OUTPUTS = 4
_MOST_MAPS = 4


def measure_importance(
    model: Any, rows: JudgedRows, *, seed: int
) -> "tuple[pd.DataFrame, str] | None":
    """Permutation importance on so many rows as are affordable, and what was done in words.

    Returns None for a model that has none, or for a single row, which shuffling leaves as it is.
    """
    if not hasattr(model, "feature_importance") or len(rows) < 2:
        return None
    affordable = _IMPORTANCE_BUDGET // (_N_REPEATS * max(len(model.feature_names_in_), 1))
    max_rows = min(_IMPORTANCE_ROWS, max(affordable, _LEAST_ROWS))
    frame = model.feature_importance(
        rows.table, n_repeats=_N_REPEATS, max_rows=max_rows, random_state=seed
    )
    said = f"Measured on {min(max_rows, len(rows)):,} rows, {_N_REPEATS} shuffles of each column."
    return frame, said


def importance_section(
    title: str,
    importance: "pd.DataFrame",
    embeddings: Sequence[tuple[str, "pd.DataFrame", "pd.Series[int]"]] = (),
    text: Sequence[str] = (),
) -> Section:
    """Permutation importance, and maps of learned categories.

    ``embeddings`` holds name, vectors and rows per category.
    """
    pictures = [
        Picture(
            "Permutation importance: how much the loss rises when one column is shuffled; "
            "lines are standard deviations over repeats",
            plots.plot_importance(importance),
        )
    ]
    pictures += [
        Picture(
            f"Learned vectors of {name}: categories that act alike lie close; larger dots have "
            "more rows",
            plots.plot_embeddings(vectors, counts=counts),
        )
        for name, vectors, counts in embeddings
    ]
    return Section(title, text, pictures=pictures)


def maps_of(
    model: Any, table: pa.Table, columns: Sequence[str]
) -> "list[tuple[str, pd.DataFrame, pd.Series[int]]]":
    """Learned vectors of the first few categorical columns that have enough of them for a map.

    Parameters
    ----------
    model : fitted estimator
        With ``embeddings`` and ``schema_``.
    table : pyarrow.Table
        Rows in which categories are counted.
    columns : sequence of str
        In the order in which they are wanted.
    """
    import pandas as pd

    maps: list[tuple[str, pd.DataFrame, pd.Series[int]]] = []
    for column in columns:
        if len(maps) == _MOST_MAPS or model.schema_.role(column) is not Role.CATEGORICAL:
            continue
        vectors = model.embeddings(column)
        # Of less than five categories a table of mean predictions says more than a map.
        if len(vectors) < 5 + 2 or vectors.shape[1] < 2:
            continue
        levels = most_frequent(table.column(column), len(vectors))
        maps.append((column, vectors, pd.Series(levels.counts, index=list(levels.names))))
    return maps


def dependence_section(
    model: "SupervisedEstimator[Any]",
    rows: JudgedRows,
    columns: Sequence[str],
    *,
    unit: str,
    seed: int,
) -> Section | None:
    """How the mean prediction moves with each of the first few columns.

    Parameters
    ----------
    model : fitted estimator with a schema
        What is asked.
    rows : JudgedRows
        Rows whose columns are changed.
    columns : sequence of str
        In the order in which they are wanted, most important first.
    unit : str
        Unit of the target.
    seed : int
        Of the draw of rows.
    """
    view = _View.of(model, rows, unit)
    n_rows = _DEPENDENCE_ROWS_WITH_TEXT if hasattr(model, "explain") else _DEPENDENCE_ROWS
    names = [name for name in rows.table.column_names if name in set(model.feature_names_in_)]
    everyone = rows.table.select(names)
    sample = draw(everyone, n_rows, seed=seed)

    def predict(table: pa.Table) -> NDArray[np.float64]:
        return outputs_for(model, table)[:, view.outputs]

    overall = predict(sample).mean(axis=0)
    schema = model.schema_
    pictures: list[Picture] = []
    for column in _worth_a_look(schema, columns):
        role, parts = schema.role(column), _date_parts(model, column)
        found = partial_dependence(predict, sample, everyone, column, role, date_parts=parts)
        pictures += [_picture(one, view, overall) for one in found]
    if not pictures:
        return None
    text = (
        f"The mean prediction over {sample.num_rows:,} rows when one column is set to a value in "
        "all of them, the others being as they are (partial dependence). It shows what the model "
        "has learned, not what would happen; where columns hang together, some of these rows "
        "cannot exist. Each picture has a scale of its own."
    )
    return Section("How predictions depend on columns", [text], pictures=pictures)


def _worth_a_look(schema: Schema, columns: Sequence[str]) -> list[str]:
    """The first few columns, and the first of each kind that is not among them."""
    kinds = (Role.CATEGORICAL, Role.CONTINUOUS, Role.DATETIME)
    usable = [column for column in columns if schema.role(column) in kinds]
    first_of_kind = {schema.role(column): column for column in reversed(usable)}.values()
    wanted = {*usable[:_N_DEPENDENCES], *first_of_kind}
    return [column for column in usable if column in wanted]


@dataclass(frozen=True)
class _View:
    """Which outputs are drawn, and what they are called."""

    outputs: list[int]
    names: list[str]
    label: str

    @classmethod
    def of(cls, model: "SupervisedEstimator[Any]", rows: JudgedRows, unit: str) -> "_View":
        target, first = model.target_, model.target_names_[0]
        if isinstance(target, MultilabelTarget):
            shown = list(range(len(target.labels)))[:_MOST_OUTPUTS]
            return cls(shown, [target.labels[number] for number in shown], "mean probability")
        if not isinstance(target, ClassificationTarget):
            return cls([0], [first], with_unit(f"mean {first}", unit))
        names = [str(label) for label in target.classes]
        if len(names) == 2:
            return cls([1], [names[1]], f"probability of {names[1]}")
        counts = np.bincount(rows.truth, minlength=len(names))
        shown = np.argsort(-counts, kind="stable")[:_MOST_OUTPUTS].tolist()
        return cls(shown, [names[number] for number in shown], "mean probability")


def _picture(found: Dependence, view: _View, overall: NDArray[np.float64]) -> Picture:
    names = view.names if len(view.outputs) > 1 else []
    if found.grid is None:
        axes = plots.plot_dependence_on_levels(
            found.levels,
            found.predicted,
            label=found.label,
            predicted_label=view.label,
            counts=found.counts,
            overall=float(overall[0]),
            outputs=names,
        )
        caption = f"Depending on {found.label}; in brackets: rows"
        return Picture(caption, axes)
    axes = plots.plot_dependence(
        found.grid,
        found.predicted,
        label=found.label,
        predicted_label=view.label,
        observed=found.observed,
        outputs=names,
    )
    return Picture(f"Depending on {found.label}; the grey lines show where rows are", axes)


def _date_parts(model: Any, column: str) -> list[str]:
    """The parts of a date that a model reads."""
    # Where there are texts too, the rest of the table has a preprocessor of its own.
    preprocessor = getattr(model.preprocessor_, "tabular", model.preprocessor_)
    features = preprocessor.features_
    return [f.part for f in features if f.source == column and f.part is not None]
