"""``tabtext explain``: the words of a row's texts, and how words are shown."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabtext.cli.messages import print_json
from tabtext.cli.options import Json, ModelDirectory, Occlusion, OutputToExplain, TableFile
from tabtext.errors import ParameterError

if TYPE_CHECKING:
    from tabtext.estimators.explanation import Explanation

__all__ = ["explain", "explanation_for_json", "print_explanation"]


def explain(
    model: ModelDirectory,
    data: TableFile,
    row: Annotated[int, typer.Option(help="Which row of DATA, the first being 0.", min=0)] = 0,
    output: OutputToExplain = None,
    occlusion: Occlusion = False,
    as_json: Json = False,
) -> None:
    """Show which words of a row's texts speak for the prediction of MODEL, and which against it.

    The other columns of the row count as they are. For models of texts alone, see tabtext sentiment
    explain.
    """
    from tabtext.estimators import TabTextClassifier, TabTextRegressor, load
    from tabtext.tables import read_table

    estimator = load(model)
    if not isinstance(estimator, TabTextClassifier | TabTextRegressor):
        raise ParameterError(
            f"{model} holds a {type(estimator).__name__}; rows are explained for models of tables "
            "that hold texts. See tabtext sentiment explain for texts, tabtext report for columns"
        )
    table = read_table(data)
    if row >= table.num_rows:
        raise ParameterError(f"--row {row}: {data} has {table.num_rows} rows, the first being 0")
    found = estimator.explain(
        table.slice(row, 1), output=output, method="occlusion" if occlusion else "gradient"
    )
    if as_json:
        print_json({column: explanation_for_json(of) for column, of in found.items()})
        return
    for column, of in found.items():
        print_explanation(of, title=f"{column}, ")


def print_explanation(found: "Explanation", *, title: str = "") -> None:
    """Print what is predicted, and the coloured words of a text."""
    from rich.console import Console

    from tabtext.plots import coloured_text

    console = Console()
    console.print(f"{title}{found.output}: {found.predicted:.3f}", markup=False, highlight=False)
    if not found.tokens:
        console.print("(missing)")
        return
    coloured = coloured_text(
        found.tokens, found.contributions, label=found.output, restore=found.restore
    )
    console.print(coloured)


def explanation_for_json(found: "Explanation") -> dict[str, Any]:
    """Return what is predicted, tokens and contributions."""
    return {
        "output": found.output,
        "predicted": found.predicted,
        "tokens": found.tokens,
        "contributions": [round(float(value), 6) for value in found.contributions],
    }
