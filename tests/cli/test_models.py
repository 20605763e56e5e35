"""``tabtext predict``, ``evaluate`` and ``inspect``, for models of tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabtext
from tests.cli.conftest import run_well


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_predictions_are_those_of_the_library(tables: Path, suffix: str) -> None:
    out = tables / f"predicted.{suffix}"

    run_well("predict", tables / "Sales", tables / "new.parquet", "--out", out)

    read = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    expected = tabtext.load(tables / "Sales").predict(tables / "new.parquet")
    np.testing.assert_allclose(read["Sales"], expected, rtol=1e-12)


def test_probabilities_get_a_column_per_class(tables: Path) -> None:
    out = tables / "probabilities.parquet"

    run_well("predict", tables / "State", tables / "new.parquet", "--out", out, "--probabilities")

    read = pd.read_parquet(out)
    assert list(read) == ["State", "probability_BY", "probability_HE", "probability_NW"]
    np.testing.assert_allclose(read.iloc[:, 1:].sum(axis=1), 1)


def test_evaluate_prints_metrics_as_json(tables: Path) -> None:
    done = run_well("evaluate", tables / "Sales", tables / "new.parquet", "--json")

    expected = tabtext.load(tables / "Sales").evaluate(tables / "new.parquet")
    assert json.loads(done.stdout) == pytest.approx(expected)


def test_evaluate_prints_a_table(tables: Path) -> None:
    done = run_well("evaluate", tables / "State", tables / "new.parquet")

    assert "accuracy" in done.stdout


def test_inspect_prints_the_card(tables: Path) -> None:
    done = run_well("inspect", tables / "Sales")

    for part in ("TabularRegressor", "Distance", "continuous", "rmse", "torch"):
        assert part in done.stdout


def test_inspect_prints_the_whole_config_as_json(tables: Path) -> None:
    done = run_well("inspect", tables / "Sales", "--json")

    assert json.loads(done.stdout)["card"]["rows"]["given"] == 300
