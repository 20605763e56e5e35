"""Bad input: a clear error that names what is wrong, and nothing half-done."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tabtext
from tabtext.errors import (
    ArtifactError,
    ColumnTypeError,
    DataError,
    FileFormatError,
    MissingFileError,
    ParameterError,
    SaveError,
    TabTextError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.estimators import TabularClassifier, TabularRegressor
from tests.estimators.conftest import QUICK, shops


def fit(frame: Any, **options: Any) -> TabularRegressor:
    return TabularRegressor(**QUICK).fit(frame, target="Sales", **options)


# --- fit ---------------------------------------------------------------------------------


def test_a_wrong_target_is_named_with_the_likely_one(frame: pd.DataFrame) -> None:
    with pytest.raises(UnknownColumnError, match=r"'Sale' is not in the table.*'Sales'"):
        TabularRegressor(**QUICK).fit(frame, target="Sale")


def test_the_target_must_be_given_once(frame: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="give the target once"):
        TabularRegressor(**QUICK).fit(frame)
    with pytest.raises(ParameterError, match="give the target once"):
        TabularRegressor(**QUICK).fit(frame, frame["Sales"], target="Sales")


def test_a_target_among_the_features_is_pointed_out(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="both a feature and the target"):
        TabularRegressor(**QUICK).fit(frame, frame["Sales"])


def test_an_empty_frame_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="0 rows"):
        fit(frame.head(0))
    with pytest.raises(DataError, match="no columns"):
        TabularRegressor(**QUICK).fit(pd.DataFrame(), [])


@pytest.mark.parametrize("n_rows", [1, 2])
def test_too_few_rows_are_counted(frame: pd.DataFrame, n_rows: int) -> None:
    with pytest.raises(DataError, match=f"{n_rows} rows with a target; at least 3"):
        fit(frame.head(n_rows))


def test_three_rows_are_enough(frame: pd.DataFrame) -> None:
    with pytest.warns(TabTextWarning):  # so few rows have constant columns
        model = fit(frame.head(3).assign(Promo=True))

    assert np.isfinite(model.predict(frame.head(3).assign(Promo=True))).all()


def test_a_target_without_values_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'Sales' is missing in all 400 rows"):
        fit(frame.assign(Sales=np.nan))


def test_gaps_in_the_target_can_be_an_error(frame: pd.DataFrame) -> None:
    gaps = frame.copy()
    gaps.loc[0, "Sales"] = np.nan

    with pytest.raises(DataError, match=r"'Sales' is missing in 1 of 400 rows.*'drop'"):
        TabularRegressor(**QUICK, missing_target="error").fit(gaps, target="Sales")


def test_an_infinite_target_is_shown(frame: pd.DataFrame) -> None:
    spoiled = frame.copy()
    spoiled.loc[5, "Sales"] = np.inf

    with pytest.raises(DataError, match="'Sales' is inf"):
        fit(spoiled)


def test_two_columns_of_one_name_are_refused(frame: pd.DataFrame) -> None:
    twice = pd.concat([frame, frame[["State"]]], axis="columns")

    with pytest.raises(DataError, match="two columns called 'State'"):
        fit(twice)


def test_mixed_types_in_a_column_are_shown(frame: pd.DataFrame) -> None:
    mixed = frame.assign(State=pd.Series(["BY", 7] * 200, dtype=object))

    with pytest.raises(ColumnTypeError, match=r"'State' mixes types: 'BY' \(str\) and 7 \(int\)"):
        fit(mixed)


def test_a_column_that_is_excluded_and_absent_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(UnknownColumnError, match="'Stat'"):
        TabularRegressor(**QUICK, exclude=["Stat"]).fit(frame, target="Sales")


def test_nothing_left_to_learn_from_is_said(frame: pd.DataFrame) -> None:
    with pytest.warns(TabTextWarning), pytest.raises(DataError, match="no column is left"):
        TabularRegressor(**QUICK).fit(frame[["Sales"]].assign(one=1), target="Sales")


def test_rules_that_leave_no_row_are_refused(frame: pd.DataFrame) -> None:
    with pytest.warns(TabTextWarning), pytest.raises(DataError, match="no row"):
        TabularRegressor(**QUICK, prune="Sales > 1e9").fit(frame, target="Sales")


def test_rules_that_leave_one_row_are_refused(frame: pd.DataFrame) -> None:
    top = float(frame["Sales"].nlargest(2).iloc[1])

    with pytest.warns(TabTextWarning), pytest.raises(DataError, match="1 training row"):
        TabularRegressor(**QUICK, validation_fraction=0, prune=f"Sales > {top!r}").fit(
            frame, target="Sales"
        )


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0] * 399, "shape"),
        ([-1.0] + [1.0] * 399, "-1.0 at row 0"),
        ([np.nan] * 400, "finite"),
        ([0.0] * 400, "all sample weights are zero"),
        ([1.0] + [0.0] * 399, "1 of 400 training rows weigh more than 0; learning needs two"),
        ("weights", "'weights' is not in the table"),
    ],
)
def test_unusable_weights_are_refused(frame: pd.DataFrame, weight: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(frame, sample_weight=weight)


def test_validation_rows_with_a_target_that_weigh_nothing_are_refused(frame: pd.DataFrame) -> None:
    rows = frame.assign(weight=1.0)
    validation = rows[:51].assign(weight=[0.0] * 50 + [1.0])
    validation.loc[50, "Sales"] = np.nan

    with pytest.raises(DataError, match="all 50 validation rows weigh 0"):
        TabularRegressor(**QUICK, missing_target="drop").fit(
            rows, target="Sales", sample_weight="weight", validation=validation
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"validation_fraction": 1.0},
        {"missing_target": "keep"},
        {"epochs": 0},
        {"batch_size": 1},
        {"missing": "zero"},
        {"scaling": "minmax"},
        {"loss": "quantil"},
        {"loss": "quantile", "quantile": 1.5},
        {"quantile": 0.9},
        {"schedule": "zigzag"},
        {"schedule": None},
        {"schedule": "sgdr_doubling", "epochs": 4},
        {"averaging": "mean"},
        {"precision": "fp8"},
        {"max_time": "soon"},
        {"max_time": 0},
        {"snapshots": True},
        {"learning_rate": "fast"},
        {"learning_rate": (1e-3, 1e-2, 1e-2, 1e-2, 1e-2)},
        {"learning_rate": float("nan")},
        {"weight_decay": None},
        {"clip_norm": "small"},
        {"patience": 0},
        {"training": ["sgd"]},
        {"training": {"optimizer": "adam"}},
        {"training": {"betas": 0.9}},
        {"training": {"phases": [1, 2]}},
        {"bins": "random"},
        {"device": "gpu"},
        {"monitor": "valid_lss"},
        {"embedding_widths": {"Stat": 3}},
        {"hidden": (0,)},
        {"hidden": "automatic"},
        {"network": "resnet"},
        {"n_members": 0},
        {"n_members": 2.5},
        {"n_bins": 0},
        {"numeric_width": 0},
        {"roles": {"State": "category"}},
        {"target_transform": "sqrt"},
        {"date_parts": ["month", "moth"]},
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(frame: pd.DataFrame, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        TabularRegressor(**{**QUICK, **wrong}).fit(frame, target="Sales")


def test_a_failed_fit_leaves_the_estimator_unfitted(frame: pd.DataFrame) -> None:
    model = TabularRegressor(**QUICK, scaling="minmax")

    with pytest.raises(ParameterError):
        model.fit(frame, target="Sales")

    assert not hasattr(model, "model_")


def test_a_million_categories_fit_and_predict() -> None:
    n_rows = 1_000_000
    names = np.char.add("u", np.arange(n_rows).astype(str))
    frame = pd.DataFrame({"user": names, "x": np.arange(n_rows) % 97.0, "y": np.arange(n_rows) % 7})
    # Every name twice: names that occur once only would be set aside as identifiers.
    frame = pd.concat([frame, frame.assign(user=frame["user"])], ignore_index=True)
    model = TabularRegressor(
        epochs=1, batch_size=65_536, hidden=(4,), embedding_widths={"user": 1}, verbose=0
    )

    model.fit(frame, target="y")

    assert model.preprocessor_.cardinalities_[0] > 990_000
    assert np.isfinite(model.predict(frame.tail(3).assign(user=["u1", "nobody", "u2"]))).all()


def test_values_that_are_no_numbers_reach_no_network(frame: pd.DataFrame) -> None:
    spoiled = frame.copy()
    spoiled.loc[:3, "Distance"] = [np.inf, -np.inf, np.nan, 1e308]

    with pytest.warns(TabTextWarning, match=r"infinite.*'Distance' \(2\)"):
        model = fit(spoiled, validation=shops(50, seed=1))

    with pytest.warns(TabTextWarning, match="infinite"):
        assert np.isfinite(model.predict(spoiled)).all()


# --- predict -----------------------------------------------------------------------------


def test_a_missing_column_is_named_at_prediction(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    renamed = frame.rename(columns={"State": "Stete"})

    with pytest.raises(UnknownColumnError, match=r"'State' is not in the table.*'Stete'"):
        regressor.predict(renamed)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("State", 7, "'State' holds int64, such as 7, and held string, such as 'BY'"),
        ("Distance", "far", "'Distance' is continuous and holds .*'far'"),
        ("Date", "2015-01-01", "'Date' holds .* and held dates"),
    ],
)
def test_another_type_than_at_the_fit_is_shown(
    regressor: TabularRegressor, frame: pd.DataFrame, column: str, values: Any, message: str
) -> None:
    with pytest.raises(ColumnTypeError, match=message):
        regressor.predict(frame.assign(**{column: values}))


def test_whole_numbers_where_floats_were_are_converted(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    floats = frame.assign(Distance=100.0)

    np.testing.assert_array_equal(
        regressor.predict(frame.assign(Distance=100)), regressor.predict(floats)
    )


def test_evaluating_without_the_target_says_which(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    with pytest.raises(UnknownColumnError, match="'Sales'"):
        regressor.evaluate(frame.drop(columns="Sales"))


def test_errors_are_also_the_built_in_ones(
    regressor: TabularRegressor, frame: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match="'State'"):
        regressor.predict(frame.drop(columns="State"))
    with pytest.raises(FileNotFoundError):
        tabtext.load("nowhere")


# --- files -------------------------------------------------------------------------------


def test_a_file_that_is_no_parquet_is_refused(regressor: TabularRegressor, tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_text("State,Sales\nBY,3\n")

    with pytest.raises(FileFormatError, match=r"data\.parquet is not a readable PARQUET file"):
        regressor.predict(path)


def test_a_file_that_is_not_there_is_named(regressor: TabularRegressor, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv"):
        regressor.predict(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "weights.safetensors",
        "preprocessor/preprocessor.json",
        "preprocessor/categories.arrow",
    ],
)
@pytest.mark.parametrize("damage", ["truncated", "emptied", "removed", "garbled"])
def test_a_damaged_artifact_is_refused(
    regressor: TabularRegressor, tmp_path: Path, name: str, damage: str
) -> None:
    regressor.save(tmp_path / "model")
    path = tmp_path / "model" / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    elif damage == "garbled":
        path.write_bytes(content[: len(content) // 3] + b"\x00!" + content[len(content) // 3 + 9 :])
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")

    with pytest.raises((ArtifactError, MissingFileError), match="model"):
        tabtext.load(tmp_path / "model")


@pytest.mark.parametrize("key", ["target", "model", "card", "histories", "parameters", "estimator"])
def test_an_artifact_that_lacks_a_part_is_refused(
    regressor: TabularRegressor, tmp_path: Path, key: str
) -> None:
    regressor.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    del config[key]
    path.write_text(json.dumps(config))

    with pytest.raises(ArtifactError, match="damaged"):
        tabtext.load(tmp_path / "model")


def test_a_newer_format_asks_for_an_upgrade(regressor: TabularRegressor, tmp_path: Path) -> None:
    regressor.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text()) | {"format_version": 99}
    path.write_text(json.dumps(config))

    with pytest.raises(ArtifactError, match=r"format 99.*pip install --upgrade"):
        tabtext.load(tmp_path / "model")


def test_saving_over_something_else_is_refused(regressor: TabularRegressor, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(SaveError, match="not replaced"):
        regressor.save(tmp_path)

    assert (tmp_path / "notes.txt").read_text() == "mine"


SAVE_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import tabtext
from tabtext.errors import SaveError

model = tabtext.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails as EFBIG
for limit in map(int, sys.argv[3:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        model.save(Path(sys.argv[2]) / str(limit) / "model")
    except SaveError:
        print(limit)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs POSIX resource limits")
def test_a_full_disk_leaves_the_older_model_and_no_rest(
    regressor: TabularRegressor, frame: pd.DataFrame, tmp_path: Path
) -> None:
    source, limits = tmp_path / "source", ("100", "2000")
    regressor.save(source)
    for limit in limits:
        (tmp_path / limit).mkdir()
        regressor.save(tmp_path / limit / "model")

    done = subprocess.run(
        [sys.executable, "-c", SAVE_ON_A_FULL_DISK, source, tmp_path, *limits],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )

    assert done.stdout.split() == [*limits], done.stderr  # each of them a SaveError
    for limit in limits:
        assert [path.name for path in (tmp_path / limit).iterdir()] == ["model"]
        loaded = tabtext.load(tmp_path / limit / "model")
        np.testing.assert_array_equal(loaded.predict(frame), regressor.predict(frame))


def test_a_killed_save_leaves_the_older_model(
    regressor: TabularRegressor, frame: pd.DataFrame, tmp_path: Path
) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    regressor.save(source)
    shutil.copytree(source, place)
    code = (
        "import os, sys, tabtext\n"
        "from tabtext.tabular.preprocessing import TabularPreprocessor\n"
        "model = tabtext.load(sys.argv[1])\n"
        "TabularPreprocessor.save = lambda *arguments: os._exit(9)\n"
        "model.save(sys.argv[2])\n"
    )

    done = subprocess.run([sys.executable, "-c", code, source, place], check=False)

    assert done.returncode == 9
    np.testing.assert_array_equal(tabtext.load(place).predict(frame), regressor.predict(frame))


def test_every_error_of_this_module_is_a_tabtext_error() -> None:
    for error in (ArtifactError, ColumnTypeError, DataError, ParameterError, SaveError):
        assert issubclass(error, TabTextError)


def test_one_class_is_no_classification(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="two classes are needed"):
        TabularClassifier(**QUICK).fit(frame.assign(y="same"), target="y")


def test_an_unknown_class_in_validation_is_named(frame: pd.DataFrame) -> None:
    valid = frame.head(20).assign(State="XX")

    with pytest.raises(DataError, match="'XX' in row 0"):
        TabularClassifier(**QUICK).fit(frame, target="State", validation=valid)
