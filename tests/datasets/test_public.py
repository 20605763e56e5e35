"""Larger public sets: counts and splits as published, where the data is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tabtext.datasets import (
    Splits,
    load_adult,
    load_airbnb,
    load_california,
    load_diamonds,
    load_otto,
)
from tabtext.errors import MissingFileError

LOADERS = [load_adult, load_airbnb, load_california, load_diamonds, load_otto]


@pytest.mark.parametrize("load", LOADERS)
def test_a_folder_that_is_not_there_is_named(load: Callable[..., Splits], tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="none"):
        load(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "rows"),
    [
        (load_adult, 48_842),
        (load_california, 20_640),
        (load_diamonds, 53_940),
        (load_otto, 61_878),
        (load_airbnb, 7_255),
    ],
)
def test_the_parts_hold_all_rows_and_the_target(
    larger_data: Path, load: Callable[..., Splits], rows: int
) -> None:
    splits = load(larger_data)

    assert sum(len(part) for part in splits) == rows
    for part in splits:
        assert part[splits.target].notna().all()
        assert list(part) == list(splits.train)
