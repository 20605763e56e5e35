"""Artifacts that older versions wrote: they load, and predict what they predicted then."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

import tabtext
from tabtext.artifacts import FORMAT_VERSION, read_config

HERE = Path(__file__).parent
BUILD = runpy.run_path(str(HERE / "build.py"))
NAMES = list(BUILD["RECIPES"])
LARGEST = 400_000
ASKED = ("predict", "predict_proba", "evaluate")


def expected_of(name: str) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((HERE / name / "expected.json").read_text())
    return expected


# Processors sum in other orders: a network of single precision is the same up to its sixth digit.
@pytest.mark.filterwarnings("ignore::tabtext.errors.TabTextWarning")
@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_predicts_what_it_did_when_it_was_written(name: str) -> None:
    expected = expected_of(name)
    model = tabtext.load(HERE / name / "model")
    rows = expected["rows"]
    if isinstance(rows[0], dict):
        rows = BUILD["tabular_rows"](rows)
    (asked,) = (method for method in ASKED if method in expected)

    found = getattr(model, asked)(rows)

    if asked == "evaluate":
        assert found == pytest.approx(expected[asked], rel=1e-4)
    else:
        assert_allclose(found, expected[asked], rtol=1e-4, atol=1e-5)


def test_there_is_an_artifact_of_every_format() -> None:
    formats = {read_config(HERE / name / "model")["format_version"] for name in NAMES}

    assert formats == set(range(1, FORMAT_VERSION + 1))


def test_golden_artifacts_are_small() -> None:
    assert sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file()) < LARGEST
