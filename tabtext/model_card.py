"""What a saved model tells about itself: data, columns, pruning, training, metrics, versions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_card", "type_name"]


def print_card(config: Mapping[str, Any], console: "Console | None" = None) -> None:
    """Print an artifact's ``config.json`` for a person.

    Parameters
    ----------
    config : mapping
        As ``tabtext.artifacts.read_config`` returns it.
    console : rich.console.Console, optional
        Where to print; default: standard output.
    """
    from rich.console import Console

    console = console or Console()
    card = config["card"]
    console.print(f"[bold]{config['estimator']}[/bold] for {', '.join(config['target_names'])}")
    console.print(
        f"format {config['format_version']}, tabtext {config['tabtext_version']}, "
        f"{card['parameters']:,} parameters, trained in {card['seconds']:.1f} s "
        f"on {card['device']}\n"
    )
    _print_mapping(console, "rows", card["rows"])
    _print_rows(
        console,
        "columns",
        ("name", "role", "type", "why"),
        [
            (column["name"], column["role"], type_name(column["dtype"]), column["reason"])
            for column in config["schema"]["columns"]
        ],
    )
    _print_pruning(console, card.get("pruning"))
    _print_mapping(console, "training", card["recipe"])
    _print_mapping(console, "validation metrics", card["metrics"])
    _print_mapping(console, "versions", card["versions"])


def _print_pruning(console: "Console", pruning: Mapping[str, Any] | None) -> None:
    if not pruning:
        return
    rows = [
        (str(rule["description"]), f"{rule['removed']:,}", f"{rule['share']:.2%}")
        for rule in pruning["rules"]
    ]
    _print_rows(console, "pruned training rows", ("rule", "rows", "share"), rows)


def _print_mapping(console: "Console", title: str, values: Mapping[str, Any]) -> None:
    _print_rows(console, title, ("", ""), [(name, _text(value)) for name, value in values.items()])


def _print_rows(
    console: "Console", title: str, head: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(title=title, title_justify="left", show_header=any(head))
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        # Text, not markup: a column may be called "[red]".
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def type_name(dtype: str) -> str:
    """Arrow's name, less its sizes of offsets, which say nothing to a reader."""
    return dtype.replace("large_string", "string").replace("double", "float64")


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
