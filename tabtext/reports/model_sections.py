"""What a report says about a model by itself: its training and the data that it was fitted on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tabtext import plots
from tabtext.model_card import PHASE_HEAD, phase_rows, value_text
from tabtext.reports.comparison import metric_label
from tabtext.reports.elements import Picture, Section, Table

if TYPE_CHECKING:
    from tabtext.training import History, LearningRateCurve

__all__ = ["data_section", "learning_rate_section", "training_section"]

_SAID_ELSEWHERE = ("best_epoch", "greater_is_better", "phases")
_ROWS = {
    "given": "given to fit",
    "target_missing": "without a target, dropped",
    "pruned": "pruned as outliers",
    "weightless": "of weight 0, left out",
    "train": "used for training",
    "valid": "used for validation",
}
_TOKENS = {
    "train": "tokens for training",
    "valid": "tokens for validation",
    "vocabulary": "tokens in the vocabulary",
    "unknown": "share of unknown tokens",
    "read": "tokens read in all epochs",
    "of_fine_tuning": "words, compared with the model before",
}
# Several networks look alike; more pictures than those of two would only be more to scroll.
_MOST_NETWORKS = 2


class FittedModel(Protocol):
    """What every fitted estimator knows about itself."""

    card_: dict[str, Any]
    histories_: "Mapping[str, History]"


def data_section(model: FittedModel, title: str = "Data") -> Section:
    """Rows given, dropped, pruned and used; tokens of text; gaps."""
    card: Mapping[str, Any] = model.card_
    facts: dict[str, Any] = {_ROWS[key]: count for key, count in card["rows"].items()}
    for key, count in card.get("tokens", {}).items():
        facts[_TOKENS[key]] = value_text(count) if isinstance(count, Mapping) else count
    tables = []
    if card.get("pruning"):
        rules = [
            (rule["description"], rule["removed"], f"{rule['share']:.2%}")
            for rule in card["pruning"]["rules"]
        ]
        tables.append(
            Table(("rule", "removed", "share"), rules, caption="Rules for outliers, training rows")
        )
    gaps = sorted(card.get("missing", {}).items(), key=lambda item: -item[1])
    if gaps and not hasattr(model, "schema_"):  # of a table, the section on columns tells
        shares = [(name, f"{share:.1%}") for name, share in gaps]
        tables.append(Table(("column", "missing"), shares, caption="Gaps in training rows"))
    return Section(title, facts=facts, tables=tables)


def training_section(model: FittedModel, title: str) -> Section:
    """Loss over epochs, learning rate over steps, and the recipe, for each network of the model."""
    card = model.card_
    recipe = {
        name.replace("_", " "): value_text(value)
        for name, value in card["recipe"].items()
        if value is not None and name not in _SAID_ELSEWHERE
    }
    text = (
        f"{card['parameters']:,} parameters, fitted in {card['seconds']:.1f} s on "
        f"{card['device']}, preparation included; "
    )
    histories = model.histories_
    monitor = card["recipe"]["monitor"].replace("_", " ")
    text += "; ".join(_epochs_in_words(history, monitor) for history in histories.values()) + "."
    pictures: list[Picture] = []
    several = len(histories) > 1
    if len(histories) > _MOST_NETWORKS:
        text += f" Pictures show the first of {len(histories)} networks."
        histories = dict(list(histories.items())[:1])
    for name, history in histories.items():
        pictures += _pictures(history, f", {name}" if several else "")
    phases = phase_rows(card["recipe"].get("phases", ()))
    tables = [Table(PHASE_HEAD, phases, caption="Phases of the training")] if phases else []
    return Section(title, [text], tables, pictures, recipe)


def _epochs_in_words(history: "History", monitor: str) -> str:
    text = f"{len(history.epochs)} epochs"
    if history.best_epoch is None:
        return text
    return f"{text}, of which number {history.best_epoch + 1}, with the best {monitor}, was kept"


def _pictures(history: "History", which: str) -> list[Picture]:
    """Losses over epochs and steps, the learning rate, and the metrics."""
    frame = history.to_frame()
    best_epoch = history.best_epoch
    pictures = [
        Picture(
            f"Loss per epoch{which}; in training with dropout, which is why it may lie higher",
            plots.plot_history(frame, best_epoch=best_epoch),
            "small",
        )
    ]
    if history.step_losses:
        pictures.append(
            Picture(
                f"Training loss per step{which}",
                plots.plot_step_losses(
                    history.step_losses, steps_per_point=history.steps_per_point
                ),
                "small",
            )
        )
    pictures.append(
        Picture(
            f"Learning rate per step{which}",
            plots.plot_learning_rate(
                history.step_learning_rates, steps_per_point=history.steps_per_point
            ),
            "small",
        )
    )
    for name in history.epochs[0].metrics:
        values = frame[name]
        if values.notna().any():
            label = metric_label(name)
            caption = f"{label[:1].upper()}{label[1:]} on the validation rows{which}"
            picture = plots.plot_metric(values.tolist(), label=label, best_epoch=best_epoch)
            pictures.append(Picture(caption, picture, "small"))
    return pictures


def learning_rate_section(curve: "LearningRateCurve") -> Section:
    """Loss over a rising learning rate, and what rules make of it."""
    suggested = ", ".join(f"{name} {rate:.2g}" for name, rate in curve.suggestions.items())
    picture = plots.plot_learning_rate_curve(curve.rates, curve.losses, curve.suggestions)
    return Section(
        "Learning-rate finder",
        [f"Suggested rates: {suggested}. The sweep trains on throw-away weights."],
        pictures=[Picture("Smoothed loss while the learning rate rises step by step", picture)],
    )
