"""The error vocabulary."""

import pytest

from tabtext import errors
from tabtext.errors import TabTextError, did_you_mean

BUILT_IN = {
    "ArtifactError": ValueError,
    "ColumnTypeError": TypeError,
    "DataError": ValueError,
    "FileFormatError": ValueError,
    "MissingFileError": FileNotFoundError,
    "ParameterError": ValueError,
    "SaveError": OSError,
    "UnknownColumnError": ValueError,
}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_every_error_is_ours_and_a_built_in_one(name: str, built_in: type[Exception]) -> None:
    error = getattr(errors, name)

    assert issubclass(error, TabTextError)
    assert issubclass(error, built_in)


def test_no_error_is_forgotten_here() -> None:
    classes = {n for n in errors.__all__ if n.endswith("Error")} - {"TabTextError"}

    assert classes == set(BUILT_IN)


def test_far_names_are_not_suggested() -> None:
    assert did_you_mean("Weather", ["Store", "Date"]) == ""
