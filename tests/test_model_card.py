"""The card of a saved model: printed, and as the README.md of its directory."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import markdown_it
import pytest
import yaml
from rich.console import Console

from tabtext.artifacts import read_card, read_config, write_artifact
from tabtext.datasets import load_flights, load_snippets
from tabtext.errors import ArtifactError
from tabtext.estimators import LanguageModel, TabularClassifier, TextClassifier
from tabtext.model_card import card_of, phase_rows, print_card, to_markdown

ODD = 'a|b*_c_ <script> [x](y) `q` "z" \\ \x85 # \u2028 €'


def config(**changes: Any) -> dict[str, Any]:
    card = {
        "task": "regression",
        "rows": {"given": 1200, "pruned": 7, "valid": 100},
        "missing": {"[red]odd": 0.125},
        "parameters": 34_567,
        "seconds": 1.25,
        "device": "cpu",
        "recipe": {"epochs": 3, "learning_rate": 0.002, "patience": None},
        "metrics": {"rmse": 12.3456789, "r2": 1e-7},
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
        "recipe": {"phases": phases, "tokenizer": "words (de)", "directions": "forward"},
        "metrics": {"perplexity": 87.654321},
        "pruning": None,
    }
    content = config(**changed) | {"estimator": "LanguageModel"} | changes
    return {key: value for key, value in content.items() if key not in ("schema", "target_names")}


def printed(content: dict[str, Any], n_bytes: int | None = None) -> str:
    stream = io.StringIO()
    card = card_of(content, name="model", n_bytes=n_bytes)
    print_card(card, Console(file=stream, width=100))
    return stream.getvalue()


def markdown(content: dict[str, Any], name: str = "model") -> str:
    return to_markdown(card_of(content, name=name))


def front_matter(text: str) -> dict[str, Any]:
    head = text.split("---\n")[1]
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def shown(text: str) -> list[str]:
    """What a reader of the rendered page sees: all texts of its headings, lines and cells."""
    body = text.split("\n---\n", 1)[1]
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(body)
    inline = [token for token in tokens if token.type == "inline"]
    for token in inline:
        kinds = {child.type for child in token.children or []}
        assert kinds <= {"text", "text_special", "softbreak"}, token.content
    return ["".join(child.content or " " for child in token.children or []) for token in inline]


# --------------------------------------------------------------------------------------- printed


@pytest.mark.parametrize(
    "part",
    [
        "TabularRegressor for Sales",
        "34,567 parameters",
        "1,200",
        "0.58%",
        "12.50%",
        "keep where a > 0",
        "12.346",
        "2.13.0",
        "[red]odd",
        "tabtext.load('model')",
        "The validation rows also chose the best epoch",
    ],
)
def test_the_card_shows(part: str) -> None:
    assert part in printed(config())
    assert part in " ".join(shown(markdown(config()))) + markdown(config())


def test_the_card_shows_what_the_temperature_brought() -> None:
    entry = {"rows": 300, "temperature": 1.25, "log_loss": {"before": 0.5, "after": 0.4}}

    text = printed(config(calibration=entry))

    assert "Calibration on validation rows" in text
    assert "before 0.5, after 0.4" in text
    assert "Calibration" not in printed(config())  # of older models


def test_a_model_without_rules_has_no_table_of_rules() -> None:
    assert "Pruned training rows" in printed(config())
    assert "Pruned training rows" not in printed(config(pruning=None))


@pytest.mark.parametrize(
    "part",
    ["LanguageModel\n", "123,456", "4,321", "0.012346", "words (de)", "87.654", "1,200"],
)
def test_the_card_of_a_language_model_shows(part: str) -> None:
    assert part in printed(text_config())


def test_the_columns_of_a_text_model_are_listed() -> None:
    text = printed(text_config(feature_names=["title", "[red]review"]))

    assert "│ title " in text
    assert "│ [red]review " in text


def test_phases_are_a_table_of_their_own() -> None:
    lines = [line.split("│") for line in printed(text_config()).splitlines() if "│ last 1" in line]

    assert [cell.strip() for cell in lines[0][1:4]] == ["1", "last 1", "0.02"]
    assert "0.001, 0.0025" in printed(text_config())


def test_the_name_of_a_target_is_no_markup() -> None:
    assert "for [red]odd" in printed(config() | {"target_names": ["[red]odd"]})


def test_the_size_is_told_where_it_is_known() -> None:
    assert "1.5 MB on disk" in printed(config(), n_bytes=1_500_000)
    assert "on disk" not in printed(config())


@pytest.mark.parametrize(
    ("freeze_to", "words"),
    [(-2, "last 2"), (0, "all"), (1, "from group 2 on"), (None, "as before")],
)
def test_phases_say_which_layer_groups_learn(freeze_to: int | None, words: str) -> None:
    assert phase_rows([{"epochs": 2, "freeze_to": freeze_to}])[0][:2] == ("2", words)


# ------------------------------------------------------------------------------------- README.md


def test_machines_read_library_task_and_results() -> None:
    found = front_matter(markdown(config(), "sales"))

    assert found["library_name"] == "tabtext"
    assert found["pipeline_tag"] == "tabular-regression"
    assert found["tags"] == ["tabtext", "tabular"]
    assert found["metrics"] == ["rmse", "r2"]
    (result,) = found["model-index"][0]["results"]
    assert found["model-index"][0]["name"] == "sales"
    assert result["task"] == {"type": "tabular-regression"}
    assert result["metrics"][0] == {"type": "rmse", "value": 12.3456789}
    assert result["metrics"][1] == {"type": "r2", "value": 1e-7}  # a number, not "1e-07"


def test_the_licence_is_named_only_if_it_was_given() -> None:
    assert "license" not in front_matter(markdown(config()))
    assert front_matter(markdown(config(license="cc-by-4.0")))["license"] == "cc-by-4.0"
    assert "cc-by-4.0" in printed(config(license="cc-by-4.0"))


def test_the_language_of_words_is_named() -> None:
    assert front_matter(markdown(text_config()))["language"] == "de"
    norwegian = text_config(card=config()["card"] | {"recipe": {"tokenizer": "words (no)"}})
    assert front_matter(markdown(norwegian))["language"] == "no"  # which YAML takes for false


def test_a_metric_that_is_no_number_is_no_result() -> None:
    found = front_matter(markdown(config(metrics={"rmse": None, "mae": 2.0})))

    assert found["metrics"] == ["mae"]


@pytest.mark.parametrize(
    "place",
    [
        lambda text: config() | {"target_names": [text]},
        lambda text: config(missing={}, calibration={"rows": text}),
        lambda text: config(license=text, corpus=text),
        lambda text: config(attribution=f"# {text}\n1. {text}\n- {text}"),
        lambda text: text_config(feature_names=[text]),
        lambda text: config() | {"target": {"classes": [text]}},
    ],
)
def test_text_from_data_is_shown_as_it_is(place: Callable[[str], dict[str, Any]]) -> None:
    text = markdown(place(ODD), ODD)

    assert front_matter(text)["model-index"][0]["name"] == ODD
    page = shown(text)
    visible = " ".join(ODD.split())
    assert visible in page[0]
    assert any(visible in part for part in page[1:])


def test_a_name_that_cannot_be_written_is_no_reason_to_lose_a_model() -> None:
    assert markdown(config(), "caf\udce9").encode()


# ------------------------------------------------------------------------------------- artifacts


def test_the_code_of_the_card_of_a_classifier_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights = load_flights("test").dropna(subset="arr_delay").sample(800, random_state=0)
    late = flights.pop("arr_delay") > 15
    model = TabularClassifier(epochs=1, network="mlp", verbose=0).fit(flights, late)
    model.save(tmp_path / "late flights")
    flights.to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.chdir(tmp_path)
    readme = (tmp_path / "late flights" / "README.md").read_text(encoding="utf-8")

    exec(readme.split("```python\n")[1].split("```")[0], {})  # it is its own promise

    assert front_matter(readme)["pipeline_tag"] == "tabular-classification"
    files = [p for p in (tmp_path / "late flights").rglob("*") if p.is_file()]
    size = sum(p.stat().st_size for p in files if p.name != "README.md")
    assert f"{size / 1e6:.1f} MB on disk" in readme
    card = read_card(tmp_path / "late flights")
    assert to_markdown(card) == readme  # inspect shows the same


def test_a_text_model_names_the_language_model_it_began_from_and_whose_texts_that_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movies = load_snippets("movies")[:120]
    small = LanguageModel.from_pretrained("english-small").fine_tune(
        movies["text"], epochs=1, verbose=0
    )
    model = TextClassifier(language_model=small, epochs=1, verbose=0)
    model.fit(movies["text"], movies["rating"] > 0).save(tmp_path / "movies")
    monkeypatch.chdir(tmp_path)
    readme = (tmp_path / "movies" / "README.md").read_text(encoding="utf-8")

    assert "| name | a LanguageModel in memory |" in readme
    assert "## The language model before that" in readme
    assert "| name | english-small-v1 |" in readme
    assert "Commons Attribution-ShareAlike 3.0 licence" in readme
    exec(readme.split("```python\n")[1].split("```")[0], {})


def test_hugging_face_reads_the_card(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    with write_artifact(tmp_path / "sales", config(license="mit"), {}):
        pass

    data = hub.ModelCard.load(tmp_path / "sales" / "README.md").data

    assert (data.library_name, data.license) == ("tabtext", "mit")
    assert next((r.metric_type, r.metric_value) for r in data.eval_results) == ("rmse", 12.3456789)


def test_a_readme_in_the_directory_is_replaced_with_the_model(tmp_path: Path) -> None:
    for _ in range(2):
        with write_artifact(tmp_path / "sales", config(), {}):
            pass
        text = (tmp_path / "sales" / "README.md").read_text(encoding="utf-8")
        assert "my notes" not in text
        (tmp_path / "sales" / "README.md").write_text("my notes")


def test_a_damaged_card_is_told(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "sales", config(), {}):
        pass
    path = tmp_path / "sales" / "config.json"
    path.write_text(path.read_text().replace('"columns"', '"colums"'))

    assert read_config(tmp_path / "sales")
    with pytest.raises(ArtifactError, match=r"card in .* is damaged"):
        read_card(tmp_path / "sales")
