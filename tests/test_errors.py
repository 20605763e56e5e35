"""The error vocabulary."""

import pytest

from tabtext import errors
from tabtext.errors import TabTextError, did_you_mean

BUILT_IN = {
    "ArtifactError": ValueError,
    "ColumnTypeError": TypeError,
    "DataError": ValueError,
    "DivergenceError": FloatingPointError,
    "FileFormatError": ValueError,
    "MissingFileError": FileNotFoundError,
    "ParameterError": ValueError,
    "SaveError": OSError,
    "TrainingInterrupted": KeyboardInterrupt,
    "UnknownColumnError": ValueError,
}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_every_error_is_ours_and_a_built_in_one(name: str, built_in: type[Exception]) -> None:
    error = getattr(errors, name)

    assert issubclass(error, TabTextError)
    assert issubclass(error, built_in)


def test_no_error_is_forgotten_here() -> None:
    classes = set(errors.__all__) - {"TabTextError", "TabTextWarning", "did_you_mean"}

    assert classes == set(BUILT_IN)


def test_far_names_are_not_suggested() -> None:
    assert did_you_mean("Weather", ["Store", "Date"]) == ""
