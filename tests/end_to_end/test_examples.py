"""The examples run as they are written, on fewer rows."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from tabtext.artifacts import read_config
from tabtext.datasets import load_snippets
from tabtext.estimators import LanguageModel
from tabtext.estimators.pretrained import verify

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_flights_predicts_minutes_intervals_and_classes_and_saves_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flights = example("flights")
    small = {"network": "mlp", "hidden": (32,), "epochs": 1, "verbose": 0}
    monkeypatch.setattr(flights, "SETTINGS", {**flights.SETTINGS, **small})

    flights.main(["--rows", "1500", "--out", str(tmp_path)])

    printed = capsys.readouterr().out
    assert printed.startswith("1,500 flights to learn from, 1,500 to choose by, 1,500 new\n")
    for part in ("arr_delay < 600", "rmse", "lie in their interval", "roc_auc", "loaded again"):
        assert part in printed
    for name in ("delay", "late"):
        assert (tmp_path / name / "README.md").is_file()


@pytest.mark.slow
def test_rossmann_learns_from_its_seven_tables(
    larger_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rossmann = example("rossmann")
    small = {"network": "mlp", "hidden": (32,), "epochs": 2, "verbose": 0}
    monkeypatch.setattr(rossmann, "MODEL", {**rossmann.MODEL, **small})

    rossmann.main([str(larger_data / "rossmann"), "--stores", "12", "--out", str(tmp_path / "m")])

    *_, valid, lowered, test, saved = capsys.readouterr().out.splitlines()
    assert float(lowered.split()[-1]) <= float(valid.split()[-1]) < 0.5  # always one: 1.0
    assert float(test.split()[-1]) < 0.5
    assert "tabtext inspect" in saved
    assert read_config(tmp_path / "m")["target_names"] == ["Sales"]


@pytest.mark.slow
def test_training_practices_compares_the_schedules_and_draws_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    practices = example("training_practices")
    monkeypatch.setattr(practices, "RATES", (4e-3,))
    flights = practices.read_flights
    monkeypatch.setattr(
        practices, "read_flights", lambda rows: [part[:400] for part in flights(rows)]
    )

    practices.main(["--rows", "400", "--seeds", "1", "--out", str(tmp_path / "picture.png")])

    printed = capsys.readouterr().out
    for name in ("constant", "restarts", "one-cycle", "restarts, snapshots", "constant, EMA"):
        assert f"\n{name} " in printed
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_sentiment_trains_explains_and_saves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example("sentiment").main(["--rows", "300", "--out", str(tmp_path)])

    printed = capsys.readouterr().out
    for part in (
        "perplexity on unseen texts",
        "accuracy on unseen texts",
        "speaks for",
        "loaded again",
    ):
        assert part in printed
    assert (tmp_path / "classifier" / "config.json").is_file()


@pytest.mark.slow
def test_sentiment_reads_a_file_of_the_users_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    movies = load_snippets("movies")[:150]
    table = pd.DataFrame({"review": movies["text"], "stars": (movies["rating"] > 0) * 4 + 1})
    table.to_csv(tmp_path / "own.csv", index=False)

    example("sentiment").main(
        [str(tmp_path / "own.csv"), "--text", "review", "--target", "stars", "--out", str(tmp_path)]
    )

    assert "accuracy on unseen texts" in capsys.readouterr().out


@pytest.mark.slow
def test_pretrain_english_writes_a_packed_model_that_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain = example("pretrain_english")
    monkeypatch.setattr(pretrain, "SHAPE", {"embedding_width": 16, "hidden_width": 64})
    texts = load_snippets("movies")[["text"]]
    (tmp_path / "articles").mkdir()
    texts[:600].to_parquet(tmp_path / "articles" / "0.parquet")
    texts[600:700].to_parquet(tmp_path / "valid.parquet")
    out = tmp_path / "english-tiny-v1"

    pretrain.main(
        [
            str(tmp_path / "articles"), "--valid", str(tmp_path / "valid.parquet"),
            "--out", str(out), "--max-time", "1h",
        ]
    )  # fmt: skip

    verify(out)
    config = read_config(out)
    assert config["packing"] == "int8_rows"
    assert config["card"]["corpus"] == "English Wikipedia"
    own = {name: config["parameters"][name] for name in ("epochs", "batch_size", "max_time")}
    assert own == {"epochs": "auto", "batch_size": "auto", "max_time": None}
    readme = (out / "README.md").read_text()
    for part in ("# english-tiny-v1", "ShareAlike 3.0", "| step | loss |", "tabtext.load("):
        assert part in readme
    judged = LanguageModel.load(out).perplexity(texts["text"][600:700])
    assert f"| perplexity | {judged:.5g} |" in readme
    assert f"{judged:.1f}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:missing values in columns that had none")
def test_stacking_compares_both_sides_and_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    example("stacking").main(["--rows", "800", "--folds", "2"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "800 flights to learn from, 800 to judge by"
    assert lines[2].startswith("TabularClassifier ")
    assert lines[4].startswith("StackingClassifier ")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:missing values in columns that had none")
def test_mixed_compares_both_kinds_of_columns_with_the_table_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example("mixed").main(
        ["--rows", "400", "--language-model", "none", "--out", str(tmp_path / "model")]
    )

    printed = capsys.readouterr().out
    for part in ("table and texts", "table alone", "columns of text: text", "the same prediction"):
        assert part in printed
    assert (tmp_path / "model" / "config.json").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:missing values in columns that had none")
@pytest.mark.filterwarnings("ignore:columns set aside")
def test_embeddings_for_gbdt_compares_categories_and_vectors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example("embeddings_for_gbdt").main(["--rows", "800"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "800 flights to learn from, 800 to judge by"
    for line, name in zip(lines[2:5], ("categories", "vectors of the", "vectors of"), strict=True):
        assert line.startswith(name)
    assert lines[5].startswith("December, once: categories ")
