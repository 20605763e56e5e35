"""The printed card of a saved model."""

import io
from typing import Any

import pytest
from rich.console import Console

from tabtext.model_card import print_card


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


def test_a_model_without_rules_has_no_table_of_rules() -> None:
    assert "pruned training rows" not in printed(config(pruning=None))
