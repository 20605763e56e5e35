"""One fit of a benchmark of tables, in a process of its own: from parts on disk to a score.

Every side gets the same training rows, and the same validation rows to stop early or to choose its
best epoch by, but for fastai, whose quick start does neither. Trees get enough rounds to stop
early; CatBoost keeps its thousand. All else are defaults. What a side cannot read (text categories,
gaps) is turned into what its documentation asks for, by the fewest lines that do.
"""

import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import harness
import numpy as np
import pandas as pd
from tabular_data import Metric, Table, read

Predict = Callable[[pd.DataFrame], np.ndarray]
"""Values, or probabilities with a column per class."""

ROUNDS, PATIENCE = 10_000, 50
"""Trees at most, and trees without improvement after which boosting ends."""

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
"""For sides that do not look at the variable themselves."""


# --- sides ----------------------------------------------------------------------------------


def fit_tabtext(table: Table, train, valid, seed: int, **settings) -> Predict:
    """``TabularClassifier`` or ``TabularRegressor`` without any argument."""
    from tabtext import TabularClassifier, TabularRegressor

    estimator = TabularRegressor if table.is_regression else TabularClassifier
    model = estimator(random_state=seed, verbose=0, **settings)
    model.fit(train, target=table.target, validation=valid)
    return model.predict if table.is_regression else model.predict_proba


def fit_tabtext_mlp(table: Table, train, valid, seed: int) -> Predict:
    """The plain multi-layer perceptron."""
    return fit_tabtext(table, train, valid, seed, network="mlp")


def fit_tabtext_fast(table: Table, train, valid, seed: int) -> Predict:
    return fit_tabtext(table, train, valid, seed, preset="fast")


def fit_tabtext_best(table: Table, train, valid, seed: int) -> Predict:
    """Five networks, each from four fifths of the training and validation rows together."""
    rows = pd.concat([train, valid], ignore_index=True)
    return fit_tabtext(table, rows, None, seed, preset="best")


def fit_tabtext_batches_of_64(table: Table, train, valid, seed: int) -> Predict:
    """As tables of few rows were learned before they had smaller batches."""
    return fit_tabtext(table, train, valid, seed, batch_size=64)


def fit_lightgbm(table: Table, train, valid, seed: int) -> Predict:
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    kind = LGBMRegressor if table.is_regression else LGBMClassifier
    model = kind(n_estimators=ROUNDS, random_state=seed, verbose=-1)
    stop = early_stopping(PATIENCE, verbose=False)
    model.fit(*_parted(table, train), eval_set=[_parted(table, valid)], callbacks=[stop])
    return _prediction(table, model)


def fit_xgboost(table: Table, train, valid, seed: int) -> Predict:
    from xgboost import XGBClassifier, XGBRegressor

    kind = XGBRegressor if table.is_regression else XGBClassifier
    model = kind(
        n_estimators=ROUNDS,
        early_stopping_rounds=PATIENCE,
        enable_categorical=True,
        random_state=seed,
    )
    model.fit(*_parted(table, train), eval_set=[_parted(table, valid)], verbose=False)
    return _prediction(table, model)


def fit_catboost(table: Table, train, valid, seed: int) -> Predict:
    from catboost import CatBoostClassifier, CatBoostRegressor

    categories = list(train.drop(columns=table.target).select_dtypes("category"))

    def readable(frame):  # gaps in categories are refused
        return frame.assign(**{name: frame[name].astype(object).fillna("") for name in categories})

    kind = CatBoostRegressor if table.is_regression else CatBoostClassifier
    model = kind(
        cat_features=categories,
        random_seed=seed,
        thread_count=THREADS,
        verbose=False,
        allow_writing_files=False,
    )
    parts = [_parted(table, part) for part in (train, valid)]
    (X, y), (X_valid, y_valid) = [(readable(X), y) for X, y in parts]  # noqa: N806
    model.fit(X, y, eval_set=(X_valid, y_valid), early_stopping_rounds=PATIENCE)
    predict = _prediction(table, model)
    return lambda frame: predict(readable(frame))


def fit_hist_gradient_boosting(table: Table, train, valid, seed: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if table.is_regression else HistGradientBoostingClassifier
    model = kind(max_iter=ROUNDS, early_stopping=True, n_iter_no_change=PATIENCE, random_state=seed)
    features, target = _parted(table, valid)
    model.fit(*_parted(table, train), X_val=features, y_val=target)
    return _prediction(table, model)


def fit_linear(table: Table, train, valid, seed: int) -> Predict:
    """Logistic regression, or ridge with a chosen penalty, of numbers and indicators."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    del valid, seed  # there are neither epochs nor draws
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )
    penalties = np.logspace(-2, 4, 13)
    linear = RidgeCV(penalties) if table.is_regression else LogisticRegression(max_iter=2000)
    model = make_pipeline(columns, linear)
    model.fit(*_parted(table, train))
    return _prediction(table, model)


def fit_fastai(table: Table, train, valid, seed: int) -> Predict:
    """``tabular_learner`` as its quick start shows it: five epochs, batches of 64."""
    from fastai.tabular.all import (
        Categorify,
        CategoryBlock,
        FillMissing,
        Normalize,
        RegressionBlock,
        TabularDataLoaders,
        set_seed,
        tabular_learner,
    )

    set_seed(seed)
    rows = pd.concat([train, valid], ignore_index=True)
    categories = list(train.drop(columns=table.target).select_dtypes("category"))
    loaders = TabularDataLoaders.from_df(
        rows,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=categories,
        cont_names=[name for name in train if name not in (*categories, table.target)],
        y_names=table.target,
        y_block=RegressionBlock() if table.is_regression else CategoryBlock(),
        valid_idx=list(range(len(train), len(rows))),
        bs=64,
    )
    learner = tabular_learner(loaders)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(5)

    def predict(frame):
        batches = loaders.test_dl(frame)
        with learner.no_bar():
            found = learner.get_preds(dl=batches)[0].numpy()
        return found[:, 0] if table.is_regression else found

    return predict


def fit_realmlp(table: Table, train, valid, seed: int) -> Predict:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    return _fit_pytabkit(table, train, valid, seed, RealMLP_TD_Classifier, RealMLP_TD_Regressor)


def fit_tabm(table: Table, train, valid, seed: int) -> Predict:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    return _fit_pytabkit(table, train, valid, seed, TabM_D_Classifier, TabM_D_Regressor)


def _fit_pytabkit(table: Table, train, valid, seed: int, classifier, regressor) -> Predict:
    kind = regressor if table.is_regression else classifier
    model = kind(random_state=seed, device="cpu", n_threads=THREADS)
    model.fit(*_parted(table, train), *_parted(table, valid))
    return _prediction(table, model)


SIDES: dict[str, Callable[..., Predict]] = {
    "tabtext": fit_tabtext,
    "tabtext, fast": fit_tabtext_fast,
    "tabtext, best": fit_tabtext_best,
    "tabtext, mlp": fit_tabtext_mlp,
    "tabtext, batches of 64": fit_tabtext_batches_of_64,
    "LightGBM": fit_lightgbm,
    "XGBoost": fit_xgboost,
    "CatBoost": fit_catboost,
    "HistGradientBoosting": fit_hist_gradient_boosting,
    "linear": fit_linear,
    "fastai": fit_fastai,
    "RealMLP-TD": fit_realmlp,
    "TabM-D": fit_tabm,
}

PACKAGES = {
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "CatBoost": "catboost",
    "fastai": "fastai",
    "RealMLP-TD": "pytabkit",
    "TabM-D": "pytabkit",
}
"""What a side needs beside this project's own environment, and the name of its interpreter."""

MODULES = {
    "HistGradientBoosting": "sklearn.ensemble",
    "linear": "sklearn.linear_model",
    "fastai": "fastai.tabular.all",
    **{side: "tabtext.estimators" for side in SIDES if side.startswith("tabtext")},
}
"""What is imported before the clock runs, where it is not the package itself."""


def _parted(table: Table, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target; classes and dates as whole numbers, because trees read no others."""
    target = frame[table.target]
    if not table.is_regression:
        is_category = isinstance(target.dtype, pd.CategoricalDtype)
        target = target.cat.codes.astype(int) if is_category else target.astype(int)
    return _dates_as_numbers(frame.drop(columns=table.target)), target


def _dates_as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**frame.select_dtypes("datetime").astype("int64"))


def _prediction(table: Table, model) -> Predict:
    predict = model.predict if table.is_regression else model.predict_proba
    return lambda frame: np.asarray(predict(_dates_as_numbers(frame)))


# --- one fit --------------------------------------------------------------------------------


def run(side: str, table: Table, place: Path, seed: int) -> None:
    """Fit, predict, and print scores, seconds and peak memory."""
    try:
        import_module(MODULES.get(side) or PACKAGES[side])
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    train, valid, test = read(place)
    features = test.drop(columns=table.target)
    started = time.perf_counter()
    predict = SIDES[side](table, train, valid, seed)
    fitted = time.perf_counter()
    predicted = predict(features)
    predict_seconds = time.perf_counter() - fitted
    on_valid = predict(valid.drop(columns=table.target))
    harness.report(
        {
            "seed": seed,
            "test": round(score(table, test, predicted), 5),
            "valid": round(score(table, valid, on_valid), 5),
            "fit seconds": round(fitted - started, 2),
            "predict rows/s": round(len(test) / predict_seconds),
        }
    )


def score(table: Table, frame: pd.DataFrame, predicted: np.ndarray) -> float:
    """The metric of the data set."""
    _, truth = _parted(table, frame)
    return METRICS[table.metric](truth.to_numpy(), np.asarray(predicted, np.float64))


def _root_mean_squared_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((truth - predicted.reshape(-1)) ** 2)))


def _area_under_the_curve(truth: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, predicted[:, 1]))


def _log_loss(truth: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    predicted = predicted / predicted.sum(axis=1, keepdims=True)  # some are single precision
    return float(log_loss(truth, predicted, labels=range(predicted.shape[1])))


METRICS: dict[Metric, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": _area_under_the_curve,
    "log_loss": _log_loss,
    "rmse": _root_mean_squared_error,
}
