"""The search itself: read the rows once, take trials, fit each, tell what was best."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from tabtext.errors import (
    DataError,
    DivergenceError,
    ParameterError,
    TabTextWarning,
    did_you_mean,
)
from tabtext.estimators.inputs import Sample, drop_missing_targets, read_sample
from tabtext.estimators.parameter_checks import require_whole
from tabtext.estimators.plain_values import plain
from tabtext.estimators.splitting import split_sample
from tabtext.estimators.supervised import SupervisedEstimator
from tabtext.estimators.tabular_parameters import TabularParameters
from tabtext.tables import as_table
from tabtext.tabular.schema import infer_schema
from tabtext.training.callbacks import Monitor
from tabtext.training.metrics import METRICS
from tabtext.training.options import duration
from tabtext.tuning.fingerprint import fingerprint
from tabtext.tuning.progress import say_ended
from tabtext.tuning.pruning import Pruning
from tabtext.tuning.result import TuningResult, new_result
from tabtext.tuning.search_space import (
    SearchSpace,
    TabularSpace,
    checked,
    note_own_values,
    own_values,
)
from tabtext.tuning.study import open_study, quiet, require_optuna
from tabtext.tuning.trials import OWN, Trials

if TYPE_CHECKING:
    import optuna

__all__ = ["require_one_network", "tune"]


def tune(
    estimator: SupervisedEstimator[Any],
    X: Any,  # noqa: N803 - scikit-learn's name
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    sample_weight: Any = None,
    validation: Any = None,
    n_trials: int = 30,
    study: str | Path | None = None,
    search_space: SearchSpace | None = None,
    max_time: float | str | None = None,
) -> TuningResult:
    """Search for the parameters with which an estimator does best on the validation rows.

    The first trial has the estimator's own settings, so that no search ends with anything worse.
    Some trials at random follow, then those that a tree-structured Parzen estimator proposes. All
    have the estimator's seed and so the same split. After a quarter of its epochs a trial ends
    early when its best epoch so far is worse than the median of the complete trials at that point.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
        Its parameters are those of every trial, unless the search sets them; its ``monitor`` is the
        score. It is not changed. Other estimators need a ``search_space``.
    X, y, target, sample_weight, validation
        As for ``fit``. Without ``validation`` the estimator sets ``validation_fraction`` of the
        rows aside, the same ones in every trial.
    n_trials : int
        Trials in total, those that ended early included.
    study : path, optional
        SQLite file for the trials. The same call goes on with it, in a later process or in several
        at the same time, until there are ``n_trials`` in total; a trial whose process was killed is
        given up after a minute and replaced. None: in memory.
    search_space : callable, optional
        Takes an Optuna trial and returns parameters of the estimator; default: the table of
        ``tabtext.tuning.search_space``.
    max_time : float, str or None
        Seconds, or text such as ``"1h"``: no trial begins that would not be over by then, going by
        the median of those before. The first one always runs.

    Returns
    -------
    TuningResult
        ``result.best_parameters``, ``result.trials``, ``result.best_estimator()`` ...

    Raises
    ------
    ParameterError
        If an argument is outside of what it may be, there are no validation rows, Optuna is not
        installed, or the study was made with other data or another estimator.
    DataError
        If there is nothing to learn from, or no trial came to its end.
    FileFormatError, SaveError
        If ``study`` names another kind of file, or cannot be written.

    Examples
    --------
    >>> from tabtext import TabularRegressor, datasets
    >>> flights = datasets.load_flights("test").dropna(subset="arr_delay")[:4000]
    >>> model = TabularRegressor(epochs=1, n_members=2, verbose=0)
    >>> result = tune(model, flights, target="arr_delay", n_trials=2)
    >>> result.trials["state"].tolist()
    ['complete', 'complete']
    >>> model = result.best_estimator()
    """
    _check(estimator, n_trials=n_trials, search_space=search_space, validation=validation)
    seconds = float("inf") if max_time is None else duration(max_time)
    estimator.check_parameters()
    require_one_network(estimator)
    require_optuna()
    if isinstance(estimator, TabularParameters):  # a file is read once, not in every trial
        X, validation = _read(X), _read(validation)  # noqa: N806
    fit = {
        "X": X,
        "y": y,
        "target": target,
        "sample_weight": sample_weight,
        "validation": validation,
    }
    given = read_sample(estimator._as_input(X), y, target=target, sample_weight=sample_weight)
    sample = drop_missing_targets(given, estimator.missing_target)
    own = own_values(estimator, _n_train(estimator, sample, validation))
    work = _Work(
        estimator, search_space or _default_space(estimator, sample), own, fit, _monitor(estimator)
    )
    path = None if study is None else Path(study)
    made_with = fingerprint(estimator, given, _validation_sample(estimator, sample, validation))
    with quiet():
        opened = open_study(path, made_with, greater_is_better=work.monitor.greater_is_better)
        trials = Trials(opened, path, n_trials, estimator.random_state, own, seconds)
        for trial in trials:
            trials.run(trial, work)
            say_ended(opened, trial.number, score=estimator.monitor, verbose=estimator.verbose)
        return new_result(opened, estimator, fit, others_finish=trials.waited)


@dataclass(frozen=True)
class _Work:
    """What a trial does: fit a copy of the estimator, and return its score."""

    estimator: SupervisedEstimator[Any]
    space: SearchSpace
    own: Mapping[str, Any]
    fit: Mapping[str, Any]
    monitor: Monitor

    def __call__(self, trial: "optuna.Trial") -> float:
        own = OWN in trial.user_attrs
        parameters: dict[str, Any] = {}
        if own:
            note_own_values(self.space, trial, self.own)
        else:
            parameters = checked(self.space(trial), self.estimator)
        trial.set_user_attr("parameters", plain(parameters))
        model = clone(self.estimator).set_params(**{**parameters, "verbose": 0})
        model.fit(**self.fit, callbacks=[Pruning(trial, self.monitor)])
        trial.set_user_attr("best_epoch", model.card_["recipe"].get("best_epoch"))
        score = self._score(model)
        if isnan(score):
            what = f"{self.monitor.name} is not a number on the validation rows"
            raise DataError(what) if own else DivergenceError(what)
        return score

    def _score(self, model: SupervisedEstimator[Any]) -> float:
        measured = model.card_["metrics"]
        name = "loss" if self.monitor.name == "valid_loss" else self.monitor.name
        if name not in measured:
            raise ParameterError(
                f"monitor={self.monitor.name!r} is not known of the whole model, only "
                f"{', '.join(measured)}; set the estimator's monitor to one of these"
            )
        return float(measured[name])


def _check(
    estimator: object, *, n_trials: int, search_space: SearchSpace | None, validation: Any
) -> None:
    """Raise ``ParameterError`` for what can be told before any data is read."""
    if not isinstance(estimator, SupervisedEstimator):
        raise ParameterError(
            f"a search needs an estimator with a target, such as TabularRegressor(), not "
            f"{estimator if isinstance(estimator, type) else type(estimator).__name__}"
        )
    require_whole("n_trials", n_trials, smallest=1)
    if search_space is None and not isinstance(estimator, TabularParameters):
        raise ParameterError(
            f"there is no search space for {type(estimator).__name__}; give search_space, a "
            "function that takes a trial and returns parameters"
        )
    if search_space is not None and not callable(search_space):
        raise ParameterError(f"search_space={search_space!r} is no function of a trial")
    if validation is None and estimator.validation_fraction == 0:
        raise ParameterError(
            "a search is judged by validation rows; give validation, or a validation_fraction "
            "above 0"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ParameterError(
            "torchrun's processes train one model together; to share a search, start it several "
            "times without torchrun, with the same study"
        )


def require_one_network(estimator: SupervisedEstimator[Any]) -> None:
    """Raise ``ParameterError`` for folds, whose networks no trial could be pruned by.

    Parameters
    ----------
    estimator : estimator with a target
        What is to be searched.
    """
    if isinstance(estimator, TabularParameters) and estimator.count_networks() > 1:
        raise ParameterError(
            f"a trial fits one network, and the estimator has {estimator.count_networks()} "
            f"(n_folds={estimator.n_folds!r}, preset={estimator.preset!r}); search with the preset "
            "'fast' or 'default', or n_folds=1, and give what was found to as many as you like"
        )


def _monitor(estimator: SupervisedEstimator[Any]) -> Monitor:
    """What the study calls the score, and which way is up."""
    ways = {m.name: m.greater_is_better for metrics in METRICS.values() for m in metrics}
    ways["valid_loss"] = False
    if estimator.monitor not in ways:
        raise ParameterError(
            f"monitor={estimator.monitor!r} is not measured{did_you_mean(estimator.monitor, ways)}."
            f" Use one of: {', '.join(ways)}"
        )
    return Monitor(estimator.monitor, greater_is_better=ways[estimator.monitor])


def _read(data: Any) -> Any:
    """A file's rows; anything else as it is."""
    return as_table(data) if isinstance(data, str | os.PathLike) else data


def _n_train(estimator: SupervisedEstimator[Any], sample: Sample, validation: Any) -> int:
    """How many rows a trial learns from, before pruning."""
    drawn = 0.0 if validation is not None else estimator.validation_fraction
    return len(sample) - ceil(drawn * len(sample))


def _validation_sample(
    estimator: SupervisedEstimator[Any], sample: Sample, validation: Any
) -> Sample | None:
    """The validation rows that were given."""
    if validation is None:
        return None
    rows = estimator._as_validation(validation)
    how = estimator.missing_target
    return split_sample(sample, rows, fraction=0, classes=None, missing_target=how, seed=0)[1]


def _default_space(estimator: SupervisedEstimator[Any], sample: Sample) -> SearchSpace:
    """The space of a tabular estimator, for the roles of its columns."""
    assert isinstance(estimator, TabularParameters)  # checked at the door
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabTextWarning)  # the first trial gives the same ones
        schema = infer_schema(
            sample.table,
            targets=sample.targets,
            weight=sample.weight_column,
            roles=estimator.roles,
            exclude=tuple(estimator.exclude),
        )
    return TabularSpace.of(estimator, schema)
