"""Restarts against one-cycle against constant: which schedule ends best, on real flights.

    python examples/training_practices.py                  # ten minutes on two cores
    python examples/training_practices.py --rows 281373    # all flights, half an hour

Arrival delays of New York's flights in 2013: trained on January to October, judged on November.
Every schedule gets the same network, seven epochs, a peak rate of its own that a first look at one
seed chose on November, and several seeds. December, the test month, stays closed: a schedule is
a choice, and choices are made on validation data.

It also shows what a snapshot ensemble and an average of the weights add for the same training.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tabtext import TabularRegressor, datasets
from tabtext.plots import plot_schedule
from tabtext.plots.style import BLUE, INK, ORANGE, styled_axes
from tabtext.training.schedules import make_schedule

EPOCHS = 7  # three cycles of restarts: 1 + 2 + 4
RATES = (1e-3, 2e-3, 4e-3)
NETWORK = {"network": "mlp", "dropout": 0.1, "n_bins": 48, "numeric_width": 8}
SCHEDULES = {"constant": "constant", "restarts": "sgdr_doubling", "one-cycle": "one_cycle"}
COLORS = {"constant": BLUE, "restarts": ORANGE, "one-cycle": INK}
ADDITIONS: dict[str, dict[str, Any]] = {
    "restarts, snapshots": {"schedule": "sgdr_doubling", "snapshots": True},
    "constant, EMA": {"schedule": "constant", "averaging": "ema"},
    "constant, SWA": {"schedule": "constant", "averaging": "swa"},
}


@dataclass(frozen=True)
class Outcome:
    """What one training reached on November: its losses, epoch by epoch, and the kept model's."""

    losses: list[float]
    rmse: float
    seconds: float


def read_flights(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """So many flights of January to October, and those of November."""
    train, valid = (
        datasets.load_flights(part).dropna(subset="arr_delay") for part in ("train", "valid")
    )
    return train.sample(min(rows, len(train)), random_state=0), valid


def run(train: pd.DataFrame, valid: pd.DataFrame, seed: int, **settings: Any) -> Outcome:
    """Fit one model, and judge it on November."""
    model = TabularRegressor(
        epochs=EPOCHS,
        prune=["arr_delay < 600"],
        random_state=seed,
        verbose=0,
        **{"averaging": None, **NETWORK, **settings},
    )
    model.fit(train, target="arr_delay", validation=valid)
    losses = [float(epoch.valid_loss or 0) for epoch in model.history_.epochs]
    return Outcome(losses, model.evaluate(valid)["rmse"], model.card_["seconds"])


def best_rate(train: pd.DataFrame, valid: pd.DataFrame, schedule: str) -> float:
    """The peak rate whose best epoch is best, in one seed that the comparison leaves out."""
    found = {
        rate: min(run(train, valid, seed=100, schedule=schedule, learning_rate=rate).losses)
        for rate in RATES
    }
    return min(found, key=lambda rate: found[rate])


def draw(outcomes: dict[str, list[Outcome]], path: Path) -> None:
    """The schedules, and the mean loss of every epoch with the spread over seeds."""
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_schedule(
        {name: make_schedule(SCHEDULES[name], epochs=EPOCHS) for name in outcomes},
        ax=styled_axes(left),
    )
    styled_axes(right)
    epochs = list(range(1, EPOCHS + 1))
    highest = 0.0
    for name, results in outcomes.items():
        by_epoch = list(zip(*(result.losses for result in results), strict=True))
        means = [statistics.mean(losses) for losses in by_epoch]
        low, high = list(map(min, by_epoch)), list(map(max, by_epoch))
        right.plot(epochs, means, "o-", markersize=4, color=COLORS[name], label=name)
        right.fill_between(epochs, low, high, color=COLORS[name], alpha=0.12)
        highest = max(highest, *high[1:])
    right.set(xlabel="epoch", ylabel="validation loss")
    # The first epoch of a slow start would press all others together.
    right.set_ylim(top=1.01 * highest)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def print_table(outcomes: dict[str, list[Outcome]], rates: dict[str, float]) -> None:
    """A line per way of training."""
    print(f"{'':22}{'peak rate':>10}{'best loss':>11}{'last loss':>11}{'RMSE':>9}{'seconds':>9}")
    for name, results in outcomes.items():
        best, last, rmse, seconds = (
            statistics.mean(values)
            for values in zip(
                *((min(r.losses), r.losses[-1], r.rmse, r.seconds) for r in results), strict=True
            )
        )
        print(f"{name:22}{rates[name]:>10g}{best:>11.5f}{last:>11.5f}{rmse:>9.3f}{seconds:>9.1f}")


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="training rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/training_practices.png"))
    arguments = parser.parse_args(given)
    train, valid = read_flights(arguments.rows)

    rates, outcomes = {}, {}
    for name, schedule in SCHEDULES.items():
        rates[name] = best_rate(train, valid, schedule)
        settings = {"schedule": schedule, "learning_rate": rates[name]}
        outcomes[name] = [run(train, valid, s, **settings) for s in range(arguments.seeds)]
    draw(outcomes, arguments.out)
    additions = {}
    for name, settings in ADDITIONS.items():
        rates[name] = rates[name.split(",")[0]]
        settings = {**settings, "learning_rate": rates[name]}
        additions[name] = [run(train, valid, s, **settings) for s in range(arguments.seeds)]

    print(f"{len(train):,} flights, {EPOCHS} epochs, means of {arguments.seeds} seeds on November")
    print_table(outcomes | additions, rates)
    print(f"picture: {arguments.out}")


if __name__ == "__main__":
    main()
