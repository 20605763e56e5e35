"""Exported models: what onnxruntime says of them, and a server that has nothing else."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tabtext import (
    TabTextRegressor,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
    TextRegressor,
    datasets,
    load,
)
from tabtext.errors import ParameterError, SaveError
from tabtext.export import program
from tabtext.text.documents import Documents

onnxruntime = pytest.importorskip("onnxruntime")

SERVER = Path(__file__).parents[2] / "examples" / "serve_onnx.py"
WITHOUT = ("torch", "pandas", "pyarrow", "tabtext", "sklearn", "scipy", "numba", "spacy")
QUICK: dict[str, Any] = {"epochs": 1, "verbose": 0}
SMALL = {"embedding_width": 12, "hidden_width": 16}


def run(directory: Path, **inputs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    outputs: npt.NDArray[np.float64] = onnxruntime.InferenceSession(directory / "model.onnx").run(
        None, inputs
    )[0]
    return outputs


def served(directory: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the example answers, where it cannot import what it must not need."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({WITHOUT!r})); sys.argv[0:1] = []"
    start = f"{blocked}; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    # Arguments of the child: its own script, as argv[0], and the directory.
    done = subprocess.run(
        [sys.executable, "-c", start, str(SERVER), str(directory)],
        input="".join(json.dumps(row) + "\n" for row in rows),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_json(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso"))
    return rows


def padded(documents: Documents, *, extra: int = 0) -> dict[str, npt.NDArray[np.int64]]:
    lengths = documents.lengths.astype(np.int64)
    tokens = np.ones((len(documents), int(lengths.max()) + extra), np.int64)
    for row, document in zip(tokens, documents, strict=True):
        row[: len(document)] = document
    return {"tokens": tokens, "lengths": lengths}


def encoded(model: TabularRegressor | TabularClassifier, rows: Any) -> dict[str, Any]:
    found = model.preprocessor_.encode(rows)
    return {"categorical": found.categorical, "continuous": found.continuous}


# ------------------------------------------------------------------------------------------- tables


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    columns = ["scheduled_departure", "carrier", "origin", "destination", "distance"]
    columns += ["temperature", "dep_delay", "plane_year", "arr_delay"]
    frame = datasets.load_flights("test").dropna(subset="arr_delay")[columns]
    return frame.astype(dict.fromkeys(("carrier", "origin", "destination"), "str"))


@pytest.fixture(scope="module")
def regressor(flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    model = TabularRegressor(**QUICK).fit(flights[:6000], target="arr_delay")
    directory = tmp_path_factory.mktemp("onnx") / "delay"
    model.export_onnx(directory)
    return model, directory


@pytest.mark.filterwarnings("ignore::tabtext.errors.TabTextWarning")
@pytest.mark.parametrize("n_rows", [1, 7, 1000])
def test_flights_get_the_same_predictions_in_batches_of_any_size(
    regressor: Any, flights: pd.DataFrame, n_rows: int
) -> None:
    model, directory = regressor
    rows = flights[6000 : 6000 + n_rows].drop(columns="arr_delay")

    found = run(directory, **encoded(model, rows))

    assert_allclose(found[:, 0], model.predict(rows), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::tabtext.errors.TabTextWarning")
def test_the_server_predicts_what_the_model_does_with_nothing_but_numpy_and_onnxruntime(
    regressor: Any, flights: pd.DataFrame
) -> None:
    model, directory = regressor
    rows = flights[6000:6060].drop(columns="arr_delay").reset_index(drop=True)
    rows.loc[0, "carrier"] = "not a carrier"
    rows.loc[1, "origin"] = None
    rows.loc[2, "distance"] = np.nan

    answers = served(directory, of_json(rows))

    found = [answer["arr_delay"] for answer in answers]
    assert_allclose(found, model.predict(rows), rtol=1e-4, atol=1e-4)


def test_temperature_snapshots_and_folds_are_in_the_program(
    flights: pd.DataFrame, tmp_path: Path
) -> None:
    late = (flights["arr_delay"] > 15).map({True: "late", False: "in time"})
    features = flights.drop(columns="arr_delay")
    model = TabularClassifier(network="mlp", hidden=(16,), n_folds=2, **QUICK)
    model.fit(features[:3000], late[:3000])
    assert model.target_.temperature != 1.0

    model.export_onnx(tmp_path / "late")

    rows = features[3000:3040]
    found = run(tmp_path / "late", **encoded(model, rows))
    assert_allclose(found, model.predict_proba(rows), atol=1e-4)
    answers = served(tmp_path / "late", of_json(rows))
    assert [answer["arr_delay"] for answer in answers] == model.predict(rows).tolist()


def test_a_logarithm_bounds_and_snapshots_are_in_the_program(
    flights: pd.DataFrame, tmp_path: Path
) -> None:
    rows = flights[:2000].assign(distance=flights["distance"][:2000] + 1.0)
    model = TabularRegressor(
        network="mlp",
        hidden=(16,),
        target_transform="log1p",
        y_range=(0, 6000),
        scaling="quantile",
        missing="signal",
        snapshots=True,
        schedule="sgdr_equal",
        training={"cycle_len": 1},
        epochs=2,
        verbose=0,
    ).fit(rows, target="distance")
    assert len(model.snapshots_) == 2

    model.export_onnx(tmp_path / "distance")

    found = run(tmp_path / "distance", **encoded(model, rows))
    assert_allclose(found[:, 0], model.predict(rows), rtol=1e-4)


# -------------------------------------------------------------------------------------------- texts


@pytest.fixture(scope="module")
def movies() -> pd.DataFrame:
    return datasets.load_snippets("movies")


@pytest.fixture(scope="module")
def text_classifier(movies: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    train = movies[:800]
    model = TextClassifier(language_model=None, **SMALL, **QUICK)
    model.fit(train["text"], train["rating"] > 0)
    model.mixing_ = {name: vote or 0.4 for name, vote in model.mixing_.items()}
    model.mixing_["network"] = 0.7  # so small and short a training is worth less
    directory = tmp_path_factory.mktemp("onnx") / "movies"
    model.export_onnx(directory)
    return model, directory


@pytest.mark.parametrize(("n_texts", "extra"), [(1, 0), (7, 3), (1000, 0)])
def test_film_sentences_get_the_same_probabilities_in_any_number_and_length(
    text_classifier: Any, movies: pd.DataFrame, n_texts: int, extra: int
) -> None:
    model, directory = text_classifier
    texts = movies["text"][1000 : 1000 + n_texts]

    found = run(directory, **padded(model.preprocessor_.transform(texts), extra=extra))

    assert_allclose(found, model.predict_proba(texts), atol=1e-4)


def test_a_long_text_and_an_empty_one_get_the_same_probabilities(
    text_classifier: Any, movies: pd.DataFrame
) -> None:
    model, directory = text_classifier
    texts = [" ".join(movies["text"][:60]), ""]

    found = run(directory, **padded(model.preprocessor_.transform(texts)))

    assert_allclose(found, model.predict_proba(texts), atol=1e-4)


def test_the_server_takes_tokens(text_classifier: Any, movies: pd.DataFrame) -> None:
    model, directory = text_classifier
    texts = movies["text"][1000:1020]
    documents = model.preprocessor_.transform(texts)
    tokens = [model.preprocessor_.vocabulary_.tokens_of(d)[1:-1] for d in documents]

    answers = served(directory, [{"tokens": [of_text]} for of_text in tokens])

    found = [answer["probabilities"]["True"] for answer in answers]
    assert_allclose(found, model.predict_proba(texts)[:, 1], atol=1e-4)
    assert [answer["rating"] for answer in answers] == model.predict(texts).tolist()


@pytest.mark.parametrize("cell", ["gru", "irnn"])
def test_other_cells_and_both_directions_are_in_the_program(
    movies: pd.DataFrame, tmp_path: Path, cell: str
) -> None:
    train, texts = movies[:200], movies["text"][200:230]
    model = TextRegressor(
        language_model=None, cell=cell, direction="both", head_norm="layer", **SMALL, **QUICK
    )
    model.fit(train["text"], train["rating"])

    model.export_onnx(tmp_path / "ratings")

    found = run(tmp_path / "ratings", **padded(model.preprocessor_.transform(texts)))
    assert_allclose(found[:, 0], model.predict(texts), rtol=1e-4, atol=1e-4)


# --------------------------------------------------------------------------- tables that hold texts


def test_tables_that_hold_texts_get_the_same_predictions_in_any_number_and_length(
    movies: pd.DataFrame, tmp_path: Path
) -> None:
    frame = movies[["text", "rating"]].head(400).reset_index(drop=True)
    frame["words"] = frame["text"].str.split().str.len() / 3
    frame["ends"] = frame["text"].str[-1]
    frame.loc[::7, "text"] = None
    model = TabTextRegressor(language_model=None, hidden=(8,), **SMALL, **QUICK)
    model.fit(frame, target="rating")

    model.export_onnx(tmp_path / "ratings")

    for rows in (frame[1:2], frame[200:260]):
        encoded = model.preprocessor_.transform(rows)
        texts = padded(encoded.texts[0])
        found = run(
            tmp_path / "ratings",
            categorical=encoded.tabular.categorical,
            continuous=encoded.tabular.continuous,
            tokens=texts["tokens"][:, None],
            lengths=texts["lengths"][:, None],
        )
        assert_allclose(found[:, 0], model.predict(rows), rtol=1e-4, atol=1e-4)


# ----------------------------------------------------------------------------------------- refusals


def test_an_export_says_which_package_it_lacks(
    regressor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "find_spec", lambda name: None)

    with pytest.raises(ParameterError, match=r"pip install 'tabtext\[onnx\]'"):
        regressor[0].export_onnx(tmp_path / "model")

    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_file_is_refused(regressor: Any, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="give a directory"):
        regressor[0].export_onnx(tmp_path / "model.onnx")


def test_other_files_are_not_replaced(regressor: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(SaveError, match="holds other files"):
        regressor[0].export_onnx(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_preprocessor_of_a_saved_model_is_not_replaced(regressor: Any, tmp_path: Path) -> None:
    regressor[0].save(tmp_path / "model")

    with pytest.raises(SaveError, match="holds other files"):
        regressor[0].export_onnx(tmp_path / "model" / "preprocessor")

    load(tmp_path / "model")
