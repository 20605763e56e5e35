"""A study: where trials are recorded, in memory or in a file that several processes share.

The file is an SQLite database of Optuna's. What must not happen in two processes at the same time
(opening it, taking a trial) happens under a lock beside it, ``PATH.lock``, because Optuna's own
queue can give one trial to two processes where the database is SQLite.
"""

import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tabtext.errors import FileFormatError, ParameterError, SaveError
from tabtext.tuning.fingerprint import require_same

if TYPE_CHECKING:
    import optuna

__all__ = ["experimental", "locked", "new_sampler", "open_study", "quiet", "require_optuna"]

_NAME = "tabtext"
_FINGERPRINT = "tabtext:made_with"
_SECONDS_FOR_LOCK = 600.0
_RANDOM_TRIALS = 8  # before the sampler has enough to learn from
_TRIALS_TO_COMPARE = 3  # with fewer, a median says little


def require_optuna() -> None:
    """Raise ``ParameterError`` with the remedy if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ParameterError(
            f"a search needs a package that is not installed ({error}); "
            "install it with: pip install 'tabtext[tune]'"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from telling what tabtext tells in its own words."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def experimental() -> Iterator[None]:
    """Use what Optuna 4 calls experimental, and Optuna 5 takes for its default."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Hold the lock of a study's file; a study in memory needs none.

    It is SQLite's own lock on an empty file: it works on every system, and ends with the process
    that holds it, however that ends.
    """
    if path is None:
        yield
        return
    connection = sqlite3.connect(
        path.with_name(f"{path.name}.lock"), timeout=_SECONDS_FOR_LOCK, isolation_level=None
    )
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def open_study(
    path: Path | None, made_with: Mapping[str, Any], *, greater_is_better: bool
) -> "optuna.Study":
    """Open a study, or begin it where there is none.

    Parameters
    ----------
    path : Path or None
        The file; None for a study in memory.
    made_with : mapping
        The ``fingerprint`` of this search.
    greater_is_better : bool
        Which way the score goes.

    Raises
    ------
    ParameterError
        If the study was made with other data or another estimator.
    FileFormatError
        If the file is no study.
    SaveError
        If the file cannot be written.
    """
    if path is not None:
        _require_place(path)
    try:
        with locked(path):
            study = _create_or_load(path, greater_is_better=greater_is_better)
            if _FINGERPRINT not in study.user_attrs:
                study.set_user_attr(_FINGERPRINT, dict(made_with))
    except sqlite3.Error as error:  # of the lock
        raise SaveError(f"cannot lock the study {path}: {error}") from error
    require_same(study.user_attrs[_FINGERPRINT], made_with, str(path))
    return study


def new_sampler(seed: int, number: int) -> "optuna.samplers.BaseSampler":
    """Return what draws the parameters of a trial.

    Its seed depends on the trial's number, so that processes that share a study draw different
    ones, and a search that was interrupted goes on as if it had not been.

    References
    ----------
    Watanabe, S. (2023), "Tree-Structured Parzen Estimator: Understanding Its Algorithm Components
    and Their Roles for Better Empirical Performance".
    """
    import optuna

    own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with experimental():
        return optuna.samplers.TPESampler(
            seed=own_seed, n_startup_trials=_RANDOM_TRIALS, multivariate=True, constant_liar=True
        )


def _create_or_load(path: Path | None, *, greater_is_better: bool) -> "optuna.Study":
    import optuna

    settings: dict[str, Any] = {
        "direction": "maximize" if greater_is_better else "minimize",
        "pruner": optuna.pruners.MedianPruner(
            n_startup_trials=_TRIALS_TO_COMPARE, n_min_trials=_TRIALS_TO_COMPARE
        ),
    }
    if path is None:
        return optuna.create_study(**settings)
    from sqlalchemy.exc import DatabaseError

    try:
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path.resolve()}",
            engine_kwargs={"connect_args": {"timeout": _SECONDS_FOR_LOCK}},
        )
        return optuna.create_study(
            **settings, storage=storage, study_name=_NAME, load_if_exists=True
        )
    except (DatabaseError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise FileFormatError(
            f"{path} cannot be used as a study ({reason}); name a file that does not exist, or one "
            "that this command made"
        ) from error


def _require_place(path: Path) -> None:
    if path.is_dir():
        raise SaveError(f"the study {path} is a directory; name a file, such as {path}/study.db")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(f"cannot write the study {path}: {error}") from error
