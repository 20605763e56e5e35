"""Make the golden artifacts: small saved models, with what they predict for rows that stand beside.

    python tests/golden/build.py NAME ...      those of the version of tabtext that is importable
    python tests/golden/build.py --list

An artifact that exists is never made again: it guards that what an older version wrote is read, and
only that version can write it. To add one for a new version, add a recipe with a new name.

    tests/golden/NAME/
      model/           what save() wrote
      expected.json    the version that wrote it, rows, and what it predicted for them
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tabtext
from tabtext import datasets

HERE = Path(__file__).parent
COLUMNS = ["scheduled_departure", "carrier", "origin", "distance", "temperature", "dep_delay"]


def flights() -> Any:
    """Return flights with a date, categories, numbers and gaps."""
    frame = datasets.load_flights("valid").dropna(subset="arr_delay")
    frame = frame[[*COLUMNS, "arr_delay"]].head(3000).reset_index(drop=True)
    frame = frame.astype(dict.fromkeys(("carrier", "origin"), "str"))
    frame.loc[::50, "carrier"] = None
    frame.loc[::40, "temperature"] = np.nan
    frame.loc[::60, "dep_delay"] = np.nan
    return frame


def movies() -> Any:
    """Return sentences of film reviews with their ratings."""
    return datasets.load_snippets("movies").head(600)


def tabular_regressor(place: Path) -> dict[str, Any]:
    """A small network for a quantity."""
    frame = flights()
    model = tabtext.TabularRegressor(hidden=(8,), epochs=1, verbose=0, **_few_members())
    model.fit(frame, target="arr_delay").save(place)
    rows = new_rows(frame)
    return {"rows": rows, "predict": _plain(model.predict(tabular_rows(rows)))}


def tabular_classifier(place: Path) -> dict[str, Any]:
    """A small network for classes."""
    frame = flights()
    late = (frame.pop("arr_delay") > 15).map({True: "late", False: "in time"})
    model = tabtext.TabularClassifier(hidden=(8,), epochs=1, verbose=0, **_few_members())
    model.fit(frame, late).save(place)
    rows = new_rows(frame)
    return {"rows": rows, "predict_proba": _plain(model.predict_proba(tabular_rows(rows)))}


def text_classifier(place: Path) -> dict[str, Any]:
    """A small network and the linear models that vote with it, from random weights."""
    frame = movies()
    settings = {"embedding_width": 8, "hidden_width": 8, "n_layers": 1, "min_frequency": 8}
    model = tabtext.TextClassifier(language_model=None, epochs=1, verbose=0, **settings)
    model.fit(frame["text"], frame["rating"] > 0).save(place)
    texts = [*frame["text"].head(15), "", "Never, ever was there a film like THIS!!!!!"]
    return {"rows": texts, "predict_proba": _plain(model.predict_proba(texts))}


def packed_language_model(place: Path) -> dict[str, Any]:
    """A small language model with its weights packed: format 2."""
    frame = movies()
    model = tabtext.LanguageModel(
        embedding_width=16, hidden_width=64, n_layers=1, min_frequency=6, epochs=1, verbose=0
    )
    model.fit(frame["text"]).save(place, packed=True)
    texts = frame["text"].head(30).tolist()
    return {"rows": texts, "evaluate": model.evaluate(texts)}


RECIPES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "format_1_tabular_regressor": tabular_regressor,
    "format_1_tabular_classifier": tabular_classifier,
    "format_1_text_classifier": text_classifier,
    "format_2_language_model": packed_language_model,
    # Before networks had members, predictions were cut to a span, or there was a temperature.
    "first_tabular_regressor": tabular_regressor,
    "first_tabular_classifier": tabular_classifier,
}


def new_rows(frame: Any) -> list[dict[str, Any]]:
    """Return some rows as JSON has them, one with a category that is not among the others."""
    rows: list[dict[str, Any]] = json.loads(
        frame.head(40)
        .drop(columns="arr_delay", errors="ignore")
        .to_json(orient="records", date_format="iso")
    )
    rows[1]["carrier"] = "a new one"
    return rows


def tabular_rows(rows: list[dict[str, Any]]) -> Any:
    """Return rows of JSON as a frame with dates, which JSON has not."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    return frame.assign(scheduled_departure=pd.to_datetime(frame["scheduled_departure"]))


def build(name: str) -> None:
    """Make one artifact and what is expected of it."""
    place = HERE / name
    if place.exists():
        sys.exit(f"{place} exists: golden artifacts are never made again")
    place.mkdir()
    expected = RECIPES[name](place / "model")
    about = {"tabtext_version": tabtext.__version__, **expected}
    (place / "expected.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _few_members() -> dict[str, Any]:
    """Two members, where there are members."""
    known = tabtext.TabularRegressor().get_params()
    return {"n_members": 2, "numeric_width": 4, "n_bins": 8} if "n_members" in known else {}


def _plain(values: Any) -> Any:
    return np.asarray(values).tolist()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*RECIPES, []])
    parser.add_argument("--list", action="store_true", help="print the names and end")
    arguments = parser.parse_args()
    if arguments.list:
        print(*RECIPES, sep="\n")
    for name in arguments.names:
        build(name)
