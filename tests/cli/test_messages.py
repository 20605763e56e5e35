"""What a person sees when something is wrong, and how soon help answers."""

import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

import pytest

from tabtext.cli import main
from tests.cli.conftest import run_well


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "none.csv", "--target", "y", "--out", "m"], "no such file: none.csv"),
        (["inspect", "none"], "no saved model at none"),
        (["predict", "none", "none.csv", "--out", "p.csv"], "no saved model"),
        (["lm", "train", "none.csv", "--out", "m"], "no such file: none.csv"),
        (["lm", "evaluate", "none", "none.csv"], "no saved model at none"),
        (["lm", "generate", "none"], "no saved model at none"),
        (["sentiment", "fit", "none.csv", "--target", "y", "--out", "m"], "no such file: none.csv"),
        (["sentiment", "explain", "none", "A joy."], "no saved model at none"),
    ],
)
def test_errors_are_one_line_without_a_traceback(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["tabtext", *arguments])

    with pytest.raises(SystemExit) as stopped:
        main()

    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1


@pytest.mark.parametrize("group", [(), ("lm",), ("sentiment",)])
def test_short_help_works_for_every_group(group: tuple[str, ...]) -> None:
    assert "Usage" in run_well(*group, "-h").stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", ["tabtext", "tabtext.cli"])
def test_help_answers_within_half_a_second(module: str) -> None:
    seconds = []
    for _ in range(5):
        before = getrusage(RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", module, "--help"], check=True, stdout=-3)
        after = getrusage(RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)

    # The processor's seconds, because test machines are busy; twice the promise, for slow ones.
    assert median(seconds) < 1.0
