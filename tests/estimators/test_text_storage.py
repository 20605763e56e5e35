"""Saved text classifiers: what was damaged in between is told, and nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tabtext
from tabtext.datasets import load_snippets
from tabtext.errors import ArtifactError
from tabtext.estimators import LanguageModel, TextClassifier
from tabtext.estimators.linear_members import LinearFitting
from tabtext.estimators.linear_storage import from_tensors, to_tensors
from tabtext.estimators.samples import EncodedSample
from tabtext.text.documents import Documents
from tabtext.training.targets import ClassificationTarget, MultilabelTarget, Target

Tensors = dict[str, torch.Tensor]
Config = dict[str, Any]


@pytest.fixture(scope="module")
def voters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved classifier with two networks and all linear models."""
    movies = load_snippets("movies").head(200)
    directory = tmp_path_factory.mktemp("voters") / "model"
    origin = LanguageModel(
        epochs=1, direction="both", embedding_width=16, hidden_width=24, verbose=0
    ).fit(movies["text"])
    model = TextClassifier(language_model=origin, direction="both", epochs=1, verbose=0)
    model.fit(movies["text"], movies["rating"] > 0).save(directory)
    return directory


def without(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {n: t for n, t in tensors.items() if not n.startswith(prefix)}


def changed(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    return lambda tensors: {**tensors, name: change(tensors[name]).contiguous()}


def with_first(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """The tensor with another value in its first place."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        other = tensor.clone()
        other.view(-1)[0] = value
        return other

    return change


WEIGHTS = [
    f"linear/{name}"
    for name in (
        "ngrams/weights", "ngrams/bias", "frequencies/rarity", "frequencies/weights",
        "frequencies/bias", "words/weights", "words/bias",
    )
]  # fmt: skip
ARRAYS = [*WEIGHTS, "linear/ngrams/ngrams", "linear/ngrams/longest"]


@pytest.mark.parametrize(
    "damage",
    [
        *(without(name) for name in (*ARRAYS, "linear/ngrams", "linear/words", "linear/")),
        *(changed(name, lambda t: t[:-1]) for name in ARRAYS),
        *(changed(name, lambda t: t[None]) for name in ARRAYS),
        *(changed(name, lambda t: t[0]) for name in ARRAYS),
        *(changed(name, lambda t: t.double()) for name in ARRAYS),
        *(changed(name, lambda t: t.bfloat16()) for name in ARRAYS),
        *(changed(name, with_first(np.nan)) for name in WEIGHTS),
        *(changed(name, with_first(-np.inf)) for name in WEIGHTS),
        *(changed("linear/ngrams/longest", with_first(n)) for n in (-1, 0, 50, 2**62)),
        changed("linear/ngrams/longest", lambda t: t.repeat(2)),
        changed("linear/ngrams/ngrams", lambda t: t.flip(0)),
        changed("linear/ngrams/ngrams", lambda t: t.clamp(min=int(t[1]))),
        *(
            lambda tensors, name=name: {**tensors, name: torch.zeros(2)}
            for name in ("linear/ngrams/more", "linear/more", "linear/more/weights", "linear/")
        ),
        lambda tensors: {**tensors, "sideways/head": torch.zeros(2)},
        without("backward/"),
        without("forward/"),
    ],
)
def test_damaged_weights_are_told(
    damage: Callable[[Tensors], Tensors], voters: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(voters, tmp_path / "model"))
    path = copied / "weights.safetensors"
    save_file(damage(load_file(path)), path)

    with pytest.raises(ArtifactError, match="restore a copy"):
        tabtext.load(copied)


def with_vote(name: str, vote: object) -> Callable[[Config], Config]:
    return lambda config: {**config, "mixing": {**config["mixing"], name: vote}}


@pytest.mark.parametrize(
    "damage",
    [
        *(
            with_vote(name, vote)
            for name in ("network", "words")
            for vote in (np.nan, np.inf, -0.5, 10**400, None, True, "1", [1.0])
        ),
        with_vote("more", 1.0),
        lambda config: {**config, "mixing": {"network": 1.0}},
        lambda config: {**config, "mixing": {}},
        lambda config: {**config, "mixing": 1.0},
        lambda config: {**config, "networks": {}},
        lambda config: {**config, "networks": {"forward": config["networks"]["forward"]}},
        lambda config: {**config, "networks": {**config["networks"], "sideways": {}}},
        lambda config: {**config, "histories": {"forward": config["histories"]["forward"]}},
    ],
)
def test_damaged_votes_and_networks_are_told(
    damage: Callable[[Config], Config], voters: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(voters, tmp_path / "model"))
    path = copied / "config.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))

    with pytest.raises(ArtifactError, match="restore a copy"):
        tabtext.load(copied)


def test_the_direction_of_the_next_fit_changes_no_saved_model(voters: Path, tmp_path: Path) -> None:
    model = tabtext.load(voters)
    model.set_params(direction="forward").save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")

    expected = model.predict_proba(["A masterpiece.", ""])
    np.testing.assert_array_equal(loaded.predict_proba(["A masterpiece.", ""]), expected)


@pytest.mark.parametrize(
    ("target", "codes"),
    [
        (ClassificationTarget("label", ("a", "b")), np.arange(12) % 2),
        (ClassificationTarget("label", ("a", "b", "c")), np.arange(12) % 3),
        (MultilabelTarget(("late",)), (np.arange(12) % 2)[:, None]),
        (MultilabelTarget(("late", "long", "never")), np.eye(3)[np.arange(12) % 2]),
    ],
)
@pytest.mark.parametrize("words", [[[5, 6], [7, 8]], [[5], [6]], [[], []]], ids=str)
@pytest.mark.parametrize("weight", [None, np.ones(12, np.float32), np.zeros(12, np.float32)])
def test_linear_models_of_every_kind_come_back(
    target: Target, codes: np.ndarray, words: list[list[int]], weight: np.ndarray | None
) -> None:
    documents = Documents.of([words[int(row)] for row in np.arange(12) % 2])
    fitting = LinearFitting(
        target=target, longest=3, vocabulary_size=9, vectors=np.eye(9, 4, dtype=np.float32)
    )
    members = fitting.fit(EncodedSample(documents, codes, codes, weight))

    found = from_tensors(to_tensors(members), vocabulary_size=9, n_outputs=target.n_outputs)

    assert list(found) == ["ngrams", "frequencies", "words"]
    for name, member in members.items():
        np.testing.assert_array_equal(found[name](documents), member(documents))
