"""``tabtext report``, and the report beside the model that a fit saved."""

from pathlib import Path

import pandas as pd
import pytest

from tabtext.cli.reports import report_fit
from tests.cli.conftest import run, run_well

QUICK = ("--epochs", "1", "--quiet")

pytestmark = pytest.mark.usefixtures("unrendered")


def test_a_fit_leaves_a_report_of_the_rows_it_set_aside(tables: Path) -> None:
    out = tables / "reported"

    done = run_well("fit", tables / "train.csv", "--target", "Sales", "--out", out, *QUICK)

    html = (out / "report.html").read_text(encoding="utf-8")
    assert f"report: {out / 'report.html'}" in done.output
    assert "Measured on 30 rows: those that the fit set aside at random" in html
    assert "300 rows of the fit" in html


def test_a_fit_with_a_validation_file_is_judged_on_it(tables: Path) -> None:
    out = tables / "validated"

    run_well(
        "fit", tables / "train.csv", "--target", "State", "--valid", tables / "new.parquet",
        "--out", out, *QUICK,
    )  # fmt: skip

    html = (out / "report.html").read_text(encoding="utf-8")
    assert "Measured on 80 rows: new.parquet, which also chose the best epoch" in html


def test_a_fit_with_folds_is_judged_out_of_fold(tables: Path) -> None:
    out = tables / "folds"

    run_well(
        "fit", tables / "train.csv", "--target", "Sales", "--folds", 2, "--out", out, *QUICK
    )  # fmt: skip

    html = (out / "report.html").read_text(encoding="utf-8")
    assert "each predicted by the network that had not learned from it" in html


def test_a_fit_may_leave_no_report(tables: Path) -> None:
    assert not (tables / "Sales" / "report.html").exists()  # fitted with --no-report


def test_fits_of_texts_and_language_models_leave_reports(texts: Path) -> None:
    fit = ("sentiment", "fit", texts / "reviews.csv", "--target", "label", "--language-model")
    run_well(*fit, texts / "lm", "--out", texts / "told", *QUICK)
    run_well("lm", "train", texts / "products.csv", "--out", texts / "written", *QUICK)

    told = (texts / "told" / "report.html").read_text(encoding="utf-8")
    written = (texts / "written" / "report.html").read_text(encoding="utf-8")
    assert "Errors, word by word" in told
    assert "What it writes" in written


def test_a_saved_model_is_reported_on_new_rows(tables: Path) -> None:
    out = tables / "new.html"

    run_well(
        "report", tables / "Sales", tables / "new.parquet", "--out", out, "--train",
        tables / "train.csv", "--unit", "EUR", "--rows", 50, "--learning-rate-finder",
    )  # fmt: skip

    html = out.read_text(encoding="utf-8")
    assert "Measured on 50 rows: new.parquet." in html
    assert "RMSE (EUR)" in html
    assert "Suggested rates:" in html


def test_a_file_that_is_not_there_is_named(tables: Path) -> None:
    done = run("report", tables / "Sales", tables / "nowhere.csv", "--out", tables / "none.html")

    assert "nowhere.csv" in str(done.exception)
    assert not (tables / "none.html").exists()


def test_a_report_that_fails_leaves_the_model(
    tables: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from tabtext import load

    valid = tmp_path / "valid.csv"
    pd.DataFrame({"other": [1]}).to_csv(valid, index=False)
    from tabtext.tables import read_table

    report_fit(
        load(tables / "Sales"), tmp_path, read_table(tables / "train.csv"), valid, wanted=True
    )

    assert "no report was written: column 'Sales' is not in the table" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
