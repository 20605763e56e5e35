"""What is logged, for whom, and that nothing is said unless somebody listens."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import tabtext
from tabtext.datasets import load_flights, load_snippets


def test_nothing_is_printed_on_import() -> None:
    code = "import tabtext; tabtext.TabularRegressor, tabtext.TextClassifier, tabtext.datasets"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")


def test_the_package_leaves_output_to_the_program() -> None:
    logger = logging.getLogger("tabtext")

    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
    assert logger.level == logging.NOTSET


def test_a_fit_of_a_table_logs_its_stages_with_their_figures(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    flights = load_flights("test").dropna(subset="arr_delay").sample(600, random_state=0)
    model = tabtext.TabularRegressor(
        epochs=2, network="mlp", prune=["arr_delay < 120"], verbose=0, exclude=["precipitation"]
    )
    with caplog.at_level(logging.INFO, logger="tabtext"):
        model.fit(flights, target="arr_delay").save(tmp_path / "delay")
        tabtext.load(tmp_path / "delay")

    said = [(record.name, record.getMessage()) for record in caplog.records]
    counts = model.card_["rows"]
    for name, part in [
        ("tabtext.tabular.notices", "columns: "),
        ("tabtext.estimators.supervised", f"600 rows given, 0 rows target_missing, "
                                          f"{counts['pruned']} rows pruned"),
        ("tabtext.estimators.supervised", "arr_delay < 120"),
        ("tabtext.training", f"training {model.card_['parameters']:,} parameters for 2 epochs"),
        ("tabtext.training", f"epoch 2/2  {model.history_.epochs[1].summary()}"),
        ("tabtext.estimators.supervised", "fitted in "),
        ("tabtext.artifacts", f"saved TabularRegressor: {tmp_path / 'delay'}"),
        ("tabtext.estimators.storage", f"loaded TabularRegressor: {tmp_path / 'delay'}"),
    ]:  # fmt: skip
        assert any(name == logger and part in message for logger, message in said), part
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_details_are_for_debug(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    flights = load_flights("test").dropna(subset="arr_delay").sample(600, random_state=0)
    model = tabtext.TabularRegressor(epochs=1, network="mlp", verbose=0, exclude=["precipitation"])
    with caplog.at_level(logging.DEBUG, logger="tabtext"):
        model.fit(flights, target="arr_delay", checkpoints=tmp_path)

    details = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
    assert "'carrier' is categorical: text labels" in details
    assert any(message.startswith("options: TrainingOptions(") for message in details)
    assert any(message.startswith("checkpoint: ") for message in details)


def test_texts_tell_their_tokens_and_votes(caplog: pytest.LogCaptureFixture) -> None:
    movies = load_snippets("movies")[:200]
    model = tabtext.TextClassifier(
        language_model=None, embedding_width=8, hidden_width=8, epochs=1, verbose=0
    )
    with caplog.at_level(logging.INFO, logger="tabtext"):
        model.fit(movies["text"], movies["rating"] > 0)

    said = caplog.text
    assert f"vocabulary of {len(model.preprocessor_.vocabulary_)}" in said
    assert f"votes: network {model.mixing_['network']:.2f}" in said
