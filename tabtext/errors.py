"""Every error and warning that tabtext raises on purpose.

Each error derives from ``TabTextError`` *and* from the built-in that a caller expects, so that
``except ValueError`` keeps working. Messages say what happened, where (column, file, value), and
what to do about it. This module imports nothing else of the library.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ArtifactError",
    "ColumnTypeError",
    "DataError",
    "DivergenceError",
    "FileFormatError",
    "MissingFileError",
    "ParameterError",
    "SaveError",
    "TabTextError",
    "TabTextWarning",
    "TrainingInterrupted",
    "UnknownColumnError",
    "did_you_mean",
]


class TabTextError(Exception):
    """Base class of all errors that tabtext raises on purpose."""


class DataError(TabTextError, ValueError):
    """The data has the right type but cannot be used: empty, contradictory, all missing."""


class DivergenceError(DataError, FloatingPointError):
    """The training loss became NaN or infinite; the model has its last good weights."""


class UnknownColumnError(DataError):
    """A column that is needed is not in the table."""


class ColumnTypeError(TabTextError, TypeError):
    """A column, or a whole input, has a type that cannot be used or differs from the fit."""


class ParameterError(TabTextError, ValueError):
    """An argument is outside the values that it may take."""


class FileFormatError(DataError):
    """A file exists but its content is not what its name promises."""


class MissingFileError(TabTextError, FileNotFoundError):
    """A file or a directory that is needed does not exist."""


class ArtifactError(DataError):
    """A saved model is damaged, incomplete, or written by a newer version."""


class SaveError(TabTextError, OSError):
    """Writing failed (disk full, no permission); nothing half-written is left behind."""


class TrainingInterrupted(TabTextError, KeyboardInterrupt):  # noqa: N818 - not an error
    """A signal ended training after a checkpoint was saved; the message says how to resume.

    Parameters
    ----------
    message : str
        Where the checkpoint is, and the command or call that continues.
    signal_number : int
        The signal, ``signal.SIGINT`` or ``signal.SIGTERM``.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class TabTextWarning(UserWarning):
    """Something in the data deserves a look, but work goes on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'Store'?"`` for the closest known name, or ``""``.

    Examples
    --------
    >>> did_you_mean("Stroe", ["Store", "Date"])
    "; did you mean 'Store'?"
    >>> did_you_mean("Weather", ["Store", "Date"])
    ''
    """
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
