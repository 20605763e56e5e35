"""``tabtext predict``, ``evaluate`` and ``inspect``, for models of tables."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabtext
from tests.cli.conftest import run, run_well


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_predictions_are_those_of_the_library(tables: Path, suffix: str) -> None:
    out = tables / f"predicted.{suffix}"

    run_well("predict", tables / "Sales", tables / "new.parquet", "--out", out)

    read = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    expected = tabtext.load(tables / "Sales").predict(tables / "new.parquet")
    np.testing.assert_allclose(read["Sales"], expected, rtol=1e-12)


@pytest.mark.parametrize(("options", "is_said"), [((), False), (("-v",), True), (("-vv",), True)])
def test_what_happens_is_logged_to_stderr_if_asked_for(
    tables: Path, options: tuple[str, ...], is_said: bool
) -> None:
    out = tables / "logged.csv"

    done = run_well(*options, "predict", tables / "Sales", tables / "new.parquet", "--out", out)

    line = f"tabtext.estimators.storage: loaded TabularRegressor: {tables / 'Sales'}"
    assert (line in done.stderr) is is_said
    assert not logging.getLogger("tabtext").handlers[1:]  # the next command begins anew


def test_probabilities_get_a_column_per_class(tables: Path) -> None:
    out = tables / "probabilities.parquet"

    run_well("predict", tables / "State", tables / "new.parquet", "--out", out, "--probabilities")

    read = pd.read_parquet(out)
    assert list(read) == ["State", "probability_BY", "probability_HE", "probability_NW"]
    np.testing.assert_allclose(read.iloc[:, 1:].sum(axis=1), 1)


def test_intervals_get_two_columns(tables: Path) -> None:
    out = tables / "intervals.csv"

    run_well("predict", tables / "Sales", tables / "new.parquet", "--out", out, "--interval", "0.8")

    read = pd.read_csv(out)
    assert list(read) == ["Sales", "Sales_lower", "Sales_upper"]
    expected = tabtext.load(tables / "Sales").predict_interval(tables / "new.parquet", 0.8)
    np.testing.assert_allclose(read.iloc[:, 1:], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "interval", "message"),
    [
        ("State", "0.8", "holds a TabularClassifier; leave it out"),
        ("Sales", "80", "must be a number between 0 and 1"),
        ("Sales", "0.99", "at least 199 validation rows, and the model has 30"),
    ],
)
def test_intervals_that_cannot_be_are_refused(
    tables: Path, model: str, interval: str, message: str
) -> None:
    out = tables / "refused.csv"

    done = run("predict", tables / model, tables / "new.parquet", "--out", out,
               "--interval", interval)  # fmt: skip

    assert message in str(done.exception)
    assert not out.exists()


def test_evaluate_prints_metrics_as_json(tables: Path) -> None:
    done = run_well("evaluate", tables / "Sales", tables / "new.parquet", "--json")

    expected = tabtext.load(tables / "Sales").evaluate(tables / "new.parquet")
    assert json.loads(done.stdout) == pytest.approx(expected)


def test_evaluate_prints_a_table(tables: Path) -> None:
    done = run_well("evaluate", tables / "State", tables / "new.parquet")

    assert "accuracy" in done.stdout


def test_inspect_prints_the_card(tables: Path) -> None:
    done = run_well("inspect", tables / "Sales")

    for part in ("TabularRegressor", "Distance", "continuous", "rmse", "Calibration", "torch"):
        assert part in done.stdout


def test_inspect_prints_the_whole_config_as_json(tables: Path) -> None:
    done = run_well("inspect", tables / "Sales", "--json")

    assert json.loads(done.stdout)["card"]["rows"]["given"] == 300
