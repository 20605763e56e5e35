"""What a saved model tells about itself: data, columns, tokens, training, metrics, versions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["PHASE_HEAD", "phase_rows", "print_card", "type_name", "value_text"]

PHASE_HEAD = ("epochs", "layer groups", "peak rate", "ratio", "schedule")
"""What ``phase_rows`` says about every phase."""


def print_card(config: Mapping[str, Any], console: "Console | None" = None) -> None:
    """Print an artifact's ``config.json`` for a person.

    Parameters
    ----------
    config : mapping
        As ``tabtext.artifacts.read_config`` returns it, of any estimator.
    console : rich.console.Console, optional
        Where to print; default: standard output.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    card = config["card"]
    targets = config.get("target_names")
    purpose = f" for {', '.join(targets)}" if targets else ""
    # Text, not markup: a column may be called "[red]".
    console.print(Text.assemble((config["estimator"], "bold"), purpose))
    console.print(
        f"format {config['format_version']}, tabtext {config['tabtext_version']}, "
        f"{card['parameters']:,} parameters, trained in {card['seconds']:.1f} s "
        f"on {card['device']}\n"
    )
    _print_mapping(console, "rows", card["rows"])
    _print_mapping(console, "tokens", card.get("tokens", {}))
    _print_columns(console, config)
    _print_pruning(console, card.get("pruning"))
    recipe = dict(card["recipe"])
    _print_rows(console, "phases", PHASE_HEAD, phase_rows(recipe.pop("phases", ())))
    _print_mapping(console, "training", recipe)
    _print_mapping(console, "validation metrics", card["metrics"])
    _print_mapping(console, "calibration on validation rows", card.get("calibration", {}))
    _print_mapping(console, "versions", card["versions"])


def phase_rows(phases: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return what a recipe does in each of its phases, in words.

    Parameters
    ----------
    phases : sequence of mapping
        As ``TrainingOptions.to_dict`` has them.

    Returns
    -------
    list of tuple of str
        Cells under ``PHASE_HEAD``.

    Examples
    --------
    >>> phase_rows([{"epochs": 1, "freeze_to": -1, "learning_rate": 0.02}])
    [('1', 'last 1', '0.02', '-', '-')]
    """
    return [
        (
            str(phase["epochs"]),
            _trained(phase.get("freeze_to")),
            *(_text_or_dash(phase.get(name)) for name in ("learning_rate", "group_ratio")),
            _text_or_dash(phase.get("schedule")),
        )
        for phase in phases
    ]


def type_name(dtype: str) -> str:
    """Arrow's name, less its sizes of offsets, which say nothing to a reader."""
    return dtype.replace("large_string", "string").replace("double", "float64")


def value_text(value: Any) -> str:
    """Return a value of a card as a person reads it.

    Examples
    --------
    >>> value_text(0.123456789), value_text([1234, None]), value_text({"train": 5})
    ('0.12346', '1,234, none', 'train 5')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _trained(freeze_to: int | None) -> str:
    """Which layer groups learn."""
    if freeze_to is None:
        return "as before"
    if freeze_to == 0:
        return "all"
    return f"last {-freeze_to}" if freeze_to < 0 else f"from group {freeze_to + 1} on"


def _print_columns(console: "Console", config: Mapping[str, Any]) -> None:
    """The schema of a table, or the columns of text."""
    if "schema" not in config:
        names = config.get("feature_names")
        _print_mapping(console, "texts", {"columns": names} if names else {})
        return
    _print_rows(
        console,
        "columns",
        ("name", "role", "type", "why"),
        [
            (column["name"], column["role"], type_name(column["dtype"]), column["reason"])
            for column in config["schema"]["columns"]
        ],
    )


def _print_pruning(console: "Console", pruning: Mapping[str, Any] | None) -> None:
    if not pruning:
        return
    rows = [
        (str(rule["description"]), f"{rule['removed']:,}", f"{rule['share']:.2%}")
        for rule in pruning["rules"]
    ]
    _print_rows(console, "pruned training rows", ("rule", "rows", "share"), rows)


def _print_mapping(console: "Console", title: str, values: Mapping[str, Any]) -> None:
    _print_rows(
        console, title, ("", ""), [(name, value_text(value)) for name, value in values.items()]
    )


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


def _text_or_dash(value: Any) -> str:
    return "-" if value is None else value_text(value)
