"""Boosted trees on learned vectors of categories, and on the categories themselves.

    python examples/embeddings_for_gbdt.py
    python examples/embeddings_for_gbdt.py --rows 20000

The flights ship with tabtext. All models predict the delay at arrival from the same columns and
learn from January to October. November judges them; the settings of the network were chosen by it
too. December is looked at once, for the trees on categories and for the kind of vectors that was
better in November.

Of the vectors there are two kinds: those of one network, which has seen the targets of the rows
that the trees learn from, as in the paper (Guo and Berkhahn, "Entity Embeddings of Categorical
Variables", 2016); and for each row those that were learned from other rows.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from tabtext import EmbeddingTransformer, TabularRegressor
from tabtext.datasets import load_flights
from tabtext.tabular.features import add_date_parts

MOST_CATEGORIES = 255  # of a column that the trees take as categories
NETWORK = {
    "network": "mlp",
    "hidden": (256, 128),
    "learning_rate": 2e-3,
    "numeric_embedding": "none",
    "dropout": 0.2,
    "embedding_dropout": 0.2,
    # Trees read every column of a vector at every split; eight tell nearly as much as 150.
    "embedding_widths": {"tail_number": 8, "destination": 8, "plane_model": 8},
    "epochs": 4,
    "prune": ["arr_delay < 600"],
    "verbose": 0,
}


@dataclass(frozen=True)
class Flights:
    """Some months of flights, and how late each was."""

    columns: pd.DataFrame
    minutes: pd.Series


def load(part: Any, n_rows: int | None) -> Flights:
    flights = load_flights(part).dropna(subset="arr_delay")
    if n_rows is not None:
        flights = flights.sample(min(n_rows, len(flights)), random_state=0).sort_index()
    # Trees read no dates.
    flights = add_date_parts(flights, "scheduled_departure", parts=["day_of_week", "hour"])
    flights = flights.drop(columns="scheduled_departure")
    return Flights(flights, flights.pop("arr_delay"))


def trees(**settings: Any) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=200, random_state=0, **settings)


def on_categories(columns: pd.DataFrame) -> Pipeline:
    """Trees that take categories as such, and those of columns with too many of them as numbers."""
    labels = columns.select_dtypes(exclude="number")
    many = [name for name in labels if labels[name].nunique() > MOST_CATEGORIES]
    numbers = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    codes = make_column_transformer(
        (numbers, many), remainder="passthrough", verbose_feature_names_out=False
    )
    return make_pipeline(
        codes.set_output(transform="pandas"), trees(categorical_features="from_dtype")
    )


def on_vectors(n_folds: int) -> Pipeline:
    network = TabularRegressor(**NETWORK)
    return make_pipeline(EmbeddingTransformer(estimator=network, n_folds=n_folds), trees())


def error(model: Pipeline, flights: Flights) -> float:
    return float(root_mean_squared_error(flights.minutes, model.predict(flights.columns)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="use at most so many flights of each part")
    options = parser.parse_args(arguments)
    train, valid = load("train", options.rows), load("valid", options.rows)
    print(f"{len(train.columns):,} flights to learn from, {len(valid.columns):,} to judge by")

    models = {
        "categories": on_categories(train.columns),
        "vectors of the same rows": on_vectors(n_folds=1),
        "vectors of other rows": on_vectors(n_folds=5),
    }
    errors = {}
    print(f"{'trees on':26} {'columns':>8} {'RMSE (min)':>11} {'fit (s)':>8}", flush=True)
    for name, model in models.items():
        started = perf_counter()
        model.fit(train.columns, train.minutes)
        seconds = perf_counter() - started
        errors[name] = error(model, valid)
        width = model[-1].n_features_in_
        print(f"{name:26} {width:8} {errors[name]:11.2f} {seconds:8.1f}", flush=True)

    better = min((name for name in models if name != "categories"), key=errors.__getitem__)
    test = load("test", options.rows)
    print(f"December, once: categories {error(models['categories'], test):.2f}, ", end="")
    print(f"{better} {error(models[better], test):.2f}")


if __name__ == "__main__":
    main()
