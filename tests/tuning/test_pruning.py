"""The callback alone: an estimator whose fit is ended by it."""

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from tabtext.training.callbacks import Monitor
from tabtext.tuning.pruning import Pruning
from tests.tuning.conftest import small


class Always(optuna.pruners.BasePruner):
    """Prunes whatever it sees."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return True


def new_trial() -> optuna.Trial:
    return optuna.create_study(pruner=Always()).ask()


def monitor() -> Monitor:
    return Monitor("rmse", greater_is_better=False)


def test_the_first_quarter_and_the_last_epoch_are_not_judged(frame: pd.DataFrame) -> None:
    eight, one = new_trial(), new_trial()

    with pytest.raises(optuna.TrialPruned, match=r"rmse .* after 3 epochs"):
        small().set_params(epochs=8).fit(
            frame, target="Sales", callbacks=[Pruning(eight, monitor())]
        )
    model = small().set_params(epochs=1)
    model.fit(frame, target="Sales", callbacks=[Pruning(one, monitor())])

    values = eight.study.get_trials()[0].intermediate_values
    assert list(values) == [1, 2, 3]
    (value,) = one.study.get_trials()[0].intermediate_values.values()
    assert value == model.card_["metrics"]["rmse"]


def test_a_pruned_estimator_is_not_fitted_and_can_be_fitted_again(frame: pd.DataFrame) -> None:
    model = small().set_params(epochs=4).fit(frame, target="Sales")
    expected = model.predict(frame)

    with pytest.raises(optuna.TrialPruned):
        model.fit(frame, target="Sales", callbacks=[Pruning(new_trial(), monitor())])

    with pytest.raises(NotFittedError):
        model.predict(frame)
    np.testing.assert_array_equal(model.fit(frame, target="Sales").predict(frame), expected)


def test_only_the_first_of_several_networks_is_reported(frame: pd.DataFrame) -> None:
    study = optuna.create_study(pruner=optuna.pruners.NopPruner())
    watching = Pruning(study.ask(), monitor())

    for epochs in (2, 4):  # as an estimator does that trains two networks
        small().set_params(epochs=epochs).fit(frame, target="Sales", callbacks=[watching])

    assert list(study.get_trials()[0].intermediate_values) == [1, 2]
