"""Fixtures that several test modules share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Compiled kernels load on first use, and test machines are busy: a slow example is no failure.
# The same examples in every run, so that a change is judged by what it changed; look for new ones
# with HYPOTHESIS_PROFILE=explore, and keep those that fail as an @example.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Give parallel workers, and every process that they start, one thread each.

    OpenMP's threads wait for each other by turning in circles: where there are more of them than
    cores, scikit-learn's gradient boosting takes a minute in place of a second.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that no worker is alone with one of them at the end."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of reports blank, which are drawn all the same: pixels take the time."""
    monkeypatch.setattr("tabtext.reports.page._png", lambda axes: "")


@pytest.fixture(scope="session")
def larger_data() -> Path:
    """Folder of the larger public data sets, or a skip with the reason."""
    folder = os.environ.get("TABTEXT_DATA")
    if not folder:
        pytest.skip("larger data sets: set TABTEXT_DATA to their folder")
    return Path(folder)
