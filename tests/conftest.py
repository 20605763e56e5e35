"""Fixtures that several test modules share."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Compiled kernels load on first use, and test machines are busy: a slow example is no failure.
# The same examples in every run, so that a change is judged by what it changed; look for new ones
# with HYPOTHESIS_PROFILE=explore, and keep those that fail as an @example.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session", autouse=True)
def _share_the_cores() -> None:
    """Keep torch to one thread in parallel test workers, which would otherwise fight for cores."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        torch.set_num_threads(1)


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
