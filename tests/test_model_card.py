"""The printed card of a saved model."""

import io
from typing import Any

import pytest
from rich.console import Console

from tabtext.model_card import phase_rows, print_card


def config(**changes: Any) -> dict[str, Any]:
    card = {
        "rows": {"given": 1200, "pruned": 7},
        "parameters": 34_567,
        "seconds": 1.25,
        "device": "cpu",
        "recipe": {"epochs": 3, "learning_rate": 0.002, "patience": None},
        "metrics": {"rmse": 12.3456789},
        "versions": {"torch": "2.13.0"},
        "pruning": {"rules": [{"description": "keep where a > 0", "removed": 7, "share": 0.0058}]},
    }
    return {
        "estimator": "TabularRegressor",
        "target_names": ["Sales"],
        "format_version": 1,
        "tabtext_version": "0.1.0",
        "schema": {
            "columns": [
                {"name": "[red]odd", "role": "categorical", "dtype": "string", "reason": "text"}
            ]
        },
        "card": card | changes,
    }


def text_config(**changes: Any) -> dict[str, Any]:
    """The card of a model of texts, which has tokens and phases, and no schema."""
    phases = [
        {"epochs": 1, "freeze_to": -1, "learning_rate": 0.02, "group_ratio": None},
        {"epochs": 3, "freeze_to": 0, "learning_rate": [0.001, 0.0025], "group_ratio": "text"},
    ]
    changed = {
        "tokens": {"train": 123_456, "vocabulary": 4321, "unknown": 0.0123456},
        "recipe": {"phases": phases, "tokens": "words", "directions": "forward"},
        "metrics": {"perplexity": 87.654321},
        "pruning": None,
    }
    content = config(**changed) | {"estimator": "LanguageModel"} | changes
    return {key: value for key, value in content.items() if key not in ("schema", "target_names")}


def printed(content: dict[str, Any]) -> str:
    stream = io.StringIO()
    print_card(content, Console(file=stream, width=100))
    return stream.getvalue()


@pytest.mark.parametrize(
    "part",
    [
        "TabularRegressor for Sales",
        "34,567 parameters",
        "1,200",
        "0.58%",
        "keep where a > 0",
        "12.346",
        "2.13.0",
        "[red]odd",
    ],
)
def test_the_card_shows(part: str) -> None:
    assert part in printed(config())


def test_the_card_shows_what_the_temperature_brought() -> None:
    entry = {"rows": 300, "temperature": 1.25, "log_loss": {"before": 0.5, "after": 0.4}}

    text = printed(config(calibration=entry))

    assert "calibration on validation rows" in text
    assert "before 0.5, after 0.4" in text
    assert "calibration" not in printed(config())  # of older models


def test_a_model_without_rules_has_no_table_of_rules() -> None:
    assert "pruned training rows" not in printed(config(pruning=None))


@pytest.mark.parametrize(
    "part",
    ["LanguageModel\n", "123,456", "4,321", "0.012346", "words", "87.654", "1,200"],
)
def test_the_card_of_a_language_model_shows(part: str) -> None:
    assert part in printed(text_config())


def test_the_columns_of_a_text_model_are_listed() -> None:
    assert "title, [red]review" in printed(text_config(feature_names=["title", "[red]review"]))


def test_phases_are_a_table_of_their_own() -> None:
    lines = [line.split("│") for line in printed(text_config()).splitlines() if "│ last 1" in line]

    assert [cell.strip() for cell in lines[0][1:4]] == ["1", "last 1", "0.02"]
    assert "0.001, 0.0025" in printed(text_config())


def test_the_name_of_a_target_is_no_markup() -> None:
    assert "for [red]odd" in printed(config() | {"target_names": ["[red]odd"]})


@pytest.mark.parametrize(
    ("freeze_to", "words"),
    [(-2, "last 2"), (0, "all"), (1, "from group 2 on"), (None, "as before")],
)
def test_phases_say_which_layer_groups_learn(freeze_to: int | None, words: str) -> None:
    assert phase_rows([{"epochs": 2, "freeze_to": freeze_to}])[0][:2] == ("2", words)
