"""A model's card as plain text and tables, from its configuration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabtext.model_card.metadata import metadata_of
from tabtext.model_card.usage import how_to_use, limits
from tabtext.model_card.words import PHASE_HEAD, bytes_text, phase_rows, type_name, value_text

__all__ = ["ModelCard", "Section", "Table", "card_of"]

_NAMES_OF_ROWS = {
    "target_missing": "without target",
    "weightless": "of weight 0",
    "valid": "validation",
}


@dataclass(frozen=True)
class Table:
    """Cells of plain text.

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells.
    head : sequence of str
        What the columns are; empty for names and values.

    Examples
    --------
    >>> Table([("rmse", "12.5")]).head
    ()
    """

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; text is plain, no Markdown.

    Parameters
    ----------
    title : str
        The heading.
    text : str
        Lines of running text.
    points : sequence of str
        A list.
    table : Table, optional
        Left out where it has no rows.
    code : str
        Lines of Python.

    Examples
    --------
    >>> Section("Limits").is_empty, Section("Limits", points=["It is small."]).is_empty
    (True, False)
    """

    title: str
    text: str = ""
    points: Sequence[str] = ()
    table: Table | None = None
    code: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say."""
        has_rows = self.table is not None and self.table.rows
        return not (self.text or self.points or has_rows or self.code)


@dataclass(frozen=True)
class ModelCard:
    """What a model is, was given, does, and reached.

    Parameters
    ----------
    name : str
        What the model is called.
    purpose : str
        What it is and predicts.
    facts : sequence of str
        Its size, format and origin, in short.
    sections : sequence of Section
        All else, in the order in which a person asks for it.
    metadata : mapping
        The same for machines: the front matter of a Hugging Face model card.

    Examples
    --------
    >>> ModelCard("sales", "TabularRegressor for Sales", ["10 parameters"], []).purpose
    'TabularRegressor for Sales'
    """

    name: str
    purpose: str
    facts: Sequence[str]
    sections: Sequence[Section]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def card_of(config: Mapping[str, Any], *, name: str, n_bytes: int | None = None) -> ModelCard:
    """Return what a configuration tells of its model.

    Parameters
    ----------
    config : mapping
        As ``tabtext.artifacts.read_config`` returns it, of any estimator; with a ``"card"``.
    name : str
        What the model is called: the name of its directory.
    n_bytes : int, optional
        The size of that directory.

    Examples
    --------
    >>> config = {
    ...     "estimator": "TabularRegressor",
    ...     "target_names": ["Sales"],
    ...     "format_version": 1,
    ...     "tabtext_version": "0.1.0",
    ...     "card": {"task": "regression", "rows": {"train": 900}, "metrics": {"rmse": 12.5}},
    ... }
    >>> card = card_of(config, name="sales")
    >>> card.purpose
    'TabularRegressor for Sales'
    >>> [section.title for section in card.sections]
    ['Rows', 'Target', 'Validation metrics', 'How to use it', 'Limits']
    """
    card = config["card"]
    targets = config.get("target_names")
    sections = [
        *_given(config, card),
        *_of_language_models(card.get("language_model")),
        *_training(config, card),
        *_reached(card),
        Section("How to use it", code=how_to_use(config, name)),
        Section("Limits", points=limits(config)),
        _named_values("Versions", card.get("versions", {})),
    ]
    return ModelCard(
        name=name,
        purpose=config["estimator"] + (f" for {', '.join(targets)}" if targets else ""),
        facts=_facts(config, card, n_bytes),
        sections=[section for section in sections if not section.is_empty],
        metadata=metadata_of(config, name=name),
    )


def _facts(config: Mapping[str, Any], card: Mapping[str, Any], n_bytes: int | None) -> list[str]:
    facts = [f"format {config['format_version']}", f"tabtext {config['tabtext_version']}"]
    if "parameters" in card:
        facts.append(f"{card['parameters']:,} parameters")
    if n_bytes is not None:
        facts.append(f"{bytes_text(n_bytes)} on disk")
    if "seconds" in card:
        place = card.get("device", "cpu") + (f", {card['machine']}" if "machine" in card else "")
        facts.append(f"trained in {card['seconds']:.1f} s on {place}")
    return facts


# -- what it was given -----------------------------------------------------------------------------


def _given(config: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[Section]:
    """Rows, tokens, target, columns, pruning; and whose the data are, if somebody said so."""
    rows = {_NAMES_OF_ROWS.get(n, n): count for n, count in card.get("rows", {}).items()}
    yield _named_values("Rows", rows)
    yield _named_values("Tokens", card.get("tokens", {}))
    source = {key: card[key] for key in ("corpus", "license") if card.get(key)}
    yield Section("Source", card.get("attribution") or "", table=_values(source))
    yield _named_values("Target", _target(config))
    yield _columns(config, card.get("missing", {}))
    yield _pruning(card.get("pruning"))


def _target(config: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be known to read a prediction."""
    target = config.get("target", {})
    names = config.get("target_names", [])
    found: dict[str, Any] = {"column" if len(names) == 1 else "columns": names} if names else {}
    classes = target.get("classes", [])
    if classes:
        shown = ", ".join(map(str, classes[:20]))
        found["classes"] = shown if len(classes) <= 20 else f"{shown} ... ({len(classes)})"
    found |= {key: target[key] for key in ("transform", "y_range") if target.get(key)}
    return found


def _columns(config: Mapping[str, Any], missing: Mapping[str, float]) -> Section:
    """The schema of a table, or the columns of text."""
    if "schema" not in config:
        names = config.get("feature_names") or []
        return Section("Columns", table=Table([(name, "text") for name in names], ("name", "role")))
    rows = [
        (
            column["name"],
            column["role"],
            type_name(column["dtype"]),
            f"{missing[column['name']]:.2%}" if column["name"] in missing else "-",
            column["reason"],
        )
        for column in config["schema"]["columns"]
    ]
    return Section("Columns", table=Table(rows, ("name", "role", "type", "missing", "why")))


def _pruning(pruning: Mapping[str, Any] | None) -> Section:
    rules = [] if pruning is None else pruning["rules"]
    rows = [(str(r["description"]), f"{r['removed']:,}", f"{r['share']:.2%}") for r in rules]
    return Section("Pruned training rows", table=Table(rows, ("rule", "rows", "share")))


def _of_language_models(origin: Mapping[str, Any] | None) -> Iterator[Section]:
    """The language model that a text model began from, and those that came before that one."""
    title = "The language model it began from"
    while origin:
        values = {k: v for k, v in origin.items() if k not in ("attribution", "language_model")}
        yield Section(title, origin.get("attribution") or "", table=_values(values))
        origin, title = origin.get("language_model"), "The language model before that"


# -- what was done, and what it reached ------------------------------------------------------------


def _training(config: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[Section]:
    recipe = dict(card.get("recipe", {}))
    phases = recipe.pop("phases", ())
    yield Section("Phases of the training", table=Table(phase_rows(phases), PHASE_HEAD))
    shown = {name: value for name, value in recipe.items() if value is not None}
    yield _named_values("Training recipe", shown)
    histories = config.get("histories") or {}
    for name, history in histories.items():
        of_which = f", {name}" if len(histories) > 1 else ""
        yield Section(f"Epochs{of_which}", table=_epochs(history))


def _epochs(history: Mapping[str, Any]) -> Table:
    epochs = history.get("epochs", [])
    names = list(epochs[0]["metrics"]) if epochs else []
    rows = [
        (
            str(number),
            *(
                _number(value)
                for value in (
                    epoch["train_loss"],
                    epoch["valid_loss"],
                    *(epoch["metrics"].get(name) for name in names),
                    epoch["seconds"],
                )
            ),
        )
        for number, epoch in enumerate(epochs, start=1)
    ]
    return Table(rows, ("epoch", "training loss", "validation loss", *names, "seconds"))


def _reached(card: Mapping[str, Any]) -> Iterator[Section]:
    yield _named_values("Validation metrics", card.get("metrics", {}))
    yield _named_values("Held-out metrics", card.get("held_out", {}))
    yield _named_values("Calibration on validation rows", card.get("calibration", {}))


def _named_values(title: str, values: Mapping[str, Any]) -> Section:
    return Section(title, table=_values(values))


def _values(values: Mapping[str, Any]) -> Table:
    return Table([(name.replace("_", " "), value_text(value)) for name, value in values.items()])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
