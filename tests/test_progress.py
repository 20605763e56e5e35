"""What a person sees of long work, and what it costs when nobody looks."""

import io
import re
import threading
from time import perf_counter

import pytest
import rich.console

from tabtext import progress
from tabtext.progress import StatusLine, is_first_process, showing, step, track, watching


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    return clock


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal shows."""
    screen = io.StringIO()
    terminal = rich.console.Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(rich.console, "Console", lambda **options: terminal)
    return screen


# --------------------------------------------------------------------------- without a terminal


def test_without_a_terminal_a_line_a_minute_tells_share_and_remaining_time(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with showing(1), step("tokenizing") as tell:
        for clock.now, done in ((10, 0), (30, 10), (75, 25), (110, 50), (140, 75)):
            tell(done, 100)
    with showing(1), step("numbering") as tell:
        for clock.now, done in ((145, 1), (300, 2)):
            tell(done, None)

    assert capsys.readouterr().err.splitlines() == [
        "tokenizing  25%  0:03:45 left",
        "tokenizing  75%  0:00:47 left",
        "numbering",
    ]


# ------------------------------------------------------------------------------- on a terminal


def test_a_bar_appears_after_a_second_and_is_gone_at_the_end(
    clock: Clock, screen: io.StringIO
) -> None:
    seen = []
    with showing(1):
        for _ in track(range(4), "encoding [b]"):
            seen.append("encoding [b]" in screen.getvalue())
            clock.now += 0.6

    assert seen == [False, False, True, True]  # at 0, 0.6, 1.2 and 1.8 seconds
    assert " 50 %" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")  # the line is wiped


def test_a_bar_is_drawn_at_most_every_fifth_of_a_second(clock: Clock, screen: io.StringIO) -> None:
    with showing(1), step("encoding") as tell:
        for number in range(1, 301):
            clock.now = 0.01 * number
            tell(number, 300)

    shares = re.findall(r"(\d+) %", screen.getvalue())
    assert 9 <= len(set(shares)) <= 12  # of two seconds


def test_what_is_over_within_a_second_is_not_shown(clock: Clock, screen: io.StringIO) -> None:
    with showing(1), step("encoding") as tell:
        for clock.now, done in ((0.2, 50), (0.9, 100)):
            tell(done, 100)

    assert screen.getvalue() == ""


def test_a_line_can_be_written_above_the_bar(clock: Clock, screen: io.StringIO) -> None:
    line = StatusLine(stays=True)
    line.open("training", 0, 10)

    line.write("epoch [1]")
    line.close()

    assert "epoch [1]" in screen.getvalue()
    assert "training" in screen.getvalue()


# ------------------------------------------------------------------------------ who shows what


@pytest.mark.parametrize("verbose", [0, -1])
def test_verbose_0_is_silent(
    clock: Clock, capsys: pytest.CaptureFixture[str], verbose: int
) -> None:
    with showing(verbose), step("tokenizing") as tell:
        clock.now = 100.0
        tell(1, 2)

    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_outside_of_the_doors(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [1, 2]

    assert track(items, "encoding") is items
    with step("tokenizing") as tell:
        clock.now = 100.0
        tell(1, 2)

    assert capsys.readouterr() == ("", "")


def test_the_inner_door_decides() -> None:
    told: list[str] = []
    with watching(lambda what, done, total: told.append(what)), showing(1):
        list(track("ab", "shown"))
        with showing(0):
            list(track("ab", "hidden"))

    assert told == ["shown", "shown"]


def test_of_steps_within_steps_the_outermost_is_shown() -> None:
    told: list[tuple[str, int, int | None]] = []
    with watching(lambda *what: told.append(what)):
        for _ in track("ab", "columns"):
            with showing(1):
                list(track("xyz", "predicting"))
        list(track("x", "after it"))

    assert told == [("columns", 1, 2), ("columns", 2, 2), ("after it", 1, 1)]


def test_a_step_that_fails_is_over() -> None:
    told: list[str] = []
    with watching(lambda what, done, total: told.append(what)):
        with pytest.raises(ZeroDivisionError), step("failing"):
            raise ZeroDivisionError
        list(track("a", "the next"))

    assert told == ["the next"]


def test_a_loop_that_is_left_is_over() -> None:
    told: list[str] = []
    with watching(lambda what, done, total: told.append(what)):
        for _ in track("abc", "left"):
            break
        list(track("a", "the next"))

    assert told == ["the next"]


def test_a_loop_that_a_traceback_keeps_does_not_reach_beyond_its_block() -> None:
    told: list[tuple[str, int, int | None]] = []
    with watching(lambda *what: told.append(what)):
        kept = iter(track(range(3), "broken off"))
        next(kept)
    del kept  # when the next error takes the place of the one that held it

    assert list(track(range(2), "afterwards")) == [0, 1]
    assert told == []


def test_threads_of_the_block_show_nothing() -> None:
    told: list[str] = []
    with watching(lambda what, done, total: told.append(what)):
        thread = threading.Thread(target=lambda: list(track("abc", "in a thread")))
        thread.start()
        thread.join()

    assert told == []


def test_of_several_processes_the_first_one_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")

    assert not is_first_process()
    with showing(1):
        items = [1]
        assert track(items, "encoding") is items

    monkeypatch.setenv("RANK", "0")
    assert is_first_process()


def test_showing_costs_less_than_a_tenth_of_a_millisecond() -> None:
    def seconds() -> float:
        started = perf_counter()
        for _ in range(100):
            with showing(1):
                list(track([0], "predicting"))
        return (perf_counter() - started) / 100

    assert min(seconds() for _ in range(5)) < 1e-4
