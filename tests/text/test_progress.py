"""What a person sees of a long preparation."""

import io

import pytest
import rich.console

from tabtext.text import progress
from tabtext.text.progress import no_progress, progress_bar


def test_without_a_terminal_a_line_a_minute_tells_share_and_remaining_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 30.0, 75.0, 110.0, 140.0, 145.0, 300.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))

    with progress_bar() as watch:
        for done in (0, 10, 25, 50):  # at 10, 30, 75 and 110 seconds
            watch("tokenizing", done, 100)
        watch("tokenizing", 75, 100)  # 140
        watch("numbering", 1, None)  # 145
        watch("numbering", 2, None)  # 300

    assert capsys.readouterr().err.splitlines() == [
        "tokenizing  25%  0:03:15 left",
        "tokenizing  75%  0:00:43 left",
        "numbering",
    ]


def test_on_a_terminal_every_step_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = rich.console.Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(rich.console, "Console", lambda **options: terminal)

    with progress_bar() as watch:
        watch("tokenizing", 50, 100)
        watch("tokenizing", 100, 100)
        watch("numbering", 1, 2)

    assert "tokenizing" in screen.getvalue()
    assert "100 %" in screen.getvalue()
    assert " 50 %" in screen.getvalue()


def test_nothing_is_shown_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    no_progress("tokenizing", 1, 2)

    assert capsys.readouterr() == ("", "")
