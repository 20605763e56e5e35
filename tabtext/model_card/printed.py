"""A model's card on a terminal."""

from typing import TYPE_CHECKING

from tabtext.model_card.content import ModelCard, Section

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_card"]


def print_card(card: ModelCard, console: "Console | None" = None) -> None:
    """Print what a model tells about itself.

    Parameters
    ----------
    card : ModelCard
        What ``card_of`` returns.
    console : rich.console.Console, optional
        Where to print; default: standard output.

    Examples
    --------
    >>> print_card(ModelCard("sales", "TabularRegressor for Sales", ["10 parameters"], []))
    TabularRegressor for Sales
    10 parameters
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    # Text, not markup: a column may be called "[red]".
    console.print(Text(card.purpose, "bold"))
    console.print(Text(", ".join(card.facts)))
    for section in card.sections:
        console.print()
        _print_section(console, section)


def _print_section(console: "Console", section: Section) -> None:
    from rich.table import Table as Drawn
    from rich.text import Text

    table = section.table if section.table is not None and section.table.rows else None
    if table is None or section.text or section.points or section.code:
        console.print(Text(section.title, "italic"))
    if section.text:
        console.print(Text(section.text))
    for point in section.points:
        console.print(Text(f"- {point}"))
    if section.code:
        console.print(Text(section.code))
    if table is None:
        return
    title = None if section.text else section.title
    head = table.head or [""] * len(table.rows[0])
    drawn = Drawn(title=title, title_justify="left", show_header=bool(table.head))
    for name in head:
        drawn.add_column(Text(name), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console.print(drawn)
