"""The callback that ends a trial which does worse than the others did."""

from typing import TYPE_CHECKING

from tabtext.training.callbacks import Callback, Monitor

if TYPE_CHECKING:
    import optuna

    from tabtext.training.run import Run

__all__ = ["Pruning"]

_WARM_UP = 0.25
"""Share of a training that is not judged: while the rate of one cycle rises, losses say little, and
a rate that is too small looks best."""


class Pruning(Callback):
    """Report the monitored value of every epoch to a study, and end the trial where it says so.

    Where an estimator trains several networks, the first one is judged.

    Parameters
    ----------
    trial : optuna.Trial
        Whose study has the pruner.
    monitor : Monitor
        What is reported.
    """

    def __init__(self, trial: "optuna.Trial", monitor: Monitor) -> None:
        self._trial = trial
        self._monitor = monitor
        self._n_networks = 0

    def fit_started(self, run: "Run") -> None:
        """Count networks."""
        del run
        self._n_networks += 1

    def epoch_ended(self, run: "Run") -> None:
        """Report the epoch.

        Raises
        ------
        optuna.TrialPruned
            If the best epoch so far is worse than the median of other trials at this point.
        """
        import optuna

        value = self._monitor.read(run)
        if value is None or self._n_networks > 1:
            return
        n_epochs = len(run.history.epochs)
        self._trial.report(value, n_epochs)
        is_judged = run.position > _WARM_UP * run.plan.n_steps
        is_over = n_epochs == run.plan.n_epochs or run.stopping is not None
        if is_judged and not is_over and self._trial.should_prune():
            raise optuna.TrialPruned(f"{self._monitor.name} {value:.5g} after {n_epochs} epochs")
