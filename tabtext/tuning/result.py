"""What a search found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from tabtext.errors import DataError
from tabtext.estimators.plain_values import given_parameters
from tabtext.estimators.training_parameters import TrainingParameters
from tabtext.tuning.study import experimental
from tabtext.tuning.trials import OWN

if TYPE_CHECKING:
    import optuna
    import pandas as pd

__all__ = ["TuningResult", "new_result", "state_of"]

_TRIALS_FOR_IMPORTANCE = 8


@dataclass(frozen=True)
class TuningResult:
    """The best parameters, their score, and all trials.

    The score is that of the validation rows, which chose both the parameters and the epoch: on rows
    that no trial has seen the model will do a little less well.

    Parameters
    ----------
    monitor : str
        What the score is: ``"valid_loss"`` or a metric.
    greater_is_better : bool
        Which way is up.
    best_parameters : dict of str to value
        For ``estimator.set_params``; empty where the estimator's own settings were best.
    best_score : float
        The monitored value of the best trial's best epoch.
    best_trial : int
        Its number; trial 0 has the estimator's own settings.
    trials : DataFrame
        Indexed by the trial's number: ``state`` (complete, pruned, diverged, failed, running),
        ``score``, ``epoch`` (the best one), ``seconds``, and a column for every parameter of the
        search.
    importances : dict of str to float or None
        Share of each parameter in what tells good trials from all, most important first, by
        PED-ANOVA; None with fewer than eight complete trials.
    estimator : estimator
        With the best parameters, not fitted.
    others_finish : bool
        Whether other processes ran the last trials of a study that several share: one of them
        then fits the best model.

    References
    ----------
    Watanabe, S., Bansal, A. and Hutter, F. (2023), "PED-ANOVA: Efficiently Quantifying
    Hyperparameter Importance in Arbitrary Subspaces".

    Examples
    --------
    >>> import pandas as pd
    >>> from tabtext import TabularRegressor
    >>> result = TuningResult(
    ...     monitor="rmse",
    ...     greater_is_better=False,
    ...     best_parameters={"dropout": 0.1},
    ...     best_score=12.5,
    ...     best_trial=3,
    ...     trials=pd.DataFrame({"state": ["complete"] * 4}),
    ...     importances=None,
    ...     estimator=TabularRegressor(dropout=0.1),
    ... )
    >>> result.estimator.dropout
    0.1
    """

    monitor: str
    greater_is_better: bool
    best_parameters: dict[str, Any]
    best_score: float
    best_trial: int
    trials: "pd.DataFrame"
    importances: dict[str, float] | None
    estimator: Any
    others_finish: bool = False
    _fit: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def best_estimator(self) -> Any:
        """Return an estimator fitted with the best parameters, on the rows of the trials.

        It has the seed and the split of its trial, and so, on the same CPU, the same weights bit
        for bit. Validation rows choose its epoch, as they did there; it does not learn from them.
        Progress is shown where ``verbose`` says so.
        """
        return clone(self.estimator).fit(**self._fit)


def new_result(
    study: "optuna.Study",
    estimator: TrainingParameters,
    fit: Mapping[str, Any],
    *,
    others_finish: bool,
) -> TuningResult:
    """Read the result of a study.

    Raises
    ------
    DataError
        If no trial came to its end.
    """
    complete = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    if not complete:
        raise DataError(
            "no trial came to its end"
            + "".join(f"; trial {t.number} {state_of(t)}" for t in study.get_trials()[:5])
            + ". Allow more trials or more time, or a lower learning_rate"
        )
    best = study.best_trial
    parameters = given_parameters(best.user_attrs["parameters"])
    return TuningResult(
        monitor=estimator.monitor,
        greater_is_better=study.direction.name == "MAXIMIZE",
        best_parameters=parameters,
        best_score=_score_of(best),
        best_trial=best.number,
        trials=_frame(study),
        importances=_importances(study),
        estimator=clone(estimator).set_params(**parameters),
        others_finish=others_finish,
        _fit=fit,
    )


def _score_of(trial: "optuna.trial.FrozenTrial") -> float:
    assert trial.value is not None  # it is complete
    return trial.value


def _frame(study: "optuna.Study") -> "pd.DataFrame":
    import pandas as pd

    rows = [
        {
            "state": state_of(trial),
            "score": trial.value,
            "epoch": trial.user_attrs.get("best_epoch"),
            "seconds": None if trial.duration is None else trial.duration.total_seconds(),
            **trial.params,
        }
        for trial in study.get_trials(deepcopy=False)
    ]
    frame = pd.DataFrame(rows)
    frame.index.name = "trial"
    return frame.astype({"score": float, "seconds": float, "epoch": "Int64"})


def state_of(trial: "optuna.trial.FrozenTrial") -> str:
    """Return how a trial ended, or that it has not."""
    return "diverged" if "diverged" in trial.user_attrs else str(trial.state.name).lower()


def _importances(study: "optuna.Study") -> dict[str, float] | None:
    """Importances of the parameters that all trials of the search have."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    complete = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    drawn = [set(trial.params) for trial in complete if OWN not in trial.user_attrs]
    names = sorted(set.intersection(*drawn)) if drawn else []
    # The estimator's own settings may lie outside of the space, and then have fewer.
    trials = [trial for trial in complete if set(names) <= set(trial.params)]
    if not names or len(trials) < _TRIALS_FOR_IMPORTANCE:
        return None
    compared = optuna.create_study(direction=study.direction)
    compared.add_trials(trials)
    with experimental():
        evaluator = PedAnovaImportanceEvaluator()
    found = get_param_importances(compared, evaluator=evaluator, params=names)
    return {name: float(share) for name, share in found.items()}
