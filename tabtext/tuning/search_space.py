"""What a search tries: the parameters of tabular estimators that are worth a trial, or your own.

| name              | from, to        | steps       | sets              |
|-------------------|-----------------|-------------|-------------------|
| learning_rate     | 0.0005, 0.05    | logarithmic | learning_rate     |
| weight_decay      | 0.0001, 0.3     | logarithmic | weight_decay      |
| hidden_width      | 64, 512         | 64          | hidden            |
| n_hidden_layers   | 1, 3            | 1           | hidden            |
| dropout           | 0, 0.5          | 0.05        | dropout           |
| n_bins            | 16, 256         | logarithmic | n_bins            |
| numeric_width     | 4, 32           | 4           | numeric_width     |
| embedding_dropout | 0, 0.3          | 0.05        | embedding_dropout |

Each hidden layer has half the width of the one before; the plain network's may be up to 1,024 wide.
Bins and vectors of numbers are tried where there are numbers that have them, dropout of embeddings
where there are categories or dates.

The defaults lie well inside, or at the end where the default is no dropout. Left out on purpose:
the number of members, which costs time in proportion; epochs, because the best one is kept in any
case; the batch size, for which the learning rate stands in at no cost of time; and all of the
preprocessing, so that every trial sees the same numbers.

A space of your own is a function of an Optuna trial that returns parameters of the estimator:

    def space(trial):
        return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabtext.errors import ParameterError, did_you_mean
from tabtext.estimators.plain_values import plain
from tabtext.estimators.tabular_parameters import TabularParameters
from tabtext.estimators.training_parameters import TrainingParameters
from tabtext.tabular.schema import Role, Schema

if TYPE_CHECKING:
    import optuna

__all__ = ["SearchSpace", "TabularSpace", "checked", "note_own_values", "own_values"]

SearchSpace = Callable[["optuna.Trial"], Mapping[str, Any]]
"""A trial in, parameters of the estimator out."""

# What decides which rows are judged, and by what: trials that differ in it cannot be compared.
_SAME_FOR_ALL = (
    "random_state",
    "validation_fraction",
    "monitor",
    "missing_target",
    "n_folds",
    "preset",
)
# So does what the validation loss is made of; metrics are in the user's units in any case.
_SHAPE_THE_LOSS = ("loss", "quantile", "target_transform", "label_smoothing")


@dataclass(frozen=True)
class TabularSpace:
    """The space of the table above, for one estimator and its columns.

    Parameters
    ----------
    largest_width : int
        Of the first hidden layer.
    has_bins, has_vectors, has_categories : bool
        Whether numbers become piecewise-linear, whether they become vectors at all, and whether
        there are embeddings of categories.
    """

    largest_width: int
    has_bins: bool
    has_vectors: bool
    has_categories: bool

    @classmethod
    def of(cls, estimator: TabularParameters, schema: Schema) -> "TabularSpace":
        """Return the space for an estimator and the roles of its columns."""
        roles = {column.role for column in schema.columns}
        numbers = bool(roles & {Role.CONTINUOUS, Role.DATETIME})
        embedding = estimator.numeric_embedding if numbers else "none"
        return cls(
            largest_width=1024 if estimator.network == "mlp" else 512,
            has_bins=embedding == "piecewise_linear",
            has_vectors=embedding != "none",
            has_categories=bool(roles & {Role.CATEGORICAL, Role.DATETIME}),
        )

    def __call__(self, trial: "optuna.Trial") -> dict[str, Any]:
        """Return the parameters of a trial."""
        found: dict[str, Any] = {
            "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-4, 0.3, log=True),
            "hidden": halving(
                trial.suggest_int("hidden_width", 64, self.largest_width, step=64),
                trial.suggest_int("n_hidden_layers", 1, 3),
            ),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5, step=0.05),
        }
        if self.has_bins:
            found["n_bins"] = trial.suggest_int("n_bins", 16, 256, log=True)
        if self.has_vectors:
            found["numeric_width"] = trial.suggest_int("numeric_width", 4, 32, step=4)
        if self.has_categories:
            found["embedding_dropout"] = trial.suggest_float(
                "embedding_dropout", 0.0, 0.3, step=0.05
            )
        return found


def halving(width: int, n_layers: int) -> tuple[int, ...]:
    """Return the widths of hidden layers, each half of the one before.

    Examples
    --------
    >>> halving(256, 3)
    (256, 128, 64)
    """
    return tuple(width >> layer for layer in range(n_layers))


def own_values(estimator: TrainingParameters, n_rows: int) -> dict[str, Any]:
    """Return what an estimator's own settings are called in a search: plain values by name.

    Parameters
    ----------
    estimator : TrainingParameters
        The estimator; what it leaves to ``"auto"`` is looked up.
    n_rows : int
        Training rows.

    Examples
    --------
    >>> from tabtext import TabularRegressor
    >>> own = own_values(TabularRegressor(), 10_000)
    >>> own["hidden_width"], own["n_hidden_layers"], own["dropout"]
    (256, 2, 0.0)
    """
    values = dict(estimator.get_params(deep=False))
    if isinstance(estimator, TabularParameters):
        shape = estimator.network_options(n_rows)
        hidden = tuple(int(width) for width in shape.hidden)
        values |= {name: getattr(shape, name) for name in ("dropout", "n_members", "numeric_width")}
        values["learning_rate"] = estimator.training_options(n_rows).learning_rate
        if hidden and hidden == halving(hidden[0], len(hidden)):
            values |= {"hidden_width": hidden[0], "n_hidden_layers": len(hidden)}
    values = {name: plain(value) for name, value in values.items()}
    return {name: value for name, value in values.items() if isinstance(value, int | float | str)}


def checked(found: Any, estimator: TrainingParameters) -> dict[str, Any]:
    """Return what a space found as parameters that the estimator has.

    Raises
    ------
    ParameterError
        If it is no mapping, or a name is no parameter or makes trials incomparable.
    """
    if not isinstance(found, Mapping):
        raise ParameterError(
            f"search_space returned {found!r}; it must return a mapping of parameters, such as "
            "{'learning_rate': trial.suggest_float('learning_rate', 1e-4, 1e-2, log=True)}"
        )
    known = estimator.get_params(deep=False)
    for name in found:
        if name not in known:
            raise ParameterError(
                f"search_space returned {name!r}, which is no parameter of "
                f"{type(estimator).__name__}{did_you_mean(str(name), known)}"
            )
        if name in _SAME_FOR_ALL:
            raise ParameterError(
                f"search_space returned {name!r}, which must be the same in all trials, or their "
                "scores cannot be compared; set it in the estimator"
            )
        if name in _SHAPE_THE_LOSS and estimator.monitor == "valid_loss":
            raise ParameterError(
                f"search_space returned {name!r}, which changes what the validation loss means; "
                "set the estimator's monitor to a metric, such as 'rmse' or 'log_loss'"
            )
    return dict(found)


def note_own_values(space: SearchSpace, trial: "optuna.Trial", own: Mapping[str, Any]) -> None:
    """Let a trial record the estimator's own settings, as far as the space can express them.

    The search learns from it where the defaults lie. What is outside of a range is not recorded,
    and what the space returns has no meaning here.
    """
    space(_OwnSettings(trial, own))  # type: ignore[arg-type]  # what a space uses of a trial


class _OwnSettings:
    """A trial whose values are not drawn but known."""

    def __init__(self, trial: "optuna.Trial", own: Mapping[str, Any]) -> None:
        self._trial = trial
        self._own = own

    def suggest_float(self, name: str, low: float, high: float, **options: Any) -> float:
        if self._is_within(name, low, high, options.get("step")):
            return self._trial.suggest_float(name, low, high, **options)
        return low

    def suggest_int(self, name: str, low: int, high: int, **options: Any) -> int:
        whole = float(self._own[name]).is_integer() if self._is_number(name) else False
        if whole and self._is_within(name, low, high, options.get("step")):
            return self._trial.suggest_int(name, low, high, **options)
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name in self._own and self._own[name] in choices:
            return self._trial.suggest_categorical(name, choices)
        return choices[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def _is_within(self, name: str, low: float, high: float, step: float | None) -> bool:
        if not self._is_number(name) or not low <= self._own[name] <= high:
            return False
        steps = (self._own[name] - low) / step if step else 0.0
        return bool(abs(steps - round(steps)) < 1e-8)

    def _is_number(self, name: str) -> bool:
        value = self._own.get(name)
        return isinstance(value, int | float) and not isinstance(value, bool)
