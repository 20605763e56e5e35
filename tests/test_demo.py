"""The demo on a few rows: what it prints, writes and leaves usable."""

from pathlib import Path

import pytest

import tabtext
from tabtext import datasets
from tabtext.demo import run_demo


@pytest.mark.slow
def test_the_demo_prints_baselines_and_writes_models_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_demo(tmp_path / "demo", rows=3000)

    printed = capsys.readouterr().out
    for part in ("predict the mean", "predict the majority", "HistGradientBoosting", "tabtext"):
        assert part in printed
    html = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert html.count("<img") >= 11
    assert "keep where arr_delay &lt; 600" in html
    assert "tabtext inspect" in printed

    december = datasets.load_flights("test").dropna(subset="dep_delay")
    delay = tabtext.load(tmp_path / "demo" / "arrival_delay")
    late = tabtext.load(tmp_path / "demo" / "late")
    assert delay.evaluate(december)["r2"] > 0.5
    assert "arr_delay" not in late.feature_names_in_
    for model in (delay, late):
        assert model.card_["rows"]["given"] == 3000
        assert model.card_["rows"]["target_missing"] > 0  # cancelled flights: dropped and counted
    truth = december["arr_delay"].dropna() > 15
    known = december.loc[truth.index]
    assert late.evaluate(known, truth.rename("late"))["roc_auc"] > 0.8
