"""What happened in training: a row per epoch, and curves over steps."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import ceil, isfinite, nan
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Epoch", "History"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows.

    Parameters
    ----------
    train_loss : float
        Mean loss of the steps, in training mode (with dropout).
    valid_loss : float or None
        Loss on the validation rows, where there are any.
    metrics : mapping of str to float
        Metrics on the validation rows.
    learning_rate : float
        At the last step, of the last layer group.
    gradient_norm : float
        Mean norm of the gradient before clipping.
    seconds : float
        Wall time, validation included.
    rows_per_second : float
        Training rows over the wall time without validation.

    Examples
    --------
    >>> epoch = Epoch(0.5, 0.6, {"rmse": 2.0}, 1e-3, 0.7, seconds=1.0, rows_per_second=1000.0)
    >>> epoch.metrics["rmse"]
    2.0
    """

    train_loss: float
    valid_loss: float | None
    metrics: Mapping[str, float]
    learning_rate: float
    gradient_norm: float
    seconds: float
    rows_per_second: float

    def summary(self) -> str:
        """Return losses and metrics on one line.

        Examples
        --------
        >>> Epoch(0.5, 0.6, {"rmse": 2.0}, 1e-3, 0.7, 1.0, 1000.0).summary()
        'train 0.5  valid 0.6  rmse 2'
        """
        values = {"train": self.train_loss, "valid": self.valid_loss, **self.metrics}
        return "  ".join(f"{name} {x:.4g}" for name, x in values.items() if x is not None)


@dataclass
class History:
    """The record of one training run.

    Parameters
    ----------
    epochs : list of Epoch
        A record of each.
    step_learning_rates, step_losses, step_gradient_norms : list of float
        Curves over the steps of all epochs.

    Examples
    --------
    >>> history = History([Epoch(0.5, 0.6, {"rmse": 2.0}, 1e-3, 0.7, 1.0, 1000.0)], best_epoch=0)
    >>> history.to_frame().loc[0, ["train_loss", "valid_loss", "rmse"]].tolist()
    [0.5, 0.6, 2.0]
    >>> History.from_dict(history.to_dict()) == history
    True
    """

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    """The epoch whose weights the model has now, counted from 0."""
    step_learning_rates: list[float] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    step_gradient_norms: list[float] = field(default_factory=list)
    stopped: str | None = None
    """Why training ended before its plan did."""
    steps_per_point: int = 1
    """Over how many steps each entry of the ``step_`` lists is a mean; see ``thinned``."""

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per epoch, with the metrics as columns of their own."""
        import pandas as pd

        rows = []
        for epoch in self.epochs:
            row = asdict(epoch)
            metrics = row.pop("metrics")
            head = {"train_loss": row.pop("train_loss"), "valid_loss": row.pop("valid_loss")}
            rows.append({**head, **metrics, **row})
        frame = pd.DataFrame(rows)
        frame.index.name = "epoch"
        return frame

    def thinned(self, n_points: int = 200) -> "History":
        """Return the history with at most so many points in each of its curves over steps.

        Twenty thousand steps take a megabyte and a half, and no picture shows more than some
        hundred points. Each new point is the mean of as many steps; the last may be of fewer.

        Parameters
        ----------
        n_points : int
            Longest curve that stays.

        Examples
        --------
        >>> history = History(step_losses=[4.0, 2.0, 3.0, 1.0, 1.5])
        >>> thin = history.thinned(3)
        >>> thin.step_losses, thin.steps_per_point
        ([3.0, 2.0, 1.5], 2)
        """
        curves = {
            "step_learning_rates": self.step_learning_rates,
            "step_losses": self.step_losses,
            "step_gradient_norms": self.step_gradient_norms,
        }
        size = max(1, ceil(max(map(len, curves.values())) / n_points))
        means = {name: _means(curve, size) for name, curve in curves.items()}
        return replace(self, **means, steps_per_point=self.steps_per_point * size)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Return the history as values that JSON can hold."""
        values = asdict(self)
        if self.steps_per_point == 1:  # as it was before histories were thinned
            del values["steps_per_point"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the history that ``to_dict`` described."""
        return cls(**{**values, "epochs": [Epoch(**epoch) for epoch in values["epochs"]]})


def _means(values: Sequence[float], size: int) -> list[float]:
    """Means of so many values that follow each other, without those that JSON did not keep."""
    if size == 1:
        return list(values)
    means = []
    for start in range(0, len(values), size):
        part = [v for v in values[start : start + size] if v is not None and isfinite(v)]
        means.append(sum(part) / len(part) if part else nan)
    return means
