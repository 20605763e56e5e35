"""Language models that ship: found by name, refused by name, checked, and taken as an origin."""

import hashlib
import json
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import tabtext
from tabtext.artifacts import read_config
from tabtext.datasets import load_flights, load_snippets
from tabtext.errors import ArtifactError, MissingFileError, ParameterError
from tabtext.estimators import LanguageModel, TabularRegressor, TextClassifier, pretrained
from tabtext.estimators.pretrained import (
    model_directory,
    pretrained_names,
    verify,
    write_checksums,
)

NEWS_PERPLEXITY = 229.88
ARTICLES_PERPLEXITY = 58.28
WEIGHTS_SHA256 = "1789fea13fc57b1bed1fbe097e220cfdb023d4689337ccab163f9a960541820d"


@pytest.fixture(scope="module")
def movies() -> pd.DataFrame:
    frame = load_snippets("movies").head(400)
    return frame.assign(label=(frame["rating"] > 0).map({True: "good", False: "bad"}))


@pytest.fixture(scope="module")
def model(movies: pd.DataFrame) -> LanguageModel:
    return LanguageModel(
        epochs=1, embedding_width=16, hidden_width=64, softmax="adaptive", verbose=0
    ).fit(movies["text"])


@pytest.fixture
def shipped(model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with two versions of one model, and things that are none."""
    folder = tmp_path / "pretrained"
    for version in (9, 10):
        model.save(folder / f"english-small-v{version}", packed=True)
        write_checksums(folder / f"english-small-v{version}")
    (folder / "english-large-v1").mkdir()
    model.save(folder / "drafts")
    monkeypatch.setattr(pretrained, "SHIPPED", folder)
    return folder


@pytest.fixture
def nothing_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "pretrained")


# -- names -----------------------------------------------------------------------------------------


def test_a_name_is_the_newest_version_of_it(shipped: Path) -> None:
    assert pretrained_names() == ["english-small"]
    assert model_directory("english-small") == shipped / "english-small-v10"
    assert model_directory("english-small-v9") == shipped / "english-small-v9"


def test_a_name_comes_before_a_directory_and_a_path_is_a_path(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "english-small").mkdir()

    assert model_directory("english-small") == shipped / "english-small-v10"
    assert model_directory("./english-small") == Path("english-small")
    assert model_directory(Path("english-small")) == Path("english-small")


@pytest.mark.parametrize(("name", "told"), [("", "''"), ("x" * 5000, "x{200}")])
def test_what_cannot_be_a_path_is_no_model(name: str, told: str) -> None:
    with pytest.raises(ParameterError, match=f"no saved model at {told}, and"):
        LanguageModel.from_pretrained(name)


@pytest.mark.parametrize("given", [None, 1.5, 0, True, [], b"english-small"], ids=repr)
def test_what_is_no_name_and_no_path_is_refused(given: object, shipped: Path) -> None:
    with pytest.raises(ParameterError, match=r"names no language model; give .*english-small"):
        LanguageModel.from_pretrained(given)


def test_an_unknown_name_is_told_what_ships(shipped: Path) -> None:
    says = (
        r"no saved model at englsh-small, and no model of that name ships with tabtext\. Give "
        r"the directory .*, or a name: english-small; did you mean 'english-small'\?"
    )
    with pytest.raises(ParameterError, match=says):
        LanguageModel.from_pretrained("englsh-small")


@pytest.mark.usefixtures("nothing_ships")
def test_where_nothing_ships_the_error_says_so() -> None:
    assert pretrained_names() == []
    with pytest.raises(ParameterError, match="no model ships with this installation of tabtext"):
        LanguageModel.from_pretrained("english-small")


def test_a_directory_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no saved model at"):
        LanguageModel.from_pretrained(tmp_path)


def test_a_shipped_model_is_the_saved_one(shipped: Path, movies: pd.DataFrame) -> None:
    found = LanguageModel.from_pretrained("english-small")

    same = LanguageModel.load(shipped / "english-small-v10")
    assert found.perplexity(movies["text"][:50]) == same.perplexity(movies["text"][:50])


def test_what_ships_here_is_whole() -> None:
    for name in pretrained_names():
        directory = model_directory(name)
        verify(directory)
        assert read_config(directory)["packing"] == "int8_rows"
        assert (directory / "README.md").is_file()


def test_the_english_model_foresees_words_as_well_as_when_it_was_shipped() -> None:
    news = load_snippets("nyt").head(500)["text"]

    judged = LanguageModel.from_pretrained("english-small-v1").evaluate(news)

    assert judged["perplexity"] == pytest.approx(NEWS_PERPLEXITY, rel=1e-3)
    assert judged["unknown"] < 0.05


def test_its_perplexity_on_held_out_articles_is_that_of_its_card(larger_data: Path) -> None:
    articles = pq.read_table(larger_data / "wiki_text" / "valid.parquet").select(["text"])

    judged = LanguageModel.from_pretrained("english-small-v1").evaluate(articles)

    assert judged["perplexity"] == pytest.approx(ARTICLES_PERPLEXITY, rel=1e-3)
    card = (model_directory("english-small-v1") / "README.md").read_text(encoding="utf-8")
    assert f"| perplexity | {judged['perplexity']:.1f} on" in card


def test_its_weights_are_those_that_were_shipped() -> None:
    directory = model_directory("english-small-v1")
    with (directory / "weights.safetensors").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == WEIGHTS_SHA256
    assert sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) < 20e6


# -- checksums -------------------------------------------------------------------------------------


def test_files_as_they_were_are_verified(shipped: Path) -> None:
    directory = model_directory("english-small")
    verify(directory)
    write_checksums(directory)  # once more changes nothing
    verify(directory)

    names = set(json.loads((directory / "checksums.json").read_text())["sha256"])
    assert names == {
        "README.md",
        "config.json",
        "weights.safetensors",
        "preprocessor/preprocessor.json",
        "preprocessor/vocabulary.json",
    }


def test_a_changed_file_is_named(shipped: Path) -> None:
    path = shipped / "english-small-v9" / "preprocessor" / "vocabulary.json"
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(ArtifactError, match=r"vocabulary\.json is not the file that checksums"):
        verify(shipped / "english-small-v9")


@pytest.mark.parametrize("name", ["weights.safetensors", "checksums.json"])
def test_a_file_that_is_not_there_is_named(shipped: Path, name: str) -> None:
    (shipped / "english-small-v9" / name).unlink()

    with pytest.raises(MissingFileError, match=f"{name} is missing"):
        verify(shipped / "english-small-v9")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": 3}'])
def test_damaged_checksums_are_told(shipped: Path, content: str) -> None:
    (shipped / "english-small-v9" / "checksums.json").write_text(content)

    with pytest.raises(ArtifactError, match=r"checksums\.json is damaged"):
        verify(shipped / "english-small-v9")


# -- classifiers -----------------------------------------------------------------------------------


def test_a_classifier_starts_from_a_model_by_its_name(
    shipped: Path, movies: pd.DataFrame, tmp_path: Path
) -> None:
    by_name, by_path = (
        TextClassifier(language_model=origin, epochs=1, verbose=0).fit(
            movies["text"], movies["label"]
        )
        for origin in ("english-small", shipped / "english-small-v10")
    )

    assert (
        by_name.predict_proba(movies["text"][:20]) == by_path.predict_proba(movies["text"][:20])
    ).all()
    by_name.save(tmp_path / "classifier")
    assert tabtext.load(tmp_path / "classifier").language_model == "english-small"


def test_a_language_model_is_loaded_once_for_a_fit(
    shipped: Path, movies: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = LanguageModel.from_pretrained
    monkeypatch.setattr(
        LanguageModel, "from_pretrained", lambda name: loaded.append(name) or load(name)
    )
    model = TextClassifier(language_model="english-small", epochs=1, verbose=0)

    model.fit(movies["text"], movies["label"])

    assert loaded == ["english-small"]
    assert not any(isinstance(value, LanguageModel) for value in vars(model).values())


def test_a_fit_that_fails_lets_go_of_the_language_model(
    shipped: Path, movies: pd.DataFrame
) -> None:
    model = TextClassifier(language_model="english-small", epochs=1, verbose=0)
    with pytest.raises(ParameterError):
        model.fit(movies["text"], movies["label"], target="nothing")

    model.set_params(language_model=None)

    assert model._language_model() is None


@pytest.mark.usefixtures("shipped")
def test_a_classifier_says_which_names_there_are(movies: pd.DataFrame) -> None:
    model = TextClassifier(language_model="english-smal", verbose=0)

    with pytest.raises(ParameterError, match="did you mean 'english-small'"):
        model.fit(movies["text"], movies["label"])


# -- loading ---------------------------------------------------------------------------------------


def test_loading_needs_neither_a_compiler_nor_spacy(shipped: Path) -> None:
    """Each of them takes longer than the loading, and a first prediction needs spaCy alone."""
    code = (
        "import sys; from tabtext.estimators import LanguageModel;"
        f"LanguageModel.load({str(shipped / 'english-small-v9')!r});"
        "print([name for name in ('torch._dynamo', 'numba', 'spacy') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


# -- repositories of the Hub -----------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of repositories that stands in for the Hub, and hands out what is asked for."""
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def snapshot_download(
        repository: str, *, revision: str | None, allow_patterns: list[str]
    ) -> str:
        source = tmp_path / "hub" / f"{repository}@{revision or 'main'}"
        if not source.is_dir():
            raise huggingface_hub.errors.LocalEntryNotFoundError(f"no {repository}")
        cache = tmp_path / "cache" / repository
        for path in source.rglob("*"):
            name = path.relative_to(source).as_posix()
            if path.is_file() and any(fnmatch(name, pattern) for pattern in allow_patterns):
                (cache / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, cache / name)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def table_model() -> TabularRegressor:
    flights = load_flights("test").dropna(subset="arr_delay")[["carrier", "dep_delay", "arr_delay"]]
    return TabularRegressor(hidden=(8,), epochs=1, verbose=0).fit(flights[:500], target="arr_delay")


ROW = {"carrier": "UA", "dep_delay": 12.0}


def test_what_was_saved_for_others_is_read_from_a_directory(
    table_model: TabularRegressor, tmp_path: Path
) -> None:
    table_model.save_pretrained(tmp_path / "delay")

    found = TabularRegressor.from_pretrained(tmp_path / "delay")

    assert found.predict(ROW) == table_model.predict(ROW)


def test_a_repository_of_the_hub_is_read_by_its_revision(
    table_model: TabularRegressor, hub: Path
) -> None:
    table_model.save_pretrained(hub / "hub/somebody/delay@v2")

    found = TabularRegressor.from_pretrained("somebody/delay", revision="v2")

    assert found.predict(ROW) == table_model.predict(ROW)


def test_of_a_repository_only_the_files_of_an_artifact_are_fetched(
    model: LanguageModel, hub: Path
) -> None:
    source = hub / "hub/somebody/language@main"
    model.save_pretrained(source)
    (source / "setup.py").write_text("raise SystemExit")
    (source / "weights.bin").write_bytes(b"pickle")
    (source / "preprocessor/rules.py").write_text("raise SystemExit")

    LanguageModel.from_pretrained("somebody/language")

    fetched = {path.name for path in (hub / "cache/somebody/language").rglob("*") if path.is_file()}
    saved = {path.name for path in source.rglob("*") if path.is_file()}
    assert saved - fetched == {"setup.py", "weights.bin", "rules.py"}


def test_a_repository_that_is_not_there_is_named(hub: Path) -> None:
    with pytest.raises(MissingFileError, match="somebody/nothing"):
        TabularRegressor.from_pretrained("somebody/nothing")


def test_without_the_package_of_the_hub_its_installation_is_the_remedy(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(ParameterError, match=r"pip install 'tabtext\[hub\]'"):
        TabularRegressor.from_pretrained("somebody/delay")


def test_a_slip_in_the_path_of_a_directory_asks_nobody(
    table_model: TabularRegressor, hub: Path
) -> None:
    table_model.save_pretrained(hub / "runs" / "delay")

    with pytest.raises(ParameterError, match="no saved model at runs/delya"):
        TabularRegressor.from_pretrained("runs/delya")


def test_a_revision_of_a_directory_is_refused(table_model: TabularRegressor, hub: Path) -> None:
    table_model.save_pretrained(hub / "delay")

    with pytest.raises(ParameterError, match="revision"):
        TabularRegressor.from_pretrained(hub / "delay", revision="v2")
